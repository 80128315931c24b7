"""The train step on torch, and how its trainer reads a mixture."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import keras
import torch


class BackendStep:
    """`train_step` and `test_step` as Keras' torch trainer calls them."""

    def train_step(self, data):
        batch = self.unpack(data)
        self.zero_grad()
        loss, y_pred = self.batch_loss(batch, training=True)
        # Refuse the update of a loss that is not finite.
        if self.count_step(batch, loss.detach()):
            self.optimizer.scale_loss(loss).backward()
            self._apply()
        with torch.no_grad():
            return self.record(batch, y_pred, loss.detach())

    def keep_state(self) -> contextlib.AbstractContextManager:
        """Variables keep their values here whatever happens."""
        return contextlib.nullcontext()

    def test_step(self, data):
        with torch.no_grad():
            batch = self.unpack(data)
            loss, y_pred = self.batch_loss(batch, training=False)
            return self.record(batch, y_pred, loss)

    def _apply(self) -> None:
        pairs = []
        for variable in self.trainable_variables:
            gradient = variable.value.grad
            if gradient is None and self.update == "all":
                gradient = torch.zeros_like(variable.value)
            if gradient is not None:
                pairs.append((gradient, variable))
        with torch.no_grad():
            self.optimizer.apply(
                [gradient for gradient, _ in pairs],
                [variable for _, variable in pairs],
            )


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
        _Items(keyed), batch_size=None, collate_fn=lambda item: item
    )


def _to_tensors(item: Any) -> Any:
    return keras.tree.map_structure(keras.ops.convert_to_tensor, item)
