#include "gemm/gemm.h"

#include <algorithm>

#include "dispatch/kernels.h"
#include "gemm/kernels.h"
#include "threads/pool.h"

namespace striate {

namespace {

// Values along each side of a block. A panel of B (k_block × 32 floats) fills two thirds of a first cache of 48 KiB;
// A's block (m_block × k_block) half of a second cache of 1 MiB; B's block (k_block × n_block) stays in the third.
constexpr std::int64_t k_block = 256;
constexpr std::int64_t m_block = 504;   // a multiple of every tile_rows: 14 and 6
constexpr std::int64_t n_block = 4096;  // a multiple of every tile_columns: 32, 16 and 8
constexpr std::int64_t m_packed = 8 * m_block;  // rows of A packed at a time, for all threads
constexpr std::int64_t task_panels = 16;        // panels of B that a task takes against one block of A
constexpr std::int64_t thread_macs = 1 << 18;   // per thread: some 10 µs, several times what waking it takes

constexpr std::int64_t quotient_up(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }
constexpr std::int64_t rounded_up(std::int64_t a, std::int64_t to) { return quotient_up(a, to) * to; }

// The blocks of A and B that are in their panels: rows [row, row + rows) of C, columns [column, column + columns).
struct Block {
    std::int64_t row, rows, column, columns, depth, k;
    float *a, *b;
};

void pack(const Gemm& g, const GemmKernels& kernels, const Block& block, bool with_b, int threads) {
    const std::int64_t a_panels = quotient_up(block.rows, kernels.tile_rows);
    const std::int64_t b_panels = with_b ? quotient_up(block.columns, kernels.tile_columns) : 0;
    parallel_for(a_panels + b_panels, 8, threads, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t panel = begin; panel < end; ++panel) {
            if (panel < a_panels) {
                const std::int64_t first = panel * kernels.tile_rows;
                const float* from = g.a.data + (block.row + first) * g.a.row + block.depth * g.a.column;
                kernels.pack_a(from, g.a.row, g.a.column, std::min(kernels.tile_rows, block.rows - first), block.k,
                               block.a + first * block.k);
            } else {
                const std::int64_t first = (panel - a_panels) * kernels.tile_columns;
                const float* from = g.b.data + block.depth * g.b.row + (block.column + first) * g.b.column;
                kernels.pack_b(from, g.b.row, g.b.column, std::min(kernels.tile_columns, block.columns - first),
                               block.k, block.b + first * block.k);
            }
        }
    });
}

void multiply(const Gemm& g, const GemmKernels& kernels, const Block& block, int threads) {
    const bool accumulate = g.accumulate || block.depth > 0;
    const std::int64_t b_panels = quotient_up(block.columns, kernels.tile_columns);
    const std::int64_t across = quotient_up(b_panels, task_panels), down = quotient_up(block.rows, m_block);
    parallel_for(across * down, 1, threads, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t task = begin; task < end; ++task) {
            const std::int64_t top = task % down * m_block, bottom = std::min(block.rows, top + m_block);
            const std::int64_t first = task / down * task_panels, last = std::min(b_panels, first + task_panels);
            for (std::int64_t panel = first; panel < last; ++panel) {
                const std::int64_t left = panel * kernels.tile_columns;
                const std::int64_t columns = std::min(kernels.tile_columns, block.columns - left);
                for (std::int64_t i = top; i < bottom; i += kernels.tile_rows) {
                    float* c = g.c + (block.row + i) * g.c_row + block.column + left;
                    kernels.tile(block.a + i * block.k, block.b + left * block.k, block.k, c, g.c_row,
                                 std::min(kernels.tile_rows, bottom - i), columns, accumulate);
                }
            }
        }
    });
}

}  // namespace

std::int64_t gemm_workspace(std::int64_t m, std::int64_t n, std::int64_t k, Isa isa) {
    const GemmKernels& kernels = STRIATE_KERNELS_OF(isa, gemm_kernels);
    const std::int64_t depth = std::min(k, k_block);
    return depth * (rounded_up(std::min(m, m_packed), kernels.tile_rows) +
                    rounded_up(std::min(n, n_block), kernels.tile_columns));
}

void gemm(const Gemm& g, float* workspace, Isa isa, int threads) {
    if (g.m == 0 || g.n == 0) return;
    if (g.k == 0) {
        if (g.accumulate) return;
        for (std::int64_t i = 0; i < g.m; ++i) std::fill_n(g.c + i * g.c_row, g.n, 0.0f);
        return;
    }
    const GemmKernels& kernels = STRIATE_KERNELS_OF(isa, gemm_kernels);
    threads = static_cast<int>(std::min<std::int64_t>(threads, 1 + g.m * g.n * g.k / thread_macs));
    Block block{};
    block.a = workspace;
    block.b = workspace + std::min(g.k, k_block) * rounded_up(std::min(g.m, m_packed), kernels.tile_rows);
    for (block.column = 0; block.column < g.n; block.column += n_block) {
        block.columns = std::min(n_block, g.n - block.column);
        for (block.depth = 0; block.depth < g.k; block.depth += k_block) {
            block.k = std::min(k_block, g.k - block.depth);
            for (block.row = 0; block.row < g.m; block.row += m_packed) {
                block.rows = std::min(m_packed, g.m - block.row);
                pack(g, kernels, block, block.row == 0, threads);
                multiply(g, kernels, block, threads);
            }
        }
    }
}

}  // namespace striate
