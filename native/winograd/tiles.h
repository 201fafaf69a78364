// Tiles of an image to components, components to tiles of the result, filters to components: F(Down, Along), where Down
// transforms columns of a tile and Along its rows.
#pragma once

#include "simd/bounds.h"
#include "simd/rows.h"
#include "winograd/kernels.h"
#include "winograd/transform.h"

namespace striate::STRIATE_ISA_NAMESPACE {

// Elements of images are floats or bfloat16 numbers. So are components; bfloat16 numbers in the order that their
// products want: a tile's maps in blocks of 32, and its sums in blocks of 16, whatever the lanes. A float becomes the
// sum of two (bfloat16/product.h).
template <typename Down, typename Along, typename Element = float, typename Component = Element>
struct Tiles {
    static constexpr bool is_narrow = sizeof(Component) < sizeof(float), is_split = sizeof(Component) < sizeof(Element);
    static constexpr std::int64_t in_step = is_split ? 64 : is_narrow ? 32 : lanes;
    static constexpr std::int64_t out_step = is_narrow ? 16 : lanes;  // of tiles, both

    // Of a run, whose half transformed rows are to stay in the first cache; its pixels fill lines of it.
    static constexpr std::int64_t run = is_narrow || Down::size * Along::outputs > 24 ? 8 : 16;
    static constexpr std::int64_t pixels = run * Along::outputs + Along::taps - 1;
    static constexpr std::int64_t line = pixels * lanes;

    static constexpr std::int64_t input_floats = Down::size * (line + lanes * lanes);
    static constexpr std::int64_t out_line = (run * Along::outputs + lanes) * lanes;  // scatter_row reads that far
    static constexpr std::int64_t output_floats = Down::outputs * out_line;
    static constexpr std::int64_t taps = Down::taps * Along::taps;

    // Where component (i, j) lies, in components.
    static constexpr std::int64_t place(int i, int j) { return Down::place(i) * Along::products + Along::place(j); }

    // One pixel of every row of tiles, transformed down its column. A row outside the image is a register of zeros that
    // does not move with x: its step is 0.
    template <typename Source>
    struct Rows {
        const Source* first[Down::size];
        std::int64_t step[Down::size];
    };

    template <typename Source>
    static void down(const Rows<Source>& rows, std::int64_t count, float* to) {
        for (std::int64_t x = 0; x < count; ++x) {
            Floats column[Down::size], out[Down::size];
#pragma GCC unroll 16
            for (int i = 0; i < Down::size; ++i) column[i] = load(rows.first[i] + x * rows.step[i]);
            Down::input(column, out);
#pragma GCC unroll 16
            for (int i = 0; i < Down::size; ++i) store(to + i * line + x * lanes, out[i]);
        }
    }

    // The same where all rows exist, `row` apart.
    template <typename Source>
    static void down(const Source* first, std::int64_t row, std::int64_t step, std::int64_t count, float* to) {
        for (std::int64_t x = 0; x < count; ++x, first += step, to += lanes) {
            Floats column[Down::size], out[Down::size];
#pragma GCC unroll 16
            for (int i = 0; i < Down::size; ++i) column[i] = load(first + i * row);
            Down::input(column, out);
#pragma GCC unroll 16
            for (int i = 0; i < Down::size; ++i) store(to + i * line, out[i]);
        }
    }

    // Those from `first` on, `row` apart, of which some are outside the image.
    template <typename Source>
    static Rows<Source> rows_of(const WinogradInputOf<Element, Component>& in, const Source* first, std::int64_t row,
                                std::int64_t step) {
        alignas(64) static constexpr Source nothing[lanes] = {};
        Rows<Source> rows;
        for (int i = 0; i < Down::size; ++i) {
            const bool is_there = in.top + i >= 0 && in.top + i < in.height;
            rows.first[i] = is_there ? first + i * row : nothing;
            rows.step[i] = is_there ? step : 0;
        }
        return rows;
    }

    static inline __attribute__((always_inline)) void put_component(Component* to, Floats x) {
        store(to, x);
        if constexpr (is_split) store(to + 32, rest_of(x));
    }

