"""The examples run as a user runs them, and show what they say they show."""

import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.one_backend

FOLDER = Path(__file__).parents[1] / "examples"


def load(name):
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


example = load("matrix_factorization")


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """All runs of the small setting by start, and the folder it wrote to."""
    folder = tmp_path_factory.mktemp("example") / "new" / "folder"
    runs = example.main(["--small", "--out", str(folder)])
    starts = (example.SMALL, example.BEST, example.GAUSSIAN)
    return {s: [r for r in runs if r.start == s] for s in starts}, folder


@pytest.fixture
def problem(rng):
    sizes = example.QUICK
    A = example.matrix(sizes, kappa=4.0, rng=rng)
    return A, sizes


def test_every_example_is_in_the_list():
    listed = (FOLDER / "README.md").read_text()
    for path in FOLDER.glob("*.py"):
        assert f"python examples/{path.name}" in listed


def test_the_matrix_has_the_rank_and_the_condition_number(problem):
    A, sizes = problem
    values = np.linalg.svd(A, compute_uv=False)
    np.testing.assert_allclose(values[0] / values[sizes.r - 1], 4.0)
    assert values[sizes.r] < 1e-14


def test_an_iteration_multiplies_the_error_from_both_sides(problem, rng):
    """Exactly: E <- (I - eta X X') E (I - eta Y Y'), with the new X."""
    A, sizes = problem
    X, Y = example.gaussian_start(A, sizes.d, 1.0, rng)
    eta = 0.1
    new_X, new_Y = example.iterate(A, X, Y, eta)
    left = np.eye(sizes.m) - eta * new_X @ new_X.T
    right = np.eye(sizes.n) - eta * Y @ Y.T
    np.testing.assert_allclose(
        A - new_X @ new_Y.T, left @ (A - X @ Y.T) @ right, atol=1e-12
    )


def test_an_iteration_is_a_gradient_step_on_each_factor(problem, rng):
    """Against differences of f, which is quadratic in each: exact."""
    A, sizes = problem
    X, Y = example.gaussian_start(A, sizes.d, 1.0, rng)
    new_X, new_Y = example.iterate(A, X, Y, eta=1.0)

    def f(X, Y):
        return 0.5 * np.linalg.norm(A - X @ Y.T) ** 2

    for row, column in ((0, 0), (3, 5)):
        h = np.zeros_like(X)
        h[row, column] = 1e-3
        slope = (f(X + h, Y) - f(X - h, Y)) / 2e-3
        np.testing.assert_allclose((X - new_X)[row, column], slope, rtol=1e-6)
        h = np.zeros_like(Y)
        h[row, column] = 1e-3
        slope = (f(new_X, Y + h) - f(new_X, Y - h)) / 2e-3
        np.testing.assert_allclose((Y - new_Y)[row, column], slope, rtol=1e-6)


@pytest.mark.parametrize("eta", [1e-3, 0.5])
def test_the_start_does_what_its_derivation_says(problem, rng, eta):
    A, sizes = problem
    X, Y = example.ward_kolda_start(A, sizes.d, eta, rng)
    U = np.linalg.svd(A)[0][:, : sizes.r]
    np.testing.assert_allclose(U @ (U.T @ X), X, atol=1e-12)
    assert eta * np.linalg.norm(X, 2) ** 2 <= 1
    assert eta * np.linalg.norm(Y, 2) ** 2 <= 2
    first = np.linalg.norm(A - X @ Y.T) / np.linalg.norm(A)
    np.testing.assert_allclose(first, 1.0, atol=0.15)


def test_the_step_cancels_out_of_the_rate(problem):
    A, sizes = problem
    known = {"A": A, "sizes": sizes, "kappa": 4.0, "seed": 0}
    runs = [example.run(example.SMALL, step, **known) for step in (1e-3, 1e-5)]
    np.testing.assert_allclose(runs[0].predicted, runs[1].predicted)
    assert abs(runs[0].iterations - runs[1].iterations) <= 10


