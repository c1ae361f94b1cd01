// Losses and their gradients with respect to the logits, as sklmlp/losses.py writes them.
//
// Included once in the namespace of each instruction set, after includes.hpp, ops.hpp and
// vector_math.hpp; no include guard. z is (n, k) by rows. Targets are indices of classes, int64
// (n,), of log_loss, focal and hinge; else T, (n, k), but (n, k / 2) of gaussian and (n,) of
// quantiles. Rows go through a buffer on the stack in blocks of about kBlock logits.

namespace losses {

constexpr size_t kBlock = 1024;

// Logarithms of probabilities that are clipped to [eps, 1 - eps], as scikit-learn reports.
template <class T> struct Clip {
    const T low = std::log(std::numeric_limits<T>::epsilon());
    const T high = std::log1p(-std::numeric_limits<T>::epsilon());
    SKLMLP_INLINE T operator()(T log_p) const { return math::clip(log_p, low, high); }
};

template <class T> SKLMLP_INLINE T positive(T x) { return x <= 0 ? T(0) : x; }

template <class T> SKLMLP_INLINE T sum(const T* x, size_t n) {
    T total = 0;
    for (size_t i = 0; i < n; ++i) total += x[i];
    return total;
}

template <class T> SKLMLP_INLINE T largest(const T* x, size_t n) {
    T top = x[0];
    for (size_t i = 1; i < n; ++i) top = x[i] > top ? x[i] : top;
    return top;
}

// log sum exp(z) of a row: the log of the sum, and the largest, that was taken out of it.
template <class T> SKLMLP_INLINE void normalizer(const T* z, size_t k, T* top, T* log_sum) {
    T part[kBlock], total = 0;
    *top = largest(z, k);
    for (size_t from = 0; from < k; from += kBlock) {
        const size_t n = k - from < kBlock ? k - from : kBlock;
        SKLMLP_LOOP
        for (size_t j = 0; j < n; ++j) part[j] = math::exp(z[from + j] - *top);
        total += sum(part, n);
    }
    *log_sum = total;
}

// Calls row(i, z, top, log_sum) for each row, with log p_j = z_j - top - log_sum; the functions of
// mathematics see blocks of rows, for a row alone is short.
template <class T, class Row> void each_softmax(const T* z, size_t n, size_t k, Row row) {
    if (k > kBlock) {
        for (size_t i = 0; i < n; ++i, z += k) {
            T top, log_sum;
            normalizer(z, k, &top, &log_sum);
            row(i, z, top, math::log(log_sum));
        }
        return;
    }
    constexpr size_t kRows = 128;
    const size_t step = kBlock / k < kRows ? kBlock / k : kRows;
    T buffer[kBlock], top[kRows], log_sum[kRows];
    for (size_t from = 0; from < n; from += step) {
        const size_t m = n - from < step ? n - from : step;
        const T* block = z + from * k;
        for (size_t i = 0; i < m; ++i) {
            top[i] = largest(block + i * k, k);
            for (size_t j = 0; j < k; ++j) buffer[i * k + j] = block[i * k + j] - top[i];
        }
        SKLMLP_LOOP
        for (size_t j = 0; j < m * k; ++j) buffer[j] = math::exp(buffer[j]);
        for (size_t i = 0; i < m; ++i) log_sum[i] = sum(buffer + i * k, k);
        SKLMLP_LOOP
        for (size_t i = 0; i < m; ++i) log_sum[i] = math::log(log_sum[i]);
        for (size_t i = 0; i < m; ++i) row(from + i, block + i * k, top[i], log_sum[i]);
    }
}

// softmax(z) into p, by rows; p may be z.
template <class T> void softmax(const T* z, size_t n, size_t k, T* p) {
    for (size_t i = 0; i < n; ++i) {
        const T top = largest(z + i * k, k);
        for (size_t j = 0; j < k; ++j) p[i * k + j] = z[i * k + j] - top;
    }
    SKLMLP_LOOP
    for (size_t j = 0; j < n * k; ++j) p[j] = math::exp(p[j]);
    for (size_t i = 0; i < n; ++i) {
        const T total = sum(p + i * k, k);
        for (size_t j = 0; j < k; ++j) p[i * k + j] /= total;
    }
}

// (1 - p)^gamma (-log p): Lin et al. 2017, eq. 4
template <class T> SKLMLP_INLINE T focal_value(T log_p, T gamma) {
    return math::power(1 - math::exp(log_p), gamma) * -log_p;
}

// d/du of (1 - p)^g u with p = exp(u) is (1 - p)^g - g (1 - p)^(g - 1) p u.
template <class T> SKLMLP_INLINE T focal_factor(T log_p, T gamma, T high) {
    log_p = math::at_most(log_p, high);  // at p = 1 it is 0 / 0
    const T q = -math::expm1(log_p);
    return math::power(q, gamma) * (1 - gamma * math::exp(log_p) * log_p / q);
}

// Loss of a row as the sum of each(z, y, j) over its k, times `scale`.
template <class T, class Each>
void sum_rows(const T* z, const T* y, size_t n, size_t k, T scale, T* rows, Each each) {
    T buffer[kBlock];
    for (size_t i = 0; i < n; ++i) rows[i] = 0;
    if (k == 1) {
        SKLMLP_LOOP
        for (size_t i = 0; i < n; ++i) rows[i] = each(z[i], y[i], size_t(0));
        return;
    }
    for (size_t i = 0; i < n; ++i, z += k, y += k) {
        for (size_t from = 0; from < k; from += kBlock) {
            const size_t m = k - from < kBlock ? k - from : kBlock;
            SKLMLP_LOOP
            for (size_t j = 0; j < m; ++j) buffer[j] = each(z[from + j], y[from + j], from + j);
            rows[i] += sum(buffer, m);
        }
        rows[i] *= scale;
    }
}

template <class T, class Each>
void each_gradient(const T* z, const T* y, size_t count, T* delta, Each each) {
    SKLMLP_LOOP
    for (size_t j = 0; j < count; ++j) delta[j] = each(z[j], y[j]);
}

template <class T> SKLMLP_INLINE T pinball(T q, T y, T level) {
    const T error = y - q, above = level * error, below = (level - 1) * error;
    return above > below ? above : below + 0 * above;
}

// Half a row's logits are means, half logarithms of variances: Nix & Weigend 1994.
template <class T> SKLMLP_INLINE T variance_bound() {
    return std::log(std::numeric_limits<T>::max()) / 2;  // neither it nor its inverse overflows
}

template <class T> SKLMLP_INLINE T huber_bound(T delta) {
    return math::clip(delta, std::numeric_limits<T>::min(), std::numeric_limits<T>::max());
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
    switch (static_cast<Loss>(op)) {
    case Loss::log_loss: {
        const T spread = args[0];
        each_softmax(z, n, k, [=](size_t i, const T* z, T top, T log_sum) {
            const T of_class = clip(z[c[i]] - top - log_sum);
            if (spread == 0) {
                rows[i] = -of_class;
            } else {
                T total = 0;
                for (size_t j = 0; j < k; ++j) total += clip(z[j] - top - log_sum);
                rows[i] = -(spread * (total * mean) + (1 - spread) * of_class);
            }
        });
        return;
    }
    case Loss::focal: {
        const T gamma = args[0];
        each_softmax(z, n, k, [=](size_t i, const T* z, T top, T log_sum) {
            rows[i] = focal_value(clip(z[c[i]] - top - log_sum), gamma);
        });
        return;
    }
    case Loss::hinge:
        for (size_t i = 0; i < n; ++i, z += k) {
            T total = 0;
            for (size_t j = 0; j < k; ++j) total += positive(1 + z[j]);
            rows[i] = total - positive(1 + z[c[i]]) + positive(1 - z[c[i]]);
        }
        return;
    case Loss::binary_log_loss: {
        const T spread = args[0];
        return sum_rows(z, t, n, k, T(1), rows, [=](T z, T y, size_t) {
            const T target = y * (1 - spread) + spread / 2;
            const T log_yes = math::log_sigmoid(z), log_no = math::log_sigmoid(-z);
            return -(target * clip(log_yes) + (1 - target) * clip(log_no));
        });
    }
    case Loss::binary_focal: {
        const T gamma = args[0];
        return sum_rows(z, t, n, k, T(1), rows, [=](T z, T y, size_t) {
            return focal_value(clip(math::log_sigmoid(y > 0 ? z : -z)), gamma);
        });
    }
    case Loss::binary_hinge:
        return sum_rows(z, t, n, k, T(1), rows,
                        [](T z, T y, size_t) { return positive(1 - (2 * y - 1) * z); });
    case Loss::squared_error:
        return sum_rows(z, t, n, k, mean, rows,
                        [](T z, T y, size_t) { return T(0.5) * ((z - y) * (z - y)); });
    case Loss::absolute_error:
        return sum_rows(z, t, n, k, mean, rows,
                        [](T z, T y, size_t) { return math::abs(z - y); });
    case Loss::huber:
        return sum_rows(z, t, n, k, mean, rows, [=](T z, T y, size_t j) {
            const T error = math::abs(z - y);
            const T inner = math::at_most(error, huber_bound(args[j]));
            return inner * (error - T(0.5) * inner);
        });
    case Loss::poisson:
        // y log(y / mu) - y + mu with mu = exp(z): McCullagh & Nelder 1989, table 2.1
        return sum_rows(z, t, n, k, T(1), rows, [](T z, T y, size_t) {
            const T own = y == 0 ? T(0) : y * math::log(y);
            return own - y * z - y + math::exp(z);
        });
    case Loss::gamma:
        // log(mu / y) + y / mu - 1 with mu = exp(z): McCullagh & Nelder 1989, table 2.1
        return sum_rows(z, t, n, k, T(1), rows, [](T z, T y, size_t) {
            return z - math::log(y) + y * math::exp(-z) - 1;
        });
    case Loss::quantile: {
        const T level = args[0];
        return sum_rows(z, t, n, k, mean, rows,
                        [=](T z, T y, size_t) { return pinball(z, y, level); });
    }
    case Loss::quantiles:
        for (size_t i = 0; i < n; ++i, z += k) {
            T q = z[0], total = pinball(q, t[i], args[0]);
            for (size_t j = 1; j < k; ++j) {
                q += math::softplus(z[j]);
                total += pinball(q, t[i], args[j]);
            }
            rows[i] = total * mean;
        }
        return;
    case Loss::gaussian: {
        const size_t m = k / 2;
        const T bound = variance_bound<T>();
        for (size_t i = 0; i < n; ++i, z += k, t += m) {
            T total = 0;
            for (size_t j = 0; j < m; ++j) {
                const T log_variance = math::clip(z[m + j], -bound, bound), error = t[j] - z[j];
                const T deviation = error * error * math::exp(-log_variance);
                total += T(0.5) * (T(1.8378770664093454836) + log_variance + deviation);
            }
            rows[i] = total / T(m);
        }
        return;
    }
    }
}

// The gradient of each sample's objective, which is the sum over targets: delta (n, k).
template <class T>
void loss_gradient(int op, const T* args, const T* z, const void* y, size_t n, size_t k, T* delta) {
    using ::sklmlp::Loss;
    using namespace losses;
    const T* t = static_cast<const T*>(y);
    const int64_t* c = static_cast<const int64_t*>(y);
    const T high = Clip<T>().high;
    switch (static_cast<Loss>(op)) {
    case Loss::log_loss: {
        // d/dz of -sum t log softmax(z) is softmax(z) - t: Bishop 2006, eq. 4.109
        const T spread = args[0];
        softmax(z, n, k, delta);
        for (size_t i = 0; i < n; ++i) delta[i * k + c[i]] -= 1 - spread;
        if (spread != 0)
            for (size_t j = 0; j < n * k; ++j) delta[j] -= spread / T(k);
        return;
    }
    case Loss::focal: {
        const T gamma = args[0];
        T* d = delta;
        each_softmax(z, n, k, [=](size_t i, const T* z, T top, T log_sum) {
            const T factor = focal_factor(z[c[i]] - top - log_sum, gamma, high);
            const size_t own = c[i];
            SKLMLP_LOOP
            for (size_t j = 0; j < k; ++j) {
                const T p = math::exp(z[j] - top - log_sum);
                d[i * k + j] = (p - (j == own ? T(1) : T(0))) * factor;
            }
        });
        return;
    }
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
            return error > 0 ? T(1) : error < 0 ? T(-1) : error;
        });
    case Loss::huber:
        for (size_t i = 0; i < n; ++i, z += k, t += k, delta += k) {
            SKLMLP_LOOP
            for (size_t j = 0; j < k; ++j) {
                const T bound = huber_bound(args[j]);
                delta[j] = math::clip(z[j] - t[j], -bound, bound);
            }
        }
        return;
    case Loss::poisson:
        return each_gradient(z, t, n * k, delta, [](T z, T y) { return math::exp(z) - y; });
    case Loss::gamma:
        return each_gradient(z, t, n * k, delta, [](T z, T y) { return 1 - y * math::exp(-z); });
    case Loss::quantile: {
        const T level = args[0];
        return each_gradient(z, t, n * k, delta,
                             [=](T z, T y) { return (z > y ? T(1) : T(0)) - level; });
    }
    case Loss::quantiles:
        // q_1 = z_1 and q_j = q_(j-1) + softplus(z_j): z_j is a part of q_j and of those above
        for (size_t i = 0; i < n; ++i, z += k, delta += k) {
            T q = z[0];
            for (size_t j = 0; j < k; ++j) {
                if (j > 0) q += math::softplus(z[j]);
                delta[j] = (q > t[i] ? T(1) : T(0)) - args[j];
            }
            T above = 0;
            for (size_t j = k; j-- > 0;) {
                above += delta[j];
                delta[j] = j > 0 ? above * math::sigmoid(z[j]) : above;
            }
        }
        return;
    case Loss::gaussian: {
        const size_t m = k / 2;
        const T bound = variance_bound<T>();
        for (size_t i = 0; i < n; ++i, z += k, t += m, delta += k) {
            for (size_t j = 0; j < m; ++j) {
                const T log_variance = math::clip(z[m + j], -bound, bound), error = z[j] - t[j];
                const T by_variance = error * math::exp(-log_variance);
                // at a bound it is flat, however far the product overflows there
                const bool inside = log_variance == z[m + j];
                delta[m + j] = inside ? T(0.5) * (1 - by_variance * error) : T(0);
                delta[j] = by_variance;
            }
        }
        return;
    }
    }
}
