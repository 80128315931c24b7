"""The train step on torch, and how its trainer reads a mixture."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import torch

from keras_imp.training.devices.torch import Devices
from keras_imp.training.input.task_mixture import SKIP
from keras_imp.training.step.accumulation import is_float, merge, split


class BackendStep(Devices):
    """`train_step` and `test_step` as Keras' torch trainer calls them."""

    def train_step(self, data):
        if SKIP in data:
            return self.logs_so_far()
        batch = self.unpack(data)
        self.zero_grad()
        state = [v.value.detach().clone() for v in self.layer_state]
        in_parts = batch.microbatches > 1
        differentiate = self._in_parts if in_parts else self._at_once
        loss, y_pred = differentiate(batch)
        pairs = self._gradients()
        with torch.no_grad():
            norm = _global_norm([g for g, _ in pairs]) / self._loss_scale()
            update, logs = self.finish_step(batch, y_pred, loss, norm)
            # Refuse the update of a loss that is not finite.
            if update:
                self.optimizer.apply(*map(list, zip(*pairs)))
            else:
                for variable, before in zip(self.layer_state, state):
                    variable.assign(before)
        return logs

    def global_random_state(self) -> np.ndarray:
        """State of torch's generator, which unseeded dropout draws from."""
        return torch.get_rng_state().numpy()

    def set_global_random_state(self, state: np.ndarray) -> None:
        torch.set_rng_state(torch.from_numpy(np.array(state)))

    def keep_state(self) -> contextlib.AbstractContextManager:
        """Variables keep their values here whatever happens."""
        return contextlib.nullcontext()

    def test_step(self, data):
        with torch.no_grad():
            batch = self.unpack(data)
            loss, y_pred = self.batch_loss(batch, training=False)
            return self.record(batch, y_pred, loss)

    # Gradients, which torch leaves in the variables -------------------------

    def _at_once(self, batch):
        """Loss and predictions of a whole batch."""
        loss, y_pred = self.batch_loss(batch, training=True)
        self.optimizer.scale_loss(loss).backward()
        return loss.detach(), _detached(y_pred)

    def _in_parts(self, batch):
        """The same of a batch whose parts go through the encoder in turn."""
        count = batch.task.microbatches
        arrays = split(batch.arrays, count)
        parts = [batch.with_arrays(_part(arrays, i)) for i in range(count)]
        if batch.task.accumulate == "mean":
            return self._mean_of_parts(parts)
        return self._two_passes(batch, parts)

    def _mean_of_parts(self, parts):
        losses, predictions = [], []
        for part in parts:
            loss, y_pred = self.batch_loss(part, training=True)
            self.optimizer.scale_loss(loss / len(parts)).backward()
            losses.append(loss.detach())
            predictions.append(_detached(y_pred))
        return torch.stack(losses).mean(), _joined(predictions)

    def _two_passes(self, batch, parts):
        """Exact: the loss sees the whole batch, the encoder a part at a time.

        The first pass keeps nothing but predictions, the second one repeats
        each part from the same random state, with the gradient of the loss
        towards its predictions.
        """
        before = self._state()
        with torch.no_grad():
            results = [self.run_task(part, training=True) for part in parts]
        after = self._state()
        y_pred = _joined([y for y, _ in results])
        floats = [y for y in keras.tree.flatten(y_pred) if is_float(y)]
        for y in floats:
            y.requires_grad_()
        loss = self.loss_of(batch, y_pred)
        self.optimizer.scale_loss(loss).backward()
        towards = split([y.grad for y in floats], len(parts))

        self._set_state(before)
        for i, part in enumerate(parts):
            y_part, added = self.run_task(part, training=True)
            pull = self.optimizer.scale_loss(added / len(parts))
            floats = [y for y in keras.tree.flatten(y_part) if is_float(y)]
            for y, gradient in zip(floats, towards):
                pull = pull + (y * gradient[i]).sum()
            pull.backward()
        self._set_state(after)
        added = torch.stack([added for _, added in results]).mean()
        return loss.detach() + added, _detached(y_pred)

    # Helpers -----------------------------------------------------------------

    def _gradients(self) -> list[tuple]:
        """Pairs of gradient and variable, of those to update."""
        pairs = []
        for variable in self.trainable_variables:
            gradient = variable.value.grad
            if gradient is None and self.update == "all":
                gradient = torch.zeros_like(variable.value)
            if gradient is not None:
                pairs.append((gradient, variable))
        return pairs

    def _state(self) -> list[torch.Tensor]:
        """Random states, counters and metrics, as they are now."""
        return [v.value.detach().clone() for v in self._state_variables()]

    def _set_state(self, values: list[torch.Tensor]) -> None:
        for variable, value in zip(self._state_variables(), values):
            variable.assign(value)

    def _state_variables(self):
        return [*self.non_trainable_variables, *self.metrics_variables]

    def _loss_scale(self) -> torch.Tensor:
        """What mixed float16 multiplies the loss by; 1 otherwise."""
        return self.optimizer.scale_loss(torch.ones(()))


def _global_norm(gradients: list[torch.Tensor]) -> torch.Tensor:
    squares = [gradient.float().square().sum() for gradient in gradients]
    return torch.stack(squares).sum().sqrt()


def _part(arrays: Any, i: int) -> Any:
    return keras.tree.map_structure(
        lambda array: None if array is None else array[i], arrays
    )


def _joined(predictions: list) -> Any:
    return keras.tree.map_structure(
        lambda *parts: merge(torch.stack(parts)), *predictions
    )


def _detached(arrays: Any) -> Any:
    return keras.tree.map_structure(lambda array: array.detach(), arrays)


class _Items(torch.utils.data.IterableDataset):
    """The items of a mixture for a DataLoader that does nothing else."""

    def __init__(self, keyed: Callable[[Callable], Iterator]):
        super().__init__()
        self.keyed = keyed

    def __iter__(self) -> Iterator:
        return self.keyed(_to_tensors)


def one_at_a_time(
    keyed: Callable[[Callable], Iterator],
) -> torch.utils.data.DataLoader:
    """A mixture as a DataLoader that passes items through.

    Args:
        keyed: From a conversion of an item to an iterator.

    Returns:
        The loader.
    """
    return torch.utils.data.DataLoader(
        _Items(keyed),
        batch_size=None,
        collate_fn=lambda item: item,
        # Else each epoch draws a number from the generator that layers use.
        generator=torch.Generator(),
    )


def _to_tensors(item: Any) -> Any:
    return keras.tree.map_structure(
        lambda a: None if a is None else keras.ops.convert_to_tensor(a), item
    )
