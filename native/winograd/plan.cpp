// What Winograd's algorithms take, and how exact they are.
#include "winograd/plan.h"

#include <algorithm>
#include <cmath>

#include "winograd/error.h"
#include "winograd/filters_plan.h"
#include "winograd/images_plan.h"

namespace striate {

namespace {

std::string listed(std::string names) { return names.replace(names.rfind(","), 1, " and"); }

std::string square(std::int64_t kernel) { return std::to_string(kernel) + "×" + std::to_string(kernel); }

// "2×2, 3×3, 1×3 and 3×1", and what else there is.
template <int M>
std::string taken() {
    std::string names = "2×2, 3×3, 1×3, 3×1";
    for (const int kernel : {5, 7}) {
        const std::string taps = std::to_string(kernel);
        if (winograd_takes(M, kernel, false)) names += ", " + square(kernel);
        if (winograd_takes(M, kernel, true)) names += ", 1×" + taps + ", " + taps + "×1";
    }
    return listed(names);
}

// With stride 2.
template <int M>
std::string taken_strided() {
    std::string names = "3×3, 5×5";
    for (const int taps : {5, 7}) {
        if (winograd_takes(M, taps, false)) names += ", " + square(2 * taps - 1);
    }
    return listed(names);
}

template <int M>
std::string refuses(Pass, const ConvShape& shape, const ConvOptions&) {
    const Axis &rows = shape.rows, &columns = shape.columns;
    const auto filter = [&] { return std::to_string(rows.kernel) + "×" + std::to_string(columns.kernel); };
    for (const Axis& axis : {rows, columns}) {
        if (axis.dilation != 1) return "takes dilation 1, not " + std::to_string(axis.dilation);
        if (axis.stride > 2) return "takes strides 1 and 2, not " + std::to_string(axis.stride);
    }
    if (rows.stride != columns.stride) {
        return "takes the same stride along both axes, not " + std::to_string(rows.stride) + " and " +
               std::to_string(columns.stride);
    }
    if (rows.stride == 2) {
        if (rows.kernel != columns.kernel || rows.kernel % 2 == 0 || !winograd_takes(M, taps_of(rows), false)) {
            return "with stride 2 takes " + taken_strided<M>() + " filters, not " + filter();
        }
        return {};
    }
    const bool alone = std::min(rows.kernel, columns.kernel) == 1;  // a filter of one tap is not transformed
    if ((rows.kernel != columns.kernel && !alone) || !winograd_takes(M, std::max(rows.kernel, columns.kernel), alone)) {
        return "takes " + taken<M>() + " filters, not " + filter();
    }
    return {};
}

template <int M>
std::unique_ptr<ImagePlan> images(const ConvShape& shape, const ConvOptions& options) {
    return winograd_images(shape, options, M);
}

template <int M>
std::unique_ptr<ImagePlan> strided_backward_data(const ConvShape& shape, const ConvOptions& options) {
    return winograd_strided_backward_data(shape, options, M);
}

template <int M>
std::unique_ptr<FilterPlan> filters(const ConvShape& shape, const ConvOptions& options) {
    return winograd_filters(shape, options, M);
}

// Of the results of a pass along an axis with so many taps, squared; one tap is not transformed.
template <int M>
double growth_squared(Pass pass, std::int64_t taps) {
    const auto of = [&](const auto& growth) {
        return pass == Pass::backward_weights ? growth.of_weights() : growth.of_outputs();
    };
    if (taps == 1) return 1;
    if (taps == 2) return of(winograd_growth<M, 2>);
    if constexpr (winograd_takes(M, 5, true)) {
        if (taps == 5) return of(winograd_growth<M, 5>);
    }
    if constexpr (winograd_takes(M, 7, true)) {
        if (taps == 7) return of(winograd_growth<M, 7>);
    }
    return of(winograd_growth<M, 3>);
}

// docs/algorithms/winograd.md and winograd-weights.md derive it: the growth of one rounding, times the root of how many
// there are.
template <int M>
double error_bound(Pass pass, const ConvShape& shape) {
    const std::int64_t rows = taps_of(shape.rows), columns = taps_of(shape.columns);
    const double growth = std::sqrt(growth_squared<M>(pass, rows) * growth_squared<M>(pass, columns));
    if (pass == Pass::backward_weights) return growth * winograd_filters_roundings(shape, M);
    const std::int64_t residues = shape.rows.stride * shape.columns.stride;
    const std::int64_t maps =
        shape.groups > 0 ? std::max(residues * shape.group_in(), shape.group_out()) : 0;  // forward or adjoint
    const std::int64_t transforms = 3 * (outputs_of(M, rows) + rows + outputs_of(M, columns) + columns);
    return growth * std::sqrt(static_cast<double>(maps + transforms));
}

}  // namespace

const ConvAlgorithm winograd2_algorithm = {.name = "winograd2",
                                           .refuses = refuses<2>,
                                           .images = images<2>,
                                           .strided_backward_data = strided_backward_data<2>,
                                           .filters = filters<2>,
                                           .error_bound = error_bound<2>};
const ConvAlgorithm winograd4_algorithm = {.name = "winograd4",
                                           .refuses = refuses<4>,
                                           .images = images<4>,
                                           .strided_backward_data = strided_backward_data<4>,
                                           .filters = filters<4>,
                                           .error_bound = error_bound<4>};
const ConvAlgorithm winograd5_algorithm = {.name = "winograd5",
                                           .refuses = refuses<5>,
                                           .images = images<5>,
                                           .strided_backward_data = strided_backward_data<5>,
                                           .filters = filters<5>,
                                           .error_bound = error_bound<5>};
const ConvAlgorithm winograd6_algorithm = {.name = "winograd6",
                                           .refuses = refuses<6>,
                                           .images = images<6>,
                                           .strided_backward_data = strided_backward_data<6>,
                                           .filters = filters<6>,
                                           .error_bound = error_bound<6>};

}  // namespace striate
