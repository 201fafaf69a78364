// Packing and the register tile, compiled once per instruction set.
//
// A tile is `tile_rows` × 2 registers of C. For every k it takes two registers of B and one value of A per row, spread
// over a register: tile_rows · 2 multiply-adds for tile_rows + 2 loads. The rows are as many as the registers hold:
// 14 of 32 (AVX-512, NEON), 6 of 16 (AVX2), so that the sums that run side by side cover the latency of one.
#include "gemm/kernels.h"

#include "gemm/blocks.h"
#include "simd/floats.h"
#include "simd/transpose.h"

namespace striate::STRIATE_ISA_NAMESPACE {

namespace {

constexpr int tile_rows = registers == 32 ? 14 : 6;
constexpr int tile_columns = 2 * lanes;
// Steps of the sum that panels are fetched before their turn. A streams from the second cache, and so does B where its
// panel is larger than the first.
constexpr int a_ahead = 16, b_ahead = 8;
// And the tile of C. Fetched before the whole sum it had left the first cache by its end, where its rows are a power of
// two apart.
constexpr std::int64_t result_ahead = 96;
constexpr bool b_streams = tile_columns * DepthBlocks::longest * sizeof(float) > (48 << 10);

// Both panels are k × Width, with value (p, i) = from[i · across + p · along] for i < count and zero beyond.
// A register stored may reach into the next p's values, which are stored after it; the last p's may not.
template <int Width>
void pack(const float* from, std::int64_t across, std::int64_t along, std::int64_t count, std::int64_t k,
          float* panel) {
    if (across == 1 && count == Width && Width % lanes == 0) {
        for (std::int64_t p = 0; p < k; ++p) {
            for (int i = 0; i < Width; i += lanes) store(panel + p * Width + i, load(from + p * along + i));
        }
        return;
    }
    constexpr int groups = (Width + lanes - 1) / lanes;
    if (across == 1 || along == 1) {
        for (int group = 0; group < groups; ++group) {
            const int first = group * lanes, room = Width - first < lanes ? Width - first : lanes;
            const std::int64_t left = count - first, held = left < 0 ? 0 : left < room ? left : room;
            for (std::int64_t p = 0; p < k; p += lanes) {
                const std::int64_t steps = k - p < lanes ? k - p : lanes;
                Floats block[lanes];
                if (across == 1) {
                    for (int i = 0; i < steps; ++i) block[i] = load_first(from + first + (p + i) * along, held);
                } else {
#pragma GCC unroll 16
                    for (int i = 0; i < lanes; ++i) {
                        const float* row = from + (first + i) * across + p;
                        block[i] = i >= held ? zeros() : steps == lanes ? load(row) : load_first(row, steps);
                    }
                    transpose(block);
                }
                float* to = panel + p * Width + first;
                for (int i = 0; i < steps; ++i, to += Width) {
                    if (room == lanes || (groups == 1 && p + i + 1 < k)) {
                        store(to, block[i]);
                    } else {
                        store_first(to, block[i], room);
                    }
                }
            }
        }
        return;
    }
    if (count < Width) std::memset(panel, 0, static_cast<std::size_t>(k * Width) * sizeof(float));
    for (std::int64_t p = 0; p < k; ++p) {
        for (std::int64_t i = 0; i < count; ++i) panel[p * Width + i] = from[i * across + p * along];
    }
}

void pack_a(const float* from, std::int64_t row, std::int64_t column, std::int64_t rows, std::int64_t k, float* panel) {
    pack<tile_rows>(from, row, column, rows, k, panel);
}

void pack_b(const float* from, std::int64_t row, std::int64_t column, std::int64_t columns, std::int64_t k,
            float* panel) {
    pack<tile_columns>(from, column, row, columns, k, panel);
}

// The register of row i and of the columns from `first` on, finished for its place `offset` values from t.c. `get`
// loads.
template <typename Get>
inline __attribute__((always_inline)) Floats finished(const GemmTiles& t, std::int64_t i, std::int64_t first,
                                                      std::int64_t offset, Floats sum, Get&& get) {
    if (t.accumulate) sum = get(t.c + offset) + sum;
    if (!t.finish) return sum;
    if (t.row_bias != nullptr) sum = sum + all(t.row_bias[i]);
    if (t.column_bias != nullptr) sum = sum + get(t.column_bias + first);
    if (t.residual != nullptr) sum = sum + get(t.residual + offset);
    return t.relu ? at_least_zero(sum) : sum;
}

// Whether the tiles' rows are whole lines of the caches in C.
template <int Registers>
inline bool are_lines(const GemmTiles& t) {
    constexpr bool register_is_line = lanes == line_floats;
    if (t.columns != Registers * lanes) return false;
    if (!register_is_line && (Registers * lanes != line_floats || t.c_high != lanes)) return false;
    return reinterpret_cast<std::uintptr_t>(t.c) % (line_floats * sizeof(float)) == 0 && t.c_row % line_floats == 0 &&
           t.c_high % lanes == 0;
}

template <int Rows, int Registers>
inline void put_all(const GemmTiles& given, const Floats (&sums)[Registers][Rows]) {
    const GemmTiles t = given;  // a copy: the compiler cannot know that C is not part of what is given
    const auto each = [&](auto&& put) __attribute__((always_inline)) {
#pragma GCC unroll 16
        for (int i = 0; i < Rows; ++i) {
#pragma GCC unroll 2
            for (int r = 0; r < Registers; ++r) put(i, r * lanes, i * t.c_row + r * t.c_high, sums[r][i]);
        }
    };
    if (t.past_caches) {
        each([&](int i, int first, std::int64_t offset, Floats sum) __attribute__((always_inline)) {
            stream(t.c + offset, finished(t, i, first, offset, sum, [](const float* from) { return load(from); }));
        });
    } else if (t.columns != Registers * lanes) {
        each([&](int i, int first, std::int64_t offset, Floats sum) __attribute__((always_inline)) {
            const std::int64_t left = t.columns - first, count = left < lanes ? left : lanes;
            const auto get = [&](const float* from) { return load_first(from, count); };
            store_first(t.c + offset, finished(t, i, first, offset, sum, get), count);
        });
    } else if (t.finish) {
        each([&](int i, int first, std::int64_t offset, Floats sum) __attribute__((always_inline)) {
            store(t.c + offset, finished(t, i, first, offset, sum, [](const float* from) { return load(from); }));
        });
    } else if (t.accumulate) {
        each([&](int, int, std::int64_t offset, Floats sum)
                 __attribute__((always_inline)) { store(t.c + offset, load(t.c + offset) + sum); });
    } else {
        each([&](int, int, std::int64_t offset, Floats sum)
                 __attribute__((always_inline)) { store(t.c + offset, sum); });
    }
}

// One step of all sums: a value of each row of A times a row of B.
template <int Rows, int Registers, typename Value>
inline __attribute__((always_inline)) void add_step(const float* b, Floats (&sums)[Registers][Rows], Value&& a_of) {
    Floats columns[Registers];
#pragma GCC unroll 2
    for (int r = 0; r < Registers; ++r) columns[r] = load(b + r * lanes);
#pragma GCC unroll 16
    for (int i = 0; i < Rows; ++i) {
        const Floats spread = all(a_of(i));
#pragma GCC unroll 2
        for (int r = 0; r < Registers; ++r) sums[r][i] = multiply_add(spread, columns[r], sums[r][i]);
    }
}

template <int Registers>
inline __attribute__((always_inline)) void fetch_columns(const float* b) {
#pragma GCC unroll 2
    for (int i = 0; i < Registers * lanes; i += line_floats) __builtin_prefetch(b + i);
}

// C is far away, unless it goes past the caches. (Inlined by force: GCC takes a call that only fetches for one without
// effects, and leaves it out.)
template <int Rows, int Registers>
inline __attribute__((always_inline)) void fetch_result(const GemmTiles& t) {
    if (t.past_caches) return;
#pragma GCC unroll 16
    for (int i = 0; i < Rows; ++i) {
#pragma GCC unroll 2
        for (int r = 0; r < Registers; ++r) __builtin_prefetch(t.c + i * t.c_row + r * t.c_high, 1);
    }
}

// The sums of a tile whose A is a panel.
template <int Rows, int Registers>
inline void sum_panel(const GemmTiles& t, Floats (&sums)[Registers][Rows]) {
    const float *a = t.a, *b = t.b;
    const std::int64_t b_step = t.b_step;
    std::int64_t left = t.k;
    for (const std::int64_t until : {result_ahead < left ? result_ahead : left, std::int64_t{0}}) {
        align_loop();
        for (; left > until; --left, a += tile_rows, b += b_step) {
            __builtin_prefetch(a + a_ahead * tile_rows);
            if constexpr (b_streams) fetch_columns<Registers>(b + b_ahead * b_step);
            add_step<Rows>(b, sums, [&](int i) { return a[i]; });
        }
        if (until > 0) fetch_result<Rows, Registers>(t);
    }
}

// The sums of a tile whose A is read where it lies. Rows are reached from every third one, which an address can
// express.
template <int Rows, int Registers>
inline void sum_rows(const GemmTiles& t, Floats (&sums)[Registers][Rows]) {
    constexpr int triples = (Rows + 2) / 3;
    const std::int64_t row = t.a_row, b_step = t.b_step;
    const float* b = t.b;
    fetch_result<Rows, Registers>(t);
    for (std::int64_t first = 0; first < t.k; first += 16) {
        const float* from[triples];
#pragma GCC unroll 16
        for (int i = 0; i < triples; ++i) from[i] = t.a + first / 16 * t.a_block + 3 * i * row;
        const float* const next = t.a + first / 16 * t.a_block + t.a_step;
#pragma GCC unroll 16
        for (int i = 0; i < Rows; ++i) __builtin_prefetch(next + i * row);
        const std::int64_t count = t.k - first < 16 ? t.k - first : 16;
#pragma GCC unroll 4
        for (std::int64_t p = 0; p < count; ++p) {
            fetch_columns<Registers>(b + 16 * b_step);  // few rows: B comes from the second cache
            add_step<Rows>(b, sums, [&](int i) { return from[i / 3][i % 3 * row + p]; });
            b += b_step;
        }
    }
}

template <int Rows, int Registers>
__attribute__((noinline)) void tile_of(const GemmTiles& t) {
    Floats sums[Registers][Rows];
#pragma GCC unroll 16
    for (int i = 0; i < Rows; ++i) {
#pragma GCC unroll 2
        for (int r = 0; r < Registers; ++r) sums[r][i] = zeros();
    }
    if (t.a_row == 0) {
        sum_panel<Rows, Registers>(t, sums);
    } else {
        sum_rows<Rows, Registers>(t, sums);
    }
    put_all<Rows, Registers>(t, sums);
}

template <int Rows, int Registers>
void tiles_of(const GemmTiles& given) {
    GemmTiles t = given;
    t.past_caches = t.past_caches && are_lines<Registers>(t);
    for (; t.count > 0; --t.count) {
        tile_of<Rows, Registers>(t);
        t.a += t.a_step;
        t.c += Rows * t.c_row;
        if (t.row_bias != nullptr) t.row_bias += Rows;
        if (t.residual != nullptr) t.residual += Rows * t.c_row;
    }
}

// Tiles with exactly t.rows rows, and one register of columns where that is enough: what is not there would be computed
// for nothing.
template <int Rows = tile_rows>
void tiles(const GemmTiles& t) {
    if (t.rows == Rows) return t.columns > lanes ? tiles_of<Rows, 2>(t) : tiles_of<Rows, 1>(t);
    if constexpr (Rows > 1) tiles<Rows - 1>(t);
}

}  // namespace

const GemmKernels gemm_kernels = {lanes, tile_rows, tile_columns, pack_a, pack_b, tiles<>, settle_streams};

}  // namespace striate::STRIATE_ISA_NAMESPACE
