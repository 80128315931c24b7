"""Where the weights are while Keras' JAX trainer works with a model.

Keras takes the values of all variables out before the first step of `fit`, and
the compiled step takes their memory for its result. Until they are put back,
an exception or a Ctrl-C anywhere between would lose them: here is who has them.
An evaluation or a prediction leaves all values in the variables.
"""

import threading
from collections.abc import Callable
from typing import Any

from keras_imp import _keras_private as keras_private


class HeldState:
    """The newest state of a training run that is not in the variables.

    Args:
        model: The model.
    """

    def __init__(self, model: Any):
        self._model = model
        # Logs and state as a train step returns them; the last pair counts.
        self._newest: list[tuple[Any, tuple]] = []
        # Keras' trainer keeps one state for a model, whatever the thread.
        self._lock = threading.RLock()
        # The thread that is in `fit`, if one is.
        self._fitting: int | None = None

    def take(
        self, purge_model_variables: bool = False, **groups: bool
    ) -> tuple[list, ...]:
        """Take the values of variables, in place of Keras' own method.

        Args:
            purge_model_variables: Whether the variables are to lose them.
            **groups: Which variables.

        Returns:
            A list of values for each group.
        """
        state = keras_private.get_jax_state(self._model, **groups)
        # Only a train step takes the memory of its arguments.
        if purge_model_variables and groups.get("optimizer_variables"):
            self._newest[:] = [(None, state)]
            keras_private.purge_variables(self._model, **groups)
        elif purge_model_variables:
            # What Keras has of the last train step is older than the variables:
            # a callback may have changed them for this evaluation.
            keras_private.forget_jax_state(self._model)
        return state

    def put_back(self) -> None:
        """Give the variables their newest values; no harm if repeated."""
        if self._newest:
            _, state = self._newest[-1]
            keras_private.set_jax_state(self._model, state)
        keras_private.jax_state_sync(self._model)
        self._newest.clear()

    def holding(self, step: Callable[[tuple, Any], tuple]) -> Callable:
        """A train step whose result cannot get lost.

        Args:
            step: From state and batch to logs and state.

        Returns:
            The same.
        """

        def held(state: tuple, batch: Any) -> tuple:
            # No bytecode runs between the compiled step and the list: a Ctrl-C
            # that comes in between is raised only when the result is there.
            self._newest.extend(map(step, (state,), (batch,)))
            del self._newest[:-1]
            return self._newest[-1]

        return held

    def keep(self, work: Callable[[], Any], training: bool = False) -> Any:
        """Run `fit`, `evaluate` or `predict` so that no value is lost.

        Calls of several threads wait for each other. One in a callback of
        `fit` works with the weights as they are then.

        Args:
            work: The call.
            training: Whether it is `fit`.

        Returns:
            What it returns.

        Raises:
            RuntimeError: If another thread is in `fit`.
        """
        thread = threading.get_ident()
        if self._fitting not in (None, thread):
            raise RuntimeError(
                "A model cannot be used while another thread is in its "
                "`fit`, which has its weights. Call `evaluate` or "
                "`predict` in a callback, or when `fit` has returned."
            )
        # A Ctrl-C comes between two bytecodes. `with` and the lock itself leave
        # it no place where the lock would stay taken; a context manager in
        # Python, or `acquire` before `try`, would.
        with self._lock:
            outer = self._fitting
            self._fitting = thread if training else outer
            try:
                return self._kept(work, training)
            finally:
                self._fitting = outer

    def _kept(self, work: Callable[[], Any], training: bool) -> Any:
        self.put_back()
        try:
            return work()
        except BaseException:
            if training:
                self.put_back()
            raise
        finally:
            # What an evaluation left when it failed is not to be written.
            keras_private.forget_jax_state(self._model)
