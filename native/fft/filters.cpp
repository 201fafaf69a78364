#include "fft/filters.h"

#include <algorithm>

#include "fft/chunk.h"
#include "threads/phases.h"

namespace striate {

namespace {

class FftFilterPlan final : public FilterPlan {
public:
    FftFilterPlan(const ConvShape& shape, const ConvOptions& options)
        : shape_(shape),
          threads_(options.threads),
          kernels_(fft_kernels_of(options)),
          maps_(FftMaps::of(shape)),
          tiling_(*fft_tiling(Pass::backward_weights, shape, kernels_.lanes)),
          x_(strides_of(options.from, shape.in, shape.rows.size, shape.columns.size)),
          dy_(strides_of(options.to, shape.out, shape.rows.out(), shape.columns.out())) {
        const std::int64_t lanes = kernels_.lanes;
        in_blocks_ = quotient_up(maps_.in, lanes);
        of_block_ = maps_.lanewise ? 1 : maps_.in;
        out_blocks_ = quotient_up(maps_.out, lanes);
        tiles_ = shape.batch * tiling_.per_image();
        constexpr std::int64_t enough_tiles = 28;  // components of dw are written and read for each chunk
        // as if for one thread, so that chunks, and with them the order of sums, are the same for any number
        chunk_ = fft_chunk(tiles_, tiling_.components() * 2 * lanes * (in_blocks_ + out_blocks_), enough_tiles, 1);
        x_step_ = spaced(in_blocks_ * chunk_ * 2 * lanes);
        dy_step_ = spaced(out_blocks_ * chunk_ * 2 * lanes);
        dw_step_ = spaced(out_blocks_ * of_block_ * 2 * lanes);
    }

    std::int64_t workspace_floats() const override {
        return tiling_.components() * (x_step_ + dy_step_ + dw_step_) +
               threads_ * FftScratch::floats(tiling_, kernels_.lanes);
    }

    void run(const float* x, const float* dy, float* dw, float* workspace) const override {
        const std::int64_t chunks = quotient_up(tiles_, chunk_), components = tiling_.components();
        const std::int64_t phases = 2 * chunks + 1;  // of a group: tiles in and products, by turns; filters out
        const std::int64_t share = fft_share(components, chunk_ * of_block_ * out_blocks_ * kernels_.lanes, threads_);
        const auto of_phase = [&](std::int64_t phase) {
            const std::int64_t begin = phase % phases / 2 * chunk_;
            return FftChunk{phase / phases, begin, std::min(chunk_, tiles_ - begin)};
        };
        parallel_phases(
            maps_.groups * phases, threads_,
            [&](std::int64_t phase) {
                if (phase % phases == 2 * chunks) return out_blocks_ * of_block_;
                if (phase % phases % 2 == 1) return quotient_up(components, share);
                return of_phase(phase).tiles * (in_blocks_ + out_blocks_);
            },
            [&](std::int64_t phase, std::int64_t item, int member) {
                const FftScratch scratch = FftScratch::of(
                    tiling_, kernels_.lanes, workspace + components * (x_step_ + dy_step_ + dw_step_), member);
                if (phase % phases == 2 * chunks) return filter_out(phase / phases, item, workspace, scratch, dw);
                const FftChunk chunk = of_phase(phase);
                if (phase % phases % 2 == 0) {
                    const std::int64_t tiles_of_x = chunk.tiles * in_blocks_;
                    if (item < tiles_of_x) return x_in(chunk, x, item, workspace, scratch);
                    return dy_in(chunk, dy, item - tiles_of_x, workspace, scratch);
                }
                const std::int64_t end = std::min((item + 1) * share, components);
                for (std::int64_t i = item * share; i < end; ++i) multiply(chunk, i, workspace);
            });
    }

private:
    // [components] of x, then of dy, then of dw.
    float* dy_components(float* workspace) const { return workspace + tiling_.components() * x_step_; }
    float* dw_components(float* workspace) const { return dy_components(workspace) + tiling_.components() * dy_step_; }

    void x_in(const FftChunk& chunk, const float* x, std::int64_t item, float* workspace,
              const FftScratch& scratch) const {
        const FftImages tiles{kernels_, tiling_, shape_, x, x_, maps_.in};
        tiles.transform(chunk, item, workspace, x_step_, scratch);
    }

