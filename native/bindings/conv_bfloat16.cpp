// BfloatConvPlan: as ConvPlan (conv_plan.cpp), of bfloat16 numbers.
#include <nanobind/stl/string.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/vector.h>

#include <algorithm>

#include "bfloat16/plan.h"
#include "bindings/arrays.h"
#include "bindings/conv_plan.h"
#include "conv/division.h"

namespace striate::bindings {

namespace {

const BfloatAlgorithm& named(const std::string& algorithm) {
    const BfloatAlgorithm* const found = bfloat_algorithm<Bfloat16>(algorithm);
    if (found == nullptr) value_error("BfloatConvPlan", "no algorithm '" + algorithm + "' computes in bfloat16");
    return *found;
}

// The best of the chosen instruction set, or the one of that name.
BfloatUnit unit_of(nb::handle given) {
    if (given.is_none()) return bfloat_units(chosen_isa()).back();
    std::string asked;
    if (!nb::try_cast(given, asked)) type_error("BfloatConvPlan", "isa must be a name or None, not " + class_of(given));
    return bfloat_unit_named(asked, "BfloatConvPlan: isa");
}

class BoundBfloatPlan {
public:
    BoundBfloatPlan(const std::string& algorithm, const std::string& pass, const std::vector<std::int64_t>& shape,
                    const std::string& from, const std::string& to, nb::handle threads, nb::handle isa)
        : shape_(shape_from(shape)) {
        const BfloatAlgorithm& found = named(algorithm);
        const BfloatOptions options{.from = layout_named(from),
                                    .to = layout_named(to),
                                    .unit = unit_of(isa),
                                    .threads = threads_of(threads, "BfloatConvPlan")};
        made_from_ = made_from(algorithm + " in bfloat16", pass, shape, from, to, options.threads, name(options.unit));
        bytes_ = RunBytes::of(pass_named(pass), shape_, options.from, options.to, sizeof(Bfloat16));
        const std::string why = bfloat_refusal(found, pass_named(pass), shape_, options.from, options.to);
        if (!why.empty()) value_error("BfloatConvPlan", algorithm + ": " + why);
        const WithoutGil released;
        plan_ = plan_bfloat(found, pass_named(pass), shape_, options);
    }

    std::int64_t workspace_bytes() const { return plan_->workspace_bytes(); }
    std::int64_t packed_bytes() const { return plan_->packed_bytes(); }

    std::unique_ptr<PackedWeights> pack(Address weights) const {
        const WithoutGil released;
        const std::int64_t count = floats_of(plan_->packed_bytes());
        auto packed = std::make_unique<PackedWeights>(PackedWeights{aligned_floats(count), count, made_from_});
        const Floats64 wide = aligned_floats(weight_count());
        pack_into(weights, wide.get(), packed->floats.get());
        return packed;
    }

    void run(Address images, const PackedWeights& packed, Address bias, Address residual, bool relu,
             Address result) const {
        expect_own("BfloatConvPlan", packed, made_from_);
        bytes_.expect_apart("BfloatConvPlan", images, bias, residual, result);
        const WithoutGil released;
        run_on(images, packed.floats.get(), bias, residual, relu, result,
               thread_arena().floats(floats_of(plan_->workspace_bytes())));
    }

    // Packs into the workspace and runs: for weights that change every step.
    void pack_and_run(Address images, Address weights, Address bias, Address residual, bool relu,
                      Address result) const {
        bytes_.expect_apart("BfloatConvPlan", images, bias, residual, result);
        const WithoutGil released;
        const std::int64_t packed_floats = floats_of(plan_->packed_bytes());
        float* const packed = thread_arena().floats(
            packed_floats + std::max(floats_of(4 * weight_count()), floats_of(plan_->workspace_bytes())));
        float* const rest = packed + packed_floats;  // weights as floats, then the workspace
        pack_into(weights, rest, packed);
        run_on(images, packed, bias, residual, relu, result, rest);
    }

private:
    static std::int64_t floats_of(std::int64_t bytes) { return rounded_up(bytes, 64) / 4; }
    std::int64_t weight_count() const { return shape_.out * shape_.group_in() * shape_.taps(); }

