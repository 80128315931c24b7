"""The train step on torch, and how its trainer reads a mixture."""

from collections.abc import Callable, Iterator
from typing import Any

import keras
import torch

from keras_imp.training.input.task_mixture import SKIP
from keras_imp.training.optimizers.gradient_dtypes import for_clipping
from keras_imp.training.step.accumulation import is_float, merge, split
from keras_imp.training.step.engine import InPlaceEngine
from keras_imp.training.step.program import StepProgram


class TorchEngine(InPlaceEngine):
    """Steps that are called eagerly; gradients are left in the variables."""

    def train_step(self, data):
        if SKIP in data:
            return self.program.logs_so_far()
        batch = self.program.unpack(data)
        self.model.zero_grad()
        state = self._layer_state()
        loss, y_pred = self._differentiate(batch)
        pairs = self._gradients()
        with torch.no_grad():
            norm = _global_norm([g for g, _ in pairs]) / self._loss_scale()
            update, logs = self.program.finish(batch, y_pred, loss, norm)
            # Refuse the update of a loss that is not finite.
            if update:
                gradients, variables = map(list, zip(*pairs))
                gradients = for_clipping(gradients, self.model.optimizer)
                self.model.optimizer.apply(gradients, variables)
            else:
                self._put_back_layer_state(state)
        return logs

    def test_step(self, data):
        with torch.no_grad():
            batch = self.program.unpack(data)
            loss, y_pred = self.program.run(batch, training=False)
            return self.program.record(batch, y_pred, loss)

    def encoder_gradients(self, item):
        variables = self.model.encoder.trainable_variables
        state = self._layer_state()
        self.model.zero_grad()
        self._differentiate(self.program.unpack(_to_tensors(item)))
        gradients = [variable.value.grad for variable in variables]
        # Those that were taken stay: this only lets the variables go of them.
        self.model.zero_grad()
        with torch.no_grad():
            self._put_back_layer_state(state)
        return gradients

    # Gradients, which torch leaves in the variables -------------------------

    def _differentiate(self, batch):
        """Loss and predictions of a batch, as a whole or in parts."""
        if batch.microbatches > 1:
            return self._in_parts(batch)
        return self._at_once(batch)

    def _at_once(self, batch):
        """Loss and predictions of a whole batch."""
        loss, y_pred = self.program.run(batch, training=True)
        self.model.optimizer.scale_loss(loss).backward()
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
            loss, y_pred = self.program.run(part, training=True)
            self.model.optimizer.scale_loss(loss / len(parts)).backward()
            losses.append(loss.detach())
            predictions.append(_detached(y_pred))
        return torch.stack(losses).mean(), _joined(predictions)

    def _two_passes(self, batch, parts):
        """Exact: the loss sees the whole batch, the encoder a part at a time.

        The first pass keeps nothing but predictions, the second one repeats
        each part from the same random state, with the gradient of the loss
        with respect to its predictions (GradCache).
        """
        before = self._snapshot()
        with torch.no_grad():
            results = [
                self.program.forward(part, training=True) for part in parts
            ]
        after = self._snapshot()
        y_pred = _joined([y for y, _ in results])
        floats = [y for y in keras.tree.flatten(y_pred) if is_float(y)]
        for y in floats:
            y.requires_grad_()
        loss = self.program.task_loss(batch, y_pred)
        self.model.optimizer.scale_loss(loss).backward()
        output_gradients = split([y.grad for y in floats], len(parts))

        self._restore(before)
        for i, part in enumerate(parts):
            y_part, added = self.program.forward(part, training=True)
            surrogate = self.model.optimizer.scale_loss(added / len(parts))
            floats = [y for y in keras.tree.flatten(y_part) if is_float(y)]
            for y, gradient in zip(floats, output_gradients):
                # None where the loss does not see an output.
                if gradient is not None:
                    surrogate = surrogate + (y * gradient[i]).sum()
            surrogate.backward()
        self._restore(after)
        added = torch.stack([added for _, added in results]).mean()
        return loss.detach() + added, _detached(y_pred)

    # Helpers -----------------------------------------------------------------

    def _gradients(self) -> list[tuple]:
        """Pairs of gradient and variable, of those to update."""
        pairs = []
        for variable in self.model.trainable_variables:
            gradient = variable.value.grad
            if gradient is None and self.model.update == "all":
                gradient = torch.zeros_like(variable.value)
            if gradient is not None:
                pairs.append((gradient, variable))
        return pairs


def make_engine(program: StepProgram) -> TorchEngine:
    """The engine of a model.

    Args:
        program: What a step does with a batch.

    Returns:
        The engine.
    """
    return TorchEngine(program)


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
