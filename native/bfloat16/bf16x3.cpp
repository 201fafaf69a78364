#include "bfloat16/bf16x3.h"

#include "bfloat16/plan.h"
#include "conv/division.h"

namespace striate {

namespace {

// A plan of floats that counts in bytes, as one that counts in floats.
class SplitPlan final : public ImagePlan {
public:
    explicit SplitPlan(std::unique_ptr<BfloatPlanOf<float>> plan) : plan_(std::move(plan)) {}

    std::int64_t packed_floats() const override { return quotient_up(plan_->packed_bytes(), 4); }
    std::int64_t workspace_floats() const override { return quotient_up(plan_->workspace_bytes(), 4); }
    void pack(const Filters& filters, float* packed) const override { plan_->pack(filters, packed); }
    void run(const float* images, const float* packed, const Epilogue& epilogue, float* result,
             float* workspace) const override {
        plan_->run(images, packed, {epilogue.bias, epilogue.residual, epilogue.relu}, result, workspace);
    }

private:
    std::unique_ptr<BfloatPlanOf<float>> plan_;
};

// Of the instruction set that is asked for, the most capable unit.
BfloatOptions options_of(const ConvOptions& options) {
    return {options.from, options.to, bfloat_units(options.isa).back(), options.threads};
}

template <const BfloatAlgorithmOf<float>& split>
constexpr ConvAlgorithm in_float32(const char* name) {
    return {.name = name,
            .refuses = [](Pass pass, const ConvShape& shape, const ConvOptions&) { return split.refuses(pass, shape); },
            .images = [](const ConvShape& shape, const ConvOptions& options) -> std::unique_ptr<ImagePlan> {
                return std::make_unique<SplitPlan>(split.images(shape, options_of(options)));
            },
            .error_bound = [](Pass pass, const ConvShape& shape) { return split.error_bound(pass, shape); }};
}

template <const BfloatAlgorithmOf<float>& split>
constexpr ConvAlgorithm strided_in_float32(const char* name) {
    ConvAlgorithm algorithm = in_float32<split>(name);
    algorithm.strided_backward_data = [](const ConvShape& shape,
                                         const ConvOptions& options) -> std::unique_ptr<ImagePlan> {
        return std::make_unique<SplitPlan>(split.strided_backward_data(shape, options_of(options)));
    };
    return algorithm;
}

}  // namespace

const ConvAlgorithm direct_bf16x3_algorithm = strided_in_float32<direct_bf16x3>("direct_bf16x3");
const ConvAlgorithm im2col_bf16x3_algorithm = strided_in_float32<im2col_bf16x3>("im2col_bf16x3");
const ConvAlgorithm winograd2_bf16x3_algorithm = in_float32<winograd2_bf16x3>("winograd2_bf16x3");
const ConvAlgorithm winograd4_bf16x3_algorithm = in_float32<winograd4_bf16x3>("winograd4_bf16x3");

}  // namespace striate
