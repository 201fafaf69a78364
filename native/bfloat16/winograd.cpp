// Winograd's F(2×2, 3×3) and F(4×4, 3×3) in bfloat16 (docs/algorithms/bf16.md).
//
// Tiles are transformed in float32 and rounded once to bfloat16, as are transformed weights; products are summed in
// float32, and sums leave their transform for the result's one rounding. Two schedules: a thread takes a chunk of tiles
// through all three steps, if the weights stay in its second cache meanwhile; else all threads transform many tiles
// together and share the products out by maps of the result, so that weights are read from memory once.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "bfloat16/plan.h"
#include "conv/bias.h"
#include "conv/division.h"
#include "dispatch/caches.h"
#include "threads/phases.h"
#include "winograd/error.h"
#include "winograd/images_plan.h"
#include "winograd/plan.h"
#include "winograd/runs.h"

namespace striate {

namespace {

constexpr std::int64_t alone_tiles = 64;  // of a chunk: enough for two tiles of AMX by two
constexpr std::int64_t alone_pairs = 2;   // of blocks of maps, in one product, where weights come from afar
constexpr std::int64_t most_pairs = 4;    // of an item, in a chunk that threads share
constexpr std::int64_t alone_maps = 256;  // whose tiles still stay near the second cache
constexpr std::int64_t shared_bytes =
    12 << 20;                              // of transformed images that threads share: they stay in the last cache
constexpr std::int64_t line_numbers = 32;  // bfloat16 numbers of a cache's line

// From one component to the next: components that lay a power of two apart would fall on the same lines of a cache.
std::int64_t spaced(std::int64_t numbers) { return rounded_up(numbers, 2048) + 7 * line_numbers; }

template <typename Element>
class WinogradPlan final : public BfloatPlanOf<Element> {
public:
    WinogradPlan(const ConvShape& shape, const BfloatOptions& options, int m)
        : shape_(shape),
          threads_(std::max(1, options.threads)),
          kernels_(bfloat_kernels_of<Element>(options.unit)),
          transforms_(transforms_of(kernels_.transforms, m, shape.rows.kernel, shape.columns.kernel)),
          tile_(transforms_.tiles[0][0]),
          runs_(shape.batch, shape.rows.out(), shape.columns.out(), transforms_.rows, transforms_.columns,
                transforms_.run),
          filters_(transforms_of(floats_of(options.unit).transforms, m, shape.rows.kernel, shape.columns.kernel)),
          from_(strides_of(options.from, shape.in, shape.rows.size, shape.columns.size)),
          to_(strides_of(options.to, shape.out, shape.rows.out(), shape.columns.out())),
          padded_(options.to == Layout::blocked) {
        components_ = transforms_.rows.components() * transforms_.columns.components();
        blocks_ = quotient_up(shape.group_in(), terms_per_block);
        pairs_ = quotient_up(shape.group_out(), maps_per_pair);
        const std::int64_t weight_bytes = 2 * components_ * pairs_ * panel();
        const std::int64_t all_tiles = runs_.count * runs_.columns.tiles() / runs_.of_row;
        // where weights come from beyond the second cache, fewer pass by when threads share them out
        const bool is_far = weight_bytes > second_cache_bytes() * 5 / 8;
        together_ = threads_ > 1 && is_far && (shape.group_in() > alone_maps || all_tiles < threads_ * alone_tiles);
        ahead_ = is_far;
        const std::int64_t tile_bytes = 2 * components_ * blocks_ * block_numbers;
        const std::int64_t tiles = together_ ? std::max(part_tiles, shared_bytes / tile_bytes) : alone_tiles;
        // chunks of equal numbers of runs, for all threads the same number of chunks
        std::int64_t chunks = std::max<std::int64_t>(1, quotient_up(all_tiles, tiles));
        if (!together_) chunks = rounded_up(chunks, threads_);
        chunk_runs_ = quotient_up(runs_.count, std::min(chunks, runs_.count));
        part_runs_ = chunk_runs_;
        at_once_ = is_far ? std::min(alone_pairs, pairs_) : 1;
        if (together_) {
            const std::int64_t chunk_tiles =
                std::max<std::int64_t>(1, chunk_runs_ * runs_.columns.tiles() / runs_.of_row);
            const std::int64_t shared_parts = quotient_up(chunk_tiles, part_tiles);
            part_runs_ = quotient_up(chunk_runs_, shared_parts);
            // sums fill half of a second cache at most, and every thread has two items at least
            const std::int64_t pair_bytes = 4 * components_ * maps_per_pair * most_tiles(part_runs_);
            at_once_ = std::clamp<std::int64_t>(
                std::min(second_cache_bytes() / 2 / pair_bytes, pairs_ * shared_parts / (2 * threads_)), 1, most_pairs);
        }
        in_numbers_ = components_ * spaced(blocks_ * block_numbers * most_tiles(chunk_runs_));
        out_floats_ = components_ * spaced(at_once_ * maps_per_pair * most_tiles(part_runs_));
    }

