// Tiles, products and pixels, compiled once per instruction set: those of native/dispatch and AVX512_BF16.
#include "bfloat16/kernels.h"

#include "winograd/tiles.h"

namespace striate::STRIATE_ISA_NAMESPACE {

namespace {

template <int M>
using Three = Transform<M, 3>;
using One = Transform<1, 1>;

template <typename Down, typename Along, typename Element>
constexpr WinogradTransformsOf<Element, Bfloat16> tiles_of =
    winograd_transforms<Down, Along, Down, Along, Element, Bfloat16>;

template <typename Element>
constexpr WinogradTransformsOf<Element, Bfloat16> transforms[] = {
    tiles_of<Three<2>, Three<2>, Element>, tiles_of<Three<4>, Three<4>, Element>, tiles_of<One, Three<2>, Element>,
    tiles_of<One, Three<4>, Element>,      tiles_of<Three<2>, One, Element>,      tiles_of<Three<4>, One, Element>,
};

constexpr int maps = 16;  // of a block

// Which part of a row's numbers meets which part of the weights.
struct Meeting {
    std::int64_t a, b;
};
template <typename Visit>
inline __attribute__((always_inline)) void each_meeting(std::int64_t a_low, Visit&& visit) {
    visit(Meeting{0, 0});
    if (a_low == 0) return;
    visit(Meeting{0, pair_weights});
    visit(Meeting{a_low, 0});
}

// Each block of terms at each shift, with its weights.
template <typename Visit>
inline __attribute__((always_inline)) void each_step(const BfloatProducts& p, const Bfloat16* a, const Bfloat16* b,
                                                     Visit&& visit) {
    const std::int64_t weights = (p.a_low == 0 ? 1 : 2) * pair_weights;
    for (std::int64_t d = 0; d < p.blocks; ++d, a += p.a_block) {
        for (std::int64_t k = 0; k < p.shift_count; ++k, b += weights) visit(a + p.shifts[k], b);
    }
}

#if defined(__AVX512BF16__)

// A register is a block of maps, two terms each; one instruction multiplies and adds both.
constexpr int tile_rows = 14;  // 28 sums, 2 registers of weights, 1 spread input: 31 of 32

inline __m512bh as_pairs(__m512i words) { return __m512bh(words); }

template <int Rows>
void tile(const BfloatProducts& p, const Bfloat16* a, const Bfloat16* b, float* c) {
    Floats low[Rows], high[Rows];
#pragma GCC unroll 16
    for (int t = 0; t < Rows; ++t) low[t] = high[t] = zeros();
    each_step(p, a, b, [&](const Bfloat16* a_step, const Bfloat16* b_step) {
        each_meeting(p.a_low, [&](const Meeting& part) {
#pragma GCC unroll 4
            for (int two = 0; two < 16; ++two) {
                const __m512bh u = as_pairs(_mm512_loadu_si512(b_step + part.b + two * 32));
                const __m512bh v = as_pairs(_mm512_loadu_si512(b_step + part.b + pair_weights / 2 + two * 32));
#pragma GCC unroll 16
                for (int t = 0; t < Rows; ++t) {
                    std::int32_t word;
                    std::memcpy(&word, a_step + part.a + t * p.a_row + 2 * two, sizeof word);
                    const __m512bh spread = as_pairs(_mm512_set1_epi32(word));
                    low[t] = _mm512_dpbf16_ps(low[t], spread, u);
                    high[t] = _mm512_dpbf16_ps(high[t], spread, v);
                }
            }
        });
    });
#pragma GCC unroll 16
    for (int t = 0; t < Rows; ++t) {
        store(c + t * maps, low[t]);
        store(c + p.c_block + t * maps, high[t]);
    }
}

#else

// bfloat16 is the upper half of a float, so two shifts make two registers of floats of one of pairs: the same sums, in
// whatever the set has to multiply and add with.
constexpr int tile_rows = 4;
constexpr int registers = maps / lanes;  // of a block

template <int Rows>
void tile(const BfloatProducts& p, const Bfloat16* a, const Bfloat16* b, float* c) {
    for (int half = 0; half < 2; ++half) {
        Floats sums[Rows][registers];
#pragma GCC unroll 4
        for (int t = 0; t < Rows; ++t) {
#pragma GCC unroll 4
            for (int r = 0; r < registers; ++r) sums[t][r] = zeros();
        }
        each_step(p, a, b + half * pair_weights / 2, [&](const Bfloat16* a_step, const Bfloat16* b_step) {
            each_meeting(p.a_low, [&](const Meeting& part) {
                for (int two = 0; two < 16; ++two) {
                    Pairs weights[registers];
#pragma GCC unroll 4
                    for (int r = 0; r < registers; ++r)
                        weights[r] = load_pairs(b_step + part.b + two * 32 + r * 2 * lanes);
#pragma GCC unroll 4
                    for (int t = 0; t < Rows; ++t) {
                        const Pairs spread = all_pairs(a_step + part.a + t * p.a_row + 2 * two);
#pragma GCC unroll 4
                        for (int r = 0; r < registers; ++r) {
                            sums[t][r] = multiply_add(spread.even, weights[r].even, sums[t][r]);
                            sums[t][r] = multiply_add(spread.odd, weights[r].odd, sums[t][r]);
                        }
                    }
                }
            });
        });
#pragma GCC unroll 4
        for (int t = 0; t < Rows; ++t) {
#pragma GCC unroll 4
            for (int r = 0; r < registers; ++r) store(c + half * p.c_block + t * maps + r * lanes, sums[t][r]);
        }
    }
}

#endif

template <int Rows = tile_rows>
void tile_of(std::int64_t rows, const BfloatProducts& p, const Bfloat16* a, const Bfloat16* b, float* c) {
    if (rows == Rows) return tile<Rows>(p, a, b, c);
    if constexpr (Rows > 1) tile_of<Rows - 1>(rows, p, a, b, c);
}

void multiply(const BfloatProducts& p) {
    const std::int64_t parts = (p.rows + tile_rows - 1) / tile_rows;
    for (std::int64_t i = 0; i < p.count; ++i) {
        for (std::int64_t pair = 0; pair < p.pairs; ++pair) {
            const Bfloat16* const b = p.b + i * p.b_step + pair * p.b_pair;
            for (std::int64_t tile = 0; tile < p.stretches * parts; ++tile) {
                const std::int64_t stretch = tile / parts, part = tile % parts;
                const std::int64_t first = p.rows * part / parts, rows = p.rows * (part + 1) / parts - first;
                tile_of(rows, p, p.a + i * p.a_step + p.starts[stretch] + first * p.a_row, b,
                        p.c + i * p.c_step + 2 * pair * p.c_block + (stretch * p.rows + first) * maps);
            }
        }
    }
}

template <typename Element>
void interleave(const float* even, const float* odd, Bfloat16* to) {
    for (int m = 0; m < maps; m += lanes) {
        const Floats first = load(even + m), second = load(odd + m);
        store_pairs(to + 2 * m, first, second);
        if (parts_of<Element> == 2) store_pairs(to + pair_weights + 2 * m, rest_of(first), rest_of(second));
    }
}

// Neighbours [0, count) of up to 16 rows, `row` apart, to to[16 · neighbour + row]; those of rows that do not exist are
// zeros.
void gather(const float* from, std::int64_t row, std::int64_t rows, std::int64_t count, float* to) {
    alignas(64) float part[2 * lanes * lanes];
    for (std::int64_t first = 0; first < maps; first += lanes) {
        const std::int64_t some = larger(0, smaller(lanes, rows - first));
        for (std::int64_t x = 0; x < count; x += lanes) {
            const std::int64_t end = smaller(x + lanes, count);
            gather_row(from + first * row, {.map = row, .row = 0, .pixel = 1}, some, count, x, end, part);
            for (std::int64_t i = x; i < end; ++i) store(to + i * maps + first, load(part + (i - x) * lanes));
        }
    }
}

// A square of 16 × 16, of which row i lies at row_of(i).
template <typename RowOf>
inline void transpose_square(RowOf&& row_of, float* to) {
    for (int i = 0; i < maps; i += lanes) {
        for (int j = 0; j < maps; j += lanes) {
            Floats block[lanes];
            for (int r = 0; r < lanes; ++r) block[r] = load(row_of(i + r) + j);
            transpose(block);
            for (int r = 0; r < lanes; ++r) store(to + (j + r) * maps + i, block[r]);
        }
    }
}

constexpr std::int64_t most_taps = 25;  // that are read together
alignas(64) constexpr float nothing[maps] = {};

// Terms 2 · two and 2 · two + 1 of one half of the maps, at one tap.
template <typename Element>
void put_weights(const BfloatFilters& f, std::int64_t tap, std::int64_t half, std::int64_t two, const float* even,
                 const float* odd) {
    interleave<Element>(even, odd,
                        f.to + parts_of<Element> * tap * pair_weights + half * pair_weights / 2 + two * 2 * maps);
}

template <typename Element>
void put_square(const BfloatFilters& f, std::int64_t tap, std::int64_t half, std::int64_t term, const float* square) {
    for (std::int64_t two = 0; two < maps / 2; ++two) {
        put_weights<Element>(f, tap, half, term / 2 + two, square + 2 * two * maps, square + (2 * two + 1) * maps);
    }
}

// A term's taps are neighbours of the next one's: rows are maps.
template <typename Element>
void filters_of_adjoining_terms(const BfloatFilters& f) {
    alignas(64) float gathered[terms_per_block * most_taps * maps];
    for (std::int64_t half = 0; half < 2; ++half) {
        gather(f.data + half * maps * f.of_map, f.of_map, f.maps - half * maps, f.terms * f.span, gathered);
        for (std::int64_t k = 0; k < f.tap_count; ++k) {
            const auto row_of = [&](std::int64_t term) {
                return term < f.terms ? gathered + (term * f.span + f.taps[k]) * maps : nothing;
            };
            for (std::int64_t two = 0; two < maps; ++two) {
                put_weights<Element>(f, k, half, two, row_of(2 * two), row_of(2 * two + 1));
            }
        }
    }
}

// A map's taps are neighbours of the next one's: rows are terms, and are transposed.
template <typename Element>
void filters_of_adjoining_maps(const BfloatFilters& f) {
    alignas(64) float gathered[maps_per_pair * most_taps * maps];
    alignas(64) float square[maps * maps];
    for (std::int64_t term = 0; term < terms_per_block; term += maps) {
        gather(f.data + term * f.of_term, f.of_term, f.terms - term, f.maps * f.span, gathered);
        for (std::int64_t k = 0; k < f.tap_count; ++k) {
            for (std::int64_t half = 0; half < 2; ++half) {
                const auto row_of = [&](std::int64_t i) {
                    const std::int64_t map = half * maps + i;
                    return map < f.maps ? gathered + (map * f.span + f.taps[k]) * maps : nothing;
                };
                transpose_square(row_of, square);
                put_square<Element>(f, k, half, term, square);
            }
        }
    }
}

template <typename Element>
void filters_one_by_one(const BfloatFilters& f) {
    alignas(64) float square[maps * maps];
    for (std::int64_t term = 0; term < terms_per_block; term += maps) {
        for (std::int64_t k = 0; k < f.tap_count; ++k) {
            for (std::int64_t half = 0; half < 2; ++half) {
                for (std::int64_t i = 0; i < maps * maps; ++i) {
                    const std::int64_t of = term + i / maps, map = half * maps + i % maps;
                    const bool exists = of < f.terms && map < f.maps;
                    square[i] = exists ? f.data[of * f.of_term + map * f.of_map + f.taps[k]] : 0.0f;
                }
                put_square<Element>(f, k, half, term, square);
            }
        }
    }
}

template <typename Element>
void filters(const BfloatFilters& f) {
    if (f.span <= most_taps && f.of_term == f.span) return filters_of_adjoining_terms<Element>(f);
    if (f.span <= most_taps && f.of_map == f.span) return filters_of_adjoining_maps<Element>(f);
    filters_one_by_one<Element>(f);
}

template <typename Element>
void terms(const Element* row, const Strides& strides, std::int64_t block, std::int64_t count, std::int64_t width,
           Bfloat16* to) {
    constexpr std::int64_t most = 64, step = parts_of<Element> * terms_per_block;  // pixels at a time; in `to`
    alignas(64) float pixels[(most + lanes) * lanes];
    for (std::int64_t c = 0; c < terms_per_block; c += lanes) {
        const Element* const from = row + c / maps * block + c % maps * strides.map;
        const std::int64_t some = larger(0, smaller(lanes, count - c));
        for (std::int64_t x = 0; x < width; x += most) {
            const std::int64_t end = smaller(x + most, width);
            if (some > 0) gather_row(from, strides, some, width, x, end, pixels);
            for (std::int64_t i = x; i < end; ++i) {
                const Floats pixel = some > 0 ? load(pixels + (i - x) * lanes) : zeros();
                store(to + i * step + c, pixel);
                if (parts_of<Element> == 2) store(to + i * step + terms_per_block + c, rest_of(pixel));
            }
        }
    }
}

template <typename Element>
void maps_last(const Element* row, const Strides& strides, std::int64_t block, std::int64_t count, std::int64_t width,
               Bfloat16* to, std::int64_t low) {
    alignas(64) float pixels[lanes * lanes];
    for (std::int64_t c = 0; c < count; c += lanes) {
        const Element* const from = row + c / maps * block + c % maps * strides.map;
        const std::int64_t some = smaller(lanes, count - c);
        for (std::int64_t x = 0; x < width; x += lanes) {
            const std::int64_t end = smaller(x + lanes, width);
            gather_row(from, strides, some, width, x, end, pixels);
            for (std::int64_t i = x; i < end; ++i) {
                const Floats pixel = load(pixels + (i - x) * lanes);
                store_first(to + i * count + c, pixel, some);
                if (parts_of<Element> == 2) store_first(to + low + i * count + c, rest_of(pixel), some);
            }
        }
    }
}

template <typename Element>
void finish(const BfloatFinishOf<Element>& f) {
    constexpr std::int64_t most = 64;  // pixels at a time
    alignas(64) float pixels[(most + lanes) * lanes];
    for (std::int64_t c = 0; c < f.maps; c += lanes) {
        const std::int64_t some = smaller(lanes, f.maps - c);
        const std::int64_t at = c / maps * f.result_block + c % maps * f.strides.map;
        const float* const sums = f.sums + c / maps * f.block + c % maps;
        FinishOf<Element> end{load(f.bias + c), nullptr, f.relu};
        for (std::int64_t x = 0; x < f.count; x += most) {
            const std::int64_t count = smaller(most, f.count - x), first = at + x * f.strides.pixel;
            for (std::int64_t i = 0; i < count; ++i) store(pixels + i * lanes, load(sums + (x + i) * maps));
            end.residual = f.residual == nullptr ? nullptr : f.residual + first;
            scatter_row(pixels, count, some, f.strides, end, f.result + first);
        }
    }
}

template <typename Element>
constexpr BfloatKernelsOf<Element> kernels = {
    lanes,          transforms<Element>, multiply,       interleave<Element>, filters<Element>,
    terms<Element>, maps_last<Element>,  finish<Element>};

}  // namespace

const BfloatKernels bfloat_kernels = {kernels<Bfloat16>, kernels<float>};

}  // namespace striate::STRIATE_ISA_NAMESPACE
