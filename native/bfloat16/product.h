// Matrix products of bfloat16 numbers, summed in float32: what all algorithms in bfloat16 are made of.
//
// Terms of a sum come in blocks of 32, maps of the result in pairs of blocks of 16: two tiles of AMX, and as many
// registers of AVX-512. Weights lie as both take them, terms two by two: [pairs][blocks of terms][2][16 twos of
// terms][16 maps][2]. Terms and maps that do not exist are zeros on both sides.
#pragma once

#include <cstdint>

#include "bfloat16/number.h"

namespace striate {

constexpr std::int64_t terms_per_block = 32, maps_per_pair = 32;
constexpr std::int64_t pair_weights = terms_per_block * maps_per_pair;  // of one block of terms

// `count` products, one after another: of rows t < `rows`,
//     c[o · c_block + t · 16 + m] = Σ over blocks d of terms i of a[t · a_row + d · a_block + i] · weight[32 d + i, 16
//     o + m]
struct BfloatProducts {
    std::int64_t count, rows, blocks, pairs;  // blocks of terms, pairs of blocks of maps
    const Bfloat16* a;
    std::int64_t a_step, a_row, a_block;  // a_step, b_step, c_step: from one product to the next
    const Bfloat16* b;
    std::int64_t b_step, b_pair;  // from one pair to the next
    float* c;
    std::int64_t c_step, c_block;
};

}  // namespace striate
