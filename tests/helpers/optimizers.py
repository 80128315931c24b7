"""A step of an optimizer as the model takes it; AdamW and Muon in NumPy."""

import warnings

import keras
import numpy as np

from tests.helpers.weights import to_numpy


def take_step(optimizer, variables, gradients):
    """Apply gradients as the train step of the backend does, None = idle."""
    if keras.config.backend() != "jax":
        pairs = [
            (gradient, v)
            for gradient, v in zip(gradients, variables, strict=True)
            if gradient is not None
        ]
        optimizer.apply([g for g, _ in pairs], [v for _, v in pairs])
        return
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Gradients do not exist")
        new, state = optimizer.stateless_apply(
            [v.value for v in optimizer.variables],
            gradients,
            [v.value for v in variables],
        )
    for variable, value in zip(variables, new, strict=True):
        variable.assign(value)
    for variable, value in zip(optimizer.variables, state, strict=True):
        variable.assign(value)


def as_tensors(gradients):
    """Gradients as tensors of the backend, None where there is none."""
    convert = keras.ops.convert_to_tensor
    return [None if g is None else convert(g) for g in gradients]


def assert_follows(optimizer, oracle, variables, gradients, atol=2e-6):
    """Take steps, and compare the variables with an oracle after each."""
    optimizer.build(variables)
    for step in gradients:
        expected = oracle.step(step)
        take_step(optimizer, variables, as_tensors(step))
        for variable, value in zip(variables, expected, strict=True):
            np.testing.assert_allclose(
                to_numpy(variable), value, rtol=2e-5, atol=atol
            )


class AdamWOracle:
    """AdamW in float64, one factor and one decay for each weight.

    With `idle="skip"` a weight without a gradient stays as it is; with
    `"zero"` its gradient is 0.
    """

    def __init__(
        self, weights, rate, decays, factors=None, clip=None, idle="skip"
    ):
        self.weights = [np.array(w, "float64") for w in weights]
        self.m = [np.zeros_like(w) for w in self.weights]
        self.v = [np.zeros_like(w) for w in self.weights]
        self.rate = rate
        self.decays = decays
        self.factors = factors or [1.0] * len(weights)
        self.clip = clip
        self.idle = idle
        self.steps = 0

    def step(self, gradients):
        self.steps += 1
        scale = self._scale(gradients)
        for i, gradient in enumerate(gradients):
            if gradient is None and self.idle == "zero":
                gradient = np.zeros_like(self.weights[i])
            if gradient is not None:
                self._move(i, scale * np.asarray(gradient, "float64"))
        return self.weights

    def _move(self, i, gradient):
        rate = self.rate * np.asarray(self.factors[i])
        gradient = np.where(rate == 0, 0.0, gradient)
        self.weights[i] = self.weights[i] * (1 - self.decays[i] * rate)
        self.m[i] += 0.1 * (gradient - self.m[i])
        self.v[i] += 0.001 * (gradient**2 - self.v[i])
        m = self.m[i] / (1 - 0.9**self.steps)
        correction = np.sqrt(1 - 0.999**self.steps)
        v = (np.sqrt(self.v[i]) + 1e-7) / correction
        self.weights[i] = self.weights[i] - rate * m / v

    def _scale(self, gradients):
        if self.clip is None:
            return 1.0
        squares = [
            np.sum(np.where(np.asarray(factor) == 0, 0.0, gradient) ** 2)
            for gradient, factor in zip(gradients, self.factors)
            if gradient is not None
        ]
        return min(1.0, self.clip / np.sqrt(sum(squares)))


def orthogonalize_oracle(values, polynomials):
    """Polynomials of singular values, in float64.

    They are scaled by the eighth root of the sum of their eighth powers, and a
    hundredth more.
    """
    left, singular, right = np.linalg.svd(
        np.asarray(values, "float64"), full_matrices=False
    )
    bound = np.sum(singular**8, axis=-1, keepdims=True) ** (1 / 8)
    x = singular / np.where(bound == 0, 1.0, 1.01 * bound)
    for a, b, c in polynomials:
        x = a * x + b * x**3 + c * x**5
    return (left * x[..., None, :]) @ right


class MuonOracle(AdamWOracle):
    """Muon in float64 for the weights at `matrices`, AdamW for the rest."""

    def __init__(self, *arguments, matrices, polynomials, rms=0.2, **options):
        super().__init__(*arguments, **options)
        self.matrices = matrices
        self.polynomials = polynomials
        self.rms = rms

    def _move(self, i, gradient):
        if i not in self.matrices:
            super()._move(i, gradient)
            return
        rate = self.rate * np.asarray(self.factors[i])
        gradient = np.where(rate == 0, 0.0, gradient)
        self.weights[i] = self.weights[i] * (1 - self.decays[i] * rate)
        self.m[i] = 0.95 * self.m[i] + 0.05 * gradient
        ahead = 0.95 * self.m[i] + 0.05 * gradient
        step = orthogonalize_oracle(ahead, self.polynomials)
        length = self.rms * max(ahead.shape[-2:]) ** 0.5
        self.weights[i] = self.weights[i] - rate * length * step
