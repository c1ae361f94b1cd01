// Losses and their gradients with respect to the logits, as sklmlp/losses.py writes them.
//
// Included once in the namespace of each instruction set, after includes.hpp, ops.hpp and
// vector_math.hpp; no include guard. z is (n, k) by rows. Targets are indices of classes, int64
// (n,), of log_loss, focal and hinge; else T, (n, k), but (n, k / 2) of gaussian and (n,) of
// quantiles. Logits go through a buffer on the stack, kLanes rows or kBlock logits at a time.

namespace losses {

constexpr size_t kBlock = 1024, kLanes = 16;

// Logarithms of probabilities that are clipped to [eps, 1 - eps], as scikit-learn reports.
template <class T>
struct Clip {
    const T low = std::log(std::numeric_limits<T>::epsilon());
    const T high = std::log1p(-std::numeric_limits<T>::epsilon());
    SKLMLP_INLINE T operator()(T log_p) const { return math::clip(log_p, low, high); }
};

template <class T>
SKLMLP_INLINE T positive(T x) {
    return x <= 0 ? T(0) : x;
}

// Sum and maximum of n values by kLanes independent chains; of a maximum NaN may be left out.
template <class T>
T sum(const T* x, size_t n) {
    T part[kLanes] = {}, total = 0;
    if (n < kLanes) {
        for (size_t i = 0; i < n; ++i) total += x[i];
        return total;
    }
    for (; n >= kLanes; n -= kLanes, x += kLanes)
        SKLMLP_LANES for (size_t lane = 0; lane < kLanes; ++lane) part[lane] += x[lane];
    for (size_t i = 0; i < n; ++i) part[i] += x[i];
    SKLMLP_LANES for (size_t lane = 0; lane < kLanes; ++lane) total += part[lane];
    return total;
}

template <class T>
T largest(const T* x, size_t n) {
    T part[kLanes], top = x[0];
    SKLMLP_LANES for (size_t lane = 0; lane < kLanes; ++lane) part[lane] = x[0];
    for (; n >= kLanes; n -= kLanes, x += kLanes)
        SKLMLP_LANES for (size_t lane = 0; lane < kLanes; ++lane) part[lane] =
            x[lane] > part[lane] ? x[lane] : part[lane];
    for (size_t i = 0; i < n; ++i) part[i] = x[i] > part[i] ? x[i] : part[i];
    SKLMLP_LANES for (size_t lane = 0; lane < kLanes; ++lane) top =
        part[lane] > top ? part[lane] : top;
    return top;
}

// Maxima and sums exp(z - maximum) of some rows: log p_j = z_j - top - log(total).
template <class T>
struct Normalizer {
    T top[kLanes], total[kLanes];
};

// exp(z - top) of rows of few classes: they are transposed, so that a vector goes across the rows.
// The results stay in the buffer, one class after the other.
template <class T>
SKLMLP_INLINE void exponentials(const T* z, size_t rows, size_t k, T* buffer, Normalizer<T>& norm) {
    if (rows == kLanes)
        for (size_t j = 0; j < k; ++j)
            for (size_t i = 0; i < kLanes; ++i) buffer[j * kLanes + i] = z[i * k + j];
    else
        for (size_t j = 0; j < k; ++j)
            for (size_t i = 0; i < kLanes; ++i)
                buffer[j * kLanes + i] = z[(i < rows ? i : 0) * k + j];
    T top[kLanes], total[kLanes] = {};
    SKLMLP_LANES for (size_t i = 0; i < kLanes; ++i) top[i] = buffer[i];
    for (size_t j = 1; j < k; ++j) SKLMLP_LANES for (size_t i = 0; i < kLanes; ++i) {
            const T value = buffer[j * kLanes + i];
            top[i] = value > top[i] ? value : top[i];
        }
    for (size_t j = 0; j < k; ++j) SKLMLP_LANES for (size_t i = 0; i < kLanes; ++i) {
            const T e = math::exp(buffer[j * kLanes + i] - top[i]);
            buffer[j * kLanes + i] = e;
            total[i] += e;
        }
    SKLMLP_LANES for (size_t i = 0; i < kLanes; ++i) norm.top[i] = top[i], norm.total[i] = total[i];
}

// exp(z - top) of a row of many classes in parts, of which each(first, part, size) is told.
template <class T, class Each>
SKLMLP_INLINE void exponentials_of_row(const T* z, size_t k, T top, T* buffer, Each each) {
    for (size_t from = 0; from < k; from += kBlock) {
        const size_t size = k - from < kBlock ? k - from : kBlock;
        SKLMLP_LOOP
        for (size_t j = 0; j < size; ++j) buffer[j] = math::exp(z[from + j] - top);
        each(from, buffer, size);
    }
}

// Softmax of (n, k) logits into p if it is given; each(first, rows, normalizer) is called for the
// rows of every block, after they are written. p may be z only where `each` does not read z.
template <class T, class Each>
void softmax(const T* z, size_t n, size_t k, T* p, Each each) {
    T buffer[kBlock];
    Normalizer<T> norm;
    for (size_t first = 0; first < n; first += kLanes) {
        const size_t rows = n - first < kLanes ? n - first : kLanes;
        const T* block = z + first * k;
        T* out = p ? p + first * k : nullptr;
        if (k <= kBlock / kLanes) {
            exponentials(block, rows, k, buffer, norm);
            if (out) {
                for (size_t j = 0; j < k; ++j)
                    SKLMLP_LANES for (size_t i = 0; i < kLanes; ++i) buffer[j * kLanes + i] /=
                        norm.total[i];
                if (rows == kLanes)
                    for (size_t j = 0; j < k; ++j)
                        for (size_t i = 0; i < kLanes; ++i) out[i * k + j] = buffer[j * kLanes + i];
                else
                    for (size_t i = 0; i < rows; ++i)
                        for (size_t j = 0; j < k; ++j) out[i * k + j] = buffer[j * kLanes + i];
            }
        } else {
            for (size_t i = 0; i < rows; ++i, block += k) {
                const T top = largest(block, k);
                T total = 0;
                exponentials_of_row(block, k, top, buffer, [&](size_t from, T* e, size_t size) {
                    total += sum(e, size);
                    if (out)
                        for (size_t j = 0; j < size; ++j) out[i * k + from + j] = e[j];
                });
                if (out)
                    for (size_t j = 0; j < k; ++j) out[i * k + j] /= total;
                norm.top[i] = top, norm.total[i] = total;
            }
            for (size_t i = rows; i < kLanes; ++i) norm.top[i] = 0, norm.total[i] = 1;
        }
        each(first, rows, norm);
    }
}

// (1 - p)^gamma (-log p): Lin et al. 2017, eq. 4
template <class T>
SKLMLP_INLINE T focal_value(T log_p, T gamma) {
    return math::power(1 - math::exp(log_p), gamma) * -log_p;
}

// d/du of (1 - p)^g u with p = exp(u) is (1 - p)^g - g (1 - p)^(g - 1) p u.
template <class T>
SKLMLP_INLINE T focal_factor(T log_p, T gamma, T high) {
    log_p = math::at_most(log_p, high);  // at p = 1 it is 0 / 0
    const T q = -math::expm1(log_p);
    return math::power(q, gamma) * (1 - gamma * math::exp(log_p) * log_p / q);
}

// Log loss and focal loss of classes that exclude each other: losses into rows and gradients into
// delta, where they are given.
template <class T>
void log_loss(T smoothing, const T* z, const int64_t* y, size_t n, size_t k, T* rows, T* delta) {
    const Clip<T> clip;
    softmax(z, n, k, delta, [=](size_t first, size_t count, const Normalizer<T>& norm) {
        T log_total[kLanes];
        if (rows)
            SKLMLP_LANES for (size_t i = 0; i < kLanes; ++i) log_total[i] =
                math::log(norm.total[i]);
        for (size_t i = 0; i < count; ++i) {
            const T* row = z + (first + i) * k;
            const size_t own = y[first + i];
            if (rows) {
                const T of_class = clip(row[own] - norm.top[i] - log_total[i]);
                T spread = 0;
                if (smoothing != 0)
                    for (size_t j = 0; j < k; ++j)
                        spread += clip(row[j] - norm.top[i] - log_total[i]);
                rows[first + i] = -(smoothing * (spread / T(k)) + (1 - smoothing) * of_class);
            }
            if (delta) {
                // d/dz of -sum t log softmax(z) is softmax(z) - t: Bishop 2006, eq. 4.109
                T* d = delta + (first + i) * k;
                d[own] -= 1 - smoothing;
                if (smoothing != 0)
                    for (size_t j = 0; j < k; ++j) d[j] -= smoothing / T(k);
            }
        }
    });
}

template <class T>
void focal(T gamma, const T* z, const int64_t* y, size_t n, size_t k, T* rows, T* delta) {
    const Clip<T> clip;
    softmax(z, n, k, delta, [=](size_t first, size_t count, const Normalizer<T>& norm) {
        T log_p[kLanes] = {}, factor[kLanes];
        for (size_t i = 0; i < count; ++i)
            log_p[i] = z[(first + i) * k + y[first + i]] - norm.top[i];
        SKLMLP_LANES for (size_t i = 0; i < kLanes; ++i) log_p[i] -= math::log(norm.total[i]);
        if (rows)
            for (size_t i = 0; i < count; ++i) rows[first + i] = focal_value(clip(log_p[i]), gamma);
        if (!delta) return;
        SKLMLP_LANES for (size_t i = 0; i < kLanes; ++i) factor[i] =
            focal_factor(log_p[i], gamma, clip.high);
        for (size_t i = 0; i < count; ++i) {
            T* d = delta + (first + i) * k;
            d[y[first + i]] -= 1;
            for (size_t j = 0; j < k; ++j) d[j] *= factor[i];
        }
    });
}

// Calls block(row, from, rows, width) for blocks of at most kBlock logits: `width` logits from the
// logit `from` on of `rows` rows; either whole rows, or a piece of one.
template <class Block>
SKLMLP_INLINE void by_blocks(size_t n, size_t k, Block block) {
    if (k > kBlock) {
        for (size_t i = 0; i < n; ++i)
            for (size_t from = 0; from < k; from += kBlock)
                block(i, from, size_t(1), k - from < kBlock ? k - from : kBlock);
        return;
    }
    const size_t step = kBlock / k;
    for (size_t i = 0; i < n; i += step) block(i, size_t(0), n - i < step ? n - i : step, k);
}

// Loss of a row: the sum over its k of last(each(z, y)), times `scale`. What is left to `last` is
// a loop of its own: two functions with special cases are too much for one vectorized loop.
template <class T, class Each, class Last>
void sum_rows(const T* z, const T* y, size_t n, size_t k, T scale, T* rows, Each each, Last last) {
    T buffer[kBlock];
    by_blocks(n, k, [&](size_t row, size_t from, size_t count, size_t width) {
        const T *zs = z + row * k + from, *ys = y + row * k + from;
        SKLMLP_LOOP
        for (size_t i = 0; i < count * width; ++i) buffer[i] = each(zs[i], ys[i]);
        SKLMLP_LOOP
        for (size_t i = 0; i < count * width; ++i) buffer[i] = scale * last(buffer[i]);
        for (size_t i = 0; i < count; ++i) {
            const T total = k == 1 ? buffer[i] : sum(buffer + i * width, width);
            rows[row + i] = from ? rows[row + i] + total : total;
        }
    });
}

template <class T, class Each>
void sum_rows(const T* z, const T* y, size_t n, size_t k, T scale, T* rows, Each each) {
    sum_rows(z, y, n, k, scale, rows, each, [](T x) { return x; });
}

template <class T, class Each>
void each_gradient(const T* z, const T* y, size_t count, T* delta, Each each) {
    SKLMLP_LOOP
    for (size_t j = 0; j < count; ++j) delta[j] = each(z[j], y[j]);
}

template <class T>
SKLMLP_INLINE T pinball(T q, T y, T level) {
    const T error = y - q, above = level * error, below = (level - 1) * error;
    return above > below ? above : below;
}

template <class T>
SKLMLP_INLINE T variance_bound() {
    return std::log(std::numeric_limits<T>::max()) / 2;  // neither it nor its inverse overflows
}

// f(error, delta) of each logit into out, with the delta of its output.
template <class T, class F>
void huber(const T* args, const T* z, const T* y, size_t n, size_t k, T* out, F f) {
    typedef std::numeric_limits<T> Limits;
    if (k == 1) {
        const T delta = math::clip(args[0], Limits::min(), Limits::max());
        SKLMLP_LOOP
        for (size_t i = 0; i < n; ++i) out[i] = f(z[i] - y[i], delta);
        return;
    }
    for (size_t i = 0; i < n * k; i += k) {
        SKLMLP_LOOP
        for (size_t j = 0; j < k; ++j)
            out[i + j] = f(z[i + j] - y[i + j], math::clip(args[j], Limits::min(), Limits::max()));
    }
}

// Nix & Weigend 1994: the first half of a row's logits are means, the rest logarithms of variances.
// Calls f(row, target, error, log of the variance, whether that lies inside of its bounds).
template <class T, class F>
void gaussian(const T* z, const T* y, size_t n, size_t m, F f) {
    const T bound = variance_bound<T>();
    if (m == 1) {
        SKLMLP_LOOP
        for (size_t i = 0; i < n; ++i) {
            const T log_variance = math::clip(z[2 * i + 1], -bound, bound);
            f(i, size_t(0), z[2 * i] - y[i], log_variance, log_variance == z[2 * i + 1]);
        }
        return;
    }
    for (size_t i = 0; i < n; ++i, z += 2 * m, y += m) {
        SKLMLP_LOOP
        for (size_t j = 0; j < m; ++j) {
            const T log_variance = math::clip(z[m + j], -bound, bound);
            f(i, j, z[j] - y[j], log_variance, log_variance == z[m + j]);
        }
    }
}

}  // namespace losses

