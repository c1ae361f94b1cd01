// What the headers of mathematics use of the standard library. It stands outside of the namespaces
// of the instruction sets: no function of the library may be compiled for one of them.
#pragma once
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>

// Small functions become part of the loops that call them, or those loops would not be vectorized.
#define SKLMLP_INLINE inline __attribute__((always_inline))

// Iterations are independent, also where the output is written over the input.
#if defined(__clang__)
#define SKLMLP_LOOP _Pragma("clang loop vectorize(assume_safety)")
#define SKLMLP_LANES _Pragma("clang loop vectorize(assume_safety)")
#else
#define SKLMLP_LOOP _Pragma("GCC ivdep")
#define SKLMLP_LANES _Pragma("GCC ivdep") _Pragma("GCC unroll 1")
#endif
