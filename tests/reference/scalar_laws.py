"""Posteriors of scalar laws and layers behind a message exp(-a x^2/2 + b x) (needs mpmath).

    python3 scalar_laws.py    writes scalar_laws.csv and scalar_channels.csv next to this file

Straight from the definitions: sums over atoms, and closed forms of exp(s x - t x^2/2) on an interval
through differences of error functions, with so many digits that their cancellation costs nothing.
"""
import os
from mpmath import mp, mpf, erf, erfc, exp, inf, log, nstr, pi, sqrt

mp.dps = 700
# Stands for a precision of zero: its terms are below every printed digit.
NONE = mpf(10) ** -60


def interval(s, t, lo, hi):
    """Integrals of x^k exp(s x - t x^2/2), k = 0, 1, 2, over (lo, hi)."""
    t = max(t, NONE)
    m = s / t
    top = exp(s * m / 2)
    root = sqrt(t / 2)
    u, v = [root * (x - m) for x in (lo, hi)]
    # Never a difference of two numbers that are equal to all digits.
    tails = erfc(u) - erfc(v) if u > 0 else erfc(-v) - erfc(-u) if v < 0 else erf(v) - erf(u)
    i0 = top * sqrt(pi / (2 * t)) * tails
    edge = lambda x, k: mpf(0) if abs(x) == inf else x**k * exp(s * x - t * x * x / 2)
    i1 = m * i0 - (edge(hi, 0) - edge(lo, 0)) / t
    i2 = m * i1 + (i0 - edge(hi, 1) + edge(lo, 1)) / t
    return i0, i1, i2


def posterior(law, a, b):
    sums = [mpf(0)] * 3
    for kind, w, *p in law:
        if kind == "atom":
            e = w * exp(b * p[0] - a * p[0] ** 2 / 2)
            parts = (e, e * p[0], e * p[0] ** 2)
        else:
            s, t, lo, hi = p
            parts = [w * x for x in interval(s + b, t + a, lo, hi)]
        sums = [x + y for x, y in zip(sums, parts)]
    z, m, q = sums
    return log(z), m / z, q / z - (m / z) ** 2


def normal(w, m, v):
    return ("part", w * exp(-m * m / (2 * v)) / sqrt(2 * pi * v), m / v, 1 / v, -inf, inf)


f = mpf
LAWS = {
    "binary 0.75": [("atom", f(3) / 4, f(1)), ("atom", f(1) / 4, f(-1))],
    "bernoulli 0.0625": [("atom", f(15) / 16, f(0)), ("atom", f(1) / 16, f(1))],
    "rademacher-bernoulli 0.25": [("atom", f(3) / 4, f(0)), ("atom", f(1) / 8, f(1)), ("atom", f(1) / 8, f(-1))],
    "mixture": [
        ("atom", f(1) / 2, f(-1)),
        ("atom", f(1) / 8, f(3)),
        normal(f(1) / 4, f(2), f(1) / 64),
        normal(f(1) / 8, f(-1) / 2, f(4)),
    ],
    "exponential 0.5": [("part", f(2), f(-2), f(0), f(0), inf)],
    "laplace 0.5": [("part", f(1), f(-2), f(0), f(0), inf), ("part", f(1), f(2), f(0), -inf, f(0))],
    "half-normal 2": [("part", 1 / sqrt(2 * pi), f(0), f(1) / 4, f(0), inf)],
    "uniform -0.5 2": [("part", f(2) / 5, f(0), f(0), -f(1) / 2, f(2))],
}
# Signals around and outside the laws, and noises of both signs.
POINTS = [(x, z) for x in (-0.5, 0.0, 0.75, 1.0, 2.5) for z in (-2.25, 0.125, 3.5)]


# Pieces (lower, upper, offset, slope).
ACTIVATIONS = {
    "relu": [(-inf, 0, 0, 0), (0, inf, 0, 1)],
    "abs": [(-inf, 0, 0, -1), (0, inf, 0, 1)],
    "sign": [(-inf, 0, -1, 0), (0, inf, 1, 0)],
    "leaky-relu 0.125": [(-inf, 0, 0, f(1) / 8), (0, inf, 0, 1)],
    "hard-tanh": [(-inf, -1, -1, 0), (-1, 1, 0, 1), (1, inf, 1, 0)],
    "door 0.75": [(-inf, -f(3) / 4, 1, 0), (-f(3) / 4, f(3) / 4, -1, 0), (f(3) / 4, inf, 1, 0)],
    "pieces": [(-inf, -2, 1, f(1) / 4), (-2, f(1) / 2, f(1) / 2, -2), (f(1) / 2, 1, 3, 0), (1, inf, 1, 2)],
}


def channel(pieces, a, b, omega, v):
    """ln Z, mean and variance of x, (E h - omega)/V, 1/V - Var h/V^2."""
    z = h1 = h2 = x1 = x2 = mpf(0)
    for lo, hi, o, s in pieces:
        o, s = mpf(o), mpf(s)
        top = exp(b * o - a * o * o / 2 - omega * omega / (2 * v)) / sqrt(2 * pi * v)
        i0, i1, i2 = [top * i for i in interval(omega / v + s * (b - a * o), 1 / v + a * s * s, mpf(lo), mpf(hi))]
        z, h1, h2 = z + i0, h1 + i1, h2 + i2
        x1 += o * i0 + s * i1
        x2 += o * o * i0 + 2 * o * s * i1 + s * s * i2
    h = h1 / z
    return log(z), x1 / z, x2 / z - (x1 / z) ** 2, (h - omega) / v, 1 / v - (h2 / z - h * h) / (v * v)


