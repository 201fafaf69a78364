#include "depthwise/plan.h"

#include "conv/parts.h"
#include "depthwise/convolution.h"
#include "depthwise/filters.h"

namespace striate {

namespace {

std::string refuses(Pass, const ConvShape& s, const ConvOptions&) {
    if (s.group_in() == 1 || s.group_out() == 1) return {};
    return "takes groups of one map in or one map out; here " + std::to_string(s.group_in()) + " in and " +
           std::to_string(s.group_out()) + " out";
}

}  // namespace

const ConvAlgorithm depthwise_algorithm = {
    .name = "depthwise",
    .refuses = refuses,
    .images = PartsPlan<DepthwiseConvolution>::forward,
    .strided_backward_data = PartsPlan<DepthwiseConvolution>::strided_backward_data,
    .filters = depthwise_filters,
    .error_bound = plain_sum_error_bound,
};

}  // namespace striate
