#include "im2col/product.h"

#include <algorithm>

#include "conv/bias.h"
#include "conv/division.h"
#include "conv/sections.h"
#include "dispatch/caches.h"
#include "dispatch/kernels.h"
#include "gemm/kernels.h"
#include "im2col/grid.h"
#include "im2col/sides.h"
#include "im2col/tiles.h"
#include "threads/phases.h"

namespace striate {

namespace {

constexpr std::int64_t most_tiles = 16;         // of A against one panel of B: reuse enough for what the panel costs
constexpr std::int64_t few_tiles = 4;           // at least, for what loading the panel costs
constexpr std::int64_t bunch_floats = 3 << 10;  // of few tiles' pixels, which stay in the first cache
constexpr double transpose_cycles = 130;        // of a tile's maps and pixels, on the way to NCHW

// Floats that stay in half of a second cache beside what streams by, at most `most`.
std::int64_t staying_floats(std::int64_t most) { return std::min(most, second_cache_bytes() / 8); }
std::int64_t chunk_floats() { return staying_floats(192 << 10); }    // of a chunk's columns
std::int64_t weights_floats() { return staying_floats(256 << 10); }  // of all weights

// One grid, planned.
struct GridProduct {
    Grid grid;
    std::int64_t depth;      // terms of a sum: taps · maps
    std::int64_t pixels;     // of the batch
    bool maps_down;          // maps are the rows of the tile, pixels its columns; else the other way round
    std::int64_t map_parts;  // tiles (maps down) or panels of the result's maps
    std::int64_t chunks;     // of pixels
    std::int64_t shares;     // of the maps, each an item of its own, where there are too few chunks
    std::int64_t packed;     // offset of its weights
    std::int64_t item;       // its first of all items
};

class Product final : public ImagePlan {
public:
    Product(Pass pass, const ConvShape& s, const ConvOptions& options, bool in_place)
        : pass_(pass),
          in_place_(in_place),
          shape_(s),
          sides_(sides_of(pass, s, options.from, options.to)),
          threads_(std::max(1, options.threads)),
          past_caches_(outgrow(s.batch * sides_.to.image, options.cached_bytes)),
          gemm_(STRIATE_KERNELS_OF(options.isa, gemm_kernels)),
          kernels_(STRIATE_KERNELS_OF(options.isa, im2col_kernels)) {
        for (Grid& grid : grids_of(pass, s)) {
            plan(std::move(grid), options.to == Layout::nchw);
        }
    }

    std::int64_t packed_floats() const override { return packed_; }
    std::int64_t workspace_floats() const override { return threads_ * thread_floats(); }

    void pack(const Filters& filters, float* packed) const override {
        for (const GridProduct& g : grids_) {
            const std::int64_t step = g.maps_down ? gemm_.tile_rows : gemm_.tile_columns;
            parallel_items(shape_.groups * g.map_parts, threads_, [&](std::int64_t item, int) {
                const std::int64_t group = item / g.map_parts, part = item % g.map_parts;
                const std::int64_t first = first_map(g, part), last = std::min(first_map(g, part + 1), sides_.out);
                float* to = packed + g.packed + item * g.depth * step;
                const std::int64_t out = pass_ == Pass::forward ? filters.out : filters.in;
                const std::int64_t in = pass_ == Pass::forward ? filters.in : filters.out;
                for (const GridTap& tap : g.grid.taps) {
                    const float* from =
                        filters.data + group * filters.group + tap.row * filters.row + tap.column * filters.column;
                    for (std::int64_t c = 0; c < sides_.in; ++c, to += step) {
                        for (std::int64_t m = 0; m < step; ++m)
                            to[m] = first + m < last ? from[(first + m) * out + c * in] : 0.0f;
                    }
                }
            });
        }
    }

