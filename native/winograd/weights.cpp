#include "winograd/weights.h"

#include <algorithm>

#include "dispatch/caches.h"
#include "threads/phases.h"
#include "winograd/images_plan.h"

namespace striate {

namespace {

constexpr std::int64_t most_taps = 49, most_lanes = 16;
constexpr std::int64_t most_components = largest_size * largest_size;

// Weights of a component that are packed together, and from one component to the next.
constexpr std::int64_t few_weights = 128, few_step = few_weights + line_floats;

}  // namespace

// Components of a few maps at a time are made in the first cache and leave it in whole lines: in `packed` those of one
// map lie apart by powers of two, on one set of every cache.
void pack_winograd(const WinogradMaps& maps, const WinogradResidues& residues, const WinogradKernels& kernels,
                   const WinogradTransforms& transforms, const Filters& filters, int threads, bool past_caches,
                   float* packed) {
    const std::int64_t lanes = maps.lanes, taps = transforms.rows.r * transforms.columns.r;
    const std::int64_t components = transforms.rows.components() * transforms.columns.components();
    const std::int64_t few = few_weights / (2 * lanes), step = maps.all_pairs() * maps.panel();
    const std::int64_t in_blocks = maps.all_in_blocks(), pairs = maps.all_pairs();
    parallel_items(maps.groups * pairs * in_blocks, threads, [&](std::int64_t item, int) {
        const std::int64_t in_block = item % in_blocks, out_pair = item / in_blocks % pairs,
                           group = item / in_blocks / pairs;
        const std::int64_t block = in_block % maps.in_blocks, pair = out_pair % maps.pairs();
        const auto residue = residues[in_block / maps.in_blocks + out_pair / maps.pairs()];
        const Filters own = residues.filters(filters, residue);
        alignas(64) float gathered[2][winograd_taps_floats(most_lanes, most_taps)];
        alignas(64) float transformed[most_components * few_step];
        const std::int64_t channels = std::min(lanes, maps.in - block * lanes);
        for (std::int64_t half = 0; half < 2; ++half) {
            const std::int64_t map = (2 * pair + half) * lanes;
            transforms.gather(
                {.data = own.data + group * own.group + std::min(map, maps.out - 1) * own.out + block * lanes * own.in,
                 .out = own.out,
                 .in = own.in,
                 .row = own.row,
                 .column = own.column,
                 .maps = std::clamp<std::int64_t>(maps.out - map, 0, lanes),
                 .channels = channels,
                 .taps = gathered[half],
                 .lacking_row = residue.down.lacking_tap(transforms.rows),
                 .lacking_column = residue.along.lacking_tap(transforms.columns)});
        }
        float* const to = packed + group * components * step + out_pair * maps.panel() + in_block * lanes * 2 * lanes;
        for (std::int64_t first = 0; first < channels; first += few) {
            const std::int64_t count = std::min(few, channels - first);
            for (std::int64_t half = 0; half < 2; ++half) {
                transforms.filters({.taps = gathered[half] + first * taps * lanes,
                                    .channels = count,
                                    .components = transformed + half * lanes,
                                    .component = few_step,
                                    .channel = 2 * lanes});
            }
            for (std::int64_t k = 0; k < components; ++k) {
                kernels.copy(transformed + k * few_step, count * 2 * lanes, to + k * step + first * 2 * lanes,
                             past_caches);
            }
        }
        // lanes beyond the last map of a residue that others follow
        const std::int64_t missing = maps.in_residues > 1 ? (lanes - channels) * 2 * lanes : 0;
        for (std::int64_t k = 0; missing > 0 && k < components; ++k) {
            std::fill_n(to + k * step + channels * 2 * lanes, missing, 0.0f);
        }
        if (past_caches) kernels.settle();
    });
}

}  // namespace striate