def test_everything_converges_and_the_error_never_grows(study):
    runs, _ = study
    for run in (*runs[example.SMALL], *runs[example.BEST]):
        assert run.reached
        assert np.all(np.diff(run.errors) < 0)
    assert all(run.reached for run in runs[example.GAUSSIAN])


@pytest.mark.parametrize("start", [example.SMALL, example.BEST])
def test_convergence_is_linear(study, start):
    """The logarithm of the error lies on a line: within 2 % of its fall."""
    for run in study[0][start]:
        logs = np.log(run.errors[run.iterations // 2 :])
        x = np.arange(len(logs))
        line = np.polyval(np.polyfit(x, logs, 1), x)
        assert np.max(np.abs(logs - line)) < 0.02 * (logs[0] - logs[-1])


def test_the_rate_is_the_predicted_one(study):
    """Before the first step: to 1 % where X stays, at least it elsewhere."""
    runs, _ = study
    for run in runs[example.SMALL]:
        np.testing.assert_allclose(run.rate, run.predicted, rtol=0.01)
    for run in runs[example.BEST]:
        assert run.rate > run.predicted


def test_rates_and_iterations_follow_the_square_of_the_condition_number(study):
    """Exponents of (s1/sr)^2 near 1; seeds 0 to 9 gave 0.81 to 1.00."""
    runs = study[0][example.SMALL]
    assert -1.1 < example.slope(runs, example.SMALL, "rate") < -0.8
    assert 0.8 < example.slope(runs, example.SMALL, "iterations") < 1.1


def test_the_theorem_is_an_upper_bound_for_the_best_step(study):
    runs = study[0]
    for small, best in zip(runs[example.SMALL], runs[example.BEST]):
        assert best.iterations < small.iterations / 2
    assert example.slope(runs[example.BEST], example.BEST, "iterations") < 0.8


def test_the_start_needs_fewer_iterations_than_the_best_gaussian_one(study):
    runs = study[0]
    for best, gaussian in zip(runs[example.BEST], runs[example.GAUSSIAN]):
        assert best.iterations < gaussian.iterations


def test_the_same_seed_gives_the_same_runs():
    sizes = example.QUICK._replace(kappas=(2,))
    first, second, third = (example.study(sizes, seed) for seed in (5, 5, 6))
    for a, b, other in zip(first, second, third):
        np.testing.assert_array_equal(a.errors, b.errors)
        assert a.errors[0] != other.errors[0]


def test_what_diverges_is_stopped_and_not_reached(problem, rng):
    A, sizes = problem
    X, Y = example.gaussian_start(A, sizes.d, 1.0, rng)
    errors = example.descend(A, X, Y, eta=10.0)
    assert len(errors) < 10
    assert not example.Run("", 4.0, 10.0, errors, None).reached


def test_a_grid_without_a_good_step_says_so(problem, monkeypatch):
    A, sizes = problem
    monkeypatch.setattr(example, "LIMIT", 3)
    message = (
        "Ward-Kolda, best step: no step reached a relative error of 1e-08 in "
        "3 iterations. Received: kappa=4.0. Use a smaller kappa or another "
        "seed."
    )
    with pytest.raises(RuntimeError, match=f"^{re.escape(message)}$"):
        example.fastest(
            example.BEST, [(0.1, None)], A=A, sizes=sizes, kappa=4.0, seed=0
        )


def test_the_report_shows_all_runs_and_the_fits(study, capsys):
    runs = [run for several in study[0].values() for run in several]
    example.report(runs, example.Console(width=100))
    printed = capsys.readouterr().out
    for run in runs:
        assert f"{run.iterations:,} " in printed
    for start in study[0]:
        fit = example.slope(runs, start, "iterations")
        line = next(
            line
            for line in printed.splitlines()
            if "b = " in line and line.strip().startswith(start)
        )
        assert f"iterations b = {fit:+.3f}" in line


def test_the_picture_can_be_opened(study):
    _, folder = study
    with Image.open(folder / "matrix_factorization.png") as picture:
        picture.load()
        assert min(picture.size) > 400


def test_the_picture_in_the_repository_is_small():
    path = FOLDER / "matrix_factorization.png"
    assert path.stat().st_size < 150_000
