// The gradient of the weights as a product over all pixels: dw[k, (tap, c)] = Σ dy[k, pixel] · x[c, pixel seen by tap].
//
// A thread takes a rectangle of dw and runs through the pixels; both factors are turned, as they are read, into panels
// with maps across. Where dw is small, several threads take the same rectangle and different pixels, and their sums are
// added at the end: into how many parts the pixels are cut follows from the shape alone, and with it every bit.
#include <algorithm>

#include "conv/division.h"
#include "dispatch/kernels.h"
#include "gemm/kernels.h"
#include "im2col/product.h"
#include "threads/phases.h"

namespace striate {

namespace {

constexpr std::int64_t pixel_block = 256;     // pixels at a time: a panel of 32 maps is then 32 KiB, in the first cache
constexpr std::int64_t most_down = 16;        // tiles of dy: 224 KiB of the second cache
constexpr std::int64_t most_across = 16;      // panels of x, whose sums are then 448 KiB of it
constexpr std::int64_t enough_items = 16;     // for a few threads to share evenly
constexpr std::int64_t fewest_pixels = 1024;  // of a part: what adding it costs is then 1/1024 of making it

class FilterProduct final : public FilterPlan {
public:
    FilterProduct(const ConvShape& s, const ConvOptions& options)
        : shape_(s),
          threads_(std::max(1, options.threads)),
          gemm_(STRIATE_KERNELS_OF(options.isa, gemm_kernels)),
          kernels_(STRIATE_KERNELS_OF(options.isa, im2col_kernels)),
          x_(strides_of(options.from, s.in, s.rows.size, s.columns.size)),
          dy_(strides_of(options.to, s.out, s.rows.out(), s.columns.out())),
          grid_(forward_grid(s)),
          plain_(identity_grid(grid_.rows, grid_.columns)) {
        pixels_ = s.batch * grid_.pixels();
        panels_ = quotient_up(s.group_in() * s.taps(), gemm_.tile_columns);
        tiles_ = quotient_up(s.group_out(), gemm_.tile_rows);
        down_ = quotient_up(tiles_, most_down), across_ = quotient_up(panels_, most_across);
        const std::int64_t rectangles = s.groups * down_ * across_;
        parts_ = std::clamp<std::int64_t>(quotient_up(enough_items, rectangles), 1,
                                          std::max<std::int64_t>(1, pixels_ / fewest_pixels));
        straight_ = shape_.taps() == 1 && parts_ == 1;
    }

    std::int64_t workspace_floats() const override { return sums_floats() + threads_ * thread_floats(); }

    void run(const float* x, const float* dy, float* dw, float* workspace) const override {
        const std::int64_t rectangles = shape_.groups * down_ * across_;
        float* const threads = workspace + sums_floats();
        parallel_phases(
            straight_ ? 1 : 2, static_cast<int>(threads_),
            [&](std::int64_t phase) { return phase == 0 ? rectangles * parts_ : shape_.groups * tiles_; },
            [&](std::int64_t phase, std::int64_t item, int member) {
                if (phase == 0)
                    return sum({x, dy, workspace, dw, item % parts_, item / parts_},
                               threads + member * thread_floats());
                add(workspace, item / tiles_, item % tiles_, dw);
            });
    }

private:
    struct Work {
        const float *x, *dy;
        float *sums, *dw;
        std::int64_t part, rectangle;
    };

    std::int64_t tile_floats() const { return gemm_.tile_rows * gemm_.tile_columns; }
    std::int64_t part_floats() const { return shape_.groups * panels_ * tiles_ * tile_floats(); }
    std::int64_t sums_floats() const { return straight_ ? 0 : parts_ * part_floats(); }
    std::int64_t thread_floats() const {
        const std::int64_t floats = pixel_block * (std::min(tiles_, most_down) * gemm_.tile_rows + gemm_.tile_columns);
        return rounded_up(floats, 16);
    }
    float* sums_of(float* workspace, std::int64_t part, std::int64_t group, std::int64_t panel,
                   std::int64_t tile) const {
        return workspace + part * part_floats() + ((group * panels_ + panel) * tiles_ + tile) * tile_floats();
    }
    std::int64_t dw_of(std::int64_t group, std::int64_t panel, std::int64_t tile) const {  // with one tap
        return (group * shape_.group_out() + first_out(tile)) * shape_.group_in() + panel * gemm_.tile_columns;
    }
    std::int64_t columns_of(std::int64_t panel) const {
        return std::min(gemm_.tile_columns, shape_.group_in() * shape_.taps() - panel * gemm_.tile_columns);
    }
    std::int64_t first_out(std::int64_t tile) const { return part_of(shape_.group_out(), tiles_, tile); }

