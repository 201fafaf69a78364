// Products by AMX: tiles of 16 × 32 and 32 × 16 numbers, multiplied into 16 × 16 sums.
//
// Two tiles of rows by two of maps: four loads for four products, of 16 cycles each where a load from the first cache
// takes 8; eight for twelve where numbers are sums of two. Rows are shared out evenly over tiles; the last tile begins
// earlier where they do not fill it, and computes some sums twice. Numbers below 2⁻¹²⁶ count as zero here, as in
// AVX512_BF16.
#include <immintrin.h>

#include "bfloat16/kernels.h"
#include "conv/division.h"

namespace striate::amx {

namespace {

constexpr std::int64_t most_rows = 16;  // of a tile
constexpr int row_bytes = 64;

// What ldtilecfg reads (Intel SDM, vol. 1, table 18-1).
struct alignas(64) TileSettings {
    std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
    std::uint16_t bytes[16] = {};
    std::uint8_t rows[16] = {};
};

// Tiles 0 to 3 are sums and 4 and 5 rows, of `rows` rows; 6 and 7 are weights.
void set_tiles(std::int64_t rows) {
    TileSettings settings;
    for (int tile = 0; tile < 8; ++tile) {
        settings.bytes[tile] = row_bytes;
        settings.rows[tile] = static_cast<std::uint8_t>(tile < 6 ? rows : 16);
    }
    _tile_loadconfig(&settings);
}

// What the next product reads, fetched into the second cache a few lines at each step of this one: its weights, which
// lie side by side, and its rows, of which each step fetches some of one block.
struct Ahead {
    const char* weights;
    std::int64_t weight_lines;  // a step
    const char* rows;
    std::int64_t row_lines, block_bytes;
    void fetch() {
        for (std::int64_t i = 0; i < weight_lines; ++i, weights += 64) __builtin_prefetch(weights, 0, 2);
        for (std::int64_t i = 0; i < row_lines; ++i) __builtin_prefetch(rows + 64 * i, 0, 2);
        rows += block_bytes;
    }
};

// Rows of one tile or two, by a pair of blocks of maps.
template <bool Two, bool Split>
inline void sums(const BfloatProducts& p, const Bfloat16* first, const Bfloat16* second, const Bfloat16* b, float* c,
                 float* second_c, Ahead& ahead) {
    const std::int64_t a_bytes = 2 * p.a_row;
    _tile_zero(0);
    _tile_zero(1);
    if (Two) {
        _tile_zero(2);
        _tile_zero(3);
    }
    for (std::int64_t d = 0; d < p.blocks; ++d, first += p.a_block, second += p.a_block) {
        for (std::int64_t k = 0; k < p.shift_count; ++k) {
            ahead.fetch();
            const Bfloat16 *const upper = first + p.shifts[k], *const lower = second + p.shifts[k];
            _tile_loadd(6, b, row_bytes);
            _tile_loadd(7, b + pair_weights / 2, row_bytes);
            b += pair_weights;
            if (Split) {  // first low by high, so that high parts on both sides stay for what follows
                _tile_loadd(4, upper + p.a_low, a_bytes);
                _tile_dpbf16ps(0, 4, 6);
                _tile_dpbf16ps(1, 4, 7);
                if (Two) {
                    _tile_loadd(5, lower + p.a_low, a_bytes);
                    _tile_dpbf16ps(2, 5, 6);
                    _tile_dpbf16ps(3, 5, 7);
                }
            }
            _tile_loadd(4, upper, a_bytes);
            _tile_dpbf16ps(0, 4, 6);
            _tile_dpbf16ps(1, 4, 7);
            if (Two) {
                _tile_loadd(5, lower, a_bytes);
                _tile_dpbf16ps(2, 5, 6);
                _tile_dpbf16ps(3, 5, 7);
            }
            if (Split) {
                _tile_loadd(6, b, row_bytes);
                _tile_dpbf16ps(0, 4, 6);
                if (Two) _tile_dpbf16ps(2, 5, 6);
                _tile_loadd(7, b + pair_weights / 2, row_bytes);
                _tile_dpbf16ps(1, 4, 7);
                if (Two) _tile_dpbf16ps(3, 5, 7);
                b += pair_weights;
            }
        }
    }
    _tile_stored(0, c, row_bytes);
    _tile_stored(1, c + p.c_block, row_bytes);
    if (Two) {
        _tile_stored(2, second_c, row_bytes);
        _tile_stored(3, second_c + p.c_block, row_bytes);
    }
}

template <bool Split>
void multiply_parts(const BfloatProducts& p) {
    const std::int64_t tiles = quotient_up(p.rows, most_rows), rows = quotient_up(p.rows, tiles);
    const std::int64_t all = p.stretches * tiles;
    const auto row_of = [&](std::int64_t tile) {
        const std::int64_t row = tile % tiles * rows;
        return row < p.rows - rows ? row : p.rows - rows;
    };
    const auto a_of = [&](std::int64_t tile) { return p.starts[tile / tiles] + row_of(tile) * p.a_row; };
    const auto c_of = [&](std::int64_t tile) { return 16 * (tile / tiles * p.rows + row_of(tile)); };
    const std::int64_t passes = quotient_up(all, 2);  // over a panel of weights
    const std::int64_t weight_lines = p.ahead ? (Split ? 64 : 32) / passes : 0;
    const std::int64_t row_lines = p.ahead ? quotient_up(p.rows * p.a_row / 32, passes * p.pairs) : 0;
    set_tiles(rows);
    for (std::int64_t i = 0; i < p.count; ++i) {
        for (std::int64_t pair = 0; pair < p.pairs; ++pair) {
            const Bfloat16* const a = p.a + i * p.a_step;
            const Bfloat16* const b = p.b + i * p.b_step + pair * p.b_pair;
            float* const c = p.c + i * p.c_step + 2 * pair * p.c_block;
            const char* const next_b =
                reinterpret_cast<const char*>(pair + 1 < p.pairs ? b + p.b_pair : p.b + (i + 1) * p.b_step);
            const char* const next_a = reinterpret_cast<const char*>(a + p.a_step);
            Ahead ahead{.weights = next_b,
                        .weight_lines = weight_lines,
                        .rows = nullptr,
                        .row_lines = 0,
                        .block_bytes = 2 * p.a_block};
            if (i + 1 < p.count) ahead.row_lines = row_lines;
            for (std::int64_t pass = 0; pass < passes; ++pass) {
                const std::int64_t tile = 2 * pass;
                ahead.rows = next_a + 64 * row_lines * (pair * passes + pass);
                if (tile + 1 < all) {
                    sums<true, Split>(p, a + a_of(tile), a + a_of(tile + 1), b, c + c_of(tile), c + c_of(tile + 1),
                                      ahead);
                } else {
                    sums<false, Split>(p, a + a_of(tile), a, b, c + c_of(tile), c, ahead);
                }
            }
        }
    }
    _tile_release();
}

}  // namespace

void multiply(const BfloatProducts& p) {
    if (p.a_low == 0) return multiply_parts<false>(p);
    multiply_parts<true>(p);
}

}  // namespace striate::amx
