#include "conv/plan.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "conv/adjoint.h"
#include "conv/empty.h"

namespace striate {

namespace {

// The adjoint's plan, taking the filters of the forward pass.
class AdjointPlan final : public ImagePlan {
public:
    AdjointPlan(const ConvShape& forward, std::unique_ptr<ImagePlan> adjoint)
        : forward_(forward), adjoint_(std::move(adjoint)) {}

    std::int64_t packed_floats() const override { return adjoint_->packed_floats(); }
    std::int64_t workspace_floats() const override { return adjoint_->workspace_floats(); }
    void pack(const Filters& filters, float* packed) const override {
        adjoint_->pack(adjoint(forward_, filters), packed);
    }
    void run(const float* images, const float* packed, const Epilogue& epilogue, float* result,
             float* workspace) const override {
        adjoint_->run(images, packed, epilogue, result, workspace);
    }

private:
    ConvShape forward_;
    std::unique_ptr<ImagePlan> adjoint_;
};

void must_be_able(const ConvAlgorithm& algorithm, Pass pass, const ConvShape& shape, const ConvOptions& options) {
    const std::string why = refusal(algorithm, pass, shape, options);
    if (!why.empty()) throw std::invalid_argument(std::string(algorithm.name) + ": " + why);
}

// A block of 16 maps has to belong to one group.
bool blocks_fit(Layout layout, const ConvShape& s, std::int64_t group_maps) {
    return layout != Layout::blocked || s.groups == 1 || group_maps % maps_per_block == 0;
}

}  // namespace

std::string blocks_refusal(Pass pass, const ConvShape& shape, Layout from, Layout to) {
    if (pass == Pass::backward_data) std::swap(from, to);
    if (blocks_fit(from, shape, shape.group_in()) && blocks_fit(to, shape, shape.group_out())) return {};
    return "in the blocked layout, groups take whole blocks of 16 maps; here " + std::to_string(shape.group_in()) +
           " in and " + std::to_string(shape.group_out()) + " out";
}

std::string refusal(const ConvAlgorithm& algorithm, Pass pass, const ConvShape& shape, const ConvOptions& options) {
    const std::string blocks = blocks_refusal(pass, shape, options.from, options.to);
    if (!blocks.empty()) return blocks;
    if (shape.empty()) return {};
    if (pass == Pass::backward_weights) {
        if (algorithm.filters == nullptr) return "has no gradient of the weights";
        return algorithm.refuses(pass, shape, options);
    }
    if (pass == Pass::forward) return algorithm.refuses(pass, shape, options);
    if (shape.unit_stride()) return algorithm.refuses(Pass::forward, adjoint(shape), options);
    if (algorithm.strided_backward_data == nullptr) return "has no gradient of the images for strides other than 1";
    return algorithm.refuses(pass, shape, options);
}

std::unique_ptr<ImagePlan> plan_images(const ConvAlgorithm& algorithm, Pass pass, const ConvShape& shape,
                                       const ConvOptions& options) {
    must_be_able(algorithm, pass, shape, options);
    if (shape.empty()) return empty_images(pass, shape, options);
    if (pass == Pass::forward) return algorithm.images(shape, options);
    if (!shape.unit_stride()) return algorithm.strided_backward_data(shape, options);
    return std::make_unique<AdjointPlan>(shape, algorithm.images(adjoint(shape), options));
}

std::unique_ptr<FilterPlan> plan_filters(const ConvAlgorithm& algorithm, const ConvShape& shape,
                                         const ConvOptions& options) {
    must_be_able(algorithm, Pass::backward_weights, shape, options);
    if (shape.empty()) return empty_filters(shape);
    return algorithm.filters(shape, options);
}

const ConvAlgorithm* conv_algorithm(const std::string& name) {
    for (const ConvAlgorithm* algorithm : conv_algorithms()) {
        if (name == algorithm->name) return algorithm;
    }
    return nullptr;
}

}  // namespace striate
