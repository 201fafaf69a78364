#include "direct/convolution.h"

#include "dispatch/kernels.h"
#include "threads/phases.h"

namespace striate {

namespace {

constexpr std::int64_t first_cache_floats = 6 << 10;    // of weights at a time: half of a first cache of 48 kB
constexpr std::int64_t second_cache_floats = 1 << 17;   // of rows and sums at a time: a quarter of a second cache of 2 MB
constexpr std::int64_t weights_of_a_thread = 1 << 18;   // that may be read again for every few rows

}  // namespace

DirectConvolution::DirectConvolution(const ConvShape& shape, const ImageStrides& from, const DirectPlace& to, Isa isa,
                                     int threads)
    : shape_(shape),
      from_(from),
      to_(to),
      threads_(threads),
      kernels_(STRIATE_KERNELS_OF(isa, direct_kernels)),
      from_blocks_(shape.group_in(), kernels_.lanes),
      to_blocks_{quotient_up(to.whole_blocks ? stored_maps(Layout::blocked, shape.group_out()) : shape.group_out(),
                             kernels_.lanes)},
      pixels_((shape.columns.out() - 1) * shape.columns.stride + shape.columns.extent()),
      runs_(shape, from_blocks_.block, from_blocks_.block, pixels_ * from_blocks_.block),
      rest_runs_(shape, from_blocks_.block, from_blocks_.rest, pixels_ * from_blocks_.block) {
    const std::int64_t rows = shape.rows.out(), lanes = kernels_.lanes;
    const std::int64_t row_floats = from_blocks_.count() * pixels_ * from_blocks_.block * shape.rows.stride;
    const std::int64_t row_sums = shape.columns.out() * 2 * lanes;
    own_ = group_floats() <= weights_of_a_thread;
    if (own_) {
        const std::int64_t fitting = std::clamp<std::int64_t>(second_cache_floats / (row_floats + row_sums), 1, rows);
        row_chunks_ = quotient_up(rows, fitting);
        const std::int64_t wanted = quotient_up(4 * threads, shape.batch);  // so that threads end together
        row_chunks_ = std::clamp(wanted, row_chunks_, std::max(row_chunks_, quotient_up(rows, 4)));
    } else {
        images_ = std::clamp<std::int64_t>(2 * second_cache_floats / (row_floats * rows), 1, shape.batch);
        row_chunks_ = quotient_up(row_floats * rows, 4 * second_cache_floats);
        row_chunks_ = std::min(row_chunks_, rows);
    }
    chunk_rows_ = quotient_up(rows, row_chunks_);
    part_rows_ = images_ * chunk_rows_;
    if (!own_) {
        parts_ = std::max(quotient_up(2 * threads, to_blocks_.count()), quotient_up(part_rows_ * row_sums, second_cache_floats));
        parts_ = std::min(parts_, part_rows_);
        part_rows_ = quotient_up(part_rows_, parts_);
    }
}

std::int64_t DirectConvolution::image_floats() const {
    return in_rows(chunk_rows_) * pixels_ * from_blocks_.block + kernels_.lanes * kernels_.lanes;
}

std::int64_t DirectConvolution::sums_floats() const {
    return (part_rows_ * shape_.columns.out() + kernels_.lanes) * 2 * kernels_.lanes;
}

std::int64_t DirectConvolution::workspace_floats() const {
    return own_ ? threads_ * (buffer_floats() + sums_floats()) : buffer_floats() + threads_ * sums_floats();
}

void DirectConvolution::pack(const Filters& filters, float* packed) const {
    const std::int64_t lanes = kernels_.lanes, taps = shape_.taps();
    parallel_items(shape_.groups * to_blocks_.count(), threads_, [&](std::int64_t item, int) {
        const std::int64_t group = item / to_blocks_.count(), pair = item % to_blocks_.count();
        const std::int64_t width = to_blocks_.registers(pair) * lanes;
        float* to = packed + group * group_floats() + pair * shape_.group_in() * taps * 2 * lanes;
        for (std::int64_t block = 0; block < from_blocks_.count(); ++block) {
            for (std::int64_t tap = 0; tap < taps; ++tap) {
                const std::int64_t i = tap / shape_.columns.kernel, j = tap % shape_.columns.kernel;
                for (std::int64_t c = 0; c < from_blocks_.maps(block); ++c) {
                    const float* from = filters.data + group * filters.group + (block * from_blocks_.block + c) * filters.in +
                                        i * filters.row + j * filters.column;
                    for (std::int64_t lane = 0; lane < width; ++lane) {
                        const std::int64_t map = pair * 2 * lanes + lane;
                        *to++ = map < shape_.group_out() ? from[map * filters.out] : 0.0f;
                    }
                }
            }
        }
    });
}

DirectConvolution::Chunk DirectConvolution::chunk(std::int64_t index) const {
    const std::int64_t group = index / chunks(), rest = index % chunks();
    const std::int64_t image = rest / row_chunks_ * images_, part = rest % row_chunks_, rows = shape_.rows.out();
    const std::int64_t begin = rows * part / row_chunks_;
    return {group, image, std::min(images_, shape_.batch - image), begin, rows * (part + 1) / row_chunks_ - begin};
}

std::int64_t DirectConvolution::phases() const { return own_ ? 1 : 2 * shape_.groups * chunks(); }

std::int64_t DirectConvolution::items(std::int64_t phase) const {
    if (own_) return shape_.groups * chunks();
    const Chunk part = chunk(phase / 2);
    return phase % 2 == 0 ? from_blocks_.count() * part.images : to_blocks_.count() * parts(part);
}

void DirectConvolution::run(const DirectCall& call, std::int64_t phase, std::int64_t item, int member) const {
    if (own_) {
        const Chunk part = chunk(item);
        float* const buffer = call.workspace + member * (buffer_floats() + sums_floats());
        for (std::int64_t block = 0; block < from_blocks_.count(); ++block) copy_rows(call, part, block, 0, buffer);
        for (std::int64_t pair = 0; pair < to_blocks_.count(); ++pair) {
            compute(call, part, pair, 0, part.rows, buffer, buffer + buffer_floats());
        }
        return;
    }
    const Chunk part = chunk(phase / 2);
    if (phase % 2 == 0) return copy_rows(call, part, item / part.images, item % part.images, call.workspace);
    const std::int64_t rows = part.images * part.rows, count = parts(part), index = item % count;
    compute(call, part, item / count, rows * index / count, rows * (index + 1) / count, call.workspace,
            call.workspace + buffer_floats() + member * sums_floats());
}

void DirectConvolution::copy_rows(const DirectCall& call, const Chunk& chunk, std::int64_t block, std::int64_t image,
                                  float* buffer) const {
    if (shape_.taps() == 0) return;
    const std::int64_t map = chunk.group * shape_.group_in() + block * from_blocks_.block;
    kernels_.rows({.image = call.images + (chunk.image + image) * from_.image + from_.of_map(map),
                   .strides = {from_.map, from_.row, from_.pixel},
                   .maps = from_blocks_.maps(block),
                   .height = shape_.rows.size,
                   .width = shape_.columns.size,
                   .top = chunk.row * shape_.rows.stride - shape_.rows.low,
                   .left = -shape_.columns.low,
                   .rows = in_rows(chunk.rows),
                   .pixels = pixels_,
                   .block = from_blocks_.block,
                   .to = buffer + (block * images_ + image) * image_floats()});
}

// One pair of blocks of output maps, rows [begin, end) of the chunk's, counted through its images.
void DirectConvolution::compute(const DirectCall& call, const Chunk& chunk, std::int64_t pair, std::int64_t begin,
                                std::int64_t end, const float* buffer, float* sums) const {
    const std::int64_t lanes = kernels_.lanes, columns = shape_.columns.out(), taps = shape_.taps();
    const int registers = to_blocks_.registers(pair);
    const std::int64_t block_weights = from_blocks_.block * taps * registers * lanes;
    const std::int64_t slice = taps == 0 ? 1 : std::clamp<std::int64_t>(first_cache_floats / block_weights, 1, std::max<std::int64_t>(1, from_blocks_.full));
    const std::int64_t sums_step = (part_rows_ * columns + lanes) * lanes;
    const float* const weights = call.packed + chunk.group * group_floats() + pair * shape_.group_in() * taps * 2 * lanes;

    // sums of rows of blocks [first, first + blocks), then on to `done` when these were the last
    const auto sweep = [&](std::int64_t first, std::int64_t blocks, const Runs& runs, auto done) {
        for (std::int64_t r = begin; r < end; ++r) {
            const std::int64_t image = r / chunk.rows, row = r % chunk.rows;
            float* const row_sums = sums + (r - begin) * columns * lanes;
            kernels_.sums[registers - 1]({.x = buffer + (first * images_ + image) * image_floats() +
                                               row * shape_.rows.stride * pixels_ * from_blocks_.block,
                                          .pixel = shape_.columns.stride * from_blocks_.block,
                                          .blocks = taps == 0 ? 0 : blocks,
                                          .block = images_ * image_floats(),
                                          .runs = runs.begins.data(),
                                          .run_count = static_cast<std::int64_t>(runs.begins.size()),
                                          .run = runs.length,
                                          .w = weights + first * block_weights,
                                          .sums = row_sums,
                                          .sums_step = sums_step,
                                          .pixels = columns,
                                          .add = first > 0});
            done(chunk.image + image, chunk.row + row, row_sums);
        }
    };

    float bias[2][maps_per_block] = {};
    const std::int64_t first_map = pair * 2 * lanes;
    if (call.epilogue.bias != nullptr) {
        for (std::int64_t lane = 0; lane < std::min(registers * lanes, shape_.group_out() - first_map); ++lane) {
            bias[lane / lanes][lane % lanes] = call.epilogue.bias[chunk.group * shape_.group_out() + first_map + lane];
        }
    }
    const auto keep = [](std::int64_t, std::int64_t, float*) {};
    const auto finish = [&](std::int64_t image, std::int64_t row, float* row_sums) {
        for (int m = 0; m < registers; ++m) {
            const std::int64_t map = first_map + m * lanes;
            const std::int64_t at = to_.offset + image * to_.strides.image +
                                    to_.strides.of_map(chunk.group * shape_.group_out() + map) + row * to_.strides.row;
            kernels_.result({.sums = row_sums + m * sums_step,
                             .pixels = columns,
                             .maps = to_.whole_blocks ? lanes : std::min(lanes, shape_.group_out() - map),
                             .strides = {to_.strides.map, to_.strides.row, to_.strides.pixel},
                             .bias = bias[m],
                             .residual = call.epilogue.residual == nullptr ? nullptr : call.epilogue.residual + at,
                             .relu = call.epilogue.relu,
                             .row = call.result + at});
        }
    };
    for (std::int64_t first = 0; first < from_blocks_.full; first += slice) {
        const std::int64_t blocks = std::min(slice, from_blocks_.full - first);
        if (first + blocks == from_blocks_.count()) {
            sweep(first, blocks, runs_, finish);
        } else {
            sweep(first, blocks, runs_, keep);
        }
    }
    if (from_blocks_.rest > 0) sweep(from_blocks_.full, 1, rest_runs_, finish);
}

}  // namespace striate