    static void input(const WinogradInputOf<Element, Component>& in) {
        float* const transformed = in.scratch;
        float* const gathered = in.scratch + Down::size * line;
        const std::int64_t count = (in.tiles - 1) * Along::outputs + Along::size;
        const std::int64_t begin = smaller(larger(in.left, 0), in.left + count);
        const std::int64_t end = larger(begin, smaller(in.left + count, in.width));
        const bool whole = in.top >= 0 && in.top + Down::size <= in.height;
        const bool adjacent = in.strides.map == 1 && in.maps == lanes;
        const Element* const first_row = in.image + in.top * in.strides.row;

        for (int i = 0; i < Down::size; ++i) {  // columns beside the image
            float* const row = transformed + i * line;
            for (std::int64_t x = 0; x < begin - in.left; ++x) store(row + x * lanes, zeros());
            for (std::int64_t x = end - in.left; x < count; ++x) store(row + x * lanes, zeros());
        }
        if (whole && adjacent) {
            down(first_row + begin * in.strides.pixel, in.strides.row, in.strides.pixel, end - begin,
                 transformed + (begin - in.left) * lanes);
        } else {
            // pixels are gathered as many at a time as transpose into each other, from whole lines where rows are lines
            for (std::int64_t x = begin, next; x < end; x = next) {
                next = adjacent ? end : smaller(end, (x / lanes + 1) * lanes);
                float* const to = transformed + (x - in.left) * lanes;
                if (adjacent) {
                    down(rows_of(in, first_row + x * in.strides.pixel, in.strides.row, in.strides.pixel), next - x, to);
                    continue;
                }
                for (int i = 0; i < Down::size; ++i) {
                    const std::int64_t y = in.top + i;
                    if (y < 0 || y >= in.height) continue;
                    gather_row(first_row + i * in.strides.row, in.strides, in.maps, in.width, x, next,
                               gathered + i * lanes * lanes);
                }
                if (whole) {
                    down(gathered, lanes * lanes, lanes, next - x, to);
                } else {
                    down(rows_of(in, gathered, lanes * lanes, lanes), next - x, to);
                }
            }
        }
        const std::int64_t component = in.component, tiles = in.tiles;
        for (int i = 0; i < Down::size; ++i) {
            const float* row = transformed + i * line;
            Component* to = in.components;
            for (std::int64_t t = 0; t < tiles; ++t, row += Along::outputs * lanes, to += in_step) {
                Floats along[Along::size], out[Along::size];
#pragma GCC unroll 16
                for (int j = 0; j < Along::size; ++j) along[j] = load(row + j * lanes);
                Along::input(along, out);
#pragma GCC unroll 16
                for (int j = 0; j < Along::size; ++j) put_component(to + place(i, j) * component, out[j]);
            }
        }
    }

    // One tile, its rows handed to visit(row, registers of its pixels).
    template <typename Visit>
    static inline __attribute__((always_inline)) void tile(const float* from, std::int64_t component, Visit&& visit) {
        Floats half[Down::outputs][Along::size];
#pragma GCC unroll 16
        for (int j = 0; j < Along::size; ++j) {
            Floats column[Down::size], out[Down::outputs];
#pragma GCC unroll 16
            for (int i = 0; i < Down::size; ++i) column[i] = load(from + place(i, j) * component);
            Down::output(column, out);
#pragma GCC unroll 16
            for (int i = 0; i < Down::outputs; ++i) half[i][j] = out[i];
        }
#pragma GCC unroll 16
        for (int i = 0; i < Down::outputs; ++i) {
            Floats along[Along::outputs];
            Along::output(half[i], along);
            visit(i, along);
        }
    }

    // A tile that exists whole, of whole registers of maps that lie side by side: nothing to ask for each pixel.
    static void put_whole(const WinogradOutputOf<Element>& out, const float* from, const FinishOf<Element>& finish,
                          Element* to) {
        const Floats least = least_of(finish.relu), bias = finish.bias;
        const bool past_caches = finish.stream;
        const Strides strides = out.strides;
        tile(from, out.component, [&](int i, const Floats(&pixels_of_row)[Along::outputs]) {
            Element* const row = to + i * strides.row;
#pragma GCC unroll 16
            for (int j = 0; j < Along::outputs; ++j) {
                put(row + j * strides.pixel, at_least(least, pixels_of_row[j] + bias), past_caches);
            }
        });
    }

