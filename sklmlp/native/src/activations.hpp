// Activations and their derivatives, by torch's conventions at the kinks.
//
// Included once in the namespace of each instruction set, after includes.hpp, ops.hpp and
// vector_math.hpp; no include guard. Each activation is a struct of two functions of one value:
//   forward(z)         the activation
//   backward(z, a, g)  g times the derivative; z is the activation `a` where the table says that
//                      the derivative does not read the input
// `c` are its arguments in the order of the table.

namespace activations {

using math::abs;
using math::clip;

template <class T> struct identity {
    explicit identity(const T*) {}
    SKLMLP_INLINE T forward(T z) const { return z; }
    SKLMLP_INLINE T backward(T, T, T g) const { return g; }
};

template <class T> struct logistic {
    explicit logistic(const T*) {}
    SKLMLP_INLINE T forward(T z) const { return math::sigmoid(z); }
    SKLMLP_INLINE T backward(T, T a, T g) const { return g * (a * (1 - a)); }
};

template <class T> struct tanh {
    explicit tanh(const T*) {}
    SKLMLP_INLINE T forward(T z) const { return math::tanh(z); }
    SKLMLP_INLINE T backward(T, T a, T g) const { return g * (1 - a * a); }
};

template <class T> struct relu {
    explicit relu(const T*) {}
    SKLMLP_INLINE T forward(T z) const { return z <= 0 ? T(0) : z; }
    SKLMLP_INLINE T backward(T, T a, T g) const { return a <= 0 ? T(0) : g; }
};

template <class T> struct leaky_relu {
    const T slope;
    explicit leaky_relu(const T* c) : slope(c[0]) {}
    SKLMLP_INLINE T forward(T z) const { return z > 0 ? z : slope * z; }
    SKLMLP_INLINE T backward(T z, T, T g) const { return z > 0 ? g : slope * g; }
};

// z or the bound that it is beyond; flat at the bounds.
template <class T> struct hardtanh {
    const T low, high;
    explicit hardtanh(const T* c) : low(c[0]), high(c[1]) {}
    hardtanh(T low, T high) : low(low), high(high) {}
    SKLMLP_INLINE T forward(T z) const { return clip(z, low, high); }
    SKLMLP_INLINE T backward(T, T a, T g) const { return a > low && a < high ? g : T(0); }
};

template <class T> struct relu6 : hardtanh<T> {
    explicit relu6(const T*) : hardtanh<T>(T(0), T(6)) {}
};

// scale z if z > 0, else scale alpha (exp(inner z) - 1)
template <class T> struct exponential_unit {
    const T scaled_alpha, scale, inner;
    exponential_unit(T alpha, T scale, T inner)
        : scaled_alpha(alpha * scale), scale(scale), inner(inner) {}
    SKLMLP_INLINE T forward(T z) const {
        return z > 0 ? scale * z : scaled_alpha * math::expm1(inner * z);
    }
    SKLMLP_INLINE T backward(T z, T, T g) const {
        return g * (z > 0 ? scale : scaled_alpha * inner * math::exp(inner * z));
    }
};

template <class T> struct elu : exponential_unit<T> {
    explicit elu(const T* c) : exponential_unit<T>(c[0], T(1), T(1)) {}
};

template <class T> struct celu : exponential_unit<T> {
    explicit celu(const T* c) : exponential_unit<T>(c[0], T(1), 1 / c[0]) {}
};

// Klambauer et al. 2017, eq. 2
template <class T> struct selu : exponential_unit<T> {
    explicit selu(const T*)
        : exponential_unit<T>(T(1.6732632423543772), T(1.0507009873554805), T(1)) {}
};

template <class T> struct gelu {
    explicit gelu(const T*) {}
    SKLMLP_INLINE T forward(T z) const { return z * math::normal(z).cdf; }
    SKLMLP_INLINE T backward(T z, T, T g) const {
        const math::Normal<T> n = math::normal(z);
        return g * (n.cdf + z * (n.kernel * T(0.39894228040143267794)));  // 1 / sqrt(2 pi)
    }
};

// Hendrycks & Gimpel 2016: z (1 + tanh(u)) / 2 = z sigmoid(2 u), 2 u = c (z + b z^3)
template <class T> struct gelu_tanh {
    static constexpr double c = 1.5957691216057307118, b = 0.044715;  // 2 sqrt(2 / pi)
    explicit gelu_tanh(const T*) {}
    SKLMLP_INLINE T gate(T z) const { return math::sigmoid(T(c) * (z + T(b) * (z * z * z))); }
    SKLMLP_INLINE T forward(T z) const { return z * gate(z); }
    SKLMLP_INLINE T backward(T z, T, T g) const {
        z = clip(z, T(-30), T(30));  // beyond, the gate is 0 or 1, and z^2 may overflow
        const T s = gate(z);
        return g * (s + z * (s * (1 - s)) * (T(c) * (1 + T(3 * b) * (z * z))));
    }
};

template <class T> struct silu {
    explicit silu(const T*) {}
    SKLMLP_INLINE T forward(T z) const { return z * math::sigmoid(z); }
    SKLMLP_INLINE T backward(T z, T, T g) const {
        const T s = math::sigmoid(z);
        return g * (s * (1 + z * (1 - s)));
    }
};

// z tanh(log(1 + w)) = z (w^2 + 2 w) / (w^2 + 2 w + 2) with w = exp(z); for z > 0 both are
// divided by w^2.
template <class T> struct mish {
    explicit mish(const T*) {}
    SKLMLP_INLINE T gate(T z, T e) const {
        const T up = z < 0 ? e * (e + 2) : 1 + 2 * e;
        return up / (up + (z < 0 ? T(2) : 2 * e * e));
    }
    SKLMLP_INLINE T forward(T z) const { return z * gate(z, math::exp(-abs(z))); }
    SKLMLP_INLINE T backward(T z, T, T g) const {
        const T e = math::exp(-abs(z)), t = gate(z, e);
        const T s = (z < 0 ? e : T(1)) / (1 + e);  // sigmoid(z)
        return g * (t + z * s * (1 - t * t));
    }
};

template <class T> struct hardswish {
    explicit hardswish(const T*) {}
    SKLMLP_INLINE T forward(T z) const { return z * clip(z + 3, T(0), T(6)) / 6; }
    SKLMLP_INLINE T backward(T z, T, T g) const {
        return z <= -3 ? T(0) : z >= 3 ? g : g * (z / 3 + T(0.5));
    }
};

template <class T> struct softplus {
    const T beta, bound;
    explicit softplus(const T* c) : beta(c[0]), bound(c[1]) {}
    SKLMLP_INLINE T forward(T z) const {
        const T soft = math::softplus(beta * z) / beta;
        return beta * z > bound ? z : soft;
    }
    SKLMLP_INLINE T backward(T z, T, T g) const {
        const T slope = math::sigmoid(beta * z);
        return beta * z > bound ? g : g * slope;
    }
};

template <class T> struct threshold {
    const T at, value;
    explicit threshold(const T* c) : at(c[0]), value(c[1]) {}
    SKLMLP_INLINE T forward(T z) const { return z <= at ? value : z; }
    SKLMLP_INLINE T backward(T z, T, T g) const { return z <= at ? T(0) : g; }
};

template <class T> struct hardsigmoid {
    explicit hardsigmoid(const T*) {}
    SKLMLP_INLINE T forward(T z) const { return clip(z + 3, T(0), T(6)) / 6; }
    SKLMLP_INLINE T backward(T z, T, T g) const {
        return abs(z) < 3 ? g * T(1.0f / 6.0f) : T(0);  // torch's factor is a float's in both types
    }
};

template <class T> struct log_sigmoid {
    explicit log_sigmoid(const T*) {}
    SKLMLP_INLINE T forward(T z) const { return math::log_sigmoid(z); }
    SKLMLP_INLINE T backward(T z, T, T g) const { return g * math::sigmoid(-z); }
};

template <class T> struct softsign {
    explicit softsign(const T*) {}
    SKLMLP_INLINE T forward(T z) const { return z / (1 + abs(z)); }
    SKLMLP_INLINE T backward(T z, T, T g) const {
        const T below = 1 + abs(z);
        return g / (below * below);
    }
};

template <class T> struct tanhshrink {
    explicit tanhshrink(const T*) {}
    SKLMLP_INLINE T forward(T z) const { return z - math::tanh(z); }
    SKLMLP_INLINE T backward(T z, T, T g) const {
        const T t = math::tanh(z);
        return g * (t * t);
    }
};

template <class T> struct softshrink {
    const T bound;
    explicit softshrink(const T* c) : bound(c[0]) {}
    SKLMLP_INLINE T forward(T z) const {
        return z > bound ? z - bound : z < -bound ? z + bound : z * T(0);  // NaN stays
    }
    SKLMLP_INLINE T backward(T, T a, T g) const { return abs(a) > 0 ? g : T(0); }
};

template <class T> struct hardshrink {
    const T bound;
    explicit hardshrink(const T* c) : bound(c[0]) {}
    SKLMLP_INLINE T forward(T z) const { return abs(z) <= bound ? T(0) : z; }
    SKLMLP_INLINE T backward(T, T a, T g) const { return abs(a) > 0 ? g : T(0); }
};

template <class T, class F> void forward(F f, const T* z, T* a, size_t n) {
    SKLMLP_LOOP
    for (size_t i = 0; i < n; ++i) a[i] = f.forward(z[i]);
}

template <class T, class F> void backward(F f, const T* z, const T* a, T* g, size_t n) {
    SKLMLP_LOOP
    for (size_t i = 0; i < n; ++i) g[i] = f.backward(z[i], a[i], g[i]);
}

}  // namespace activations

