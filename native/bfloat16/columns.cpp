// im2col in bfloat16, its matrix made panel by panel, and 1×1 filters as the same product of pixels where they lie.
//
// Images are read channels-last; of other layouts a copy is made first. A row of the panel is a pixel of the result,
// and its terms are the taps it sees, the maps of a tap side by side. One tap of whole blocks of maps, on neighbouring
// pixels, is no copy at all: rows of the product are then pixels of the image.
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

constexpr std::int64_t most_chunk_pixels = 256;
constexpr std::int64_t least_chunk_pixels = 32;  // two tiles of AMX
constexpr std::int64_t pairs_at_once = 4;        // of blocks of maps: 128 maps of 256 pixels are 128 KiB of sums

// One grid of the result's pixels (im2col/grid.h), planned.
struct GridProduct {
    Grid grid;
    std::int64_t terms, blocks;   // of a sum; in blocks of 32
    std::int64_t pixels;          // of the batch
    std::int64_t chunks, shares;  // of pixels; of pairs of blocks of maps, where there are few chunks
    std::int64_t packed, item;    // where its weights begin, in numbers; its first of all items
};

template <typename Element>
class ColumnsPlan final : public BfloatPlanOf<Element> {
public:
    ColumnsPlan(Pass pass, const ConvShape& s, const BfloatOptions& options)
        : shape_(s),
          forward_(pass == Pass::forward),
          sides_(sides_of(pass, s, options.from, options.to)),
          threads_(std::max(1, options.threads)),
          kernels_(bfloat_kernels_of<Element>(options.unit)) {
        from_ = strides_of(Layout::channels_last, sides_.in * s.groups, sides_.height, sides_.width);
        copied_ = parts > 1 || (options.from != Layout::channels_last &&
                                !(options.from == Layout::nchw && sides_.in * s.groups == 1));
        pairs_ = quotient_up(sides_.stored, maps_per_pair);
        for (Grid& grid : grids_of(pass, s)) plan(std::move(grid));
    }

    std::int64_t packed_bytes() const override { return 2 * packed_; }
    std::int64_t workspace_bytes() const override { return image_bytes() + threads_ * member_bytes(); }

    void pack(const Filters& filters, void* packed) const override {
        for (const GridProduct& g : grids_) {
            parallel_items(shape_.groups * pairs_ * g.blocks, threads_, [&](std::int64_t item, int) {
                const std::int64_t block = item % g.blocks, pair = item / g.blocks % pairs_,
                                   group = item / g.blocks / pairs_;
                Bfloat16* const to = static_cast<Bfloat16*>(packed) + g.packed + item * parts * pair_weights;
                alignas(64) float terms[terms_per_block][maps_per_pair] = {};
                for (std::int64_t i = 0; i < terms_per_block; ++i) {
                    const std::int64_t term = block * terms_per_block + i;
                    if (term >= g.terms) break;
                    const GridTap& tap = g.grid.taps[static_cast<std::size_t>(term / sides_.in)];
                    const float* const from = filters.data + group * filters.group + tap.row * filters.row +
                                              tap.column * filters.column +
                                              term % sides_.in * (forward_ ? filters.in : filters.out);
                    const std::int64_t maps = std::min(maps_per_pair, sides_.out - pair * maps_per_pair);
                    for (std::int64_t m = 0; m < maps; ++m) {
                        terms[i][m] = from[(pair * maps_per_pair + m) * (forward_ ? filters.out : filters.in)];
                    }
                }
                for (std::int64_t half = 0; half < 2; ++half) {
                    for (std::int64_t two = 0; two < terms_per_block / 2; ++two) {
                        kernels_.interleave(terms[2 * two] + 16 * half, terms[2 * two + 1] + 16 * half,
                                            to + half * pair_weights / 2 + two * 32);
                    }
                }
            });
        }
    }

    void run(const Element* images, const void* packed, const BfloatEpilogueOf<Element>& epilogue, Element* result,
             void* workspace) const override {
        auto* const bytes = static_cast<std::byte*>(workspace);
        auto* const copy = reinterpret_cast<Bfloat16*>(workspace);
        const Bfloat16* numbers = copy;
        if constexpr (parts == 1) {
            if (!copied_) numbers = images;
        }
        const Work work{numbers, static_cast<const Bfloat16*>(packed), epilogue, result};
        const std::int64_t first = copied_ ? 0 : 1;
        parallel_phases(
            2 - first, threads_,
            [&](std::int64_t phase) { return phase + first == 0 ? shape_.batch * sides_.height : items_; },
            [&](std::int64_t phase, std::int64_t item, int member) {
                if (phase + first == 0) {
                    const std::int64_t image = item / sides_.height, row = item % sides_.height;
                    return kernels_.maps_last(images + image * sides_.from.image + row * sides_.from.row,
                                              {sides_.from.map, sides_.from.row, sides_.from.pixel}, sides_.from.block,
                                              sides_.in * shape_.groups, sides_.width,
                                              copy + image * from_.image + row * from_.row, image_low());
                }
                const GridProduct& g = section_at(grids_, item, &GridProduct::item);
                compute(work, g, item - g.item, bytes + image_bytes() + member * member_bytes());
            });
    }

private:
    static constexpr std::int64_t parts = parts_of<Element>;

