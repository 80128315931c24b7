"""Augmentations of each modality, in order, as one function of a batch."""

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from keras_imp._errors import message
from keras_imp._repr import called, shown
from keras_imp.data.augment.draws import Draws
from keras_imp.data.description import describe_array, describe_function

Function = Callable[..., Any]


class _Step(NamedTuple):
    function: Function
    takes_draws: bool


class Compose:
    """Functions of each modality, in order: the `augment` of `Arrays`.

    A function with a parameter `draws` is called as `function(values, draws)`,
    any other, such as a tokenizer, as `function(values)`. Its settings are
    bound with `functools.partial`. Each function draws numbers of its own,
    which depend on the seed, the batch's number and the row only.

    Args:
        *of_batch: Functions of the whole batch, called as `function(batch,
            draws)` after all others; they return the batch.
        together: Groups of modalities that get equal draws, such as images
            and their depth: functions at the same place of their lists then
            draw the same numbers under the same names.
        **of_modality: Functions by modality, a list or a single one.

    Call arguments:
        batch: `(x,)`, `(x, y)` or `(x, y, sample_weight)`, `x` a dict from
            modality to its array.
        generator: A NumPy generator: the draws get their seed from it. `Arrays`
            calls `augment_rows` instead, with the numbers of the rows.

    Raises:
        TypeError: If a function is none, or cannot be called as above.
        ValueError: If there is none, a batch does not have a modality, or a
            function changes the number of examples.

    Example:
        >>> from functools import partial
        >>> import numpy as np
        >>> from keras_imp.data import Arrays, augment
        >>> data = Arrays(
        ...     {"image": np.zeros((8, 32, 32, 3), "uint8")},
        ...     batch_size=4,
        ...     augment=augment.Compose(image=[
        ...         partial(augment.images.affine, rotation=12, shift=0.1),
        ...         augment.images.flip]))
        >>> data.augment
        Compose(image=[affine(rotation=12, shift=0.1), flip()])
        >>> data.batch_at(0)[0]["image"].shape
        (4, 32, 32, 3)
    """

    def __init__(
        self,
        *of_batch: Function,
        together: Iterable[Iterable[str]] = (),
        **of_modality: Function | Iterable[Function],
    ):
        self.of_batch = [_checked("batch", each, 2) for each in of_batch]
        self.of_modality = {
            name: [_checked(name, each) for each in _several(functions)]
            for name, functions in of_modality.items()
        }
        if not self.of_batch and not any(self.of_modality.values()):
            raise ValueError(
                message(
                    "There must be a function.",
                    "Name the modality: Compose(image=[augment.images.flip]).",
                )
            )
        self.together = [tuple(group) for group in together]
        self._streams = _streams(self.together, self.of_modality)
        self._steps = {
            name: [_Step(each, _draws(each)) for each in functions]
            for name, functions in self.of_modality.items()
        }

    def __call__(self, batch: tuple, generator: np.random.Generator) -> tuple:
        rows = len(next(iter(batch[0].values())))
        return self.augment_rows(batch, Draws.of(generator, rows))

    def augment_rows(self, batch: tuple, draws: Draws) -> tuple:
        """Augment the examples of a batch.

        Args:
            batch: As in a call.
            draws: Draws of its rows.

        Returns:
            The batch; that of the argument is not changed.
        """
        x = dict(batch[0])
        self._check_has(x)
        for name, steps in self._steps.items():
            for place, step in enumerate(steps):
                own = draws.within(self._streams[name], str(place))
                x[name] = _applied(name, step, x[name], own)
        batch = (x, *batch[1:])
        for place, function in enumerate(self.of_batch):
            batch = function(batch, draws.within("batch", str(place)))
        return batch

    def describe(self) -> dict[str, Any]:
        """The functions and all their settings, for `Backup`.

        Returns:
            What JSON can hold.
        """
        return {
            "of_modality": {
                name: _described(functions)
                for name, functions in self.of_modality.items()
            },
            "of_batch": _described(self.of_batch),
            "together": [list(group) for group in self.together],
        }

    def __repr__(self) -> str:
        parts = [_shown(function) for function in self.of_batch]
        if self.together:
            parts.append(f"together={self.together}")
        parts += [
            f"{name}=[{', '.join(map(_shown, functions))}]"
            for name, functions in self.of_modality.items()
        ]
        return f"Compose({', '.join(parts)})"

    def _check_has(self, x: Mapping[str, Any]) -> None:
        missing = [name for name in self.of_modality if name not in x]
        if missing:
            raise ValueError(
                message(
                    f"`Compose` augments {missing}, which the batch does not "
                    "have.",
                    "Give each data source the functions of its modalities.",
                    modalities=list(x),
                )
            )