// Whether the derivative reads the input; where it does not, `a` may be written over `z`.
template <class T> bool activation_keeps_input(int op) { return ::sklmlp::kActivations[op].flag; }

// n values of z to n of a, which may be the same memory; `args` in the order of the table.
template <class T>
void activation_forward(int op, const T* args, const T* z, T* a, size_t n) {
    switch (static_cast<::sklmlp::Activation>(op)) {
#define SKLMLP_CASE(name, ...)            \
    case ::sklmlp::Activation::name:      \
        return activations::forward(activations::name<T>(args), z, a, n);
        SKLMLP_ACTIVATIONS(SKLMLP_CASE)
#undef SKLMLP_CASE
    }
}

// g *= f'(z), in place.
template <class T>
void activation_backward(int op, const T* args, const T* z, const T* a, T* g, size_t n) {
    switch (static_cast<::sklmlp::Activation>(op)) {
#define SKLMLP_CASE(name, ...)            \
    case ::sklmlp::Activation::name:      \
        return activations::backward(activations::name<T>(args), z, a, g, n);
        SKLMLP_ACTIVATIONS(SKLMLP_CASE)
#undef SKLMLP_CASE
    }
}

// Each row of z is `width` linear units and as many gates (Dauphin et al. 2017): (n, 2 width) to
// (n, width).
template <class T> void glu_forward(const T* z, T* a, size_t n, size_t width) {
    for (size_t row = 0; row < n; ++row, z += 2 * width, a += width) {
        SKLMLP_LOOP
        for (size_t i = 0; i < width; ++i) a[i] = z[i] * math::sigmoid(z[width + i]);
    }
}

