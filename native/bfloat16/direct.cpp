// The direct sum as products of bfloat16 numbers (docs/algorithms/bf16x3.md): 16 pixels of a row by 32 terms meet 32
// terms by 32 maps, tap after tap, with no matrix in between.
//
// A chunk of rows is copied first, with the zeros around it, as rows of terms: [blocks of 32 maps][rows][columns][32].
// A tap is then a shift of where the terms are read. That copy and one panel of weights stay in a thread's second
// cache, so that images are read once, and weights once for each chunk. Where there are fewer chunks than threads want,
// they make the copies together and then share out the maps of the result.
#include <algorithm>
#include <cstring>

#include "bfloat16/plan.h"
#include "conv/bias.h"
#include "conv/division.h"
#include "conv/sections.h"
#include "dispatch/caches.h"
#include "im2col/grid.h"
#include "im2col/sides.h"
#include "threads/phases.h"

namespace striate {

namespace {

constexpr std::int64_t most_pixels = 16;       // of a stretch, all in one row of the result: a tile of AMX
constexpr std::int64_t stretches_at_once = 8;  // whose sums stay in the first cache: 16 KiB

// From the first pixel to the last that taps see along an axis, where the pixel itself is 0.
struct Reach {
    std::int64_t low = 0, high = 0;
    std::int64_t size() const { return high - low + 1; }
};

Reach reach_of(const std::vector<GridTap>& taps, std::int64_t Shift::* axis) {
    if (taps.empty()) return {};
    const auto [least, most] = std::minmax_element(
        taps.begin(), taps.end(), [&](const GridTap& a, const GridTap& b) { return a.shift.*axis < b.shift.*axis; });
    return {least->shift.*axis, most->shift.*axis};
}

// One grid of the result's pixels (im2col/grid.h), planned.
struct GridSums {
    Grid grid;
    Reach rows, columns;          // of the taps
    std::int64_t packed, copies;  // where its weights begin, and the copies that threads share; in numbers
    std::int64_t row_step = 1, column_step = 1;  // in the copy, from a pixel of the grid to the next
    std::int64_t width = 0;                      // of the copy
    std::vector<std::int64_t> shifts = {};       // of the taps, in the copy
    std::int64_t pixels = 0, stretches = 0;      // of a stretch; in a row
    std::int64_t chunk_rows = 0, chunks = 0;     // of an image
    std::int64_t shares = 1;  // of the pairs of blocks of maps; if more than one, copies are shared too
    std::int64_t copy_item = 0, sum_item = 0;    // its first of all items of either phase

    // Rows of the copy that `count` rows of the grid see.
    std::int64_t height(std::int64_t count) const { return (count - 1) * row_step + rows.size(); }
};

// 1×1 filters see no neighbours: rows may be as long as stretches like them.
ConvShape folded(ConvShape shape) {
    const auto is_plain = [](const Axis& axis) {
        return axis.kernel == 1 && axis.stride == 1 && axis.low == 0 && axis.high == 0;
    };
    const std::int64_t pixels = shape.in_pixels();
    if (!is_plain(shape.rows) || !is_plain(shape.columns)) return shape;
    if (pixels % most_pixels == 0) {
        shape.rows.size = pixels / most_pixels, shape.columns.size = most_pixels;
    } else if (pixels <= 256) {
        shape.rows.size = 1, shape.columns.size = pixels;
    }
    return shape;
}

template <typename Element>
class DirectPlan final : public BfloatPlanOf<Element> {
public:
    DirectPlan(Pass pass, const ConvShape& given, const BfloatOptions& options)
        : shape_(folded(given)),
          forward_(pass == Pass::forward),
          sides_(sides_of(pass, shape_, options.from, options.to)),
          threads_(std::max(1, options.threads)),
          kernels_(bfloat_kernels_of<Element>(options.unit)) {
        blocks_ = quotient_up(sides_.in, terms_per_block);
        pairs_ = quotient_up(sides_.stored, maps_per_pair);
        for (Grid& grid : grids_of(pass, shape_)) {
            if (grid.pixels() > 0) plan(std::move(grid));
        }
    }

    std::int64_t packed_bytes() const override { return 2 * packed_; }
    std::int64_t workspace_bytes() const override { return 2 * shared_ + threads_ * member_bytes(); }

