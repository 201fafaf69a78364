// Tiles in, products, tiles out, compiled once per instruction set.
#include "winograd/kernels.h"

#include "simd/rows.h"
#include "winograd/transform.h"

namespace striate::STRIATE_ISA_NAMESPACE {

namespace {

#if defined(__AVX512F__)
constexpr int tile_rows = 14;  // 28 sums, 2 registers of weights, 1 spread input: 31 of 32
#else
constexpr int tile_rows = 6;  // 12 + 2 + 1 of 16
#endif

constexpr std::int64_t smaller(std::int64_t a, std::int64_t b) { return a < b ? a : b; }
constexpr std::int64_t larger(std::int64_t a, std::int64_t b) { return a > b ? a : b; }

// Room for one row of pixels in the scratch, a register of pixels before and behind it.
template <int M>
constexpr std::int64_t line = (winograd_run * M + 2 + 2 * lanes) * lanes;

template <int M>
void input(const WinogradInput& in) {
    constexpr int size = M + 2;
    float* const transformed = in.scratch;
    float* const gathered = in.scratch + size * line<M>;
    const std::int64_t pixels = in.tiles * M + 2;
    const std::int64_t begin = larger(in.left, 0), end = larger(begin, smaller(in.left + pixels, in.width));

    const float* rows[size];  // null: a row of zeros
    for (int i = 0; i < size; ++i) {
        const std::int64_t y = in.top + i;
        rows[i] = nullptr;
        if (y < 0 || y >= in.height || begin == end) continue;
        float* to = gathered + i * line<M> + lanes * lanes;
        gather_row(in.image + y * in.strides.row, in.strides, in.maps, in.width, begin, end, to + (begin - in.left) * lanes);
        for (std::int64_t x = in.left; x < begin; ++x) store(to + (x - in.left) * lanes, zeros());
        for (std::int64_t x = end; x < in.left + pixels; ++x) store(to + (x - in.left) * lanes, zeros());
        rows[i] = to;
    }

    for (std::int64_t x = 0; x < pixels; ++x) {  // down the columns
        Floats column[size], out[size];
#pragma GCC unroll 8
        for (int i = 0; i < size; ++i) column[i] = rows[i] == nullptr ? zeros() : load(rows[i] + x * lanes);
        Transform<M>::input(column, out);
#pragma GCC unroll 8
        for (int i = 0; i < size; ++i) store(transformed + i * line<M> + x * lanes, out[i]);
    }
    for (int i = 0; i < size; ++i) {  // along the rows
        for (std::int64_t t = 0; t < in.tiles; ++t) {
            Floats row[size], out[size];
#pragma GCC unroll 8
            for (int j = 0; j < size; ++j) row[j] = load(transformed + i * line<M> + (t * M + j) * lanes);
            Transform<M>::input(row, out);
#pragma GCC unroll 8
            for (int j = 0; j < size; ++j) store(in.components + (i * size + j) * in.component + t * lanes, out[j]);
        }
    }
}

template <int M>
void output(const WinogradOutput& out) {
    constexpr int size = M + 2;
    for (std::int64_t t = 0; t < out.tiles; ++t) {
        Floats half[M][size];
#pragma GCC unroll 8
        for (int j = 0; j < size; ++j) {
            Floats column[size], down[M];
#pragma GCC unroll 8
            for (int i = 0; i < size; ++i) {
                column[i] = load(out.components + (i * size + j) * out.component + t * lanes);
            }
            Transform<M>::output(column, down);
#pragma GCC unroll 8
            for (int i = 0; i < M; ++i) half[i][j] = down[i];
        }
#pragma GCC unroll 8
        for (int i = 0; i < M; ++i) {
            Floats along[M];
            Transform<M>::output(half[i], along);
#pragma GCC unroll 8
            for (int j = 0; j < M; ++j) {
                store(out.scratch + i * line<M> + (t * M + j) * lanes, along[j]);
            }
        }
    }
    const std::int64_t rows = smaller(M, out.height - out.top), columns = smaller(out.tiles * M, out.width - out.left);
    const Floats bias = load(out.bias);
    for (std::int64_t i = 0; i < rows; ++i) {
        const std::int64_t at = (out.top + i) * out.strides.row + out.left * out.strides.pixel;
        const Finish finish{bias, out.residual == nullptr ? nullptr : out.residual + at, out.relu};
        scatter_row(out.scratch + i * line<M>, columns, out.maps, out.strides, finish, out.image + at);
    }
}

template <int Rows>
void multiply_of(const float* v, std::int64_t v_block, const float* u, std::int64_t blocks, float* out,
                 std::int64_t out_block) {
    Floats low[Rows], high[Rows];
#pragma GCC unroll 16
    for (int t = 0; t < Rows; ++t) low[t] = high[t] = zeros();
    for (std::int64_t block = 0; block < blocks; ++block) {
#pragma GCC unroll 4
        for (int c = 0; c < lanes; ++c) {
            const Floats u_low = load(u), u_high = load(u + lanes);
#pragma GCC unroll 16
            for (int t = 0; t < Rows; ++t) {
                const Floats spread = all(v[t * lanes + c]);
                low[t] = multiply_add(spread, u_low, low[t]);
                high[t] = multiply_add(spread, u_high, high[t]);
            }
            u += 2 * lanes;
        }
        v += v_block;
    }
#pragma GCC unroll 16
    for (int t = 0; t < Rows; ++t) {
        store(out + t * lanes, low[t]);
        store(out + out_block + t * lanes, high[t]);
    }
}

template <int Rows = tile_rows>
void multiply(const float* v, std::int64_t v_block, const float* u, std::int64_t blocks, float* out,
              std::int64_t out_block, std::int64_t rows) {
    if (rows == Rows) return multiply_of<Rows>(v, v_block, u, blocks, out, out_block);
    if constexpr (Rows > 1) multiply<Rows - 1>(v, v_block, u, blocks, out, out_block, rows);
}

}  // namespace

const WinogradKernels winograd_kernels = {
    lanes, tile_rows, {input<2>, input<4>, input<6>}, {output<2>, output<4>, output<6>}, multiply<>};

}  // namespace striate::STRIATE_ISA_NAMESPACE
