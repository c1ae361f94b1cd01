"""Print the polynomials of sklmlp/native/src/vector_math.hpp, with the errors that they leave.

    pip install mpmath
    python benchmarks/coefficients.py

Each interpolates its function at Chebyshev's nodes, which leaves hardly more than the best
polynomial of its degree does.
"""

from mpmath import chebyfit, erf, erfc, exp, expm1, log, mp, mpf, nstr, pi, sqrt

mp.dps = 60
TINY = mpf(10) ** -12  # below, the limit stands for the quotient


def exp_remainder(r):
    """(e^r - 1 - r) / r^2"""
    return (expm1(r) - r) / r**2 if abs(r) > TINY else mpf(1) / 2 + r / 6 + r * r / 24


def log_remainder(z):
    """((log(1 + s) - log(1 - s)) / s - 2) / s^2 with s^2 = z"""
    s = sqrt(abs(z))
    return (log((1 + s) / (1 - s)) / s - 2) / z if z > TINY else mpf(2) / 3 + 2 * z / 5


def erf_remainder(z):
    """erf(x) / x with x^2 = z"""
    return erf(sqrt(z)) / sqrt(z) if z > TINY else 2 / sqrt(pi) * (1 - z / 3)


def erfc_scaled(shift, last):
    """e^(t^2) erfc(t) (t + shift), 0 <= t <= last, of w = 1 - slope t / (t + shift) in [-1, 1]"""
    slope = 2 * (last + shift) / last

    def function(w):
        t = shift * (1 - w) / (slope - 1 + w)
        return exp(t * t) * erfc(t) * (t + shift)

    return function, slope


def show(name, function, interval, float_terms, double_terms):
    for kind, terms in (("float", float_terms), ("double", double_terms)):
        if terms:
            coefficients, error = chebyfit(function, interval, terms, error=True)
            print(f"{name}, {kind}: error {nstr(error, 2)}")
            print("   ", ", ".join(nstr(each, 20) for each in reversed(coefficients)))


half_ln2 = log(2) / 2 * mpf("1.001")
show("exp_remainder", exp_remainder, [-half_ln2, half_ln2], 6, 11)
show("log_remainder", log_remainder, [TINY, mpf("0.1716") ** 2], 4, 8)
show("log1p_remainder", log_remainder, [TINY, mpf(1) / 9], 5, 12)
show("erf_remainder", erf_remainder, [TINY, mpf("0.75") ** 2], 6, 11)
for shift, last, terms in ((3, mpf("10.1"), (10, 0)), (4, mpf("27.5"), (0, 23))):
    function, slope = erfc_scaled(shift, last)
    print(f"erfc_scaled: shift {shift}, slope {nstr(slope, 20)}")
    show("erfc_scaled", function, [-1, 1], *terms)
