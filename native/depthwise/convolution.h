// One depthwise convolution, in items of work (conv/parts.h).
//
// Where one map in is one map out and maps lie side by side on both sides, lanes are maps and nothing is copied. Else
// an item is some rows of one output map, and lanes are pixels.
#pragma once

#include "conv/parts.h"
#include "depthwise/planes.h"

namespace striate {

class DepthwiseConvolution {
public:
    DepthwiseConvolution(const ConvShape& shape, const ImageStrides& from, const Place& to, Isa isa, int threads);

    std::int64_t packed_floats() const;
    std::int64_t workspace_floats() const { return threads_ * thread_floats(); }
    void pack(const Filters& filters, float* packed) const;

    std::int64_t phases() const { return 1; }
    std::int64_t items(std::int64_t) const { return shape_.batch * row_chunks_ * (maps_ ? 1 : stored_); }
    void run(const ConvCall& call, std::int64_t phase, std::int64_t item, int member) const;

private:
    std::int64_t thread_floats() const;
    void run_maps(const ConvCall& call, std::int64_t image, std::int64_t begin, std::int64_t end,
                  float* workspace) const;
    void run_plane(const ConvCall& call, std::int64_t image, std::int64_t map, std::int64_t begin, std::int64_t end,
                   float* workspace) const;

    ConvShape shape_;
    ImageStrides from_;
    Place to_;
    int threads_;
    const DepthwiseKernels& kernels_;
    Planes planes_;
    bool maps_;            // lanes are maps
    std::int64_t stored_;  // maps of the result, with those that are there to fill a block
    std::int64_t row_chunks_, chunk_rows_;
};

}  // namespace striate
