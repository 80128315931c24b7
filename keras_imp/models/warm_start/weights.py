"""What a backbone is to an encoder: constructor arguments, and arrays.

Each family of backbones has a function in a file of its own that returns
`BackboneWeights`. What is the same layer in several families is read here.
"""

import dataclasses
from typing import Any

import keras
import numpy as np
from keras import ops

Arrays = dict[str, np.ndarray]
# The gamma and the beta of a norm, or the kernel and the bias of a layer.
Pair = tuple[np.ndarray, np.ndarray]
# Of pixels in [0, 1] before a backbone: mean and standard deviation of each
# channel.
Normalization = tuple[tuple[float, ...], tuple[float, ...]]

# It leaves [-1, 1], which is what encoders take.
UNIT: Normalization = ((0.5,) * 3, (0.5,) * 3)
IMAGENET: Normalization = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CLIP: Normalization = (
    (0.48145466, 0.4578275, 0.40821073),
    (0.26862954, 0.26130258, 0.27577711),
)


@dataclasses.dataclass
class BackboneWeights:
    """A backbone as an encoder has it.

    Attributes:
        arguments: Constructor arguments that the backbone decides.
        layers: Weights of each block, by the names that a stack gives them.
        final_norm: Gamma and beta of the norm after the blocks.
        positions: Vector of each place: `(rows, columns, hidden_dim)` of an
            image, `(length, hidden_dim)` of a text.
        patches: Kernel `(height, width, 3, hidden_dim)` and bias of the
            patches; None for a text.
        normalization: Mean and standard deviation of pixels in [0, 1] that
            the backbone was trained with.
        table: Vectors of token ids, `(vocabulary_size, hidden_dim)`; None for
            images.
        first_tokens: What stands before the patches, positions included,
            `(tokens, hidden_dim)`; None without.
        entry_norm: Gamma and beta of the norm before the blocks, or None.
        after: Kernel and bias of a projection after the last norm, or None.
        pool: Weights of an attention pooling, by the end of their paths, or
            None.
    """

    arguments: dict[str, Any]
    layers: list[Arrays]
    final_norm: Pair
    positions: np.ndarray
    patches: Pair | None = None
    normalization: Normalization = UNIT
    table: np.ndarray | None = None
    first_tokens: np.ndarray | None = None
    entry_norm: Pair | None = None
    after: Pair | None = None
    pool: Arrays | None = None

    @property
    def embedder(self) -> str:
        """Name of the embedder that the weights are of."""
        return "vision" if self.table is None else "text"


def array_of(values: Any) -> np.ndarray:
    """Values of a variable or a tensor, float32.

    Args:
        values: The variable or the tensor.

    Returns:
        The array, maybe without a copy: it must not be changed.

    Example:
        >>> import keras
        >>> from keras_imp.models.warm_start.weights import array_of
        >>> array_of(keras.Variable([1.0, 2.0])).tolist()
        [1.0, 2.0]
    """
    tensor = ops.cast(ops.convert_to_tensor(values), "float32")
    return np.asarray(ops.convert_to_numpy(tensor))


def sizes_of(backbone: keras.Model) -> dict[str, Any]:
    """The sizes of a backbone that an encoder calls by the same names.

    Args:
        backbone: The backbone.

    Returns:
        Constructor arguments.
    """
    names = ("hidden_dim", "intermediate_dim", "num_layers", "num_heads")
    return {name: getattr(backbone, name) for name in names}


def rows_by_id(table: Any, ids: Any) -> np.ndarray:
    """Rows of a table of positions, in the order that a backbone takes them.

    Args:
        table: The table.
        ids: Row numbers, shape `(1, places)`: 0, 1, 2, ... of a backbone that
            was loaded, and 0 of one that was only made.

    Returns:
        Shape `(places, hidden_dim)`.
    """
    return array_of(table)[array_of(ids)[0].astype(int)]


def norm(layer: keras.layers.Layer) -> Pair:
    """Gamma and beta of a `keras.layers.LayerNormalization`.

    Args:
        layer: The layer.

    Returns:
        Two arrays of shape `(hidden_dim,)`.
    """
    return array_of(layer.gamma), array_of(layer.beta)


def dense(layer: keras.layers.Layer) -> Pair:
    """Kernel and bias of a dense layer or a convolution.

    Args:
        layer: The layer.

    Returns:
        The kernel, and the bias, 0 if the layer has none.
    """
    kernel = array_of(layer.kernel)
    if layer.bias is None:
        return kernel, np.zeros(kernel.shape[-1], "float32")
    return kernel, array_of(layer.bias)


def attention(layer: keras.layers.MultiHeadAttention) -> Arrays:
    """Weights of an attention layer, heads side by side.

    Args:
        layer: The layer.

    Returns:
        `query_kernel` and so on, kernels of shape `(hidden_dim, hidden_dim)`.
    """
    parts = {
        "query": layer.query_dense,
        "key": layer.key_dense,
        "value": layer.value_dense,
        "output": layer.output_dense,
    }
    weights: Arrays = {}
    for name, part in parts.items():
        kernel = array_of(part.kernel)
        width = kernel.shape[-1 if name == "output" else 0]
        weights[f"{name}_kernel"] = kernel.reshape(width, width)
        bias = np.zeros(width) if part.bias is None else array_of(part.bias)
        weights[f"{name}_bias"] = bias.reshape(-1)
    return weights


def block(
    attention_norm: keras.layers.Layer,
    self_attention: keras.layers.MultiHeadAttention,
    feed_forward_norm: keras.layers.Layer,
    expand: keras.layers.Layer,
    contract: keras.layers.Layer,
) -> Arrays:
    """Weights of a pre-norm block.

    Args:
        attention_norm: Norm before the attention.
        self_attention: The attention.
        feed_forward_norm: Norm before the feed-forward network.
        expand: First dense layer of the network.
        contract: Second one.

    Returns:
        Arrays by the names that `layers.EncoderStack` gives its weights.
    """
    weights = attention(self_attention)
    for name, layer in (
        ("attention_norm", attention_norm),
        ("feed_forward_norm", feed_forward_norm),
    ):
        weights[f"{name}_gamma"], weights[f"{name}_beta"] = norm(layer)
    for name, layer in (("expand", expand), ("contract", contract)):
        weights[f"{name}_kernel"], weights[f"{name}_bias"] = dense(layer)
    return weights