SMOOTH = {
    "tanh": mp.tanh,
    "sigmoid": lambda h: 1 / (1 + exp(-h)),
    "erf": erf,
}


def smooth_channel(phi, a, b, omega, v):
    """The same by the trapezoidal rule around the largest exponent, ten times too fine."""
    mp.dps = 40
    exponent = lambda h: b * phi(h) - a * phi(h) ** 2 / 2 - (h - omega) ** 2 / (2 * v)
    # A coarse scan in doubles finds where the exponent lives; the rule then covers all of it.
    import math

    rough = {"tanh": math.tanh, "sigmoid": lambda h: 1 / (1 + math.exp(-h)), "erf": math.erf}
    name = next(n for n, f in SMOOTH.items() if f is phi)
    value = lambda h: float(b) * rough[name](h) - float(a) * rough[name](h) ** 2 / 2 - (h - float(omega)) ** 2 / (2 * float(v))
    root = float(v) ** 0.5
    grid = [float(omega) + 12 * root * (2 * k / 40000 - 1) for k in range(40001)]
    values = [value(h) for h in grid]
    top = max(values)
    inside = [h for h, e in zip(grid, values) if e > top - 80]
    lo, hi = min(inside) - root * 6e-4, max(inside) + root * 6e-4
    n = 700
    step = mpf(hi - lo) / n
    z = h1 = h2 = x1 = x2 = mpf(0)
    centre = mpf(grid[values.index(top)])
    x0 = phi(centre)
    for k in range(n + 1):
        h = mpf(lo) + k * step
        x = phi(h)
        w = exp(exponent(h) - top)
        z, h1, h2 = z + w, h1 + w * (h - centre), h2 + w * (h - centre) ** 2
        x1, x2 = x1 + w * (x - x0), x2 + w * (x - x0) ** 2
    h = h1 / z
    log_z = log(z * step / sqrt(2 * pi * v)) + mpf(top)
    mp.dps = 700
    return log_z, x0 + x1 / z, x2 / z - (x1 / z) ** 2, (centre + h - omega) / v, 1 / v - (h2 / z - h * h) / (v * v)


def main():
    table("scalar_laws.csv", "law,a,b,log_partition,mean,variance", laws())
    table("scalar_channels.csv", "activation,a,b,omega,v,log_partition,mean,variance,score,curvature", channels())


def table(name, columns, rows):
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), name)
    with open(path, "w", newline="\n") as out:
        out.write("# made by scalar_laws.py: mpmath, 700 digits of working precision, 20 printed\n")
        out.write(columns + "\n")
        for name, arguments, values in rows:
            out.write(",".join([name] + [repr(x) for x in arguments] + [nstr(v, 20) for v in values]) + "\n")


def laws():
    for name, law in LAWS.items():
        grid = [(0.0, 0.0)]
        for k, a in enumerate((1e-6, 1e-3, 0.1, 1.0, 10.0, 1e3, 1e6, 1e8)):
            # A few points of the list at each precision, all of them over the laws.
            grid += [(a, a * x + a**0.5 * z) for x, z in POINTS[k % 3 :: 3]]
        for a, b in grid:
            yield name, (a, b), posterior(law, mpf(a), mpf(b))


def channels():
    fields = [(-3.0, 0.5), (0.25, 2.0), (1.0, 1e-6), (0.999, 1e-6), (2.5, 100.0), (-0.625, 0.01)]
    for name, pieces in ACTIVATIONS.items():
        for k, a in enumerate((0.0, 1e-6, 1e-2, 1.0, 30.0, 1e3, 1e6, 1e8)):
            for j, (omega, v) in enumerate(fields):
                # Fields from the model: a value that the layer takes at a typical h, and noise.
                h = omega + (-1.5, 0.5, 2.0)[(j + k) % 3] * v**0.5
                x = next(o + s * h for lo, hi, o, s in pieces if h < hi)
                b = float(a * x + a**0.5 * (0.25, -2.0, 3.0, 1.0)[(2 * j + k) % 4])
                yield name, (a, b, omega, v), channel(pieces, mpf(a), mpf(b), mpf(omega), mpf(v))
    fields = [(-1.0, 0.5), (0.25, 2.0), (0.5, 1e-4), (1.5, 0.01), (-2.0, 8.0)]
    for name, phi in SMOOTH.items():
        for k, a in enumerate((0.0, 1e-3, 1.0, 30.0, 1e3, 1e5)):
            for j, (omega, v) in enumerate(fields):
                h = omega + (-1.5, 0.5, 2.0)[(j + k) % 3] * v**0.5
                b = float(a * phi(h) + a**0.5 * (0.25, -2.0, 3.0, 1.0)[(2 * j + k) % 4])
                yield name, (a, b, omega, v), smooth_channel(phi, mpf(a), mpf(b), mpf(omega), mpf(v))


if __name__ == "__main__":
    main()
