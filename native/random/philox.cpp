#include "random/philox.h"

namespace striate {

namespace {

constexpr int rounds = 10;                                         // 7 already pass BigCrush; 10 is the authors' margin
constexpr std::uint32_t multiplier[2] = {0xD2511F53, 0xCD9E8D57};  // chosen for their avalanche
constexpr std::uint32_t weyl[2] = {0x9E3779B9, 0xBB67AE85};        // golden ratio and sqrt(3) - 1, in 32 bits

}  // namespace

PhiloxCounter philox_block(PhiloxCounter counter, PhiloxKey key) {
    for (int round = 0; round < rounds; ++round) {
        const std::uint64_t left = std::uint64_t{multiplier[0]} * counter[0];
        const std::uint64_t right = std::uint64_t{multiplier[1]} * counter[2];
        counter = {static_cast<std::uint32_t>(right >> 32) ^ counter[1] ^ key[0], static_cast<std::uint32_t>(right),
                   static_cast<std::uint32_t>(left >> 32) ^ counter[3] ^ key[1], static_cast<std::uint32_t>(left)};
        key = {key[0] + weyl[0], key[1] + weyl[1]};
    }
    return counter;
}

void philox(std::uint64_t seed, std::uint32_t epoch, const std::int64_t* samples, std::int64_t count,
            std::uint32_t stream, std::uint32_t* out) {
    const PhiloxKey key = {static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)};
    for (std::int64_t i = 0; i < count; ++i) {
        const auto sample = static_cast<std::uint64_t>(samples[i]);
        const PhiloxCounter block = philox_block(
            {static_cast<std::uint32_t>(sample), static_cast<std::uint32_t>(sample >> 32), epoch, stream}, key);
        for (int word = 0; word < 4; ++word) out[4 * i + word] = block[word];
    }
}

}  // namespace striate
