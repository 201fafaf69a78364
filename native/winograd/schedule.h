// How the tiles of a convolution are shared out: the same results either way, in different times.
//
//     apart     each thread takes chunks of tiles of its own through transform, products and transform back: a chunk's
//               components stay in its second cache, and every chunk streams all transformed weights once
//     together  all threads work on one chunk, phase by phase; in the products each reads its share of the weights
//     only,
//               so that a chunk streams them once for all threads
//
// The rule counts cycles a thread spends, in a model of three terms: the multiply-adds; bytes that come from beyond the
// second cache; threads that wait for each other. It need not be exact, only right about which is smaller.
#pragma once

#include <cstdint>
#include <functional>

namespace striate {

struct WinogradSizes {
    std::int64_t runs;  // of neighbouring tiles in one row of tiles, in all images
    // Tiles of the largest of so many chunks, in the mean over components: some tiles do not have all.
    std::function<double(std::int64_t chunks)> tiles;
    std::int64_t components, in_maps, out_maps;  // of one group, in whole blocks
    std::int64_t lanes, tile_rows;
    std::int64_t threads, cache_bytes;
    bool third_cache_is_near;
};

struct WinogradSchedule {
    bool together;
    std::int64_t chunks;
};

WinogradSchedule winograd_schedule(const WinogradSizes& sizes);

}  // namespace striate
