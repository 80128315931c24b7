"""The base of an encoder: a Keras model that is a keras-hub backbone too.

keras-hub loads TensorFlow on any backend, through tensorflow-text, which takes
several seconds and hundreds of megabytes. So this class is a plain Keras model
until somebody imports keras-hub; then `keras_hub.models.Backbone` becomes its
base, for encoders that exist already too. What an encoder does is the same
before and after: all that a backbone has is overridden here.
"""

import copy
import dataclasses
import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

import keras

from keras_imp._errors import message
from keras_imp._saving.loading import fewer_modalities, load_weights
from keras_imp._saving.names import save_variables, variables_by_position
from keras_imp._saving.report import LoadReport
from keras_imp.layers._runtime.kept_weights import KeepsWeights
from keras_imp.layers.token_embedding import TokenEmbedding
from keras_imp.models.lora.adapted import AdaptedByLora
from keras_imp.models.lora.options import with_lora
from keras_imp.models.modalities import modality_of
from keras_imp.models.presets import PRESETS
from keras_imp.models.presets.files import CONFIG_FILE
from keras_imp.models.presets.finding import find_preset
from keras_imp.models.presets.loading import load_encoder
from keras_imp.models.presets.remote import is_handle
from keras_imp.models.presets.saving import save_encoder
from keras_imp.models.presets.table import built_in
from keras_imp.models.refusals import (
    check_policy,
    check_signature,
    no_quantize,
    no_transformers,
)
from keras_imp.models.warm_start.names import names_backbone
from keras_imp.models.warm_start.presets import from_backbone_preset


class _NeverFunctional(type(keras.Model)):  # type: ignore[misc]
    """Leaves what makes a functional model out of the bases of a class.

    Keras puts `Functional` between `Model` and `keras_hub.models.Backbone` as
    soon as one backbone is made in the functional way, as those of keras-hub
    are, and thereby changes every other subclass of `Backbone`.
    """

    def mro(cls) -> list[type]:
        return [
            base
            for base in super().mro()
            if base is not keras.Function
            # `Functional` itself has no public name.
            and keras.Function not in base.__bases__
        ]


class _Presets:
    """The presets of the class, read as an attribute as in keras-hub.

    Those of this package: `list_presets` has those of other packages too.
    """

    def __get__(self, instance: Any, owner: type) -> dict[str, dict[str, Any]]:
        return {
            preset.name: {
                **dataclasses.asdict(preset),
                **copy.deepcopy(PRESETS.get(preset.name, {})),
            }
            for preset in built_in()
        }


