#include "direct/convolution.h"

#include "conv/bias.h"
#include "dispatch/kernels.h"

namespace striate {

namespace {

constexpr std::int64_t first_cache_floats = 6 << 10;  // of weights at a time: half of a first cache of 48 kB
constexpr std::int64_t second_cache_floats = 1
                                             << 17;  // of rows and sums at a time: a quarter of a second cache of 2 MB
constexpr std::int64_t rows_of_a_copy = 4;
constexpr std::int64_t weights_of_a_thread = 1 << 18;  // that may be read again for every few rows

}  // namespace

DirectConvolution::DirectConvolution(const ConvShape& shape, const ImageStrides& from, const Place& to, Isa isa,
                                     int threads)
    : shape_(shape),
      from_(from),
      to_(to),
      threads_(threads),
      kernels_(STRIATE_KERNELS_OF(isa, direct_kernels)),
      from_blocks_(shape.group_in(), kernels_.lanes),
      to_blocks_{quotient_up(to.whole_blocks ? stored_maps(Layout::blocked, shape.group_out()) : shape.group_out(),
                             kernels_.lanes)},
      from_begins_(from_blocks_.begins(from)),
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
        parts_ = std::max(quotient_up(2 * threads, to_blocks_.count()),
                          quotient_up(part_rows_ * row_sums, second_cache_floats));
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
                    const float* from = filters.data + group * filters.group +
                                        (block * from_blocks_.block + c) * filters.in + i * filters.row +
                                        j * filters.column;
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
    return phase % 2 == 0 ? copies(part) * part.images : to_blocks_.count() * parts(part);
}

void DirectConvolution::run(const ConvCall& call, std::int64_t phase, std::int64_t item, int member) const {
    if (own_) {
        const Chunk part = chunk(item);
        float* const buffer = call.workspace + member * (buffer_floats() + sums_floats());
        float* const sums = buffer + buffer_floats();
        copy_rows(call, part, {0, 0, from_blocks_.count(), 0, in_rows(part.rows)}, buffer);
        // a row of all maps at a time, if the first cache holds all weights: the result is written in its own order
        const std::int64_t rows = group_floats() <= first_cache_floats ? 1 : part.rows;
        for (std::int64_t row = 0; row < part.rows; row += rows) {
            for (std::int64_t pair = 0; pair < to_blocks_.count(); ++pair) {
                compute(call, part, pair, row, row + rows, buffer, sums);
            }
        }
        return;
    }
    const Chunk part = chunk(phase / 2);
    if (phase % 2 == 0) return copy_rows(call, part, copy(part, item), call.workspace);
    const std::int64_t rows = part.images * part.rows, count = parts(part), index = item % count;
    compute(call, part, item / count, rows * index / count, rows * (index + 1) / count, call.workspace,
            call.workspace + buffer_floats() + member * sums_floats());
}

// Rows may be copied by several threads at once where copying one writes nothing of the next (simd/rows.h).
std::int64_t DirectConvolution::copies(const Chunk& chunk) const {
    return from_.map == 1 ? quotient_up(in_rows(chunk.rows), rows_of_a_copy) : from_blocks_.count();
}

DirectConvolution::Copy DirectConvolution::copy(const Chunk& chunk, std::int64_t index) const {
    const std::int64_t image = index / copies(chunk), part = index % copies(chunk), rows = in_rows(chunk.rows);
    if (from_.map != 1) return {image, part, 1, 0, rows};
    const std::int64_t row = part * rows_of_a_copy;
    return {image, 0, from_blocks_.count(), row, std::min(rows_of_a_copy, rows - row)};
}

void DirectConvolution::copy_rows(const ConvCall& call, const Chunk& chunk, const Copy& copy, float* buffer) const {
    if (shape_.taps() == 0) return;
    const std::int64_t map = chunk.group * shape_.group_in(), last = copy.block + copy.blocks - 1;
    kernels_.rows(
        {.image = call.images + (chunk.image + copy.image) * from_.image + from_.of_map(map),
         .from = from_begins_.data() + copy.block,
         .strides = {from_.map, from_.row, from_.pixel},
         .blocks = copy.blocks,
         .maps = from_blocks_.block,
         .last_maps = from_blocks_.maps(last),
         .height = shape_.rows.size,
         .width = shape_.columns.size,
         .top = chunk.row * shape_.rows.stride - shape_.rows.low + copy.row,
         .left = -shape_.columns.low,
         .rows = copy.rows,
         .pixels = pixels_,
         .block = from_blocks_.block,
         .to = buffer + (copy.block * images_ + copy.image) * image_floats() + copy.row * pixels_ * from_blocks_.block,
         .step = images_ * image_floats()});
}

