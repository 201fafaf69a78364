// std::min and std::max for kernel files, which use nothing of the standard library (simd/vector.h says why).
#pragma once

#include <cstdint>

namespace striate::STRIATE_ISA_NAMESPACE {

constexpr std::int64_t smaller(std::int64_t a, std::int64_t b) { return a < b ? a : b; }
constexpr std::int64_t larger(std::int64_t a, std::int64_t b) { return a > b ? a : b; }

}  // namespace striate::STRIATE_ISA_NAMESPACE
