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
    double second_caches;                // that a chunk's components may fill and still cost nothing
    double meeting_cycles;               // of a phase: the last item's wait, and lines that change hands
};
constexpr Beyond near{24, 20, 4, 3 << 20, 0.75, 20000}, far{24, 3.5, 1.75, 8 << 20, 0.75, 3000};
// A near one of a processor with 16 lanes: it moves twice the bytes a cycle, so that components may live in it.
constexpr Beyond near_and_wide{40, 78, 24, 4.7e6, 2.65, 80000};

const Beyond& beyond_second_cache(const WinogradSizes& s) {
    return !s.third_cache_is_near ? far : s.lanes == 16 ? near_and_wide : near;
}

constexpr double workspace_bytes = 256 << 20;  // at most, of all components

double quotient_up(double a, double b) { return std::ceil(a / b); }

// Cycles of one thread for all `chunks`, of `tiles` each.
double cycles(const WinogradSizes& s, bool together, double chunks, double tiles) {
    const Beyond& beyond = beyond_second_cache(s);
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
        const bool fits = tiles_bytes <= beyond.second_caches * cache;
        return quotient_up(chunks, threads) * (products + weights_cycles(tiles_bytes) + (fits ? 0 : components_cycles));
    }
    // components that another thread made are far in any case
    const double share = tiles_bytes / threads <= beyond.second_caches * cache ? (threads - 1) / threads : 1;
    return chunks * ((products + weights_cycles(tiles_bytes / threads) + share * components_cycles) / threads +
                     3 * beyond.meeting_cycles);
}

}  // namespace

WinogradSchedule winograd_schedule(const WinogradSizes& s) {
    WinogradSchedule best{false, 1};
    double least = INFINITY;
    for (const bool together : {false, true}) {
        if (together && s.threads == 1) continue;
        for (std::int64_t about = 1; about <= s.runs; about = std::max(about + 1, about * 9 / 8)) {
            // as many as have whole numbers of runs, nearly
            const std::int64_t runs = (s.runs + about - 1) / about, chunks = (s.runs + runs - 1) / runs;
            const double tiles = s.tiles(chunks);
            const double bytes = 4.0 * s.components * (s.in_maps + s.out_maps) * tiles * (together ? 1 : s.threads);
            if (bytes > workspace_bytes && chunks < s.runs) continue;
            const double time = cycles(s, together, static_cast<double>(chunks), tiles);
            if (time < least) least = time, best = {together, chunks};
        }
    }
    return best;
}

}  // namespace striate
