"""A function as its backend compiles it."""

import functools

import keras


def compiled(function):
    """`function`, compiled on JAX and TensorFlow.

    Args:
        function: Takes arrays, returns tensors, and changes no variable.
    """
    if keras.config.backend() == "jax":
        import jax

        return jax.jit(function)
    if keras.config.backend() == "tensorflow":
        import tensorflow as tf

        return tf.function(function, jit_compile=True)
    return function


def in_one(layer, function=None, **options):
    """`layer(..., **options)` as one program on JAX, eager elsewhere.

    An eager call compiles each operation by itself on JAX, for each shape that
    it meets: several times the work.

    Args:
        layer: A layer that is built. Its state follows; what it adds as losses
            is known in `function` only.
        function: What to call instead, which changes variables of `layer` only.
        **options: Arguments of the call that are no arrays.

    Returns:
        A function of the other arguments. It keeps the program: call it again
        for inputs of the same shapes.
    """
    function = functools.partial(function or layer, **options)
    if keras.config.backend() != "jax":
        return function
    state, rest = _state_and_rest(layer)
    program = _jax_program(function, [*state, *rest], len(state))

    def run(*args, **arrays):
        values = [v.value for v in (*state, *rest)]
        result, after = program(values, args, arrays)
        for variable, value in zip(state, after, strict=True):
            variable.assign(value)
        return result

    return run


def _state_and_rest(layer):
    """Variables that a call may change, and the others, each one once."""
    state = {
        id(v): v
        for v in (*layer.non_trainable_variables, *layer.metrics_variables)
    }
    rest = {id(v): v for v in layer.variables if id(v) not in state}
    return list(state.values()), list(rest.values())


def _jax_program(function, variables, num_states):
    import jax

    def stateless(values, args, arrays):
        mapping = list(zip(variables, values, strict=True))
        # The scope collects losses, or tracers would stay in the layer.
        with keras.StatelessScope(mapping, collect_losses=True) as scope:
            result = function(*args, **arrays)
        return result, [
            scope.get_current_value(v) for v in variables[:num_states]
        ]

    return jax.jit(stateless)
