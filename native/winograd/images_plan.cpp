#include "winograd/images_plan.h"

#include <algorithm>
#include <vector>

#include "conv/bias.h"
#include "conv/components.h"
#include "conv/division.h"
#include "conv/parts.h"
#include "dispatch/caches.h"
#include "dispatch/kernels.h"
#include "threads/phases.h"
#include "winograd/ahead.h"
#include "winograd/kernels.h"
#include "winograd/runs.h"
#include "winograd/schedule.h"

namespace striate {

namespace {

constexpr std::int64_t items_per_thread = 8;  // of a phase that all threads share: enough to even out, few to fetch

// The part of [0, count) that is item `item` of `items`.
Range part(std::int64_t count, std::int64_t items, std::int64_t item) {
    return {part_of(count, items, item), part_of(count, items, item + 1)};
}

class WinogradPlan final : public ImagePlan {
public:
    WinogradPlan(const ConvShape& shape, const ConvOptions& options, int m)
        : shape_(shape),
          threads_(options.threads),
          kernels_(STRIATE_KERNELS_OF(options.isa, winograd_kernels)),
          transforms_(transforms_of(kernels_.transforms, shape, m)),
          runs_(shape, transforms_.rows, transforms_.columns, transforms_.run),
          from_layout_(options.from),
          from_(strides_of(options.from, shape.in, shape.rows.size, shape.columns.size)),
          to_(whole_images(options, shape.out, shape.rows.out(), shape.columns.out())) {
        const std::int64_t lanes = kernels_.lanes;
        components_ = transforms_.rows.components() * transforms_.columns.components();
        in_blocks_ = quotient_up(shape.group_in(), lanes);
        out_blocks_ =
            quotient_up(to_.whole_blocks ? stored_maps(Layout::blocked, shape.group_out()) : shape.group_out(), lanes);
        out_pairs_ = quotient_up(out_blocks_, 2);
        sharing_ = quotient_up(line_floats, lanes);
        schedule_ = winograd_schedule({.runs = runs_.count,
                                       .tiles = [&](std::int64_t chunks) { return tiles_of_largest(chunks); },
                                       .components = components_,
                                       .in_maps = in_blocks_ * lanes,
                                       .out_maps = out_pairs_ * 2 * lanes,
                                       .lanes = lanes,
                                       .tile_rows = kernels_.tile_rows,
                                       .threads = threads_,
                                       .cache_bytes = second_cache_bytes(),
                                       .third_cache_is_near = third_cache_is_near()});
        std::int64_t most = 0;  // tiles of a chunk
        for (std::int64_t chunk = 0; chunk < schedule_.chunks; ++chunk) {
            chunks_.push_back(runs_.chunk(chunk, schedule_.chunks));
            most = std::max(most, tiles_of(chunks_.back()).count());
        }
        in_floats_ = components_ * spaced(in_blocks_ * most * lanes);
        out_floats_ = components_ * spaced(2 * out_pairs_ * most * lanes);
        stream_ = outgrow(shape.batch * shape.out * shape.out_pixels(), options.cached_bytes);
    }

    std::int64_t packed_floats() const override { return shape_.groups * components_ * out_pairs_ * panel(); }

    std::int64_t workspace_floats() const override {
        const std::int64_t teams = schedule_.together ? 1 : threads_;
        return std::max(teams * (in_floats_ + out_floats_) + threads_ * scratch_floats(), std::int64_t{0});
    }