    void run(const float* images, const float* packed, const Epilogue& epilogue, float* result,
             float* workspace) const override {
        parallel_items(items_, threads_, [&](std::int64_t item, int member) {
            const GridProduct& g = section_at(grids_, item, &GridProduct::item);
            item -= g.item;
            const std::int64_t share = item % g.shares, chunk = item / g.shares % g.chunks,
                               group = item / g.shares / g.chunks;
            const Work work{g,
                            images,
                            packed,
                            epilogue,
                            result,
                            group,
                            first_pixel(g, chunk),
                            first_pixel(g, chunk + 1),
                            part_of(g.map_parts, g.shares, share),
                            part_of(g.map_parts, g.shares, share + 1)};
            compute(work, workspace + member * thread_floats());
        });
    }

private:
    struct Work {
        const GridProduct& g;
        const float *images, *packed;
        const Epilogue& epilogue;
        float* result;
        std::int64_t group, first_pixel, last_pixel, first_part, last_part;
    };

    void plan(Grid grid, bool pixels_are_neighbours) {
        GridProduct g{.grid = std::move(grid),
                      .depth = 0,
                      .pixels = 0,
                      .maps_down = false,
                      .map_parts = 0,
                      .chunks = 0,
                      .shares = 1,
                      .packed = packed_,
                      .item = items_};
        const std::int64_t rows = gemm_.tile_rows, columns = gemm_.tile_columns;
        g.depth = static_cast<std::int64_t>(g.grid.taps.size()) * sides_.in;
        g.pixels = shape_.batch * g.grid.pixels();
        // the cycles of either way: rows can be shared out evenly, columns come in whole panels
        const double down = static_cast<double>(rounded_up(g.pixels, columns) * sides_.out);
        const double across = static_cast<double>(rounded_up(sides_.stored, columns) * g.pixels) *
                              (1 + transpose_cycles / static_cast<double>(rows * std::max<std::int64_t>(g.depth, 1)));
        g.maps_down = pixels_are_neighbours && down <= across;
        g.map_parts = quotient_up(sides_.stored, g.maps_down ? rows : columns);
        const std::int64_t pixel_parts = quotient_up(g.pixels, g.maps_down ? columns : rows);
        const std::int64_t part_pixels = g.maps_down ? columns : rows;
        std::int64_t parts =
            std::clamp<std::int64_t>(chunk_floats() / std::max<std::int64_t>(1, g.depth * part_pixels), 1, most_tiles);
        g.chunks = quotient_up(pixel_parts, parts);
        const std::int64_t jobs = shape_.groups * g.chunks;
        if (threads_ > 1 && jobs < 4 * threads_) {
            if (sides_.out > g.pixels && g.map_parts >= threads_) {
                g.shares = quotient_up(threads_, std::min<std::int64_t>(jobs, threads_));
                if (g.chunks > 1 && g.shares == 1) g.chunks = rounded_up(g.chunks, threads_);
            } else {
                g.chunks = std::min(pixel_parts, rounded_up(g.chunks, threads_));
            }
        }
        const std::int64_t most_parts = quotient_up(pixel_parts, g.chunks);
        chunk_parts_ = std::max(chunk_parts_, most_parts);
        panel_floats_ = std::max(panel_floats_, rounded_up(most_parts * part_pixels * g.depth, 16));
        packed_ += shape_.groups * g.map_parts * g.depth * (g.maps_down ? rows : columns);
        items_ += shape_.groups * g.chunks * g.shares;
        grids_.push_back(std::move(g));
    }

    // Tiles of pixels against one panel of weights. Where the weights stay in the second cache, as many as stay in the
    // first: they are there when the next panel comes, and whole pixels of the result are written together.
    std::int64_t bunch_tiles(const GridProduct& g) const {
        if (g.depth > depth_block(gemm_) || g.depth * sides_.stored > weights_floats()) return most_tiles;
        return std::clamp(bunch_floats / (gemm_.tile_rows * std::max<std::int64_t>(g.depth, 1)), few_tiles, most_tiles);
    }

    std::int64_t tile_floats() const { return gemm_.tile_rows * gemm_.tile_columns; }
    std::int64_t places_floats() const { return quotient_up(sizeof(Places), sizeof(float)); }
    std::int64_t thread_floats() const {
        const std::int64_t floats =
            panel_floats_ + most_tiles * tile_floats() + most_pixels + chunk_parts_ * places_floats();
        return rounded_up(floats, 16);
    }

    // Of a chunk. Panels are whole but for the last one.
    std::int64_t first_pixel(const GridProduct& g, std::int64_t chunk) const {
        if (!g.maps_down) return part_of(g.pixels, g.chunks, chunk);
        const std::int64_t columns = gemm_.tile_columns;
        return std::min(g.pixels, part_of(quotient_up(g.pixels, columns), g.chunks, chunk) * columns);
    }