    struct Work {
        const Bfloat16* images;  // channels-last
        const Bfloat16* packed;
        const BfloatEpilogueOf<Element>& epilogue;
        Element* result;
    };

    void plan(Grid grid) {
        GridProduct g{.grid = std::move(grid),
                      .terms = 0,
                      .blocks = 0,
                      .pixels = 0,
                      .chunks = 0,
                      .shares = 1,
                      .packed = packed_,
                      .item = items_};
        g.terms = sides_.in * static_cast<std::int64_t>(g.grid.taps.size());
        g.blocks = quotient_up(g.terms, terms_per_block);
        g.pixels = shape_.batch * g.grid.pixels();
        // a panel fills half of a second cache at most
        const std::int64_t fitting =
            second_cache_bytes() / 2 / std::max<std::int64_t>(1, 2 * parts * g.blocks * terms_per_block);
        const std::int64_t pixels = std::clamp(fitting / 32 * 32, least_chunk_pixels, most_chunk_pixels);
        g.chunks = quotient_up(g.pixels, pixels);
        if (threads_ > 1 && shape_.groups * g.chunks < 4 * threads_) {
            g.chunks = std::max(g.chunks, std::min<std::int64_t>(4 * threads_, g.pixels / (2 * least_chunk_pixels)));
            if (g.chunks < threads_) g.shares = std::min<std::int64_t>(pairs_, 2 * threads_);
        }
        packed_ += shape_.groups * pairs_ * g.blocks * parts * pair_weights;
        items_ += shape_.groups * g.chunks * g.shares;
        const std::int64_t most = quotient_up(g.pixels, std::max<std::int64_t>(1, g.chunks));
        panel_numbers_ = std::max(panel_numbers_, most * g.blocks * terms_per_block);
        most_pixels_ = std::max(most_pixels_, most);
        grids_.push_back(std::move(g));
    }

    // from high parts to low ones: of the copy, of a panel
    std::int64_t image_low() const { return rounded_up(shape_.batch * from_.image, 32); }
    std::int64_t panel_low() const { return rounded_up(panel_numbers_, 32); }
    std::int64_t image_bytes() const { return copied_ ? 2 * parts * image_low() : 0; }
    std::int64_t sum_floats() const { return rounded_up(pairs_at_once * maps_per_pair * most_pixels_, 16); }
    // of a thread's own: a panel, sums, bias, and where the panel's pixels lie
    std::int64_t member_bytes() const {
        return 2 * parts * panel_low() + 4 * (sum_floats() + pairs_at_once * maps_per_pair) +
               rounded_up(8 * most_pixels_, 64);
    }

    void compute(const Work& work, const GridProduct& g, std::int64_t item, std::byte* own) const {
        const std::int64_t share = item % g.shares, chunk = item / g.shares % g.chunks,
                           group = item / g.shares / g.chunks;
        const std::int64_t first = g.pixels * chunk / g.chunks, count = g.pixels * (chunk + 1) / g.chunks - first;
        auto* const panel = reinterpret_cast<Bfloat16*>(own);
        auto* const sums = reinterpret_cast<float*>(own + 2 * parts * panel_low());
        float* const bias = sums + sum_floats();
        auto* const places = reinterpret_cast<std::int64_t*>(bias + pairs_at_once * maps_per_pair);
        BfloatProducts products{.count = 1,
                                .rows = count,
                                .blocks = g.blocks,
                                .pairs = 0,
                                .a = panel,
                                .a_step = 0,
                                .a_row = terms_per_block,
                                .a_block = terms_per_block * count,
                                .a_low = parts == 1 ? 0 : panel_low(),
                                .b = nullptr,
                                .b_step = 0,
                                .b_pair = g.blocks * parts * pair_weights,
                                .c = sums,
                                .c_step = 0,
                                .c_block = 16 * count};
        const Bfloat16* const maps = work.images + group * sides_.in;
        const std::int64_t even =
            sides_.in % terms_per_block == 0 ? g.grid.even_sight(from_, sides_.height, sides_.width, first, count) : -1;
        if (even >= 0) {
            products.a = maps + even, products.a_row = from_.pixel, products.a_block = terms_per_block;
            products.a_low = parts == 1 ? 0 : image_low();
        } else {
            fill(g, maps, first, count, panel);
            if (parts == 2) fill(g, maps + image_low(), first, count, panel + panel_low());
        }
        g.grid.places(sides_.to, first, count, places);
        const std::int64_t begin = pairs_ * share / g.shares, end = pairs_ * (share + 1) / g.shares;
        for (std::int64_t pair = begin; pair < end; pair += pairs_at_once) {
            products.pairs = std::min(pairs_at_once, end - pair);
            products.b = work.packed + g.packed + (group * pairs_ + pair) * products.b_pair;
            if (g.blocks > 0) {
                kernels_.multiply(products);
            } else {  // pixels that no tap reaches
                std::fill_n(sums, 2 * products.pairs * products.c_block, 0.0f);
            }
            finish(work, group, pair, products, places, bias);
        }
    }

