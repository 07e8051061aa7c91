"""Edges of the bulk of linearised message passing behind layers: writes lamp_edges.csv, of outer edges, and
lamp_gaps.csv, of inner ones.

A second route, which shares nothing with the crates. The covariance of the prior is K_0 = 1,
K_l = a_l + b_l W K_{l-1} W'/k, with b = kappa^2 and a what is left of the variance of the layer, moments of
the activations by their closed forms (sign, relu) or by mpmath's quadrature (tanh). With g the resolvent
trace of W K_{l-1} W'/k at w and alpha = p/k,

    w = int t/(1 + alpha g t) dK_{l-1}(t) - 1/g,    int t/(1 + h t) dK = (1 - G_K(-1/h)/h)/h,

so that, counted from the innermost resolvent g_1, everything outside is explicit: g_l = -1/(alpha w_l).
The matrix is K (N - rho)/Delta with N of Wigner noise, or K (c S - rho_u beta)/Delta with
c = rho_u/(Delta + rho_u rho) and S = Delta xi' xi/p of n = beta p rows. Its bulk satisfies, in units of
1/Delta, m = (1/p) sum_i t_i/(z + C(m) t_i), C(m) = rho - Delta m or
rho_u beta - c Delta beta/(1 - c Delta m), hence z = -C(m) w with m C(m) = 1 + w G_K(w): a parametric curve
z(g_1), or z(m). From z = +-infinity, where m and g_1 vanish, it is followed to its first stationary point,
an edge.

A gap is entered from a point that is given: from far up in the complex plane (m, g_1) is followed down to it,
by Newton's method; where the point is outside the support both numbers end up real. From there the curve is
followed to the stationary points on both sides. Between an atom and a part of the bulk only one of
them is an edge.

Run with --check: the edges against eigenvalues of drawn matrices of 2000 rows.
"""

import sys

import mpmath as mp

mp.mp.dps = 30


def layer(name):
    """Second moment, squared linear gain and squared mean for a field of variance 1."""
    if name == "linear":
        return mp.mpf(1), mp.mpf(1), mp.mpf(0)
    if name == "sign":
        return mp.mpf(1), 2 / mp.pi, mp.mpf(0)
    if name == "relu":
        return mp.mpf(1) / 2, mp.mpf(1) / 4, 1 / (2 * mp.pi)
    if name == "tanh":
        average = lambda f: mp.quad(lambda h: f(h) * mp.npdf(h), mp.linspace(-14, 14, 29))
        return average(lambda h: mp.tanh(h) ** 2), average(lambda h: mp.sech(h) ** 2) ** 2, mp.mpf(0)
    raise ValueError(name)


