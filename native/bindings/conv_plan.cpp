// ConvPlan: an algorithm's plan for one shape, run on addresses. Tensors are checked by striate.conv, which is the one
// caller: a convolution of a small image takes microseconds, and so would handing over four arrays one by one.
#include "bindings/conv_plan.h"

#include <nanobind/stl/string.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/vector.h>

#include "bindings/arrays.h"
#include "conv/division.h"
#include "peak/peak.h"
#include "threads/phases.h"

namespace striate::bindings {

Pass pass_named(const std::string& name) {
    if (name == "forward") return Pass::forward;
    if (name == "backward_data") return Pass::backward_data;
    if (name == "backward_weights") return Pass::backward_weights;
    value_error("ConvPlan", "unknown pass '" + name + "'; choose from forward, backward_data, backward_weights");
}

Layout layout_named(const std::string& name) {
    if (name == "nchw") return Layout::nchw;
    if (name == "channels_last") return Layout::channels_last;
    if (name == "blocked") return Layout::blocked;
    value_error("ConvPlan", "unknown layout '" + name + "'; choose from nchw, channels_last, blocked");
}

ConvShape shape_from(const std::vector<std::int64_t>& n) {
    if (n.size() != 16) value_error("ConvPlan", "a shape is 16 numbers, not " + std::to_string(n.size()));
    const auto axis = [&](std::size_t i) {
        return Axis{.size = n[i],
                    .kernel = n[i + 1],
                    .stride = n[i + 2],
                    .low = n[i + 3],
                    .high = n[i + 4],
                    .dilation = n[i + 5]};
    };
    return {.batch = n[0], .in = n[1], .out = n[2], .groups = n[3], .rows = axis(4), .columns = axis(10)};
}

RunBytes RunBytes::of(Pass pass, const ConvShape& s, Layout from, Layout to, std::int64_t number) {
    const auto x = [&](Layout layout) { return number * s.batch * stored_maps(layout, s.in) * s.in_pixels(); };
    const auto y = [&](Layout layout) { return number * s.batch * stored_maps(layout, s.out) * s.out_pixels(); };
    const auto floats = [](std::int64_t count) { return static_cast<std::int64_t>(sizeof(float)) * count; };
    if (pass == Pass::backward_data) return {.images = y(from), .bias = floats(s.in), .result = x(to)};
    return {.images = x(from), .bias = floats(s.out), .result = y(to)};
}

void RunBytes::expect_apart(const std::string& where, Address images_at, Address bias_at, Address residual_at,
                            Address result_at) const {
    const auto check = [&](const char* what, Address at, std::int64_t bytes) {
        const bool is_there = at != 0 && bytes > 0;
        if (!is_there || at + static_cast<Address>(bytes) <= result_at ||
            result_at + static_cast<Address>(result) <= at) {
            return;
        }
        value_error(where, std::string(what) + " where the result goes, and would be read after that is written");
    };
    check("the images lie", images_at, images);
    check("the bias lies", bias_at, bias);
    check("the residual lies", residual_at, result);
}

std::string made_from(const std::string& algorithm, const std::string& pass, const std::vector<std::int64_t>& shape,
                      const std::string& from, const std::string& to, int threads, const char* unit) {
    return algorithm + ", " + pass + ", of " + listed(shape.data(), shape.size()) + ", " + from + " to " + to +
           ", threads " + std::to_string(threads) + ", " + unit;
}

void expect_own(const std::string& where, const PackedWeights& packed, const std::string& plan) {
    if (packed.plan == plan) return;
    value_error(where, "these weights were packed by another plan (" + packed.plan + ") than runs them (" + plan +
                           "); pack them by this one");
}

Arena& thread_arena() {
    thread_local Arena arena;
    return arena;
}

namespace {

const float* input(Address address) { return reinterpret_cast<const float*>(address); }
float* output(Address address) { return reinterpret_cast<float*>(address); }

class BoundPlan {
public:
    BoundPlan(const std::string& algorithm, const std::string& pass, const std::vector<std::int64_t>& shape,
              const std::string& from, const std::string& to, nb::handle threads, nb::handle isa)
        : pass_(pass_named(pass)), shape_(shape_from(shape)) {
        const ConvAlgorithm* found = conv_algorithm(algorithm);
        if (found == nullptr) value_error("ConvPlan", "unknown algorithm '" + algorithm + "'");
        const ConvOptions options{.from = layout_named(from),
                                  .to = layout_named(to),
                                  .isa = isa_of(isa, "ConvPlan"),
                                  .threads = threads_of(threads, "ConvPlan")};
        made_from_ = made_from(algorithm, pass, shape, from, to, options.threads, name(options.isa));
        bytes_ = RunBytes::of(pass_, shape_, options.from, options.to, sizeof(float));
        const std::string why = refusal(*found, pass_, shape_, options);
        if (!why.empty()) value_error("ConvPlan", algorithm + ": " + why);
        const WithoutGil released;
        if (pass_ == Pass::backward_weights) {
            filters_ = plan_filters(*found, shape_, options);
        } else {
            images_ = plan_images(*found, pass_, shape_, options);
        }
    }

