#include "winograd/plan.h"

#include <algorithm>

#include "dispatch/kernels.h"
#include "threads/phases.h"
#include "winograd/filters_plan.h"
#include "winograd/kernels.h"
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
void transform_filter(const Filters& f, std::int64_t group, std::int64_t out, std::int64_t in, double* components) {
    constexpr int size = M + 2;
    const float* filter = f.data + group * f.group + out * f.out + in * f.in;
    const auto& g = Points<M>::matrices.g;
    double half[size][3];
    for (int i = 0; i < size; ++i) {
        for (int x = 0; x < 3; ++x) {
            half[i][x] = 0;
            for (int y = 0; y < 3; ++y) half[i][x] += g[i][y].value() * filter[y * f.row + x * f.column];
        }
    }
    for (int i = 0; i < size; ++i) {
        for (int j = 0; j < size; ++j) {
            components[i * size + j] = 0;
            for (int x = 0; x < 3; ++x) components[i * size + j] += g[j][x].value() * half[i][x];
        }
    }
}

void transform_filter(int m, const Filters& f, std::int64_t group, std::int64_t out, std::int64_t in,
                      double* components) {
    if (m == 2) return transform_filter<2>(f, group, out, in, components);
    if (m == 4) return transform_filter<4>(f, group, out, in, components);
    transform_filter<6>(f, group, out, in, components);
}

class WinogradPlan final : public ImagePlan {
public:
    WinogradPlan(const ConvShape& shape, const ConvOptions& options, int m)
        : shape_(shape),
          m_(m),
          threads_(options.threads),
          kernels_(STRIATE_KERNELS_OF(options.isa, winograd_kernels)),
          from_(strides_of(options.from, shape.in, shape.rows.size, shape.columns.size)),
          to_(strides_of(options.to, shape.out, shape.rows.out(), shape.columns.out())),
          padded_(options.to == Layout::blocked) {
        const std::int64_t lanes = kernels_.lanes, components = (m + 2) * (m + 2);
        in_blocks_ = quotient_up(shape.group_in(), lanes);
        out_pairs_ = quotient_up(padded_ ? stored_maps(Layout::blocked, shape.group_out()) : shape.group_out(), 2 * lanes);
        tile_rows_ = quotient_up(shape.rows.out(), m);
        tile_columns_ = quotient_up(shape.columns.out(), m);
        const std::int64_t row_floats = components * tile_columns_ * (in_blocks_ + 2 * out_pairs_) * lanes;
        const std::int64_t rows = shape.batch * tile_rows_;
        chunk_ = std::max(quotient_up(enough_tiles, tile_columns_), cache_floats / row_floats);
        chunk_ = std::clamp<std::int64_t>(chunk_, 1, quotient_up(rows, threads_));
    }

    std::int64_t packed_floats() const override {
        return shape_.groups * (m_ + 2) * (m_ + 2) * out_pairs_ * in_blocks_ * 2 * kernels_.lanes * kernels_.lanes;
    }

    std::int64_t workspace_floats() const override { return threads_ * thread_floats(); }

    void pack(const Filters& filters, float* packed) const override {
        const std::int64_t lanes = kernels_.lanes, components = (m_ + 2) * (m_ + 2), panel = in_blocks_ * lanes * 2 * lanes;
        parallel_items(shape_.groups * out_pairs_, threads_, [&](std::int64_t item, int) {
            const std::int64_t group = item / out_pairs_, pair = item % out_pairs_;
            float* const panels = packed + (group * components * out_pairs_ + pair) * panel;
            double component[64];
            for (std::int64_t c = 0; c < in_blocks_ * lanes; ++c) {
                for (std::int64_t lane = 0; lane < 2 * lanes; ++lane) {
                    const std::int64_t map = pair * 2 * lanes + lane;
                    float* to = panels + c * 2 * lanes + lane;
                    if (c < shape_.group_in() && map < shape_.group_out()) {
                        transform_filter(m_, filters, group, map, c, component);
                    } else {
                        std::fill_n(component, components, 0.0);
                    }
                    for (std::int64_t i = 0; i < components; ++i) to[i * out_pairs_ * panel] = static_cast<float>(component[i]);
                }
            }
        });
    }

    void run(const float* images, const float* packed, const Epilogue& epilogue, float* result,
             float* workspace) const override {
        const std::int64_t rows = shape_.batch * tile_rows_, chunks = quotient_up(rows, chunk_);
        parallel_items(shape_.groups * chunks, threads_, [&](std::int64_t item, int member) {
            const std::int64_t first = item % chunks * chunk_;
            rows_of_tiles({item / chunks, images, packed, epilogue, result}, first, std::min(first + chunk_, rows),
                          workspace + member * thread_floats());
        });
    }

private:
    // What one group is computed from and to.
    struct Work {
        std::int64_t group;
        const float *images, *packed;
        const Epilogue& epilogue;
        float* result;
    };

