// Operands packed whole, before the products that use them.
#include "dispatch/kernels.h"
#include "gemm/blocks.h"
#include "gemm/gemm.h"
#include "gemm/kernels.h"
#include "threads/phases.h"

namespace striate {

namespace {

// visit(block, panel) for all of them, in parallel.
template <typename Visit>
void for_each_panel(const DepthBlocks& depth, std::int64_t panels, int threads, Visit visit) {
    parallel_items(panels, threads, [&](std::int64_t panel, int) {
        for (std::int64_t block = 0; block < depth.count; ++block) visit(block, panel);
    });
}

}  // namespace

GemmTileSize gemm_tile(Isa isa) {
    const GemmKernels& kernels = STRIATE_KERNELS_OF(isa, gemm_kernels);
    return {kernels.tile_rows, kernels.tile_columns};
}

std::int64_t gemm_packed_a_floats(std::int64_t m, std::int64_t k, Isa isa) {
    return rounded_up(m, gemm_tile(isa).rows) * k;
}

std::int64_t gemm_packed_b_floats(std::int64_t n, std::int64_t k, Isa isa) {
    return rounded_up(n, gemm_tile(isa).columns) * k;
}

void gemm_pack_a(const Matrix& a, std::int64_t m, std::int64_t k, float* packed, Isa isa, int threads) {
    const GemmKernels& kernels = STRIATE_KERNELS_OF(isa, gemm_kernels);
    const std::int64_t width = kernels.tile_rows, panels = quotient_up(m, width);
    const DepthBlocks depth(k);
    for_each_panel(depth, panels, threads, [&](std::int64_t block, std::int64_t panel) {
        kernels.pack_a(a.data + panel * width * a.row + depth.begin(block) * a.column, a.row, a.column,
                       std::min(width, m - panel * width), depth.size(block),
                       packed + packed_panel(depth, block, panels, width, panel));
    });
}

void gemm_pack_b(const Matrix& b, std::int64_t n, std::int64_t k, float* packed, Isa isa, int threads) {
    const GemmKernels& kernels = STRIATE_KERNELS_OF(isa, gemm_kernels);
    const std::int64_t width = kernels.tile_columns, panels = quotient_up(n, width);
    const DepthBlocks depth(k);
    for_each_panel(depth, panels, threads, [&](std::int64_t block, std::int64_t panel) {
        kernels.pack_b(b.data + depth.begin(block) * b.row + panel * width * b.column, b.row, b.column,
                       std::min(width, n - panel * width), depth.size(block),
                       packed + packed_panel(depth, block, panels, width, panel));
    });
}

}  // namespace striate