// The loss of each sample, as it is reported: rows (n,).
template <class T>
void loss_rows(int op, const T* args, const T* z, const void* y, size_t n, size_t k, T* rows) {
    using ::sklmlp::Loss;
    using namespace losses;
    const T* t = static_cast<const T*>(y);
    const int64_t* c = static_cast<const int64_t*>(y);
    const Clip<T> clip;
    const T mean = 1 / T(k);
    T quantile = 0;
    switch (static_cast<Loss>(op)) {
        case Loss::log_loss:
            return losses::log_loss<T>(args[0], z, c, n, k, rows, nullptr);
        case Loss::focal:
            return losses::focal<T>(args[0], z, c, n, k, rows, nullptr);
        case Loss::hinge:
            for (size_t i = 0; i < n; ++i, z += k) {
                T total = 0;
                for (size_t j = 0; j < k; ++j) total += positive(1 + z[j]);
                rows[i] = total - positive(1 + z[c[i]]) + positive(1 - z[c[i]]);
            }
            return;
        case Loss::binary_log_loss: {
            const T spread = args[0];
            return sum_rows(z, t, n, k, T(1), rows, [=](T z, T y) {
                const T target = y * (1 - spread) + spread / 2;
                const T log_yes = math::log_sigmoid(z), log_no = math::log_sigmoid(-z);
                return -(target * clip(log_yes) + (1 - target) * clip(log_no));
            });
        }
        case Loss::binary_focal: {
            const T gamma = args[0];
            return sum_rows(
                z, t, n, k, T(1), rows, [=](T z, T y) { return math::log_sigmoid(y > 0 ? z : -z); },
                [=](T log_p) { return focal_value(clip(log_p), gamma); });
        }
        case Loss::binary_hinge:
            return sum_rows(z, t, n, k, T(1), rows,
                            [](T z, T y) { return positive(1 - (2 * y - 1) * z); });
        case Loss::squared_error:
            return sum_rows(z, t, n, k, mean, rows,
                            [](T z, T y) { return T(0.5) * ((z - y) * (z - y)); });
        case Loss::absolute_error:
            return sum_rows(z, t, n, k, mean, rows, [](T z, T y) { return math::abs(z - y); });
        case Loss::huber:
            by_blocks(n, k, [&](size_t row, size_t from, size_t count, size_t width) {
                T buffer[kBlock];
                const size_t at = row * k + from;
                losses::huber(args + from, z + at, t + at, count, width, buffer,
                              [](T error, T delta) {
                                  error = math::abs(error);
                                  const T inner = math::at_most(error, delta);
                                  return inner * (error - T(0.5) * inner);
                              });
                for (size_t i = 0; i < count; ++i) {
                    const T total = sum(buffer + i * width, width) * mean;
                    rows[row + i] = from ? rows[row + i] + total : total;
                }
            });
            return;
        case Loss::poisson:
            // y log(y / mu) - y + mu with mu = exp(z): McCullagh & Nelder 1989, table 2.1
            return sum_rows(z, t, n, k, T(1), rows, [](T z, T y) {
                const T own = y == 0 ? T(0) : y * math::log(y);
                return own - y * z - y + math::exp(z);
            });
        case Loss::gamma:
            // log(mu / y) + y / mu - 1 with mu = exp(z): McCullagh & Nelder 1989, table 2.1
            return sum_rows(z, t, n, k, T(1), rows,
                            [](T z, T y) { return z - math::log(y) + y * math::exp(-z) - 1; });
        case Loss::quantile: {
            const T level = args[0];
            return sum_rows(z, t, n, k, mean, rows, [=](T z, T y) { return pinball(z, y, level); });
        }
        case Loss::quantiles:
            by_blocks(n, k, [&](size_t row, size_t from, size_t count, size_t width) {
                T soft[kBlock];
                const T* zs = z + row * k + from;
                SKLMLP_LOOP
                for (size_t i = 0; i < count * width; ++i) soft[i] = math::softplus(zs[i]);
                for (size_t i = 0; i < count; ++i) {
                    T total = from ? rows[row + i] : 0;
                    for (size_t j = 0; j < width; ++j) {
                        quantile = from + j == 0 ? zs[i * width] : quantile + soft[i * width + j];
                        total += pinball(quantile, t[row + i], args[from + j]) * mean;
                    }
                    rows[row + i] = total;
                }
            });
            return;
        case Loss::gaussian: {
            const size_t m = k / 2;
            for (size_t i = 0; i < n; ++i) rows[i] = 0;
            return losses::gaussian(
                z, t, n, m, [=](size_t i, size_t, T error, T log_variance, bool) {
                    const T deviation = error * error * math::exp(-log_variance);
                    const T log_two_pi = T(1.8378770664093454836);
                    rows[i] += T(0.5) * (log_two_pi + log_variance + deviation) / T(m);
                });
        }
    }
}

