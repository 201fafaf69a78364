// Planes and maps, compiled once per instruction set.
#include "depthwise/kernels.h"

#include <type_traits>

#include "simd/bounds.h"
#include "simd/floats.h"

namespace striate::STRIATE_ISA_NAMESPACE {

namespace {

void plane_rows(const PlaneRows& r) {
    for (std::int64_t i = 0; i < r.rows; ++i) {
        const std::int64_t y = r.top + i;
        const float* const row = r.image + y * r.row;
        for (std::int64_t phase = 0; phase < r.stride; ++phase) {
            float* const to = r.to + (i * r.stride + phase) * r.line;
            // the image's pixel of line[x] is left + phase + x · stride
            const std::int64_t first = r.left + phase;
            std::int64_t begin = first >= 0 ? 0 : (-first + r.stride - 1) / r.stride;
            std::int64_t end = first >= r.width ? 0 : (r.width - first + r.stride - 1) / r.stride;
            begin = smaller(begin, r.line);
            end = y < 0 || y >= r.height ? begin : larger(begin, smaller(end, r.line));
            for (std::int64_t x = 0; x < begin; ++x) to[x] = 0.0f;
            if (r.stride == 1 && r.pixel == 1) {
                std::memcpy(to + begin, row + first + begin, static_cast<std::size_t>(end - begin) * sizeof(float));
            } else {
                for (std::int64_t x = begin; x < end; ++x) to[x] = row[(first + x * r.stride) * r.pixel];
            }
            for (std::int64_t x = end; x < r.line; ++x) to[x] = 0.0f;
        }
    }
}

// Results of `Registers` registers of pixels from x on.
template <int Registers>
inline void plane_results(const PlaneSums& s, std::int64_t x, Floats (&sum)[Registers]) {
#pragma GCC unroll 4
    for (int r = 0; r < Registers; ++r) sum[r] = zeros();
    const float* w = s.w;
    for (std::int64_t p = 0; p < s.planes; ++p) {
        const float* const plane = s.plane + p * s.step + x;
        for (std::int64_t t = 0; t < s.taps.count; ++t) {
            const Floats weight = all(*w++);
#pragma GCC unroll 4
            for (int r = 0; r < Registers; ++r) {
                sum[r] = multiply_add(load(plane + s.taps.at[t] + r * lanes), weight, sum[r]);
            }
        }
    }
#pragma GCC unroll 4
    for (int r = 0; r < Registers; ++r) sum[r] = sum[r] + all(s.bias);
}

void plane_sums(const PlaneSums& s) {
    const bool dense = s.pixel == 1;
    const auto finish = [&](std::int64_t x, Floats sum) {
        if (!dense) return store(s.scratch + x, sum);
        const std::int64_t count = smaller(lanes, s.pixels - x);
        if (s.residual != nullptr) sum = sum + load_first(s.residual + x, count);
        if (s.relu) sum = at_least_zero(sum);
        if (count == lanes) return store(s.result + x, sum);
        store_first(s.result + x, sum, count);
    };
    std::int64_t x = 0;
    for (; x + 4 * lanes <= s.pixels; x += 4 * lanes) {
        Floats sum[4];
        plane_results<4>(s, x, sum);
#pragma GCC unroll 4
        for (int r = 0; r < 4; ++r) finish(x + r * lanes, sum[r]);
    }
    for (; x < s.pixels; x += lanes) {
        Floats sum[1];
        plane_results<1>(s, x, sum);
        finish(x, sum[0]);
    }
    if (dense) return;
    for (std::int64_t i = 0; i < s.pixels; ++i) {
        float sum = s.scratch[i];
        if (s.residual != nullptr) sum += s.residual[i * s.pixel];
        s.result[i * s.pixel] = s.relu && sum < 0.0f ? 0.0f : sum;
    }
}

inline float sum_of(Floats x) {
    float lane[lanes];
    store(lane, x);
    for (int half = lanes / 2; half > 0; half /= 2) {
        for (int i = 0; i < half; ++i) lane[i] += lane[i + half];
    }
    return lane[0];
}

template <int Taps>
void plane_gradient_of(const PlaneGradient& g, std::int64_t first) {
    Floats sum[Taps];
#pragma GCC unroll 9
    for (int t = 0; t < Taps; ++t) sum[t] = zeros();
    for (std::int64_t row = 0; row < g.rows; ++row) {
        const float* const plane = g.plane + row * g.plane_row;
        for (std::int64_t x = 0; x < g.pixels; x += lanes) {
            const Floats slope = load(g.dy + row * g.dy_row + x);
#pragma GCC unroll 9
            for (int t = 0; t < Taps; ++t) {
                sum[t] = multiply_add(load(plane + g.taps.at[first + t] + x), slope, sum[t]);
            }
        }
    }
#pragma GCC unroll 9
    for (int t = 0; t < Taps; ++t) g.dw[first + t] += sum_of(sum[t]);
}

void plane_gradient(const PlaneGradient& g) {
    std::int64_t t = 0;
    for (; t + 9 <= g.taps.count; t += 9) plane_gradient_of<9>(g, t);
    for (; t + 3 <= g.taps.count; t += 3) plane_gradient_of<3>(g, t);
    for (; t < g.taps.count; ++t) plane_gradient_of<1>(g, t);
}

// What is asked for each result, as a copy: of a reference the compiler cannot know that results are no part of it, and
// reads it again after every store. Past the caches that costs nothing, and the copy's stores, closer to each other,
// were 0.8 times as fast.
template <bool PastCaches>
using Kept = std::conditional_t<PastCaches, const MapRows&, const MapRows>;

// `at` counts from the first result's first map. `before` is where a register waits that is but the first half of a
// line.
template <bool PastCaches>
inline void store_maps(const MapRows& m, std::int64_t at, std::int64_t c, Floats sum, Floats& before) {
    const std::int64_t count = smaller(lanes, m.maps - c);
    if (m.bias != nullptr) sum = sum + load_first(m.bias + c, count);
    if (m.residual != nullptr) sum = sum + load_first(m.residual + at + c, count);
    if (m.relu) sum = at_least_zero(sum);
    float* const to = m.result + at + c;
    if constexpr (PastCaches) {
        constexpr bool is_half = 2 * lanes == line_floats;
        if (is_half && c % line_floats == 0) {
            before = sum;
            return;
        }
        if (is_half) stream(to - lanes, before);
        return stream(to, sum);
    }
    if (count == lanes) return store(to, sum);
    store_first(to, sum, count);
}

// One result pixel of any filter.
template <bool PastCaches>
void map_pixel(const MapRows& given, std::int64_t row, std::int64_t x) {
    const Kept<PastCaches> m = given;
    const float* w = m.w;
    const std::int64_t top = m.top + row * m.row_stride, left = m.left + x * m.stride;
    Floats before = zeros();
    for (std::int64_t c = 0; c < m.maps; c += lanes) {
        const std::int64_t count = smaller(lanes, m.maps - c);
        Floats sum = zeros();
        for (std::int64_t i = 0; i < m.kernel_rows; ++i) {
            const std::int64_t y = top + i * m.dilation_rows;
            for (std::int64_t j = 0; j < m.kernel_columns; ++j, w += lanes) {
                const std::int64_t column = left + j * m.dilation_columns;
                if (y < 0 || y >= m.height || column < 0 || column >= m.width) continue;
                const float* const from = m.image + y * m.row + column * m.pixel + c;
                sum = multiply_add(count == lanes ? load(from) : load_first(from, count), load(w), sum);
            }
        }
        store_maps<PastCaches>(m, row * m.result_row + x * m.result_pixel, c, sum, before);
    }
}

// Four neighbouring result pixels of each of `Rows` rows, of a 3×3 filter, none of whose columns is outside the image.
// Rows that are outside read zeros. A second row of results reads half as much again, not as much.
template <int Stride, int Rows, bool PastCaches>
void map_pixels_of_3x3(const MapRows& given, std::int64_t x) {
    const Kept<PastCaches> m = given;
    constexpr int pixels = 4, columns = (pixels - 1) * Stride + 3, in_rows = (Rows - 1) * Stride + 3;
    const std::int64_t left = (m.left + x * Stride) * m.pixel;
    const float* rows[in_rows];
    std::int64_t steps[in_rows];
    for (int i = 0; i < in_rows; ++i) {
        const std::int64_t y = m.top + i;
        const bool outside = y < 0 || y >= m.height;
        rows[i] = outside ? m.zeros : m.image + y * m.row + left;
        steps[i] = outside ? 0 : m.pixel;
    }
    // what the next rows of results will read first, towards the second cache
    const std::int64_t below = m.top + in_rows;
    const float* ahead[Rows * Stride];
    for (int i = 0; i < Rows * Stride; ++i) {
        ahead[i] = m.image + (below + i < m.height ? below + i : m.height - 1) * m.row + left;
    }
    const float* w = m.w;
    Floats before[Rows][pixels] = {};
    for (std::int64_t c = 0; c < m.maps; c += lanes, w += 9 * lanes) {
        const std::int64_t count = smaller(lanes, m.maps - c);
#pragma GCC unroll 4
        for (int i = 0; i < Rows * Stride; ++i) {
#pragma GCC unroll 8
            for (int k = 0; k < pixels * Stride; ++k) __builtin_prefetch(ahead[i] + k * m.pixel + c, 0, 2);
        }
        Floats sum[Rows][pixels];
#pragma GCC unroll 2
        for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 4
            for (int p = 0; p < pixels; ++p) sum[r][p] = zeros();
        }
        Floats weights[3][3];
#pragma GCC unroll 9
        for (int t = 0; t < 9; ++t) weights[t / 3][t % 3] = load(w + t * lanes);
#pragma GCC unroll 5
        for (int i = 0; i < in_rows; ++i) {
            const float* at = rows[i] + c;
#pragma GCC unroll 9
            for (int k = 0; k < columns; ++k, at += steps[i]) {
                const Floats pixel = count == lanes ? load(at) : load_first(at, count);
#pragma GCC unroll 2
                for (int r = 0; r < Rows; ++r) {
                    const int down = i - r * Stride;
                    if (down < 0 || down > 2) continue;
#pragma GCC unroll 3
                    for (int j = 0; j < 3; ++j) {
                        if (k < j || (k - j) % Stride != 0 || (k - j) / Stride >= pixels) continue;
                        const int p = (k - j) / Stride;
                        sum[r][p] = multiply_add(pixel, weights[down][j], sum[r][p]);
                    }
                }
            }
        }
#pragma GCC unroll 2
        for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 4
            for (int p = 0; p < pixels; ++p) {
                store_maps<PastCaches>(m, r * m.result_row + (x + p) * m.result_pixel, c, sum[r][p], before[r][p]);
            }
        }
    }
}

