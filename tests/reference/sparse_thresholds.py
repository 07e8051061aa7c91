"""Thresholds of sparse spikes in a spiked Wigner matrix: writes sparse_thresholds.csv.

A second route, which shares nothing with the crates: a component of independent law is one scalar
channel b = A x + sqrt(A) n, every fixed point is a point of Delta(A) = q(A)/A, and

    q' = E[M2^2],    q'' = E[M3^2 - 2 M2^3]        (posterior central moments M2, M3),

so that spinodals are roots of A q' - q, which has a double root at the cusp where they merge, and equal
areas, int (q - Delta A) dA = 0 between two fixed points, give Delta_IT. Averages are trapezoidal sums of
analytic Gaussian integrands, exact to rounding; roots by Brent's method.

Kinds: special sparsities (fold, dyn, it: where the fold appears and where Delta_dyn and Delta_IT cross
rho^2) and, at given sparsities, alg, dyn, it over rho^2.
"""

import numpy as np
from scipy.integrate import quad
from scipy.optimize import brentq

GRID = np.linspace(-1, 1, 2001)


def moments(law, rho, a):
    """q, q', q'' of the channel at ratio a; parts are (weight, mean, variance) of the law."""
    parts = {
        "gauss-bernoulli": [(1 - rho, 0.0, 0.0), (rho, 0.0, 1.0)],
        "rademacher-bernoulli": [(1 - rho, 0.0, 0.0), (rho / 2, 1.0, 0.0), (rho / 2, -1.0, 0.0)],
        "bernoulli": [(1 - rho, 0.0, 0.0), (rho, 1.0, 0.0)],
    }[law]
    total = np.zeros(3)
    for weight, mean, variance in parts:
        width = np.sqrt(a + a * a * variance)
        z = 12.0 * GRID
        b = a * mean + width * z
        density = weight * np.exp(-z * z / 2) / np.sqrt(2 * np.pi) * (z[1] - z[0])
        logs, centres, spreads = [], [], []
        for w, m, v in parts:
            d = 1 + a * v
            logs.append(np.log(w) - a * m * m / (2 * d) + (b * b * v + 2 * b * m) / (2 * d) - np.log(d) / 2)
            centres.append((m + b * v) / d)
            spreads.append(v / d)
        logs = np.array(logs)
        odds = np.exp(logs - logs.max(axis=0))
        odds /= odds.sum(axis=0)
        x = sum(o * c for o, c in zip(odds, centres))
        m2 = sum(o * (s + (c - x) ** 2) for o, c, s in zip(odds, centres, spreads))
        m3 = sum(o * ((c - x) ** 3 + 3 * (c - x) * s) for o, c, s in zip(odds, centres, spreads))
        total += [(density * y).sum() for y in (x * x, m2 * m2, m3 * m3 - 2 * m2**3)]
    return total


def noise(law, rho, a):
    return moments(law, rho, a)[0] / a


def slope(law, rho, a):
    q, dq, _ = moments(law, rho, a)
    return a * dq / q - 1


def spinodals(law, rho):
    """Ratios at the local minimum and the local maximum of the noise, or None."""
    grid = np.exp(np.linspace(np.log(1e-7), np.log(1e3), 1200))
    values = [slope(law, rho, a) for a in grid]
    turns = [i for i in range(len(grid) - 1) if values[i] * values[i + 1] < 0]
    # Next to zero overlap the slope is only rounding.
    turns = [i for i in turns if max(abs(values[i]), abs(values[i + 1])) > 1e-11]
    if len(turns) < 2:
        return None
    return [brentq(lambda a: slope(law, rho, a), grid[i], grid[i + 1], xtol=1e-300, rtol=1e-14) for i in turns[-2:]]


def transition(law, rho):
    """Noise of equal areas between the two stable branches."""
    low, high = spinodals(law, rho)
    bottom, top = noise(law, rho, low), noise(law, rho, high)
    centred = law != "bernoulli"

    def area(delta):
        upper = brentq(lambda a: noise(law, rho, a) - delta, high, 1e9, xtol=1e-300, rtol=1e-14)
        if centred and delta >= rho * rho:
            lower = 0.0
        else:
            start = 1e-12 if centred else rho * rho / (4 * top)
            lower = brentq(lambda a: noise(law, rho, a) - delta, start, low, xtol=1e-300, rtol=1e-14)
        return quad(lambda a: moments(law, rho, a)[0] - delta * a if a > 0 else 0.0, lower, upper,
                    points=[low, high], limit=400, epsabs=1e-15, epsrel=1e-13)[0]

    return brentq(area, bottom * (1 + 1e-9), top * (1 - 1e-9), xtol=1e-300, rtol=1e-12)


def cusp(law, low, high):
    """The largest sparsity with a fold: the largest slope between zero overlap and full recovery is 0."""

    def least(rho):
        grid = np.exp(np.linspace(np.log(1e-2), np.log(1e2), 60))

        def d(a):
            q, dq, ddq = moments(law, rho, a)
            return dq / q + a * ddq / q - a * dq * dq / (q * q)

        bends = [d(a) for a in grid]
        best = -1.0
        for i in range(len(grid) - 1):
            if bends[i] > 0 > bends[i + 1]:
                at = brentq(d, grid[i], grid[i + 1], xtol=1e-300, rtol=1e-14)
                best = max(best, slope(law, rho, at))
        return best

    return brentq(least, low, high, xtol=1e-300, rtol=1e-13)


def main():
    rows = []
    for law, top in [("gauss-bernoulli", (0.2, 0.3)), ("rademacher-bernoulli", (0.08, 0.1)), ("bernoulli", (0.04, 0.042))]:
        fold = cusp(law, *top)
        rows.append((law, fold, "fold", fold))
        if law != "bernoulli":
            below = lambda rho: noise(law, rho, spinodals(law, rho)[1]) / rho**2 - 1
            dyn = brentq(below, 0.5 * fold, 0.9999 * fold, rtol=1e-12)
            it = brentq(lambda rho: transition(law, rho) / rho**2 - 1, 0.8 * fold, 0.95 * fold, rtol=1e-10)
            rows += [(law, dyn, "dyn-at-pca", dyn), (law, it, "it-at-pca", it)]
        for fraction in (0.1, 0.5, 0.9):
            rho = round(fraction * fold, 4)
            low, high = spinodals(law, rho)
            rows.append((law, rho, "alg", noise(law, rho, low) / rho**2))
            rows.append((law, rho, "dyn", noise(law, rho, high) / rho**2))
            rows.append((law, rho, "it", transition(law, rho) / rho**2))
        print(law, rows[-12:], flush=True)
    with open("sparse_thresholds.csv", "w") as out:
        out.write("# made by sparse_thresholds.py: scalar averages by the trapezoidal rule, Brent's method, equal areas\n")
        out.write("law,sparsity,kind,value\n")
        for law, rho, kind, value in rows:
            out.write(f"{law},{rho!r},{kind},{float(value)!r}\n".replace("np.float64(", "").replace(")", ""))


main()
