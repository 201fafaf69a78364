// A 3×3 convolution of stride 1 by Winograd's minimal filtering, F(m×m, 3×3) with m = 2, 4 or 6.
//
// (m + 2)² products where the direct sum has 9 m²: 2.25, 4 and 5.06 times fewer. What it costs is transforms, memory
// for them, and some digits (docs/design/conv.md).
#pragma once

#include <cstdint>
#include <memory>

#include "conv/shape.h"
#include "dispatch/isa.h"
#include "winograd/kernels.h"

namespace striate {

class WinogradConv {
public:
    // Transforms and packs `weights` [out, in / groups, 3, 3], which need not live on. Throws std::invalid_argument for
    // a shape that is not 3×3 with stride and dilation 1, or an m that is not 2, 4 or 6.
    WinogradConv(const ConvShape& shape, const float* weights, int m, Isa isa, int threads);

    // Floats of workspace that `run` needs, for all threads together.
    std::int64_t workspace() const;

    // y = conv(x) + bias, then ReLU if wanted. `bias` [out] may be null. Allocates nothing; the same bits for every
    // number of threads.
    void run(const float* x, const Strides& x_strides, std::int64_t x_image, const float* bias, bool relu, float* y,
             const Strides& y_strides, std::int64_t y_image, float* workspace) const;

private:
    // Everything a thread needs to take rows of tiles [begin, end) of the whole batch from x to y, for one group.
    struct Work;

    void rows_of_tiles(const Work& work, std::int64_t begin, std::int64_t end, float* workspace) const;
    std::int64_t thread_floats() const;

    ConvShape shape_;
    int m_, threads_;
    const WinogradKernels& kernels_;
    std::int64_t in_blocks_, out_pairs_;  // blocks of `lanes` maps; pairs of such blocks
    std::int64_t tile_rows_, tile_columns_, chunk_;  // tiles of an image; rows of tiles a thread takes at a time
    std::unique_ptr<float[]> weights_;               // [group][component][pair][in block · lane][2 · lanes]
};

}  // namespace striate