    // Components of a few maps at a time are made in the first cache and leave it in whole lines: in `packed` those of
    // one map lie apart by powers of two, on one set of every cache.
    void pack(const Filters& filters, float* packed) const override {
        const std::int64_t lanes = kernels_.lanes, taps = transforms_.rows.r * transforms_.columns.r;
        const std::int64_t few = few_weights / (2 * lanes);
        const bool past_caches = outgrow(packed_floats(), to_.cached_bytes);
        parallel_items(shape_.groups * out_pairs_ * in_blocks_, threads_, [&](std::int64_t item, int) {
            const std::int64_t block = item % in_blocks_, pair = item / in_blocks_ % out_pairs_,
                               group = item / in_blocks_ / out_pairs_;
            alignas(64) float gathered[2][taps_floats], transformed[most_components * few_step];
            const std::int64_t channels = std::min(lanes, shape_.group_in() - block * lanes);
            for (std::int64_t half = 0; half < 2; ++half) {
                const std::int64_t map = (2 * pair + half) * lanes;
                transforms_.gather({.data = filters.data + group * filters.group +
                                            std::min(map, shape_.group_out() - 1) * filters.out +
                                            block * lanes * filters.in,
                                    .out = filters.out,
                                    .in = filters.in,
                                    .row = filters.row,
                                    .column = filters.column,
                                    .maps = std::clamp<std::int64_t>(shape_.group_out() - map, 0, lanes),
                                    .channels = channels,
                                    .taps = gathered[half]});
            }
            float* const to = packed + (group * components_ * out_pairs_ + pair) * panel() + block * lanes * 2 * lanes;
            for (std::int64_t first = 0; first < channels; first += few) {
                const std::int64_t count = std::min(few, channels - first);
                for (std::int64_t half = 0; half < 2; ++half) {
                    transforms_.filters({.taps = gathered[half] + first * taps * lanes,
                                         .channels = count,
                                         .components = transformed + half * lanes,
                                         .component = few_step,
                                         .channel = 2 * lanes});
                }
                for (std::int64_t k = 0; k < components_; ++k) {
                    kernels_.copy(transformed + k * few_step, count * 2 * lanes,
                                  to + k * out_pairs_ * panel() + first * 2 * lanes, past_caches);
                }
            }
            if (past_caches) kernels_.settle();
        });
    }

    void run(const float* images, const float* packed, const Epilogue& epilogue, float* result,
             float* workspace) const override {
        const std::int64_t chunks = schedule_.chunks;
        const auto chunk_of = [&](std::int64_t index) { return Chunk{index / chunks, chunks_[index % chunks]}; };
        const Work work{images, packed, epilogue, result};
        if (schedule_.together) return run_together(work, shape_.groups * chunks, chunk_of, workspace);
        parallel_items(shape_.groups * chunks, threads_, [&](std::int64_t item, int member) {
            float* const in = workspace + member * (in_floats_ + out_floats_ + scratch_floats());
            float* const out = in + in_floats_;
            float* const scratch = out + out_floats_;
            const Chunk chunk = chunk_of(item);
            const std::int64_t products = components_ * out_pairs_;
            WinogradAhead ahead;
            if (item + threads_ < shape_.groups * chunks) {
                ahead = ahead_of(work, chunk_of(item + threads_), {0, 1}, products * parts_of(chunk));
            }
            transform_in(work, chunk, {0, units_of(in_blocks_, chunk.runs)}, in, scratch);
            multiply(work, chunk, {0, products}, in, out, ahead);
            transform_out(work, chunk, {0, units_of(out_blocks_, chunk.runs)}, out, scratch);
        });
    }

private:
    static constexpr std::int64_t taps_floats = winograd_taps_floats(16, 49),
                                  most_components = largest_size * largest_size;  // at most
    // Weights of a component that are packed together, and from one component to the next.
    static constexpr std::int64_t few_weights = 128, few_step = few_weights + line_floats;

    struct Work {
        const float *images, *packed;
        const Epilogue& epilogue;
        float* result;
    };

    // Some runs of tiles of one group.
    struct Chunk {
        std::int64_t group;
        Range runs;
    };

    std::int64_t panel() const { return shape_.group_in() * 2 * kernels_.lanes; }  // weights of one component and pair
    std::int64_t scratch_floats() const { return transforms_.scratch_floats + 2 * kernels_.lanes; }

