"""Load weights by name; say what does not fit before a weight is touched.

Keras' own `load_weights` loads what it can, then says how many objects failed.
Here it gets a file that fits: the one that was asked for, or a copy with what
fits of it, and else with what the model has already.
"""

import contextlib
import contextvars
import logging
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import keras

from keras_imp._errors import message
from keras_imp._saving import version_0_1_0
from keras_imp._saving.comparison import compare
from keras_imp._saving.files import ENDINGS, Group, open_weights, write_group
from keras_imp._saving.names import (
    from_array,
    kind_of,
    named_layers,
    optimizer_names,
)
from keras_imp._saving.report import LoadReport, describe
from keras_imp._saving.structure import structure

# What an `AlternatingModel` holds that is no weight: counters, random states
# and metrics; what schedules decide by; the optimizer.
COUNTERS = ""
SCHEDULE = "layers/schedule_state"
OPTIMIZER = "optimizer"
NAMES = "names"
ENCODER = "encoder"


# Whether the user has named the modalities of what is loaded: then it is no
# accident that it has fewer than the file.
_fewer_modalities = contextvars.ContextVar("fewer_modalities", default=False)


@contextlib.contextmanager
def fewer_modalities(allowed: bool) -> Iterator[None]:
    """Let files that are loaded inside have more embedders than the encoder.

    Args:
        allowed: Whether they may. What is left out is logged then.
    """
    token = _fewer_modalities.set(allowed)
    try:
        yield
    finally:
        _fewer_modalities.reset(token)


def load_weights(
    model: keras.Model,
    filepath: str | Path,
    skip_mismatch: bool,
    load: Callable[..., None],
    **kwargs,
) -> LoadReport:
    """Load a file of weights by name.

    Args:
        model: An `IMPEncoder` or an `AlternatingModel`.
        filepath: A file of weights, or a `.keras` file.
        skip_mismatch: Whether to load what fits, and to warn of the rest.
        load: `load_weights` of Keras.
        **kwargs: More arguments of it; with any, Keras loads the file by
            itself.

    Returns:
        What fitted.

    Raises:
        ValueError: If something does not fit, with its name. No weight has
            changed then.
        OSError: If the file cannot be read.
    """
    path = Path(filepath)
    if kwargs or not path.is_file() or not path.name.endswith(ENDINGS):
        # On another machine; or it is no such file, and Keras says so.
        load(filepath, skip_mismatch=skip_mismatch, **kwargs)
        return LoadReport(str(filepath))
    with open_weights(path) as groups:
        loading = _Loading(model, groups)
        report = loading.report(str(filepath))
        chosen = _fewer_modalities.get() and loading.lacks_embedders_only
        if not (report.is_complete or skip_mismatch or chosen):
            raise ValueError(_refusal(report))
        if report.is_complete and loading.is_as_it_is:
            load(filepath)
        else:
            with loading.fitted() as fitted:
                load(fitted)
    if chosen and not report.is_complete:
        logging.getLogger("keras_imp").info("%s: %s", filepath, report)
    elif not report.is_complete or report.state:
        warnings.warn(f"{filepath}: {report}", stacklevel=3)
    return report


