// Planes and maps, compiled once per instruction set.
#include "depthwise/kernels.h"

#include "simd/bounds.h"
#include "simd/rows.h"

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

// Sums of `Rows` rows × `Pixels` pixels, of the maps from `c` on, to their places.
template <bool PastCaches, int Rows, int Pixels>
inline __attribute__((always_inline)) void store_maps(const MapRows& m, std::int64_t x, std::int64_t c,
                                                      std::int64_t pixels, Floats (&sum)[Rows][Pixels],
                                                      Floats (&before)[Rows][Pixels]) {
    const std::int64_t count = smaller(lanes, m.maps - c), result_row = m.result_row, result_pixel = m.result_pixel;
    const std::int64_t first = x * result_pixel + c;
    float* const result = m.result + first;
    const auto each = [&](auto&& visit) __attribute__((always_inline)) {
#pragma GCC unroll 2
        for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 4
            for (int p = 0; p < Pixels; ++p) {
                if (p < pixels) visit(r * result_row + p * result_pixel, sum[r][p], before[r][p]);
            }
        }
    };
    if (m.residual != nullptr) {
        const float* const residual = m.residual + first;
        each([&](std::int64_t at, Floats& value, Floats&)
                 __attribute__((always_inline)) { value = value + load_first(residual + at, count); });
    }
    const Floats least = least_of(m.relu);
    constexpr bool is_half = 2 * lanes == line_floats;
    if (PastCaches && is_half && c % line_floats == 0) {  // waits for the other half of its line
        each([&](std::int64_t, Floats& value, Floats& kept)
                 __attribute__((always_inline)) { kept = at_least(least, value); });
    } else if (PastCaches) {
        each([&](std::int64_t at, Floats& value, Floats& kept) __attribute__((always_inline)) {
            if (is_half) stream(result + at - lanes, kept);
            stream(result + at, at_least(least, value));
        });
    } else if (count == lanes) {
        each([&](std::int64_t at, Floats& value, Floats&)
                 __attribute__((always_inline)) { store(result + at, at_least(least, value)); });
    } else {
        each([&](std::int64_t at, Floats& value, Floats&)
                 __attribute__((always_inline)) { store_first(result + at, at_least(least, value), count); });
    }
}

constexpr int together = 4;  // pixels of a row

// Sums of the maps from `c` on begin with their bias.
template <int Rows>
inline __attribute__((always_inline)) void begin_sums(const MapRows& m, std::int64_t c, Floats (&sum)[Rows][together]) {
    const Floats bias = m.bias == nullptr ? zeros() : load_first(m.bias + c, smaller(lanes, m.maps - c));
#pragma GCC unroll 2
    for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 4
        for (int p = 0; p < together; ++p) sum[r][p] = bias;
    }
}

// The next `pixels` ≤ `together` result pixels of each of `Rows` rows, of any filter. Rows outside the image read
// zeros, columns outside are left out. `Inside`: none of their columns is, and all `together` exist.
template <int Rows, bool PastCaches, bool Inside>
void map_pixels(const MapRows& m, std::int64_t x, std::int64_t pixels) {
    const std::int64_t left = m.left + x * m.stride, tap_step = m.dilation_columns * m.pixel;
    const float* w = m.w;
    Floats before[Rows][together] = {};
    for (std::int64_t c = 0; c < m.maps; c += lanes) {
        const std::int64_t count = smaller(lanes, m.maps - c);
        const auto read = [&](const float* from) { return count == lanes ? load(from) : load_first(from, count); };
        Floats sum[Rows][together];
        begin_sums(m, c, sum);
        for (std::int64_t i = 0; i < m.kernel_rows; ++i) {
            const float* row[Rows];  // where its first tap sees the first pixel; a row outside does not move
            std::int64_t step[Rows], next[Rows];
            for (int r = 0; r < Rows; ++r) {
                const std::int64_t y = m.top + r * m.row_stride + i * m.dilation_rows;
                const bool inside = y >= 0 && y < m.height;
                row[r] = inside ? m.image + y * m.row + left * m.pixel + c : m.zeros;
                step[r] = inside ? m.stride * m.pixel : 0, next[r] = inside ? tap_step : 0;
            }
            for (std::int64_t j = 0; j < m.kernel_columns; ++j, w += lanes) {
                const Floats weight = load(w);
#pragma GCC unroll 2
                for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 4
                    for (int p = 0; p < together; ++p) {
                        const std::int64_t column = left + j * m.dilation_columns + p * m.stride;
                        if (!Inside && (p >= pixels || column < 0 || column >= m.width)) continue;
                        const Floats value = read(row[r] + p * step[r]);
                        sum[r][p] = multiply_add(value, weight, sum[r][p]);
                    }
                    row[r] += next[r];
                }
            }
        }
        store_maps<PastCaches>(m, x, c, pixels, sum, before);
    }
}