    // Tiles of the largest of so many chunks, in the mean over components; of a middling one where there are many:
    // threads that take smaller ones take more of them.
    double tiles_of_largest(std::int64_t chunks) const {
        const auto tiles = [&](std::int64_t products) {
            return static_cast<double>(products) / static_cast<double>(components_);
        };
        if (chunks > 4 * threads_) return tiles(runs_.products_before(runs_.count)) / static_cast<double>(chunks);
        std::int64_t most = 0;
        for (std::int64_t index = 0; index < chunks; ++index) {
            const Range runs = runs_.chunk(index, chunks);
            most = std::max(most, runs_.products_before(runs.end) - runs_.products_before(runs.begin));
        }
        return tiles(most);
    }

    WinogradChunkTiles tiles_of(Range runs) const { return {runs_, runs}; }

    // Tiles of a chunk that are in registers at a time: so many parts of the products, at most.
    std::int64_t parts_of(const Chunk& chunk) const {
        return quotient_up(tiles_of(chunk.runs).count(), kernels_.tile_rows);
    }

    template <typename ChunkOf>
    void run_together(const Work& work, std::int64_t chunks, const ChunkOf& chunk_of, float* workspace) const {
        float* const in = workspace;
        float* const out = in + in_floats_;
        float* const scratches = out + out_floats_;
        enum { in_phase, products_phase, out_phase, phases };
        const auto units = [&](std::int64_t phase) {
            const Range runs = chunk_of(phase / phases).runs;
            return phase % phases == in_phase         ? units_of(in_blocks_, runs)
                   : phase % phases == products_phase ? components_ * out_pairs_
                                                      : units_of(out_blocks_, runs);
        };
        const auto items = [&](std::int64_t phase) { return std::min(units(phase), threads_ * items_per_thread); };
        parallel_phases(phases * chunks, threads_, items, [&](std::int64_t phase, std::int64_t item, int member) {
            const Chunk chunk = chunk_of(phase / phases);
            const Range range = part(units(phase), items(phase), item);
            float* const scratch = scratches + member * scratch_floats();
            if (phase % phases == in_phase) {
                transform_in(work, chunk, range, in, scratch);
            } else if (phase % phases == products_phase) {
                WinogradAhead ahead;
                if (phase / phases + 1 < chunks) {
                    ahead = ahead_of(work, chunk_of(phase / phases + 1), {item, items(phase)},
                                     range.size() * parts_of(chunk));
                }
                multiply(work, chunk, range, in, out, ahead);
            } else {
                transform_out(work, chunk, range, out, scratch);
            }
        });
    }

    // Fetches part `share.begin` of `share.end` of what `chunk` will read (of its first image), in `calls` calls.
    WinogradAhead ahead_of(const Work& work, const Chunk& chunk, Range share, std::int64_t calls) const {
        if (chunk.runs.size() == 0) return {};
        const WinogradRun first = runs_[chunk.runs.begin], last = runs_[chunk.runs.end - 1];
        const auto pixels = [](const Axis& axis, std::int64_t begin, std::int64_t end) {  // under those of the result
            return Range{std::max<std::int64_t>(0, begin - axis.low),
                         std::min(axis.size, end + axis.kernel - 1 - axis.low)};
        };
        const bool one_image = last.image == first.image, is_part = one_image && last.top == first.top;
        const Range down = pixels(shape_.rows, first.top,
                                  one_image ? last.top + runs_.rows.outputs(last.kind.short_down) : shape_.rows.out());
        // of a part of a row of tiles the pixels under it, else whole rows
        const Range along = is_part ? pixels(shape_.columns, first.left,
                                             last.left + last.tiles * runs_.columns.outputs(last.kind.short_along))
                                    : Range{0, shape_.columns.size};
        if (down.size() <= 0 || along.size() <= 0) return {};
        const std::int64_t map = chunk.group * shape_.group_in();
        const float* const at = work.images + first.image * from_.image + from_.of_map(map) + down.begin * from_.row +
                                along.begin * from_.pixel;
        WinogradAhead::Stretches rows{at, down.size(), from_.row, 4 * along.size() * from_.pixel};
        if (!is_part) rows = {at, 1, 0, rows.count * rows.bytes};  // rows lie side by side
        switch (from_layout_) {
            case Layout::nchw: {
                const Range maps = part(shape_.group_in(), share.end, share.begin);
                rows.first += maps.begin * from_.map;
                return {rows, maps.end - maps.begin, from_.map, calls};
            }
            case Layout::blocked: {
                const Range blocks = part(quotient_up(shape_.group_in(), maps_per_block), share.end, share.begin);
                rows.first += blocks.begin * from_.block;
                return {rows, blocks.end - blocks.begin, from_.block, calls};
            }
            case Layout::channels_last: break;
        }
        const Range lines = part(rows.bytes / 64, share.end, share.begin);
        rows.first += 16 * lines.begin;
        rows.bytes = 64 * (lines.end - lines.begin);
        return {rows, 1, 0, calls};
    }

