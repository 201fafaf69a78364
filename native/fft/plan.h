// Convolution of stride 1 as products of Fourier transforms, tile by tile: cheap where filters are large.
//
// A tile of T×T pixels gives (T − K + 1)² results for T² / 2 complex products and two transforms, whatever K is
// (Mathieu, Henaff and LeCun 2013; docs/algorithms/fft.md).
#pragma once

#include "conv/plan.h"

namespace striate {

extern const ConvAlgorithm fft_algorithm;

}  // namespace striate
