#include "bfloat16/unit.h"

#if defined(STRIATE_X86_KERNELS)
#include <cpuid.h>
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif
#endif

namespace striate {

namespace {

#if defined(STRIATE_X86_KERNELS)

// The processor's word (leaf 7: AMX-BF16 and AMX-TILE), then the system's: Linux saves tiles only for a process that
// has asked (arch_prctl, ARCH_REQ_XCOMP_PERM for feature 18).
bool has_amx() {
    unsigned a = 0, b = 0, c = 0, d = 0;
    constexpr unsigned amx_bf16 = 1u << 22, amx_tile = 1u << 24;
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0 || (d & amx_bf16) == 0 || (d & amx_tile) == 0) return false;
#if defined(__linux__)
    constexpr long ask_for_permission = 0x1023, tile_data = 18;
    return syscall(SYS_arch_prctl, ask_for_permission, tile_data) == 0;
#else
    return false;
#endif
}

#endif

}  // namespace

const char* name(BfloatUnit unit) {
    switch (unit) {
        case BfloatUnit::portable: return "portable";
        case BfloatUnit::avx2: return "avx2";
        case BfloatUnit::avx512: return "avx512";
        case BfloatUnit::avx512_bf16: return "avx512_bf16";
        case BfloatUnit::amx: return "amx";
    }
    return "unknown";
}

std::vector<BfloatUnit> bfloat_units(Isa isa) {
#if defined(STRIATE_X86_KERNELS)
    if (isa == Isa::avx2) return {BfloatUnit::avx2};
    if (isa == Isa::avx512) {
        static const bool bf16 = has_features({"avx512bf16"}), amx = bf16 && has_amx();
        std::vector<BfloatUnit> units = {BfloatUnit::avx512};
        if (bf16) units.push_back(BfloatUnit::avx512_bf16);
        if (amx) units.push_back(BfloatUnit::amx);
        return units;
    }
#endif
    static_cast<void>(isa);
    return {BfloatUnit::portable};
}

BfloatUnit bfloat_unit_named(const std::string& asked, const std::string& asked_by) {
    std::string listed;
    for (const Isa isa : available_isas()) {
        for (const BfloatUnit unit : bfloat_units(isa)) {
            if (asked == name(unit)) return unit;
            listed += (listed.empty() ? "" : ", ") + std::string(name(unit));
        }
    }
    throw UnknownIsa(asked_by + "='" + asked + "' is not a bfloat16 unit of this machine; choose from " + listed);
}

namespace {

const BfloatKernels& kernels_of(BfloatUnit unit) {
#if defined(STRIATE_X86_KERNELS)
    switch (unit) {
        case BfloatUnit::portable: break;
        case BfloatUnit::avx2: return avx2::bfloat_kernels;
        case BfloatUnit::avx512: return avx512::bfloat_kernels;
        case BfloatUnit::avx512_bf16: return avx512_bf16::bfloat_kernels;
        case BfloatUnit::amx: {
            static const BfloatKernels kernels = [] {
                BfloatKernels with_tiles = avx512_bf16::bfloat_kernels;
                with_tiles.narrow.multiply = with_tiles.wide.multiply = amx::multiply;
                return with_tiles;
            }();
            return kernels;
        }
    }
#endif
    static_cast<void>(unit);
    return portable::bfloat_kernels;
}

}  // namespace

template <>
const BfloatKernelsOf<Bfloat16>& bfloat_kernels_of(BfloatUnit unit) {
    return kernels_of(unit).narrow;
}

template <>
const BfloatKernelsOf<float>& bfloat_kernels_of(BfloatUnit unit) {
    return kernels_of(unit).wide;
}

}  // namespace striate
