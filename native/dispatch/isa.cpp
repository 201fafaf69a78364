#include "dispatch/isa.h"

#include <algorithm>
#include <cstdlib>

namespace striate {

namespace {

constexpr Isa every_isa[] = {Isa::reference, Isa::portable, Isa::avx2, Isa::avx512};

Isa choose() {
    const char* asked = std::getenv("STRIATE_ISA");
    if (asked == nullptr || *asked == '\0') return available_isas().back();
    return isa_named(asked, "STRIATE_ISA");
}

}  // namespace

bool has_features(std::initializer_list<const char*> wanted) {
    const auto features = cpu_features();
    return std::all_of(wanted.begin(), wanted.end(), [&](const char* feature) {
        return std::find(features.begin(), features.end(), feature) != features.end();
    });
}

const char* name(Isa isa) {
    switch (isa) {
        case Isa::reference: return "reference";
        case Isa::portable: return "portable";
        case Isa::avx2: return "avx2";
        case Isa::avx512: return "avx512";
    }
    return "unknown";
}

std::vector<Isa> available_isas() {
    std::vector<Isa> available = {Isa::portable};
#if defined(STRIATE_X86_KERNELS)
    if (has_features({"avx2", "fma"})) {
        available.push_back(Isa::avx2);
        if (has_features({"avx512f", "avx512bw", "avx512vl", "avx512dq"})) available.push_back(Isa::avx512);
    }
#endif
    return available;
}

Isa isa_named(const std::string& asked, const std::string& asked_by) {
    const auto available = available_isas();
    std::string listed;
    for (const Isa isa : available) {
        if (asked == name(isa)) return isa;
        listed += (listed.empty() ? "" : ", ") + std::string(name(isa));
    }
    if (asked == name(Isa::reference)) return Isa::reference;
    const bool exists =
        std::any_of(std::begin(every_isa), std::end(every_isa), [&](Isa isa) { return asked == name(isa); });
    throw UnknownIsa(asked_by + "='" + asked + "' " +
                     (exists ? "is an instruction set this machine lacks" : "is not an instruction set known here") +
                     "; choose from " + listed);
}

Isa chosen_isa() {
    static const Isa chosen = choose();  // a throw leaves it undecided, so the next call asks again
    return chosen;
}

}  // namespace striate
