#include "bfloat16/plan.h"

#include "conv/adjoint.h"

namespace striate {

namespace {

// The adjoint's plan, taking the filters of the forward pass.
class AdjointPlan final : public BfloatPlan {
public:
    AdjointPlan(const ConvShape& forward, std::unique_ptr<BfloatPlan> adjoint)
        : forward_(forward), adjoint_(std::move(adjoint)) {}

    std::int64_t packed_bytes() const override { return adjoint_->packed_bytes(); }
    std::int64_t workspace_bytes() const override { return adjoint_->workspace_bytes(); }
    void pack(const Filters& filters, void* packed) const override {
        adjoint_->pack(adjoint(forward_, filters), packed);
    }
    void run(const Bfloat16* images, const void* packed, const BfloatEpilogue& epilogue, Bfloat16* result,
             void* workspace) const override {
        adjoint_->run(images, packed, epilogue, result, workspace);
    }

private:
    ConvShape forward_;
    std::unique_ptr<BfloatPlan> adjoint_;
};

}  // namespace

const std::vector<const BfloatAlgorithm*>& bfloat_algorithms() {
    static const std::vector<const BfloatAlgorithm*> all = {&bfloat_im2col, &bfloat_pointwise, &bfloat_winograd2,
                                                            &bfloat_winograd4};
    return all;
}

const BfloatAlgorithm* bfloat_algorithm(const std::string& name) {
    for (const BfloatAlgorithm* algorithm : bfloat_algorithms()) {
        if (name == algorithm->name) return algorithm;
    }
    return nullptr;
}

std::string bfloat_refusal(const BfloatAlgorithm& algorithm, Pass pass, const ConvShape& shape, Layout from,
                           Layout to) {
    if (pass == Pass::backward_weights) return "has no gradient of the weights in bfloat16";
    if (shape.empty()) return "has nothing to sum in bfloat16";
    const std::string blocks = blocks_refusal(pass, shape, from, to);
    if (!blocks.empty()) return blocks;
    if (pass == Pass::forward) return algorithm.refuses(pass, shape);
    if (shape.unit_stride()) return algorithm.refuses(Pass::forward, adjoint(shape));
    if (algorithm.strided_backward_data == nullptr) return "has no gradient of the images for strides other than 1";
    return algorithm.refuses(pass, shape);
}

std::unique_ptr<BfloatPlan> plan_bfloat(const BfloatAlgorithm& algorithm, Pass pass, const ConvShape& shape,
                                        const BfloatOptions& options) {
    if (pass == Pass::forward) return algorithm.images(shape, options);
    if (!shape.unit_stride()) return algorithm.strided_backward_data(shape, options);
    return std::make_unique<AdjointPlan>(shape, algorithm.images(adjoint(shape), options));
}

}  // namespace striate
