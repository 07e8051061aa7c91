"""Thresholds of generalised linear models by SciPy, for tests/glm.rs.

Independent of the crate: plain trapezoidal sums for the averages over Gaussians, a bounded search
for the maxima of alpha(A) = A / E[g^2](mmse(A)), Brent's method for equal potentials.
"""

import numpy as np
from scipy.optimize import brentq, minimize_scalar
from scipy.special import log_ndtr, ndtr


def gauss(reach=12.0, count=24001):
    x = np.linspace(-reach, reach, count)
    w = np.exp(-x * x / 2) / np.sqrt(2 * np.pi) * (x[1] - x[0])
    return x, w


X, W = gauss()


def abs_score(v, rho=1.0):
    """E[g^2] of y = |h|: (1 - E[h^2 sech^2(h w/V)]/V)/V, with w = sqrt(V) s, h = w + sqrt(V) n."""
    n, wn = gauss(10.0, 3001)
    sd = np.sqrt((rho - v) / v)
    s = np.linspace(0, min(14.0, 12 * sd), 3001)
    ws = 2 * np.exp(-((s / sd) ** 2) / 2) / np.sqrt(2 * np.pi) / sd * (s[1] - s[0])
    ws[0] /= 2
    u = s[:, None] + n[None, :]
    with np.errstate(over="ignore"):
        lost = (u / np.cosh(u * s[:, None])) ** 2
    return (1 - ws @ lost @ wn) / v


def sign_score(v):
    """E[g^2] of y = sign(h), h of variance 1: E[phi(u)^2/(Phi(u) Phi(-u))]/V, u = w/sqrt(V)."""
    u = np.sqrt((1 - v) / v) * X
    log = -u * u - np.log(2 * np.pi) - log_ndtr(u) - log_ndtr(-u)
    return W @ np.exp(log) / v


def sign_potential(v):
    u = np.sqrt((1 - v) / v) * X
    return W @ (2 * ndtr(u) * log_ndtr(u))


def binary_mmse(a):
    return W @ (1 - np.tanh(a + np.sqrt(a) * X) ** 2)


def binary_potential(a):
    return W @ (np.logaddexp(a + np.sqrt(a) * X, -a - np.sqrt(a) * X) - np.log(2)) - a / 2


def sparse_mmse(rho):
    def mmse(a):
        total = 0.0
        for weight, sd in ((rho, np.sqrt(a * a + a)), (1 - rho, np.sqrt(a))):
            b = sd * X
            odds = np.log(rho / (1 - rho)) - np.log1p(a) / 2 + b * b / (2 * (1 + a))
            w = 1 / (1 + np.exp(-odds))
            total += weight * W @ (w / (1 + a) + w * (1 - w) * (b / (1 + a)) ** 2)
        return total

    return mmse


def highest(ratio, low, high):
    found = minimize_scalar(lambda l: -ratio(np.exp(l)), bounds=(np.log(low), np.log(high)),
                            method="bounded", options={"xatol": 1e-7})
    return -found.fun


gaussian = lambda a: 1 / (1 + a)
sparse = sparse_mmse(0.2)
print("phase retrieval, Gaussian  ", highest(lambda a: a / abs_score(gaussian(a)), 2, 20))
print("compressed sensing, 0.2    ", highest(lambda a: a * sparse(a), 2, 100))
print("compressed sensing, binary ", highest(lambda a: a * binary_mmse(a), 0.5, 10))
ratio = lambda a: a / sign_score(binary_mmse(a))
print("binary perceptron, alg     ", highest(ratio, 1, 10))


def lead(l):
    """The uninformed branch against perfect recovery, whose potential is -ln 2."""
    a = np.exp(l)
    v = binary_mmse(a)
    return ratio(a) * sign_potential(v) - a * (1 - v) / 2 + binary_potential(a) + np.log(2)


print("binary perceptron, IT      ", ratio(np.exp(brentq(lead, np.log(0.5), np.log(3.0), xtol=1e-12))))
