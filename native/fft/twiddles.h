// The roots of unity exp(−2πi k / N), computed in double when this is compiled.
#pragma once

namespace striate {

// sin and cos of x in [0, π/4] by their series, until a term no longer changes the sum.
consteval double series(double x, double term, int order) {
    double sum = 0;
    while (sum + term != sum) {
        sum += term;
        term *= -x * x / ((order + 1) * (order + 2));
        order += 2;
    }
    return sum;
}

constexpr double pi = 3.14159265358979323846;

// cos(2π k / n), 0 ≤ k < n, by way of the first eighth of the circle.
consteval double cosine(int k, int n) {
    if (2 * k > n) k = n - k;
    if (4 * k > n) return -cosine(n - 2 * k, 2 * n);  // cos(π − x) = −cos x
    if (8 * k > n) {                                  // cos x = sin(π/2 − x)
        const double x = pi * (n - 4 * k) / (2 * n);
        return series(x, x, 1);
    }
    return series(2 * pi * k / n, 1, 0);
}

consteval double sine(int k, int n) { return cosine((4 * k + 3 * n) % (4 * n), 4 * n); }  // cos(x − π/2)

// table[a][b] = exp(−2πi a·b / (A·B)): what stands between transforms of A and of B numbers.
template <int A, int B>
struct Twiddles {
    float re[A][B] = {}, im[A][B] = {};

    consteval Twiddles() {
        for (int a = 0; a < A; ++a) {
            for (int b = 0; b < B; ++b) {
                re[a][b] = static_cast<float>(cosine(a * b, A * B));
                im[a][b] = static_cast<float>(-sine(a * b, A * B));
            }
        }
    }
};

template <int A, int B>
inline constexpr Twiddles<A, B> twiddles{};

}  // namespace striate
