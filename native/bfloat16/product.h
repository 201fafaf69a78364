// Matrix products of bfloat16 numbers, summed in float32: what all algorithms in bfloat16 are made of.
//
// Terms of a sum come in blocks of 32, maps of the result in pairs of blocks of 16: two tiles of AMX, and as many
// registers of AVX-512. Weights lie as both take them, terms two by two: [pairs][blocks of terms][2][16 twos of
// terms][16 maps][2]. Terms and maps that do not exist are zeros on both sides.
//
// A float is nearly the sum of two bfloat16 numbers, its high and its low part: x = h + l + r, |l| ≤ 2⁻⁸ |x| and |r| ≤
// 2⁻¹⁶ |x|. Products of such sums leave out low · low, and are three: high · high, high · low and low · high (bf16x3:
// Henry, Tang and Heinecke 2019, "Leveraging the bfloat16 artificial intelligence datatype for higher-precision
// computations"). A block of weights is then followed by its low parts.
#pragma once

#include <cstdint>

#include "bfloat16/number.h"

namespace striate {

constexpr std::int64_t terms_per_block = 32, maps_per_pair = 32;
constexpr std::int64_t pair_weights = terms_per_block * maps_per_pair;  // of one block of terms

// Of the numbers of plans whose images are such elements.
template <typename Element>
constexpr std::int64_t parts_of = sizeof(Element) / sizeof(Bfloat16);

inline constexpr std::int64_t no_shift = 0;

// `count` products, one after another: of rows t < `rows` of stretches s,
//     c[o · c_block + (s · rows + t) · 16 + m] =
//         Σ over blocks d, shifts k and terms i of a[starts[s] + t · a_row + d · a_block + shifts[k] + i] · weight[d,
//         k, i, 16 o + m]
struct BfloatProducts {
    std::int64_t count, rows;
    std::int64_t stretches = 1;
    const std::int64_t* starts = &no_shift;
    std::int64_t blocks;  // of terms
    std::int64_t shift_count = 1;
    const std::int64_t* shifts = &no_shift;
    std::int64_t pairs;  // of blocks of maps
    const Bfloat16* a;
    std::int64_t a_step, a_row, a_block;  // a_step, b_step, c_step: from one product to the next
    std::int64_t a_low;                   // from high parts to low ones; 0 if numbers are no sums
    const Bfloat16* b;
    std::int64_t b_step, b_pair;  // from one pair to the next
    float* c;
    std::int64_t c_step, c_block;
    bool ahead = false;  // weights and rows are fetched a product before their turn
};

}  // namespace striate
