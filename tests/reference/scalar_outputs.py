"""Posteriors of a Gaussian field behind one output (needs mpmath).

    python3 scalar_outputs.py    writes scalar_outputs.csv next to this file

Straight from the definitions: sums over uniform grids in a variable in which the integrand is analytic and
falls off at both ends (the trapezoidal rule), refined until thirty digits agree. Mean and variance are
ratios of such sums, score and curvature follow from them: (m - omega)/V and 1/V - var/V^2.
"""
import os
from mpmath import mp, mpf, exp, loggamma, log, log1p, nstr, pi, sqrt

mp.dps = 60


def logistic(y, h):
    return -log1p(exp(-y * h)) if y * h > 0 else y * h - log1p(exp(y * h))


def poisson(y, h):
    return (y * log(h) if y else 0) - h - loggamma(y + 1) if h > 0 else (mpf(0) if y == 0 else None)


def poisson_log(y, h):
    return y * h - exp(h) - loggamma(y + 1)


def mode(f, low, high):
    """Maximum of a concave function, by thirds."""
    for _ in range(400):
        a, b = low + (high - low) / 3, high - (high - low) / 3
        if f(a) < f(b):
            low = a
        else:
            high = b
    return (low + high) / 2


def edge(f, top, at, side, limit):
    """Where f has fallen by 160 below its maximum, or the limit."""
    step = mpf(10) ** -9
    while True:
        x = at + side * step
        if limit is not None and side * (x - limit) >= 0:
            return limit
        if f(x) < top - 160:
            return x
        step *= mpf("1.2")


def sums(f, centre, low, high, closed):
    """Integrals of exp(f) (h - centre)^k: tanh-sinh on [low, high], which forgives ends where f is not smooth."""
    previous = None
    for level in range(5, 16):
        step = mpf(1) / 2**level * 4
        total = [mpf(0)] * 3
        k = 0
        half, middle = (high - low) / 2, (high + low) / 2
        n = int(mpf(5) / step)
        for k in range(-n, n + 1):
            t = k * step
            s = pi / 2 * mp.sinh(t)
            # Distance from the nearer end, not as a difference.
            rest = exp(-abs(s)) / mp.cosh(s) * half
            h = low + rest if s < 0 else high - rest
            weight = half * pi / 2 * mp.cosh(t) / mp.cosh(s) ** 2 * step
            value = f(h)
            if value is None:
                continue
            w = weight * exp(value - closed)
            d = h - centre
            total[0] += w
            total[1] += w * d
            total[2] += w * d * d
        if previous and all(abs(a - b) < mpf(10) ** -28 * abs(a) for a, b in zip(total[::2], previous[::2])):
            return total
        previous = total
    raise SystemExit("no convergence")


def row(law, y, omega, v):
    y, omega, v = mpf(y), mpf(omega), mpf(v)
    f = lambda h: None if law(y, h) is None else law(y, h) - (h - omega) ** 2 / (2 * v)
    floor = mpf(0) if law is poisson and y > 0 else None
    inside = lambda h: f(h) if f(h) is not None else mpf(-10) ** 30
    low = omega - 60 * sqrt(v) - abs(omega) - y - 1
    high = omega + 60 * sqrt(v) + abs(omega) + y + v + 1
    top_at = mode(inside, low if floor is None else mpf(10) ** -25, high)
    top = inside(top_at)
    a = edge(inside, top, top_at, -1, floor)
    b = edge(inside, top, top_at, 1, None)
    # A kink of exp(-max(h, 0)) splits the integral, and so do the scales of the other laws.
    cuts = [a] + [x for x in (mpf(-10), mpf(0), mpf(10)) if a < x < b] + [b]
    total = [mpf(0)] * 3
    for c, d in zip(cuts, cuts[1:]):
        total = [x + s for x, s in zip(total, sums(f, top_at, c, d, top))]
    m = total[1] / total[0]
    var = total[2] / total[0] - m * m
    mean = top_at + m
    evidence = log(total[0]) + top - log(2 * pi * v) / 2
    return [evidence, mean, var, (mean - omega) / v, 1 / v - var / v**2]


CASES = []
for omega in ("-30", "-2", "0", "0.5", "8"):
    for v in ("1e-6", "0.1", "1", "30", "1e4"):
        CASES.append(("logistic", logistic, "1", omega, v))
CASES.append(("logistic", logistic, "-1", "0.5", "0.1"))
for y in ("0", "1", "2", "3", "7", "40", "1000"):
    for omega, v in (("-1.5", "0.25"), ("0", "1"), ("0.01", "1e-6"), ("3", "0.01"), ("3", "4"), ("30", "100")):
        CASES.append(("poisson", poisson, y, omega, v))
for y in ("0", "1", "2", "3", "7", "40", "1000"):
    for omega, v in (("-4", "0.25"), ("0", "1"), ("0.5", "1e-6"), ("2", "0.1"), ("1", "9")):
        CASES.append(("poisson-log", poisson_log, y, omega, v))

if __name__ == "__main__":
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "scalar_outputs.csv")
    with open(path, "w") as out:
        print("# made by scalar_outputs.py: mpmath, 60 digits of working precision, 20 printed", file=out)
        print("output,y,omega,v,log_evidence,mean,variance,score,curvature", file=out)
        for name, law, y, omega, v in CASES:
            values = row(law, y, omega, v)
            print(",".join([name, y, omega, v] + [nstr(x, 20, strip_zeros=False) for x in values]), file=out)