    void pack_into(Address weights, float* wide, float* packed) const {
        const auto* const narrow = reinterpret_cast<const Bfloat16*>(weights);
        for (std::int64_t i = 0; i < weight_count(); ++i) wide[i] = as_float(narrow[i]);
        plan_->pack(filters_of(shape_, wide), packed);
    }

    void run_on(Address images, const float* packed, Address bias, Address residual, bool relu, Address result,
                float* workspace) const {
        plan_->run(reinterpret_cast<const Bfloat16*>(images), packed,
                   {reinterpret_cast<const float*>(bias), reinterpret_cast<const Bfloat16*>(residual), relu},
                   reinterpret_cast<Bfloat16*>(result), workspace);
    }

    ConvShape shape_;
    std::string made_from_;
    RunBytes bytes_;
    std::unique_ptr<BfloatPlan> plan_;
};

}  // namespace

void define_conv_bfloat16(nb::module_& module) {
    nb::class_<BoundBfloatPlan>(module, "BfloatConvPlan", "ConvPlan of bfloat16 numbers, its bias in float32.")
        .def(nb::init<const std::string&, const std::string&, const std::vector<std::int64_t>&, const std::string&,
                      const std::string&, nb::handle, nb::handle>(),
             nb::arg("algorithm"), nb::arg("pass_"), nb::arg("shape"), nb::arg("from_layout"), nb::arg("to_layout"),
             nb::arg("threads").none(), nb::arg("isa") = nb::none())
        .def_prop_ro("workspace_bytes", &BoundBfloatPlan::workspace_bytes)
        .def_prop_ro("packed_bytes", &BoundBfloatPlan::packed_bytes)
        .def("pack", &BoundBfloatPlan::pack, nb::arg("weights"))
        .def("run", &BoundBfloatPlan::run, nb::arg("images"), nb::arg("packed"), nb::arg("bias"), nb::arg("residual"),
             nb::arg("relu"), nb::arg("result"))
        .def("pack_and_run", &BoundBfloatPlan::pack_and_run, nb::arg("images"), nb::arg("weights"), nb::arg("bias"),
             nb::arg("residual"), nb::arg("relu"), nb::arg("result"));
    module.def(
        "bfloat16_algorithms",
        [] {
            std::vector<std::string> names;
            for (const BfloatAlgorithm* algorithm : bfloat_algorithms<Bfloat16>()) names.emplace_back(algorithm->name);
            return names;
        },
        "The names of the algorithms that compute in bfloat16.");
    module.def(
        "bfloat16_units",
        [] {
            std::vector<std::string> names;
            for (const Isa isa : available_isas()) {
                for (const BfloatUnit unit : bfloat_units(isa)) names.emplace_back(name(unit));
            }
            return names;
        },
        "What multiplies bfloat16 numbers here, from the least to the most capable.");
    module.def(
        "bfloat16_unit", [] { return std::string(name(bfloat_units(chosen_isa()).back())); },
        "What multiplies bfloat16 numbers in plans that name no instruction set.");
    module.def(
        "bfloat16_refusal",
        [](const std::string& algorithm, const std::string& pass, const std::vector<std::int64_t>& shape,
           const std::string& from, const std::string& to) {
            return bfloat_refusal(named(algorithm), pass_named(pass), shape_from(shape), layout_named(from),
                                  layout_named(to));
        },
        nb::arg("algorithm"), nb::arg("pass_"), nb::arg("shape"), nb::arg("from_layout"), nb::arg("to_layout"),
        "Why an algorithm cannot do this in bfloat16; empty if it can.");
    module.def(
        "bfloat16_error_bound",
        [](const std::string& algorithm, const std::string& pass, const std::vector<std::int64_t>& shape) {
            return named(algorithm).error_bound(pass_named(pass), shape_from(shape));
        },
        nb::arg("algorithm"), nb::arg("pass_"), nb::arg("shape"),
        "As conv_error_bound, of results in bfloat16, their own rounding with it.");
}

}  // namespace striate::bindings
