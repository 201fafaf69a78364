#include "winograd/schedule.h"

#include <algorithm>
#include <cmath>

namespace striate {

namespace {

// Bytes a cycle from beyond the second cache. Weights are fetched ahead; components are written, which reads their
// lines first, and read again as the hardware guesses, and where a chunk's outgrow a share of the third cache, from
// memory.
constexpr double weights_speed = 24, components_speed = 3.5, memory_speed = 1.75;
constexpr double third_cache_bytes = 8 << 20;
constexpr double meeting_cycles = 3000;        // of a phase: the last item's wait, and lines that change hands
constexpr double workspace_bytes = 256 << 20;  // at most, of all components

double quotient_up(double a, double b) { return std::ceil(a / b); }

// Cycles of one thread for all tiles.
double cycles(const WinogradSizes& s, bool together, std::int64_t runs) {
    const double tiles = static_cast<double>(runs) * s.tiles_of_run, chunks = quotient_up(s.runs, runs);
    const double parts = quotient_up(tiles, s.tile_rows);
    const double components = s.components, threads = s.threads;
    const double tile_bytes = 4.0 * components * (s.in_maps + s.out_maps),
                 weights_bytes = 4.0 * components * s.in_maps * s.out_maps;
    // a register tile of n rows takes n cycles for each map of the input, and one to begin and end
    const double products = components * s.in_maps * s.out_maps / (2.0 * s.lanes) * (tiles + parts);
    const double tiles_bytes = tile_bytes * tiles, cache = s.cache_bytes;
    // of one chunk: its weights, unless they stay in the cache beside `near` bytes of components
    const auto weights_cycles = [&](double near) {
        return weights_bytes + near <= 0.85 * cache ? 0 : weights_bytes / weights_speed;
    };
    // written once and read once
    const double speed = tiles_bytes <= third_cache_bytes ? components_speed : memory_speed;
    const double far = 2 * tiles_bytes / speed;
    if (!together) {
        const bool fits = tiles_bytes <= 0.75 * cache;
        return quotient_up(chunks, threads) * (products + weights_cycles(tiles_bytes) + (fits ? 0 : far));
    }
    // components that another thread made are far in any case
    const double share = tiles_bytes / threads <= 0.75 * cache ? (threads - 1) / threads : 1;
    return chunks * ((products + weights_cycles(tiles_bytes / threads) + share * far) / threads + 3 * meeting_cycles);
}

}  // namespace

WinogradSchedule winograd_schedule(const WinogradSizes& s) {
    WinogradSchedule best{false, 1};
    double least = INFINITY;
    for (const bool together : {false, true}) {
        if (together && s.threads == 1) continue;
        for (std::int64_t chunks = 1; chunks <= s.runs; chunks = std::max(chunks + 1, chunks * 9 / 8)) {
            const std::int64_t runs = (s.runs + chunks - 1) / chunks;
            const double bytes =
                4.0 * s.components * (s.in_maps + s.out_maps) * s.tiles_of_run * runs * (together ? 1 : s.threads);
            if (bytes > workspace_bytes && runs > 1) continue;
            const double time = cycles(s, together, runs);
            if (time < least) least = time, best = {together, runs};
        }
    }
    return best;
}

}  // namespace striate
