// Stands in until activations.hpp and losses.hpp are here.
#pragma once
template <class T> bool activation_keeps_input(int) { return false; }
template <class T> void activation_forward(int op, const T*, const T* z, T* a, size_t n) {
    if (op == 1) for (size_t i = 0; i < n; ++i) a[i] = z[i] < T(0) ? T(0) : z[i];
    else if (op == 2) for (size_t i = 0; i < n; ++i) a[i] = std::tanh(z[i]);
    else if (op == 3) for (size_t i = 0; i < n; ++i) a[i] = T(1) / (T(1) + std::exp(-z[i]));
    else if (a != z) std::copy(z, z + n, a);
}
template <class T> void activation_backward(int op, const T*, const T*, const T* a, T* g, size_t n) {
    if (op == 1) for (size_t i = 0; i < n; ++i) g[i] = a[i] > T(0) ? g[i] : T(0);
    else if (op == 2) for (size_t i = 0; i < n; ++i) g[i] *= T(1) - a[i] * a[i];
    else if (op == 3) for (size_t i = 0; i < n; ++i) g[i] *= a[i] * (T(1) - a[i]);
}
template <class T> void loss_rows(int op, const T*, const T* z, const void* y, size_t n, size_t k, T* rows) {
    if (op == 0) {
        const int64_t* c = static_cast<const int64_t*>(y);
        const T low = std::log(std::numeric_limits<T>::epsilon()), high = std::log1p(-std::numeric_limits<T>::epsilon());
        for (size_t i = 0; i < n; ++i, z += k) {
            T top = z[0], sum = 0;
            for (size_t j = 1; j < k; ++j) top = std::max(top, z[j]);
            for (size_t j = 0; j < k; ++j) sum += std::exp(z[j] - top);
            T p = z[c[i]] - top - std::log(sum);
            rows[i] = -(p < low ? low : p > high ? high : p);
        }
        return;
    }
    const T* t = static_cast<const T*>(y);
    for (size_t i = 0; i < n; ++i, z += k, t += k) {
        rows[i] = 0;
        for (size_t j = 0; j < k; ++j) rows[i] += T(0.5) * (z[j] - t[j]) * (z[j] - t[j]) / T(k);
    }
}
template <class T> void loss_gradient(int op, const T*, const T* z, const void* y, size_t n, size_t k, T* d) {
    if (op == 0) {
        const int64_t* c = static_cast<const int64_t*>(y);
        for (size_t i = 0; i < n; ++i, z += k, d += k) {
            T top = z[0], sum = 0;
            for (size_t j = 1; j < k; ++j) top = std::max(top, z[j]);
            for (size_t j = 0; j < k; ++j) sum += d[j] = std::exp(z[j] - top);
            for (size_t j = 0; j < k; ++j) d[j] /= sum;
            d[c[i]] -= T(1);
        }
        return;
    }
    const T* t = static_cast<const T*>(y);
    for (size_t i = 0; i < n * k; ++i) d[i] = z[i] - t[i];
}