    std::int64_t thread_floats() const {
        const std::int64_t lanes = kernels_.lanes, components = (m_ + 2) * (m_ + 2), tiles = chunk_ * tile_columns_;
        return components * (spaced(in_blocks_ * tiles * lanes) + spaced(2 * out_pairs_ * tiles * lanes)) +
               winograd_scratch(m_, lanes) + 2 * lanes;
    }

    void rows_of_tiles(const Work& work, std::int64_t begin, std::int64_t end, float* workspace) const {
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
                kernels_.input[kind]({.image = work.images + image * from_.image + from_.of_map(map),
                                      .strides = {from_.map, from_.row, from_.pixel},
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
        const float* weights = work.packed + work.group * components * out_pairs_ * panel;
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

        // a blocked result has lanes beyond the last map, whose weights are zero
        const std::int64_t out_blocks = quotient_up(padded_ ? stored_maps(Layout::blocked, shape_.group_out()) : shape_.group_out(), lanes);
        const float* const residual = work.epilogue.residual;
        for (std::int64_t block = 0; block < out_blocks; ++block) {
            const std::int64_t map = work.group * shape_.group_out() + block * lanes;
            const std::int64_t left = shape_.group_out() - block * lanes;
            const std::int64_t maps = std::clamp<std::int64_t>(left, 0, lanes);
            std::fill_n(bias, lanes, 0.0f);
            if (work.epilogue.bias != nullptr) std::copy_n(work.epilogue.bias + map, maps, bias);
            for_each_run([&](std::int64_t first, std::int64_t image, std::int64_t row, std::int64_t column, std::int64_t run) {
                kernels_.output[kind]({.components = out + (block * tiles + first) * lanes,
                                       .component = out_step,
                                       .tiles = run,
                                       .image = work.result + image * to_.image + to_.of_map(map),
                                       .residual = residual == nullptr ? nullptr : residual + image * to_.image + to_.of_map(map),
                                       .strides = {to_.map, to_.row, to_.pixel},
                                       .maps = padded_ ? lanes : maps,
                                       .height = shape_.rows.out(),
                                       .width = shape_.columns.out(),
                                       .top = row * m_,
                                       .left = column * m_,
                                       .bias = bias,
                                       .relu = work.epilogue.relu,
                                       .scratch = scratch});
            });
        }
    }

    ConvShape shape_;
    int m_, threads_;
    const WinogradKernels& kernels_;
    ImageStrides from_, to_;
    bool padded_;                                    // the result's maps come in whole blocks
    std::int64_t in_blocks_, out_pairs_;             // blocks of `lanes` maps; pairs of such blocks
    std::int64_t tile_rows_, tile_columns_, chunk_;  // tiles of an image; rows of tiles a thread takes at a time
};

std::string refuses(Pass, const ConvShape& shape, const ConvOptions&) {
    for (const Axis& axis : {shape.rows, shape.columns}) {
        if (axis.kernel != 3) return "takes 3×3 filters, not " + std::to_string(shape.rows.kernel) + "×" + std::to_string(shape.columns.kernel);
        if (axis.stride != 1) return "takes stride 1, not " + std::to_string(axis.stride);
        if (axis.dilation != 1) return "takes dilation 1, not " + std::to_string(axis.dilation);
    }
    return {};
}

template <int M>
std::unique_ptr<ImagePlan> images(const ConvShape& shape, const ConvOptions& options) {
    return std::make_unique<WinogradPlan>(shape, options, M);
}

template <int M>
std::unique_ptr<FilterPlan> filters(const ConvShape& shape, const ConvOptions& options) {
    return winograd_filters(shape, options, M);
}

// As measured over many shapes, times three; the derivation is still to come.
template <int M>
double error_bound(Pass pass, const ConvShape& shape) {
    if (pass == Pass::backward_weights) return winograd_filters_error_bound(shape, M);
    return M == 2 ? 8 : 150;
}

}  // namespace

const ConvAlgorithm winograd2_algorithm = {
    .name = "winograd2", .refuses = refuses, .images = images<2>, .filters = filters<2>, .error_bound = error_bound<2>};
const ConvAlgorithm winograd4_algorithm = {
    .name = "winograd4", .refuses = refuses, .images = images<4>, .filters = filters<4>, .error_bound = error_bound<4>};
const ConvAlgorithm winograd6_algorithm = {
    .name = "winograd6", .refuses = refuses, .images = images<6>, .filters = filters<6>, .error_bound = error_bound<6>};

}  // namespace striate