    std::int64_t first_map(const GridProduct& g, std::int64_t part) const {
        return g.maps_down ? part_of(sides_.out, g.map_parts, part) : part * gemm_.tile_columns;
    }

    void compute(const Work& w, float* workspace) const {
        float* const panels = workspace;
        float* const sums = panels + panel_floats_;
        float* const bias = sums + most_tiles * tile_floats();
        Places* const places = reinterpret_cast<Places*>(bias + most_pixels);
        const GridProduct& g = w.g;
        const std::int64_t width = g.maps_down ? gemm_.tile_columns : gemm_.tile_rows;
        const std::int64_t pixels = w.last_pixel - w.first_pixel, parts = quotient_up(pixels, width);
        const Sight sight{w.images + sides_.from.of_map(w.group * sides_.in), sides_.from, sides_.in, sides_.height,
                          sides_.width};
        for (std::int64_t part = 0; part < parts; ++part) {
            // columns come in whole panels, rows as equal as can be
            const std::int64_t first = g.maps_down ? part * width : part_of(pixels, parts, part);
            const std::int64_t last = g.maps_down ? std::min(pixels, first + width) : part_of(pixels, parts, part + 1);
            Places& place = places[part];
            place.count = last - first;
            const std::int64_t pixel = w.first_pixel + first;
            place.at[0] = g.grid.even_places(sides_.to, pixel, place.count);
            place.even = place.at[0] >= 0;
            if (place.even) {
                place.run_count = 1, place.runs[0] = {0, place.count, place.at[0]};  // of pixels that are neighbours
            } else {
                g.grid.places(sides_.to, pixel, place.count, place.at);
                place.run_count = runs_of(place.at, place.count, place.runs);
            }
            const std::int64_t source = lies_ready(g, place.count) ? g.grid.even_sight(sides_.from, sides_.height,
                                                                                       sides_.width, pixel, place.count)
                                                                   : -1;
            place.source = source < 0 ? nullptr : sight.images + source;
            if (source >= 0) continue;
            const Pixels seen = g.grid.seen(sides_.from, pixel, place.count);
            float* to = panels + part * width * g.depth;
            for (std::size_t tap = 0; tap < g.grid.taps.size();) {
                const std::int64_t taps = taps_together(g.grid, tap, seen);
                Sight wide = sight;
                wide.maps = taps * sides_.in;
                kernels_.pixels_across(wide, seen, g.grid.taps[tap].shift, to, width);
                to += taps * sides_.in * width;
                tap += static_cast<std::size_t>(taps);
            }
        }
        if (g.maps_down) {
            maps_down(w, panels, sums, places, parts);
        } else {
            maps_across(w, panels, sums, bias, places, parts);
        }
        if (past_caches_) gemm_.settle();
    }

    // With maps innermost, neighbouring taps of a row see neighbouring values: they are read as if they were one with
    // more maps, where none of them is outside. This many, from `tap` on.
    std::int64_t taps_together(const Grid& grid, std::size_t tap, const Pixels& seen) const {
        if (sides_.from.map != 1 || sides_.from.block != maps_per_block || sides_.from.pixel != sides_.in) return 1;
        const Shift first = grid.taps[tap].shift;
        std::int64_t left = sides_.width, right = 0;
        for (std::int64_t t = 0; t < seen.count; ++t)
            left = std::min(left, seen.x[t]), right = std::max(right, seen.x[t]);
        if (left + first.columns < 0) return 1;
        std::int64_t taps = 1;
        for (std::size_t next = tap + 1; next < grid.taps.size(); ++next, ++taps) {
            const Shift shift = grid.taps[next].shift;
            if (shift.rows != first.rows || shift.columns != first.columns + taps ||
                right + shift.columns >= sides_.width)
                break;
        }
        return taps;
    }

    // Whether pixels that follow each other in the images are an operand of the product as they lie in memory. Pixels a
    // multiple of 4 KiB apart fall on the same few lines of the first cache: they are better copied.
    bool lies_ready(const GridProduct& g, std::int64_t pixels) const {
        if (!in_place_) return false;
        if (g.maps_down) return sides_.from.pixel == 1 && pixels == gemm_.tile_columns;
        return sides_.from.map == 1 && sides_.from.pixel % 1024 != 0;
    }

