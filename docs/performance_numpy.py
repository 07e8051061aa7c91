"""The products of one iteration in NumPy: the yardstick of docs/performance.md, run by hand.

    OPENBLAS_NUM_THREADS=2 python3 docs/performance_numpy.py 4000 10000

One iteration of message passing under a spiked Wigner matrix with one layer of aspect 2 needs
Y v, W x and W^T g. This times these three products alone, medians of single runs, and nothing of
what stands between them. With SciPy there, Y v is also timed as a symmetric product that reads
one triangle.
"""

import statistics
import sys
import time

import numpy as np


def median(work, rounds=15):
    work()
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return 1e3 * statistics.median(times)


for p in map(int, sys.argv[1:] or ["4000"]):
    rng = np.random.default_rng(17)
    for kind in (np.float64, np.float32):
        y = rng.standard_normal((p, p), dtype=kind)
        y += y.T
        w = rng.standard_normal((p, p // 2), dtype=kind)
        v = rng.standard_normal(p, dtype=kind)
        x = rng.standard_normal(p // 2, dtype=kind)
        name = np.dtype(kind).name
        full = median(lambda: (y @ v, w @ x, w.T @ v))
        print(f"p = {p}, {name}: Y v, W x, W^T g: {full:.2f} ms", end="")
        try:
            from scipy.linalg.blas import dsymv, ssymv

            symv = dsymv if kind is np.float64 else ssymv
            lower = np.asfortranarray(y)
            half = median(lambda: (symv(1, lower, v, lower=1), w @ x, w.T @ v))
            print(f"; with a symmetric product: {half:.2f} ms", end="")
        except ImportError:
            pass
        print(flush=True)
