"""An encoder that checks its inputs: names, ranks, sizes and values.

Values can be looked at on the host only. `AlternatingModel` has every batch
checked before a step, and a plain call and `predict` check what they are given.
"""

from typing import Any

import numpy as np

from keras_imp import _keras_private as keras_private
from keras_imp._arrays import check_not_masked
from keras_imp._errors import message
from keras_imp.layers._runtime.host_values import has_values, host_values
from keras_imp.layers._runtime.layer import WideInputs
from keras_imp.models.backbone import EncoderBackbone
from keras_imp.models.modalities import check_modality
from keras_imp.models.modality import Modality
from keras_imp.models.patching import PATCHES, check_patches
from keras_imp.models.value_checks import some_rows


class CheckedEncoder(WideInputs, EncoderBackbone):
    """A backbone whose inputs are a dict by modality, checked.

    A subclass has the attributes below.

    Attributes:
        modalities: Names of the modalities.
        patchings: How each modality of patches is cut, by name.
    """

    modalities: tuple[str, ...]
    patchings: Any
    embedder_of: Any
    _records: dict[str, Modality]
    # Ranks of the inputs of `predict`, by modality.
    _predicted_ranks: tuple[tuple[str, int], ...] = ()

    def __call__(self, *args, **kwargs):
        # Within a step of a model, the batch was checked already.
        if keras_private.is_outermost_call() and (args or "inputs" in kwargs):
            self.check_inputs(args[0] if args else kwargs["inputs"])
        return super().__call__(*args, **kwargs)

    def predict(self, x: Any, *args, **kwargs) -> Any:
        """Features of arrays in memory; see `keras.Model.predict`.

        Args:
            x: Arrays by modality, checked; or what else Keras takes, whose
                values are not looked at.
            *args: Other arguments of `keras.Model.predict`.
            **kwargs: The same by name.

        Returns:
            What a call returns, as NumPy arrays.

        Raises:
            ValueError: If an input does not fit.
        """
        if isinstance(x, dict):
            self.check_inputs(x)
            self._forget_other_ranks(x)
        return super().predict(x, *args, **kwargs)

    def _forget_other_ranks(self, x: dict[str, Any]) -> None:
        """Let `predict` compile anew for an input of another rank than before.

        TensorFlow would make one program for both, in which the rank, and so
        whether audio is a waveform or a spectrogram, is unknown.
        """
        known = dict(self._predicted_ranks)
        ranks = {k: len(v.shape) for k, v in x.items() if hasattr(v, "shape")}
        if any(known.get(name, rank) != rank for name, rank in ranks.items()):
            self.predict_function = None
        self._predicted_ranks = tuple((known | ranks).items())

    def check_inputs(self, inputs: dict[str, np.ndarray]) -> None:
        """Check one batch on the host: names, ranks, sizes and values.

        `AlternatingModel` calls it for every batch, since a compiled step
        cannot raise. A plain call and `predict` check their inputs by it. Of
        many pixels or samples, some rows of each example are looked at.

        Args:
            inputs: Arrays by modality, or tensors: of those that have no
                values yet, in a compiled function, the form is checked.

        Raises:
            ValueError: If a modality is unknown, or an input does not fit.

        Example:
            >>> import numpy as np, keras_imp
            >>> encoder = keras_imp.IMPEncoder(8, 16, 1, 2,
            ...     modalities=("text",), vocabulary_size=10)
            >>> encoder.check_inputs({"text": np.array([[1, 9]])})
        """
        self.check_names(inputs)
        for name, values in inputs.items():
            record = self._records[name]
            self._check_form(record, values)
            if not isinstance(values, dict):
                record = record.of_shape(values.shape)
            self._check_values(record, values)

    def check_names(self, inputs: dict[str, Any]) -> None:
        """Raise unless inputs are a dict of some of the modalities.

        Args:
            inputs: Inputs by modality.

        Raises:
            TypeError: If they are no dict.
            ValueError: If there is none, or one is unknown.
        """
        if not isinstance(inputs, dict):
            raise TypeError(
                message(
                    "`inputs` must be a dict from modality to its values.",
                    'Use {"image": images}, for example.',
                    type=type(inputs).__name__,
                )
            )
        if not inputs:
            raise ValueError("`inputs` must have at least one modality.")
        for name in inputs:
            check_modality(name, self.modalities)

    def _check_values(self, record: Modality, values: Any) -> None:
        name = record.name
        embedder = self.embedder_of(name)
        if isinstance(values, dict):
            values = values[PATCHES]
        else:
            embedder.check_shape(tuple(values.shape))
        if embedder.has_ids:
            embedder.check_ids(name, values)
        if record.check_values is None or not has_values(values):
            return
        if not isinstance(values, np.ndarray):
            values = some_rows(values)  # As few as possible are moved.
        try:
            record.check_values(host_values(values))
        except ValueError as error:
            raise ValueError(f"Input {name!r}: {error}") from error

    def _check_form(self, record: Modality, values: Any) -> None:
        name = record.name
        check_not_masked(values, f"The input {name!r}")
        if isinstance(values, dict):
            check_patches(name, values, self.patchings)
            self.embedder_of(name).positions.check_given()
        elif hasattr(values, "shape"):
            record.check_rank(tuple(values.shape))
        else:
            raise TypeError(
                message(
                    f"The input {name!r} must be an array of shape "
                    f"{record.shapes}.",
                    "Use np.asarray(values).",
                    type=type(values).__name__,
                )
            )

    def _record_of(self, name: str) -> Modality:
        check_modality(name, self.modalities)
        return self._records[name]
