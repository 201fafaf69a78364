// The matrices of a minimal filtering algorithm F(m, r), generated exactly.
//
//     y = Aᵀ [(G g) ⊙ (Bᵀ d)]        m outputs of an r-tap filter g on m + r − 1 inputs d, with m + r − 1 products
//
// Winograd 1980; Lavin and Gray 2015. By Toom and Cook: polynomials of degree m + r − 2 are known by their values at
// m + r − 2 points p_j and their leading coefficient ("the value at infinity"), so that a product of polynomials takes
// as many products of numbers. Transposed (Tellegen), multiplying becomes filtering:
//
//     Aᵀ[i, j] = p_j^i                        and the unit column for infinity
//     G[j, k]  = p_j^k / Π_{l≠j} (p_j − p_l)    and the unit row
//     Bᵀ[j, ·] = coefficients of Π_{l≠j} (x − p_l), and of Π_l (x − p_l) for infinity
//
// All in fractions of whole numbers, at compile time. The points decide the rounding error: small powers of two in
// pairs ±p keep the entries small and exact, and halve the work of the transforms (transform.h).
#pragma once

#include <cstdint>

namespace striate {

// A fraction in lowest terms, its denominator positive.
struct Fraction {
    std::int64_t numerator = 0, denominator = 1;

    constexpr Fraction() = default;
    constexpr Fraction(std::int64_t whole) : numerator(whole) {}
    constexpr Fraction(std::int64_t over, std::int64_t under) : numerator(over), denominator(under) {
        if (denominator < 0) numerator = -numerator, denominator = -denominator;
        std::int64_t a = numerator < 0 ? -numerator : numerator, b = denominator;
        while (b != 0) {
            const std::int64_t rest = a % b;
            a = b, b = rest;
        }
        numerator /= a, denominator /= a;
    }

    constexpr double value() const { return static_cast<double>(numerator) / static_cast<double>(denominator); }
    friend constexpr bool operator==(Fraction, Fraction) = default;
};

constexpr Fraction operator+(Fraction a, Fraction b) {
    return {a.numerator * b.denominator + b.numerator * a.denominator, a.denominator * b.denominator};
}
constexpr Fraction operator-(Fraction a) { return {-a.numerator, a.denominator}; }
constexpr Fraction operator-(Fraction a, Fraction b) { return a + -b; }
constexpr Fraction operator*(Fraction a, Fraction b) {
    return {a.numerator * b.numerator, a.denominator * b.denominator};
}
constexpr Fraction operator/(Fraction a, Fraction b) {
    return {a.numerator * b.denominator, a.denominator * b.numerator};
}

template <int M, int R>
struct CookToom {
    static constexpr int size = M + R - 1;

    Fraction at[M][size];     // Aᵀ
    Fraction g[size][R];      // G
    Fraction bt[size][size];  // Bᵀ

    // From the size − 1 finite points, all different.
    constexpr explicit CookToom(const Fraction (&points)[size - 1]) : at{}, g{}, bt{} {
        for (int j = 0; j < size; ++j) {
            const bool finite = j < size - 1;
            Fraction product[size] = {1};  // Π (x − p_l), its coefficients from x⁰ on
            Fraction distance = 1;
            for (int l = 0, degree = 0; l < size - 1; ++l) {
                if (l == j) continue;
                for (int i = ++degree; i > 0; --i) product[i] = product[i - 1] - points[l] * product[i];
                product[0] = -points[l] * product[0];
                if (finite) distance = distance * (points[j] - points[l]);
            }
            for (int i = 0; i < size; ++i) bt[j][i] = product[i];
            Fraction power = 1;
            for (int i = 0; finite && i < (M > R ? M : R); ++i) {
                if (i < M) at[i][j] = power;
                if (i < R) g[j][i] = power / distance;
                power = power * points[j];
            }
        }
        at[M - 1][size - 1] = 1;
        g[size - 1][R - 1] = 1;
    }
};

}  // namespace striate