def _applied(name: str, step: _Step, values: Any, draws: Draws) -> Any:
    arguments = (values, draws) if step.takes_draws else (values,)
    result = step.function(*arguments)
    if len(result) != len(draws):
        raise ValueError(
            message(
                f"{_shown(step.function)} must keep the number of examples of "
                f"{name!r}.",
                before=len(draws),
                after=len(result),
            )
        )
    return result


def _streams(
    together: list[tuple[str, ...]], of_modality: Mapping[str, Any]
) -> dict[str, str]:
    """Where each modality draws from: the first of its group stands for it."""
    streams = {name: name for name in of_modality}
    for group in together:
        for name in group:
            if streams.get(name) != name:
                raise ValueError(
                    message(
                        "Each modality of `together` must have functions, and "
                        "be in one group.",
                        modality=name,
                        together=together,
                    )
                )
        streams |= dict.fromkeys(group, group[0])
    return streams


def _several(functions: Any) -> list[Any]:
    return [functions] if callable(functions) else list(functions)


def _checked(name: str, function: Any, values: int = 1) -> Function:
    """A function that can be called with a number of values, or with draws."""
    if not callable(function):
        raise TypeError(
            message("Each augmentation must be a function.", **{name: function})
        )
    parameters = _parameters(function)
    needed = [
        key
        for key, one in parameters.items()
        if one.default is one.empty
        and one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)
    ]
    expected = 2 if _draws(function) else values
    if len(needed) > expected:
        raise TypeError(
            message(
                "An augmentation must be called as function(values, draws) or "
                "function(values).",
                "Bind its settings with functools.partial.",
                **{name: function, "needs": needed},
            )
        )
    return function


def _draws(function: Function) -> bool:
    return "draws" in _parameters(function)


def _parameters(function: Function) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(function).parameters
    except ValueError:  # A function of C that does not tell.
        return {}


def _described(functions: list[Function]) -> dict[str, Any]:
    """By place, so that the setting that differs is found in a comparison."""
    return {str(i): _describe(each) for i, each in enumerate(functions)}


def _describe(function: Function) -> dict[str, Any]:
    """Name and settings, with those that have their default."""
    settings = {
        key: parameter.default
        for key, parameter in _parameters(function).items()
        if parameter.default is not parameter.empty
    }
    name = describe_function(function)
    positional = getattr(function, "args", ())
    return {
        "function": name,
        **({"arguments": _plain(positional)} if positional else {}),
        **{key: _plain(value) for key, value in settings.items()},
    }


def _plain(value: Any) -> Any:
    """What JSON can hold of a setting."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if callable(value):
        return describe_function(value)
    if isinstance(value, list | tuple) and all(
        not hasattr(part, "__len__") or isinstance(part, str) for part in value
    ):
        return [_plain(part) for part in value]
    return describe_array(value)


def _shown(function: Function) -> str:
    if isinstance(function, functools.partial):
        return called(shown(function.func), **function.keywords)
    if isinstance(function, type) or not hasattr(function, "__name__"):
        return shown(function)
    return f"{function.__name__}()"