    std::int64_t packed_bytes() const override { return 2 * shape_.groups * components_ * pairs_ * panel(); }

    std::int64_t workspace_bytes() const override {
        return (together_ ? in_bytes() : threads_ * in_bytes()) + threads_ * member_bytes();
    }

    void pack(const Filters& filters, void* packed) const override {
        const std::int64_t lanes = filter_lanes();
        parallel_items(shape_.groups * pairs_ * blocks_, threads_, [&](std::int64_t item, int) {
            const std::int64_t block = item % blocks_, pair = item / blocks_ % pairs_, group = item / blocks_ / pairs_;
            auto* const to = static_cast<Bfloat16*>(packed) + (group * pairs_ + pair) * components_ * panel() +
                             block * parts * pair_weights;
            alignas(64) float scratch[taps_floats];
            alignas(64) float transformed[most_components * 2 * 16];  // two maps of the input, 16 of the result
            for (std::int64_t two = 0; two < terms_per_block / 2; ++two) {
                const std::int64_t term = block * terms_per_block + 2 * two;
                const std::int64_t channels = std::clamp<std::int64_t>(shape_.group_in() - term, 0, 2);
                for (std::int64_t half = 0; half < 2; ++half) {
                    std::memset(transformed, 0, sizeof transformed);
                    for (std::int64_t lane = 0; channels > 0 && lane < 16; lane += lanes) {
                        const std::int64_t map = pair * maps_per_pair + half * 16 + lane;
                        if (map >= shape_.group_out()) break;
                        transform_filters(filters, group, map, term, channels, transformed + lane, scratch);
                    }
                    for (std::int64_t k = 0; k < components_; ++k) {
                        kernels_.interleave(transformed + k * 32, transformed + k * 32 + 16,
                                            to + k * panel() + half * pair_weights / 2 + two * 32);
                    }
                }
            }
        });
    }

    void run(const Element* images, const void* packed, const BfloatEpilogueOf<Element>& epilogue, Element* result,
             void* workspace) const override {
        const Work work{images, static_cast<const Bfloat16*>(packed), epilogue, result};
        auto* const bytes = static_cast<std::byte*>(workspace);
        const std::int64_t chunks = quotient_up(runs_.count, chunk_runs_);
        const auto chunk_of = [&](std::int64_t index) {
            const std::int64_t begin = index % chunks * chunk_runs_;
            return Chunk{index / chunks, {begin, std::min(begin + chunk_runs_, runs_.count)}};
        };
        if (together_) return run_together(work, shape_.groups * chunks, chunk_of, bytes);
        parallel_items(shape_.groups * chunks, threads_, [&](std::int64_t item, int member) {
            std::byte* const own = bytes + member * (in_bytes() + member_bytes());
            auto* const in = reinterpret_cast<Bfloat16*>(own);
            const Chunk chunk = chunk_of(item);
            transform_in(work, chunk, {0, in_blocks() * chunk.runs.size()}, in, scratch_at(own + in_bytes()));
            for (std::int64_t pair = 0; pair < pairs_; pair += at_once_) {
                products(work, chunk, chunk.runs, pair, in, own + in_bytes());
            }
        });
    }

private:
    static constexpr std::int64_t parts = parts_of<Element>;
    static constexpr std::int64_t block_numbers = parts * terms_per_block;  // of a tile
    static constexpr std::int64_t part_tiles = parts == 1 ? 64 : 104;       // of an item in a chunk that threads share
    static constexpr std::int64_t taps_floats = winograd_taps_floats(16, 9);
    static constexpr std::int64_t most_components = 36;

