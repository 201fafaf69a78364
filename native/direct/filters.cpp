#include "direct/filters.h"

#include "direct/blocks.h"
#include "direct/kernels.h"
#include "dispatch/kernels.h"
#include "threads/phases.h"

namespace striate {

namespace {

constexpr std::int64_t second_cache_floats = 1 << 17;  // of rows of x and dy at a time: a quarter of 2 MB
constexpr std::int64_t gradients_of_a_thread = 1 << 17;

class DirectFilters final : public FilterPlan {
public:
    DirectFilters(const ConvShape& shape, const ConvOptions& options)
        : shape_(shape),
          threads_(options.threads),
          kernels_(STRIATE_KERNELS_OF(options.isa, direct_kernels)),
          x_strides_(strides_of(options.from, shape.in, shape.rows.size, shape.columns.size)),
          dy_strides_(strides_of(options.to, shape.out, shape.rows.out(), shape.columns.out())),
          x_blocks_(shape.group_in(), kernels_.lanes),
          dy_blocks_{quotient_up(shape.group_out(), kernels_.lanes)},
          x_begins_(x_blocks_.begins(x_strides_)),
          dy_begins_(dy_blocks_.begins(dy_strides_, kernels_.lanes)),
          pixels_((shape.columns.out() - 1) * shape.columns.stride + shape.columns.extent()),
          runs_(shape, x_blocks_.block, x_blocks_.block, pixels_ * x_blocks_.block),
          rest_runs_(shape, x_blocks_.block, x_blocks_.rest, pixels_ * x_blocks_.block) {
        const std::int64_t rows = shape.rows.out();
        const std::int64_t row_floats = x_blocks_.count() * pixels_ * x_blocks_.block * shape.rows.stride +
                                        dy_blocks_.blocks * shape.columns.out() * kernels_.lanes;
        const bool own = gradient_floats() <= gradients_of_a_thread;
        // one visit of a shared dw is worth many pixels
        const std::int64_t fitting = (own ? 1 : 4) * second_cache_floats / row_floats;
        images_ = std::clamp<std::int64_t>(fitting / rows, 1, shape.batch);
        if (own) images_ = std::min(images_, quotient_up(shape.batch, threads_));
        row_chunks_ = quotient_up(rows, std::clamp<std::int64_t>(fitting, 1, rows));
        if (own)
            row_chunks_ =
                std::clamp(quotient_up(2 * threads_, shape.batch), row_chunks_, std::max(row_chunks_, rows / 2));
        chunk_rows_ = quotient_up(rows, row_chunks_);
        shares_ = own ? std::min<std::int64_t>(threads_, chunks()) : 1;
        own_ = own;
    }

    std::int64_t workspace_floats() const override { return shares_ * (gradient_floats() + x_floats() + dy_floats()); }

    void run(const float* x, const float* dy, float* dw, float* workspace) const override {
        const std::int64_t steps = own_ ? 2 : 2 * chunks() + 1;  // for each group
        parallel_phases(
            shape_.groups * steps, threads_,
            [&](std::int64_t phase) { return items(phase / steps, phase % steps, steps); },
            [&](std::int64_t phase, std::int64_t item, int) {
                const std::int64_t group = phase / steps, step = phase % steps;
                if (step == steps - 1) return add_shares(group, item, dw, workspace);
                if (own_) return share(group, item, x, dy, workspace);
                const Chunk part = chunk(group, step / 2);
                const Buffers buffers = share_of(workspace, 0);
                if (step % 2 == 0) return copy(part, item, x, dy, buffers);
                sum(part, item, step > 1, buffers);
            });
    }

private:
    struct Chunk {
        std::int64_t group, image, images, row, rows;
    };
    struct Buffers {
        float *dw, *x, *dy;
    };