// The next `pixels` ≤ `together` result pixels of each of `Rows` rows, of a 3×3 filter. What is outside the image reads
// zeros. A second row of results reads half as much again, not as much.
template <int Stride, int Rows, bool PastCaches>
void map_pixels_of_3x3(const MapRows& m, std::int64_t x, std::int64_t pixels) {
    constexpr int columns = (together - 1) * Stride + 3, in_rows = (Rows - 1) * Stride + 3;
    const std::int64_t left = m.left + x * Stride, seen = (pixels - 1) * Stride + 3;
    const float* from[in_rows][columns];
    for (int i = 0; i < in_rows; ++i) {
        const std::int64_t y = m.top + i;
        for (int k = 0; k < columns; ++k) {
            const bool inside = y >= 0 && y < m.height && left + k >= 0 && left + k < m.width && k < seen;
            from[i][k] = inside ? m.image + y * m.row + (left + k) * m.pixel : m.zeros;
        }
    }
    // what the next rows of results will read first, towards the second cache; at stride 2 that lost in two layers
    // of three
    const std::int64_t below = m.top + in_rows, pixel = m.pixel;
    const float* ahead[Rows];
    for (int i = 0; i < Rows; ++i) {
        ahead[i] = m.image + smaller(below + i, m.height - 1) * m.row + larger(left, 0) * pixel;
    }
    const float* w = m.w;
    Floats before[Rows][together] = {};
    const auto block = [&](std::int64_t c, std::int64_t count) __attribute__((always_inline)) {
        if (Stride == 1 && c % line_floats == 0) {
#pragma GCC unroll 2
            for (int i = 0; i < Rows; ++i) {
#pragma GCC unroll 4
                for (int k = 0; k < together; ++k) __builtin_prefetch(ahead[i] + k * pixel + c, 0, 2);
            }
        }
        Floats sum[Rows][together];
        begin_sums(m, c, sum);
#pragma GCC unroll 5
        for (int i = 0; i < in_rows; ++i) {
#pragma GCC unroll 9
            for (int k = 0; k < columns; ++k) {
                const Floats value = count == lanes ? load(from[i][k] + c) : load_first(from[i][k] + c, count);
#pragma GCC unroll 2
                for (int r = 0; r < Rows; ++r) {
                    const int down = i - r * Stride;
                    if (down < 0 || down > 2) continue;
#pragma GCC unroll 3
                    for (int j = 0; j < 3; ++j) {
                        if (k < j || (k - j) % Stride != 0 || (k - j) / Stride >= together) continue;
                        const int p = (k - j) / Stride;
                        sum[r][p] = multiply_add(value, load(w + (3 * down + j) * lanes), sum[r][p]);
                    }
                }
            }
        }
        store_maps<PastCaches>(m, x, c, pixels, sum, before);
        w += 9 * lanes;
    };
    std::int64_t c = 0;
    for (; c + lanes <= m.maps; c += lanes) block(c, lanes);
    if (c < m.maps) block(c, m.maps - c);
}

template <int Rows, bool PastCaches>
void map_rows_of(const MapRows& m) {
    const bool is_3x3 = m.kernel_rows == 3 && m.kernel_columns == 3 && m.dilation_rows == 1 &&
                        m.dilation_columns == 1 && m.stride == m.row_stride;
    const std::int64_t seen = (together - 1) * m.stride + (m.kernel_columns - 1) * m.dilation_columns;
    for (std::int64_t x = 0; x < m.pixels; x += together) {
        const std::int64_t pixels = smaller(together, m.pixels - x), left = m.left + x * m.stride;
        if (is_3x3 && m.stride == 1) {
            map_pixels_of_3x3<1, Rows, PastCaches>(m, x, pixels);
        } else if (is_3x3 && m.stride == 2) {
            map_pixels_of_3x3<2, Rows, PastCaches>(m, x, pixels);
        } else if (pixels == together && left >= 0 && left + seen < m.width) {
            map_pixels<Rows, PastCaches, true>(m, x, pixels);
        } else {
            map_pixels<Rows, PastCaches, false>(m, x, pixels);
        }
    }
}

template <bool PastCaches>
void map_rows_of(const MapRows& m) {
    m.rows == 1 ? map_rows_of<1, PastCaches>(m) : map_rows_of<2, PastCaches>(m);
}

void map_rows(const MapRows& m) { m.past_caches ? map_rows_of<true>(m) : map_rows_of<false>(m); }

}  // namespace

const DepthwiseKernels depthwise_kernels = {lanes, plane_rows, plane_sums, plane_gradient, map_rows, settle_streams};

}  // namespace striate::STRIATE_ISA_NAMESPACE
