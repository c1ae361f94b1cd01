// The kernels by themselves, for tests. Included last of engine.hpp's headers.

namespace math {
template <class T> SKLMLP_INLINE T normal_cdf(T x) { return normal(x).cdf; }
}  // namespace math

template <class T> void function(int op, const T* x, T* y, size_t n) {
    switch (static_cast<::sklmlp::Function>(op)) {
#define SKLMLP_CASE(name, ...)                                  \
    case ::sklmlp::Function::name:                              \
        SKLMLP_LOOP                                             \
        for (size_t i = 0; i < n; ++i) y[i] = math::name(x[i]); \
        return;
        SKLMLP_FUNCTIONS(SKLMLP_CASE)
#undef SKLMLP_CASE
    }
}

// What the arrays of a call are depends on its kind, in order:
//   function    x, y
//   activation  arguments, z, a, g: g becomes g times the derivative
//   loss        arguments, z, y, rows, delta; both_at_once as loss
//   link        z, out
//   glu         z, a, g of a, g of z
//   prelu       slopes, z, a, g, g of slopes; op is the number of slopes
template <class T> void kernel(const ::sklmlp::KernelCall& call) {
    using ::sklmlp::Kernel;
    const int op = call.op;
    const size_t n = call.n, k = call.k;
    T* p[5];
    for (int i = 0; i < 5; ++i) p[i] = static_cast<T*>(call.arrays[i]);
    switch (call.kind) {
    case Kernel::function:
        return function(op, p[0], p[1], n);
    case Kernel::activation:
        activation_forward(op, p[0], p[1], p[2], n);
        return activation_backward(op, p[0], p[1], p[2], p[3], n);
    case Kernel::loss:
        loss_rows(op, p[0], p[1], p[2], n, k, p[3]);
        return loss_gradient(op, p[0], p[1], p[2], n, k, p[4]);
    case Kernel::both_at_once:
        return loss_both(op, p[0], p[1], p[2], n, k, p[3], p[4]);
    case Kernel::link:
        return link(op, p[0], n, k, p[1]);
    case Kernel::glu:
        glu_forward(p[0], p[1], n, k);
        return glu_backward(p[0], p[2], p[3], n, k);
    case Kernel::prelu:
        prelu_forward(p[1], p[0], size_t(op), p[2], n, k);
        return prelu_backward(p[1], p[0], size_t(op), p[3], p[4], n, k);
    }
}
