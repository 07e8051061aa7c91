"""High-precision tables for the scalar special functions (needs mpmath).

    python3 scalar_tables.py tables    writes scalar_*.csv next to this file
    python3 scalar_tables.py rust      prints the coefficients compiled into special.rs
    python3 scalar_tables.py lanes     prints the coefficients compiled into lanes.rs

Arguments are doubles, printed so that they read back exactly; values carry 25 digits and
are computed with 80, so that the cancellations of the definitions cost nothing.
"""
import os
import sys
from mpmath import mp, mpf, besseli, erfc, sqrt, exp, log, log1p, cosh, pi, nstr, cos

mp.dps = 80
# Scale of the variable, equal pieces of it, degrees of the polynomials on each.
SPECIAL = (mpf(4), 16, (10, 10))
LANES = (mpf("3.5"), 1, (26, 28))


def ndtr(x):
    return erfc(-x / sqrt(mpf(2))) / 2


def hazard(t):
    """phi(t) / Phi(-t)."""
    return exp(-t * t / 2) / sqrt(2 * pi) / ndtr(-t)


def truncated(u):
    r = hazard(-u)
    return u + r, 1 - r * (u + r)


def coefficients(c, pieces, k, which, degree):
    """Monomial coefficients, on piece k, of mean (t + c) or of variance (t + c)^2."""
    n = degree + 1
    nodes = [cos(pi * (2 * i + 1) / (2 * n)) for i in range(n)]
    scaled = []
    for s in nodes:
        y = (k + (s + 1) / 2) / pieces
        t = c * (1 - y) / y
        scaled.append(truncated(-t)[which] * (t + c) ** (which + 1))
    chebyshev = [[mpf(1)], [mpf(0), mpf(1)]]
    for j in range(2, n):
        a = [mpf(0)] + [2 * x for x in chebyshev[-1]]
        for i, x in enumerate(chebyshev[-2]):
            a[i] -= x
        chebyshev.append(a)
    total = [mpf(0)] * n
    for j in range(n):
        x = mpf(2) / n * sum(scaled[i] * cos(pi * j * (2 * i + 1) / (2 * n)) for i in range(n))
        if j == 0:
            x /= 2
        for i, w in enumerate(chebyshev[j]):
            total[i] += x * w
    return total


def rust(c, pieces, degrees):
    for which, (name, degree) in enumerate(zip(("MEAN", "VARIANCE"), degrees)):
        print(f"const {name}: [[f64; {degree + 1}]; {pieces}] = [")
        for k in range(pieces):
            numbers = coefficients(c, pieces, k, which, degree)
            print("    [" + ", ".join(repr(float(x)) for x in numbers) + "],")
        print("];")


def line(extreme):
    """Doubles over the whole line: dense around 0, geometric towards both ends."""
    grid = [0.0]
    grid += [0.0625 * k + 0.0009 * (k % 7) for k in range(1, 161)]
    grid += [10.0 * (extreme / 10.0) ** (k / 60.0) for k in range(1, 61)]
    grid += [10.0 ** (-k / 2.0) * 0.73 for k in range(2, 41)]
    return sorted({s * x for x in grid for s in (1.0, -1.0)})


def place(name):
    return os.path.join(os.path.dirname(os.path.abspath(__file__)), f"scalar_{name}.csv")


def write(name, columns, rows, note):
    with open(place(name), "w", newline="\n") as out:
        out.write("# made by scalar_tables.py: mpmath, 80 digits of working precision, 25 printed\n")
        out.write(f"# {note}\n")
        out.write(columns + "\n")
        for row in rows:
            out.write(",".join([repr(row[0])] + [nstr(v, 25, strip_zeros=False) for v in row[1:]]) + "\n")


