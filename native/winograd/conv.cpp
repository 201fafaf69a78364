#include "winograd/conv.h"

#include <algorithm>
#include <atomic>
#include <stdexcept>
#include <vector>

#include "dispatch/kernels.h"
#include "threads/pool.h"
#include "winograd/points.h"

namespace striate {

namespace {

constexpr std::int64_t cache_floats = 1 << 18;  // of components a thread works on at a time: its second cache
constexpr std::int64_t enough_tiles = 56;       // for each pass over the weights, which may come from main memory

constexpr std::int64_t quotient_up(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

// From one component to the next: components that lay a power of two apart would fall on the same lines of a cache.
std::int64_t spaced(std::int64_t floats) { return quotient_up(floats, 1024) * 1024 + 112; }

// G g Gᵀ of one 3×3 filter, in double, to [(M + 2)²].
template <int M>
void transform_filter(const float* filter, double* components) {
    constexpr int size = M + 2;
    const auto& g = Points<M>::matrices.g;
    double half[size][3];
    for (int i = 0; i < size; ++i) {
        for (int x = 0; x < 3; ++x) {
            half[i][x] = 0;
            for (int y = 0; y < 3; ++y) half[i][x] += g[i][y].value() * filter[3 * y + x];
        }
    }
    for (int i = 0; i < size; ++i) {
        for (int j = 0; j < size; ++j) {
            components[i * size + j] = 0;
            for (int x = 0; x < 3; ++x) components[i * size + j] += g[j][x].value() * half[i][x];
        }
    }
}

void transform_filter(int m, const float* filter, double* components) {
    if (m == 2) return transform_filter<2>(filter, components);
    if (m == 4) return transform_filter<4>(filter, components);
    transform_filter<6>(filter, components);
}

}  // namespace

struct WinogradConv::Work {
    std::int64_t group;
    const float* x;
    Strides x_strides;
    std::int64_t x_image;
    const float* bias;
    bool relu;
    float* y;
    Strides y_strides;
    std::int64_t y_image;
};

WinogradConv::WinogradConv(const ConvShape& shape, const float* weights, int m, Isa isa, int threads)
    : shape_(shape), m_(m), threads_(threads), kernels_(STRIATE_KERNELS_OF(isa, winograd_kernels)) {
    for (const Axis& axis : {shape.rows, shape.columns}) {
        if (axis.kernel != 3 || axis.stride != 1 || axis.dilation != 1) {
            throw std::invalid_argument("Winograd's convolution is 3×3 with stride 1 and dilation 1");
        }
    }
    if (m != 2 && m != 4 && m != 6) throw std::invalid_argument("m is " + std::to_string(m) + "; choose 2, 4 or 6");
    const std::int64_t lanes = kernels_.lanes, components = (m + 2) * (m + 2);
    in_blocks_ = quotient_up(shape.group_in(), lanes);
    out_pairs_ = quotient_up(shape.group_out(), 2 * lanes);
    tile_rows_ = quotient_up(shape.rows.out(), m);
    tile_columns_ = quotient_up(shape.columns.out(), m);
    const std::int64_t row_floats = components * tile_columns_ * (in_blocks_ + 2 * out_pairs_) * lanes;
    const std::int64_t rows = std::max<std::int64_t>(1, shape.batch * tile_rows_);
    chunk_ = std::max(quotient_up(enough_tiles, tile_columns_), cache_floats / row_floats);
    chunk_ = std::clamp<std::int64_t>(chunk_, 1, quotient_up(rows, threads));

    const std::int64_t panel = in_blocks_ * lanes * 2 * lanes;
    weights_ = std::make_unique<float[]>(shape.groups * components * out_pairs_ * panel);
    parallel_for(shape.out, 4, threads, [&](std::int64_t begin, std::int64_t end) {
        double component[64];
        for (std::int64_t k = begin; k < end; ++k) {
            const std::int64_t group = k / shape.group_out(), map = k % shape.group_out();
            for (std::int64_t c = 0; c < shape.group_in(); ++c) {
                transform_filter(m, weights + (k * shape.group_in() + c) * 9, component);
                float* to = weights_.get() + (group * components * out_pairs_ + map / (2 * lanes)) * panel +
                            c * 2 * lanes + map % (2 * lanes);
                for (std::int64_t i = 0; i < components; ++i) to[i * out_pairs_ * panel] = static_cast<float>(component[i]);
            }
        }
    });
}

std::int64_t WinogradConv::thread_floats() const {
    const std::int64_t lanes = kernels_.lanes, components = (m_ + 2) * (m_ + 2), tiles = chunk_ * tile_columns_;
    return components * (spaced(in_blocks_ * tiles * lanes) + spaced(2 * out_pairs_ * tiles * lanes)) +
           winograd_scratch(m_, lanes) + 2 * lanes;
}

std::int64_t WinogradConv::workspace() const { return threads_ * thread_floats(); }

void WinogradConv::rows_of_tiles(const Work& work, std::int64_t begin, std::int64_t end, float* workspace) const {
    const std::int64_t lanes = kernels_.lanes, size = m_ + 2, components = size * size, kind = m_ / 2 - 1;
    const std::int64_t tiles = (end - begin) * tile_columns_;
    const std::int64_t in_step = spaced(in_blocks_ * tiles * lanes), out_step = spaced(2 * out_pairs_ * tiles * lanes);
    float* const in = workspace;
    float* const out = in + components * in_step;
    float* const bias = out + components * out_step;
    float* const scratch = bias + 2 * lanes;

    // visit(first tile of the run in the chunk, image, its row of tiles, its column, tiles): every run of tiles.
    const auto for_each_run = [&](auto visit) {
        for (std::int64_t row = begin; row < end; ++row) {
            for (std::int64_t column = 0; column < tile_columns_; column += winograd_run) {
                visit((row - begin) * tile_columns_ + column, row / tile_rows_, row % tile_rows_, column,
                      std::min(winograd_run, tile_columns_ - column));
            }
        }
    };

    for (std::int64_t block = 0; block < in_blocks_; ++block) {
        const std::int64_t map = work.group * shape_.group_in() + block * lanes;
        for_each_run([&](std::int64_t first, std::int64_t image, std::int64_t row, std::int64_t column, std::int64_t run) {
            kernels_.input[kind]({.image = work.x + image * work.x_image + map * work.x_strides.map,
                                  .strides = work.x_strides,
                                  .maps = std::min(lanes, shape_.group_in() - block * lanes),
                                  .height = shape_.rows.size,
                                  .width = shape_.columns.size,
                                  .top = row * m_ - shape_.rows.low,
                                  .left = column * m_ - shape_.columns.low,
                                  .tiles = run,
                                  .components = in + (block * tiles + first) * lanes,
                                  .component = in_step,
                                  .scratch = scratch});
        });
    }

    const std::int64_t panel = in_blocks_ * lanes * 2 * lanes;
    const float* weights = weights_.get() + work.group * components * out_pairs_ * panel;
    const std::int64_t parts = quotient_up(tiles, kernels_.tile_rows);
    for (std::int64_t i = 0; i < components; ++i) {
        for (std::int64_t pair = 0; pair < out_pairs_; ++pair) {
            for (std::int64_t part = 0, t = 0; part < parts; ++part) {
                const std::int64_t count = quotient_up(tiles - t, parts - part);  // parts as equal as can be
                kernels_.multiply(in + i * in_step + t * lanes, tiles * lanes, weights + (i * out_pairs_ + pair) * panel,
                                  in_blocks_, out + i * out_step + (2 * pair * tiles + t) * lanes, tiles * lanes, count);
                t += count;
            }
        }
    }

    for (std::int64_t block = 0; block < quotient_up(shape_.group_out(), lanes); ++block) {
        const std::int64_t map = work.group * shape_.group_out() + block * lanes;
        const std::int64_t maps = std::min(lanes, shape_.group_out() - block * lanes);
        std::fill_n(bias, lanes, 0.0f);
        if (work.bias != nullptr) std::copy_n(work.bias + map, maps, bias);
        for_each_run([&](std::int64_t first, std::int64_t image, std::int64_t row, std::int64_t column, std::int64_t run) {
            kernels_.output[kind]({.components = out + (block * tiles + first) * lanes,
                                   .component = out_step,
                                   .tiles = run,
                                   .image = work.y + image * work.y_image + map * work.y_strides.map,
                                   .strides = work.y_strides,
                                   .maps = maps,
                                   .height = shape_.rows.out(),
                                   .width = shape_.columns.out(),
                                   .top = row * m_,
                                   .left = column * m_,
                                   .bias = bias,
                                   .relu = work.relu,
                                   .scratch = scratch});
        });
    }
}

void WinogradConv::run(const float* x, const Strides& x_strides, std::int64_t x_image, const float* bias, bool relu,
                       float* y, const Strides& y_strides, std::int64_t y_image, float* workspace) const {
    const std::int64_t rows = shape_.batch * tile_rows_;
    for (std::int64_t group = 0; group < shape_.groups; ++group) {
        const Work work{group, x, x_strides, x_image, bias, relu, y, y_strides, y_image};
        std::atomic<std::int64_t> next{0};
        parallel_for(threads_, 1, threads_, [&](std::int64_t begin, std::int64_t end) {
            for (std::int64_t thread = begin; thread < end; ++thread) {
                for (std::int64_t first; (first = next.fetch_add(chunk_)) < rows;) {
                    rows_of_tiles(work, first, std::min(first + chunk_, rows), workspace + thread * thread_floats());
                }
            }
        });
    }
}

}  // namespace striate
