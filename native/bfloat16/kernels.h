// The inner parts of convolutions in bfloat16. Tiles are Winograd's (winograd/kernels.h) with other elements.
#pragma once

#include "bfloat16/product.h"
#include "winograd/kernels.h"

namespace striate {

// Sums on their way to the result: `count` neighbouring pixels of a row, [count, 16] floats for each block of maps.
template <typename Element>
struct BfloatFinishOf {
    const float* sums;
    std::int64_t block;  // from one block of 16 maps to the next
    std::int64_t count, maps;
    Element* result;          // the first of these pixels and maps
    const Element* residual;  // laid out as the result, or none
    Strides strides;
    std::int64_t result_block;  // from 16 maps to the next in the result
    const float* bias;          // of each map, rounded up to 16
    bool relu;
};

// Weights of at most 32 terms and 32 maps, at all taps.
struct BfloatFilters {
    const float* data;             // of the first term and map
    std::int64_t of_term, of_map;  // from one to the next
    std::int64_t terms, maps;      // that exist
    std::int64_t span;             // taps lie at data[0] to data[span − 1]
    std::int64_t tap_count;
    const std::int64_t* taps;  // where each lies
    Bfloat16* to;              // a block of weights for each tap, as products take them (product.h)
};

// Of images whose elements are bfloat16 numbers, or floats, which are then made sums of two.
template <typename Element>
struct BfloatKernelsOf {
    std::int64_t lanes;
    const WinogradTransformsOf<Element, Bfloat16>* transforms;

    void (*multiply)(const BfloatProducts&);

    // to[2 i] = even[i], to[2 i + 1] = odd[i], for 16 of each; their low parts pair_weights later.
    void (*interleave)(const float* even, const float* odd, Bfloat16* to);

    void (*filters)(const BfloatFilters&);

    // `count` neighbouring pixels of a row and at most 32 maps to rows of terms: map c of pixel x to to[32 x + c], maps
    // that do not exist as zeros; of floats to to[64 x + c], their low parts 32 later.
    void (*terms)(const Element* row, const Strides& strides, std::int64_t block, std::int64_t maps, std::int64_t count,
                  Bfloat16* to);

    // A row of pixels to channels-last: map c of pixel x to to[x · maps + c], its low part `low` later.
    void (*maps_last)(const Element* row, const Strides& strides, std::int64_t block, std::int64_t maps,
                      std::int64_t width, Bfloat16* to, std::int64_t low);

    void (*finish)(const BfloatFinishOf<Element>&);
};

struct BfloatKernels {
    BfloatKernelsOf<Bfloat16> narrow;
    BfloatKernelsOf<float> wide;
};

namespace portable {
extern const BfloatKernels bfloat_kernels;
}
namespace avx2 {
extern const BfloatKernels bfloat_kernels;
}
namespace avx512 {
extern const BfloatKernels bfloat_kernels;
}
namespace avx512_bf16 {
extern const BfloatKernels bfloat_kernels;
}
namespace amx {
void multiply(const BfloatProducts& products);  // beside AVX512_BF16's other kernels
}

}  // namespace striate
