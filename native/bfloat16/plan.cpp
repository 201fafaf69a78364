#include "bfloat16/plan.h"

#include "conv/adjoint.h"

namespace striate {

namespace {

// The adjoint's plan, taking the filters of the forward pass.
template <typename Element>
class AdjointPlan final : public BfloatPlanOf<Element> {
public:
    AdjointPlan(const ConvShape& forward, std::unique_ptr<BfloatPlanOf<Element>> adjoint)
        : forward_(forward), adjoint_(std::move(adjoint)) {}

    std::int64_t packed_bytes() const override { return adjoint_->packed_bytes(); }
    std::int64_t workspace_bytes() const override { return adjoint_->workspace_bytes(); }
    void pack(const Filters& filters, void* packed) const override {
        adjoint_->pack(adjoint(forward_, filters), packed);
    }
    void run(const Element* images, const void* packed, const BfloatEpilogueOf<Element>& epilogue, Element* result,
             void* workspace) const override {
        adjoint_->run(images, packed, epilogue, result, workspace);
    }

private:
    ConvShape forward_;
    std::unique_ptr<BfloatPlanOf<Element>> adjoint_;
};

}  // namespace

template <>
const std::vector<const BfloatAlgorithmOf<Bfloat16>*>& bfloat_algorithms() {
    static const std::vector<const BfloatAlgorithm*> all = {&bfloat_direct, &bfloat_im2col, &bfloat_pointwise,
                                                            &bfloat_winograd2, &bfloat_winograd4};
    return all;
}

template <>
const std::vector<const BfloatAlgorithmOf<float>*>& bfloat_algorithms() {
    static const std::vector<const BfloatAlgorithmOf<float>*> all = {&direct_bf16x3, &im2col_bf16x3, &winograd2_bf16x3,
                                                                     &winograd4_bf16x3};
    return all;
}

template <typename Element>
const BfloatAlgorithmOf<Element>* bfloat_algorithm(const std::string& name) {
    for (const BfloatAlgorithmOf<Element>* algorithm : bfloat_algorithms<Element>()) {
        if (name == algorithm->name) return algorithm;
    }
    return nullptr;
}

template <typename Element>
std::string bfloat_refusal(const BfloatAlgorithmOf<Element>& algorithm, Pass pass, const ConvShape& shape, Layout from,
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

template <typename Element>
std::unique_ptr<BfloatPlanOf<Element>> plan_bfloat(const BfloatAlgorithmOf<Element>& algorithm, Pass pass,
                                                   const ConvShape& shape, const BfloatOptions& options) {
    if (pass == Pass::forward) return algorithm.images(shape, options);
    if (!shape.unit_stride()) return algorithm.strided_backward_data(shape, options);
    return std::make_unique<AdjointPlan<Element>>(shape, algorithm.images(adjoint(shape), options));
}

template const BfloatAlgorithmOf<Bfloat16>* bfloat_algorithm(const std::string&);
template const BfloatAlgorithmOf<float>* bfloat_algorithm(const std::string&);
template std::string bfloat_refusal(const BfloatAlgorithmOf<Bfloat16>&, Pass, const ConvShape&, Layout, Layout);
template std::string bfloat_refusal(const BfloatAlgorithmOf<float>&, Pass, const ConvShape&, Layout, Layout);
template std::unique_ptr<BfloatPlanOf<Bfloat16>> plan_bfloat(const BfloatAlgorithmOf<Bfloat16>&, Pass, const ConvShape&,
                                                             const BfloatOptions&);
template std::unique_ptr<BfloatPlanOf<float>> plan_bfloat(const BfloatAlgorithmOf<float>&, Pass, const ConvShape&,
                                                          const BfloatOptions&);

}  // namespace striate
