"""Second route to fixed points of the spiked Wigner model: plain iteration, plain trapezoids.

Run `python3 spiked_wigner.py > spiked_wigner.csv` (NumPy and SciPy). It shares nothing with the
library: no panels, no shooting, and the posterior of a layer from its two branches in their textbook
form, double precision. The trapezoid rule converges faster than any power on these analytic
integrands; every average is computed on two grids and the difference printed as the uncertainty.
"""
import numpy as np
from scipy.special import log_ndtr

def grid(n, half):
    x = np.linspace(-half, half, n)
    return x, np.exp(-x * x / 2) / np.sqrt(2 * np.pi) * (x[1] - x[0])

def branch(slope, offset, side, B, A, w, V):
    # h on one half line, x = offset + slope h, tilted by exp(Bx - Ax^2/2)
    D = 1 + A * slope**2 * V
    Bp = B - A * offset
    m = (w + V * slope * Bp) / D
    s = np.sqrt(V / D)
    u = side * m / s
    logz = (B * offset - A * offset**2 / 2 - w * w / (2 * V) + m * m / (2 * s * s)
            - np.log(D) / 2 + log_ndtr(u))
    R = np.exp(-u * u / 2 - np.log(2 * np.pi) / 2 - log_ndtr(u))
    return logz, side * s * (u + R), offset, slope

LAYER = {"sign": [(0, -1.0, -1), (0, 1.0, 1)], "relu": [(0.0, 0.0, -1), (1.0, 0.0, 1)]}
RHO = {"sign": lambda r: 1.0, "relu": lambda r: r / 2}

def averages(kind, A, q, rho, n):
    V = rho - q
    eta, we = grid(n, 9.0)
    nb = 2 * n
    top = 9.0 + np.sqrt(A) * (1 if kind == "sign" else 9.0 * np.sqrt(rho))
    b, _ = grid(nb, top)
    wb = np.exp(-b * b / 2) / np.sqrt(2 * np.pi) * (b[1] - b[0])
    w = np.sqrt(q) * eta[:, None]
    B = np.sqrt(A) * b[None, :]
    parts = [branch(s, o, side, B, A, w, V) for s, o, side in LAYER[kind]]
    L = np.logaddexp(parts[0][0], parts[1][0])
    P = [np.exp(p[0] - L) for p in parts]
    v = sum(pr * (o + s * m) for pr, (_, m, o, s) in zip(P, parts))
    g = (sum(pr * m for pr, (_, m, _, _) in zip(P, parts)) - w) / V
    weight = np.exp(L) * wb[None, :] * we[:, None]
    assert abs(weight.sum() - 1) < 1e-9, (kind, A, q, weight.sum() - 1)
    return (weight * v * v).sum(), (weight * g * g).sum()

def solve(kinds, aspects, delta, n):
    # state: overlaps of latent, hidden layers, signal; schedule from the signal down
    rho = [1.0]
    for kind in kinds:
        rho.append(RHO[kind](rho[-1]))
    L = len(kinds)
    q = [0.3 * r for r in rho]
    for step in range(3000):
        A = q[L] / delta
        new = list(q)
        for l in range(L, 0, -1):
            new[l], g2 = averages(kinds[l - 1], A, q[l - 1], rho[l - 1], n)
            A = aspects[l - 1] * g2
        new[0] = A / (1 + A)
        change = max(abs(a - b) for a, b in zip(q, new))
        q = new
        if change < 1e-14:
            break
    return rho[L] - q[L]

print("# made by spiked_wigner.py: plain iteration, trapezoid rules on two grids, double precision")
print("layers,aspects,noise,mmse,uncertainty")
cases = [(("sign",), (1.0,)), (("sign",), (4.0,)), (("relu",), (1.0,)), (("relu",), (4.0,)),
         (("relu", "relu"), (2.0, 1.5)), (("sign", "relu"), (2.0, 1.5)), (("relu", "sign"), (0.8, 2.0))]
for kinds, aspects in cases:
    for delta in ((0.3, 0.8) if len(kinds) > 1 else (0.2, 0.5, 1.0)):
        a, b = solve(kinds, aspects, delta, 301), solve(kinds, aspects, delta, 401)
        print(f"{'-'.join(kinds)},{'-'.join(map(str, aspects))},{delta},{b:.13e},{abs(a - b):.1e}", flush=True)