class EncoderBackbone(
    AdaptedByLora, KeepsWeights, keras.Model, metaclass=_NeverFunctional
):
    """A `keras.Model` that is a `keras_hub.models.Backbone`, loaded or not.

    Args:
        dtype: Dtype or policy of the computations.
        **kwargs: Arguments of `keras.Model`: `name` and `trainable`.

    Raises:
        TypeError: If it is to be made from `inputs` and `outputs`.
        ValueError: If an encoder cannot have the dtype.

    Example:
        >>> import keras_imp
        >>> encoder = keras_imp.IMPEncoder(8, 16, 1, 2,
        ...     modalities=("text",), vocabulary_size=10)
        >>> import keras_hub
        >>> isinstance(encoder, keras_hub.models.Backbone)
        True
    """

    def __init__(self, dtype: Any = None, **kwargs):
        for name in ("inputs", "outputs"):
            if name in kwargs:
                raise TypeError(
                    message(
                        "An encoder is made from its sizes, not from "
                        "`inputs` and `outputs`.",
                        "To build on one, call it on keras.Input tensors and "
                        "make a keras.Model of these.",
                        **{name: kwargs[name]},
                    )
                )
        # Not `super()`, here and below: keras-hub may be there or not.
        keras.Model.__init__(self, dtype=dtype, **kwargs)
        check_policy(self.dtype_policy)

    def __setattr__(self, name: str, value: Any) -> None:
        keras.Model.__setattr__(self, name, value)

    def get_config(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "trainable": self.trainable,
            "dtype": keras.dtype_policies.serialize(self.dtype_policy),
            **self.lora_arguments(),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None):
        del custom_objects  # All that a config holds is plain.
        config = dict(config)
        if isinstance(config.get("dtype"), dict):
            config["dtype"] = keras.dtype_policies.get(config["dtype"])
        return with_lora(cls, config)

    def load_weights(
        self, filepath: str | Path, skip_mismatch: bool = False, **kwargs
    ) -> LoadReport:
        """Load weights by the names of modalities.

        Args:
            filepath: What `save_weights` wrote, or a file of an
                `AlternatingModel`, whose encoder is taken.
            skip_mismatch: Whether to load what fits, and to warn of the rest:
                for an encoder that gained or lost modalities.
            **kwargs: Other arguments of `keras.Model.load_weights`; with any,
                Keras loads the file by itself.

        Returns:
            What fitted.

        Raises:
            ValueError: If something does not fit, with its name. No weight has
                changed then.
            OSError: If the file cannot be read.
        """
        load = super().load_weights
        return load_weights(self, filepath, skip_mismatch, load, **kwargs)

    def save_own_variables(self, store: Any) -> None:
        save_variables(super().save_own_variables, store)

    def load_own_variables(self, store: Any) -> None:
        save = super().save_own_variables
        super().load_own_variables(variables_by_position(save, store))

    # What Keras would guess from the shapes of a first call ------------------

    def build(self, input_shape: Any = None) -> None:
        """Nothing but a check: the constructor made every weight.

        Args:
            input_shape: Shapes by modality, batch axis included, if given.

        Raises:
            TypeError: If they are no dict.
            ValueError: If one does not fit its modality.
        """
        if input_shape is not None:
            self.compute_output_shape(input_shape)

    def get_build_config(self) -> None:
        """Nothing: an encoder that is loaded makes its weights by itself."""

    def compute_output_shape(self, input_shape: dict[str, Any]) -> dict:
        """Shapes of what a call returns.

        Args:
            input_shape: Shapes by modality, batch axis included; of an input
                that was cut on the host, of its parts by name.

        Returns:
            Shapes by modality and feature.

        Raises:
            TypeError: If they are no dict.
            ValueError: If one does not fit its modality.

        Example:
            >>> import keras_imp
            >>> encoder = keras_imp.IMPEncoder(8, 16, 1, 2,
            ...     modalities=("image",))
            >>> shapes = encoder.compute_output_shape(
            ...     {"image": (None, 32, 32, 3)})
            >>> shapes["image"]["sequence_output"]
            (None, 4, 8)
        """
        self.check_names(input_shape)
        symbols = {
            name: _symbols(shape, modality_of(name).token_ids)
            for name, shape in input_shape.items()
        }
        spec = self.compute_output_spec(symbols)
        return keras.tree.map_structure(lambda symbol: symbol.shape, spec)

    def export(
        self,
        filepath: str | Path,
        format: str = "tf_saved_model",
        verbose: bool | None = None,
        input_signature: list | None = None,
        **kwargs,
    ) -> None:
        """Export the encoder in a format that has outputs of any structure.

        Args:
            filepath: Where to write.
            format: As for `keras.Model.export`; no SavedModel, which has only
                flat outputs.
            verbose: Whether to print what was written.
            input_signature: A list with one dict, a `keras.InputSpec` for each
                modality.
            **kwargs: Other arguments of `keras.Model.export`.

        Raises:
            NotImplementedError: If the format is a SavedModel.
            ValueError: If there is no signature.
        """
        if format == "tf_saved_model":
            raise NotImplementedError(
                message(
                    "A SavedModel of an encoder is not possible: its outputs "
                    "must be tensors or one flat dict of them.",
                    "Use keras_imp.export(encoder, path, modality=...), one "
                    "file for each modality.",
                    format=format,
                )
            )
        check_signature(input_signature, "{modality: spec}")
        super().export(filepath, format, verbose, input_signature, **kwargs)

    # What keras-hub has beside a Keras model ---------------------------------

    presets = _Presets()

    @classmethod
    def from_preset(
        cls, preset: str | Path, load_weights: bool = True, **kwargs
    ) -> "EncoderBackbone":
        """Build an encoder from a preset.

        Args:
            preset: Name of a preset (`keras_imp.list_presets` has all), as it
                is or as `"package/preset"`; a folder that `save_to_preset`
                wrote; or an address, `"hf://owner/model"` or
                `"kaggle://owner/model/keras/variation"`. Of a size, such as
                `"imp_base"`, the weights are random. Of a backbone of
                keras-hub that `from_backbone` takes, such as
                `"vit_base_patch16_224_imagenet"`, it starts from the weights.
            load_weights: Whether to load weights, where the preset has them.
            **kwargs: Constructor arguments that replace the preset's; of such
                a backbone, arguments of `from_backbone`. With some of the
                preset's `modalities`, the embedders of the others are left
                out, which the logger `keras_imp` says at level INFO.

        Returns:
            The encoder, in Keras' default dtype policy unless `dtype` says
            otherwise.

        Raises:
            ValueError: If nothing has the name, or several presets have it; if
                the preset is of a newer format, names a class or a function
                that is not known, or does not fit the arguments.
            FileNotFoundError: If the preset lacks a file, or is not in the
                cache while the hub cannot be reached.
            OSError: If the weights cannot be read.

        Example:
            >>> import keras_imp
            >>> encoder = keras_imp.IMPEncoder.from_preset(
            ...     "imp_tiny", modalities=("image",))
            >>> encoder.num_layers
            4
        """
        files = find_preset(preset)
        if files is None:
            return _with_keras_hub(cls, str(preset), load_weights, kwargs)
        if files.size:
            return cls(**{**PRESETS[files.size]["config"], **kwargs})
        if names_backbone(files.read(CONFIG_FILE)):
            return from_backbone_preset(
                cls, preset, load_weights, files, kwargs
            )
        return load_encoder(cls, files, load_weights, kwargs)

    def save_to_preset(
        self,
        preset_dir: str | Path,
        max_shard_size: float | None = 10,
        tokenizer: Any = None,
        preprocessor: Any = None,
        card: str | None = None,
        weights_dtype: str | None = None,
    ) -> None:
        """Write the encoder into a folder that `from_preset` reads.

        Args:
            preset_dir: The folder. A preset that it holds is replaced; if it
                has a preprocessor or a tokenizer, the new one must too.
            max_shard_size: Largest size in GB of a file of weights, before
                they are rounded; None for one file, whatever its size.
            tokenizer: `data.Tokenizer` to write beside the encoder, for
                `data.Tokenizer.from_preset`.
            preprocessor: `IMPPreprocessor`, with a tokenizer of its own if it
                has text, for `IMPPreprocessor.from_preset`.
            card: The text of README.md: Markdown that says what the encoder
                was trained on and how well it does, with its license between
                two lines of `---` at the top (`license: apache-2.0`). Defaults
                to the sizes of the encoder, if there is no README.md yet.
            weights_dtype: `"float16"` rounds the weights in the file to half
                the bytes; they are float32 again when they are loaded.
                Defaults to the dtype that they have.

        Raises:
            TypeError: If `tokenizer`, `preprocessor` or `card` is something
                else.
            ValueError: If the encoder does not take what these make, the
                folder has those of an older encoder, or a weight is too large
                for float16.

        Example:
            >>> import keras_imp
            >>> encoder = keras_imp.IMPEncoder(8, 16, 1, 2,
            ...     modalities=("text",), vocabulary_size=10)
            >>> encoder.save_to_preset("my_encoder")
            >>> keras_imp.IMPEncoder.from_preset("my_encoder").num_layers
            1
        """
        save_encoder(
            self,
            Path(preset_dir),
            max_shard_size,
            tokenizer,
            preprocessor,
            card,
            weights_dtype,
        )

    @property
    def token_embedding(self) -> TokenEmbedding | None:
        """The layer that embeds token ids; None in an encoder without text."""
        if "text" not in self.modalities:
            return None
        return self.embedder_of("text").tokens

    # What a backbone or a Keras model has, and an encoder cannot do yet ------

    quantize = no_quantize
    quantized_build = no_quantize
    quantized_call = no_quantize
    export_to_transformers = no_transformers


def become_backbone(keras_hub: ModuleType) -> None:
    """Make `EncoderBackbone`, and all that derives from it, a backbone.

    Args:
        keras_hub: The imported `keras_hub`.
    """
    above = (AdaptedByLora, KeepsWeights, keras_hub.models.Backbone)
    EncoderBackbone.__bases__ = above


def _symbols(shapes: Any, token_ids: bool) -> Any:
    """Symbolic tensors of these shapes, which dicts may hold."""
    if isinstance(shapes, dict):
        return {name: _symbols(s, token_ids) for name, s in shapes.items()}
    dtype = "int32" if token_ids else "float32"
    return keras.KerasTensor(tuple(shapes), dtype=dtype)


def _with_keras_hub(
    cls: type, preset: str, load_weights: bool, arguments: dict
) -> Any:
    """An encoder from a name or an address that only keras-hub knows."""
    if not is_handle(preset):
        return from_backbone_preset(cls, preset, load_weights, None, arguments)
    importlib.import_module("keras_hub")  # It becomes a base of the class.
    with fewer_modalities("modalities" in arguments):
        return super(EncoderBackbone, cls).from_preset(  # type: ignore[misc]
            preset, load_weights=load_weights, **arguments
        )