    // Only as many pixels as their windows fit the tile of x, and none whose window sees padding alone.
    void dy_in(const FftChunk& chunk, const float* dy, std::int64_t item, float* workspace,
               const FftScratch& scratch) const {
        const std::int64_t lanes = kernels_.lanes, block = item / chunk.tiles, tile = item % chunk.tiles;
        const std::int64_t map = chunk.group * maps_.out + block * lanes;
        const FftPlace at = FftPlace::of(tiling_, chunk.begin + tile);
        const FftSeen rows = FftSeen::of(shape_.rows), columns = FftSeen::of(shape_.columns);
        const float* const image = dy + at.image * dy_.image + dy_.of_map(map);
        kernels_.rows_in[tiling_.column_place]({.image = image + rows.begin * dy_.row + columns.begin * dy_.pixel,
                                                .strides = {dy_.map, dy_.row, dy_.pixel},
                                                .maps = std::min(lanes, maps_.out - block * lanes),
                                                .height = rows.end - rows.begin,
                                                .width = columns.end - columns.begin,
                                                .top = at.row - rows.begin,
                                                .left = at.column - columns.begin,
                                                .rows = tiling_.step_rows,
                                                .columns = tiling_.step_columns,
                                                .size = tiling_.rows,
                                                .half = scratch.half,
                                                .scratch = scratch.rows});
        kernels_.columns_in_conjugate[tiling_.row_place](
            scratch.half, tiling_.columns, dy_components(workspace) + (block * chunk.tiles + tile) * 2 * lanes,
            dy_step_, tiling_.scale());
    }

    // dw[block of k][c] += Σ over tiles of x[c] · conjugate dy[k], one component.
    void multiply(const FftChunk& chunk, std::int64_t component, float* workspace) const {
        const std::int64_t lanes = kernels_.lanes, maps = maps_.in, wide = 2 * lanes;
        const float* const x = workspace + component * x_step_;
        const float* const dy = dy_components(workspace) + component * dy_step_;
        float* const dw = dw_components(workspace) + component * dw_step_;
        for (std::int64_t block = 0; block < in_blocks_; ++block) {
            if (maps_.lanewise) {
                const std::int64_t at = block * chunk.tiles * wide;
                kernels_.sum_lanes({x + at, dy + at, dw + block * wide, chunk.tiles, chunk.begin > 0});
                continue;
            }
            const std::int64_t end = std::min((block + 1) * lanes, maps);
            std::int64_t parts = quotient_up(end - block * lanes, kernels_.tile_rows);
            for (std::int64_t c = block * lanes; c < end; --parts) {
                const std::int64_t rows = quotient_up(end - c, parts);
                for (std::int64_t out_block = 0; out_block < out_blocks_; ++out_block) {
                    kernels_.multiply({.v = x + block * chunk.tiles * wide + c % lanes,
                                       .v_block = 0,
                                       .v_row = 1,
                                       .v_term = wide,
                                       .u = dy + out_block * chunk.tiles * wide,
                                       .terms = chunk.tiles,
                                       .block_terms = chunk.tiles,
                                       .out = dw + (out_block * maps + c) * wide,
                                       .out_row = wide,
                                       .rows = rows,
                                       .more = chunk.begin > 0});
                }
                c += rows;
            }
        }
    }

    void filter_out(std::int64_t group, std::int64_t item, float* workspace, const FftScratch& scratch,
                    float* dw) const {
        const std::int64_t lanes = kernels_.lanes, taps = shape_.taps(), filter = shape_.group_in() * taps;
        const std::int64_t in = item % of_block_, out = item / of_block_ * lanes;
        std::fill_n(scratch.bias, lanes, 0.0f);
        kernels_.columns_out[tiling_.row_place](dw_components(workspace) + item * 2 * lanes, dw_step_, tiling_.columns,
                                                scratch.half);
        kernels_.rows_out[tiling_.column_place]({.half = scratch.half,
                                                 .image = dw + (group * maps_.out + out) * filter + in * taps,
                                                 .residual = nullptr,
                                                 .strides = {filter, shape_.columns.kernel, 1},
                                                 .maps = std::min(lanes, maps_.out - out),
                                                 .rows = shape_.rows.kernel,
                                                 .columns = shape_.columns.kernel,
                                                 .row_spread = shape_.rows.dilation,
                                                 .column_spread = shape_.columns.dilation,
                                                 .bias = scratch.bias,
                                                 .relu = false,
                                                 .scratch = scratch.rows});
    }

    ConvShape shape_;
    int threads_;
    const FftKernels& kernels_;
    FftMaps maps_;
    FftTiling tiling_;
    ImageStrides x_, dy_;
    std::int64_t in_blocks_, out_blocks_;      // blocks of `lanes` maps
    std::int64_t of_block_;                    // input maps that meet a block of output maps
    std::int64_t tiles_, chunk_;               // in all; worked on at a time
    std::int64_t x_step_, dy_step_, dw_step_;  // from one component to the next
};

}  // namespace

std::unique_ptr<FilterPlan> fft_filters(const ConvShape& shape, const ConvOptions& options) {
    return std::make_unique<FftFilterPlan>(shape, options);
}

}  // namespace striate
