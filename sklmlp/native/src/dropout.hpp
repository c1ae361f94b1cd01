// Random numbers that are a function of where they are used: Philox4x32-10, Salmon et al. 2011.
// Included as `simd.hpp` is.
#pragma once

// Which of a row's units stay: those whose number is at least `share` of the range. The counter is
// (four units, row, layer, step), so that the numbers do not depend on who draws them.
inline void draw_kept(uint64_t seed, uint32_t step, uint32_t layer, uint32_t row, double share,
                      size_t width, uint8_t* kept) {
    constexpr size_t lanes = 16;
    const uint64_t bound = uint64_t(share * 4294967296.0);
    for (size_t start = 0; start < width; start += 4 * lanes) {
        uint32_t c[4][lanes];
        for (size_t i = 0; i < lanes; ++i) {
            c[0][i] = uint32_t(start / 4 + i);
            c[1][i] = row, c[2][i] = layer, c[3][i] = step;
        }
        uint32_t k0 = uint32_t(seed), k1 = uint32_t(seed >> 32);
        for (int round = 0; round < 10; ++round, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u)
            for (size_t i = 0; i < lanes; ++i) {
                const uint64_t p0 = uint64_t(0xD2511F53u) * c[0][i],
                               p1 = uint64_t(0xCD9E8D57u) * c[2][i];
                c[0][i] = uint32_t(p1 >> 32) ^ c[1][i] ^ k0, c[1][i] = uint32_t(p1);
                c[2][i] = uint32_t(p0 >> 32) ^ c[3][i] ^ k1, c[3][i] = uint32_t(p0);
            }
        const size_t n = std::min(4 * lanes, width - start);
        for (size_t j = 0; j < n; ++j) kept[start + j] = c[j % 4][j / 4] >= bound;
    }
}
