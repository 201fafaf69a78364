// Which instruction set the kernels use.
//
// The kernel files are compiled once per set, each into a namespace of its name; this is where one is chosen, by what
// the processor *and* the operating system support (wide registers are of use only if the system saves them), or by
// the environment variable STRIATE_ISA.
#pragma once

#include <initializer_list>
#include <stdexcept>
#include <string>
#include <vector>

namespace striate {

enum class Isa {
    reference,  // native/ref: the obvious loops; never chosen by itself, only asked for by tests
    portable,   // what every processor of the architecture has
    avx2,       // AVX2 and FMA
    avx512,     // AVX-512 F, BW, VL, DQ
};

struct UnknownIsa : std::invalid_argument {
    using std::invalid_argument::invalid_argument;
};

const char* name(Isa isa);

// The sets this machine can run, from the least to the most capable; `portable` is always there.
std::vector<Isa> available_isas();

// The set of that name. `asked_by` opens the message ("STRIATE_ISA", say).
// Throws UnknownIsa, naming what is available, for one that does not exist or that this machine lacks.
Isa isa_named(const std::string& name, const std::string& asked_by);

// STRIATE_ISA if it is set and not empty, else the most capable set. Decided at the first call, then kept.
// Throws UnknownIsa as `isa_named` does.
Isa chosen_isa();

// The processor features that matter here, present in the processor and enabled by the system.
std::vector<std::string> cpu_features();
bool has_features(std::initializer_list<const char*> wanted);

}  // namespace striate