class _Loading:
    """One file on its way into one model.

    Args:
        model: The model.
        groups: What the file holds, by path.
    """

    def __init__(self, model: keras.Model, groups: Mapping[str, Group]):
        self.model = model
        named = named_layers(model)
        self.has_tasks = any(kind_of(n) == "head" for n in named.get((), {}))
        self.here = structure(model)
        self.saved = groups
        self.by_position = version_0_1_0.is_by_position(groups)
        # Whether what has the same place in a list is the same layer.
        self.is_in_place = not self.by_position or (
            version_0_1_0.places(groups, named)
            == version_0_1_0.places_of(named)
        )
        if self.by_position:
            groups = version_0_1_0.by_name(groups, named)
        self.is_of_model = not self.has_tasks and ENCODER in groups
        if self.is_of_model:
            groups = _inside(ENCODER, groups)
        state = (COUNTERS, SCHEDULE) if self.has_tasks else ()
        self.weights = {p: g for p, g in self.here.items() if p not in state}
        self.compared = compare(self.weights, groups)
        self.optimizer, self.optimizer_is_in_place, self.state = (
            self._optimizer()
        )

    @property
    def is_as_it_is(self) -> bool:
        """Whether Keras finds everything in the file where it looks for it."""
        return (
            self.is_in_place
            and self.optimizer_is_in_place
            and not self.is_of_model
        )

    @property
    def lacks_embedders_only(self) -> bool:
        """Whether the file fits but for embedders of further modalities."""
        found = self.compared
        kinds = {kind_of(path.rpartition("/")[2]) for path in found.unused}
        return not (found.new or found.different) and kinds <= {"embedder"}

    def report(self, filepath: str) -> LoadReport:
        """What fits."""
        found = self.compared
        modalities = _modalities(self.model)
        return LoadReport(
            filepath,
            sum(len(values) for values in found.fitting.values()),
            sum(len(values) for values in self.weights.values()),
            tuple(describe(path, modalities) for path in found.new),
            tuple(describe(path, modalities) for path in found.unused),
            tuple(
                f"{describe(path, modalities)}: {what}"
                for path, what in found.different.items()
            ),
            self.state,
        )

    @contextlib.contextmanager
    def fitted(self) -> Iterator[Path]:
        """A copy of the file that fits the model, for as long as it is used."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "fitted.weights.h5"
            with h5py.File(path, "w") as file:
                for place, values in self.here.items():
                    write_group(file, place, self._values(place, values))
                if self.optimizer:
                    write_group(file, OPTIMIZER, self.optimizer)
            yield path

    def _values(self, path: str, values: dict[str, Any]) -> dict[str, Any]:
        """The values to load into a group of the model."""
        if path in self.weights:
            return {**values, **self.compared.fitting.get(path, {})}
        saved = self.saved.get(path, Group("", {})).values
        if self.is_in_place:
            return saved or values
        if path == COUNTERS:
            return {**values, **version_0_1_0.counters(saved)}
        return values

    def _optimizer(self) -> tuple[dict[str, Any], bool, str]:
        """The optimizer's variables, by position.

        With them, whether they have the same places in the file, and what to
        say if some are not from there.
        """
        optimizer = getattr(self.model, "optimizer", None)
        if optimizer is None or not self.has_tasks:
            return {}, True, ""
        values: dict[str, Any] = {
            str(i): v for i, v in enumerate(optimizer.variables)
        }
        saved = self.saved.get(OPTIMIZER, Group("", {})).values
        if not saved or not optimizer.built:
            return values, True, ""
        now = optimizer_names(self.model)
        before = now if self.is_in_place and len(saved) == len(now) else []
        names = self.saved.get(COUNTERS, Group("", {})).values.get(NAMES)
        if names is not None:
            before = from_array(names[()])["optimizer"]
        places = {name: str(i) for i, name in enumerate(before)}
        found = {
            str(i): saved[places[name]]
            for i, name in enumerate(now)
            if name in places
            and saved[places[name]].shape == tuple(values[str(i)].shape)
        }
        what = ""
        if len(found) < len(now):
            what = (
                f"{len(found)} of {len(now)} variables of the optimizer were "
                "loaded; the others keep the values that they had."
            )
        return {**values, **found}, before == now, what


def _inside(path: str, groups: Mapping[str, Group]) -> dict[str, Group]:
    """The groups below a path, and the one at it."""
    below = f"{path}/"
    return {
        found.removeprefix(path).removeprefix("/"): group
        for found, group in groups.items()
        if found == path or found.startswith(below)
    }


def _modalities(model: Any) -> dict[str, list[str]]:
    """The modalities of each embedder that has a name."""
    encoder = getattr(model, "encoder", model)
    found: dict[str, list[str]] = {}
    for name, embedder in getattr(encoder, "embedders", {}).items():
        found[name] = [
            modality
            for modality in encoder.modalities
            if encoder.embedder_of(modality) is embedder
        ]
    return found


def _refusal(report: LoadReport) -> str:
    return message(
        f"The file and the model must have the same weights. {report.misfits}",
        "Build the model as it was when the file was saved, or load what fits "
        "with `skip_mismatch=True`: the rest keeps the values that it has.",
        filepath=report.filepath,
    )
