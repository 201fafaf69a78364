#include "depthwise/convolution.h"

#include "conv/division.h"
#include "dispatch/kernels.h"

namespace striate {

namespace {

constexpr std::int64_t plane_floats = 1 << 15;  // of copied rows at a time: a sixteenth of a second cache of 2 MB

}  // namespace

DepthwiseConvolution::DepthwiseConvolution(const ConvShape& shape, const ImageStrides& from, const Place& to, Isa isa,
                                           int threads)
    : shape_(shape),
      from_(from),
      to_(to),
      threads_(threads),
      kernels_(STRIATE_KERNELS_OF(isa, depthwise_kernels)),
      planes_(shape, kernels_.lanes),
      maps_(shape.in == shape.groups && shape.out == shape.groups && from.map == 1 && from.block == maps_per_block &&
            to.strides.map == 1 && to.strides.block == maps_per_block && !to.whole_blocks),
      stored_(stored_maps(to.whole_blocks ? Layout::blocked : Layout::nchw, shape.out)) {
    const std::int64_t rows = shape.rows.out();
    row_chunks_ = 1;
    if (maps_) {
        row_chunks_ = std::min(rows, quotient_up(8 * threads, shape.batch));
    } else {
        const std::int64_t one = planes_.row_step() * shape.group_in();
        row_chunks_ = quotient_up(rows, std::clamp<std::int64_t>(plane_floats / one, 1, rows));
    }
    chunk_rows_ = quotient_up(rows, row_chunks_);
}

std::int64_t DepthwiseConvolution::packed_floats() const {
    if (!maps_) return shape_.out * shape_.group_in() * shape_.taps();
    return rounded_up(shape_.out, kernels_.lanes) * shape_.taps();
}

std::int64_t DepthwiseConvolution::thread_floats() const {
    const std::int64_t lanes = kernels_.lanes;
    if (maps_) return rounded_up(shape_.in, lanes);
    return rounded_up(shape_.group_in() * planes_.floats(chunk_rows_) + shape_.columns.out() + lanes, 16);
}

void DepthwiseConvolution::pack(const Filters& filters, float* packed) const {
    const std::int64_t lanes = kernels_.lanes, taps = shape_.taps();
    if (maps_) std::fill_n(packed, packed_floats(), 0.0f);
    for (std::int64_t k = 0; k < shape_.out; ++k) {
        const std::int64_t group = k / shape_.group_out(), own = k % shape_.group_out();
        for (std::int64_t c = 0; c < shape_.group_in(); ++c) {
            for (std::int64_t t = 0; t < taps; ++t) {
                const float value =
                    filters.data[group * filters.group + own * filters.out + c * filters.in +
                                 t / shape_.columns.kernel * filters.row + t % shape_.columns.kernel * filters.column];
                if (maps_) {
                    packed[(k / lanes * taps + t) * lanes + k % lanes] = value;
                } else {
                    packed[(k * shape_.group_in() + c) * taps + t] = value;
                }
            }
        }
    }
}

void DepthwiseConvolution::run(const ConvCall& call, std::int64_t, std::int64_t item, int member) const {
    float* const workspace = call.workspace + member * thread_floats();
    const std::int64_t chunk = item % row_chunks_, rows = shape_.rows.out(), rest = item / row_chunks_;
    const std::int64_t begin = rows * chunk / row_chunks_, end = rows * (chunk + 1) / row_chunks_;
    if (maps_) return run_maps(call, rest, begin, end, workspace);
    const std::int64_t image = rest / stored_, map = rest % stored_;
    if (map < shape_.out) return run_plane(call, image, map, begin, end, workspace);
    float* const result = call.result + to_.offset + image * to_.strides.image + to_.strides.of_map(map);
    for (std::int64_t row = begin; row < end; ++row) {
        for (std::int64_t x = 0; x < shape_.columns.out(); ++x)
            result[row * to_.strides.row + x * to_.strides.pixel] = 0.0f;
    }
}

void DepthwiseConvolution::run_maps(const ConvCall& call, std::int64_t image, std::int64_t begin, std::int64_t end,
                                    float* workspace) const {
    std::fill_n(workspace, thread_floats(), 0.0f);
    const bool past = past_caches(to_, shape_.batch, shape_.out, call.result);
    for (std::int64_t row = begin; row < end; row += 2) {
        const std::int64_t at = to_.offset + image * to_.strides.image + row * to_.strides.row;
        kernels_.map_rows({.image = call.images + image * from_.image,
                           .row = from_.row,
                           .pixel = from_.pixel,
                           .height = shape_.rows.size,
                           .width = shape_.columns.size,
                           .kernel_rows = shape_.rows.kernel,
                           .kernel_columns = shape_.columns.kernel,
                           .dilation_rows = shape_.rows.dilation,
                           .dilation_columns = shape_.columns.dilation,
                           .row_stride = shape_.rows.stride,
                           .stride = shape_.columns.stride,
                           .top = row * shape_.rows.stride - shape_.rows.low,
                           .left = -shape_.columns.low,
                           .rows = std::min<std::int64_t>(2, end - row),
                           .pixels = shape_.columns.out(),
                           .maps = shape_.out,
                           .w = call.packed,
                           .bias = call.epilogue.bias,
                           .residual = call.epilogue.residual == nullptr ? nullptr : call.epilogue.residual + at,
                           .relu = call.epilogue.relu,
                           .result = call.result + at,
                           .result_row = to_.strides.row,
                           .result_pixel = to_.strides.pixel,
                           .zeros = workspace,
                           .past_caches = past});
    }
    if (past) kernels_.end_results();
}

void DepthwiseConvolution::run_plane(const ConvCall& call, std::int64_t image, std::int64_t map, std::int64_t begin,
                                     std::int64_t end, float* workspace) const {
    const std::int64_t in = shape_.group_in(), first = map / shape_.group_out() * in,
                       step = planes_.floats(chunk_rows_);
    if (shape_.taps() > 0) {
        for (std::int64_t c = 0; c < in; ++c) {
            kernels_.plane_rows(planes_.rows_of(call.images + image * from_.image + from_.of_map(first + c), from_.row,
                                                from_.pixel, begin, end - begin, workspace + c * step));
        }
    }
    for (std::int64_t row = begin; row < end; ++row) {
        const std::int64_t at =
            to_.offset + image * to_.strides.image + to_.strides.of_map(map) + row * to_.strides.row;
        kernels_.plane_sums({.plane = workspace + (row - begin) * planes_.row_step(),
                             .planes = in,
                             .step = step,
                             .taps = planes_.read(),
                             .w = call.packed + map * in * shape_.taps(),
                             .pixels = shape_.columns.out(),
                             .bias = call.epilogue.bias == nullptr ? 0.0f : call.epilogue.bias[map],
                             .residual = call.epilogue.residual == nullptr ? nullptr : call.epilogue.residual + at,
                             .relu = call.epilogue.relu,
                             .result = call.result + at,
                             .pixel = to_.strides.pixel,
                             .scratch = workspace + in * step});
    }
}

}  // namespace striate
