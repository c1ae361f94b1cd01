// The functions of mathematics and the kernels by number, for tests.
//
// Included once in the namespace of each instruction set, after losses.hpp; no include guard.

#define SKLMLP_FUNCTIONS(X) X(exp) X(log) X(log1p) X(expm1) X(tanh) X(erf) X(sigmoid) X(softplus) \
    X(log_sigmoid) X(normal_cdf)

namespace math {
template <class T> SKLMLP_INLINE T normal_cdf(T x) { return normal(x).cdf; }
}

#define SKLMLP_NAME(name) name,
enum class Function : int { SKLMLP_FUNCTIONS(SKLMLP_NAME) };
#undef SKLMLP_NAME

template <class T> void function(int op, const T* x, T* y, size_t n) {
    switch (static_cast<Function>(op)) {
#define SKLMLP_CASE(name)                                            \
    case Function::name:                                             \
        SKLMLP_LOOP                                                  \
        for (size_t i = 0; i < n; ++i) y[i] = math::name(x[i]);      \
        return;
        SKLMLP_FUNCTIONS(SKLMLP_CASE)
#undef SKLMLP_CASE
    }
}