    void sum(const Work& w, float* workspace) const {
        const std::int64_t group = w.rectangle / across_ / down_, row = w.rectangle / across_ % down_,
                           column = w.rectangle % across_;
        const std::int64_t tile_begin = part_of(tiles_, down_, row), tile_end = part_of(tiles_, down_, row + 1);
        const std::int64_t panel_begin = part_of(panels_, across_, column),
                           panel_end = part_of(panels_, across_, column + 1);
        const std::int64_t begin = part_of(pixels_, parts_, w.part), end = part_of(pixels_, parts_, w.part + 1);
        const std::int64_t blocks = quotient_up(end - begin, pixel_block);
        float* const a = workspace;
        float* const b = a + pixel_block * std::min(tiles_, most_down) * gemm_.tile_rows;
        for (std::int64_t block = 0; block < blocks; ++block) {
            const std::int64_t first = begin + part_of(end - begin, blocks, block);
            const std::int64_t count = begin + part_of(end - begin, blocks, block + 1) - first;
            Pixels seen[pixel_block / most_pixels];
            for (std::int64_t t = 0; t < count; t += most_pixels) {
                seen[t / most_pixels] = grid_.seen(x_, first + t, std::min(most_pixels, count - t));
            }
            for (std::int64_t tile = tile_begin; tile < tile_end; ++tile) {
                read_dy(w.dy, group, tile, first, count, a + (tile - tile_begin) * pixel_block * gemm_.tile_rows);
            }
            for (std::int64_t panel = panel_begin; panel < panel_end; ++panel) {
                read_x(w.x, group, panel, first, count, seen, b);
                for (std::int64_t tile = tile_begin; tile < tile_end; ++tile) {
                    gemm_.tiles({.a = a + (tile - tile_begin) * pixel_block * gemm_.tile_rows,
                                 .b = b,
                                 .b_step = gemm_.tile_columns,
                                 .k = count,
                                 .c = straight_ ? w.dw + dw_of(group, panel, tile)
                                                : sums_of(w.sums, w.part, group, panel, tile),
                                 .c_row = straight_ ? shape_.group_in() : gemm_.tile_columns,
                                 .c_high = gemm_.lanes,
                                 .rows = first_out(tile + 1) - first_out(tile),
                                 .columns = straight_ ? columns_of(panel) : gemm_.tile_columns,
                                 .accumulate = block > 0,
                                 .finish = false,
                                 .row_bias = nullptr,
                                 .column_bias = nullptr,
                                 .residual = nullptr,
                                 .relu = false});
                }
            }
        }
    }

    void read_dy(const float* dy, std::int64_t group, std::int64_t tile, std::int64_t first, std::int64_t count,
                 float* to) const {
        const std::int64_t map = group * shape_.group_out() + first_out(tile),
                           maps = first_out(tile + 1) - first_out(tile);
        for (std::int64_t t = 0; t < count;) {
            const std::int64_t run = std::min(count - t, run_of(dy_, first + t));
            const std::int64_t at = plain_.even_places(dy_, first + t, run);
            if (lies_evenly(dy_)) {
                gemm_.pack_a(dy + dy_.of_map(map) + at, dy_.map, dy_.pixel, maps, run, to + t * gemm_.tile_rows);
                t += run;
                continue;
            }
            const Pixels seen = plain_.seen(dy_, first + t, std::min(most_pixels, run));
            maps_of(dy, dy_, grid_.rows, grid_.columns, map, maps, seen, {0, 0}, to + t * gemm_.tile_rows,
                    gemm_.tile_rows);
            t += seen.count;
        }
    }

