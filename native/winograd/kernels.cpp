// Tiles in, products, tiles out, compiled once per instruction set.
#include "winograd/kernels.h"

#include <utility>

#include "winograd/tiles.h"

namespace striate::STRIATE_ISA_NAMESPACE {

namespace {

constexpr int stretch = static_cast<int>(winograd_stretch(lanes));
constexpr int tile_rows = registers == 32 ? 14 : 6;  // twice as many sums, 2 registers of weights, 1 spread input

struct TransformsOf {
    template <typename Down, typename Along, typename ShortDown, typename ShortAlong>
    static constexpr WinogradTransforms of = winograd_transforms<Down, Along, ShortDown, ShortAlong>;
};

// One map of the input into all sums.
template <int Rows>
inline __attribute__((always_inline)) void add_map(const float* v, const float* u, Floats (&low)[Rows],
                                                   Floats (&high)[Rows]) {
    const Floats u_low = load(u), u_high = load(u + lanes);
#pragma GCC unroll 16
    for (int t = 0; t < Rows; ++t) {
        const Floats spread = all(v[t * lanes]);
        low[t] = multiply_add(spread, u_low, low[t]);
        high[t] = multiply_add(spread, u_high, high[t]);
    }
}

template <int Rows>
void multiply_of(const WinogradProduct& p) {
    const float *next = p.next, *const end = p.end;
    for (std::int64_t part = 0; part < p.parts; ++part) {
        const float *v = p.v + part * Rows * lanes, *u = p.u;
        const std::int64_t v_block = p.v_block, lines = next < end ? p.lines : 0;
        Floats low[Rows], high[Rows];
#pragma GCC unroll 16
        for (int t = 0; t < Rows; ++t) low[t] = high[t] = zeros();
        std::int64_t maps = p.maps;
        for (; maps >= lanes; maps -= lanes) {
#pragma GCC unroll 2
            for (int first = 0; first < lanes; first += stretch) {
                for (std::int64_t line = 0; line < lines; ++line, next += line_floats) __builtin_prefetch(next, 0, 2);
#pragma GCC unroll 8
                for (int c = first; c < first + stretch; ++c, u += 2 * lanes) add_map<Rows>(v + c, u, low, high);
            }
            v += v_block;
        }
        for (std::int64_t c = 0; c < maps; ++c, u += 2 * lanes) add_map<Rows>(v + c, u, low, high);
        float* const out = p.out + part * Rows * lanes;
#pragma GCC unroll 16
        for (int t = 0; t < Rows; ++t) {
            store(out + t * lanes, low[t]);
            store(out + p.out_block + t * lanes, high[t]);
        }
    }
}

template <int... Rows>
void multiply_by_rows(const WinogradProduct& p, std::integer_sequence<int, Rows...>) {
    static constexpr void (*of[])(const WinogradProduct&) = {multiply_of<Rows + 1>...};
    of[p.rows - 1](p);
}

void multiply(const WinogradProduct& p) { multiply_by_rows(p, std::make_integer_sequence<int, tile_rows>()); }

void copy(const float* from, std::int64_t floats, float* to, bool past_caches) {
    for (std::int64_t i = 0; i < floats; i += 2 * lanes) {
        const Floats first = load(from + i), second = load(from + i + lanes);
        if (past_caches) {
            stream(to + i, first), stream(to + i + lanes, second);
        } else {
            store(to + i, first), store(to + i + lanes, second);
        }
    }
}

}  // namespace

const WinogradKernels winograd_kernels = {lanes,    tile_rows, ForEachTransform<TransformsOf>::table,
                                          multiply, copy,      settle_streams};

}  // namespace striate::STRIATE_ISA_NAMESPACE
