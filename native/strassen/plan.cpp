#include "strassen/plan.h"

#include <algorithm>

#include "conv/adjoint.h"
#include "im2col/matrix.h"
#include "strassen/strassen.h"

namespace striate {

namespace {

constexpr std::int64_t least_side = 128;  // of a product that is halved: below, sums cost as much as what they save

// Of the products of one image and one group: maps out, pixels of the result, maps in × taps.
//
//     y = W · col [·, sums over the depth]    dcol = Wᵀ · dy [over maps out]    dW = dy · colᵀ [over pixels]
struct Sides {
    std::int64_t maps, pixels, depth;
};
Sides sides_of(const ConvShape& s) { return {s.group_out(), s.out_pixels(), s.group_in() * s.taps()}; }

// One where it fits, more where they were found to pay.
int levels_of(const ConvShape& shape) {
    const Sides sides = sides_of(shape);
    return std::max(1, strassen_levels(sides.maps, sides.pixels, sides.depth));
}

std::string refuses(Pass, const ConvShape& shape, const ConvOptions&) {
    const Sides sides = sides_of(shape);
    if (std::min({sides.maps, sides.pixels, sides.depth}) >= least_side) return {};
    return "halves products of at least " + std::to_string(least_side) +
           " maps out, pixels and maps in × taps, not of " + std::to_string(sides.maps) + ", " +
           std::to_string(sides.pixels) + " and " + std::to_string(sides.depth);
}

std::unique_ptr<ImagePlan> images(const ConvShape& shape, const ConvOptions& options) {
    return matrix_forward(shape, options, levels_of(shape));
}

std::unique_ptr<ImagePlan> strided_backward_data(const ConvShape& shape, const ConvOptions& options) {
    return matrix_backward_data(shape, options, levels_of(shape));
}

std::unique_ptr<FilterPlan> filters(const ConvShape& shape, const ConvOptions& options) {
    return matrix_filters(shape, options, levels_of(shape));
}

// By norms: docs/algorithms/strassen.md says how that becomes a bound in units of sums.
double error_bound(Pass pass, const ConvShape& shape) {
    if (shape.groups == 0) return 0;
    if (pass == Pass::forward) return strassen_error_bound(sides_of(shape).depth, levels_of(shape));
    if (pass == Pass::backward_data && shape.unit_stride()) return error_bound(Pass::forward, adjoint(shape));
    // products that are added up: of images, or of the taps that see a pixel
    const bool of_weights = pass == Pass::backward_weights;
    const Sides sides = sides_of(shape);
    const auto products = static_cast<double>(of_weights ? shape.batch : shape.taps());
    return products * (strassen_error_bound(of_weights ? sides.pixels : sides.maps, levels_of(shape)) + 1);
}

}  // namespace

const ConvAlgorithm strassen_algorithm = {.name = "strassen",
                                          .refuses = refuses,
                                          .images = images,
                                          .strided_backward_data = strided_backward_data,
                                          .filters = filters,
                                          .error_bound = error_bound};

}  // namespace striate
