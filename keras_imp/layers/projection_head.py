"""From pooled vectors to the space in which modalities are compared."""

import keras
from keras import ops

from keras_imp._errors import check_choice, check_positive, message
from keras_imp._saving.names import save_by_name
from keras_imp.layers._runtime.layer import Layer
from keras_imp.layers.dense import TokenDense
from keras_imp.typing import Tensor


@keras.saving.register_keras_serializable(package="keras_imp")
class ProjectionHead(Layer):
    """Dense, GELU (tanh form), Dense, LayerNorm.

    The output is not L2-normalized: the loss and the evaluation do that.

    Args:
        output_dim: Width of the result.
        hidden_dim: Width between the dense layers. Defaults to `output_dim`.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name`, `dtype`.

    Call arguments:
        inputs: Pooled vectors, shape `(batch, width)`.

    Returns:
        Shape `(batch, output_dim)`, in the compute dtype.

    Example:
        >>> import keras, keras_imp
        >>> head = keras_imp.layers.ProjectionHead(16)
        >>> tuple(head(keras.ops.ones((3, 8))).shape)
        (3, 16)

    Reference:
        docs/method.md, Tasks and losses.
    """

    def __init__(
        self, output_dim: int, hidden_dim: int | None = None, **kwargs
    ):
        super().__init__(**kwargs)
        self.supports_masking = True
        check_positive(output_dim=output_dim)
        self.output_dim = output_dim
        self.hidden_dim = hidden_dim

    def build(self, input_shape):
        middle = self.hidden_dim or self.output_dim
        self.expand = self._dense("expand", middle, input_shape[-1])
        self.contract = self._dense("contract", self.output_dim, middle)
        self.norm = keras.layers.LayerNormalization(
            epsilon=1e-6, dtype=self.dtype_policy, name="norm"
        )
        self.norm.build((None, self.output_dim))

    def call(self, inputs: Tensor) -> Tensor:
        x = ops.gelu(self.expand(inputs), approximate=True)
        return self.norm(self.contract(x))

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.output_dim)

    def _dense(self, name: str, units: int, width: int) -> TokenDense:
        layer = TokenDense(
            units,
            kernel_initializer="lecun_normal",
            dtype=self.dtype_policy,
            name=name,
        )
        layer.build((None, width))
        return layer


@keras.saving.register_keras_serializable(package="keras_imp")
class CommonSpace(Layer):
    """Projection heads for pairs of modalities.

    In the disjoint space each ordered pair has its own head: a (image, text)
    similarity compares the image's vector towards text with the text's vector
    towards image. In the joint space a modality has one vector for all pairs.

    Args:
        pairs: Unordered pairs of modality names.
        output_dim: Width of the space.
        space: `"disjoint"` or `"joint"`.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name`, `dtype`.

    Call arguments:
        pooled: Pooled vector of each modality that is at hand, a dict of
            shapes `(batch, width)`.

    Returns:
        A dict from `"<source>_to_<target>"` to vectors of unit length, float32,
        shape `(batch, output_dim)`, for each source that is at hand.

    Raises:
        ValueError: If a pair names one modality twice, or `space` is unknown.

    Example:
        >>> import keras, keras_imp
        >>> space = keras_imp.layers.CommonSpace([("image", "text")], 16)
        >>> space.build({"image": (None, 8), "text": (None, 8)})
        >>> vectors = space({"image": keras.ops.ones((3, 8))})
        >>> [(k, tuple(v.shape)) for k, v in vectors.items()]
        [('image_to_text', (3, 16))]

    Reference:
        docs/method.md, Tasks and losses.
    """

    def __init__(
        self,
        pairs: list[tuple[str, str]],
        output_dim: int,
        space: str = "disjoint",
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_choice(("disjoint", "joint"), space=space)
        self.pairs = [tuple(pair) for pair in pairs]
        for a, b in self.pairs:
            if a == b:
                raise ValueError(
                    message(
                        "A pair must have two different modalities.",
                        pair=(a, b),
                    )
                )
        self.output_dim = output_dim
        self.space = space
        self.heads = {
            name: ProjectionHead(output_dim, dtype=self.dtype_policy, name=name)
            for name in self._head_names()
        }
        save_by_name(self, "head", self.heads)

    def build(self, pooled_shape):
        for name, head in self.heads.items():
            head.build(tuple(pooled_shape[name.split("_to_")[0]]))

    def call(self, pooled: dict[str, Tensor]) -> dict[str, Tensor]:
        vectors = {}
        for source, target in self.directions():
            if source not in pooled:
                continue
            key = f"{source}_to_{target}"
            head = self.heads[key if self.space == "disjoint" else source]
            vectors[key] = _unit_length(head(pooled[source]))
        return vectors

    def compute_output_spec(self, pooled):
        return {
            f"{source}_to_{target}": keras.KerasTensor(
                (pooled[source].shape[0], self.output_dim), dtype="float32"
            )
            for source, target in self.directions()
            if source in pooled
        }

    def directions(self) -> list[tuple[str, str]]:
        """Ordered pairs (source, target).

        Returns:
            Both directions of each pair.
        """
        return [d for a, b in self.pairs for d in ((a, b), (b, a))]

    def _head_names(self) -> list[str]:
        if self.space == "disjoint":
            return [
                f"{source}_to_{target}" for source, target in self.directions()
            ]
        return list(dict.fromkeys(name for pair in self.pairs for name in pair))


def _unit_length(x: Tensor) -> Tensor:
    """X / (|x| + 1e-6) in float32 (docs/method.md, Tasks and losses)."""
    x = ops.cast(x, "float32")
    square = ops.sum(ops.square(x), axis=-1, keepdims=True)
    # The square root has no gradient at 0, where an empty caption would be.
    return x / (ops.sqrt(ops.maximum(square, 1e-24)) + 1e-6)
