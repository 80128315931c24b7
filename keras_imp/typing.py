"""Types shared by the whole package.

`Tensor` is `Any` on purpose: a Keras 3 tensor is a jax.Array, a tf.Tensor, a
torch.Tensor or a KerasTensor, and naming them would import every backend.
"""

from typing import Any, TypeAlias

Tensor: TypeAlias = Any
