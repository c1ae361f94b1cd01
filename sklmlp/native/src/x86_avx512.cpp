#include "headers.hpp"
#ifdef SKLMLP_X86
namespace sklmlp {
namespace avx512 {
#include "engine.hpp"
}
const Engine avx512_engine = {{avx512::train<float>, avx512::train<double>},
                            {avx512::forward<float>, avx512::forward<double>},
                            {avx512::gradient<float>, avx512::gradient<double>},
                            {avx512::kernel<float>, avx512::kernel<double>}};
}  // namespace sklmlp
#endif
