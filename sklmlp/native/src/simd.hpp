// Vectors of the instruction set that a translation unit is compiled for (GCC's and Clang's
// vector extension). Included inside of that unit's namespace, after the standard headers.
#pragma once

#if defined(__AVX512F__)
constexpr size_t kVectorBytes = 64, kRegisters = 32;
#elif defined(__AVX2__)
constexpr size_t kVectorBytes = 32, kRegisters = 16;
#elif defined(__aarch64__)
constexpr size_t kVectorBytes = 16, kRegisters = 32;
#else
constexpr size_t kVectorBytes = 16, kRegisters = 16;
#endif

template <class T>
struct Simd {
    static constexpr size_t lanes = kVectorBytes / sizeof(T);
    typedef T Vector __attribute__((vector_size(kVectorBytes)));
    typedef T Unaligned __attribute__((vector_size(kVectorBytes), aligned(sizeof(T)), may_alias));

    static Vector load(const T* from) { return *reinterpret_cast<const Unaligned*>(from); }
    static void store(T* to, Vector v) { *reinterpret_cast<Unaligned*>(to) = v; }
    static T total(Vector v) {
        T total = v[0];
        for (size_t i = 1; i < lanes; ++i) total += v[i];
        return total;
    }
};

template <class T>
T dot(const T* a, const T* b, size_t n) {
    using S = Simd<T>;
    typename S::Vector sums[4] = {};
    size_t i = 0;
    for (; i + 4 * S::lanes <= n; i += 4 * S::lanes)
        for (size_t v = 0; v < 4; ++v) sums[v] += S::load(a + i + v * S::lanes) * S::load(b + i + v * S::lanes);
    for (; i + S::lanes <= n; i += S::lanes) sums[0] += S::load(a + i) * S::load(b + i);
    T result = S::total((sums[0] + sums[1]) + (sums[2] + sums[3]));
    for (; i < n; ++i) result += a[i] * b[i];
    return result;
}

template <class T>
T sum_of(const T* a, size_t n) {
    using S = Simd<T>;
    typename S::Vector sums = {};
    size_t i = 0;
    for (; i + S::lanes <= n; i += S::lanes) sums += S::load(a + i);
    T result = S::total(sums);
    for (; i < n; ++i) result += a[i];
    return result;
}

// y += x
template <class T>
void add(size_t n, const T* __restrict x, T* __restrict y) {
    for (size_t i = 0; i < n; ++i) y[i] += x[i];
}

// y += a x
template <class T>
void add_scaled(size_t n, T a, const T* __restrict x, T* __restrict y) {
    for (size_t i = 0; i < n; ++i) y[i] += a * x[i];
}