    void pack(const Filters& filters, void* packed) const override {
        const std::int64_t of_term = forward_ ? filters.in : filters.out, of_map = forward_ ? filters.out : filters.in;
        // the adjoint's taps lie backwards
        const std::int64_t low = std::min<std::int64_t>(0, (shape_.rows.kernel - 1) * filters.row) +
                                 std::min<std::int64_t>(0, (shape_.columns.kernel - 1) * filters.column);
        const std::int64_t high = std::max<std::int64_t>(0, (shape_.rows.kernel - 1) * filters.row) +
                                  std::max<std::int64_t>(0, (shape_.columns.kernel - 1) * filters.column);
        for (const GridSums& g : grids_) {
            std::vector<std::int64_t> taps;
            for (const GridTap& tap : g.grid.taps) {
                taps.push_back(tap.row * filters.row + tap.column * filters.column - low);
            }
            parallel_items(shape_.groups * pairs_ * blocks_, threads_, [&](std::int64_t item, int) {
                const std::int64_t term = item % blocks_ * terms_per_block,
                                   map = item / blocks_ % pairs_ * maps_per_pair, group = item / blocks_ / pairs_;
                const auto count = static_cast<std::int64_t>(taps.size());
                kernels_.filters(
                    {.data = filters.data + low + group * filters.group + term * of_term + map * of_map,
                     .of_term = of_term,
                     .of_map = of_map,
                     .terms = std::min(terms_per_block, sides_.in - term),
                     .maps = std::clamp<std::int64_t>(sides_.out - map, 0, maps_per_pair),
                     .span = high - low + 1,
                     .tap_count = count,
                     .taps = taps.data(),
                     .to = static_cast<Bfloat16*>(packed) + g.packed + item * count * parts * pair_weights});
            });
        }
    }

    void run(const Element* images, const void* packed, const BfloatEpilogueOf<Element>& epilogue, Element* result,
             void* workspace) const override {
        const Work work{images, static_cast<const Bfloat16*>(packed), epilogue, result,
                        static_cast<Bfloat16*>(workspace)};
        const std::int64_t first = copy_items_ > 0 ? 0 : 1;  // phases: copies that are shared, sums
        parallel_phases(
            2 - first, threads_,
            [&](std::int64_t phase) { return phase + first == 0 ? copy_items_ : sum_items_; },
            [&](std::int64_t phase, std::int64_t item, int member) {
                if (phase + first == 0) {
                    const GridSums& g = section_at(grids_, item, &GridSums::copy_item);
                    const std::int64_t own = item - g.copy_item, index = own / blocks_;
                    return fill(work, g, chunk_of(g, index), own % blocks_, copy_of(work, g, index));
                }
                const GridSums& g = section_at(grids_, item, &GridSums::sum_item);
                compute(work, g, item - g.sum_item,
                        static_cast<std::byte*>(workspace) + 2 * shared_ + member * member_bytes());
            });
    }

private:
    static constexpr std::int64_t parts = parts_of<Element>;
    static constexpr std::int64_t row_numbers = parts * terms_per_block;
    static constexpr std::int64_t sum_floats = stretches_at_once * most_pixels * maps_per_pair;

    struct Work {
        const Element* images;
        const Bfloat16* packed;
        const BfloatEpilogueOf<Element>& epilogue;
        Element* result;
        Bfloat16* shared;  // copies
    };

    // Some rows of a grid in one group of an image.
    struct Chunk {
        std::int64_t image, group, row, rows;
    };

    void plan(Grid grid) {
        const Reach rows = reach_of(grid.taps, &Shift::rows), columns = reach_of(grid.taps, &Shift::columns);
        GridSums g{.grid = std::move(grid), .rows = rows, .columns = columns, .packed = packed_, .copies = shared_};
        // what no tap sees is not copied
        if (rows.size() > 1) g.row_step = g.grid.row_stride;
        if (columns.size() > 1) g.column_step = g.grid.column_stride;
        g.width = (g.grid.columns - 1) * g.column_step + g.columns.size();
        for (const GridTap& tap : g.grid.taps) {
            g.shifts.push_back(((tap.shift.rows - g.rows.low) * g.width + tap.shift.columns - g.columns.low) *
                               row_numbers);
        }
        g.stretches = quotient_up(g.grid.columns, most_pixels);
        g.pixels = quotient_up(g.grid.columns, g.stretches);

        share_out(g);
        if (g.shares > 1) {
            shared_ += copies_of(g) * copy_numbers(g);
        } else {
            own_copy_ = std::max(own_copy_, copy_numbers(g));
        }
        packed_ += shape_.groups * pairs_ * panel(g);
        g.copy_item = copy_items_, g.sum_item = sum_items_;
        copy_items_ += g.shares > 1 ? copies_of(g) * blocks_ : 0;
        sum_items_ += copies_of(g) * g.shares;
        grids_.push_back(std::move(g));
    }

