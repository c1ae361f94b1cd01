// All standard headers, in front of what is compiled for one instruction set.
#pragma once
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <limits>
#include <memory>
#include <new>
#include <vector>
#if defined(__AVX2__)
#include <immintrin.h>
#elif defined(__SSE2__)
#include <emmintrin.h>
#endif
#include "includes.hpp"
#include "ops.hpp"
#include "plan.hpp"
#include "team.hpp"
#include "pace.hpp"
