#include "im2col/plan.h"

#include "im2col/matrix.h"
#include "im2col/product.h"

namespace striate {

namespace {

std::string refuses(Pass, const ConvShape&, const ConvOptions&) { return {}; }

}  // namespace

const ConvAlgorithm im2col_algorithm = {.name = "im2col",
                                        .refuses = refuses,
                                        .images = matrix_forward,
                                        .strided_backward_data = matrix_backward_data,
                                        .filters = matrix_filters,
                                        .error_bound = plain_sum_error_bound};

const ConvAlgorithm im2col_packed_algorithm = {.name = "im2col_packed",
                                               .refuses = refuses,
                                               .images = product_forward,
                                               .strided_backward_data = product_backward_data,
                                               .filters = product_filters,
                                               .error_bound = plain_sum_error_bound};

}  // namespace striate