    // Units of the transforms are (blocks of maps that share lines, run), runs of the same blocks side by side.
    std::int64_t units_of(std::int64_t blocks, Range runs) const { return quotient_up(blocks, sharing_) * runs.size(); }

    void transform_in(const Work& work, const Chunk& chunk, Range units, float* in, float* scratch) const {
        const std::int64_t lanes = kernels_.lanes, runs = chunk.runs.size();
        const WinogradChunkTiles order = tiles_of(chunk.runs);
        const std::int64_t tiles = order.count();
        for (std::int64_t unit = units.begin; unit < units.end; ++unit) {
            const std::int64_t begin = unit / runs * sharing_;
            const WinogradRun run = runs_[chunk.runs.begin + unit % runs];
            const auto input = transforms_.tiles[run.kind.short_down][run.kind.short_along].input;
            for (std::int64_t block = begin; block < std::min(begin + sharing_, in_blocks_); ++block) {
                const std::int64_t map = chunk.group * shape_.group_in() + block * lanes;
                input({.image = work.images + run.image * from_.image + from_.of_map(map),
                       .strides = {from_.map, from_.row, from_.pixel},
                       .maps = std::min(lanes, shape_.group_in() - block * lanes),
                       .height = shape_.rows.size,
                       .width = shape_.columns.size,
                       .top = run.top - shape_.rows.low,
                       .left = run.left - shape_.columns.low,
                       .tiles = run.tiles,
                       .components = in + (block * tiles + order.first(run)) * lanes,
                       .component = spaced(in_blocks_ * tiles * lanes),
                       .scratch = scratch});
            }
        }
    }

    // Units are (component, pair of blocks of the result), in the order in which their weights lie.
    void multiply(const Work& work, const Chunk& chunk, Range units, const float* in, float* out,
                  WinogradAhead& pixels) const {
        const std::int64_t lanes = kernels_.lanes;
        const WinogradChunkTiles order = tiles_of(chunk.runs);
        const std::int64_t tiles = order.count();
        const std::int64_t in_step = spaced(in_blocks_ * tiles * lanes),
                           out_step = spaced(2 * out_pairs_ * tiles * lanes);
        const std::int64_t stretch = winograd_stretch(lanes);
        const float* weights = work.packed + (chunk.group * components_ * out_pairs_ + units.begin) * panel();
        for (std::int64_t unit = units.begin; unit < units.end; ++unit, weights += panel()) {
            const std::int64_t component = unit / out_pairs_, pair = unit % out_pairs_;
            const Range own = order.with(component, transforms_.rows, transforms_.columns);
            const std::int64_t parts = quotient_up(own.size(), kernels_.tile_rows);
            // the next panel is fetched meanwhile, evenly over the parts
            const std::int64_t lines =
                parts > 0 ? quotient_up(quotient_up(stretch * 2 * lanes, line_floats), parts) : 0;
            WinogradProduct product{.v = in + component * in_step + own.begin * lanes,
                                    .v_block = tiles * lanes,
                                    .u = weights,
                                    .maps = shape_.group_in(),
                                    .out = out + component * out_step + (2 * pair * tiles + own.begin) * lanes,
                                    .out_block = tiles * lanes,
                                    .rows = 0,
                                    .parts = 0,
                                    .next = weights + panel(),
                                    .end = weights + (unit + 1 < units.end ? 2 * panel() : 0),
                                    .lines = lines};
            // parts as equal as can be: some of one tile more come first
            for (std::int64_t left = own.size(), each = parts; left > 0; each -= product.parts) {
                product.rows = quotient_up(left, each);
                product.parts = left - (product.rows - 1) * each;
                kernels_.multiply(product);
                pixels.fetch(product.parts);
                const std::int64_t done = product.rows * product.parts;
                product.v += done * lanes, product.out += done * lanes, left -= done;
                product.next += product.parts * (shape_.group_in() / stretch) * lines * line_floats;
            }
        }
    }

