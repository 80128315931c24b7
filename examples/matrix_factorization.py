"""Why alternating works: gradient descent on two factors, one at a time.

    python examples/matrix_factorization.py --out runs/matrix_factorization

This package trains one task in each step. The smallest problem that shows what
is good about one part at a time is the factorization of a matrix A, m x n of
rank r, into X (m x d) and Y (n x d) with d >= r, by gradient descent on

    f(X, Y) = 1/2 ||A - X Y'||_F^2

The step. f is not convex in both factors, but quadratic in each of them:

    X <- X + eta (A - X Y') Y          and then, with the new X,
    Y <- Y + eta (A - X Y')' X

What this does to the error E = A - X Y' is exact, there is no remainder:

    E <- E (I - eta Y Y')              and then    E <- (I - eta X X') E

(A step of both at once leaves eta^2 E Y X' E over, which may point anywhere.)
So with s_i the i-th singular value

- the error never grows if eta s_1(X)^2 <= 2 and eta s_1(Y)^2 <= 2: this is the
  step size that is allowed;
- each iteration multiplies it by 1 - eta s_r(X)^2 or less, whatever Y does, if
  eta s_1(X)^2 <= 1 and the columns of X span those of A: linear convergence.

The start. Ward and Kolda make both true from the first step on. With Phi
Gaussian of variance 1/d,

    X_0 = A Phi_1 / (sqrt(eta) C s_1(A)),   Y_0 = sqrt(eta) D s_1(A) Phi_2.

X_0 is a random sketch of A's columns, and eta cancels out of what counts:

    eta s_1(X_0)^2, about ((1 + sqrt(r/d)) / C)^2 at most: 1 or less for C = 2;
    eta s_r(X_0)^2 = (s_r(A Phi_1) / (C s_1(A)))^2, of order (s_r / s_1)^2.

D only has to be small, so that the first error is about A itself: 0.1 here.
While X stays where it is, Y grows to about sqrt(eta) C s_1, so eta s_1 should
be about 1/C or less (a bit more works: X takes a part over). How far X goes
follows from the sum of its steps: its weakest direction grows by a share of
about (eta s_1 C^2 s_1/s_r)^2 / 2.

The theorem: of the order of (s_1/s_r)^2 log(1/eps) iterations suffice, up to a
factor that depends on d and r, with high probability. What to see here:

- small step: X stays, and the theorem is sharp. The rate is what X_0 predicts
  before the first step, and iterations grow like (s_1/s_r)^2;
- best step: X grows in its weak directions, which helps. Iterations grow
  rather like s_1/s_r: the theorem is an upper bound;
- the usual start, X_0 and Y_0 Gaussian: their columns are not those of A, so
  the second point above does not hold. Soon all that is left of the error lies
  outside of A's columns and rows, where nothing of A speeds it up. It needs
  more iterations, although its scale is tuned as well as its step. (Nearly
  always: with m = n = 100, d = 10, s_1/s_r = 32 it won for one seed of three.)

NumPy and float64, on purpose: a step is two lines, no gradient is taken by a
backend, and float32 would end at an error of 1e-7.

Reference: R. Ward and T. G. Kolda, Convergence of Alternating Gradient Descent
for Matrix Factorization, https://arxiv.org/abs/2305.06927. The constants and
how they are derived above are ours.
"""

import argparse
import itertools
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from rich import box
from rich.console import Console
from rich.table import Table

C, D = 2.0, 0.1
TOLERANCE = 1e-8  # of the relative error, ||A - X Y'|| / ||A||
DIVERGED = 1e3
LIMIT = 40_000  # iterations
# Steps in units of 1 / s_1(A), and scales of the Gaussian start.
SMALL_STEP = 0.0005
STEPS = (1.0, 0.5, 0.25, 0.125, 2.0)
SCALES = (0.4, 0.3, 0.6, 1.0, 0.2, 0.1)

