// Normalizations and their gradients, on the rows of one shard. Included as `simd.hpp` is.
//
// normal = (z - mean) inverse, value = normal scale + shift; inverse = 1 / sqrt(variance +
// epsilon).
#pragma once

template <class T>
void scale_and_shift(size_t n, size_t width, const T* normal, const T* scale, const T* shift,
                     T* value) {
    for (size_t i = 0; i < n; ++i, normal += width, value += width)
        for (size_t j = 0; j < width; ++j)
            value[j] = normal[j] * scale[j] + (shift ? shift[j] : T(0));
}

// Over the units of each row. Ba, Kiros & Hinton 2016, eq. 4; without the mean, Zhang & Sennrich
// 2019, eq. 4.
template <class T>
void normalize_rows(size_t n, size_t width, bool centred, double epsilon, const T* z, T* normal,
                    T* inverse) {
    for (size_t i = 0; i < n; ++i, z += width, normal += width) {
        const T mean = centred ? sum_of(z, width) / T(width) : T(0);
        for (size_t j = 0; j < width; ++j) normal[j] = z[j] - mean;
        inverse[i] = T(1) / std::sqrt(dot(normal, normal, width) / T(width) + T(epsilon));
        for (size_t j = 0; j < width; ++j) normal[j] *= inverse[i];
    }
}

// g: the gradient of `value` in, that of z out; adds to the gradients of scale and shift.
template <class T>
void normalize_rows_backward(size_t n, size_t width, bool centred, const T* normal,
                             const T* inverse, const T* scale, T* g, T* scale_gradient,
                             T* shift_gradient) {
    for (size_t i = 0; i < n; ++i, normal += width, g += width) {
        for (size_t j = 0; j < width; ++j) {
            scale_gradient[j] += g[j] * normal[j];
            if (shift_gradient) shift_gradient[j] += g[j];
            g[j] *= scale[j];
        }
        const T mean = centred ? sum_of(g, width) / T(width) : T(0);
        const T along = dot(g, normal, width) / T(width);
        for (size_t j = 0; j < width; ++j) g[j] = inverse[i] * (g[j] - mean - normal[j] * along);
    }
}

// Over the rows of a batch, unit by unit: Ioffe & Szegedy 2015, algorithm 1.
template <class T>
void normalize_units(size_t n, size_t width, const T* z, const T* mean, const T* inverse,
                     T* normal) {
    for (size_t i = 0; i < n; ++i, z += width, normal += width)
        for (size_t j = 0; j < width; ++j) normal[j] = (z[j] - mean[j]) * inverse[j];
}

// The mean of some rows and the sum of squared deviations from it.
template <class T>
void moments_of_units(size_t n, size_t width, const T* z, T* mean, T* squares) {
    std::fill(mean, mean + width, T(0));
    std::fill(squares, squares + width, T(0));
    if (n == 0) return;
    for (size_t i = 0; i < n; ++i)
        for (size_t j = 0; j < width; ++j) mean[j] += z[i * width + j];
    for (size_t j = 0; j < width; ++j) mean[j] /= T(n);
    for (size_t i = 0; i < n; ++i)
        for (size_t j = 0; j < width; ++j) {
            const T d = z[i * width + j] - mean[j];
            squares[j] += d * d;
        }
}

// Join the moments of n_b rows to those of n_a: Chan, Golub & LeVeque 1983, eq. 2.1.
template <class T>
void join_moments(size_t width, size_t n_a, size_t n_b, T* mean, T* squares, const T* mean_b,
                  const T* squares_b) {
    const T share = T(n_b) / T(n_a + n_b);
    for (size_t j = 0; j < width; ++j) {
        const T d = mean_b[j] - mean[j];
        mean[j] += d * share;
        squares[j] += squares_b[j] + d * d * T(n_a) * share;
    }
}

template <class T>
void normalize_units_backward(size_t n, size_t width, const T* normal, const T* g,
                              T* scale_gradient, T* shift_gradient) {
    for (size_t i = 0; i < n; ++i, normal += width, g += width)
        for (size_t j = 0; j < width; ++j) {
            scale_gradient[j] += g[j] * normal[j];
            shift_gradient[j] += g[j];
        }
}
