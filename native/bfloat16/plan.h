// Convolutions whose images, weights and results are bfloat16 numbers, and whose sums are float32's: the signature of
// conv/plan.h with other elements.
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

struct BfloatEpilogue {
    const float* bias = nullptr;
    const Bfloat16* residual = nullptr;
    bool relu = false;
};

class BfloatPlan {
public:
    virtual ~BfloatPlan() = default;

    virtual std::int64_t packed_bytes() const = 0;
    virtual std::int64_t workspace_bytes() const = 0;

    // Weights come as floats, so that they are rounded once: transformed, if there is a transform.
    virtual void pack(const Filters& filters, void* packed) const = 0;
    virtual void run(const Bfloat16* images, const void* packed, const BfloatEpilogue& epilogue, Bfloat16* result,
                     void* workspace) const = 0;
};

struct BfloatAlgorithm {
    const char* name;  // of the algorithm in float32 that it is
    std::string (*refuses)(Pass, const ConvShape&);
    std::unique_ptr<BfloatPlan> (*images)(const ConvShape&, const BfloatOptions&);
    std::unique_ptr<BfloatPlan> (*strided_backward_data)(const ConvShape&, const BfloatOptions&);  // or null

    // As ConvAlgorithm::error_bound, in units of 2⁻²⁴ · the largest Σ |a||b|, the rounding of the result with it.
    double (*error_bound)(Pass, const ConvShape&);
};

constexpr double bfloat_rounding = 0x1p16;  // 2⁻⁸, half a last place of eight bits, in units of 2⁻²⁴

// In the order in which a reader should meet them.
const std::vector<const BfloatAlgorithm*>& bfloat_algorithms();

// Null for one that does not compute in bfloat16.
const BfloatAlgorithm* bfloat_algorithm(const std::string& name);

// Why `algorithm` cannot do this in bfloat16, for a user to read; empty if it can.
std::string bfloat_refusal(const BfloatAlgorithm& algorithm, Pass pass, const ConvShape& shape, Layout from, Layout to);

// For shapes that are not refused.
std::unique_ptr<BfloatPlan> plan_bfloat(const BfloatAlgorithm& algorithm, Pass pass, const ConvShape& shape,
                                        const BfloatOptions& options);

extern const BfloatAlgorithm bfloat_im2col, bfloat_pointwise, bfloat_winograd2, bfloat_winograd4;

}  // namespace striate
