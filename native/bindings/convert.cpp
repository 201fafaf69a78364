// batch_from_array and batch_from_list: check every argument, hold every array, release the GIL, convert.
#include <vector>

#include "bindings/arrays.h"
#include "convert/batch.h"

namespace striate::bindings {

namespace {

constexpr std::int64_t largest_side = std::int64_t{1} << 31;  // windows are int32; sums of two stay far from overflow

using Bytes = nb::ndarray<const std::uint8_t>;
using Output = nb::ndarray<float, nb::device::cpu>;

// The arguments that both functions share, alive as long as this is.
struct Arguments {
    std::string where;
    Output out;
    nb::ndarray<const std::int32_t> windows;
    Bytes fill;
    nb::ndarray<const float> scale, shift;
    Isa isa;
    int threads;
    Batch batch;
};

Output output(nb::handle given, const std::string& where) {
    AnyArray seen;
    if (!nb::try_cast(given, seen, false)) {
        type_error(where, "out must be an array float32[B, C, h, w] in main memory, not " + class_of(given));
    }
    if (seen.dtype() != nb::dtype<float>() || seen.ndim() != 4) {
        type_error(where, "out must be float32[B, C, h, w], not " + described(seen));
    }
    Output out;
    if (!nb::try_cast(given, out, false)) value_error(where, "out is read-only");
    return out;
}

Arguments checked(const std::string& where, nb::handle windows, nb::handle fill, nb::handle scale, nb::handle shift,
                  nb::handle out, nb::handle threads, nb::handle isa) {
    Arguments given{where,
                    output(out, where),
                    contiguous<std::int32_t>(windows, 2, where, "windows", "int32[B, 3] (top, left, flip)"),
                    contiguous<std::uint8_t>(fill, 1, where, "fill", "uint8[C]"),
                    contiguous<float>(scale, 1, where, "scale", "float32[C]"),
                    contiguous<float>(shift, 1, where, "shift", "float32[C]"),
                    isa_of(isa, where),
                    threads_of(threads, where),
                    {}};
    const auto size = given.out.shape(0), channels = given.out.shape(1);
    if (given.windows.shape(0) != size || given.windows.shape(1) != 3) {
        value_error(where, "windows must be int32[" + std::to_string(size) + ", 3] for out " +
                               described(AnyArray(given.out)) + ", not " + described(AnyArray(given.windows)));
    }
    const std::pair<const char*, std::size_t> lengths[] = {
        {"fill", given.fill.shape(0)}, {"scale", given.scale.shape(0)}, {"shift", given.shift.shape(0)}};
    for (const auto& [name, length] : lengths) {
        if (length != channels) {
            value_error(where, std::string(name) + " must have one value for each of the " + std::to_string(channels) +
                                   " channels of out, not " + std::to_string(length));
        }
    }
    if (given.out.shape(2) >= largest_side || given.out.shape(3) >= largest_side) {
        value_error(where, "out is too large: " + described(AnyArray(given.out)));
    }
    given.batch = {.size = static_cast<std::int64_t>(size),
                   .channels = static_cast<std::int64_t>(channels),
                   .height = static_cast<std::int64_t>(given.out.shape(2)),
                   .width = static_cast<std::int64_t>(given.out.shape(3)),
                   .layout = pixel_layout_of(AnyArray(given.out), where),
                   .fill = given.fill.data(),
                   .scale = given.scale.data(),
                   .shift = given.shift.data(),
                   .out = given.out.data()};
    return given;
}

void run(const Arguments& given, const std::vector<Image>& images) {
    static_assert(sizeof(Window) == 3 * sizeof(std::int32_t));
    const auto* windows = reinterpret_cast<const Window*>(given.windows.data());
    const WithoutGil released;
    convert(given.batch, images.data(), windows, given.isa, given.threads);
}

void batch_from_array(nb::handle images, nb::handle indices, nb::handle windows, nb::handle fill, nb::handle scale,
                      nb::handle shift, nb::handle out, nb::handle threads, nb::handle isa) {
    const std::string where = "batch_from_array";
    const auto source = contiguous<std::uint8_t>(images, 4, where, "images", "uint8[N, H, W, C]");
    const auto chosen = contiguous<std::int64_t>(indices, 1, where, "indices", "int64[B]");
    const Arguments given = checked(where, windows, fill, scale, shift, out, threads, isa);
    if (static_cast<std::int64_t>(chosen.shape(0)) != given.batch.size) {
        value_error(where, "indices must have one entry for each of the " + std::to_string(given.batch.size) +
                               " images of out, not " + std::to_string(chosen.shape(0)));
    }
    if (static_cast<std::int64_t>(source.shape(3)) != given.batch.channels) {
        value_error(where, "images have " + std::to_string(source.shape(3)) + " channels and out has " +
                               std::to_string(given.batch.channels));
    }
    const auto count = static_cast<std::int64_t>(source.shape(0)), height = static_cast<std::int64_t>(source.shape(1)),
               width = static_cast<std::int64_t>(source.shape(2));
    std::vector<Image> gathered(given.batch.size);
    for (std::int64_t b = 0; b < given.batch.size; ++b) {
        const std::int64_t index = chosen.data()[b];
        if (index < 0 || index >= count) {
            index_error(where, "indices[" + std::to_string(b) + "] is " + std::to_string(index) + ", but there are " +
                                   std::to_string(count) + " images");
        }
        gathered[b] = {source.data() + index * height * width * given.batch.channels, height, width};
    }
    run(given, gathered);
}

void batch_from_list(nb::handle images, nb::handle windows, nb::handle fill, nb::handle scale, nb::handle shift,
                     nb::handle out, nb::handle threads, nb::handle isa) {
    const std::string where = "batch_from_list";
    nb::list entries;
    if (!nb::try_cast(images, entries, false)) {
        type_error(where, "images must be a list of arrays uint8[H, W, C], not " + class_of(images));
    }
    const Arguments given = checked(where, windows, fill, scale, shift, out, threads, isa);
    if (static_cast<std::int64_t>(entries.size()) != given.batch.size) {
        value_error(where, "images must have one entry for each of the " + std::to_string(given.batch.size) +
                               " images of out, not " + std::to_string(entries.size()));
    }
    std::vector<Bytes> held;  // keeps every array alive while the GIL is released, whatever happens to the list
    std::vector<Image> gathered;
    held.reserve(entries.size());
    gathered.reserve(entries.size());
    for (std::size_t b = 0; b < entries.size(); ++b) {
        const std::string what = "images[" + std::to_string(b) + "]";
        const Bytes image = contiguous<std::uint8_t>(entries[b], 3, where, what, "uint8[H, W, C]");
        if (static_cast<std::int64_t>(image.shape(2)) != given.batch.channels) {
            value_error(where, what + " has " + std::to_string(image.shape(2)) + " channels and out has " +
                                   std::to_string(given.batch.channels));
        }
        gathered.push_back(
            {image.data(), static_cast<std::int64_t>(image.shape(0)), static_cast<std::int64_t>(image.shape(1))});
        held.push_back(image);
    }
    run(given, gathered);
}

}  // namespace

void define_convert(nb::module_& module) {
    module.def("batch_from_array", &batch_from_array, nb::arg("images").none(), nb::arg("indices").none(),
               nb::arg("windows").none(), nb::arg("fill").none(), nb::arg("scale").none(), nb::arg("shift").none(),
               nb::arg("out").none(), nb::arg("threads").none(), nb::kw_only(), nb::arg("isa") = nb::none(),
               "out[b] = window b of images[indices[b]], times scale plus shift; pixels outside take `fill`.");
    module.def("batch_from_list", &batch_from_list, nb::arg("images").none(), nb::arg("windows").none(),
               nb::arg("fill").none(), nb::arg("scale").none(), nb::arg("shift").none(), nb::arg("out").none(),
               nb::arg("threads").none(), nb::kw_only(), nb::arg("isa") = nb::none(),
               "out[b] = window b of images[b], times scale plus shift; pixels outside take `fill`.");
}

}  // namespace striate::bindings