template <bool PastCaches>
void map_rows_of(const MapRows& m) {
    const bool fits = m.kernel_rows == 3 && m.kernel_columns == 3 && m.dilation_rows == 1 && m.dilation_columns == 1 &&
                      m.stride == m.row_stride && (m.stride == 1 || m.stride == 2);
    for (std::int64_t x = 0; x < m.pixels;) {
        const std::int64_t first = m.left + x * m.stride;
        if (fits && x + 4 <= m.pixels && first >= 0 && first + 3 * m.stride + 3 <= m.width) {
            if (m.stride == 1) {
                m.rows == 1 ? map_pixels_of_3x3<1, 1, PastCaches>(m, x) : map_pixels_of_3x3<1, 2, PastCaches>(m, x);
            } else {
                m.rows == 1 ? map_pixels_of_3x3<2, 1, PastCaches>(m, x) : map_pixels_of_3x3<2, 2, PastCaches>(m, x);
            }
            x += 4;
        } else {
            for (std::int64_t row = 0; row < m.rows; ++row) map_pixel<PastCaches>(m, row, x);
            ++x;
        }
    }
}

void map_rows(const MapRows& m) { m.past_caches ? map_rows_of<true>(m) : map_rows_of<false>(m); }

}  // namespace

const DepthwiseKernels depthwise_kernels = {lanes, plane_rows, plane_sums, plane_gradient, map_rows, settle_streams};

}  // namespace striate::STRIATE_ISA_NAMESPACE
