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

    // The first n values, 0 < n < lanes; zeros behind them.
    static Vector load_part(const T* from, size_t n) {
#if defined(__AVX512F__)
        if constexpr (sizeof(T) == 4)
            return Vector(_mm512_maskz_loadu_ps(__mmask16((1u << n) - 1), from));
        else
            return Vector(_mm512_maskz_loadu_pd(__mmask8((1u << n) - 1), from));
#elif defined(__AVX2__)
        if constexpr (sizeof(T) == 4)
            return Vector(_mm256_maskload_ps(from, mask_of(n)));
        else
            return Vector(_mm256_maskload_pd(from, mask_of(2 * n)));
#else
        Vector v = {};
        for (size_t i = 0; i < n; ++i) v[i] = from[i];
        return v;
#endif
    }
    static void store_part(T* to, Vector v, size_t n) {
#if defined(__AVX512F__)
        if constexpr (sizeof(T) == 4)
            _mm512_mask_storeu_ps(to, __mmask16((1u << n) - 1), __m512(v));
        else
            _mm512_mask_storeu_pd(to, __mmask8((1u << n) - 1), __m512d(v));
#elif defined(__AVX2__)
        if constexpr (sizeof(T) == 4)
            _mm256_maskstore_ps(to, mask_of(n), __m256(v));
        else
            _mm256_maskstore_pd(to, mask_of(2 * n), __m256d(v));
#else
        for (size_t i = 0; i < n; ++i) to[i] = v[i];
#endif
    }
#if defined(__AVX2__) && !defined(__AVX512F__)
    static __m256i mask_of(size_t n) {  // n words of ones
        static const int32_t words[16] = {-1, -1, -1, -1, -1, -1, -1, -1};
        return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(words + 8 - n));
    }
#endif

    // The first n values, or all where n is larger.
    static Vector load_up_to(const T* from, size_t n) {
        return n < lanes ? load_part(from, n) : load(from);
    }
    static void store_up_to(T* to, Vector v, size_t n) {
        n < lanes ? store_part(to, v, n) : store(to, v);
    }

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
        for (size_t v = 0; v < 4; ++v)
            sums[v] += S::load(a + i + v * S::lanes) * S::load(b + i + v * S::lanes);
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

// sums += each of n rows of `width` values
template <class T>
void add_rows(size_t n, size_t width, const T* x, T* sums) {
    using S = Simd<T>;
    for (size_t j = 0; j < width; j += S::lanes) {
        const size_t part = std::min(S::lanes, width - j);
        typename S::Vector total[4] = {};
        if (part == S::lanes) {
            for (size_t i = 0; i < n; ++i) total[i % 4] += S::load(x + i * width + j);
            S::store(sums + j, S::load(sums + j) + ((total[0] + total[1]) + (total[2] + total[3])));
        } else {
            for (size_t i = 0; i < n; ++i) total[i % 4] += S::load_part(x + i * width + j, part);
            S::store_part(
                sums + j,
                S::load_part(sums + j, part) + ((total[0] + total[1]) + (total[2] + total[3])),
                part);
        }
    }
}

// y += a x
template <class T>
void add_scaled(size_t n, T a, const T* __restrict x, T* __restrict y) {
    for (size_t i = 0; i < n; ++i) y[i] += a * x[i];
}
