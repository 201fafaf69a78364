#include "direct/plan.h"

#include "conv/parts.h"
#include "direct/convolution.h"
#include "direct/filters.h"

namespace striate {

const ConvAlgorithm direct_algorithm = {
    .name = "direct",
    .refuses = [](Pass, const ConvShape&, const ConvOptions&) { return std::string(); },
    .images = PartsPlan<DirectConvolution>::forward,
    .strided_backward_data = PartsPlan<DirectConvolution>::strided_backward_data,
    .filters = direct_filters,
    .error_bound = plain_sum_error_bound,
};

}  // namespace striate