// The gradient of each sample's objective, which is the sum over targets: delta (n, k), not z's
// own memory.
template <class T>
void loss_gradient(int op, const T* args, const T* z, const void* y, size_t n, size_t k, T* delta) {
    using ::sklmlp::Loss;
    using namespace losses;
    const T* t = static_cast<const T*>(y);
    const int64_t* c = static_cast<const int64_t*>(y);
    const T high = Clip<T>().high;
    switch (static_cast<Loss>(op)) {
        case Loss::log_loss:
            return losses::log_loss<T>(args[0], z, c, n, k, nullptr, delta);
        case Loss::focal:
            return losses::focal<T>(args[0], z, c, n, k, nullptr, delta);
        case Loss::hinge:
            for (size_t i = 0; i < n; ++i, z += k, delta += k) {
                const T own = z[c[i]];
                for (size_t j = 0; j < k; ++j) delta[j] = z[j] >= -1 ? T(1) : T(0);
                delta[c[i]] = own <= 1 ? T(-1) : T(0);
            }
            return;
        case Loss::binary_log_loss: {
            const T spread = args[0];  // Bishop 2006, eq. 4.91
            return each_gradient(z, t, n * k, delta, [=](T z, T y) {
                return math::sigmoid(z) - (y * (1 - spread) + spread / 2);
            });
        }
        case Loss::binary_focal: {
            const T gamma = args[0];
            return each_gradient(z, t, n * k, delta, [=](T z, T y) {
                const T log_p = math::log_sigmoid(y > 0 ? z : -z);
                return (math::sigmoid(z) - y) * focal_factor(log_p, gamma, high);
            });
        }
        case Loss::binary_hinge:
            return each_gradient(z, t, n * k, delta, [](T z, T y) {
                const T sign = 2 * y - 1;
                return sign * z <= 1 ? -sign : T(0);
            });
        case Loss::squared_error:
            return each_gradient(z, t, n * k, delta, [](T z, T y) { return z - y; });
        case Loss::absolute_error:
            return each_gradient(z, t, n * k, delta, [](T z, T y) {
                const T error = z - y;
                return error > 0 ? T(1) : error < 0 ? T(-1) : T(0);
            });
        case Loss::huber:
            return losses::huber(args, z, t, n, k, delta,
                                 [](T error, T bound) { return math::clip(error, -bound, bound); });
        case Loss::poisson:
            return each_gradient(z, t, n * k, delta, [](T z, T y) { return math::exp(z) - y; });
        case Loss::gamma:
            return each_gradient(z, t, n * k, delta,
                                 [](T z, T y) { return 1 - y * math::exp(-z); });
        case Loss::quantile: {
            const T level = args[0];
            return each_gradient(z, t, n * k, delta,
                                 [=](T z, T y) { return (z > y ? T(1) : T(0)) - level; });
        }
        case Loss::quantiles:
            // q_1 = z_1 and q_j = q_(j-1) + softplus(z_j): z_j is a part of q_j and of those above
            for (size_t done = 0; done < n; done += kLanes) {
                const size_t count = n - done < kLanes ? n - done : kLanes;
                const T* zs = z + done * k;
                T *d = delta + done * k, first[kLanes];
                SKLMLP_LOOP
                for (size_t i = 0; i < count * k; ++i) d[i] = math::softplus(zs[i]);
                for (size_t i = 0; i < count; ++i) {
                    T q = zs[i * k], *row = d + i * k;
                    for (size_t j = 0; j < k; ++j) {
                        if (j > 0) q += row[j];
                        row[j] = (q > t[done + i] ? T(1) : T(0)) - args[j];
                    }
                    for (size_t j = k - 1; j-- > 0;) row[j] += row[j + 1];
                    first[i] = row[0];
                }
                SKLMLP_LOOP
                for (size_t i = 0; i < count * k; ++i) d[i] *= math::sigmoid(zs[i]);
                for (size_t i = 0; i < count; ++i) d[i * k] = first[i];
            }
            return;
        case Loss::gaussian: {
            const size_t m = k / 2;
            return losses::gaussian(
                z, t, n, m, [=](size_t i, size_t j, T error, T log_variance, bool inside) {
                    const T by_variance = error * math::exp(-log_variance);
                    delta[i * 2 * m + j] = by_variance;
                    // at a bound it is flat, however far the product overflows there
                    delta[i * 2 * m + m + j] = inside ? T(0.5) * (1 - by_variance * error) : T(0);
                });
        }
    }
}

