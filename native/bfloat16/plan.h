// Convolutions by products of bfloat16 numbers, summed in float32: the signature of conv/plan.h with other elements.
//
// Of bfloat16 images and results; and of floats, each of which becomes the sum of two bfloat16 numbers on the way
// (product.h). The latter are algorithms in float32 as others are (bf16x3.cpp).
//
// The same promises: images, residual and result lie at any address that such numbers may have; nothing but the result
// is modified; `packed` and `workspace` are aligned to 64 bytes; a run allocates nothing and gives the same bits for
// every number of threads. Backward to weights has no plan: it stays with float32.
#pragma once

#include "bfloat16/number.h"
#include "bfloat16/unit.h"
#include "conv/plan.h"

namespace striate {

struct BfloatOptions {
    Layout from = Layout::nchw;
    Layout to = Layout::nchw;
    BfloatUnit unit = BfloatUnit::portable;
    int threads = 1;
};

template <typename Element>
struct BfloatEpilogueOf {
    const float* bias = nullptr;
    const Element* residual = nullptr;
    bool relu = false;
};
using BfloatEpilogue = BfloatEpilogueOf<Bfloat16>;

template <typename Element>
class BfloatPlanOf {
public:
    virtual ~BfloatPlanOf() = default;

    virtual std::int64_t packed_bytes() const = 0;
    virtual std::int64_t workspace_bytes() const = 0;

    // Weights come as floats, so that they are rounded once: transformed, if there is a transform.
    virtual void pack(const Filters& filters, void* packed) const = 0;
    virtual void run(const Element* images, const void* packed, const BfloatEpilogueOf<Element>& epilogue,
                     Element* result, void* workspace) const = 0;
};
using BfloatPlan = BfloatPlanOf<Bfloat16>;

template <typename Element>
struct BfloatAlgorithmOf {
    const char* name;  // of bfloat16 images: of the algorithm in float32 that it is
    std::string (*refuses)(Pass, const ConvShape&);
    std::unique_ptr<BfloatPlanOf<Element>> (*images)(const ConvShape&, const BfloatOptions&);
    std::unique_ptr<BfloatPlanOf<Element>> (*strided_backward_data)(const ConvShape&, const BfloatOptions&);  // or null

    // As ConvAlgorithm::error_bound, in units of 2⁻²⁴ · the largest Σ |a||b|, the rounding of the result with it.
    double (*error_bound)(Pass, const ConvShape&);
};
using BfloatAlgorithm = BfloatAlgorithmOf<Bfloat16>;

constexpr double bfloat_rounding = 0x1p16;  // 2⁻⁸, half a last place of eight bits, in units of 2⁻²⁴
// Of a number that becomes the sum of two; and of a product, which leaves out low · low.
constexpr double split_rounding = 0x1p8;

// In the order in which a reader should meet them.
template <typename Element>
const std::vector<const BfloatAlgorithmOf<Element>*>& bfloat_algorithms();

// Null for one that does not compute in bfloat16.
template <typename Element>
const BfloatAlgorithmOf<Element>* bfloat_algorithm(const std::string& name);

// Why `algorithm` cannot do this in bfloat16, for a user to read; empty if it can.
template <typename Element>
std::string bfloat_refusal(const BfloatAlgorithmOf<Element>& algorithm, Pass pass, const ConvShape& shape, Layout from,
                           Layout to);

// For shapes that are not refused.
template <typename Element>
std::unique_ptr<BfloatPlanOf<Element>> plan_bfloat(const BfloatAlgorithmOf<Element>& algorithm, Pass pass,
                                                   const ConvShape& shape, const BfloatOptions& options);

// A plan of a class that is made for a pass.
template <typename Plan, typename Element, Pass pass>
std::unique_ptr<BfloatPlanOf<Element>> made(const ConvShape& shape, const BfloatOptions& options) {
    return std::make_unique<Plan>(pass, shape, options);
}

// Of direct sums. Products of two bfloat16 numbers are exact in float32; sums round as any, and the result once more.
// Where numbers are sums of two there are three times as many, and each product lacks the rest of both its numbers and
// what the two low parts give.
template <typename Element>
double direct_error_bound(Pass pass, const ConvShape& shape) {
    const double sums = plain_sum_error_bound(pass, shape);
    return parts_of<Element> == 1 ? bfloat_rounding + 1 + sums : 3 * split_rounding * (1 + 0x1p-7) + 3 * sums;
}

extern const BfloatAlgorithm bfloat_direct, bfloat_im2col, bfloat_pointwise, bfloat_winograd2, bfloat_winograd4;
extern const BfloatAlgorithmOf<float> direct_bf16x3, im2col_bf16x3, winograd2_bf16x3, winograd4_bf16x3;

}  // namespace striate
