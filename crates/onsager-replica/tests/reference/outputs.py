"""Averages behind discrete outputs (needs numpy, scipy).

    python3 outputs.py    writes outputs.csv next to this file

By trapezoidal rules on fine uniform grids over the known part of the field and the field given it, and sums
over all counts; scores from the posterior mean. The uncertainty is the difference of two grids: the kink of a
rectified mean costs digits.
"""
import os
import numpy as np
from scipy.special import gammaln, log_expit, xlogy


def uniform(reach, n):
    x = np.linspace(-reach, reach, n)
    w = np.exp(-x * x / 2) * (x[1] - x[0]) / np.sqrt(2 * np.pi)
    return x, w


def log_law(name, h):
    """ln P(y|h) for all outputs that matter: rows are outputs."""
    if name == "logistic":
        return np.stack([log_expit(h), log_expit(-h)])
    mean = np.maximum(h, 0) if name == "poisson" else np.exp(h)
    y = np.arange(int(mean.max() + 12 * np.sqrt(mean.max()) + 30))[:, None]
    return xlogy(y, mean) - mean - gammaln(y + 1)


def output(name, q, v, fine):
    """E g^2, E Var h, E ln P(y|omega, V)."""
    eta, we = uniform(8.5, int(100 * fine))
    total = np.zeros(3)
    for e, w in zip(eta, we):
        omega = np.sqrt(q) * e
        n = int((8000 if name == "poisson" else 300) * fine)
        z, wz = uniform(8.5, n)
        h = omega + np.sqrt(v) * z
        p = np.exp(log_law(name, h))
        p = p * wz
        mass = p.sum(1)
        keep = mass > 1e-300
        p, mass = p[keep], mass[keep]
        m1 = (p @ z) / mass
        m2 = (p @ (z * z)) / mass
        total += w * np.array([(mass * m1**2).sum() / v, v * (mass * (m2 - m1**2)).sum(), (mass * np.log(mass)).sum()])
    return total


POINTS = {
    "logistic": [(0.3, 0.7), (0.9, 0.1), (1.2, 0.3), (0.0, 1.5)],
    "poisson": [(0.3, 0.7), (0.9, 0.1), (1.2, 0.3), (0.0, 1.5)],
    # Large fields count too much for a table.
    "poisson-log": [(0.3, 0.7), (0.9, 0.1), (0.0, 0.4)],
}
if __name__ == "__main__":
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "outputs.csv")
    with open(path, "w") as out:
        print("# made by outputs.py: trapezoidal rules on two grids, double precision", file=out)
        print("output,q,v,score,field_mmse,potential,uncertainty", file=out)
        for name, points in POINTS.items():
            for q, v in points:
                one, two = output(name, q, v, 1), output(name, q, v, 1.5)
                off = abs(one - two).max()
                print(f"{name},{q},{v},{two[0]:.14e},{two[1]:.14e},{two[2]:.14e},{off:.1e}", file=out, flush=True)
