// Fourier transforms of N complex numbers, each number two registers: every lane its own map.
//
//     X[k] = Σ_n x[n] · exp(−2πi n k / N)
//
// N = A·B takes two passes (Cooley and Tukey 1965): with n = B·a + b and k = c + A·d, transforms over a, twiddle
// factors exp(−2πi b·c / N), transforms over b. The inverse, but for its factor 1/N, is the same with re and im
// exchanged on both sides; so whoever loads and stores decides the direction, and there is one transform.
#pragma once

#include "fft/twiddles.h"
#include "simd/floats.h"

namespace striate::STRIATE_ISA_NAMESPACE {

struct Complex {
    Floats re, im;
};

#define STRIATE_INLINE inline __attribute__((always_inline))

STRIATE_INLINE Complex operator+(Complex a, Complex b) { return {a.re + b.re, a.im + b.im}; }
STRIATE_INLINE Complex operator-(Complex a, Complex b) { return {a.re - b.re, a.im - b.im}; }
STRIATE_INLINE Complex operator*(Complex a, Complex b) {
    return {minus_product(a.im, b.im, a.re * b.re), multiply_add(a.re, b.im, a.im * b.re)};
}
STRIATE_INLINE Complex times(Complex a, float re, float im) { return a * Complex{all(re), all(im)}; }

// In registers, in place.
template <int N>
struct Butterfly;

template <>
struct Butterfly<2> {
    static STRIATE_INLINE void run(Complex (&x)[2]) {
        const Complex a = x[0], b = x[1];
        x[0] = a + b, x[1] = a - b;
    }
};

template <>
struct Butterfly<3> {
    static STRIATE_INLINE void run(Complex (&x)[3]) {
        constexpr float height = static_cast<float>(sine(1, 3));
        const Complex sum = x[1] + x[2], difference = x[1] - x[2];
        const Complex middle{minus_product(all(0.5f), sum.re, x[0].re), minus_product(all(0.5f), sum.im, x[0].im)};
        const Complex side{difference.im * all(height), difference.re * all(height)};  // times −i, but for a sign
        x[0] = x[0] + sum;
        x[1] = {middle.re + side.re, middle.im - side.im};
        x[2] = {middle.re - side.re, middle.im + side.im};
    }
};

template <>
struct Butterfly<4> {
    static STRIATE_INLINE void run(Complex (&x)[4]) {
        const Complex a = x[0] + x[2], b = x[0] - x[2], c = x[1] + x[3], d = x[1] - x[3];
        x[0] = a + c, x[2] = a - c;
        x[1] = {b.re + d.im, b.im - d.re};  // b − i·d
        x[3] = {b.re - d.im, b.im + d.re};
    }
};

template <>
struct Butterfly<6> {
    static STRIATE_INLINE void run(Complex (&x)[6]) {
        constexpr float half = 0.5f, height = static_cast<float>(sine(1, 3));
        Complex even[3] = {x[0], x[2], x[4]}, odd[3] = {x[1], x[3], x[5]};
        Butterfly<3>::run(even), Butterfly<3>::run(odd);
        odd[1] = times(odd[1], half, -height), odd[2] = times(odd[2], -half, -height);
#pragma GCC unroll 3
        for (int k = 0; k < 3; ++k) x[k] = even[k] + odd[k], x[k + 3] = even[k] - odd[k];
    }
};

template <>
struct Butterfly<8> {
    static STRIATE_INLINE void run(Complex (&x)[8]) {
        const Floats diagonal = all(static_cast<float>(cosine(1, 8)));
        Complex even[4] = {x[0], x[2], x[4], x[6]}, odd[4] = {x[1], x[3], x[5], x[7]};
        Butterfly<4>::run(even), Butterfly<4>::run(odd);
        odd[1] = {(odd[1].re + odd[1].im) * diagonal, (odd[1].im - odd[1].re) * diagonal};
        odd[3] = {(odd[3].im - odd[3].re) * diagonal, (odd[3].re + odd[3].im) * diagonal};  // but for a sign of im
        x[0] = even[0] + odd[0], x[4] = even[0] - odd[0];
        x[1] = even[1] + odd[1], x[5] = even[1] - odd[1];
        x[2] = {even[2].re + odd[2].im, even[2].im - odd[2].re};
        x[6] = {even[2].re - odd[2].im, even[2].im + odd[2].re};
        x[3] = {even[3].re + odd[3].re, even[3].im - odd[3].im};
        x[7] = {even[3].re - odd[3].re, even[3].im + odd[3].im};
    }
};

// Butterflies of the first pass; those of the second are of 4 or 8 numbers.
template <int N>
constexpr int first_pass = N == 8                 ? 1
                           : N > 16 && N % 8 == 0 ? N / 8
                                                  : N / 4;

// load(n) gives x[n], store(k, X[k]) takes the result. Everything is loaded before anything is stored, for N > 8.
template <int N, typename Load, typename Store>
STRIATE_INLINE void fourier(Load load, Store store) {
    constexpr int A = first_pass<N>, B = N / A;
    if constexpr (A == 1) {
        Complex x[B];
#pragma GCC unroll 8
        for (int b = 0; b < B; ++b) x[b] = load(b);
        Butterfly<B>::run(x);
#pragma GCC unroll 8
        for (int b = 0; b < B; ++b) store(b, x[b]);
    } else {
        Complex between[A][B];
        for (int b = 0; b < B; ++b) {
            Complex x[A];
#pragma GCC unroll 8
            for (int a = 0; a < A; ++a) x[a] = load(B * a + b);
            Butterfly<A>::run(x);
            between[0][b] = x[0];
#pragma GCC unroll 8
            for (int c = 1; c < A; ++c) {
                between[c][b] = times(x[c], twiddles<B, A>.re[b][c], twiddles<B, A>.im[b][c]);
            }
        }
        for (int c = 0; c < A; ++c) {
            Complex x[B];
#pragma GCC unroll 8
            for (int b = 0; b < B; ++b) x[b] = between[c][b];
            Butterfly<B>::run(x);
#pragma GCC unroll 8
            for (int d = 0; d < B; ++d) store(c + A * d, x[d]);
        }
    }
}

}  // namespace striate::STRIATE_ISA_NAMESPACE
