// Elementary functions of float and double without branches, so that loops over them vectorize.
//
// Included once in the namespace of each instruction set, after includes.hpp; no include guard.
// No function needs an instruction beyond SSE2's: exponents are read and made with magic numbers
// (adding 1.5 * 2^m rounds to an integer, which then stands in the low bits), and shifts are
// logical ones. NaN gives NaN, and overflow and underflow give what the C library gives.
//
// The polynomials are near-minimax, by benchmarks/coefficients.py.

namespace math {

template <class T>
struct Real;

template <>
struct Real<float> {
    typedef uint32_t Bits;
    static constexpr int mantissa = 23;
    static constexpr float magic = 0x1.8p23f;
    static constexpr Bits one = 0x3f800000u, root_half = 0x3f3504f3u, sign = 0x80000000u;
    static constexpr Bits half = 0xfffff000u;     // the upper half of a mantissa
    static constexpr float bias = 0x1p23f + 127;  // of an exponent made a float
    static constexpr float ln2_high = 0x1.62e4p-1f, ln2_low = 0x1.7f7d1cp-20f;
    static constexpr float exp_low = -104.0f, exp_high = 89.0f;  // e^x is 0, infinite
    static constexpr float one_low = -20.0f;                     // 1 + e^x is 1
    static constexpr float square_high = 10.1875f;               // e^(-x^2) is 0
};

template <>
struct Real<double> {
    typedef uint64_t Bits;
    static constexpr int mantissa = 52;
    static constexpr double magic = 0x1.8p52;
    static constexpr Bits one = 0x3ff0000000000000u, root_half = 0x3fe6a09e667f3bcdu;
    static constexpr Bits sign = 0x8000000000000000u;
    static constexpr Bits half = 0xfffffffff8000000u;
    static constexpr double bias = 0x1p52 + 1023;
    static constexpr double ln2_high = 0x1.62e42fefa38p-1, ln2_low = 0x1.ef35793c7673p-45;
    static constexpr double exp_low = -746.0, exp_high = 710.0;
    static constexpr double one_low = -40.0;
    static constexpr double square_high = 27.3125;
};

template <class T>
SKLMLP_INLINE typename Real<T>::Bits bits(T x) {
    typename Real<T>::Bits u;
    __builtin_memcpy(&u, &x, sizeof u);
    return u;
}
template <class T>
SKLMLP_INLINE T from_bits(typename Real<T>::Bits u) {
    T x;
    __builtin_memcpy(&x, &u, sizeof x);
    return x;
}

// Magnitude and sign by their bits; comparisons are such that NaN stays NaN.
template <class T>
SKLMLP_INLINE T abs(T x) {
    return from_bits<T>(bits(x) & ~Real<T>::sign);
}
template <class T>
SKLMLP_INLINE T copysign(T x, T sign) {
    return from_bits<T>((bits(x) & ~Real<T>::sign) | (bits(sign) & Real<T>::sign));
}
template <class T>
SKLMLP_INLINE T at_least(T x, T low) {
    return x < low ? low : x;
}
template <class T>
SKLMLP_INLINE T at_most(T x, T high) {
    return x > high ? high : x;
}
template <class T>
SKLMLP_INLINE T clip(T x, T low, T high) {
    return at_most(at_least(x, low), high);
}

// Horner's rule: c0 + c1 x + c2 x^2 + ...
template <class T>
SKLMLP_INLINE T poly(T, double c) {
    return T(c);
}
template <class T, class... More>
SKLMLP_INLINE T poly(T x, double c, More... more) {
    return T(c) + x * poly(x, more...);
}

// (e^r - 1 - r) / r^2 for |r| <= ln(2) / 2.
SKLMLP_INLINE float exp_remainder(float r) {
    return poly(r, 0.50000000135387298866, 0.16666666681704215043, 0.041666464197405692315,
                0.0083333108446478625642, 0.0013933730715792082502, 0.00019891080463998842039);
}
SKLMLP_INLINE double exp_remainder(double r) {
    return poly(r, 0.5, 0.1666666666666667103, 0.041666666666669783, 0.0083333333333260831202,
                0.0013888888888883711167, 0.00019841269875002278793, 0.0000248015873256774619,
                2.7557255170000887438e-6, 2.7557273478718580474e-7, 2.5105312729622101787e-8,
                2.09147553258932022e-9);
}

// e^x = (1 + tail) * first * second with powers of two: two, for results may be denormal.
template <class T>
struct Exponential {
    T tail, first, second, inverse;
};

// Cody & Waite 1980, ch. 6: x = n ln(2) + r, ln(2) in two parts; `low` is added to the remainder.
template <class T>
SKLMLP_INLINE Exponential<T> exponential(T x, T low) {
    typedef Real<T> R;
    const T log2e = T(1.4426950408889634074);
    const T whole = x * log2e + R::magic, part = x * (log2e / 2) + R::magic;
    const T n = whole - R::magic;
    const T r = ((x - n * R::ln2_high) - n * R::ln2_low) + low;
    const auto second = (bits(whole) - bits(part)) << R::mantissa;
    Exponential<T> e;
    e.tail = r + r * r * exp_remainder(r);
    e.first = from_bits<T>((bits(part) << R::mantissa) + R::one);
    e.second = from_bits<T>(R::one + second);
    e.inverse = from_bits<T>(R::one - second);
    return e;
}

template <class T>
SKLMLP_INLINE T value(Exponential<T> e) {
    return (e.first + e.first * e.tail) * e.second;
}
template <class T>
SKLMLP_INLINE T minus_one(Exponential<T> e) {
    return (e.first * e.tail + (e.first - e.inverse)) * e.second;
}

template <class T>
SKLMLP_INLINE T exp(T x) {
    return value(exponential(clip(x, Real<T>::exp_low, Real<T>::exp_high), T(0)));
}

template <class T>
SKLMLP_INLINE T expm1(T x) {
    x = clip(x, Real<T>::one_low, Real<T>::exp_high);
    return copysign(minus_one(exponential(x, T(0))), x);
}

// ((log(1 + f) - log(1 - f)) / f - 2) / f^2 as a function of f^2, up to (sqrt(2) - 1)^2 / 2^2 ...
SKLMLP_INLINE float log_remainder(float z) {
    return poly(z, 0.66666666554353338635, 0.40000121957356454939, 0.28550807482021785105,
                0.23330829986501943877);
}
SKLMLP_INLINE double log_remainder(double z) {
    return poly(z, 0.66666666666666666464, 0.40000000000000878956, 0.28571428570802403844,
                0.22222222391987729554, 0.18181795610878991715, 0.15386241293736656322,
                0.13268730539048787509, 0.13087071580539488565);
}
// ... and up to 1 / 9.
SKLMLP_INLINE float log1p_remainder(float z) {
    return poly(z, 0.66666667320527415131, 0.39999706331929395374, 0.28592357994313326297,
                0.21706575800754034877, 0.23224329224530133841);
}
SKLMLP_INLINE double log1p_remainder(double z) {
    return poly(z, 0.66666666666666666661, 0.40000000000000015478, 0.28571428571421943297,
                0.22222222223331986847, 0.18181818086005655271, 0.15384620253804169048,
                0.13333176949138021643, 0.11767997767243459807, 0.10480399234340855902,
                0.099420248967091775312, 0.063341108512135225445, 0.15231262620301416187);
}

// x = 2^k (1 + f), sqrt(1/2) <= 1 + f < sqrt(2); with s = f / (2 + f) then
// log(1 + f) = log((1 + s) / (1 - s)) = f - f^2 / 2 + s (f^2 / 2 + s^2 R(s^2)): Tang 1990.
// That of a normal x > 0, less k0 ln(2).
template <class T>
SKLMLP_INLINE T log_normal(T x, T k0 = T(0)) {
    typedef Real<T> R;
    const auto u = bits(x) + (R::one - R::root_half);
    const auto fraction = (typename R::Bits(1) << R::mantissa) - 1;
    const T two_m = T(typename R::Bits(1) << R::mantissa);
    const T k = from_bits<T>((u >> R::mantissa) | bits(two_m)) - R::bias - k0;
    const T f = from_bits<T>((u & fraction) + R::root_half) - 1;
    const T s = f / (2 + f), z = s * s, half_square = T(0.5) * f * f;
    const T tail = s * (half_square + z * log_remainder(z)) + k * R::ln2_low;
    return k * R::ln2_high - ((half_square - tail) - f);
}

template <class T>
SKLMLP_INLINE T log(T x) {
    typedef std::numeric_limits<T> Limits;
    const bool tiny = x < Limits::min();
    T y = log_normal(tiny ? x * T(0x1p54) : x, tiny ? T(54) : T(0));
    y = x == 0 ? -Limits::infinity() : y;
    y = x < 0 ? Limits::quiet_NaN() : y;
    return x <= Limits::max() ? y : x;  // infinity and NaN
}

// log(1 + x) for 0 <= x <= 1.
template <class T>
SKLMLP_INLINE T log1p_unit(T x) {
    const T s = x / (2 + x), z = s * s;
    return 2 * s + s * z * log1p_remainder(z);
}

// x^y of a normal x > 0; the relative error grows with |y log(x)|.
template <class T>
SKLMLP_INLINE T power(T x, T y) {
    return exp(y * log_normal(x));
}

// What rounding takes from 1 + x is added to first order.
template <class T>
SKLMLP_INLINE T log1p(T x) {
    const T u = 1 + x;
    const T lost = (x - (u - 1)) / u;
    const T known = u > 0 && u < Real<T>::magic * 4 ? lost : T(0);
    return copysign(log(u) + known, x);
}

template <class T>
SKLMLP_INLINE T tanh(T x) {
    const T e = minus_one(exponential(at_least(-2 * abs(x), Real<T>::one_low), T(0)));
    return copysign(e / (2 + e), x);
}

template <class T>
SKLMLP_INLINE T sigmoid(T x) {
    const T e = exp(-abs(x));
    return (x < 0 ? e : T(1)) / (1 + e);
}

// log(1 + e^x)
template <class T>
SKLMLP_INLINE T softplus(T x) {
    return (x > 0 ? x : T(0)) + log1p_unit(exp(-abs(x)));
}

template <class T>
SKLMLP_INLINE T log_sigmoid(T x) {
    return (x < 0 ? x : T(0)) - log1p_unit(exp(-abs(x)));
}

// e^(t^2) erfc(t) for 0 <= t <= 27: v = 1 / (t + K) times a polynomial in w, which is linear in
// t / (t + K) and lies in [-1, 1]; Shepherd & Laframboise 1981 take (t - K) / (t + K).
SKLMLP_INLINE float erfc_scaled(float t) {
    const float v = 1 / (t + 3);
    return v * poly(1 - 2.5940594059405940803f * (t * v), 1.3113393504133422719,
                    0.93188174993792255437, 0.50185755609713036754, 0.19864084759917858352,
                    0.052272379567736595958, 0.0058720584517615315865, -0.001375165804390366423,
                    -0.00054449561130823277373, 0.000023570141802584711816,
                    0.000032154067590690047907);
}
SKLMLP_INLINE double erfc_scaled(double t) {
    const double v = 1 / (t + 4);
    return v * poly(1 - 2.2909090909090909091 * (t * v), 1.2336693816306282822,
                    1.0493955751986046494, 0.77369429635288005281, 0.49260631478507654228,
                    0.2682582666417985871, 0.12264282447736064005, 0.045424315280219222695,
                    0.012605967339227150832, 0.0020392625428164423248, -0.00013301699965369602908,
                    -0.00017842486291284051701, -0.000034968548367888443031,
                    6.406738594688677268e-6, 4.0904774541982148379e-6, 8.1277050691112701697e-8,
                    -3.6215716717029216822e-7, -4.4966059996134190529e-8, 3.174116106220846213e-8,
                    6.29272027993668565e-9, -2.8050753099382801466e-9, -6.6487570000662565179e-10,
                    1.8369676165616564536e-10, 4.4823355565091383345e-11);
}

// e^(-c t^2) for 0 <= c t^2 <= square_high^2: of t the upper half is squared without rounding.
// (Were the exponent clipped instead, GCC would compute all of this for each of the bounds too.)
template <class T>
SKLMLP_INLINE T exp_square(T t, T c) {
    const T upper = from_bits<T>(bits(t) & Real<T>::half);
    return value(exponential(-c * upper * upper, -c * (t - upper) * (t + upper)));
}

// erf(x) / x for x^2 <= 0.75^2.
SKLMLP_INLINE float erf_remainder(float z) {
    return poly(z, 1.128379165578751682, -0.37612619469437669841, 0.11283386538414481846,
                -0.026835114568607178926, 0.0051153321125277470801, -0.00067564795686511358411);
}
SKLMLP_INLINE double erf_remainder(double z) {
    return poly(z, 1.1283791670955125731, -0.37612638903183716922, 0.11283791670952596061,
                -0.026866170644428484084, 0.0052239776154205386702, -0.00085483261887597524966,
                0.00012055289567541700653, -0.000014924196305569476465, 1.643068417973957223e-6,
                -1.5940066854646106954e-7, 1.1472499701041857824e-8);
}

template <class T>
SKLMLP_INLINE T erf(T x) {
    const T t = at_most(abs(x), Real<T>::square_high);
    const T far = copysign(1 - exp_square(t, T(1)) * erfc_scaled(t), x);
    return t < T(0.75) ? x * erf_remainder(x * x) : far;
}

// The normal distribution function, and its density times sqrt(2 pi).
template <class T>
struct Normal {
    T cdf, kernel;
};

template <class T>
SKLMLP_INLINE Normal<T> normal(T x) {
    const T root = T(0.70710678118654752440);  // sqrt(1 / 2)
    const T t = at_most(abs(x), Real<T>::square_high / root);
    Normal<T> result;
    result.kernel = exp_square(t, T(0.5));
    const T tail = T(0.5) * result.kernel * erfc_scaled(t * root);
    result.cdf = x < 0 ? tail : 1 - tail;
    return result;
}

}  // namespace math