    std::int64_t workspace_bytes() const {
        return 4 * (images_ ? images_->workspace_floats() : filters_->workspace_floats());
    }
    std::int64_t packed_bytes() const { return images_ ? 4 * images_->packed_floats() : 0; }

    std::unique_ptr<PackedWeights> pack(Address weights) const {
        of_images();
        const WithoutGil released;
        const std::int64_t count = images_->packed_floats();
        auto packed = std::make_unique<PackedWeights>(PackedWeights{aligned_floats(count), count, made_from_});
        images_->pack(filters_of(shape_, input(weights)), packed->floats.get());
        return packed;
    }

    void run(Address images, const PackedWeights& packed, Address bias, Address residual, bool relu,
             Address result) const {
        of_images();
        expect_own("ConvPlan", packed, made_from_);
        bytes_.expect_apart("ConvPlan", images, bias, residual, result);
        const WithoutGil released;
        images_->run(input(images), packed.floats.get(), {input(bias), input(residual), relu}, output(result),
                     thread_arena().floats(images_->workspace_floats()));
    }

    // Packs into the workspace and runs: for weights that change every step.
    void pack_and_run(Address images, Address weights, Address bias, Address residual, bool relu,
                      Address result) const {
        of_images();
        bytes_.expect_apart("ConvPlan", images, bias, residual, result);
        const WithoutGil released;
        const std::int64_t packed_floats = rounded_up(images_->packed_floats(), line_floats);
        float* const packed = thread_arena().floats(packed_floats + images_->workspace_floats());
        images_->pack(filters_of(shape_, input(weights)), packed);
        images_->run(input(images), packed, {input(bias), input(residual), relu}, output(result),
                     packed + packed_floats);
    }

    void run_filters(Address x, Address gradient, Address result) const {
        if (!filters_) value_error("ConvPlan", "this plan is for images, not for the gradient of weights");
        const WithoutGil released;
        filters_->run(input(x), input(gradient), output(result), thread_arena().floats(filters_->workspace_floats()));
    }

private:
    void of_images() const {
        if (!images_) value_error("ConvPlan", "this plan is for the gradient of weights, not for images");
    }

