#include "winograd/schedule.h"

#include <algorithm>
#include <cmath>

namespace striate {

namespace {

// What lies beyond the second cache. Weights are fetched ahead; components are written, which reads their lines first,
// and read again as the hardware guesses, and where a chunk's outgrow a share of the third cache, from memory.
struct Beyond {
    double weights, components, memory;  // bytes a cycle
    double third_cache_bytes;            // of a chunk's components
    double meeting_cycles;               // of a phase: the last item's wait, and lines that change hands
};
constexpr Beyond near{24, 20, 4, 4 << 20, 20000}, far{24, 3.5, 1.75, 8 << 20, 3000};

constexpr double workspace_bytes = 256 << 20;  // at most, of all components

double quotient_up(double a, double b) { return std::ceil(a / b); }

// Cycles of one thread for all tiles.
double cycles(const WinogradSizes& s, bool together, std::int64_t runs) {
    const Beyond& beyond = s.third_cache_is_near ? near : far;
    const double tiles = static_cast<double>(runs) * s.tiles_of_run, chunks = quotient_up(s.runs, runs);
    const double parts = quotient_up(tiles, s.tile_rows);
    const double components = s.components, threads = s.threads;
    const double tile_bytes = 4.0 * components * (s.in_maps + s.out_maps),
                 weights_bytes = 4.0 * components * s.in_maps * s.out_maps;
    // a register tile of n rows takes n cycles for each map of the input, and one to begin and end
    const double products = components * s.in_maps * s.out_maps / (2.0 * s.lanes) * (tiles + parts);
    const double tiles_bytes = tile_bytes * tiles, cache = s.cache_bytes;
    // of one chunk: its weights, unless they stay in the cache beside its components
    const auto weights_cycles = [&](double components_bytes) {
        return weights_bytes + components_bytes <= 0.85 * cache ? 0 : weights_bytes / beyond.weights;
    };
    // of components that do not stay in the cache: written once and read once
    const double speed = tiles_bytes <= beyond.third_cache_bytes ? beyond.components : beyond.memory;
    const double components_cycles = 2 * tiles_bytes / speed;
    if (!together) {
        const bool fits = tiles_bytes <= 0.75 * cache;
        return quotient_up(chunks, threads) * (products + weights_cycles(tiles_bytes) + (fits ? 0 : components_cycles));
    }
    // components that another thread made are far in any case
    const double share = tiles_bytes / threads <= 0.75 * cache ? (threads - 1) / threads : 1;
    return chunks * ((products + weights_cycles(tiles_bytes / threads) + share * components_cycles) / threads +
                     3 * beyond.meeting_cycles);
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
