#include "ref/conv.h"

#include <algorithm>
#include <vector>

namespace striate::reference {

namespace {

// Where the elements of one triple lie.
struct Tap {
    std::int64_t x, w, y;
};

// The tap (i, j) of map c of its group, for output pixel (p, q) of map k of image n; false where it falls on padding.
bool tap_at(const ConvShape& s, std::int64_t n, std::int64_t k, std::int64_t p, std::int64_t q, std::int64_t c,
            std::int64_t i, std::int64_t j, Tap& tap) {
    const std::int64_t row = p * s.rows.stride + i * s.rows.dilation - s.rows.low;
    const std::int64_t column = q * s.columns.stride + j * s.columns.dilation - s.columns.low;
    if (row < 0 || row >= s.rows.size || column < 0 || column >= s.columns.size) return false;
    const std::int64_t map = k / s.group_out() * s.group_in() + c;
    tap.x = ((n * s.in + map) * s.rows.size + row) * s.columns.size + column;
    tap.w = ((k * s.group_in() + c) * s.rows.kernel + i) * s.columns.kernel + j;
    tap.y = ((n * s.out + k) * s.rows.out() + p) * s.columns.out() + q;
    return true;
}

// visit(tap) for every triple of output map k of image n and map c of its group, in the order of the sums.
template <typename Visit>
void for_each_tap(const ConvShape& s, std::int64_t n, std::int64_t k, std::int64_t c, Visit visit) {
    for (std::int64_t p = 0; p < s.rows.out(); ++p) {
        for (std::int64_t q = 0; q < s.columns.out(); ++q) {
            for (std::int64_t i = 0; i < s.rows.kernel; ++i) {
                for (std::int64_t j = 0; j < s.columns.kernel; ++j) {
                    Tap tap;
                    if (tap_at(s, n, k, p, q, c, i, j, tap)) visit(tap);
                }
            }
        }
    }
}

}  // namespace

template <typename T>
void conv(const ConvShape& s, const T* x, const T* w, const T* bias, T* y) {
    for (std::int64_t n = 0; n < s.batch; ++n) {
        for (std::int64_t k = 0; k < s.out; ++k) {
            for (std::int64_t p = 0; p < s.rows.out(); ++p) {
                for (std::int64_t q = 0; q < s.columns.out(); ++q) {
                    double sum = bias == nullptr ? 0.0 : bias[k];
                    for (std::int64_t c = 0; c < s.group_in(); ++c) {
                        for (std::int64_t i = 0; i < s.rows.kernel; ++i) {
                            for (std::int64_t j = 0; j < s.columns.kernel; ++j) {
                                Tap tap;
                                if (tap_at(s, n, k, p, q, c, i, j, tap)) sum += double{x[tap.x]} * double{w[tap.w]};
                            }
                        }
                    }
                    y[((n * s.out + k) * s.rows.out() + p) * s.columns.out() + q] = static_cast<T>(sum);
                }
            }
        }
    }
}

template <typename T>
void conv_backward_data(const ConvShape& s, const T* dy, const T* w, T* dx) {
    std::vector<double> map(s.in_pixels());
    for (std::int64_t n = 0; n < s.batch; ++n) {
        for (std::int64_t m = 0; m < s.in; ++m) {
            std::fill(map.begin(), map.end(), 0.0);
            const std::int64_t group = m / s.group_in(), first = (n * s.in + m) * s.in_pixels();
            for (std::int64_t k = group * s.group_out(); k < (group + 1) * s.group_out(); ++k) {
                for_each_tap(s, n, k, m % s.group_in(),
                             [&](const Tap& tap) { map[tap.x - first] += double{w[tap.w]} * double{dy[tap.y]}; });
            }
            for (std::int64_t pixel = 0; pixel < s.in_pixels(); ++pixel) dx[first + pixel] = static_cast<T>(map[pixel]);
        }
    }
}

template <typename T>
void conv_backward_weights(const ConvShape& s, const T* x, const T* dy, T* dw) {
    std::vector<double> filter(s.taps());
    for (std::int64_t k = 0; k < s.out; ++k) {
        for (std::int64_t c = 0; c < s.group_in(); ++c) {
            std::fill(filter.begin(), filter.end(), 0.0);
            const std::int64_t first = (k * s.group_in() + c) * s.taps();
            for (std::int64_t n = 0; n < s.batch; ++n) {
                for_each_tap(s, n, k, c,
                             [&](const Tap& tap) { filter[tap.w - first] += double{x[tap.x]} * double{dy[tap.y]}; });
            }
            for (std::int64_t t = 0; t < s.taps(); ++t) dw[first + t] = static_cast<T>(filter[t]);
        }
    }
}

template void conv(const ConvShape&, const float*, const float*, const float*, float*);
template void conv(const ConvShape&, const double*, const double*, const double*, double*);
template void conv_backward_data(const ConvShape&, const float*, const float*, float*);
template void conv_backward_data(const ConvShape&, const double*, const double*, double*);
template void conv_backward_weights(const ConvShape&, const float*, const float*, float*);
template void conv_backward_weights(const ConvShape&, const double*, const double*, double*);

}  // namespace striate::reference