    std::int64_t in_rows(std::int64_t rows) const { return (rows - 1) * shape_.rows.stride + shape_.rows.extent(); }
    std::int64_t slack() const { return kernels_.lanes * kernels_.lanes; }
    std::int64_t x_image() const { return in_rows(chunk_rows_) * pixels_ * x_blocks_.block + slack(); }
    std::int64_t dy_image() const { return chunk_rows_ * shape_.columns.out() * kernels_.lanes + slack(); }
    std::int64_t x_floats() const { return x_blocks_.count() * images_ * x_image(); }
    std::int64_t dy_floats() const { return dy_blocks_.blocks * images_ * dy_image(); }
    std::int64_t gradient_floats() const {
        return shape_.group_in() * shape_.taps() * dy_blocks_.blocks * kernels_.lanes;
    }
    std::int64_t chunks() const { return quotient_up(shape_.batch, images_) * row_chunks_; }

    Buffers share_of(float* workspace, std::int64_t index) const {
        float* const dw = workspace + index * (gradient_floats() + x_floats() + dy_floats());
        return {dw, dw + gradient_floats(), dw + gradient_floats() + x_floats()};
    }

    Chunk chunk(std::int64_t group, std::int64_t index) const {
        const std::int64_t image = index / row_chunks_ * images_, part = index % row_chunks_, rows = shape_.rows.out();
        const std::int64_t begin = rows * part / row_chunks_;
        return {group, image, std::min(images_, shape_.batch - image), begin, rows * (part + 1) / row_chunks_ - begin};
    }

    std::int64_t items(std::int64_t, std::int64_t step, std::int64_t steps) const {
        if (step == steps - 1) return dy_blocks_.count();
        if (own_) return shares_;
        return step % 2 == 0 ? (x_blocks_.count() + dy_blocks_.blocks) * images_ : sum_items();
    }

    // A pair of blocks of dy's maps, a block of x's.
    std::int64_t sum_items() const { return dy_blocks_.count() * x_blocks_.count(); }

    void share(std::int64_t group, std::int64_t index, const float* x, const float* dy, float* workspace) const {
        const Buffers buffers = share_of(workspace, index);
        const std::int64_t begin = chunks() * index / shares_, end = chunks() * (index + 1) / shares_;
        for (std::int64_t c = begin; c < end; ++c) {
            const Chunk part = chunk(group, c);
            for (std::int64_t image = 0; image < part.images; ++image) {
                copy_x(part, image, 0, x_blocks_.count(), x, buffers);
                copy_dy(part, image, 0, dy_blocks_.blocks, dy, buffers);
            }
            for (std::int64_t item = 0; item < sum_items(); ++item) sum(part, item, c > begin, buffers);
        }
    }

    // One block of one image.
    void copy(const Chunk& part, std::int64_t item, const float* x, const float* dy, const Buffers& buffers) const {
        const std::int64_t block = item / images_, image = item % images_;
        if (image >= part.images) return;
        if (block < x_blocks_.count()) return copy_x(part, image, block, 1, x, buffers);
        copy_dy(part, image, block - x_blocks_.count(), 1, dy, buffers);
    }

    void copy_x(const Chunk& part, std::int64_t image, std::int64_t block, std::int64_t blocks, const float* x,
                const Buffers& buffers) const {
        kernels_.rows(
            {.image = x + (part.image + image) * x_strides_.image + x_strides_.of_map(part.group * shape_.group_in()),
             .from = x_begins_.data() + block,
             .strides = {x_strides_.map, x_strides_.row, x_strides_.pixel},
             .blocks = blocks,
             .maps = x_blocks_.block,
             .last_maps = x_blocks_.maps(block + blocks - 1),
             .height = shape_.rows.size,
             .width = shape_.columns.size,
             .top = part.row * shape_.rows.stride - shape_.rows.low,
             .left = -shape_.columns.low,
             .rows = in_rows(part.rows),
             .pixels = pixels_,
             .block = x_blocks_.block,
             .to = buffers.x + (block * images_ + image) * x_image(),
             .step = images_ * x_image()});
    }

