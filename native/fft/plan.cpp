#include "fft/plan.h"

#include <algorithm>

#include "conv/bias.h"
#include "fft/bound.h"
#include "fft/chunk.h"
#include "fft/filters.h"
#include "threads/phases.h"

namespace striate {

namespace {

class FftImagePlan final : public ImagePlan {
public:
    FftImagePlan(const ConvShape& shape, const ConvOptions& options)
        : shape_(shape),
          threads_(options.threads),
          kernels_(fft_kernels_of(options)),
          maps_(FftMaps::of(shape)),
          tiling_(*fft_tiling(Pass::forward, shape, kernels_.lanes)),
          from_(strides_of(options.from, shape.in, shape.rows.size, shape.columns.size)),
          to_(strides_of(options.to, shape.out, shape.rows.out(), shape.columns.out())),
          padded_(options.to == Layout::blocked) {
        const std::int64_t lanes = kernels_.lanes;
        in_blocks_ = quotient_up(maps_.in, lanes);
        out_blocks_ = quotient_up(padded_ ? stored_maps(Layout::blocked, maps_.out) : maps_.out, lanes);
        tiles_ = shape.batch * tiling_.per_image();
        constexpr std::int64_t enough_tiles = 14;  // a whole row of products; more were slower, as measured
        chunk_ =
            fft_chunk(tiles_, tiling_.components() * 2 * lanes * (in_blocks_ + out_blocks_), enough_tiles, threads_);
        in_step_ = spaced(in_blocks_ * chunk_ * 2 * lanes);
        out_step_ = spaced(out_blocks_ * chunk_ * 2 * lanes);
        panel_ = (maps_.lanewise ? 1 : maps_.in) * 2 * lanes;
        weights_step_ = spaced(out_blocks_ * panel_);
    }

    std::int64_t packed_floats() const override {
        return maps_.groups * tiling_.components() * weights_step_ +
               threads_ * FftScratch::floats(tiling_, kernels_.lanes);
    }

    std::int64_t workspace_floats() const override {
        return tiling_.components() * (in_step_ + out_step_) + threads_ * FftScratch::floats(tiling_, kernels_.lanes);
    }

    // The conjugates of the filters' transforms: a correlation, not a convolution.
    void pack(const Filters& f, float* packed) const override {
        const std::int64_t lanes = kernels_.lanes, components = tiling_.components();
        const std::int64_t maps = maps_.lanewise ? 1 : maps_.in;     // that a filter takes
        const std::int64_t step = maps_.lanewise ? f.group : f.out;  // from one lane to the next
        float* const weights_end = packed + maps_.groups * components * weights_step_;
        const bool mirrored = f.column < 0;
        parallel_items(maps_.groups * out_blocks_ * maps, threads_, [&](std::int64_t item, int member) {
            const std::int64_t map = item % maps, block = item / maps % out_blocks_, group = item / maps / out_blocks_;
            const FftScratch scratch = FftScratch::of(tiling_, lanes, weights_end, member);
            const float* filter = f.data + group * f.group + block * lanes * step + map * f.in;
            if (mirrored) filter += (shape_.columns.kernel - 1) * f.column;
            kernels_.rows_in[tiling_.column_place](
                {.image = filter,
                 .strides = {step, f.row, mirrored ? -f.column : f.column},
                 .maps = std::clamp<std::int64_t>(maps_.out - block * lanes, 0, lanes),
                 .height = shape_.rows.kernel,
                 .width = shape_.columns.kernel,
                 .top = 0,
                 .left = 0,
                 .rows = shape_.rows.kernel,
                 .columns = shape_.columns.kernel,
                 .row_spread = shape_.rows.dilation,
                 .column_spread = shape_.columns.dilation,
                 .mirrored = mirrored,
                 .size = tiling_.rows,
                 .half = scratch.half,
                 .scratch = scratch.rows});
            kernels_.columns_in_conjugate[tiling_.row_place](
                scratch.half, tiling_.columns,
                packed + group * components * weights_step_ + block * panel_ + map * 2 * lanes, weights_step_,
                tiling_.scale());
        });
    }

    void run(const float* images, const float* packed, const Epilogue& epilogue, float* result,
             float* workspace) const override {
        const std::int64_t chunks = quotient_up(tiles_, chunk_), components = tiling_.components();
        const std::int64_t share = fft_share(components, chunk_ * panel_ / 2 * out_blocks_, threads_);
        const auto of_phase = [&](std::int64_t phase) {
            const std::int64_t chunk = phase / 3, begin = chunk % chunks * chunk_;
            return FftChunk{chunk / chunks, begin, std::min(chunk_, tiles_ - begin)};
        };
        parallel_phases(
            3 * maps_.groups * chunks, threads_,
            [&](std::int64_t phase) {
                const std::int64_t tiles = of_phase(phase).tiles;
                return phase % 3 == 0   ? tiles * in_blocks_
                       : phase % 3 == 1 ? quotient_up(components, share)
                                        : tiles * out_blocks_;
            },
            [&](std::int64_t phase, std::int64_t item, int member) {
                const FftChunk chunk = of_phase(phase);
                if (phase % 3 == 0) return tile_in(chunk, images, item, workspace, member);
                if (phase % 3 == 2) return tile_out(chunk, epilogue, result, item, workspace, member);
                const std::int64_t end = std::min((item + 1) * share, components);
                for (std::int64_t i = item * share; i < end; ++i) multiply(chunk, packed, i, workspace);
            });
    }

private:
    FftScratch run_scratch(float* workspace, int member) const {
        return FftScratch::of(tiling_, kernels_.lanes, workspace + tiling_.components() * (in_step_ + out_step_),
                              member);
    }