    struct Work {
        const Element* images;
        const Bfloat16* packed;
        const BfloatEpilogueOf<Element>& epilogue;
        Element* result;
    };

    // Some runs of tiles of one group.
    struct Chunk {
        std::int64_t group;
        Range runs;
    };

    // Weights are transformed by the kernels for floats.
    static const WinogradKernels& floats_of(BfloatUnit unit) {
#if defined(STRIATE_X86_KERNELS)
        if (unit == BfloatUnit::avx2) return avx2::winograd_kernels;
        if (unit != BfloatUnit::portable) return avx512::winograd_kernels;
#endif
        static_cast<void>(unit);
        return portable::winograd_kernels;
    }
    std::int64_t filter_lanes() const { return kernels_.lanes; }  // the same registers

    void transform_filters(const Filters& filters, std::int64_t group, std::int64_t map, std::int64_t term,
                           std::int64_t channels, float* to, float* scratch) const {
        filters_.gather({.data = filters.data + group * filters.group + map * filters.out + term * filters.in,
                         .out = filters.out,
                         .in = filters.in,
                         .row = filters.row,
                         .column = filters.column,
                         .maps = std::min(filter_lanes(), shape_.group_out() - map),
                         .channels = channels,
                         .taps = scratch});
        filters_.filters({.taps = scratch, .channels = channels, .components = to, .component = 32, .channel = 16});
    }

    std::int64_t panel() const { return blocks_ * parts * pair_weights; }  // weights of one component and pair
    std::int64_t in_blocks() const { return blocks_ * terms_per_block / kernels_.lanes; }  // registers of maps
    std::int64_t in_bytes() const { return rounded_up(2 * in_numbers_, 64); }
    // of a thread's own: sums, scratch, bias
    std::int64_t member_bytes() const {
        return rounded_up(4 * (out_floats_ + transforms_.scratch_floats + kernels_.lanes), 64);
    }
    float* scratch_at(std::byte* member) const { return reinterpret_cast<float*>(member) + out_floats_; }

    std::int64_t most_tiles(std::int64_t runs) const {  // of so many neighbouring runs
        return std::min(shape_.batch * runs_.rows.tiles() * runs_.columns.tiles(),
                        quotient_up(runs, runs_.of_row) * runs_.columns.tiles() + runs_.longest);
    }

    template <typename ChunkOf>
    void run_together(const Work& work, std::int64_t chunks, const ChunkOf& chunk_of, std::byte* workspace) const {
        auto* const in = reinterpret_cast<Bfloat16*>(workspace);
        constexpr std::int64_t items_per_thread = 8;  // of transforms: enough to even out
        const auto parts = [&](std::int64_t phase) { return quotient_up(chunk_of(phase / 2).runs.size(), part_runs_); };
        const auto items = [&](std::int64_t phase) {
            if (phase % 2 == 1) return parts(phase) * quotient_up(pairs_, at_once_);
            return std::min<std::int64_t>(in_blocks() * chunk_of(phase / 2).runs.size(), threads_ * items_per_thread);
        };
        parallel_phases(2 * chunks, threads_, items, [&](std::int64_t phase, std::int64_t item, int member) {
            const Chunk chunk = chunk_of(phase / 2);
            std::byte* const own = workspace + in_bytes() + member * member_bytes();
            if (phase % 2 == 0) {
                const std::int64_t units = in_blocks() * chunk.runs.size(), count = items(phase);
                return transform_in(work, chunk, {units * item / count, units * (item + 1) / count}, in,
                                    scratch_at(own));
            }
            // neighbouring items share their weights
            const std::int64_t pair = item / parts(phase) * at_once_, part = item % parts(phase);
            const std::int64_t first = chunk.runs.begin + part * part_runs_;
            products(work, chunk, {first, std::min(first + part_runs_, chunk.runs.end)}, pair, in, own);
        });
    }