    // Chunks that fit half of a second cache, and enough of them for all threads, or shares.
    void share_out(GridSums& g) const {
        const std::int64_t row_bytes = 2 * blocks_ * g.width * row_numbers;
        const std::int64_t fitting = (second_cache_bytes() / 2 / row_bytes - g.rows.size()) / g.row_step + 1;
        const std::int64_t images = shape_.batch * shape_.groups;
        g.chunks = quotient_up(g.grid.rows, std::clamp<std::int64_t>(fitting, 1, g.grid.rows));
        if (threads_ > 1 && images * g.chunks < 4 * threads_) {
            // more chunks, as long as their common rows are few, and the same number for all threads
            const std::int64_t most = std::max<std::int64_t>(1, g.grid.rows * g.row_step / (3 * g.rows.size()));
            g.chunks = std::max(g.chunks, std::min(quotient_up(4 * threads_, images), most));
            if (images * g.chunks < 4 * threads_) {
                g.shares = std::min<std::int64_t>(pairs_, quotient_up(4 * threads_, images * g.chunks));
            }
        }
        g.chunk_rows = quotient_up(g.grid.rows, g.chunks);
        g.chunks = quotient_up(g.grid.rows, g.chunk_rows);
    }

    std::int64_t panel(const GridSums& g) const {  // weights of a pair
        return blocks_ * static_cast<std::int64_t>(g.shifts.size()) * parts * pair_weights;
    }
    std::int64_t copies_of(const GridSums& g) const { return shape_.batch * shape_.groups * g.chunks; }
    std::int64_t copy_numbers(const GridSums& g) const {
        return blocks_ * g.height(g.chunk_rows) * g.width * row_numbers;
    }
    Bfloat16* copy_of(const Work& work, const GridSums& g, std::int64_t copy) const {
        return work.shared + g.copies + copy * copy_numbers(g);
    }
    Chunk chunk_of(const GridSums& g, std::int64_t copy) const {
        const std::int64_t row = copy % g.chunks * g.chunk_rows, image = copy / g.chunks;
        return {image / shape_.groups, image % shape_.groups, row, std::min(g.chunk_rows, g.grid.rows - row)};
    }
    // of a thread's own: a copy, sums, bias
    std::int64_t member_bytes() const { return 2 * own_copy_ + 4 * (sum_floats + maps_per_pair); }

    void compute(const Work& work, const GridSums& g, std::int64_t item, std::byte* own) const {
        const std::int64_t share = item % g.shares;
        const auto [image, group, row, rows] = chunk_of(g, item / g.shares);
        auto* const copy = g.shares > 1 ? copy_of(work, g, item / g.shares) : reinterpret_cast<Bfloat16*>(own);
        auto* const sums = reinterpret_cast<float*>(own + 2 * own_copy_);
        float* const bias = sums + sum_floats;
        const std::int64_t height = g.height(rows);
        for (std::int64_t block = 0; g.shares == 1 && block < blocks_; ++block) {
            fill(work, g, {image, group, row, rows}, block, copy);
        }

        const std::int64_t stretches = rows * g.stretches;
        const std::int64_t last = pairs_ * (share + 1) / g.shares;
        for (std::int64_t pair = pairs_ * share / g.shares; pair < last; ++pair) {
            const std::int64_t map = pair * maps_per_pair;
            copy_bias(work.epilogue.bias, group * sides_.out + map, sides_.out - map, maps_per_pair, bias);
            for (std::int64_t first = 0; first < stretches; first += stretches_at_once) {
                const std::int64_t count = std::min(stretches_at_once, stretches - first);
                std::int64_t starts[stretches_at_once];
                for (std::int64_t i = 0; i < count; ++i) {
                    starts[i] =
                        ((first + i) / g.stretches * g.row_step * g.width + column_of(g, first + i) * g.column_step) *
                        row_numbers;
                }
                kernels_.multiply({.count = 1,
                                   .rows = g.pixels,
                                   .stretches = count,
                                   .starts = starts,
                                   .blocks = blocks_,
                                   .shift_count = static_cast<std::int64_t>(g.shifts.size()),
                                   .shifts = g.shifts.data(),
                                   .pairs = 1,
                                   .a = copy,
                                   .a_step = 0,
                                   .a_row = g.column_step * row_numbers,
                                   .a_block = height * g.width * row_numbers,
                                   .a_low = parts == 1 ? 0 : terms_per_block,
                                   .b = work.packed + g.packed + (group * pairs_ + pair) * panel(g),
                                   .b_step = panel(g),
                                   .b_pair = panel(g),
                                   .c = sums,
                                   .c_step = 0,
                                   .c_block = count * g.pixels * 16,
                                   .ahead = first + count == stretches && pair + 1 < last});
                for (std::int64_t i = 0; i < count; ++i) {
                    const std::int64_t down = row + (first + i) / g.stretches, column = column_of(g, first + i);
                    const std::int64_t done = (first + i) % g.stretches * g.pixels - column;  // with the stretch before
                    finish(work, g, image, group * sides_.out + map, std::min(maps_per_pair, sides_.stored - map), down,
                           column + done, g.pixels - done, sums + (i * g.pixels + done) * 16, count * g.pixels * 16,
                           bias);
                }
            }
        }
    }

