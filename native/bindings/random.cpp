// philox and philox_block.
#include "random/philox.h"

#include <memory>

#include "bindings/arrays.h"

namespace striate::bindings {

namespace {

constexpr std::int64_t largest_uint32 = 0xFFFFFFFF;

using Words = nb::ndarray<nb::numpy, std::uint32_t>;

// A new NumPy array that owns its memory.
Words words_of(std::unique_ptr<std::uint32_t[]> words, std::initializer_list<std::size_t> shape) {
    nb::capsule owner(words.get(), [](void* pointer) noexcept { delete[] static_cast<std::uint32_t*>(pointer); });
    return Words(words.release(), shape, owner);
}

std::uint64_t seed_of(nb::handle given) {
    std::uint64_t seed = 0;
    if (nb::isinstance<nb::int_>(given) && nb::try_cast(given, seed)) return seed;
    const auto index = nb::steal<nb::object>(PyNumber_Index(given.ptr()));
    if (!index.is_valid()) {
        PyErr_Clear();
        type_error("philox", "seed must be a whole number, not " + class_of(given));
    }
    if (!nb::try_cast(index, seed)) {
        value_error("philox", "seed must be from 0 to 2**64 - 1, not " + nb::cast<std::string>(nb::str(index)));
    }
    return seed;
}

Words philox_of_samples(nb::handle seed, nb::handle epoch, nb::handle samples, nb::handle stream) {
    const std::uint64_t key = seed_of(seed);
    const auto epoch_word = static_cast<std::uint32_t>(whole_number(epoch, 0, largest_uint32, "philox", "epoch"));
    const auto stream_word = static_cast<std::uint32_t>(whole_number(stream, 0, largest_uint32, "philox", "stream"));
    const auto ids = contiguous<std::int64_t>(samples, 1, "philox", "samples", "int64[N]");
    auto words = std::make_unique<std::uint32_t[]>(4 * ids.shape(0));
    {
        const WithoutGil released;
        philox(key, epoch_word, ids.data(), static_cast<std::int64_t>(ids.shape(0)), stream_word, words.get());
    }
    return words_of(std::move(words), {ids.shape(0), 4});
}

Words philox_of_block(nb::handle counter, nb::handle key) {
    const auto counters = contiguous<std::uint32_t>(counter, 1, "philox_block", "counter", "uint32[4]");
    const auto keys = contiguous<std::uint32_t>(key, 1, "philox_block", "key", "uint32[2]");
    if (counters.shape(0) != 4 || keys.shape(0) != 2) {
        value_error("philox_block", "counter must have 4 words and key 2, not " + std::to_string(counters.shape(0)) +
                                        " and " + std::to_string(keys.shape(0)));
    }
    const std::uint32_t *c = counters.data(), *k = keys.data();
    const PhiloxCounter block = philox_block({c[0], c[1], c[2], c[3]}, {k[0], k[1]});
    auto words = std::make_unique<std::uint32_t[]>(4);
    std::copy(block.begin(), block.end(), words.get());
    return words_of(std::move(words), {4});
}

}  // namespace

void define_random(nb::module_& module) {
    module.def("philox", &philox_of_samples, nb::arg("seed").none(), nb::arg("epoch").none(), nb::arg("samples").none(),
               nb::arg("stream").none(),
               "uint32[N, 4]: Philox4x32-10 of key seed and counter (sample low, sample high, epoch, stream).");
    module.def("philox_block", &philox_of_block, nb::arg("counter").none(), nb::arg("key").none(),
               "uint32[4]: one block of Philox4x32-10 for a counter uint32[4] and a key uint32[2].");
}

}  // namespace striate::bindings