    // Units are (block of terms, run, register of maps): the registers of a run fill the same lines one after another.
    void transform_in(const Work& work, const Chunk& chunk, Range units, Bfloat16* in, float* scratch) const {
        const std::int64_t lanes = kernels_.lanes, runs = chunk.runs.size(), registers = terms_per_block / lanes;
        const WinogradChunkTiles order(runs_, chunk.runs);
        for (std::int64_t unit = units.begin; unit < units.end; ++unit) {
            const std::int64_t block = unit / (runs * registers), lane = unit % registers * lanes;
            const std::int64_t term = block * terms_per_block + lane;
            const std::int64_t maps = std::clamp<std::int64_t>(shape_.group_in() - term, 0, lanes);
            const std::int64_t map = chunk.group * shape_.group_in() + (maps > 0 ? term : 0);
            const WinogradRun run = runs_[chunk.runs.begin + unit / registers % runs];
            tile_.input({.image = work.images + run.image * from_.image + from_.of_map(map),
                         .strides = {from_.map, from_.row, from_.pixel},
                         .maps = maps,
                         .height = shape_.rows.size,
                         .width = shape_.columns.size,
                         .top = run.top - shape_.rows.low,
                         .left = run.left - shape_.columns.low,
                         .tiles = run.tiles,
                         .components = in + (block * order.count() + order.first(run)) * block_numbers + lane,
                         .component = spaced(blocks_ * block_numbers * order.count()),
                         .scratch = scratch});
        }
    }

    // All components of some runs by `at_once_` pairs of blocks of maps from `pair` on, and those maps of the result.
    void products(const Work& work, const Chunk& chunk, Range runs, std::int64_t pair, const Bfloat16* in,
                  std::byte* member) const {
        const std::int64_t lanes = kernels_.lanes;
        const WinogradChunkTiles all(runs_, chunk.runs), order(runs_, runs);
        const std::int64_t tiles = order.count();
        const std::int64_t pairs = std::min(at_once_, pairs_ - pair), step = spaced(pairs * maps_per_pair * tiles);
        auto* const sums = reinterpret_cast<float*>(member);
        float *const scratch = scratch_at(member), *const bias = scratch + transforms_.scratch_floats;
        kernels_.multiply({.count = components_,
                           .rows = tiles,
                           .blocks = blocks_,
                           .pairs = pairs,
                           .a = in + all.first(runs_[runs.begin]) * block_numbers,
                           .a_step = spaced(blocks_ * block_numbers * all.count()),
                           .a_row = block_numbers,
                           .a_block = block_numbers * all.count(),
                           .a_low = parts == 1 ? 0 : terms_per_block,
                           .b = work.packed + (chunk.group * pairs_ + pair) * components_ * panel(),
                           .b_step = panel(),
                           .b_pair = components_ * panel(),
                           .c = sums,
                           .c_step = step,
                           .c_block = maps_per_pair / 2 * tiles,
                           .ahead = ahead_});
        const std::int64_t stored = padded_ ? stored_maps(Layout::blocked, shape_.group_out()) : shape_.group_out();
        for (std::int64_t own = 0; own < pairs * maps_per_pair; own += lanes) {
            const std::int64_t of_group = pair * maps_per_pair + own, map = chunk.group * shape_.group_out() + of_group;
            if (of_group >= stored) break;
            // a blocked result has lanes beyond the last map, whose weights are zero
            const std::int64_t maps = std::clamp<std::int64_t>(shape_.group_out() - of_group, 0, lanes);
            copy_bias(work.epilogue.bias, map, maps, lanes, bias);
            for (std::int64_t index = runs.begin; index < runs.end; ++index) {
                const WinogradRun run = runs_[index];
                const std::int64_t image = run.image * to_.image + to_.of_map(map);
                tile_.output({.components = sums + own / 16 * 16 * tiles + order.first(run) * 16 + own % 16,
                              .component = step,
                              .tiles = run.tiles,
                              .image = work.result + image,
                              .residual = work.epilogue.residual == nullptr ? nullptr : work.epilogue.residual + image,
                              .strides = {to_.map, to_.row, to_.pixel},
                              .maps = padded_ ? lanes : maps,
                              .height = shape_.rows.out(),
                              .width = shape_.columns.out(),
                              .top = run.top,
                              .left = run.left,
                              .bias = bias,
                              .relu = work.epilogue.relu,
                              .stream = false,
                              .next = 0,
                              .scratch = scratch});
            }
        }
    }

