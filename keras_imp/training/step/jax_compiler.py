"""How XLA is to compile a step, so that its sums are right.

XLA CPU of jaxlib 0.10.2 hands the sum of an array that repeats along its first
axis to another library, which now and then returns 1.25, 1.5 or 1.75 times the
sum if two threads work on it (github.com/jax-ml/jax/issues/39741). The gradient
of what was summed over its first axis is such an array, so the global norm of
the gradient, the clipping by it and what `GradientDriven` measures would be
wrong in some of the steps, and no run would repeat bit for bit. The layers of
the package avoid it; those of others need not.
"""

import functools
import warnings

import jax
import jaxlib

# The first version that is known to have the fault; 0.10.1 does not.
FIRST_AFFECTED = (0, 10, 2)
# Hand nothing to that library.
OPTIONS = {"xla_cpu_experimental_ynn_fusion_type": ""}


@functools.cache
def compiler_options() -> dict[str, str]:
    """Options of `jax.jit` with which sums are right.

    Warns if this version of XLA does not know them: then it may have another
    way to turn the fault off, or be without the fault.

    Returns:
        Values by name; none where they are not needed.

    Example:
        >>> from keras_imp.training.step.jax_compiler import compiler_options
        >>> set(compiler_options()) <= {"xla_cpu_experimental_ynn_fusion_type"}
        True
    """
    if jax.default_backend() != "cpu" or not _is_affected(jaxlib.__version__):
        return {}
    try:
        jax.jit(lambda x: x, compiler_options=OPTIONS).lower(0.0).compile()
    except jax.errors.JaxRuntimeError:
        warnings.warn(
            f"jaxlib {jaxlib.__version__} does not know the option "
            f"{next(iter(OPTIONS))!r}, which keeps the norm of a gradient "
            "right on a CPU: now and then it may be too large, and the update "
            "be clipped too much. jaxlib 0.10.2 knows it.",
            stacklevel=2,
        )
        return {}
    return dict(OPTIONS)


def _is_affected(version: str) -> bool:
    numbers = version.split(".")[:3]
    return tuple(int(n) for n in numbers if n.isdigit()) >= FIRST_AFFECTED
