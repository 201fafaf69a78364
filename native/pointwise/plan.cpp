// A 1×1 filter sees one pixel, so the matrix of im2col is the image itself (with a stride, every S-th pixel of it):
//
//     NCHW            y[K, pixels] = W[K, C] · x[C, pixels]            an image at a time
//     channels-last   y[pixels, K] = x[pixels, C] · Wᵀ[C, K]           the pixels of the batch together
//
// The rest is the product of im2col, which here reads pixels where they are.
#include "pointwise/plan.h"

#include "im2col/product.h"

namespace striate {

namespace {

std::string refuses(Pass, const ConvShape& shape, const ConvOptions&) {
    if (shape.taps() == 1) return {};
    return "takes 1×1 filters, not " + std::to_string(shape.rows.kernel) + "×" + std::to_string(shape.columns.kernel);
}

std::unique_ptr<ImagePlan> images(const ConvShape& shape, const ConvOptions& options) {
    return product_forward(shape, options, true);
}

std::unique_ptr<ImagePlan> strided_backward_data(const ConvShape& shape, const ConvOptions& options) {
    return product_backward_data(shape, options, true);
}

}  // namespace

const ConvAlgorithm pointwise_algorithm = {.name = "pointwise",
                                           .refuses = refuses,
                                           .images = images,
                                           .strided_backward_data = strided_backward_data,
                                           .filters = product_filters,
                                           .error_bound = plain_sum_error_bound};

}  // namespace striate
