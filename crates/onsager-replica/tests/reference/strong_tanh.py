"""Averages behind x = tanh h, h ~ N(0, V), nothing known of h (q = 0), under messages of precision a.

Prints E Var h, E Var x and E g² for the table of `tests/average.rs`. By panels in y = √a - β and, for
each, in h; images are counted from the limit of tanh, so that saturated fields keep their digits.
"""

import numpy as np
from numpy.polynomial.legendre import leggauss

X, W = leggauss(16)


def averages(a, v):
    r = np.sqrt(a)
    near = np.linspace(-12, 30, 120)
    far = 30 * np.exp(np.linspace(0, np.log(r / 30), int(40 * np.log(r / 30)) + 1))
    edges = np.concatenate([near, far[1:]])
    limit = 12 * np.sqrt(v)
    field = lambda t: -0.5 * np.log(t / (2 * r - t))  # where r (1 - tanh h) = t
    total = np.zeros(4)
    for low, high in zip(edges[:-1], edges[1:]):
        for x, w in zip(X, W):
            y, weight = 0.5 * (low + high) + 0.5 * (high - low) * x, 0.5 * (high - low) * w
            first = field(min(y + 12, 2 * r - 1e-9))
            last = min(field(y - 12) if y > 12 else limit, limit)
            if last <= first:
                continue
            e = np.linspace(first, last, max(8, int((last - first) / 0.25) + 1) + 1)
            half = 0.5 * (e[1:] - e[:-1])[:, None]
            h = (0.5 * (e[1:] + e[:-1])[:, None] + half * X).ravel()
            image = r * 2 * np.exp(-2 * h) / (1 + np.exp(-2 * h))
            p = (half * W).ravel() * np.exp(-0.5 * (y - image) ** 2 - 0.5 * h**2 / v)
            p /= 2 * np.pi * np.sqrt(v)
            z = p.sum()
            if z == 0:
                continue
            mean, image_mean = (p * h).sum() / z, (p * image).sum() / z
            var, image_var = (p * (h - mean) ** 2).sum() / z, (p * (image - image_mean) ** 2).sum() / z
            total += weight * z * np.array([1, var, image_var / a, (mean / v) ** 2])
    return 2 * total  # both signs


for a, v in [(1e10, 4.0), (1e14, 4.0), (1e14, 100.0), (1e17, 100.0)]:
    mass, field, output, score = averages(a, v)
    assert abs(mass - 1) < 1e-10 and abs(v * score - (1 - field / v)) < 1e-10
    print(f"({a:e}, {v}, {field!r}, {output!r}, {score!r}),")
