// Rows of pixels into registers of maps and back: the edges of every kernel whose lanes are maps.
//
// A row of `lanes` maps becomes one register per pixel, lane c being map c. Maps that lie side by side (channels-last,
// blocked) are plain loads; pixels that lie side by side (NCHW) are transposed in registers, `lanes` at a time.
// Elements in memory are floats or bfloat16 numbers. What says where pixels lie is passed by value: of what it is given
// by reference the compiler cannot know that the pixels it writes are no part of it, and reads it again for each.
#pragma once

#include "conv/strides.h"
#include "simd/narrow.h"
#include "simd/transpose.h"

namespace striate::STRIATE_ISA_NAMESPACE {

// Pixels [begin, end) of `row`, of which pixel x of map c is row[c · map + x · pixel], to to[(x − begin) · lanes];
// lanes from `maps` on get zeros. `width` pixels exist in all. Up to a register of pixels after the last may be written
// too.
template <typename Element>
inline void gather_row(const Element* row, Strides strides, std::int64_t maps, std::int64_t width, std::int64_t begin,
                       std::int64_t end, float* to) {
    if (strides.map == 1) {
        if (maps == lanes) {
            for (std::int64_t x = begin; x < end; ++x) store(to + (x - begin) * lanes, load(row + x * strides.pixel));
            return;
        }
        for (std::int64_t x = begin; x < end; ++x) {
            store(to + (x - begin) * lanes, load_first(row + x * strides.pixel, maps));
        }
        return;
    }
    if (strides.pixel == 1) {
        std::int64_t x = begin;
        for (; maps == lanes && x < end && x + lanes <= width; x += lanes) {
            Floats block[lanes];
            load_transposed(row + x, strides.map, block);
#pragma GCC unroll 16
            for (int p = 0; p < lanes; ++p) store(to + (x - begin + p) * lanes, block[p]);
        }
        for (; x < end; x += lanes) {
            const std::int64_t count = width - x < lanes ? width - x : lanes;
            Floats block[lanes];
#pragma GCC unroll 16
            for (int c = 0; c < lanes; ++c) {
                block[c] = c >= maps        ? zeros()
                           : count == lanes ? load(row + c * strides.map + x)
                                            : load_first(row + c * strides.map + x, count);
            }
            transpose(block);
#pragma GCC unroll 16
            for (int p = 0; p < lanes; ++p) store(to + (x - begin + p) * lanes, block[p]);
        }
        return;
    }
    if (strides.pixel == 2) {  // the even ones of pixels that lie side by side
        const std::int64_t there = 2 * width - 1;
        for (std::int64_t x = begin; x < end; x += lanes / 2) {
            const std::int64_t count = there - 2 * x < lanes ? there - 2 * x : lanes;
            Floats block[lanes];
#pragma GCC unroll 16
            for (int c = 0; c < lanes; ++c) {
                const Element* const from = row + c * strides.map + 2 * x;
                block[c] = c >= maps ? zeros() : count == lanes ? load(from) : load_first(from, count);
            }
            transpose(block);
#pragma GCC unroll 8
            for (int p = 0; p < lanes / 2; ++p) store(to + (x - begin + p) * lanes, block[2 * p]);
        }
        return;
    }
    for (std::int64_t x = begin; x < end; ++x) {
        float* pixel = to + (x - begin) * lanes;
        store(pixel, zeros());
        for (std::int64_t c = 0; c < maps; ++c) pixel[c] = as_float(row[c * strides.map + x * strides.pixel]);
    }
}

// What is done to sums on their way to the result.
template <typename Element>
struct FinishOf {
    Floats bias;
    const Element* residual;  // of the row that is written, laid out as it is; or none
    bool relu;
    bool stream = false;  // whole lines of the caches are written past them
};
using Finish = FinishOf<float>;

// What a result is at least.
inline Floats least_of(bool relu) { return all(relu ? 0.0f : -__builtin_inff()); }

constexpr bool register_is_line = lanes == line_floats;

// A whole register; past the caches if that was asked for and it is a line.
inline void put(float* to, Floats value, bool streamed) {
    if (register_is_line && streamed && reinterpret_cast<std::uintptr_t>(to) % 64 == 0) {
        stream(to, value);
    } else {
        store(to, value);
    }
}

inline void put(Bfloat16* to, Floats value, bool) { store(to, value); }

// Sums of the first `maps` maps at one pixel, map by map in memory, to `to`; `residual` is that pixel's, or null.
template <typename Element>
inline void put_pixel(Element* to, Floats sums, std::int64_t maps, const Element* residual, FinishOf<Element> finish) {
    Floats value = sums + finish.bias;
    if (residual != nullptr) value = value + load_first(residual, maps);
    if (finish.relu) value = at_least_zero(value);
    if (maps == lanes) {
        put(to, value, finish.stream);
    } else {
        store_first(to, value, maps);
    }
}

// A line of pixels, for each of `lanes` maps: past the caches where it is a line of memory, too. `finish` has the
// residual of the first pixel.
inline void stream_lines(const float* from, Strides strides, Finish finish, float* row) {
    constexpr int parts = line_floats / lanes;
    Floats block[parts][lanes];
    for (int i = 0; i < parts; ++i) {
#pragma GCC unroll 16
        for (int p = 0; p < lanes; ++p) block[i][p] = load(from + (i * lanes + p) * lanes) + finish.bias;
        transpose(block[i]);
    }
    const Floats least = least_of(finish.relu);
#pragma GCC unroll 16
    for (int c = 0; c < lanes; ++c) {
        float* const to = row + c * strides.map;
        const bool is_line = reinterpret_cast<std::uintptr_t>(to) % (line_floats * sizeof(float)) == 0;
#pragma GCC unroll 4
        for (int i = 0; i < parts; ++i) {
            Floats value = block[i][c];
            if (finish.residual != nullptr) value = value + load(finish.residual + (to - row) + i * lanes);
            value = at_least(least, value);
            if (is_line) {
                stream(to + i * lanes, value);
            } else {
                store(to + i * lanes, value);
            }
        }
    }
}

// The inverse of gather_row, with bias, residual and ReLU: `count` pixels, each a register at from + x · lanes, to
// `row`. Reads up to a register of pixels beyond the last.
template <typename Element>
inline void scatter_row(const float* from, std::int64_t count, std::int64_t maps, Strides strides,
                        FinishOf<Element> finish, Element* row) {
    if (strides.map == 1) {
        for (std::int64_t x = 0; x < count; ++x) {
            const Element* residual = finish.residual == nullptr ? nullptr : finish.residual + x * strides.pixel;
            put_pixel(row + x * strides.pixel, load(from + x * lanes), maps, residual, finish);
        }
        return;
    }
    if (strides.pixel == 1) {
        std::int64_t x = 0;
        if constexpr (sizeof(Element) == sizeof(float)) {
            if (finish.stream && maps == lanes) {
                Finish end = finish;
                for (; x + line_floats <= count; x += line_floats) {
                    if (finish.residual != nullptr) end.residual = finish.residual + x;
                    stream_lines(from + x * lanes, strides, end, row + x);
                }
            }
        }
        for (; x < count; x += lanes) {
            Floats block[lanes];
#pragma GCC unroll 16
            for (int p = 0; p < lanes; ++p) block[p] = load(from + (x + p) * lanes) + finish.bias;
            transpose(block);
            const std::int64_t width = count - x < lanes ? count - x : lanes;
#pragma GCC unroll 16
            for (int c = 0; c < lanes; ++c) {
                if (c >= maps) break;
                const std::int64_t at = c * strides.map + x;
                Floats value = block[c];
                if (finish.residual != nullptr) value = value + load_first(finish.residual + at, width);
                if (finish.relu) value = at_least_zero(value);
                if (width == lanes) {
                    put(row + at, value, false);
                } else {
                    store_first(row + at, value, width);
                }
            }
        }
        return;
    }
    for (std::int64_t x = 0; x < count; ++x) {
        float pixel[lanes];
        store(pixel, load(from + x * lanes) + finish.bias);
        for (std::int64_t c = 0; c < maps; ++c) {
            const std::int64_t at = c * strides.map + x * strides.pixel;
            float value = pixel[c];
            if (finish.residual != nullptr) value += as_float(finish.residual[at]);
            put_float(finish.relu && value < 0.0f ? 0.0f : value, row + at);
        }
    }
}

}  // namespace striate::STRIATE_ISA_NAMESPACE