// One pair of blocks of output maps, rows [begin, end) of the chunk's, counted through its images.
void DirectConvolution::compute(const ConvCall& call, const Chunk& chunk, std::int64_t pair, std::int64_t begin,
                                std::int64_t end, const float* buffer, float* sums) const {
    const std::int64_t lanes = kernels_.lanes, columns = shape_.columns.out(), taps = shape_.taps();
    const int registers = to_blocks_.registers(pair);
    const std::int64_t block_weights = from_blocks_.block * taps * registers * lanes;
    const std::int64_t slice = taps == 0 ? 1
                                         : std::clamp<std::int64_t>(first_cache_floats / block_weights, 1,
                                                                    std::max<std::int64_t>(1, from_blocks_.full));
    const std::int64_t sums_step = (part_rows_ * columns + lanes) * lanes;
    const float* const weights =
        call.packed + chunk.group * group_floats() + pair * shape_.group_in() * taps * 2 * lanes;

    float bias[2 * maps_per_block];  // by registers
    const std::int64_t first_map = chunk.group * shape_.group_out() + pair * 2 * lanes;
    const std::int64_t real = std::min(registers * lanes, shape_.group_out() - pair * 2 * lanes);
    const std::int64_t maps = to_.whole_blocks ? registers * lanes : real;
    copy_bias(call.epilogue.bias, first_map, real, 2 * maps_per_block, bias);
    const std::int64_t to_map = to_.strides.of_map(first_map);
    const std::int64_t next_register = to_.strides.of_map(first_map + lanes) - to_map;

    // sums of blocks [first, first + blocks), and what is done to them when these were the last
    const bool direct = to_.strides.map == 1, past = past_caches(to_, shape_.batch, shape_.group_out(), call.result);
    const auto sweep = [&](std::int64_t first, std::int64_t blocks, const TapRuns& runs, bool last) {
        for (std::int64_t r = begin; r < end; ++r) {
            const std::int64_t image = r / chunk.rows, row = r % chunk.rows;
            float* const row_sums = sums + (r - begin) * columns * lanes;
            const std::int64_t at =
                to_.offset + (chunk.image + image) * to_.strides.image + to_map + (chunk.row + row) * to_.strides.row;
            const float* const residual = call.epilogue.residual == nullptr ? nullptr : call.epilogue.residual + at;
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
                                          .add = first > 0,
                                          .result = last && direct ? call.result + at : nullptr,
                                          .result_pixel = to_.strides.pixel,
                                          .maps = maps,
                                          .next_register = next_register,
                                          .bias = bias,
                                          .residual = residual,
                                          .relu = call.epilogue.relu,
                                          .past_caches = past});
            for (int m = 0; last && !direct && m < registers; ++m) {
                kernels_.result({.sums = row_sums + m * sums_step,
                                 .pixels = columns,
                                 .maps = std::min(lanes, maps - m * lanes),
                                 .strides = {to_.strides.map, to_.strides.row, to_.strides.pixel},
                                 .bias = bias + m * lanes,
                                 .residual = residual == nullptr ? nullptr : residual + m * next_register,
                                 .relu = call.epilogue.relu,
                                 .row = call.result + at + m * next_register});
            }
        }
    };

    for (std::int64_t first = 0; first < from_blocks_.full; first += slice) {
        const std::int64_t blocks = std::min(slice, from_blocks_.full - first);
        sweep(first, blocks, runs_, first + blocks == from_blocks_.count());
    }
    if (from_blocks_.rest > 0) sweep(from_blocks_.full, 1, rest_runs_, true);
    if (direct && past) kernels_.end_results();
}

}  // namespace striate
