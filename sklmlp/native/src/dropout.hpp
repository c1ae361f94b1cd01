// Random numbers that are a function of where they are used: Philox4x32-10, Salmon et al. 2011.
// Included as `simd.hpp` is.
#pragma once

// Words of 32 bits in the lower halves of lanes of 64; what stands in the upper halves is ignored.
typedef uint64_t Words __attribute__((vector_size(kVectorBytes)));

// All 64 bits of the products of words with one number.
inline Words multiply(Words words, uint32_t by) {
#if defined(__AVX512F__)
    return Words(_mm512_maskz_mul_epu32(0xFF, __m512i(words), _mm512_set1_epi64(by)));
#elif defined(__AVX2__)
    return Words(_mm256_mul_epu32(__m256i(words), _mm256_set1_epi64x(by)));
#elif defined(__SSE2__)
    return Words(_mm_mul_epu32(__m128i(words), _mm_set1_epi64x(by)));
#else
    return (words & 0xFFFFFFFFu) * uint64_t(by);
#endif
}

// Which of a row's units stay: those whose number is at least `share` of the range. The counter is
// (block, row, layer, step), so that the numbers do not depend on who draws them. Of 16 counters
// in turn come 64 units: two for two of the first and second word of each, and then two for two of
// the third and fourth.
inline void draw_kept(uint64_t seed, uint32_t step, uint32_t layer, uint32_t row, double share,
                      size_t width, uint8_t* kept) {
    constexpr size_t n_counters = 16, lanes = kVectorBytes / 8, n_units = 4 * n_counters;
    const uint32_t bound = uint32_t(share * 4294967296.0);
    for (size_t start = 0; start < width; start += n_units) {
        uint32_t words[n_units];
        for (size_t first = 0; first < n_counters; first += lanes) {
            Words a, b = Words{} + uint64_t(row), c = Words{} + uint64_t(layer),
                     d = Words{} + uint64_t(step);
            for (size_t i = 0; i < lanes; ++i) a[i] = start / 4 + first + i;
            uint32_t k0 = uint32_t(seed), k1 = uint32_t(seed >> 32);
            for (int round = 0; round < 10; ++round, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u) {
                const Words p = multiply(a, 0xD2511F53u), q = multiply(c, 0xCD9E8D57u);
                a = (q >> 32) ^ b ^ uint64_t(k0), b = q;
                c = (p >> 32) ^ d ^ uint64_t(k1), d = p;
            }
            const Words ab = (a & 0xFFFFFFFFu) | (b << 32), cd = (c & 0xFFFFFFFFu) | (d << 32);
            std::memcpy(words + 2 * first, &ab, sizeof ab);
            std::memcpy(words + 2 * (n_counters + first), &cd, sizeof cd);
        }
        uint8_t drawn[n_units];
        for (size_t j = 0; j < n_units; ++j) drawn[j] = words[j] >= bound;
        std::copy(drawn, drawn + std::min(n_units, width - start), kept + start);
    }
}