    void copy_dy(const Chunk& part, std::int64_t image, std::int64_t block, std::int64_t blocks, const float* dy,
                 const Buffers& buffers) const {
        const std::int64_t lanes = kernels_.lanes;
        kernels_.rows({.image = dy + (part.image + image) * dy_strides_.image +
                                dy_strides_.of_map(part.group * shape_.group_out()),
                       .from = dy_begins_.data() + block,
                       .strides = {dy_strides_.map, dy_strides_.row, dy_strides_.pixel},
                       .blocks = blocks,
                       .maps = lanes,
                       .last_maps = std::min(lanes, shape_.group_out() - (block + blocks - 1) * lanes),
                       .height = shape_.rows.out(),
                       .width = shape_.columns.out(),
                       .top = part.row,
                       .left = 0,
                       .rows = part.rows,
                       .pixels = shape_.columns.out(),
                       .block = lanes,
                       .to = buffers.dy + (block * images_ + image) * dy_image(),
                       .step = images_ * dy_image()});
    }

    void sum(const Chunk& part, std::int64_t item, bool add, const Buffers& buffers) const {
        const std::int64_t lanes = kernels_.lanes, pair = item / x_blocks_.count(), block = item % x_blocks_.count();
        const int registers = dy_blocks_.registers(pair);
        const TapRuns& runs = block < x_blocks_.full ? runs_ : rest_runs_;
        float* dw = buffers.dw + pair * shape_.group_in() * shape_.taps() * 2 * lanes +
                    block * x_blocks_.block * shape_.taps() * registers * lanes;
        for (const std::int64_t begin : runs.begins) {
            kernels_.gradient[registers - 1]({.x = buffers.x + block * images_ * x_image() + begin,
                                              .x_pixel = shape_.columns.stride * x_blocks_.block,
                                              .x_row = shape_.rows.stride * pixels_ * x_blocks_.block,
                                              .x_image = x_image(),
                                              .dy = buffers.dy + pair * 2 * images_ * dy_image(),
                                              .dy_step = images_ * dy_image(),
                                              .dy_row = shape_.columns.out() * lanes,
                                              .dy_image = dy_image(),
                                              .images = part.images,
                                              .rows = part.rows,
                                              .pixels = shape_.columns.out(),
                                              .dw = dw,
                                              .run = runs.length,
                                              .add = add});
            dw += runs.length * registers * lanes;
        }
    }

    // One pair's gradients, from the kernels' order to [out, in / groups, rows.kernel, columns.kernel].
    void add_shares(std::int64_t group, std::int64_t pair, float* dw, float* workspace) const {
        const std::int64_t lanes = kernels_.lanes, taps = shape_.taps(), first = pair * 2 * lanes;
        const std::int64_t width = dy_blocks_.registers(pair) * lanes,
                           maps = std::min(width, shape_.group_out() - first);
        std::int64_t at = first * shape_.group_in() * taps;
        for (std::int64_t block = 0; block < x_blocks_.count(); ++block) {
            for (std::int64_t tap = 0; tap < taps; ++tap) {
                for (std::int64_t c = 0; c < x_blocks_.maps(block); ++c, at += width) {
                    float* const to =
                        dw +
                        ((group * shape_.group_out() + first) * shape_.group_in() + block * x_blocks_.block + c) *
                            taps +
                        tap;
                    for (std::int64_t k = 0; k < maps; ++k) {
                        float sum = share_of(workspace, 0).dw[at + k];
                        for (std::int64_t s = 1; s < shares_; ++s) sum += share_of(workspace, s).dw[at + k];
                        to[k * shape_.group_in() * taps] = sum;
                    }
                }
            }
        }
    }

    ConvShape shape_;
    int threads_;
    const DirectKernels& kernels_;
    ImageStrides x_strides_, dy_strides_;
    InputBlocks x_blocks_;
    OutputPairs dy_blocks_;
    std::vector<std::int64_t> x_begins_, dy_begins_;  // of the blocks
    std::int64_t pixels_;                             // of a row of x in the buffer
    TapRuns runs_, rest_runs_;
    bool own_;
    std::int64_t images_, row_chunks_, chunk_rows_, shares_;
};

}  // namespace

std::unique_ptr<FilterPlan> direct_filters(const ConvShape& shape, const ConvOptions& options) {
    return std::make_unique<DirectFilters>(shape, options);
}

}  // namespace striate