class Bulk:
    def __init__(self, layers, matrix, noise, aspect=None, left=None):
        # From the latent outwards: (alpha, a, b); fields have variance 1 here.
        self.layers = []
        rho = mp.mpf(1)
        for name, alpha in layers:
            if rho != 1:
                raise ValueError("fields of variance 1 only")
            rho, gain, mean = layer(name)
            self.layers.append((mp.mpf(alpha), rho - gain - mean, gain))
        self.rho, self.noise = rho, mp.mpf(noise)
        self.matrix = matrix
        if matrix == "wishart":
            self.aspect, self.left = mp.mpf(aspect), mp.mpf(left)
            self.weight = self.left / (self.noise + self.left * rho)

    def resolvent(self, g):
        """w and G_K(w) of the outermost covariance, from the innermost resolvent."""
        alpha, a, b = self.layers[0]
        w = 1 / (1 + alpha * g) - 1 / g
        for l in range(len(self.layers)):
            alpha, a, b = self.layers[l]
            # From M to K = a + b M.
            w, trace = a + b * w, g / b
            if l + 1 < len(self.layers):
                outer = self.layers[l + 1][0]
                g = -1 / (outer * w)
                h = outer * g
                w = (1 - trace / h) / h - 1 / g
        return w, trace

    def response(self, m):
        """C(m) and its derivative."""
        if self.matrix == "wigner":
            return self.rho - self.noise * m, -self.noise
        q, beta = self.weight * self.noise, self.aspect
        return self.left * beta - q * beta / (1 - q * m), -q * q * beta / (1 - q * m) ** 2

    def product(self, g):
        """w G_K(w) + 1."""
        w, trace = self.resolvent(g)
        return 1 + w * trace

    def turn(self, m, g):
        """In proportion to dz/dm along the curve."""
        c, slope = self.response(m)
        w = lambda g: self.resolvent(g)[0]
        return slope * w(g) * mp.diff(self.product, g) + c * mp.diff(w, g) * (c + m * slope)

    def edge(self, sign):
        """The edge that is met from m = 0 in this direction."""
        # Far away m C(m) is small like g.
        m, g = sign * mp.mpf("1e-4"), None
        goal = lambda m: m * self.response(m)[0]
        guess = goal(m) * mp.mpf(10) ** -3
        for _ in range(40):
            # product(g) grows like g.
            guess *= goal(m) / self.product(guess)
        g, first = guess, None
        while True:
            g = mp.findroot(lambda g: self.product(g) - goal(m), g, tol=1e-30)
            now = mp.sign(self.turn(m, g))
            first = first or now
            if now != first:
                break
            before = (m, g)
            m *= mp.mpf("1.04")
        middle = [(x + y) / 2 for x, y in zip(before, (m, g))]
        both = lambda m, g: [self.product(g) - goal(m), self.turn(m, g)]
        m, g = mp.findroot(both, middle, tol=1e-40)
        return -self.response(m)[0] * self.resolvent(g)[0] / self.noise

    def place(self, m, g):
        """z, in units of 1."""
        return -self.response(m)[0] * self.resolvent(g)[0] / self.noise

    def at(self, point):
        """(m, g) at a real point outside the support."""
        goal = lambda m: m * self.response(m)[0]
        m = mp.mpc(0, "-1e-4")
        g = goal(m) * mp.mpf(10) ** -3
        for _ in range(60):
            g *= goal(m) / self.product(g)
        start = self.place(m, g)
        steps = 80
        for i in range(1, steps + 1):
            # Downwards by constant factors, the last ones linearly.
            share = mp.mpf(i) / steps
            height = start.imag * (mp.mpf("1e-9") ** share) if i < steps else 0
            z = mp.mpc(point + (start.real - point) * (1 - share) ** 4, height)
            both = lambda m, g: [self.product(g) - goal(m), self.place(m, g) - z]
            m, g = mp.findroot(both, (m, g), tol=1e-25 if i == steps else 1e-8, maxsteps=50)
        if max(abs(mp.im(m)), abs(mp.im(g))) > 1e-12:
            raise ValueError(f"{point} is inside the support: {m} {g}")
        return mp.re(m), mp.re(g)

    def beyond(self, point, sign):
        """The edge next to a point outside the support, in this direction."""
        goal = lambda m: m * self.response(m)[0]
        m, g = self.at(point)
        along = lambda m, g: (mp.diff(self.product, g), mp.diff(goal, m))
        length = mp.mpf("0.03")
        tangent = along(m, g)
        ahead = self.place(m + tangent[0] * mp.mpf("1e-9"), g + tangent[1] * mp.mpf("1e-9"))
        ahead = sign * mp.sign(ahead - self.place(m, g))
        first = mp.sign(self.turn(m, g))
        before = (m, g)
        while mp.sign(self.turn(m, g)) == first:
            before, tangent = (m, g), along(m, g)
            norm = ahead * length * min(1, abs(m) + abs(g)) / mp.hypot(*tangent)
            guess = (m + norm * tangent[0], g + norm * tangent[1])
            across = lambda m, g: tangent[0] * (m - guess[0]) + tangent[1] * (g - guess[1])
            both = lambda m, g: [self.product(g) - goal(m), across(m, g)]
            m, g = mp.findroot(both, guess, tol=1e-25)
        middle = [(x + y) / 2 for x, y in zip(before, (m, g))]
        both = lambda m, g: [self.product(g) - goal(m), self.turn(m, g)]
        m, g = mp.findroot(both, middle, tol=1e-36)
        return self.place(m, g)


