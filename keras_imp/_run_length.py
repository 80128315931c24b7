"""How many steps a run of the command line takes: whole epochs."""

# Epochs of a run: how often it is validated.
EPOCHS = 10


def steps_of_epoch(steps: int) -> int:
    """Steps of each epoch of a run.

    Args:
        steps: Steps of the whole run.

    Returns:
        The number.

    Example:
        >>> from keras_imp._run_length import steps_of_epoch
        >>> steps_of_epoch(1800), steps_of_epoch(15)
        (180, 2)
    """
    return -(-steps // EPOCHS)


def whole_epochs(steps: int) -> int:
    """Steps of a run whose epochs are equally long.

    Args:
        steps: Steps that were asked for.

    Returns:
        The same, or up to nine more.

    Example:
        >>> from keras_imp._run_length import whole_epochs
        >>> whole_epochs(1800), whole_epochs(15), whole_epochs(16)
        (1800, 16, 16)
    """
    own = steps_of_epoch(steps)
    return -(-steps // own) * own