    ProductTiles tiles_of(const Work& w) const {
        return {sides_, gemm_, kernels_, w.epilogue, w.result, w.g.depth, w.g.maps_down, past_caches_};
    }

    void maps_across(const Work& w, const float* panels, float* sums, float* bias, const Places* places,
                     std::int64_t parts) const {
        const GridProduct& g = w.g;
        const ProductTiles product = tiles_of(w);
        const std::int64_t bunches = quotient_up(parts, bunch_tiles(g));
        for (std::int64_t i = 0; i < bunches * (w.last_part - w.first_part); ++i) {
            const std::int64_t bunch = i / (w.last_part - w.first_part),
                               part = w.first_part + i % (w.last_part - w.first_part);
            const std::int64_t begin = part_of(parts, bunches, bunch), end = part_of(parts, bunches, bunch + 1);
            const std::int64_t first = part * gemm_.tile_columns, map = w.group * sides_.out + first;
            copy_bias(w.epilogue.bias, map, sides_.out - first, gemm_.tile_columns, bias);
            const float* weights = w.packed + g.packed + (w.group * g.map_parts + part) * g.depth * gemm_.tile_columns;
            const std::int64_t maps = std::min(gemm_.tile_columns, sides_.stored - first);
            product.multiply(
                end - begin,
                [&](std::int64_t tile) {
                    const Places& place = places[begin + tile];
                    if (place.source != nullptr)
                        return ProductTile{place.source, sides_.from.pixel, map, maps, bias, &place};
                    return ProductTile{panels + (begin + tile) * gemm_.tile_rows * g.depth, 0, map, maps, bias, &place};
                },
                weights, gemm_.tile_columns, sums);
        }
    }

    void maps_down(const Work& w, const float* panels, float* sums, const Places* places, std::int64_t parts) const {
        const GridProduct& g = w.g;
        static constexpr float none[most_pixels] = {};
        const ProductTiles product = tiles_of(w);
        const std::int64_t bunches = quotient_up(w.last_part - w.first_part, most_tiles);
        for (std::int64_t bunch = 0; bunch < bunches; ++bunch) {
            const std::int64_t begin = w.first_part + part_of(w.last_part - w.first_part, bunches, bunch);
            const std::int64_t end = w.first_part + part_of(w.last_part - w.first_part, bunches, bunch + 1);
            for (std::int64_t part = 0; part < parts; ++part) {
                const bool ready = places[part].source != nullptr;
                product.multiply(
                    end - begin,
                    [&](std::int64_t tile) {
                        const std::int64_t first = first_map(g, begin + tile), map = w.group * sides_.out + first;
                        return ProductTile{
                            w.packed + g.packed + (w.group * g.map_parts + begin + tile) * g.depth * gemm_.tile_rows,
                            0,
                            map,
                            first_map(g, begin + tile + 1) - first,
                            w.epilogue.bias == nullptr ? none : w.epilogue.bias + map,
                            places + part};
                    },
                    ready ? places[part].source : panels + part * gemm_.tile_columns * g.depth,
                    ready ? sides_.from.map : gemm_.tile_columns, sums);
            }
        }
    }

    Pass pass_;
    bool in_place_;
    ConvShape shape_;
    Sides sides_;
    std::int64_t threads_;
    bool past_caches_;  // the result, where whole lines are written
    const GemmKernels& gemm_;
    const Im2colKernels& kernels_;
    std::vector<GridProduct> grids_;
    std::int64_t packed_ = 0, items_ = 0, chunk_parts_ = 0, panel_floats_ = 0;
};

}  // namespace

std::unique_ptr<ImagePlan> product_forward(const ConvShape& shape, const ConvOptions& options, bool in_place) {
    return std::make_unique<Product>(Pass::forward, shape, options, in_place);
}

std::unique_ptr<ImagePlan> product_backward_data(const ConvShape& shape, const ConvOptions& options, bool in_place) {
    return std::make_unique<Product>(Pass::backward_data, shape, options, in_place);
}

}  // namespace striate
