"""A model by its description: its config, and its preset.

`fit` and what else trains it are in `alternating_model.py`.
"""

from pathlib import Path
from typing import Any

import keras

from keras_imp._saving.classes import deserialized
from keras_imp.training.engine_model import EngineModel
from keras_imp.training.model_presets import load_model, save_model


class DescribedModel(EngineModel):
    """Makes a model of an encoder and tasks from what describes it."""

    encoder: Any
    task_list: list
    update: str
    hidden_dim: int | None

    def get_config(self) -> dict[str, Any]:
        serialize = keras.saving.serialize_keras_object
        return {
            "name": self.name,
            "trainable": self.trainable,
            "encoder": serialize(self.encoder),
            "tasks": [serialize(task) for task in self.task_list],
            "update": self.update,
            "hidden_dim": self.hidden_dim,
            **self._dtype_config(),
        }

    def _dtype_config(self) -> dict[str, Any]:
        """The dtype policy, where it is not that of the encoder."""
        if self.dtype_policy.name == self.encoder.dtype_policy.name:
            return {}
        return {"dtype": keras.dtype_policies.serialize(self.dtype_policy)}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects=None):
        encoder, tasks = config["encoder"], config["tasks"]
        encoder = deserialized(encoder, custom_objects, "The encoder")
        tasks = [deserialized(t, custom_objects, "A task") for t in tasks]
        return cls(**{**config, "encoder": encoder, "tasks": tasks})

    @classmethod
    def from_preset(
        cls, preset: str | Path, load_weights: bool = True, **kwargs
    ) -> Any:
        """Build a model, its encoder and its tasks, from a preset.

        Args:
            preset: Name, folder or address of a preset that a model wrote, as
                for `IMPEncoder.from_preset`.
            load_weights: Whether to load the weights.
            **kwargs: Arguments of the encoder that replace the preset's, such
                as `dropout`.

        Returns:
            The model, compiled with the defaults: `predict` and `evaluate`
            work. Compile it again to train it.

        Raises:
            ValueError: If the preset has an encoder only, or as
                `IMPEncoder.from_preset`.
            FileNotFoundError: If the preset lacks a file.
            OSError: If the weights cannot be read.

        Example:
            >>> import keras_imp
            >>> encoder = keras_imp.IMPEncoder(8, 16, 1, 2, ("image",))
            >>> model = keras_imp.AlternatingModel(encoder, [
            ...     keras_imp.tasks.Classification("birds", "image", 3)])
            >>> model.save_to_preset("birds")
            >>> again = keras_imp.AlternatingModel.from_preset("./birds")
            >>> list(again.tasks)
            ['birds']
        """
        return load_model(cls, preset, load_weights, kwargs)

    def save_to_preset(
        self,
        preset_dir: str | Path,
        preprocessor: Any = None,
        card: str | None = None,
        weights_dtype: str | None = None,
        max_shard_size: float | None = 10,
    ) -> None:
        """Write the encoder and the tasks into a folder as a preset.

        `IMPEncoder.from_preset` reads the encoder of it. The optimizer and the
        counters of a run are left out: `save` keeps them.

        Args:
            preset_dir: The folder. A preset that it holds is replaced.
            preprocessor: As for `IMPEncoder.save_to_preset`.
            card: As there.
            weights_dtype: As there.
            max_shard_size: As there.

        Raises:
            TypeError: As there.
            ValueError: As there.

        Example:
            >>> import keras_imp
            >>> encoder = keras_imp.IMPEncoder(8, 16, 1, 2, ("image",))
            >>> keras_imp.AlternatingModel(encoder, [
            ...     keras_imp.tasks.Classification("birds", "image", 3)]
            ... ).save_to_preset("birds")
            >>> keras_imp.IMPEncoder.from_preset("./birds").num_layers
            1
        """
        save_model(
            self,
            Path(preset_dir),
            preprocessor=preprocessor,
            card=card,
            weights_dtype=weights_dtype,
            max_shard_size=max_shard_size,
        )
