// Rows, sums and gradients, compiled once per instruction set.
#include "direct/kernels.h"

#include "simd/bounds.h"
#include "simd/rows.h"

namespace striate::STRIATE_ISA_NAMESPACE {

namespace {

// Pixels (or taps, for gradients) whose sums fit the registers beside the weights and one spread value. Two
// multiply-adds a cycle of four cycles each want eight sums at least; two loads a cycle want more, because each pixel's
// value, loaded once, serves only as many multiply-adds as there are registers of maps.
constexpr int tile_pixels = registers == 32 ? 14 : 6;  // twice as many sums, 2 registers of weights, 1 spread value

void fill_zeros(float* to, std::int64_t count) {
    for (std::int64_t i = 0; i < count; ++i) to[i] = 0.0f;
}

// Pixels [begin, end) of a row of fewer maps than lanes, side by side.
void interleave(const float* row, const Strides& strides, std::int64_t maps, std::int64_t begin, std::int64_t end,
                float* to) {
    if (strides.map == 1 && strides.pixel == maps) {
        std::memcpy(to, row + begin * maps, static_cast<std::size_t>((end - begin) * maps) * sizeof(float));
        return;
    }
    for (std::int64_t x = begin; x < end; ++x) {
        for (std::int64_t c = 0; c < maps; ++c) to[(x - begin) * maps + c] = row[c * strides.map + x * strides.pixel];
    }
}

// Blocks of a row of channels-last pixels, pixel by pixel: memory is read in its own order.
void split_row(const DirectRows& r, const float* row, std::int64_t begin, std::int64_t end, float* to) {
    const std::int64_t whole = r.last_maps == lanes ? r.blocks : r.blocks - 1;
    for (std::int64_t x = begin; x < end; ++x) {
        const float* from = row + x * r.strides.pixel;
        float* block = to + (x - begin) * lanes;
        for (std::int64_t b = 0; b < whole; ++b, from += lanes, block += r.step) store(block, load(from));
        if (whole < r.blocks) store(block, load_first(from, r.last_maps));
    }
}

void rows(const DirectRows& r) {
    const std::int64_t begin = smaller(larger(r.left, 0), r.left + r.pixels);
    const std::int64_t end = larger(begin, smaller(r.left + r.pixels, r.width));
    const bool channels_last = r.blocks > 1 && r.strides.map == 1 && r.from[r.blocks - 1] == (r.blocks - 1) * lanes;
    for (std::int64_t i = 0; i < r.rows; ++i) {
        const std::int64_t y = r.top + i;
        const float* const row = r.image + y * r.strides.row;
        const bool outside = y < 0 || y >= r.height || begin == end;
        const std::int64_t before = outside ? r.pixels : begin - r.left, after = outside ? 0 : r.left + r.pixels - end;
        if (channels_last && !outside) {
            split_row(r, row, begin, end, r.to + (i * r.pixels + before) * lanes);
        }
        for (std::int64_t b = 0; b < r.blocks; ++b) {
            float* const to = r.to + b * r.step + i * r.pixels * r.block;
            fill_zeros(to, before * r.block);
            if (!outside && !channels_last) {
                const std::int64_t maps = b + 1 < r.blocks ? r.maps : r.last_maps;
                float* const first = to + before * r.block;
                if (r.block == lanes) {
                    gather_row(row + r.from[b], r.strides, maps, r.width, begin, end, first);
                } else {
                    interleave(row + r.from[b], r.strides, maps, begin, end, first);
                }
            }
            fill_zeros(to + (r.pixels - after) * r.block, after * r.block);
        }
    }
}

template <int Registers, int Pixels>
void sums_of(const DirectSums& d, const float* x, float* sums) {
    Floats sum[Pixels][Registers];
#pragma GCC unroll 16
    for (int t = 0; t < Pixels; ++t) {
#pragma GCC unroll 2
        for (int m = 0; m < Registers; ++m) sum[t][m] = d.add ? load(sums + m * d.sums_step + t * lanes) : zeros();
    }
    const float* w = d.w;
    const std::int64_t pixel = d.pixel, run = d.run, seen = (Pixels - 1) * pixel + run;
    for (std::int64_t block = 0; block < d.blocks; ++block) {
        for (std::int64_t r = 0; r < d.run_count; ++r) {
            const float* begin = x + d.runs[r];
            // The next run's pixels come from the second cache, and a queue full of multiply-adds hides little of its
            // latency.
            const float* const next = r + 1 < d.run_count ? x + d.runs[r + 1] : x + d.block;
            for (std::int64_t i = 0; i < seen; i += line_floats) __builtin_prefetch(next + i);
            for (const float* const end = begin + run; begin != end; ++begin) {
                Floats weights[Registers];
#pragma GCC unroll 2
                for (int m = 0; m < Registers; ++m) weights[m] = load(w + m * lanes);
                const float* at = begin;
#pragma GCC unroll 16
                for (int t = 0; t < Pixels; ++t) {
                    const Floats spread = all(at[t % 3 * pixel]);
#pragma GCC unroll 2
                    for (int m = 0; m < Registers; ++m) sum[t][m] = multiply_add(spread, weights[m], sum[t][m]);
                    if (t % 3 == 2) at += 3 * pixel;
                }
                w += Registers * lanes;
            }
        }
        x += d.block;
    }
    if (d.result == nullptr) {
#pragma GCC unroll 16
        for (int t = 0; t < Pixels; ++t) {
#pragma GCC unroll 2
            for (int m = 0; m < Registers; ++m) store(sums + m * d.sums_step + t * lanes, sum[t][m]);
        }
        return;
    }
    // Registers of a pixel one after the other: they share lines of the caches. What is the same for all is read before
    // the first of them is written: the compiler cannot know that they are not `d`'s.
    const std::int64_t result_pixel = d.result_pixel, next_register = d.next_register, real = d.maps;
    const std::int64_t first = (sums - d.sums) / lanes * result_pixel;
    float* const result = d.result + first;
    const float* const residual = d.residual == nullptr ? nullptr : d.residual + first;
    const Floats least = least_of(d.relu);
    const auto finish = [&](auto&& put) __attribute__((always_inline)) {
        Floats bias[Registers];
#pragma GCC unroll 2
        for (int m = 0; m < Registers; ++m) bias[m] = load(d.bias + m * lanes);
#pragma GCC unroll 16
        for (int t = 0; t < Pixels; ++t) {
#pragma GCC unroll 2
            for (int m = 0; m < Registers; ++m) put(t * result_pixel + m * next_register, m, sum[t][m] + bias[m]);
        }
    };
    if (d.past_caches) {
        finish([&](std::int64_t at, int, Floats value) __attribute__((always_inline)) {
            if (residual != nullptr) value = value + load(residual + at);
            stream(result + at, at_least(least, value));
        });
    } else if (residual != nullptr || real != Registers * lanes) {
        finish([&](std::int64_t at, int m, Floats value) __attribute__((always_inline)) {
            const std::int64_t maps = smaller(real - m * lanes, lanes);
            if (residual != nullptr) value = value + load_first(residual + at, maps);
            store_first(result + at, at_least(least, value), maps);
        });
    } else {  // most: nothing to ask for each pixel
        finish([&](std::int64_t at, int, Floats value)
                   __attribute__((always_inline)) { store(result + at, at_least(least, value)); });
    }
}

template <int Registers, int Pixels = tile_pixels>
void sums_of(const DirectSums& d, const float* x, float* sums, std::int64_t pixels) {
    if (pixels == Pixels) return sums_of<Registers, Pixels>(d, x, sums);
    if constexpr (Pixels > 1) sums_of<Registers, Pixels - 1>(d, x, sums, pixels);
}

template <int Registers>
void sums(const DirectSums& d) {
    const std::int64_t parts = (d.pixels + tile_pixels - 1) / tile_pixels;
    for (std::int64_t part = 0, t = 0; part < parts; ++part) {
        const std::int64_t count = (d.pixels - t + parts - part - 1) / (parts - part);  // parts as equal as can be
        sums_of<Registers>(d, d.x + t * d.pixel, d.sums + t * lanes, count);
        t += count;
    }
}

void result(const DirectResult& r) {
    scatter_row(r.sums, r.pixels, r.maps, r.strides, Finish{load(r.bias), r.residual, r.relu}, r.row);
}

template <int Registers, int Taps>
void gradient_of(const DirectGradient& g, const float* x_first, float* dw) {
    Floats sum[Taps][Registers];
#pragma GCC unroll 16
    for (int t = 0; t < Taps; ++t) {
#pragma GCC unroll 2
        for (int m = 0; m < Registers; ++m) sum[t][m] = g.add ? load(dw + (t * Registers + m) * lanes) : zeros();
    }
    for (std::int64_t image = 0; image < g.images; ++image) {
        for (std::int64_t row = 0; row < g.rows; ++row) {
            const float* x = x_first + image * g.x_image + row * g.x_row;
            const float* dy = g.dy + image * g.dy_image + row * g.dy_row;
            for (const float* const end = dy + g.pixels * lanes; dy != end; dy += lanes) {
                Floats slope[Registers];
#pragma GCC unroll 2
                for (int m = 0; m < Registers; ++m) slope[m] = load(dy + m * g.dy_step);
#pragma GCC unroll 16
                for (int t = 0; t < Taps; ++t) {
                    const Floats spread = all(x[t]);
#pragma GCC unroll 2
                    for (int m = 0; m < Registers; ++m) sum[t][m] = multiply_add(spread, slope[m], sum[t][m]);
                }
                x += g.x_pixel;
            }
        }
    }
#pragma GCC unroll 16
    for (int t = 0; t < Taps; ++t) {
#pragma GCC unroll 2
        for (int m = 0; m < Registers; ++m) store(dw + (t * Registers + m) * lanes, sum[t][m]);
    }
}

template <int Registers, int Taps = tile_pixels>
void gradient_of(const DirectGradient& g, const float* x, float* dw, std::int64_t taps) {
    if (taps == Taps) return gradient_of<Registers, Taps>(g, x, dw);
    if constexpr (Taps > 1) gradient_of<Registers, Taps - 1>(g, x, dw, taps);
}

template <int Registers>
void gradient(const DirectGradient& g) {
    const std::int64_t parts = (g.run + tile_pixels - 1) / tile_pixels;
    for (std::int64_t part = 0, q = 0; part < parts; ++part) {
        const std::int64_t count = (g.run - q + parts - part - 1) / (parts - part);
        gradient_of<Registers>(g, g.x + q, g.dw + q * Registers * lanes, count);
        q += count;
    }
}

}  // namespace

const DirectKernels direct_kernels = {lanes,  rows,           {sums<1>, sums<2>},
                                      result, settle_streams, {gradient<1>, gradient<2>}};

}  // namespace striate::STRIATE_ISA_NAMESPACE
