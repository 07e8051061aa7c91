"""Message passing on spiked Wishart matrices with a sign layer behind either factor: writes
wishart_steps.csv.

A second route to state evolution, which shares nothing with the crates: the algorithm itself on drawn
matrices,

    Y = u x'/sqrt(p) + sqrt(D) xi,    x = sign(W z), u = sign(W' z'),

with D = 0.6, beta = n/p = 1.5, 2 components of x and 3 of u per latent component. The message of the
current estimate of x passes through the layer of u, from its field down to its latent; the new
estimate of u then passes through the layer of x. x starts at an estimate of given overlap with the truth
and given norm that is independent of the matrices, the rest at prior means.

Columns: overlap with the truth and norm of the start, iteration, then means over runs and their standard
errors of overlaps and claimed variances of x and u, and of the overlaps of their latents.
"""

import numpy as np
from scipy.special import ndtr

NOISE, BETA, ASPECT_X, ASPECT_U = 0.6, 1.5, 2, 3
SIZE, RUNS, STEPS = 1000, 40, 4


def sign_posterior(omega, v, b):
    """Mean and variance of sign(h), score and minus its mean slope; h ~ N(omega, v)."""
    up, down = ndtr(omega / np.sqrt(v)), ndtr(-omega / np.sqrt(v))
    large = np.abs(b)
    plus, minus = np.exp(b - large), np.exp(-b - large)
    z = up * plus + down * minus
    mean = (up * plus - down * minus) / z
    density = np.exp(-omega**2 / (2 * v)) / np.sqrt(2 * np.pi * v)
    score = density * (plus - minus) / z
    return mean, np.mean(1 - mean**2), score, np.mean(omega / v * score + score**2)


class Factor:
    def __init__(self, rows, columns, rng):
        self.w = rng.standard_normal((rows, columns)) / np.sqrt(columns)
        self.latent = rng.standard_normal(columns)
        self.truth = np.sign(self.w @ self.latent)
        self.z, self.v, self.score = np.zeros(columns), 1.0, np.zeros(rows)

    def step(self, b):
        omega = self.w @ self.z - self.v * self.score
        mean, variance, self.score, slope = sign_posterior(omega, self.v, b)
        rows, columns = self.w.shape
        a = rows / columns * slope
        self.z = (self.w.T @ self.score + a * self.z) / (1 + a)
        self.v = 1 / (1 + a)
        return mean, variance

    def overlaps(self, mean):
        return abs(mean @ self.truth) / len(mean), abs(self.z @ self.latent) / len(self.z)


def run(truth, norm, seed):
    rng = np.random.default_rng(seed)
    p, n = SIZE, int(BETA * SIZE)
    x, u = Factor(p, p // ASPECT_X, rng), Factor(n, n // ASPECT_U, rng)
    y = np.outer(u.truth, x.truth) / np.sqrt(p) + np.sqrt(NOISE) * rng.standard_normal((n, p))
    at_x = truth * x.truth + np.sqrt(norm - truth**2) * rng.standard_normal(p)
    # The start is independent of the matrices: no Onsager term.
    at_u, var_x = np.zeros(n), 0.0
    found = []
    for _ in range(STEPS):
        at_u, var_u = u.step((y @ at_x / np.sqrt(p) - var_x * at_u) / NOISE)
        at_x, var_x = x.step((y.T @ at_u / np.sqrt(p) - BETA * var_u * at_x) / NOISE)
        (q_x, q_z), (q_u, q_w) = x.overlaps(at_x), u.overlaps(at_u)
        found.append([q_x, var_x, q_u, var_u, q_z, q_w])
    return found


if __name__ == "__main__":
    print("# made by wishart_steps.py: runs of message passing on 1500 x 1000 matrices")
    print("truth,norm,iteration,x,claimed x,u,claimed u,latent of x,latent of u,and six standard errors")
    for truth, norm in [(0.3, 0.3), (0.2, 0.3)]:
        runs = np.array([run(truth, norm, seed) for seed in range(RUNS)])
        means, errors = runs.mean(0), runs.std(0, ddof=1) / np.sqrt(RUNS)
        for step in range(STEPS):
            numbers = [f"{value:.5f}" for value in (*means[step], *errors[step])]
            print(",".join([str(truth), str(norm), str(step + 1), *numbers]))
