"""Philox4x32-10 (Salmon et al. 2011) once more, in whole numbers of Python."""

import numpy as np

WORD = 2**32


def philox(counter, key):
    """Four words of 32 bits from a counter of four and a key of two."""
    (a, b, c, d), (k, m) = counter, key
    for _ in range(10):
        high, low = divmod(0xD2511F53 * a, WORD)
        other_high, other_low = divmod(0xCD9E8D57 * c, WORD)
        a, b, c, d = other_high ^ b ^ k, other_low, high ^ d ^ m, low
        k, m = (k + 0x9E3779B9) % WORD, (m + 0xBB67AE85) % WORD
    return a, b, c, d


def kept(seed, step, layer, n, width, rate):
    """Which units of a layer dropout leaves in each of n rows, (n, width)."""
    key, n_counters = (seed % WORD, seed // WORD), -(-width // 64) * 16
    words = [[philox((j, row, layer, step), key) for j in range(n_counters)] for row in range(n)]
    # of 16 counters, the first two words of each, and then the other two
    words = np.reshape(words, (n, -1, 16, 2, 2)).swapaxes(2, 3)
    return words.reshape(n, -1)[:, :width] >= int(rate * WORD)