def tables():
    tail = line(1e9)
    moderate = line(36.0)
    rows = []
    for x in tail:
        # Phi by its continued tail ratio where exp(-x^2/2) leaves every range.
        z = mpf(x)
        if x < -60:
            value = -z * z / 2 - log(sqrt(2 * pi)) - log(-z + truncated_mean_far(-z))
        elif x > 60:
            continue
        else:
            value = log(ndtr(z)) if x < 0 else log1p(-ndtr(-z))
        rows.append((x, value))
    write("log_ndtr", "x,log_ndtr", rows, "ln Phi(x); below -60 through ln(phi/R), R by continued fraction")
    write("ndtr", "x,ndtr", [(x, ndtr(mpf(x))) for x in moderate], "Phi(x)")
    rows = []
    for x in tail:
        z = mpf(x)
        if x > 36:
            continue
        if x < -60:
            mean = truncated_mean_far(-z)
            rows.append((x, -z + mean, mean, truncated_variance_far(-z)))
        else:
            mean, variance = truncated(z)
            rows.append((x, hazard(-z), mean, variance))
    write(
        "truncated_normal",
        "u,inverse_mills,mean,variance",
        rows,
        "R = phi/Phi, u + R, 1 - R (u + R); below -60 by continued fraction",
    )
    write(
        "logistic",
        "x,softplus,logistic,log_cosh,sech2",
        [(x, log1p(exp(mpf(x))), 1 / (1 + exp(-mpf(x))), log(cosh(mpf(x))), 1 / cosh(mpf(x)) ** 2) for x in line(350.0)],
        "ln(1 + e^x), 1/(1 + e^-x), ln cosh x, 1/cosh^2 x",
    )
    with open(place("scaled"), "w", newline="\n") as out:
        out.write("# made by scalar_tables.py: mpmath, 80 digits of working precision, 20 printed\n")
        out.write("# exp(x^2) erfc(x), exp(-|x|) I0(x), exp(-|x|) I1(x), I1(x)/I0(x)\n")
        out.write("x,erfcx,i0e,i1e,ratio\n")
        sizes = [10.0 ** (k / 4) * 0.73 for k in range(-40, 37)] + [0.5 * k + 0.1 for k in range(70)]
        for x in sorted({s * x for x in sizes + [0.0] for s in (1.0, -1.0) if s * x > -26}):
            z = mpf(x)
            near = besseli(0, z) * exp(-abs(z)), besseli(1, z) * exp(-abs(z))
            tail = exp(z * z) * erfc(z) if z < 60 else 1 / (sqrt(pi) * fraction_erfc(z))
            row = [tail, *near, near[1] / near[0]]
            out.write(",".join([repr(x)] + [nstr(v, 20) for v in row]) + "\n")
    mp.dps = 250
    with open(place("interval"), "w", newline="\n") as out:
        out.write("# made by scalar_tables.py: mpmath, 250 digits of working precision, 20 printed\n")
        out.write("lower,upper,log_mass,mean,above,below,variance,deficit,third,fourth\n")
        for lower, upper in intervals():
            values = interval(lower, upper)
            out.write(",".join([repr(lower), repr(upper)] + [nstr(v, 20) for v in values]) + "\n")
    mp.dps = 80


def intervals():
    """Intervals of every width, around the origin and in the tails, on a coarse grid."""
    ends = [0.0, 0.03, 0.7, 1.6, 4.5, 20.0, 300.0, 1e4, 1e8]
    widths = [1e-8, 1e-3, 0.2, 1.1, 2.9, 3.1, 5.3, 12.0, 80.0, 1e6]
    for k, lower in enumerate(ends):
        for width in widths[k % 2 :: 2] if k else widths:
            yield lower, lower + width
            if lower:
                # Across the origin, and the mirror image of a tail.
                yield -lower, -lower + width
                yield -lower - width, -lower
    for lower in (-300.0, -4.5, -0.7, 0.0, 0.7, 4.5, 300.0, 1e8):
        yield lower, float("inf")
        yield float("-inf"), lower


def interval(lower, upper):
    """ln mass, mean, distances to the ends, variance, 1 - variance, third and fourth moment."""
    lower, upper = mpf(lower), mpf(upper)
    if lower + upper < 0:
        log_mass, mean, above, below, variance, deficit, third, fourth = interval(-upper, -lower)
        return log_mass, -mean, below, above, variance, deficit, -third, fourth
    # Everything relative to the density at `lower`, so that no digit leaves the range.
    tail = lambda x: (1 / (x + truncated_mean_far(x)) if x > 60 else 1 / hazard(x))
    gone = mpf(0) if upper == mp.inf else exp(-(upper - lower) * (upper + lower) / 2)
    mass = tail(lower) - (gone * tail(upper) if gone else 0)
    power = lambda k: lower**k - (gone * upper**k if gone else 0)
    m = [mpf(1), power(0) / mass]
    for k in (2, 3, 4):
        m.append((k - 1) * m[k - 2] + power(k - 1) / mass)
    mean, second = m[1], m[2] - m[1] ** 2
    third = m[3] - 3 * m[1] * m[2] + 2 * m[1] ** 3
    fourth = m[4] - 4 * m[1] * m[3] + 6 * m[1] ** 2 * m[2] - 3 * m[1] ** 4
    log_mass = log(mass) - lower**2 / 2 - log(sqrt(2 * pi))
    return log_mass, mean, mean - lower, upper - mean, second, 1 - second, third, fourth


def fraction(t, first, terms=400):
    """K = t + first/(t + (first + 1)/(t + ...))."""
    k = t
    for j in range(terms, first - 1, -1):
        k = t + j / k
    return k


def fraction_erfc(z):
    """z + (1/2)/(z + 1/(z + (3/2)/(z + ...)))."""
    k = z
    for j in range(200, 0, -1):
        k = z + mpf(j) / 2 / k
    return k


def truncated_mean_far(t):
    return 1 / fraction(t, 2)


def truncated_variance_far(t):
    mp.dps += 60
    mean = 1 / fraction(t, 2)
    value = 1 - (t + mean) * mean
    mp.dps -= 60
    return value


if __name__ == "__main__":
    {
        "tables": tables,
        "rust": lambda: rust(*SPECIAL),
        "lanes": lambda: rust(*LANES),
    }[sys.argv[1]]()