    // Of a stretch's first pixel. The last of a row begins where it ends with the row.
    static std::int64_t column_of(const GridSums& g, std::int64_t stretch) {
        return std::min(stretch % g.stretches * g.pixels, g.grid.columns - g.pixels);
    }

    void finish(const Work& work, const GridSums& g, std::int64_t image, std::int64_t map, std::int64_t maps,
                std::int64_t row, std::int64_t column, std::int64_t pixels, const float* sums, std::int64_t block,
                const float* bias) const {
        const std::int64_t at = image * sides_.to.image + sides_.to.of_map(map) +
                                (g.grid.first_row + row * g.grid.row_step) * sides_.to.row +
                                (g.grid.first_column + column * g.grid.column_step) * sides_.to.pixel;
        kernels_.finish({.sums = sums,
                         .block = block,
                         .count = pixels,
                         .maps = maps,
                         .result = work.result + at,
                         .residual = work.epilogue.residual == nullptr ? nullptr : work.epilogue.residual + at,
                         .strides = {sides_.to.map, 0, g.grid.column_step * sides_.to.pixel},
                         .result_block = sides_.to.block,
                         .bias = bias,
                         .relu = work.epilogue.relu});
    }

    // One block of the copy of what a chunk sees.
    void fill(const Work& work, const GridSums& g, const Chunk& chunk, std::int64_t block, Bfloat16* copy) const {
        // pixels of the copy stand for those of the image at top + i · down and left + j · across
        const std::int64_t down = g.rows.size() == 1 ? g.grid.row_stride : 1,
                           across = g.columns.size() == 1 ? g.grid.column_stride : 1;
        const std::int64_t top = chunk.row * g.grid.row_stride + g.rows.low, left = g.columns.low;
        const std::int64_t begin = std::min(quotient_up(std::max<std::int64_t>(-left, 0), across), g.width);
        const std::int64_t end =
            std::clamp(quotient_up(std::max<std::int64_t>(sides_.width - left, 0), across), begin, g.width);
        const std::int64_t map = chunk.group * sides_.in + block * terms_per_block, height = g.height(chunk.rows);
        const Element* const first = work.images + chunk.image * sides_.from.image + sides_.from.of_map(map);
        Bfloat16* row = copy + block * height * g.width * row_numbers;
        for (std::int64_t i = 0; i < height; ++i, row += g.width * row_numbers) {
            const std::int64_t y = top + i * down;
            if (y < 0 || y >= sides_.height || begin == end) {
                std::memset(row, 0, static_cast<std::size_t>(2 * g.width * row_numbers));
                continue;
            }
            std::memset(row, 0, static_cast<std::size_t>(2 * begin * row_numbers));
            kernels_.terms(first + y * sides_.from.row + (left + begin * across) * sides_.from.pixel,
                           {sides_.from.map, 0, across * sides_.from.pixel}, sides_.from.block,
                           std::min(terms_per_block, sides_.in - block * terms_per_block), end - begin,
                           row + begin * row_numbers);
            std::memset(row + end * row_numbers, 0, static_cast<std::size_t>(2 * (g.width - end) * row_numbers));
        }
    }

    ConvShape shape_;
    bool forward_;
    Sides sides_;
    std::int64_t threads_;
    const BfloatKernelsOf<Element>& kernels_;
    std::int64_t blocks_, pairs_;  // of terms; of the result's maps
    std::vector<GridSums> grids_;
    std::int64_t packed_ = 0, own_copy_ = 0, shared_ = 0;  // numbers
    std::int64_t copy_items_ = 0, sum_items_ = 0;
};

template <typename Element>
constexpr auto images = made<DirectPlan<Element>, Element, Pass::forward>;

template <typename Element>
constexpr auto strided_backward_data = made<DirectPlan<Element>, Element, Pass::backward_data>;

std::string refuses(Pass, const ConvShape&) { return {}; }

}  // namespace

const BfloatAlgorithm bfloat_direct = {"direct", refuses, images<Bfloat16>, strided_backward_data<Bfloat16>,
                                       direct_error_bound<Bfloat16>};
const BfloatAlgorithmOf<float> direct_bf16x3 = {"direct_bf16x3", refuses, images<float>, strided_backward_data<float>,
                                                direct_error_bound<float>};

}  // namespace striate