    // The same of two blocks whose registers are lines together, past the caches: the first waits for the second.
    static void put_lines(const WinogradOutputOf<Element>& out, const float* from, Element* to) {
        if constexpr (sizeof(Element) == sizeof(float)) {
            const Floats least = least_of(out.relu), bias = load(out.bias), second_bias = load(out.bias + lanes);
            const Strides strides = out.strides;
            Floats first[Down::outputs][Along::outputs];
            tile(from, out.component, [&](int i, const Floats(&pixels_of_row)[Along::outputs]) {
#pragma GCC unroll 16
                for (int j = 0; j < Along::outputs; ++j) first[i][j] = at_least(least, pixels_of_row[j] + bias);
            });
            tile(from + out.next, out.component, [&](int i, const Floats(&pixels_of_row)[Along::outputs]) {
                Element* const row = to + i * strides.row;
#pragma GCC unroll 16
                for (int j = 0; j < Along::outputs; ++j) {
                    stream(row + j * strides.pixel, first[i][j]);
                    stream(row + j * strides.pixel + lanes, at_least(least, pixels_of_row[j] + second_bias));
                }
            });
        }
    }

    // Any tile of maps that lie side by side, of which rows × columns pixels exist. `finish` has its residual.
    static void put_part(const WinogradOutputOf<Element>& out, const float* from, std::int64_t rows,
                         std::int64_t columns, const FinishOf<Element>& finish, Element* to) {
        tile(from, out.component, [&](int i, const Floats(&pixels_of_row)[Along::outputs]) {
            if (i >= rows) return;
#pragma GCC unroll 16
            for (int j = 0; j < Along::outputs; ++j) {
                if (j >= columns) return;
                const std::int64_t at = i * out.strides.row + j * out.strides.pixel;
                put_pixel(to + at, pixels_of_row[j], out.maps,
                          finish.residual == nullptr ? nullptr : finish.residual + at, finish);
            }
        });
    }

    static void output(const WinogradOutputOf<Element>& out) {
        const std::int64_t rows = smaller(Down::outputs, out.height - out.top);
        const std::int64_t columns = smaller(out.tiles * Along::outputs, out.width - out.left);
        const std::int64_t corner = out.top * out.strides.row + out.left * out.strides.pixel;
        Element* const image = out.image + corner;
        const Element* const residual = out.residual == nullptr ? nullptr : out.residual + corner;
        FinishOf<Element> finish{load(out.bias), nullptr, out.relu, out.stream};
        if (out.strides.map == 1) {  // pixels are written as they come
            const bool plain = residual == nullptr && out.maps == lanes && rows == Down::outputs;
            for (std::int64_t t = 0; t < out.tiles; ++t) {
                const std::int64_t left = t * Along::outputs, at = left * out.strides.pixel;
                const bool is_whole = plain && left + Along::outputs <= columns;
                const float* const from = out.components + t * out_step;
                if (is_whole && out.next != 0) {
                    put_lines(out, from, image + at);
                    continue;
                }
                for (std::int64_t block = 0; block < (out.next == 0 ? 1 : 2); ++block) {
                    finish.bias = load(out.bias + block * lanes);
                    Element* const to = image + at + block * lanes;
                    if (is_whole) {
                        put_whole(out, from + block * out.next, finish, to);
                    } else {
                        finish.residual = residual == nullptr ? nullptr : residual + at + block * lanes;
                        put_part(out, from + block * out.next, rows, columns - left, finish, to);
                    }
                }
            }
            return;
        }
        for (std::int64_t t = 0; t < out.tiles; ++t) {
            float* const to = out.scratch + t * Along::outputs * lanes;
            tile(out.components + t * out_step, out.component,
                 [&](int i, const Floats(&pixels_of_row)[Along::outputs]) {
#pragma GCC unroll 16
                     for (int j = 0; j < Along::outputs; ++j) store(to + i * out_line + j * lanes, pixels_of_row[j]);
                 });
        }
        for (std::int64_t i = 0; i < rows; ++i) {
            finish.residual = residual == nullptr ? nullptr : residual + i * out.strides.row;
            scatter_row(out.scratch + i * out_line, columns, out.maps, out.strides, finish,
                        image + i * out.strides.row);
        }
    }

    // x / d. Correctly rounded (Markstein 1990) where sums are fused, one rounding off elsewhere.
    static inline __attribute__((always_inline)) Floats divided(Floats x, float d, bool is_exact) {
        const Floats reciprocal = all(1.0f / d), quotient = x * reciprocal;
        return is_exact ? quotient : multiply_add(multiply_add(quotient, all(-d), x), reciprocal, quotient);
    }

    static constexpr bool is_power_of_two(float d) {
        const float size = d < 0 ? -d : d;
        for (float power = 0x1p-20f; power < 0x1p20f; power *= 2) {
            if (size == power) return true;
        }
        return false;
    }

