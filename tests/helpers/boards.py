"""What TensorBoard reads in a folder."""


def scalars(folder):
    """`{tag: [(step, value), ...]}` of a run."""
    events = _events(folder)
    return {
        tag: [(e.step, e.value) for e in events.Scalars(tag)]
        for tag in events.Tags()["scalars"]
    }


def images(folder):
    """Tags of the images of a run."""
    return _events(folder).Tags()["images"]


def _events(folder):
    # It takes a second to import, and few tests need it.
    from tensorboard.backend.event_processing import event_accumulator

    events = event_accumulator.EventAccumulator(str(folder))
    events.Reload()
    return events


def tensor_tags(folder):
    """Tags of what `keras.callbacks.TensorBoard` wrote."""
    return _events(folder).Tags()["tensors"]
