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
#include "winograd/residues.h"
#include "winograd/runs.h"
#include "winograd/schedule.h"
#include "winograd/weights.h"

namespace striate {

namespace {

constexpr std::int64_t items_per_thread = 8;  // of a phase that all threads share: enough to even out, few to fetch

// The part of [0, count) that is item `item` of `items`.
Range part(std::int64_t count, std::int64_t items, std::int64_t item) {
    return {part_of(count, items, item), part_of(count, items, item + 1)};
}

class WinogradPlan final : public ImagePlan {
public:
    WinogradPlan(const ConvShape& shape, const WinogradResidues& residues, const ConvOptions& options, int m)
        : batch_(shape.batch),
          threads_(options.threads),
          kernels_(STRIATE_KERNELS_OF(options.isa, winograd_kernels)),
          residues_(residues),
          transforms_(transforms_of(kernels_.transforms, m, residues_.rows.taps, residues_.columns.taps)),
          runs_(batch_, residues_.rows.outputs, residues_.columns.outputs, transforms_.rows, transforms_.columns,
                transforms_.run),
          maps_(maps_of(shape, residues, options.to, kernels_.lanes)),
          from_layout_(options.from),
          from_(strides_of(options.from, maps_.groups * maps_.in, residues_.rows.in_size, residues_.columns.in_size)),
          to_(whole_images(options, maps_.groups * maps_.out, residues_.rows.out_size, residues_.columns.out_size)),
          components_(transforms_.rows.components() * transforms_.columns.components()),
          sharing_(quotient_up(line_floats, maps_.lanes)) {
        const std::int64_t lanes = maps_.lanes;
        schedule_ = winograd_schedule({.runs = runs_.count,
                                       .tiles = [&](std::int64_t chunks) { return tiles_of_largest(chunks); },
                                       .components = components_,
                                       .in_maps = maps_.all_in_blocks() * lanes,
                                       .out_maps = maps_.all_pairs() * 2 * lanes,
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
        in_floats_ = components_ * in_component(most);
        out_floats_ = components_ * out_component(most);
        stream_ = outgrow(batch_ * maps_.groups * maps_.out * residues_.rows.out_size * residues_.columns.out_size,
                          options.cached_bytes);
    }

    std::int64_t packed_floats() const override {
        return maps_.groups * components_ * maps_.all_pairs() * maps_.panel();
    }

    std::int64_t workspace_floats() const override {
        const std::int64_t teams = schedule_.together ? 1 : threads_;
        return std::max(teams * (in_floats_ + out_floats_) + threads_ * scratch_floats(), std::int64_t{0});
    }

    void pack(const Filters& filters, float* packed) const override {
        pack_winograd(maps_, residues_, kernels_, transforms_, filters, threads_,
                      outgrow(packed_floats(), to_.cached_bytes), packed);
    }

    void run(const float* images, const float* packed, const Epilogue& epilogue, float* result,
             float* workspace) const override {
        const std::int64_t chunks = schedule_.chunks;
        const auto chunk_of = [&](std::int64_t index) { return Chunk{index / chunks, chunks_[index % chunks]}; };
        const Work work{images, packed, epilogue, result};
        if (schedule_.together) return run_together(work, maps_.groups * chunks, chunk_of, workspace);
        parallel_items(maps_.groups * chunks, threads_, [&](std::int64_t item, int member) {
            float* const in = workspace + member * (in_floats_ + out_floats_ + scratch_floats());
            float* const out = in + in_floats_;
            float* const scratch = out + out_floats_;
            const Chunk chunk = chunk_of(item);
            const std::int64_t products = components_ * maps_.all_pairs();
            WinogradAhead ahead;
            if (item + threads_ < maps_.groups * chunks) {
                ahead = ahead_of(work, chunk_of(item + threads_), {0, 1}, products * parts_of(chunk));
            }
            transform_in(work, chunk, {0, in_units(chunk.runs)}, in, scratch);
            multiply(work, chunk, {0, products}, in, out, ahead);
            transform_out(work, chunk, {0, out_units(chunk.runs)}, out, scratch);
        });
    }

private:
    static WinogradMaps maps_of(const ConvShape& shape, const WinogradResidues& residues, Layout to,
                                std::int64_t lanes) {
        const bool backward = residues.backward;
        const std::int64_t in = backward ? shape.group_out() : shape.group_in(),
                           out = backward ? shape.group_in() : shape.group_out();
        return {.groups = shape.groups,
                .in = in,
                .out = out,
                .lanes = lanes,
                .in_blocks = quotient_up(in, lanes),
                .out_blocks = quotient_up(stored_maps(to, out), lanes),
                .in_residues = backward ? 1 : residues.count(),
                .out_residues = backward ? residues.count() : 1};
    }

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

    // From one component to the next, of a chunk of so many tiles.
    std::int64_t in_component(std::int64_t tiles) const { return spaced(maps_.all_in_blocks() * tiles * maps_.lanes); }
    std::int64_t out_component(std::int64_t tiles) const { return spaced(2 * maps_.all_pairs() * tiles * maps_.lanes); }

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
            return phase % phases == in_phase         ? in_units(runs)
                   : phase % phases == products_phase ? components_ * maps_.all_pairs()
                                                      : out_units(runs);
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
        const bool one_image = last.image == first.image, is_part = one_image && last.top == first.top;
        const Range down = residues_.rows.under(
            {first.top, one_image ? last.top + runs_.rows.outputs(last.kind.short_down) : residues_.rows.outputs});
        // of a part of a row of tiles the pixels under it, else whole rows
        const Range along =
            is_part ? residues_.columns.under(
                          {first.left, last.left + last.tiles * runs_.columns.outputs(last.kind.short_along)})
                    : Range{0, residues_.columns.in_size};
        if (down.size() <= 0 || along.size() <= 0) return {};
        const std::int64_t map = chunk.group * maps_.in;
        const float* const at = work.images + first.image * from_.image + from_.of_map(map) + down.begin * from_.row +
                                along.begin * from_.pixel;
        WinogradAhead::Stretches rows{at, down.size(), from_.row, 4 * along.size() * from_.pixel};
        if (!is_part) rows = {at, 1, 0, rows.count * rows.bytes};  // rows lie side by side
        switch (from_layout_) {
            case Layout::nchw: {
                const Range maps = part(maps_.in, share.end, share.begin);
                rows.first += maps.begin * from_.map;
                return {rows, maps.end - maps.begin, from_.map, calls};
            }
            case Layout::blocked: {
                const Range blocks = part(quotient_up(maps_.in, maps_per_block), share.end, share.begin);
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

    // Units of the transforms are (residue, blocks of maps that share lines, run), runs of the same blocks side by
    // side.
    std::int64_t units_of(std::int64_t blocks, Range runs) const { return quotient_up(blocks, sharing_) * runs.size(); }
    std::int64_t in_units(Range runs) const { return maps_.in_residues * units_of(maps_.in_blocks, runs); }
    std::int64_t out_units(Range runs) const { return maps_.out_residues * units_of(maps_.out_blocks, runs); }

    void transform_in(const Work& work, const Chunk& chunk, Range units, float* in, float* scratch) const {
        const std::int64_t lanes = maps_.lanes, runs = chunk.runs.size();
        const WinogradChunkTiles order = tiles_of(chunk.runs);
        const std::int64_t tiles = order.count(), each = units_of(maps_.in_blocks, chunk.runs);
        for (std::int64_t unit = units.begin; unit < units.end; ++unit) {
            const std::int64_t index = unit / each, begin = unit % each / runs * sharing_;
            const auto& [down, along] = residues_[index];
            const WinogradRun run = runs_[chunk.runs.begin + unit % runs];
            const auto input = transforms_.tiles[run.kind.short_down][run.kind.short_along].input;
            for (std::int64_t block = begin; block < std::min(begin + sharing_, maps_.in_blocks); ++block) {
                const std::int64_t map = chunk.group * maps_.in + block * lanes;
                input({.image = work.images + run.image * from_.image + from_.of_map(map) + down.in_first * from_.row +
                                along.in_first * from_.pixel,
                       .strides = {from_.map, residues_.rows.in_step * from_.row,
                                   residues_.columns.in_step * from_.pixel},
                       .maps = std::min(lanes, maps_.in - block * lanes),
                       .height = down.in_pixels,
                       .width = along.in_pixels,
                       .top = run.top + down.top,
                       .left = run.left + along.top,
                       .tiles = run.tiles,
                       .components = in + ((index * maps_.in_blocks + block) * tiles + order.first(run)) * lanes,
                       .component = in_component(tiles),
                       .scratch = scratch});
            }
        }
    }

    // Units are (component, pair of blocks of the result), in the order in which their weights lie.
    void multiply(const Work& work, const Chunk& chunk, Range units, const float* in, float* out,
                  WinogradAhead& pixels) const {
        const std::int64_t lanes = maps_.lanes, panel = maps_.panel(), pairs = maps_.all_pairs();
        const WinogradChunkTiles order = tiles_of(chunk.runs);
        const std::int64_t tiles = order.count(), stretch = winograd_stretch(lanes);
        const float* const packed = work.packed + chunk.group * components_ * pairs * panel;
        for (std::int64_t unit = units.begin; unit < units.end;) {
            const std::int64_t component = unit / pairs, end = std::min((component + 1) * pairs, units.end);
            const Range own = order.with(component, transforms_.rows, transforms_.columns);
            const Range there = residues_.with(component, transforms_.rows, transforms_.columns);
            const Range terms = maps_.in_residues > 1 ? there : Range{0, 1};
            const std::int64_t first_block = terms.begin * maps_.in_blocks, maps = maps_.terms(terms.size());
            // parts as equal as can be: some of one tile more come first
            const std::int64_t parts = quotient_up(own.size(), kernels_.tile_rows);
            const std::int64_t rows = parts > 0 ? quotient_up(own.size(), parts) : 0;
            const std::int64_t longer = own.size() - (rows - 1) * parts;
            // the next panel is fetched meanwhile, evenly over the parts
            const std::int64_t lines =
                parts > 0 ? quotient_up(quotient_up(stretch * 2 * lanes, line_floats), parts) : 0;
            const float* const v = in + component * in_component(tiles) + (first_block * tiles + own.begin) * lanes;
            float* const of_component = out + component * out_component(tiles) + own.begin * lanes;
            for (; unit < end; ++unit) {
                const std::int64_t pair = unit - component * pairs;
                float* const sums = of_component + 2 * pair * tiles * lanes;
                if (maps_.out_residues > 1 && !there.has(pair / maps_.pairs())) {
                    for (const std::int64_t block : {0, 1}) {
                        std::fill_n(sums + block * tiles * lanes, own.size() * lanes, 0.0f);
                    }
                    continue;
                }
                const float* const weights = packed + unit * panel;
                WinogradProduct product{.v = v,
                                        .v_block = tiles * lanes,
                                        .u = weights + first_block * lanes * 2 * lanes,
                                        .maps = maps,
                                        .out = sums,
                                        .out_block = tiles * lanes,
                                        .rows = rows,
                                        .parts = longer,
                                        .next = weights + panel,
                                        .end = weights + (unit + 1 < units.end ? 2 * panel : 0),
                                        .lines = lines};
                for (std::int64_t left = parts; left > 0; product.rows = rows - 1, product.parts = left) {
                    kernels_.multiply(product);
                    pixels.fetch(product.parts);
                    const std::int64_t done = product.rows * product.parts;
                    product.v += done * lanes, product.out += done * lanes, left -= product.parts;
                    product.next += product.parts * (maps / stretch) * lines * line_floats;
                }
            }
        }
    }

    void transform_out(const Work& work, const Chunk& chunk, Range units, const float* out, float* scratch) const {
        const std::int64_t lanes = maps_.lanes, runs = chunk.runs.size();
        const WinogradChunkTiles order = tiles_of(chunk.runs);
        const std::int64_t tiles = order.count(), each = units_of(maps_.out_blocks, chunk.runs);
        float* const bias = scratch + transforms_.scratch_floats;
        const ImageStrides& to = to_.strides;
        const bool lines =
            sharing_ == 2 && work.epilogue.residual == nullptr && past_caches(to_, batch_, maps_.out, work.result);
        for (std::int64_t unit = units.begin; unit < units.end; ++unit) {
            const std::int64_t index = unit / each, begin = unit % each / runs * sharing_;
            const auto& [down, along] = residues_[index];
            const WinogradRun run = runs_[chunk.runs.begin + unit % runs];
            const auto output = transforms_.tiles[run.kind.short_down][run.kind.short_along].output;
            const std::int64_t end = std::min(begin + sharing_, maps_.out_blocks);
            for (std::int64_t block = begin; block < end; block += lines ? 2 : 1) {
                const std::int64_t map = chunk.group * maps_.out + block * lanes;
                // a blocked result has lanes beyond the last map, whose weights are zero
                const std::int64_t maps = std::clamp<std::int64_t>(maps_.out - block * lanes, 0, lanes);
                copy_bias(work.epilogue.bias, map, lines ? 2 * lanes : maps, 2 * lanes, bias);
                const std::int64_t image =
                    run.image * to.image + to.of_map(map) + down.out_first * to.row + along.out_first * to.pixel;
                output({.components = out + ((2 * index * maps_.pairs() + block) * tiles + order.first(run)) * lanes,
                        .component = out_component(tiles),
                        .tiles = run.tiles,
                        .image = work.result + image,
                        .residual = work.epilogue.residual == nullptr ? nullptr : work.epilogue.residual + image,
                        .strides = {to.map, residues_.rows.out_step * to.row, residues_.columns.out_step * to.pixel},
                        .maps = to_.whole_blocks ? lanes : maps,
                        .height = down.out_pixels,
                        .width = along.out_pixels,
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

    std::int64_t batch_, threads_;
    const WinogradKernels& kernels_;
    WinogradResidues residues_;
    const WinogradTransforms& transforms_;
    WinogradRuns runs_;
    WinogradMaps maps_;
    Layout from_layout_;
    ImageStrides from_;
    Place to_;
    bool stream_;              // the result goes past the caches
    std::int64_t components_;  // of a tile
    std::int64_t sharing_;     // blocks whose maps, side by side, are a line of the caches
    WinogradSchedule schedule_;
    std::vector<Range> chunks_;            // of one group: their runs
    std::int64_t in_floats_, out_floats_;  // components of a chunk, before and after the products
};

}  // namespace

std::unique_ptr<ImagePlan> winograd_images(const ConvShape& shape, const ConvOptions& options, int m) {
    return std::make_unique<WinogradPlan>(shape, WinogradResidues::forward(shape), options, m);
}

std::unique_ptr<ImagePlan> winograd_strided_backward_data(const ConvShape& shape, const ConvOptions& options, int m) {
    return std::make_unique<WinogradPlan>(shape, WinogradResidues::backward_data(shape), options, m);
}

}  // namespace striate
