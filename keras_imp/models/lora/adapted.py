"""What an encoder does with LoRA: train few weights beside those it has."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from keras_imp import _keras_private as keras_private
from keras_imp._errors import message
from keras_imp._saving.names import save_by_name
from keras_imp.layers.low_rank_updates import LowRankUpdates
from keras_imp.models.lora import files
from keras_imp.models.lora.options import (
    ARGUMENTS,
    DEFAULT_TARGETS,
    Options,
    checked_options,
)
from keras_imp.models.weight_places import place_weights

# What LoRA weights are in a file; it comes before `body`, which holds them.
KIND = "adapter"


class AdaptedByLora:
    """An encoder whose layers can be adapted by low-rank updates (LoRA).

    Attributes:
        lora_rank: Rank of the updates; None without LoRA.
        lora_targets: Kinds of kernels that are updated; None without LoRA.
        lora_alpha: The updates are scaled by lora_alpha / lora_rank; None
            without LoRA.
    """

    lora_rank: int | None = None
    lora_targets: tuple[str, ...] | None = None
    lora_alpha: float | None = None

    def enable_lora(
        self,
        rank: int,
        targets: Iterable[str] = DEFAULT_TARGETS,
        alpha: float | None = None,
    ) -> None:
        """Freeze the encoder, and give its layers few weights that train.

        To each kernel of the targets, alpha / rank * A B is added: A has
        `rank` columns and is random, B has `rank` rows and is 0 at first, so
        that no output changes. Each layer has its own, and so has each expert.
        All other weights of the encoder are frozen, the balance of its routers
        too. To train a part of it as well, set `trainable` of that part after
        this, such as `encoder.final_norm.trainable = True`. Compile the model
        after that.

        The config of the encoder keeps rank, targets and alpha, so that it can
        be saved, loaded and resumed as ever; not which further parts train.

        Args:
            rank: Columns of A and rows of B.
            targets: Which kernels: of attention `"query"`, `"key"`, `"value"`
                and `"output"`, of feed-forward networks and experts `"expand"`
                and `"contract"`.
            alpha: Updates are scaled by alpha / rank. Defaults to the rank.

        Raises:
            TypeError: If `targets` is a single string.
            ValueError: If an argument is out of its range, or the encoder is
                not built or has LoRA already.

        Example:
            >>> import keras_imp
            >>> encoder = keras_imp.IMPEncoder(8, 16, 2, 2,
            ...     modalities=("image",))
            >>> encoder.enable_lora(rank=2)
            >>> [(v.name, tuple(v.shape)) for v in encoder.trainable_variables]
            [('lora_a_query_kernel', (2, 8, 2)), \
('lora_b_query_kernel', (2, 2, 8)), ('lora_a_value_kernel', (2, 8, 2)), \
('lora_b_value_kernel', (2, 2, 8))]

        Reference:
            [Hu et al., 2021](https://arxiv.org/abs/2106.09685).
        """
        encoder: Any = self
        options = checked_options(rank, targets, alpha)
        if not encoder.built:
            raise ValueError(
                message(
                    "An encoder must have its weights before LoRA is enabled.",
                    "Call enable_lora after its constructor.",
                    built=encoder.built,
                )
            )
        if self.lora_rank is not None:
            raise ValueError(
                message(
                    "LoRA must not be enabled twice.",
                    "Call merge_lora() first, or make the encoder anew.",
                    lora_rank=self.lora_rank,
                )
            )
        for stack in encoder.body.stacks:
            rank, targets, alpha = options
            stack.add_lora(rank, targets, alpha)
        self.lora_rank, self.lora_targets, self.lora_alpha = options
        save_by_name(encoder, KIND, self.lora_updates())
        place_weights(encoder)
        _freeze_all_but_lora(encoder)
        _forget_compiled(encoder)

    def merge_lora(self) -> None:
        """Add the updates to their kernels; the encoder is a plain one again.

        Outputs stay the same up to rounding. All weights are trainable then.
        Compile a model that holds the encoder anew.

        Raises:
            ValueError: If the encoder has no LoRA weights.

        Example:
            >>> import keras_imp
            >>> encoder = keras_imp.IMPEncoder(8, 16, 2, 2,
            ...     modalities=("image",))
            >>> count = encoder.count_params()
            >>> encoder.enable_lora(rank=2)
            >>> encoder.merge_lora()
            >>> encoder.count_params() == count, encoder.lora_rank
            (True, None)
        """
        encoder: Any = self
        self._check_has_lora("merge_lora")
        for name in self.lora_updates():
            del vars(encoder)[f"{KIND}.{name}"]
        for stack in encoder.body.stacks:
            stack.merge_lora()
        self.lora_rank = self.lora_targets = self.lora_alpha = None
        _free_all(encoder)
        _forget_compiled(encoder)

    def save_lora_weights(self, filepath: str | Path) -> None:
        """Save the LoRA weights alone: a small file beside the encoder's.

        Args:
            filepath: A file that ends in `.lora.h5`. It is replaced.

        Raises:
            ValueError: If the encoder has no LoRA weights, or the file another
                ending.

        Example:
            >>> import keras_imp
            >>> encoder = keras_imp.IMPEncoder(8, 16, 2, 2,
            ...     modalities=("image",))
            >>> encoder.enable_lora(rank=2)
            >>> encoder.save_lora_weights("birds.lora.h5")
        """
        self._check_has_lora("save_lora_weights")
        files.save_lora(self, Path(filepath))

    def load_lora_weights(self, filepath: str | Path) -> None:
        """Load LoRA weights into an encoder that has some.

        Args:
            filepath: What `save_lora_weights` wrote.

        Raises:
            OSError: If the file cannot be read.
            ValueError: If the file has no LoRA weights, or those of another
                rank, of other targets, another alpha or another encoder. No
                weight has changed then.

        Example:
            >>> import keras_imp
            >>> encoder = keras_imp.IMPEncoder(8, 16, 2, 2,
            ...     modalities=("image",))
            >>> encoder.enable_lora(rank=2)
            >>> encoder.save_lora_weights("birds.lora.h5")
            >>> encoder.load_lora_weights("birds.lora.h5")
        """
        files.load_lora(self, Path(filepath))

    def default_lora_layer_names(self) -> list[str]:
        """Kinds of kernels that `enable_lora` adapts by default.

        Returns:
            Their names.
        """
        return [*DEFAULT_TARGETS]

    @property
    def lora_options(self) -> Options | None:
        """What `enable_lora` was told; None without LoRA."""
        if self.lora_rank is None:
            return None
        rank, targets, alpha = (getattr(self, name) for name in ARGUMENTS)
        return Options(rank, tuple(targets), alpha)

    def lora_arguments(self) -> dict[str, Any]:
        """What the config of the encoder has of LoRA.

        Returns:
            Rank, targets and alpha by name; nothing without LoRA.
        """
        options = self.lora_options
        return {} if options is None else dict(zip(ARGUMENTS, options))

    def lora_updates(self) -> dict[str, LowRankUpdates]:
        """The layers with the LoRA weights.

        Returns:
            Layers by the names of what they adapt, such as `"layers_0_to_3"`.
        """
        found, first = {}, 0
        stacks: Any = self.body.stacks  # type: ignore[attr-defined]
        for stack in stacks:
            last = first + stack.num_layers - 1
            if stack.lora is not None:
                found[f"layers_{first}_to_{last}"] = stack.lora
            first = last + 1
        return found

    def _check_has_lora(self, method: str) -> None:
        if self.lora_rank is None:
            raise ValueError(
                message(
                    f"`{method}` needs an encoder with LoRA weights.",
                    "Call enable_lora(rank) first.",
                    lora_rank=None,
                )
            )


def _freeze_all_but_lora(encoder: Any) -> None:
    # Layers around the weights that train must be trainable themselves.
    _free_all(encoder)
    for layer in keras_private.inner_layers(encoder):
        if layer is not encoder.body:
            layer.trainable = False
    trained = {
        id(variable)
        for updates in encoder.lora_updates().values()
        for variable in updates.variables
    }
    for variable in encoder.trainable_variables:
        variable.trainable = id(variable) in trained


def _free_all(encoder: Any) -> None:
    # TensorFlow's layers ignore what they are set to already, though a part of
    # them may be set to something else.
    encoder.trainable = False
    encoder.trainable = True


def _forget_compiled(encoder: Any) -> None:
    """Let the encoder's own `fit` and `predict` compile anew."""
    encoder.train_function = None
    encoder.test_function = None
    encoder.predict_function = None
