#include "im2col/plan.h"

#include "im2col/matrix.h"
#include "im2col/product.h"

namespace striate {

namespace {

std::string refuses(Pass, const ConvShape&, const ConvOptions&) { return {}; }

std::unique_ptr<ImagePlan> plain_forward(const ConvShape& shape, const ConvOptions& options) {
    return matrix_forward(shape, options, 0);
}

std::unique_ptr<ImagePlan> plain_backward_data(const ConvShape& shape, const ConvOptions& options) {
    return matrix_backward_data(shape, options, 0);
}

std::unique_ptr<FilterPlan> plain_filters(const ConvShape& shape, const ConvOptions& options) {
    return matrix_filters(shape, options, 0);
}

std::unique_ptr<ImagePlan> packed_forward(const ConvShape& shape, const ConvOptions& options) {
    return product_forward(shape, options, false);
}

std::unique_ptr<ImagePlan> packed_backward_data(const ConvShape& shape, const ConvOptions& options) {
    return product_backward_data(shape, options, false);
}

}  // namespace

const ConvAlgorithm im2col_algorithm = {.name = "im2col",
                                        .refuses = refuses,
                                        .images = plain_forward,
                                        .strided_backward_data = plain_backward_data,
                                        .filters = plain_filters,
                                        .error_bound = plain_sum_error_bound};

const ConvAlgorithm im2col_packed_algorithm = {.name = "im2col_packed",
                                               .refuses = refuses,
                                               .images = packed_forward,
                                               .strided_backward_data = packed_backward_data,
                                               .filters = product_filters,
                                               .error_bound = plain_sum_error_bound};

}  // namespace striate