// Both at once, for where they share the exponentials.
template <class T>
void loss_both(int op, const T* args, const T* z, const void* y, size_t n, size_t k, T* rows,
               T* delta) {
    const int64_t* c = static_cast<const int64_t*>(y);
    switch (static_cast<::sklmlp::Loss>(op)) {
        case ::sklmlp::Loss::log_loss:
            return losses::log_loss<T>(args[0], z, c, n, k, rows, delta);
        case ::sklmlp::Loss::focal:
            return losses::focal<T>(args[0], z, c, n, k, rows, delta);
        default:
            loss_rows<T>(op, args, z, y, n, k, rows);
            loss_gradient<T>(op, args, z, y, n, k, delta);
    }
}

// Predictions of logits: probabilities, or what is expected of a target; (n, k), but (n, k / 2) of
// gaussian. `out` may be z. Quantiles rise; their levels' own order is the caller's.
template <class T>
void link(int op, const T* z, size_t n, size_t k, T* out) {
    switch (static_cast<::sklmlp::Loss>(op)) {
        case ::sklmlp::Loss::log_loss:
        case ::sklmlp::Loss::focal:
            return losses::softmax(z, n, k, out,
                                   [](size_t, size_t, const losses::Normalizer<T>&) {});
        case ::sklmlp::Loss::binary_log_loss:
        case ::sklmlp::Loss::binary_focal:
            SKLMLP_LOOP
            for (size_t i = 0; i < n * k; ++i) out[i] = math::sigmoid(z[i]);
            return;
        case ::sklmlp::Loss::poisson:
        case ::sklmlp::Loss::gamma:
            SKLMLP_LOOP
            for (size_t i = 0; i < n * k; ++i) out[i] = math::exp(z[i]);
            return;
        case ::sklmlp::Loss::quantiles:
            for (size_t i = 0; i < n; ++i, z += k, out += k) {
                out[0] = z[0];
                for (size_t j = 1; j < k; ++j) out[j] = out[j - 1] + math::softplus(z[j]);
            }
            return;
        case ::sklmlp::Loss::gaussian:
            for (size_t i = 0; i < n; ++i)
                for (size_t j = 0; j < k / 2; ++j) out[i * (k / 2) + j] = z[i * k + j];
            return;
        default:
            if (out != z)
                for (size_t i = 0; i < n * k; ++i) out[i] = z[i];
    }
}
