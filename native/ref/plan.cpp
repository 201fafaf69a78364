// The reference as one of the algorithms: any layout is copied to NCHW, summed by the obvious loops, and copied back.
#include "ref/plan.h"

#include "ref/conv.h"

namespace striate {

namespace {

struct Images {
    std::int64_t batch, maps, height, width;

    std::int64_t floats() const { return batch * maps * height * width; }
};

// visit(offset in NCHW, offset in `layout`, map) for every pixel of every map.
template <typename Visit>
void for_each_pixel(const Images& images, Layout layout, Visit visit) {
    const ImageStrides s = strides_of(layout, images.maps, images.height, images.width);
    std::int64_t planar = 0;
    for (std::int64_t n = 0; n < images.batch; ++n) {
        for (std::int64_t c = 0; c < images.maps; ++c) {
            for (std::int64_t y = 0; y < images.height; ++y) {
                for (std::int64_t x = 0; x < images.width; ++x, ++planar) {
                    visit(planar, n * s.image + s.of_map(c) + y * s.row + x * s.pixel, c);
                }
            }
        }
    }
}

void copy_in(const Images& images, Layout layout, const float* from, float* to) {
    for_each_pixel(images, layout, [&](std::int64_t planar, std::int64_t at, std::int64_t) { to[planar] = from[at]; });
}

void copy_out(const Images& images, Layout layout, const float* sums, const Epilogue& e, float* to) {
    if (layout == Layout::blocked) {  // the lanes beyond the last map
        const std::int64_t stored = stored_maps(layout, images.maps);
        for (std::int64_t i = 0; i < images.batch * stored * images.height * images.width; ++i) to[i] = 0.0f;
    }
    for_each_pixel(images, layout, [&](std::int64_t planar, std::int64_t at, std::int64_t map) {
        double sum = sums[planar];
        if (e.bias != nullptr) sum += e.bias[map];
        if (e.residual != nullptr) sum += e.residual[at];
        to[at] = static_cast<float>(e.relu && sum < 0 ? 0 : sum);
    });
}

Images inputs(const ConvShape& s) { return {s.batch, s.in, s.rows.size, s.columns.size}; }
Images outputs(const ConvShape& s) { return {s.batch, s.out, s.rows.out(), s.columns.out()}; }

class ReferenceImages final : public ImagePlan {
public:
    ReferenceImages(Pass pass, const ConvShape& shape, const ConvOptions& options)
        : pass_(pass), shape_(shape), options_(options) {}

    std::int64_t packed_floats() const override { return shape_.out * shape_.group_in() * shape_.taps(); }
    std::int64_t workspace_floats() const override { return inputs(shape_).floats() + outputs(shape_).floats(); }

    void pack(const Filters& f, float* packed) const override {
        for (std::int64_t k = 0; k < shape_.out; ++k) {
            for (std::int64_t c = 0; c < shape_.group_in(); ++c) {
                for (std::int64_t i = 0; i < shape_.rows.kernel; ++i) {
                    for (std::int64_t j = 0; j < shape_.columns.kernel; ++j) {
                        *packed++ = f.data[k / shape_.group_out() * f.group + k % shape_.group_out() * f.out +
                                           c * f.in + i * f.row + j * f.column];
                    }
                }
            }
        }
    }

    void run(const float* images, const float* packed, const Epilogue& epilogue, float* result,
             float* workspace) const override {
        const bool forward = pass_ == Pass::forward;
        const Images from = forward ? inputs(shape_) : outputs(shape_), to = forward ? outputs(shape_) : inputs(shape_);
        float* const planar = workspace;
        float* const sums = workspace + from.floats();
        copy_in(from, options_.from, images, planar);
        if (forward) {
            reference::conv<float>(shape_, planar, packed, nullptr, sums);
        } else {
            reference::conv_backward_data<float>(shape_, planar, packed, sums);
        }
        copy_out(to, options_.to, sums, epilogue, result);
    }

private:
    Pass pass_;
    ConvShape shape_;
    ConvOptions options_;
};

class ReferenceFilters final : public FilterPlan {
public:
    ReferenceFilters(const ConvShape& shape, const ConvOptions& options) : shape_(shape), options_(options) {}

    std::int64_t workspace_floats() const override { return inputs(shape_).floats() + outputs(shape_).floats(); }

    void run(const float* x, const float* dy, float* dw, float* workspace) const override {
        float* const planar_dy = workspace + inputs(shape_).floats();
        copy_in(inputs(shape_), options_.from, x, workspace);
        copy_in(outputs(shape_), options_.to, dy, planar_dy);
        reference::conv_backward_weights<float>(shape_, workspace, planar_dy, dw);
    }

private:
    ConvShape shape_;
    ConvOptions options_;
};

}  // namespace

const ConvAlgorithm reference_algorithm = {
    .name = "reference",
    .refuses = [](Pass, const ConvShape&, const ConvOptions&) { return std::string(); },
    .images = [](const ConvShape& shape, const ConvOptions& options) -> std::unique_ptr<ImagePlan> {
        return std::make_unique<ReferenceImages>(Pass::forward, shape, options);
    },
    .strided_backward_data = [](const ConvShape& shape, const ConvOptions& options) -> std::unique_ptr<ImagePlan> {
        return std::make_unique<ReferenceImages>(Pass::backward_data, shape, options);
    },
    .filters = [](const ConvShape& shape, const ConvOptions& options) -> std::unique_ptr<FilterPlan> {
        return std::make_unique<ReferenceFilters>(shape, options);
    },
    .error_bound = [](Pass, const ConvShape&) { return 4.0; },  // the sum in double; its rounding, and the epilogue's
};

}  // namespace striate