// `g_out` is (n, width), `g_in` (n, 2 width); `g_in` may be `z`.
template <class T>
void glu_backward(const T* z, const T* g_out, T* g_in, size_t n, size_t width) {
    for (size_t row = 0; row < n; ++row, z += 2 * width, g_in += 2 * width, g_out += width) {
        SKLMLP_LOOP
        for (size_t i = 0; i < width; ++i) {
            const T s = math::sigmoid(z[width + i]), g = g_out[i] * s;
            const T gate = g * (1 - s) * z[i];
            g_in[i] = g;
            g_in[width + i] = gate;
        }
    }
}

// The slope of unit j is slopes[j], or slopes[0] where there is only one.
template <class T>
void prelu_forward(const T* z, const T* slopes, size_t n_slopes, T* a, size_t n, size_t width) {
    for (size_t row = 0; row < n; ++row, z += width, a += width) {
        if (n_slopes == 1) {
            const T slope = slopes[0];
            SKLMLP_LOOP
            for (size_t i = 0; i < width; ++i) a[i] = z[i] > 0 ? z[i] : slope * z[i];
        } else {
            SKLMLP_LOOP
            for (size_t i = 0; i < width; ++i) a[i] = z[i] > 0 ? z[i] : slopes[i] * z[i];
        }
    }
}

// g *= f'(z) in place; what the rows add to the gradients of the slopes is added to g_slopes.
template <class T>
void prelu_backward(const T* z, const T* slopes, size_t n_slopes, T* g, T* g_slopes, size_t n,
                    size_t width) {
    for (size_t row = 0; row < n; ++row, z += width, g += width) {
        if (n_slopes == 1) {
            const T slope = slopes[0];
            T sum = 0;
            for (size_t i = 0; i < width; ++i) sum += z[i] > 0 ? T(0) : g[i] * z[i];
            SKLMLP_LOOP
            for (size_t i = 0; i < width; ++i) g[i] = z[i] > 0 ? g[i] : slope * g[i];
            g_slopes[0] += sum;
        } else {
            SKLMLP_LOOP
            for (size_t i = 0; i < width; ++i) {
                g_slopes[i] += z[i] > 0 ? T(0) : g[i] * z[i];
                g[i] = z[i] > 0 ? g[i] : slopes[i] * g[i];
            }
        }
    }
}
