// Results as grids of pixels: every pixel of a grid is a sum over the same taps, each at a fixed shift.
//
// A forward pass is one grid. Backward to data with stride S is S × S of them: pixel p of dx meets tap i at pixel
// (p + P − i·D) / S of dy, where that is whole, so pixels with the same p mod S share their taps, and along a grid the
// pixel of dy moves by one. Nothing is multiplied by zero, and nothing is written twice.
#pragma once

#include <cstdint>
#include <vector>

#include "conv/plan.h"
#include "im2col/kernels.h"

namespace striate {

struct GridTap {
    std::int64_t row, column;  // of the filter
    Shift shift;
};

struct Grid {
    std::int64_t rows, columns;
    std::int64_t row_stride, column_stride;                       // pixels of the image from one to the next
    std::int64_t first_row, first_column, row_step, column_step;  // where its pixels lie in the result
    std::vector<GridTap> taps;

    std::int64_t pixels() const { return rows * columns; }

    // Pixels [begin, begin + count) of this grid in a batch of images: what they see, and where each lies in the
    // result.
    Pixels seen(const ImageStrides& from, std::int64_t begin, std::int64_t count) const;
    void places(const ImageStrides& to, std::int64_t begin, std::int64_t count, std::int64_t* at) const;

    // The place of pixel `begin`, if the others follow it at a pixel's stride each; −1 if they do not. The same for
    // what they see, in images of `height` × `width`, if the only tap is the pixel itself.
    std::int64_t even_places(const ImageStrides& to, std::int64_t begin, std::int64_t count) const;
    std::int64_t even_sight(const ImageStrides& from, std::int64_t height, std::int64_t width, std::int64_t begin,
                            std::int64_t count) const;
};

Grid forward_grid(const ConvShape& shape);
Grid identity_grid(std::int64_t rows, std::int64_t columns);  // every pixel sees itself
std::vector<Grid> backward_data_grids(const ConvShape& shape);
std::vector<Grid> grids_of(Pass pass, const ConvShape& shape);  // of one of the two

// Joins places that follow each other; returns their number.
std::int64_t runs_of(const std::int64_t* at, std::int64_t count, Run* runs);

}  // namespace striate
