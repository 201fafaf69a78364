#include "strassen/plan.h"

#include <algorithm>

#include "im2col/matrix.h"
#include "strassen/strassen.h"

namespace striate {

namespace {

constexpr std::int64_t least_side = 128;  // of a product that is halved: below, sums cost as much as what they save

// y [m, n] = W [m, k] · col [k, n], one image and one group at a time.
struct Sides {
    std::int64_t m, n, k;
};
Sides sides_of(const ConvShape& s) { return {s.group_out(), s.out_pixels(), s.group_in() * s.taps()}; }

// One where it fits, more where they were found to pay.
int levels_of(const Sides& sides) { return std::max(1, strassen_levels(sides.m, sides.n, sides.k)); }

std::string refuses(Pass, const ConvShape& shape, const ConvOptions&) {
    const Sides sides = sides_of(shape);
    if (std::min({sides.m, sides.n, sides.k}) >= least_side) return {};
    return "halves products of at least " + std::to_string(least_side) +
           " maps out, pixels and maps in × taps, not of " + std::to_string(sides.m) + ", " + std::to_string(sides.n) +
           " and " + std::to_string(sides.k);
}

std::unique_ptr<ImagePlan> images(const ConvShape& shape, const ConvOptions& options) {
    return matrix_forward(shape, options, levels_of(sides_of(shape)));
}

// By norms: docs/algorithms/strassen.md says how that becomes a bound in units of sums.
double error_bound(Pass pass, const ConvShape& shape) {
    if (shape.groups == 0) return 0;
    Sides sides = sides_of(shape);
    if (pass == Pass::backward_data) {  // stride 1: the adjoint's product
        sides = {shape.group_in(), shape.in_pixels(), shape.group_out() * shape.taps()};
    }
    return strassen_error_bound(sides.k, levels_of(sides));
}

}  // namespace

const ConvAlgorithm strassen_algorithm = {
    .name = "strassen", .refuses = refuses, .images = images, .error_bound = error_bound};

}  // namespace striate