    template <int I, int J = 0>
    static inline __attribute__((always_inline)) void put_components(const Floats (&row)[Along::size],
                                                                     const WinogradFilters& f, float* to) {
        if constexpr (J < Along::size) {
            constexpr float divisor = Down::tables.divisor[I] * Along::tables.divisor[J];
            constexpr bool is_exact = is_power_of_two(divisor);
            store(to + (I * Along::size + J) * f.component, divided(row[J], divisor, is_exact));
            put_components<I, J + 1>(row, f, to);
        }
    }

    template <int I = 0>
    static inline __attribute__((always_inline)) void along_filter(const Floats (&half)[Down::size][Along::taps],
                                                                   const WinogradFilters& f, float* to) {
        if constexpr (I < Down::size) {
            Floats row[Along::size];
            Along::filter(half[I], row);
            put_components<I>(row, f, to);
            along_filter<I + 1>(half, f, to);
        }
    }

    // Taps of each map, one register a tap, one lane a filter.
    static void gather(const WinogradTaps& f) {
        if (f.in == taps && f.column == 1 && f.row == Along::taps) {
            const std::int64_t floats = f.channels * taps;
            gather_row(f.data, {.map = f.out, .row = 0, .pixel = 1}, f.maps, floats, 0, floats, f.taps);
            return;
        }
        const std::int64_t columns = Along::taps - (f.lacking_column < 0 ? 0 : 1);
        const std::int64_t first_row = f.lacking_row == 0 ? 1 : 0, first_column = f.lacking_column == 0 ? 1 : 0;
        for (std::int64_t c = 0; c < f.channels; ++c) {
            for (int i = 0; i < Down::taps; ++i) {
                float* const to = f.taps + (c * taps + i * Along::taps) * lanes;
                if (i != f.lacking_row) {  // what it writes behind the row belongs to rows to come
                    gather_row(f.data + c * f.in + (i - first_row) * f.row, {.map = f.out, .row = 0, .pixel = f.column},
                               f.maps, columns, 0, columns, to + first_column * lanes);
                }
                for (int j = 0; j < Along::taps; ++j) {
                    if (i == f.lacking_row || j == f.lacking_column) store(to + j * lanes, zeros());
                }
            }
        }
    }

    static void filters(const WinogradFilters& f) {
        const WinogradFilters own = f;  // what is written might be part of f, for all the compiler knows
        for (std::int64_t c = 0; c < own.channels; ++c) {
            const float* from = own.taps + c * taps * lanes;
            Floats half[Down::size][Along::taps];
#pragma GCC unroll 16
            for (int j = 0; j < Along::taps; ++j) {
                Floats column[Down::taps], out[Down::size];
#pragma GCC unroll 16
                for (int i = 0; i < Down::taps; ++i) column[i] = load(from + (i * Along::taps + j) * lanes);
                Down::filter(column, out);
#pragma GCC unroll 16
                for (int i = 0; i < Down::size; ++i) half[i][j] = out[i];
            }
            along_filter(half, own, own.components + c * own.channel);
        }
    }

    static constexpr std::int64_t scratch_floats = input_floats > output_floats ? input_floats : output_floats;
    static constexpr WinogradTileOf<Element, Component> functions = {input, output};
};

// F(Down, Along), whose last tiles of a column or a row may be shorter.
template <typename Down, typename Along, typename ShortDown = Down, typename ShortAlong = Along,
          typename Element = float, typename Component = Element>
constexpr WinogradTransformsOf<Element, Component> winograd_transforms = [] {
    using Long = Tiles<Down, Along, Element, Component>;
    using LastInRow = Tiles<Down, ShortAlong, Element, Component>;
    using LastInColumn = Tiles<ShortDown, Along, Element, Component>;
    using Corner = Tiles<ShortDown, ShortAlong, Element, Component>;
    static_assert(Long::run <= LastInRow::run && Long::run <= LastInColumn::run && Long::run <= Corner::run);
    return WinogradTransformsOf<Element, Component>{
        .rows = {Down::outputs, Down::taps, ShortDown::outputs},
        .columns = {Along::outputs, Along::taps, ShortAlong::outputs},
        .run = Long::run,
        .scratch_floats = larger(larger(Long::scratch_floats, LastInRow::scratch_floats),
                                 larger(LastInColumn::scratch_floats, Corner::scratch_floats)),
        .tiles = {{Long::functions, LastInRow::functions}, {LastInColumn::functions, Corner::functions}},
        .gather = Long::gather,
        .filters = Long::filters,
    };
}();

}  // namespace striate::STRIATE_ISA_NAMESPACE
