// The columns of im2col, read from any layout, and results written to any, compiled once per instruction set.
#include "im2col/kernels.h"

#include "simd/bounds.h"
#include "simd/transpose.h"

namespace striate::STRIATE_ISA_NAMESPACE {

namespace {

constexpr int tile_columns = 2 * lanes;

// Where each shifted pixel lies, −1 for those outside the image.
void see(const Sight& sight, const Pixels& pixels, Shift shift, std::int64_t* at) {
    const std::int64_t step = shift.rows * sight.strides.row + shift.columns * sight.strides.pixel;
    for (std::int64_t t = 0; t < pixels.count; ++t) {
        const std::int64_t y = pixels.y[t] + shift.rows, x = pixels.x[t] + shift.columns;
        const bool inside = (y >= 0) & (y < sight.height) & (x >= 0) & (x < sight.width);
        at[t] = inside ? pixels.at[t] + step : -1;
    }
}

void copy(const float* from, float* to, std::int64_t count) {
    for (; count >= lanes; count -= lanes, from += lanes, to += lanes) store(to, load(from));
    if (count > 0) store_first(to, load_first(from, count), count);
}

void clear(float* to, std::int64_t count) {
    for (; count >= lanes; count -= lanes, to += lanes) store(to, zeros());
    if (count > 0) store_first(to, zeros(), count);
}

// NCHW: pixels that follow each other in the image are copied together.
void runs_across(const Sight& sight, const std::int64_t* at, std::int64_t count, float* to, std::int64_t step) {
    for (std::int64_t t = 0; t < count;) {
        std::int64_t end = t + 1;
        if (at[t] < 0) {
            while (end < count && at[end] < 0) ++end;
            for (std::int64_t c = 0; c < sight.maps; ++c) clear(to + c * step + t, end - t);
        } else {
            while (end < count && at[end] == at[end - 1] + 1) ++end;
            const float* from = sight.images + at[t];
            if (end - t == 1) {
                for (std::int64_t c = 0; c < sight.maps; ++c) to[c * step + t] = from[c * sight.strides.map];
            } else {
                for (std::int64_t c = 0; c < sight.maps; ++c)
                    copy(from + c * sight.strides.map, to + c * step + t, end - t);
            }
        }
        t = end;
    }
}

void pixels_across(const Sight& sight, const Pixels& pixels, Shift shift, float* to, std::int64_t step) {
    std::int64_t at[most_pixels];
    see(sight, pixels, shift, at);
    if (sight.strides.map != 1) return runs_across(sight, at, pixels.count, to, step);
    for (std::int64_t c = 0; c < sight.maps; c += lanes) {
        const std::int64_t maps = smaller(lanes, sight.maps - c);
        const float* from = sight.images + sight.strides.of_map(c);
        for (std::int64_t t = 0; t < pixels.count; t += lanes) {
            const std::int64_t count = smaller(lanes, pixels.count - t);
            Floats block[lanes];
#pragma GCC unroll 16
            for (int p = 0; p < lanes; ++p) {
                block[p] = p >= count || at[t + p] < 0 ? zeros()
                           : maps == lanes             ? load(from + at[t + p])
                                                       : load_first(from + at[t + p], maps);
            }
            transpose(block);
#pragma GCC unroll 16
            for (int m = 0; m < lanes; ++m) {
                if (m >= maps) break;
                if (count == lanes) {
                    store(to + (c + m) * step + t, block[m]);
                } else {
                    store_first(to + (c + m) * step + t, block[m], count);
                }
            }
        }
    }
}

void maps_across(const Sight& sight, const Pixels& pixels, Shift shift, float* to, std::int64_t step) {
    std::int64_t at[most_pixels];
    see(sight, pixels, shift, at);
    if (sight.strides.map == 1) {
        for (std::int64_t t = 0; t < pixels.count; ++t) {
            for (std::int64_t c = 0; c < sight.maps; c += lanes) {
                const std::int64_t maps = smaller(lanes, sight.maps - c);
                const Floats value = at[t] < 0       ? zeros()
                                     : maps == lanes ? load(sight.images + at[t] + sight.strides.of_map(c))
                                                     : load_first(sight.images + at[t] + sight.strides.of_map(c), maps);
                if (maps == lanes) {
                    store(to + t * step + c, value);
                } else {
                    store_first(to + t * step + c, value, maps);
                }
            }
        }
        return;
    }
    for (std::int64_t t = 0; t < pixels.count; t += lanes) {
        const std::int64_t count = smaller(lanes, pixels.count - t);
        bool neighbours = at[t] >= 0;
        for (std::int64_t p = 1; p < count; ++p) neighbours &= at[t + p] == at[t] + p;
        for (std::int64_t c = 0; c < sight.maps; c += lanes) {
            const std::int64_t maps = smaller(lanes, sight.maps - c);
            const float* from = sight.images + sight.strides.of_map(c);
            if (!neighbours) {
                for (std::int64_t p = 0; p < count; ++p) {
                    for (std::int64_t m = 0; m < maps; ++m) {
                        to[(t + p) * step + c + m] = at[t + p] < 0 ? 0.0f : from[at[t + p] + m * sight.strides.map];
                    }
                }
                continue;
            }
            Floats block[lanes];
#pragma GCC unroll 16
            for (int m = 0; m < lanes; ++m) {
                block[m] = m >= maps ? zeros() : load_first(from + at[t] + m * sight.strides.map, count);
            }
            transpose(block);
#pragma GCC unroll 16
            for (int p = 0; p < lanes; ++p) {
                if (p >= count) break;
                store_first(to + (t + p) * step + c, block[p], maps);
            }
        }
    }
}

// `count` sums to `result`.
inline void write(Floats sums, const Finished& f, std::int64_t at, std::int64_t count) {
    if (f.residual != nullptr) sums = sums + load_first(f.residual + at, count);
    if (f.relu) sums = at_least_zero(sums);
    if (count == lanes) {
        store(f.result + at, sums);
    } else {
        store_first(f.result + at, sums, count);
    }
}

inline void write(float sum, const Finished& f, std::int64_t at) {
    if (f.residual != nullptr) sum += f.residual[at];
    f.result[at] = f.relu && sum < 0.0f ? 0.0f : sum;
}

void finish_pixels(const Finished& f) {
    for (std::int64_t c = 0; c < f.maps; c += lanes) {
        const std::int64_t maps = smaller(lanes, f.maps - c), map = f.strides.of_map(c);
        const Floats bias = load(f.bias + c);
        if (f.strides.map == 1) {
            for (std::int64_t t = 0; t < f.pixels; ++t)
                write(load(f.sums + t * tile_columns + c) + bias, f, f.at[t] + map, maps);
            continue;
        }
        float turned[lanes * most_pixels];
        for (std::int64_t t = 0; t < f.pixels; t += lanes) {
            Floats block[lanes];
#pragma GCC unroll 16
            for (int p = 0; p < lanes; ++p)
                block[p] = t + p < f.pixels ? load(f.sums + (t + p) * tile_columns + c) + bias : zeros();
            transpose(block);
#pragma GCC unroll 16
            for (int m = 0; m < lanes; ++m) store(turned + m * most_pixels + t, block[m]);
        }
        for (std::int64_t m = 0; m < maps; ++m) {
            for (std::int64_t r = 0; r < f.run_count; ++r) {
                const Run& run = f.runs[r];
                const float* from = turned + m * most_pixels + run.first;
                const std::int64_t at = run.at + map + m * f.strides.map;
                if (run.count == 1) {
                    write(*from, f, at);
                    continue;
                }
                for (std::int64_t t = 0; t < run.count; t += lanes) {
                    const std::int64_t count = smaller(lanes, run.count - t);
                    write(load_first(from + t, count), f, at + t, count);
                }
            }
        }
    }
}

void finish_maps(const Finished& f) {
    for (std::int64_t m = 0; m < f.maps; ++m) {
        const float bias = f.bias[m];
        for (std::int64_t r = 0; r < f.run_count; ++r) {
            const Run& run = f.runs[r];
            const float* from = f.sums + m * tile_columns + run.first;
            const std::int64_t at = run.at + m * f.strides.map;
            if (run.count == 1) {
                write(*from + bias, f, at);
                continue;
            }
            for (std::int64_t t = 0; t < run.count; t += lanes) {
                const std::int64_t count = smaller(lanes, run.count - t);
                write(load_first(from + t, count) + all(bias), f, at + t, count);
            }
        }
    }
}

}  // namespace

const Im2colKernels im2col_kernels = {pixels_across, maps_across, finish_pixels, finish_maps};

}  // namespace striate::STRIATE_ISA_NAMESPACE