    Pass pass_;
    ConvShape shape_;
    std::string made_from_;
    RunBytes bytes_;
    std::unique_ptr<ImagePlan> images_;
    std::unique_ptr<FilterPlan> filters_;
};

std::string refusal_of(const std::string& algorithm, const std::string& pass, const std::vector<std::int64_t>& shape,
                       const std::string& from, const std::string& to) {
    const ConvAlgorithm* found = conv_algorithm(algorithm);
    if (found == nullptr) value_error("conv_refusal", "unknown algorithm '" + algorithm + "'");
    return refusal(*found, pass_named(pass), shape_from(shape),
                   {layout_named(from), layout_named(to), Isa::portable, 1});
}

double error_bound_of(const std::string& algorithm, const std::string& pass, const std::vector<std::int64_t>& shape) {
    const ConvAlgorithm* found = conv_algorithm(algorithm);
    if (found == nullptr) value_error("conv_error_bound", "unknown algorithm '" + algorithm + "'");
    return found->error_bound(pass_named(pass), shape_from(shape));
}

}  // namespace

void define_conv_plan(nb::module_& module) {
    nb::class_<PackedWeights>(module, "PackedWeights", "Weights in the form in which one plan reads them.")
        .def_prop_ro("nbytes", [](const PackedWeights& packed) { return 4 * packed.count; });
    nb::class_<BoundPlan>(module, "ConvPlan", "An algorithm prepared for one convolution; run on addresses.")
        .def(nb::init<const std::string&, const std::string&, const std::vector<std::int64_t>&, const std::string&,
                      const std::string&, nb::handle, nb::handle>(),
             nb::arg("algorithm"), nb::arg("pass_"), nb::arg("shape"), nb::arg("from_layout"), nb::arg("to_layout"),
             nb::arg("threads").none(), nb::arg("isa") = nb::none())
        .def_prop_ro("workspace_bytes", &BoundPlan::workspace_bytes)
        .def_prop_ro("packed_bytes", &BoundPlan::packed_bytes)
        .def("pack", &BoundPlan::pack, nb::arg("weights"))
        .def("run", &BoundPlan::run, nb::arg("images"), nb::arg("packed"), nb::arg("bias"), nb::arg("residual"),
             nb::arg("relu"), nb::arg("result"))
        .def("pack_and_run", &BoundPlan::pack_and_run, nb::arg("images"), nb::arg("weights"), nb::arg("bias"),
             nb::arg("residual"), nb::arg("relu"), nb::arg("result"))
        .def("run_filters", &BoundPlan::run_filters, nb::arg("x"), nb::arg("gradient"), nb::arg("result"));
    module.def(
        "conv_algorithms",
        [] {
            std::vector<std::string> names;
            for (const ConvAlgorithm* algorithm : conv_algorithms()) names.emplace_back(algorithm->name);
            return names;
        },
        "The names of the convolution algorithms, the reference first.");
    module.def("conv_refusal", &refusal_of, nb::arg("algorithm"), nb::arg("pass_"), nb::arg("shape"),
               nb::arg("from_layout"), nb::arg("to_layout"), "Why an algorithm cannot do this; empty if it can.");
    module.def("conv_error_bound", &error_bound_of, nb::arg("algorithm"), nb::arg("pass_"), nb::arg("shape"),
               "The bound on the error of a result, in units of 2^-24 times the largest sum of absolute products.");
    module.def(
        "use_openmp", [](Address runner) { use_team(reinterpret_cast<TeamRunner>(runner)); }, nb::arg("runner"),
        "Run convolutions on the threads of the OpenMP library whose GOMP_parallel is at this address; 0: on our own.");
    module.def(
        "peak_flops",
        [](int threads, double seconds, nb::handle isa) {
            const Isa with = isa_of(isa, "peak_flops");
            const WithoutGil released;
            return peak_flops(with, threads, seconds);
        },
        nb::arg("threads"), nb::arg("seconds") = 0.1, nb::arg("isa") = nb::none(),
        "Floating-point operations a second of the multiply-add loop: what kernels' speeds are shares of.");
    module.def(
        "multiply_adds",
        [](int threads, std::int64_t rounds, nb::handle isa) {
            const Isa with = isa_of(isa, "multiply_adds");
            const WithoutGil released;
            return multiply_adds(with, threads, rounds);
        },
        nb::arg("threads"), nb::arg("rounds"), nb::arg("isa") = nb::none(),
        "So many rounds of that loop on every thread; their floating-point operations.");
}

}  // namespace striate::bindings