    // One part of the panel: [blocks][pixels][32]. Terms beyond the last are zeros.
    void fill(const GridProduct& g, const Bfloat16* maps, std::int64_t first, std::int64_t count,
              Bfloat16* panel) const {
        std::int64_t image = first / g.grid.pixels(), row = first % g.grid.pixels() / g.grid.columns,
                     column = first % g.grid.columns;
        for (std::int64_t t = 0; t < count; ++t) {
            const std::int64_t y = row * g.grid.row_stride, x = column * g.grid.column_stride;
            std::int64_t term = 0;
            for (const GridTap& tap : g.grid.taps) {
                const std::int64_t down = y + tap.shift.rows, across = x + tap.shift.columns;
                const bool inside = down >= 0 && down < sides_.height && across >= 0 && across < sides_.width;
                const Bfloat16* from =
                    inside ? maps + image * from_.image + down * from_.row + across * from_.pixel : nullptr;
                for (std::int64_t left = sides_.in; left > 0;) {
                    const std::int64_t room = terms_per_block - term % terms_per_block, some = std::min(left, room);
                    Bfloat16* const to =
                        panel + (term / terms_per_block * count + t) * terms_per_block + term % terms_per_block;
                    if (some == terms_per_block && inside) {
                        std::memcpy(to, from, 2 * terms_per_block);
                    } else if (inside) {
                        for (std::int64_t i = 0; i < some; ++i) to[i] = from[i];
                    } else {
                        std::memset(to, 0, static_cast<std::size_t>(2 * some));
                    }
                    if (inside) from += some;
                    term += some, left -= some;
                }
            }
            for (; term < g.blocks * terms_per_block; ++term) {
                panel[(term / terms_per_block * count + t) * terms_per_block + term % terms_per_block] = {};
            }
            if (++column < g.grid.columns) continue;
            column = 0;
            if (++row < g.grid.rows) continue;
            row = 0, ++image;
        }
    }

    // Sums of some pairs of blocks of maps to the result, pixels that lie evenly together.
    void finish(const Work& work, std::int64_t group, std::int64_t pair, const BfloatProducts& products,
                const std::int64_t* places, float* bias) const {
        const std::int64_t first = pair * maps_per_pair, map = group * sides_.out + first;
        const std::int64_t maps = std::min(products.pairs * maps_per_pair, sides_.stored - first);
        copy_bias(work.epilogue.bias, map, sides_.out - first, pairs_at_once * maps_per_pair, bias);
        for (std::int64_t t = 0, next; t < products.rows; t = next) {
            next = t + 1;
            const std::int64_t step = next < products.rows ? places[next] - places[t] : sides_.to.pixel;
            while (next < products.rows && places[next] - places[next - 1] == step) ++next;
            const std::int64_t at = places[t] + sides_.to.of_map(map);
            kernels_.finish({.sums = products.c + t * 16,
                             .block = products.c_block,
                             .count = next - t,
                             .maps = maps,
                             .result = work.result + at,
                             .residual = work.epilogue.residual == nullptr ? nullptr : work.epilogue.residual + at,
                             .strides = {sides_.to.map, 0, step},
                             .result_block = sides_.to.block,
                             .bias = bias,
                             .relu = work.epilogue.relu});
        }
    }

    ConvShape shape_;
    bool forward_;
    Sides sides_;
    std::int64_t threads_;
    const BfloatKernelsOf<Element>& kernels_;
    std::int64_t pairs_;  // of blocks of the result's maps
    bool copied_;         // to channels-last
    ImageStrides from_;   // of what products read
    std::vector<GridProduct> grids_;
    std::int64_t packed_ = 0, items_ = 0, panel_numbers_ = 0, most_pixels_ = 0;
};

template <typename Element>
constexpr auto images = made<ColumnsPlan<Element>, Element, Pass::forward>;

template <typename Element>
constexpr auto strided_backward_data = made<ColumnsPlan<Element>, Element, Pass::backward_data>;

std::string takes_all(Pass, const ConvShape&) { return {}; }

std::string takes_one_tap(Pass, const ConvShape& shape) {
    if (shape.taps() == 1) return {};
    return "takes 1×1 filters, not " + std::to_string(shape.rows.kernel) + "×" + std::to_string(shape.columns.kernel);
}

}  // namespace

const BfloatAlgorithm bfloat_im2col = {"im2col_packed", takes_all, images<Bfloat16>, strided_backward_data<Bfloat16>,
                                       direct_error_bound<Bfloat16>};
const BfloatAlgorithm bfloat_pointwise = {"pointwise", takes_one_tap, images<Bfloat16>, strided_backward_data<Bfloat16>,
                                          direct_error_bound<Bfloat16>};

const BfloatAlgorithmOf<float> im2col_bf16x3 = {"im2col_bf16x3", takes_all, images<float>, strided_backward_data<float>,
                                                direct_error_bound<float>};

}  // namespace striate
