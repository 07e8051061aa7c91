"""Densities and edges of composed laws by polynomial roots, 50 digits: the table composed.csv.

A law is a point mass at 1 followed by layers (aspect a, shift c, scale d): K -> c + d W K W'/k.
The Stieltjes transform s of W K W'/k solves  z = -1/s + E t/(1 + a t s),  t of the law of K.
Eliminated from the inside: with m the transform at the start, z is a ratio of polynomials in m.
Nothing here is shared with the program: its coordinate, its equations for gaps and its path from
far above the axis do not appear; the physical root is chosen by positivity of every transform.

Usage: python3 composed.py > composed.csv
"""

import mpmath as mp

mp.mp.dps = 50
K2 = 2 / mp.pi
CHAINS = {
    "two": [(mp.mpf("0.5"), 0, 1), (2, 0, 1)],
    "wide": [(mp.mpf("0.1"), 0, 1), (mp.mpf("0.3"), 0, 1)],
    "tall": [(2, 0, 1), (3, 0, 1)],
    "sign": [(8, 1 - K2, K2)],
    "sign, sign": [(4, 1 - K2, K2), (mp.mpf("0.05"), 1 - K2, K2)],
    "split": [(1000, 1 - K2, K2), (mp.mpf("0.05"), 0, 1)],
    "three": [(2, 1 - K2, K2), (mp.mpf("1.5"), 0, 1), (mp.mpf("0.5"), 1 - K2, K2)],
}


def add(p, q):
    n = max(len(p), len(q))
    p, q = [0] * (n - len(p)) + p, [0] * (n - len(q)) + q
    return [x + y for x, y in zip(p, q)]


def mul(p, q):
    out = [mp.mpf(0)] * (len(p) + len(q) - 1)
    for i, x in enumerate(p):
        for j, y in enumerate(q):
            out[i + j] += x * y
    return out


def times(p, x):
    return [x * y for y in p]


def derivative(p):
    n = len(p) - 1
    return [(n - i) * x for i, x in enumerate(p[:-1])] or [mp.mpf(0)]


def curve(layers):
    """Triples (z, s) as ratios of polynomials in m, at every level."""
    # Point mass at 1: s = 1/(1 - z), so z = 1 - 1/m.
    one, m = [mp.mpf(1)], [mp.mpf(1), mp.mpf(0)]
    z, s = (add(m, [mp.mpf(-1)]), m), (m, one)
    levels = [(z, s)]
    for a, c, d in layers:
        # E t/(1 + a t s') = u (1 - u E 1/(u + t)) with u = 1/(a s'); z_inner = -u.
        u = (times(z[0], -1), z[1])
        s_new = (times(u[1], 1 / mp.mpf(a)), u[0])
        # z' = -1/s' + u (1 - u s(z_inner)) = -a u + u - u² s.
        first = (times(u[0], 1 - mp.mpf(a)), u[1])
        second = (mul(mul(u[0], u[0]), s[0]), mul(mul(u[1], u[1]), s[1]))
        num = add(mul(first[0], second[1]), times(mul(second[0], first[1]), -1))
        z_new = (num, mul(first[1], second[1]))
        z = (add(times(z_new[1], c), times(z_new[0], d)), z_new[1])
        s = (times(s_new[0], 1 / mp.mpf(d)), s_new[1])
        z, s = reduced(z), reduced(s)
        levels.append((z, s))
    return levels


def reduced(ratio):
    """Common roots removed."""
    num, den = [strip(list(p)) for p in ratio]
    for root in roots(den):
        while len(den) > 1 and len(num) > 1 and abs(at(num, root)) < mp.mpf(10) ** -25 * size(num, root):
            if abs(at(den, root)) > mp.mpf(10) ** -25 * size(den, root):
                break
            num, den = divide(num, root), divide(den, root)
    return num, den


def strip(p):
    while len(p) > 1 and abs(p[0]) < mp.mpf(10) ** -40:
        p = p[1:]
    return p


def at(p, x):
    return mp.polyval(p, x)


def size(p, x):
    return mp.polyval([abs(c) for c in p], abs(x)) + mp.mpf(10) ** -40


def divide(p, root):
    out = [p[0]]
    for c in p[1:-1]:
        out.append(c + root * out[-1])
    return out


def roots(p):
    p = strip(list(p))
    if len(p) == 1:
        return []
    zero = 0
    while abs(p[-1]) < mp.mpf(10) ** -40:
        p, zero = p[:-1], zero + 1
    found = mp.polyroots(p, maxsteps=2000, extraprec=400) if len(p) > 1 else []
    return [mp.mpc(r) for r in found] + [mp.mpc(0)] * zero


def density(levels, x):
    z, s = levels[-1]
    equation = add(z[0], times(z[1], -x))
    best = mp.mpf(0)
    for m in roots(equation):
        values = []
        for zl, sl in levels:
            den = at(zl[1], m), at(sl[1], m)
            if min(abs(d) for d in den) < mp.mpf(10) ** -30:
                break
            values.append((at(zl[0], m) / den[0], at(sl[0], m) / den[1]))
        else:
            inner = all(zz.imag > 0 for zz, _ in values[:-1])
            if inner and all(ss.imag > mp.mpf(10) ** -20 for _, ss in values):
                best = max(best, values[-1][1].imag / mp.pi)
    return best


def critical(levels):
    z = levels[-1][0]
    num = add(mul(derivative(z[0]), z[1]), times(mul(z[0], derivative(z[1])), -1))
    values = []
    for m in roots(num):
        if abs(m.imag) < mp.mpf(10) ** -15 and abs(at(z[1], m)) > mp.mpf(10) ** -15:
            values.append((at(z[0], m) / at(z[1], m)).real)
    return sorted(values)


def main():
    print("# written by composed.py; kind is edge (a critical value) or density; 50 digits inside")
    print("law,kind,x,value")
    for name, layers in CHAINS.items():
        levels = curve(layers)
        # Edges are the critical values with density on one side only.
        edges = []
        for x in critical(levels):
            h = mp.mpf(10) ** -9 * max(1, abs(x))
            if (density(levels, x - h) > 0) != (density(levels, x + h) > 0):
                edges.append(x)
        for x in edges:
            print(f'"{name}",edge,{mp.nstr(x, 17)},0')
        for a, b in zip(edges[::2], edges[1::2]):
            for f in ["0.003", "0.1", "0.37", "0.8", "0.997"]:
                x = mp.mpf(mp.nstr(a + (b - a) * mp.mpf(f), 17))
                # The program reads x as a double.
                x = mp.mpf(float(x))
                print(f'"{name}",density,{mp.nstr(x, 20)},{mp.nstr(density(levels, x), 17)}')


main()