CASES = [
    ([("linear", 2)], "wigner", "0.6", None, None),
    ([("sign", 2)], "wigner", "0.6", None, None),
    ([("sign", "0.5")], "wigner", "1.5", None, None),
    ([("relu", 2)], "wigner", "0.2", None, None),
    ([("tanh", 3)], "wigner", "0.25", None, None),
    ([("sign", 2), ("sign", "0.7")], "wigner", "0.8", None, None),
    ([("sign", 1), ("sign", 2), ("sign", "1.5")], "wigner", "0.8", None, None),
    ([("linear", 2), ("sign", 2)], "wigner", "1.2", None, None),
    ([("sign", 2)], "wishart", "0.8", "2", "1"),
    ([("sign", 2), ("sign", "0.7")], "wishart", "0.5", "0.6", "2"),
    ([("relu", 1)], "wishart", "0.3", "1.5", "1"),
]

# With points of each gap, from below; two where an atom lies between them.
GAPS = [
    ([("sign", 10)], "wigner", "0.1", None, None, [["-15"]]),
    ([("tanh", 10)], "wigner", "0.05", None, None, [["-5"]]),
    ([("relu", 12)], "wigner", "0.05", None, None, [["-8"]]),
    ([("sign", 3), ("sign", 6)], "wigner", "0.1", None, None, [["-29"], ["-7"]]),
    ([("sign", 1)], "wishart", "0.3", "0.2", "1", [["-0.243"]]),
    ([("sign", 2)], "wishart", "0.1", "0.3", "1", [["-1.2", "-1.085"]]),
    ([("relu", 6)], "wishart", "0.2", "0.5", "1", [["-0.5", "-0.224"]]),
    ([("linear", "0.5"), ("sign", 4)], "wishart", "0.3", "0.2", "1", [["-0.28", "-0.2"]]),
]


def check(case):
    import numpy as np

    layers, matrix, noise, aspect, left = case
    p, rng = 2000, np.random.default_rng(1)
    sizes = [p]
    for _, alpha in reversed(layers):
        sizes.insert(0, int(round(sizes[0] / float(alpha))))
    k, rho = np.eye(sizes[0]), 1.0
    for (name, _), columns, rows in zip(layers, sizes, sizes[1:]):
        rho, gain, mean = map(float, layer(name))
        w = rng.standard_normal((rows, columns))
        k = (rho - gain - mean) * np.eye(rows) + gain * w @ k @ w.T / columns
    root = np.linalg.cholesky(k + 1e-13 * np.eye(p))
    d = float(noise)
    if matrix == "wigner":
        x = rng.standard_normal((p, p))
        inner = np.sqrt(d / p) * (x + x.T) / np.sqrt(2) - rho * np.eye(p)
    else:
        n, left = int(round(float(aspect) * p)), float(left)
        x = rng.standard_normal((n, p))
        c = left / (d + left * rho)
        inner = c * d * x.T @ x / p - left * n / p * np.eye(p)
    return np.linalg.eigvalsh(root.T @ inner @ root) / d


def cells(layers, matrix, noise, aspect, left):
    return [" ".join(f"{name}:{alpha}" for name, alpha in layers), matrix, noise, aspect or "", left or ""]


if __name__ == "__main__":
    drawn = "--check" in sys.argv
    rows = ["# made by lamp_edges.py: stationary points of a parametric resolvent",
            "layers,matrix,noise,aspect,left,lower,upper"]
    for case in CASES:
        bulk = Bulk(*case)
        edges = sorted([bulk.edge(-1), bulk.edge(1)])
        rows.append(",".join(cells(*case) + [mp.nstr(e, 20) for e in edges]))
        if drawn:
            values = check(case)
            print(rows[-1], "drawn", values[0], values[-1], flush=True)
    gaps = ["# made by lamp_edges.py: stationary points of a parametric resolvent",
            "layers,matrix,noise,aspect,left,edges of gaps"]
    for *case, points in GAPS:
        bulk = Bulk(*case)
        edges = [bulk.beyond(mp.mpf(z), sign) for gap in points for z, sign in ((gap[0], -1), (gap[-1], 1))]
        gaps.append(",".join(cells(*case) + [" ".join(mp.nstr(e, 20) for e in edges)]))
        if drawn:
            values = check(case)
            around = [(values[values < e + 1e-9].max(), values[values > e - 1e-9].min()) for e in map(float, edges)]
            print(gaps[-1], "drawn", around, flush=True)
    if not drawn:
        for name, table in [("lamp_edges.csv", rows), ("lamp_gaps.csv", gaps)]:
            open(name, "w").write("\n".join(table) + "\n")
            print("\n".join(table))
