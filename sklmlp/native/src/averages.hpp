// The logits of averaged predictions of members, as sklmlp/nn/tied.py writes them. Included as
// `simd.hpp` is.
//
// Rows go kLanes at a time through a buffer in which they lie side by side, (k, n_outputs, kLanes).
#pragma once

namespace averages {

constexpr size_t kLanes = losses::kLanes;

// log(sum(exp)) of n values that are `step` apart, of kLanes rows at once.
template <class T>
void log_sum_exp(const T* values, size_t n, size_t step, T* out) {
    T top[kLanes], total[kLanes] = {};
    SKLMLP_LANES for (size_t i = 0; i < kLanes; ++i) top[i] = values[i];
    for (size_t k = 1; k < n; ++k) SKLMLP_LANES for (size_t i = 0; i < kLanes; ++i) {
            const T value = values[k * step + i];
            top[i] = value > top[i] ? value : top[i];
        }
    for (size_t k = 0; k < n; ++k)
        SKLMLP_LANES for (size_t i = 0; i < kLanes; ++i) total[i] +=
            math::exp(values[k * step + i] - top[i]);
    SKLMLP_LANES for (size_t i = 0; i < kLanes; ++i) out[i] = top[i] + math::log(total[i]);
}

// The mean of n values that are `step` apart.
template <class T>
void mean(const T* values, size_t n, size_t step, T* out) {
    T total[kLanes] = {};
    for (size_t k = 0; k < n; ++k)
        SKLMLP_LANES for (size_t i = 0; i < kLanes; ++i) total[i] += values[k * step + i];
    SKLMLP_LANES for (size_t i = 0; i < kLanes; ++i) out[i] = total[i] / T(n);
}

// z (k, n_outputs, kLanes), which is overwritten, to out (n_outputs, kLanes); `spare` (k, kLanes).
template <class T>
void average(Average kind, T* z, size_t k, size_t n_outputs, T* out, T* spare) {
    const size_t step = n_outputs * kLanes;
    const T log_k = std::log(T(k));
    switch (kind) {
        case Average::identity:
            for (size_t j = 0; j < n_outputs; ++j) mean(z + j * kLanes, k, step, out + j * kLanes);
            return;
        case Average::softmax:  // log(mean(softmax))
            for (size_t m = 0; m < k; ++m) {
                T total[kLanes];
                log_sum_exp(z + m * step, n_outputs, kLanes, total);
                for (size_t j = 0; j < n_outputs; ++j)
                    SKLMLP_LANES for (size_t i = 0; i < kLanes; ++i) z[m * step + j * kLanes + i] -=
                        total[i];
            }
            [[fallthrough]];
        case Average::exp:  // log(mean(exp))
            for (size_t j = 0; j < n_outputs; ++j) {
                log_sum_exp(z + j * kLanes, k, step, out + j * kLanes);
                SKLMLP_LANES for (size_t i = 0; i < kLanes; ++i) out[j * kLanes + i] -= log_k;
            }
            return;
        case Average::logistic:  // log(p / (1 - p)) of the mean p
            for (size_t j = 0; j < n_outputs; ++j) {
                T *logits = z + j * kLanes, *to = out + j * kLanes, no[kLanes];
                for (size_t m = 0; m < k; ++m)
                    SKLMLP_LANES for (size_t i = 0; i < kLanes; ++i) {
                        const T logit = logits[m * step + i];
                        spare[m * kLanes + i] = math::log_sigmoid(logit);
                        logits[m * step + i] = math::log_sigmoid(-logit);
                    }
                log_sum_exp(spare, k, kLanes, to);
                log_sum_exp(logits, k, step, no);
                SKLMLP_LANES for (size_t i = 0; i < kLanes; ++i) to[i] -= no[i];
            }
            return;
        case Average::gaussian:  // the law of total variance
            for (size_t j = 0; j < n_outputs / 2; ++j) {
                T *means = z + j * kLanes, *to = out + j * kLanes;
                T *log_variances = means + n_outputs / 2 * kLanes,
                  *variance = to + n_outputs / 2 * kLanes;
                mean(means, k, step, to);
                for (size_t m = 0; m < k; ++m)
                    SKLMLP_LANES for (size_t i = 0; i < kLanes; ++i) {
                        const T apart = means[m * step + i] - to[i];
                        log_variances[m * step + i] =
                            math::exp(log_variances[m * step + i]) + apart * apart;
                    }
                mean(log_variances, k, step, variance);
                SKLMLP_LANES for (size_t i = 0; i < kLanes; ++i) variance[i] =
                    math::log(variance[i]);
            }
            return;
    }
}

}  // namespace averages

inline size_t average_buffer(size_t k, size_t n_outputs) {
    return (k * n_outputs + n_outputs + k) * averages::kLanes;
}

// The logits of the averaged prediction of members for n rows; those of a member lie `apart` from
// those of the next. `buffer` is memory for `average_buffer` values.
template <class T>
void average_members(Average kind, const T* z, size_t apart, size_t k, size_t n, size_t n_outputs,
                     T* buffer, T* out) {
    constexpr size_t lanes = averages::kLanes;
    T *mean = buffer + k * n_outputs * lanes, *spare = mean + n_outputs * lanes;
    for (size_t first = 0; first < n; first += lanes) {
        const size_t rows = std::min(lanes, n - first);
        for (size_t m = 0; m < k; ++m)
            for (size_t i = 0; i < lanes; ++i) {
                const T* from = z + m * apart + (first + (i < rows ? i : 0)) * n_outputs;
                for (size_t j = 0; j < n_outputs; ++j)
                    buffer[(m * n_outputs + j) * lanes + i] = from[j];
            }
        averages::average(kind, buffer, k, n_outputs, mean, spare);
        for (size_t i = 0; i < rows; ++i)
            for (size_t j = 0; j < n_outputs; ++j)
                out[(first + i) * n_outputs + j] = mean[j * lanes + i];
    }
}
