#include "conv/empty.h"

#include <algorithm>

namespace striate {

namespace {

class EmptyImages final : public ImagePlan {
public:
    EmptyImages(std::int64_t batch, std::int64_t maps, std::int64_t height, std::int64_t width, Layout layout)
        : batch_(batch),
          maps_(maps),
          stored_(stored_maps(layout, maps)),
          height_(height),
          width_(width),
          strides_(strides_of(layout, maps, height, width)) {}

    std::int64_t packed_floats() const override { return 0; }
    std::int64_t workspace_floats() const override { return 0; }
    void pack(const Filters&, float*) const override {}

    void run(const float*, const float*, const Epilogue& epilogue, float* result, float*) const override {
        for (std::int64_t n = 0; n < batch_; ++n) {
            for (std::int64_t c = 0; c < stored_; ++c) {
                const float bias = epilogue.bias != nullptr && c < maps_ ? epilogue.bias[c] : 0.0f;
                for (std::int64_t y = 0; y < height_; ++y) {
                    for (std::int64_t x = 0; x < width_; ++x) {
                        const std::int64_t at =
                            n * strides_.image + strides_.of_map(c) + y * strides_.row + x * strides_.pixel;
                        const float sum =
                            c < maps_ && epilogue.residual != nullptr ? bias + epilogue.residual[at] : bias;
                        result[at] = epilogue.relu && sum < 0.0f ? 0.0f : sum;
                    }
                }
            }
        }
    }

private:
    std::int64_t batch_, maps_, stored_, height_, width_;
    ImageStrides strides_;
};

class EmptyFilters final : public FilterPlan {
public:
    explicit EmptyFilters(std::int64_t weights) : weights_(weights) {}
    std::int64_t workspace_floats() const override { return 0; }
    void run(const float*, const float*, float* dw, float*) const override { std::fill_n(dw, weights_, 0.0f); }

private:
    std::int64_t weights_;
};

}  // namespace

std::unique_ptr<ImagePlan> empty_images(Pass pass, const ConvShape& s, const ConvOptions& options) {
    if (pass == Pass::forward) {
        return std::make_unique<EmptyImages>(s.batch, s.out, s.rows.out(), s.columns.out(), options.to);
    }
    return std::make_unique<EmptyImages>(s.batch, s.in, s.rows.size, s.columns.size, options.to);
}

std::unique_ptr<FilterPlan> empty_filters(const ConvShape& s) {
    return std::make_unique<EmptyFilters>(s.out * s.group_in() * s.taps());
}

}  // namespace striate