    void transform_out(const Work& work, const Chunk& chunk, Range units, const float* out, float* scratch) const {
        const std::int64_t lanes = kernels_.lanes, runs = chunk.runs.size();
        const WinogradChunkTiles order = tiles_of(chunk.runs);
        const std::int64_t tiles = order.count();
        float* const bias = scratch + transforms_.scratch_floats;
        const ImageStrides& to = to_.strides;
        const bool lines = sharing_ == 2 && work.epilogue.residual == nullptr &&
                           past_caches(to_, shape_.batch, shape_.group_out(), work.result);
        for (std::int64_t unit = units.begin; unit < units.end; ++unit) {
            const std::int64_t begin = unit / runs * sharing_;
            const WinogradRun run = runs_[chunk.runs.begin + unit % runs];
            const auto output = transforms_.tiles[run.kind.short_down][run.kind.short_along].output;
            for (std::int64_t block = begin; block < std::min(begin + sharing_, out_blocks_); block += lines ? 2 : 1) {
                const std::int64_t map = chunk.group * shape_.group_out() + block * lanes;
                // a blocked result has lanes beyond the last map, whose weights are zero
                const std::int64_t maps = std::clamp<std::int64_t>(shape_.group_out() - block * lanes, 0, lanes);
                copy_bias(work.epilogue.bias, map, lines ? 2 * lanes : maps, 2 * lanes, bias);
                const std::int64_t image = run.image * to.image + to.of_map(map);
                output({.components = out + (block * tiles + order.first(run)) * lanes,
                        .component = spaced(2 * out_pairs_ * tiles * lanes),
                        .tiles = run.tiles,
                        .image = work.result + image,
                        .residual = work.epilogue.residual == nullptr ? nullptr : work.epilogue.residual + image,
                        .strides = {to.map, to.row, to.pixel},
                        .maps = to_.whole_blocks ? lanes : maps,
                        .height = shape_.rows.out(),
                        .width = shape_.columns.out(),
                        .top = run.top,
                        .left = run.left,
                        .bias = bias,
                        .relu = work.epilogue.relu,
                        .stream = stream_,
                        .next = lines ? tiles * lanes : 0,
                        .scratch = scratch});
            }
        }
        if (stream_) kernels_.settle();
    }

    ConvShape shape_;
    std::int64_t threads_;
    const WinogradKernels& kernels_;
    const WinogradTransforms& transforms_;
    WinogradRuns runs_;
    Layout from_layout_;
    ImageStrides from_;
    Place to_;
    bool stream_;                                      // the result goes past the caches
    std::int64_t components_;                          // of a tile
    std::int64_t in_blocks_, out_blocks_, out_pairs_;  // blocks of `lanes` maps of a group; pairs of such blocks
    std::int64_t sharing_;                             // blocks whose maps, side by side, are a line of the caches
    WinogradSchedule schedule_;
    std::vector<Range> chunks_;            // of one group: their runs
    std::int64_t in_floats_, out_floats_;  // components of a chunk, before and after the products
};

}  // namespace

std::unique_ptr<ImagePlan> winograd_images(const ConvShape& shape, const ConvOptions& options, int m) {
    return std::make_unique<WinogradPlan>(shape, options, m);
}

}  // namespace striate
