// C = A·B by Strassen's seven products of halves instead of eight, in Winograd's form with 15 additions.
//
//     S₁ = A₂₁ + A₂₂   S₂ = S₁ − A₁₁   S₃ = A₁₁ − A₂₁   S₄ = A₁₂ − S₂
//     T₁ = B₁₂ − B₁₁   T₂ = B₂₂ − T₁   T₃ = B₂₂ − B₁₂   T₄ = T₂ − B₂₁
//     P₁ = A₁₁·B₁₁  P₂ = A₁₂·B₂₁  P₃ = S₄·B₂₂  P₄ = A₂₂·T₄  P₅ = S₁·T₁  P₆ = S₂·T₂  P₇ = S₃·T₃
//     U₂ = P₁ + P₆    U₃ = U₂ + P₇
//     C₁₁ = P₁ + P₂   C₁₂ = U₂ + P₅ + P₃   C₂₁ = U₃ − P₄   C₂₂ = U₃ + P₅
//
// (Strassen 1969; Winograd's form and its error after Higham 2002, §23.1 and §23.2.2; the order in which two
// temporaries are enough after Douglas, Heroux, Slishman and Smith 1994.) The error is bounded by the largest values of
// A and B, not value by value: a row of small numbers gets the error of the large ones (docs/algorithms/strassen.md).
#pragma once

#include <cstdint>

#include "gemm/gemm.h"

namespace striate {

// Levels that were found to pay: as many as leave every side of the products at least `strassen_crossover` long.
constexpr std::int64_t strassen_crossover = 2048;
int strassen_levels(std::int64_t m, std::int64_t n, std::int64_t k);

// Floats of workspace: less than (m · max(k, n) + k · n) / 3 for the sums, beside the product's own.
std::int64_t strassen_workspace(std::int64_t m, std::int64_t n, std::int64_t k, int levels, Isa isa, int threads);

// The product with `levels` of halving. Sides that do not divide by 2^levels are peeled: what is left over of K, of the
// rows and of the columns goes through `gemm`. Takes A and B as matrices, and C in one run, not accumulating; the
// epilogue as `gemm`. The same bits for every number of threads; every product and every sum is shared among them.
void strassen(const Gemm& gemm, int levels, float* workspace, Isa isa, int threads);

// The error's bound in units of 2⁻²⁴ · max|A| · max|B|: 18^levels (k₀² + 6 k₀) with k₀ = ⌈k / 2^levels⌉ (Higham 2002,
// §23.2.2, for any m and n: the terms count products and additions along K alone), and the epilogue's three roundings.
double strassen_error_bound(std::int64_t k, int levels);

}  // namespace striate