    void tile_in(const FftChunk& chunk, const float* images, std::int64_t item, float* workspace, int member) const {
        const FftImages tiles{kernels_, tiling_, shape_, images, from_, maps_.in};
        tiles.transform(chunk, item, workspace, in_step_, run_scratch(workspace, member));
    }

    void multiply(const FftChunk& chunk, const float* packed, std::int64_t component, float* workspace) const {
        const std::int64_t wide = 2 * kernels_.lanes, parts = quotient_up(chunk.tiles, kernels_.tile_rows);
        const float* const in = workspace + component * in_step_;
        float* const out = workspace + tiling_.components() * in_step_ + component * out_step_;
        const float* const weights = packed + (chunk.group * tiling_.components() + component) * weights_step_;
        for (std::int64_t block = 0; block < out_blocks_; ++block) {
            if (maps_.lanewise) {
                const std::int64_t at = block * chunk.tiles * wide;
                kernels_.multiply_lanes({in + at, weights + block * panel_, out + at, chunk.tiles, false});
                continue;
            }
            for (std::int64_t part = 0, t = 0; part < parts; ++part) {
                const std::int64_t count = quotient_up(chunk.tiles - t, parts - part);  // parts as equal as can be
                kernels_.multiply({.v = in + t * wide,
                                   .v_block = chunk.tiles * wide,
                                   .v_row = wide,
                                   .v_term = 1,
                                   .u = weights + block * panel_,
                                   .terms = maps_.in,
                                   .block_terms = kernels_.lanes,
                                   .out = out + (block * chunk.tiles + t) * wide,
                                   .out_row = wide,
                                   .rows = count,
                                   .more = false});
                t += count;
            }
        }
    }

    void tile_out(const FftChunk& chunk, const Epilogue& epilogue, float* result, std::int64_t item, float* workspace,
                  int member) const {
        const std::int64_t lanes = kernels_.lanes, block = item / chunk.tiles, tile = item % chunk.tiles;
        const std::int64_t map = chunk.group * maps_.out + block * lanes;
        const std::int64_t maps = std::clamp<std::int64_t>(maps_.out - block * lanes, 0, lanes);
        const FftPlace at = FftPlace::of(tiling_, chunk.begin + tile);
        const FftScratch scratch = run_scratch(workspace, member);
        copy_bias(epilogue.bias, map, maps, lanes, scratch.bias);
        const float* const components = workspace + tiling_.components() * in_step_;
        kernels_.columns_out[tiling_.row_place](components + (block * chunk.tiles + tile) * 2 * lanes, out_step_,
                                                tiling_.columns, scratch.half);
        const std::int64_t first = at.image * to_.image + to_.of_map(map) + at.row * to_.row + at.column * to_.pixel;
        kernels_.rows_out[tiling_.column_place](
            {.half = scratch.half,
             .image = result + first,
             .residual = epilogue.residual == nullptr ? nullptr : epilogue.residual + first,
             .strides = {to_.map, to_.row, to_.pixel},
             .maps = padded_ ? lanes : maps,
             .rows = std::min(tiling_.step_rows, shape_.rows.out() - at.row),
             .columns = std::min(tiling_.step_columns, shape_.columns.out() - at.column),
             .bias = scratch.bias,
             .relu = epilogue.relu,
             .scratch = scratch.rows});
    }

    ConvShape shape_;
    int threads_;
    const FftKernels& kernels_;
    FftMaps maps_;
    FftTiling tiling_;
    ImageStrides from_, to_;
    bool padded_;                                     // the result's maps come in whole blocks
    std::int64_t in_blocks_, out_blocks_;             // blocks of `lanes` maps
    std::int64_t tiles_, chunk_;                      // in all; worked on at a time
    std::int64_t in_step_, out_step_, weights_step_;  // from one component to the next
    std::int64_t panel_;                              // weights of one component and block of output maps
};

std::string refuses(Pass, const ConvShape& shape, const ConvOptions&) {
    for (const Axis& axis : {shape.rows, shape.columns}) {
        if (axis.stride != 1) return "takes stride 1, not " + std::to_string(axis.stride);
        if (axis.extent() > fft_largest) {
            return "takes filters of up to " + std::to_string(fft_largest) + " pixels, not " +
                   std::to_string(axis.extent());
        }
    }
    return {};
}

std::unique_ptr<ImagePlan> images(const ConvShape& shape, const ConvOptions& options) {
    return std::make_unique<FftImagePlan>(shape, options);
}

}  // namespace

const ConvAlgorithm fft_algorithm = {
    .name = "fft", .refuses = refuses, .images = images, .filters = fft_filters, .error_bound = fft_error_bound};

}  // namespace striate
