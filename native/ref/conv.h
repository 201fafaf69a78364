// Convolution and its two derivatives, straight from the sums. The oracle, and the place to begin reading.
//
//     y[n, k, p, q] = b[k] + Σ_c Σ_i Σ_j w[k, c, i, j] · x[n, g·C + c, p·S + i·D − P, q·S + j·D − P]
//
// for map k of group g, C maps a group, and pixels outside x being zero. Seen as sums over (x, w, y) that meet at one
// tap, the derivatives are the same triples, summed into another of the three:
//
//     dx[…] = Σ w · dy        dw[…] = Σ x · dy        db[k] = Σ dy[n, k, p, q]
//
// All arrays are NCHW, contiguous and float or double; every sum is taken in double and rounded once.
#pragma once

#include "conv/shape.h"

namespace striate::reference {

// `bias` may be null. y is written whole.
template <typename T>
void conv(const ConvShape& shape, const T* x, const T* w, const T* bias, T* y);

// dx is written whole: pixels that no window sees get zero.
template <typename T>
void conv_backward_data(const ConvShape& shape, const T* dy, const T* w, T* dx);

template <typename T>
void conv_backward_weights(const ConvShape& shape, const T* x, const T* dy, T* dw);

}  // namespace striate::reference
