// The table of algorithms, in the order in which a reader should meet them.
#include "bfloat16/bf16x3.h"
#include "conv/plan.h"
#include "depthwise/plan.h"
#include "direct/plan.h"
#include "fft/plan.h"
#include "im2col/plan.h"
#include "pointwise/plan.h"
#include "ref/plan.h"
#include "strassen/plan.h"
#include "winograd/plan.h"

namespace striate {

const std::vector<const ConvAlgorithm*>& conv_algorithms() {
    static const std::vector<const ConvAlgorithm*> all = {
        &reference_algorithm,        &direct_algorithm,        &im2col_algorithm,
        &im2col_packed_algorithm,    &pointwise_algorithm,     &depthwise_algorithm,
        &winograd2_algorithm,        &winograd4_algorithm,     &winograd5_algorithm,
        &winograd6_algorithm,        &fft_algorithm,           &strassen_algorithm,
        &direct_bf16x3_algorithm,    &im2col_bf16x3_algorithm, &winograd2_bf16x3_algorithm,
        &winograd4_bf16x3_algorithm,
    };
    return all;
}

}  // namespace striate