    void read_x(const float* x, std::int64_t group, std::int64_t panel, std::int64_t first, std::int64_t count,
                const Pixels* seen, float* to) const {
        const std::int64_t maps = shape_.group_in(), all = maps * shape_.taps();
        const std::int64_t begin = panel * gemm_.tile_columns, end = std::min(all, begin + gemm_.tile_columns);
        if (lies_evenly(x_) && grid_.even_sight(x_, shape_.rows.size, shape_.columns.size, first, 1) >= 0) {
            for (std::int64_t t = 0, run; t < count; t += run) {
                run = std::min(count - t, run_of(x_, first + t));
                const std::int64_t at = grid_.even_sight(x_, shape_.rows.size, shape_.columns.size, first + t, run);
                gemm_.pack_b(x + x_.of_map(group * maps + begin) + at, x_.pixel, x_.map, end - begin, run,
                             to + t * gemm_.tile_columns);
            }
            return;
        }
        for (std::int64_t t = 0; t < count; t += most_pixels, ++seen) {
            float* const rows = to + t * gemm_.tile_columns;
            for (std::int64_t at = begin; at < end;) {
                const std::int64_t tap = at / maps, map = at % maps, some = std::min(maps - map, end - at);
                maps_of(x, x_, shape_.rows.size, shape_.columns.size, group * maps + map, some, *seen,
                        grid_.taps[static_cast<std::size_t>(tap)].shift, rows + at - begin, gemm_.tile_columns);
                at += some;
            }
            if (end - begin == gemm_.tile_columns) continue;
            for (std::int64_t p = 0; p < seen->count; ++p) {
                std::fill_n(rows + p * gemm_.tile_columns + (end - begin), gemm_.tile_columns - (end - begin), 0.0f);
            }
        }
    }

    // Whether maps are a constant distance apart, and need not be taken block by block.
    static bool lies_evenly(const ImageStrides& s) { return s.block == maps_per_block * s.map; }

    // Pixels from this one to the end of what lies evenly: its image, or the batch.
    std::int64_t run_of(const ImageStrides& s, std::int64_t pixel) const {
        const std::int64_t image = grid_.pixels();
        return s.image == image * s.pixel ? pixels_ - pixel : image - pixel % image;
    }

    // Maps [first, first + maps), which may begin inside a block.
    void maps_of(const float* images, const ImageStrides& strides, std::int64_t height, std::int64_t width,
                 std::int64_t first, std::int64_t maps, const Pixels& seen, Shift shift, float* to,
                 std::int64_t step) const {
        while (maps > 0) {
            const std::int64_t some =
                lies_evenly(strides) ? maps : std::min(maps, maps_per_block - first % maps_per_block);
            kernels_.maps_across({images + strides.of_map(first), strides, some, height, width}, seen, shift, to, step);
            first += some, maps -= some, to += some;
        }
    }

    // The parts of one tile of maps of the result, for all its taps.
    void add(float* sums, std::int64_t group, std::int64_t tile, float* dw) const {
        const std::int64_t maps = shape_.group_in(), taps = shape_.taps();
        for (std::int64_t k = first_out(tile); k < first_out(tile + 1); ++k) {
            float* const filter = dw + (group * shape_.group_out() + k) * maps * taps;
            std::int64_t tap = 0, map = 0;
            for (std::int64_t panel = 0; panel < panels_; ++panel) {
                float* const total = sums_of(sums, 0, group, panel, tile) + (k - first_out(tile)) * gemm_.tile_columns;
                for (std::int64_t part = 1; part < parts_; ++part) {
                    for (std::int64_t i = 0; i < gemm_.tile_columns; ++i) total[i] += total[part * part_floats() + i];
                }
                const std::int64_t count = columns_of(panel);
                for (std::int64_t i = 0; i < count; ++i) {
                    filter[map * taps + tap] = total[i];
                    if (++map == maps) map = 0, ++tap;
                }
            }
        }
    }

    ConvShape shape_;
    std::int64_t threads_;
    const GemmKernels& gemm_;
    const Im2colKernels& kernels_;
    ImageStrides x_, dy_;
    Grid grid_, plain_;  // of x; of dy, every pixel of which is itself
    bool straight_;      // one tap, and all pixels in one part: the tiles are those of dw
    std::int64_t pixels_, panels_, tiles_, down_, across_, parts_;
};

}  // namespace

std::unique_ptr<FilterPlan> product_filters(const ConvShape& shape, const ConvOptions& options) {
    return std::make_unique<FilterProduct>(shape, options);
}

}  // namespace striate