SMALL = "Ward-Kolda, small step"
BEST = "Ward-Kolda, best step"
GAUSSIAN = "Gaussian, best of 30"
# Colors that stay apart in print and for the color-blind (Okabe-Ito).
COLORS = {SMALL: "#0072B2", BEST: "#009E73", GAUSSIAN: "#D55E00"}
MARKERS = {SMALL: "o", BEST: "s", GAUSSIAN: "^"}


class Sizes(NamedTuple):
    """A is m x n of rank r, X and Y have d columns; kappas are s_1 / s_r."""

    m: int = 60
    n: int = 40
    r: int = 5
    d: int = 20
    kappas: tuple[float, ...] = (2, 4, 8, 16)


QUICK = Sizes(m=30, n=20, r=3, d=12, kappas=(2, 4, 8))


class Run(NamedTuple):
    """One descent.

    Attributes:
        start: How it started.
        kappa: s_1(A) / s_r(A).
        step: eta in units of 1 / s_1(A).
        errors: Relative errors, before each iteration and at the end.
        predicted: eta s_r(X_0)^2; None where it says nothing about the rate.
    """

    start: str
    kappa: float
    step: float
    errors: np.ndarray
    predicted: float | None

    @property
    def reached(self) -> bool:
        """Whether the tolerance was reached."""
        return bool(self.errors[-1] <= TOLERANCE)

    @property
    def iterations(self) -> int:
        """Iterations taken."""
        return len(self.errors) - 1

    @property
    def rate(self) -> float:
        """Share of the error that an iteration takes away, in the last half."""
        logs = np.log(self.errors[self.iterations // 2 :])
        return 1.0 - float(np.exp(np.polyfit(np.arange(len(logs)), logs, 1)[0]))


# The method -----------------------------------------------------------------


def iterate(A, X, Y, eta) -> tuple[np.ndarray, np.ndarray]:
    """One iteration: X moves, then Y, which already sees the new X."""
    X = X + eta * (A - X @ Y.T) @ Y
    Y = Y + eta * (A - X @ Y.T).T @ X
    return X, Y


def ward_kolda_start(A, d, eta, rng) -> tuple[np.ndarray, np.ndarray]:
    """X_0 large and made of A's columns, Y_0 small."""
    s_1, n = np.linalg.norm(A, 2), A.shape[1]
    X = A @ gaussian(n, d, rng) / (np.sqrt(eta) * C * s_1)
    Y = np.sqrt(eta) * D * s_1 * gaussian(n, d, rng)
    return X, Y


def gaussian_start(A, d, scale, rng) -> tuple[np.ndarray, np.ndarray]:
    """The usual start: neither factor knows A."""
    m, n = A.shape
    return scale * gaussian(m, d, rng), scale * gaussian(n, d, rng)


def gaussian(rows: int, d: int, rng: np.random.Generator) -> np.ndarray:
    """Phi: Gaussian of variance 1/d."""
    return rng.standard_normal((rows, d)) / np.sqrt(d)


def descend(A, X, Y, eta, limit: int = LIMIT) -> np.ndarray:
    """Iterate until the tolerance, the limit, or divergence.

    Args:
        A: The matrix, shape (m, n).
        X: Left factor to start from, shape (m, d).
        Y: Right factor to start from, shape (n, d).
        eta: The fixed step size.
        limit: Most iterations to take.

    Returns:
        Relative errors, one before each iteration and one at the end.
    """
    norm = np.linalg.norm(A)
    errors = [np.linalg.norm(A - X @ Y.T) / norm]
    while TOLERANCE < errors[-1] < DIVERGED and len(errors) <= limit:
        X, Y = iterate(A, X, Y, eta)
        errors.append(np.linalg.norm(A - X @ Y.T) / norm)
    return np.array(errors)


# The study ------------------------------------------------------------------


def study(sizes: Sizes, seed: int) -> list[Run]:
    """Both starts at each condition number.

    Args:
        sizes: What to factorize.
        seed: Of the matrices and the starts.

    Returns:
        Three runs for each kappa: small step, best step, Gaussian.
    """
    runs = []
    for kappa in sizes.kappas:
        A = matrix(sizes, kappa, np.random.default_rng(seed))
        known = {"A": A, "sizes": sizes, "kappa": kappa, "seed": seed + 1}
        runs += [
            run(SMALL, SMALL_STEP, **known),
            fastest(BEST, [(step, None) for step in STEPS], **known),
            fastest(GAUSSIAN, itertools.product(STEPS, SCALES), **known),
        ]
    return runs


def matrix(sizes: Sizes, kappa: float, rng: np.random.Generator) -> np.ndarray:
    """A with s_1 = 1, s_r = 1 / kappa and equal ratios in between."""
    U, _ = np.linalg.qr(rng.standard_normal((sizes.m, sizes.r)))
    V, _ = np.linalg.qr(rng.standard_normal((sizes.n, sizes.r)))
    return (U * np.geomspace(1.0, 1.0 / kappa, sizes.r)) @ V.T


def run(start, step, scale=None, *, A, sizes, kappa, seed, limit=LIMIT) -> Run:
    """One descent. A seed draws the same Phi whatever the step."""
    rng = np.random.default_rng(seed)
    eta = step / np.linalg.norm(A, 2)
    predicted = None
    if start == GAUSSIAN:
        X, Y = gaussian_start(A, sizes.d, scale, rng)
    else:
        X, Y = ward_kolda_start(A, sizes.d, eta, rng)
        s_r = np.linalg.svd(X, compute_uv=False)[sizes.r - 1]
        predicted = float(eta * s_r**2)
    return Run(start, kappa, step, descend(A, X, Y, eta, limit), predicted)


def fastest(start: str, options: Iterable[tuple], **known) -> Run:
    """The run of fewest iterations over several (step, scale)."""
    best = None
    for step, scale in options:
        # What takes longer than the best so far need not be finished.
        limit = best.iterations - 1 if best else LIMIT
        tried = run(start, step, scale, limit=limit, **known)
        best = tried if tried.reached else best
    if best is None:
        raise RuntimeError(
            f"{start}: no step reached a relative error of {TOLERANCE:g} in "
            f"{LIMIT} iterations. Received: kappa={known['kappa']}. Use a "
            "smaller kappa or another seed."
        )
    return best


def slope(runs: list[Run], start: str, what: str) -> float:
    """Exponent b of the fit log(what) = a + b log(kappa^2)."""
    chosen = [run for run in runs if run.start == start]
    x = np.log([run.kappa**2 for run in chosen])
    y = np.log([getattr(run, what) for run in chosen])
    return float(np.polyfit(x, y, 1)[0])


# What is shown --------------------------------------------------------------


def report(runs: list[Run], console: Console) -> None:
    """Print all runs, and how rates and iterations follow (s1/sr)^2."""
    console.print(
        table(runs),
        "rate: share of the error that an iteration takes away, in the last "
        "half.\nfrom X_0: eta s_r(X_0)^2, known before the first iteration.\n"
        f"Gaussian: the best of {len(STEPS)} steps times {len(SCALES)} "
        "scales.\n\n"
        "Fits of log(y) = a + b log((s1/sr)^2); the theorem's bound is b = -1 "
        "for\nrates and b = 1 for iterations:",
    )
    for start in COLORS:
        rate, count = (slope(runs, start, y) for y in ("rate", "iterations"))
        console.print(f"  {start:24}rate b = {rate:+.3f}   ", end="")
        console.print(f"iterations b = {count:+.3f}")


def table(runs: list[Run]) -> Table:
    """All runs, one line each."""
    title = f"Iterations to a relative error of {TOLERANCE:g}"
    result = Table(title=title, box=box.SIMPLE_HEAD)
    result.add_column("s1/sr", justify="right")
    result.add_column("start")
    for name in ("eta s1", "iterations", "rate", "from X_0"):
        result.add_column(name, justify="right")
    for line in runs:
        bound = line.predicted and f"{line.predicted:.3%}"
        result.add_row(
            f"{line.kappa:g}" if line.start == SMALL else "",
            f"[{COLORS[line.start]}]{line.start}[/]",
            f"{line.step:g}",
            f"{line.iterations:,}" if line.reached else f"> {LIMIT:,}",
            f"{line.rate:.3%}",
            f">= {bound}" if line.start == BEST else bound,
            end_section=line.start == GAUSSIAN,
        )
    return result


def draw(runs: list[Run], path: Path) -> None:
    """Errors by iteration on the left, iterations by kappa^2 on the right.

    Args:
        runs: From `study`.
        path: PNG to write.
    """
    figure = Figure(figsize=(11, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1.15, 1))
    draw_errors(left, [run for run in runs if run.start != SMALL])
    draw_iterations(right, runs)
    for axis in (left, right):
        axis.grid(color="#e8e8e8", linewidth=0.8)
        axis.set_axisbelow(True)
        axis.spines[["top", "right"]].set_visible(False)
        axis.legend(frameon=False, labelcolor="linecolor")
    figure.savefig(path, dpi=110)


def draw_errors(axis, runs: list[Run]) -> None:
    """Straight lines, linear convergence; the darker, the larger kappa."""
    kappas = sorted({run.kappa for run in runs})
    for line in runs:
        darkness = (kappas.index(line.kappa) + 1) / len(kappas)
        last = line.kappa == kappas[-1]
        look = {
            "color": COLORS[line.start],
            "alpha": 0.3 + 0.7 * darkness,
        }
        axis.semilogy(
            line.errors,
            linewidth=1.8,
            label=line.start if last else None,
            **look,
        )
        axis.annotate(
            f"{line.kappa:g}",
            (line.iterations, line.errors[-1]),
            (0, -24 if line.start == GAUSSIAN else -12),
            textcoords="offset points",
            ha="center",
            **look,
        )
    axis.set(
        title=r"Each start at its best, for $\sigma_1/\sigma_r$ = "
        + ", ".join(f"{kappa:g}" for kappa in kappas),
        xlabel="iteration",
        ylabel="relative error",
        xlim=(0, None),
        ylim=(TOLERANCE / 20, None),
    )


def draw_iterations(axis, runs: list[Run]) -> None:
    """A slope of 1 where X stays where it is; less than that otherwise."""
    for start, color in COLORS.items():
        chosen = [run for run in runs if run.start == start]
        x = np.array([run.kappa**2 for run in chosen])
        y = np.array([run.iterations for run in chosen])
        exponent = slope(runs, start, "iterations")
        axis.loglog(
            x,
            y,
            marker=MARKERS[start],
            linestyle="none" if start == SMALL else "-",
            color=color,
            label=f"{start}: slope {exponent:.2f}",
        )
        if start == SMALL:
            line = x * np.exp(np.mean(np.log(y / x)))
            axis.loglog(x, line, "--", color="#888888", label="slope 1")
    axis.set_xticks(x, [f"{value:g}" for value in x])
    axis.minorticks_off()
    axis.set(
        title=r"Iterations to a relative error of $10^{-8}$",
        xlabel=r"$(\sigma_1/\sigma_r)^2$",
        ylabel="iterations",
        ylim=(None, 20 * max(run.iterations for run in runs)),
    )


def parse_arguments(arguments: list[str] | None) -> argparse.Namespace:
    """What the user typed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    add = parser.add_argument
    out = Path("runs/matrix_factorization")
    add("--out", type=Path, default=out, help="folder of the picture")
    # Of the seeds 0 to 9, one where the Gaussian start does about as usual.
    add("--seed", type=int, default=1, help="of the matrices and the starts")
    add("--small", action="store_true", help="small matrices, a few seconds")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> list[Run]:
    """Run the study, print the table, draw the picture."""
    options = parse_arguments(arguments)
    console = Console()
    runs = study(QUICK if options.small else Sizes(), options.seed)
    report(runs, console)
    options.out.mkdir(parents=True, exist_ok=True)
    picture = options.out / "matrix_factorization.png"
    draw(runs, picture)
    console.print(f"\nPicture: {picture}", soft_wrap=True)
    return runs


if __name__ == "__main__":
    main()