    ConvShape shape_;
    std::int64_t threads_;
    const BfloatKernelsOf<Element>& kernels_;
    const WinogradTransformsOf<Element, Bfloat16>& transforms_;
    const WinogradTileOf<Element, Bfloat16>& tile_;  // all tiles are long
    WinogradRuns runs_;
    const WinogradTransforms& filters_;
    ImageStrides from_, to_;
    bool padded_;                               // the result's maps come in whole blocks
    std::int64_t components_, blocks_, pairs_;  // of a tile; of terms; of maps of the result
    bool together_, ahead_;
    std::int64_t chunk_runs_, part_runs_, at_once_;  // of a chunk; of one item's products, and its pairs
    std::int64_t in_numbers_, out_floats_;
};

template <typename Element, int M>
std::unique_ptr<BfloatPlanOf<Element>> images(const ConvShape& shape, const BfloatOptions& options) {
    return std::make_unique<WinogradPlan<Element>>(shape, options, M);
}

std::string refuses(Pass, const ConvShape& shape) {
    const std::int64_t rows = shape.rows.kernel, columns = shape.columns.kernel;
    if ((rows != 3 && rows != 1) || (columns != 3 && columns != 1) || rows * columns == 1) {
        return "takes 3×3, 1×3 and 3×1 filters as products of bfloat16 numbers, not " + std::to_string(rows) + "×" +
               std::to_string(columns);
    }
    for (const Axis& axis : {shape.rows, shape.columns}) {
        if (axis.stride != 1) return "takes stride 1, not " + std::to_string(axis.stride);
        if (axis.dilation != 1) return "takes dilation 1, not " + std::to_string(axis.dilation);
    }
    return {};
}

template <int M>
double growth_squared(std::int64_t kernel) {
    return kernel == 1 ? 1 : winograd_growth<M, 3>.of_outputs();
}

// As in float32, beside what bfloat16 numbers leave of floats: `roundings` times in each of a component's products.
template <int M>
double error_in_products(Pass pass, const ConvShape& shape, double rounding, double roundings) {
    const double growth = growth_squared<M>(shape.rows.kernel) * growth_squared<M>(shape.columns.kernel);
    const double maps = static_cast<double>(std::max(shape.group_in(), shape.group_out()));
    const ConvAlgorithm& floats = M == 2 ? winograd2_algorithm : winograd4_algorithm;
    return rounding * std::sqrt(roundings * maps * growth) + floats.error_bound(pass, shape);
}

// The result is rounded once more.
template <int M>
double narrow_error_bound(Pass pass, const ConvShape& shape) {
    return error_in_products<M>(pass, shape, bfloat_rounding, 2) + bfloat_rounding;
}

template <int M>
double split_error_bound(Pass pass, const ConvShape& shape) {
    return error_in_products<M>(pass, shape, split_rounding, 3);
}

}  // namespace

const BfloatAlgorithm bfloat_winograd2 = {"winograd2", refuses, images<Bfloat16, 2>, nullptr, narrow_error_bound<2>};
const BfloatAlgorithm bfloat_winograd4 = {"winograd4", refuses, images<Bfloat16, 4>, nullptr, narrow_error_bound<4>};

const BfloatAlgorithmOf<float> winograd2_bf16x3 = {"winograd2_bf16x3", refuses, images<float, 2>, nullptr,
                                                   split_error_bound<2>};
const BfloatAlgorithmOf<float> winograd4_bf16x3 = {"winograd4_bf16x3", refuses, images<float, 4>, nullptr,
                                                   split_error_bound<4>};

}  // namespace striate
