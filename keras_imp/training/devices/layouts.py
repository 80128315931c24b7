"""Where the weights of an encoder lie on a mesh of devices (JAX).

`keras.distribution` divides the examples of a batch over the devices of the
mesh's first axis. This adds layouts for the weights: experts over an axis of
their own, and, if one device is too small for the dense layers, these over a
third one. All else (tables, embedders, norms, routers, heads) is everywhere.

    mesh = keras.distribution.DeviceMesh((2, 4), ("batch", "expert"))
    layouts = keras_imp.distribution.layout_map(mesh, experts="expert")
    keras.distribution.set_distribution(
        keras.distribution.ModelParallel(layout_map=layouts)
    )

Then make and compile the model, and `fit` it as on one device: the losses are
the same. A contrastive loss sees the negatives of the whole batch.

Several hosts (not tested): call `keras.distribution.initialize` first. The
schedule is a pure function of seed and step, so every process draws the same
task, if all have the same task names, schedule and seed. Each process gives its
own part of each batch: equal numbers of examples, and sources of equal length
with different examples. An adaptive schedule must see the same losses
everywhere, which it does: a step returns the whole batch's. Give
`BackupAndRestore` a folder that all processes see.
"""

import keras

from keras_imp._errors import message


def layout_map(
    device_mesh: keras.distribution.DeviceMesh,
    experts: str | None = "expert",
    model: str | None = None,
) -> keras.distribution.LayoutMap:
    """Layouts for `keras.distribution.ModelParallel`.

    The state of an optimizer lies where their weights do.

    Args:
        device_mesh: The mesh; its first axis is that of the examples.
        experts: Mesh axis over which each routed layer's experts are divided;
            its devices must divide the number of experts. None: all experts
            are on every device.
        model: Mesh axis over which the widths inside attention and
            feed-forward networks, those of experts too, are divided; its
            devices must divide `num_heads` and `intermediate_dim`. None: they
            are on every device.

    Returns:
        The layouts.

    Raises:
        ValueError: If the mesh does not have an axis.

    Example:
        >>> import keras, keras_imp
        >>> mesh = keras.distribution.DeviceMesh(
        ...     (1, 2), ("batch", "expert"), ["cpu:0", "cpu:1"])
        >>> layouts = keras_imp.distribution.layout_map(mesh)
        >>> layouts["body/sparse_stack/experts_expand_kernel"].axes
        (None, 'expert', None, None)

    Reference:
        docs/method.md, Known differences.
    """
    for argument, axis in (("experts", experts), ("model", model)):
        if axis is not None and axis not in device_mesh.axis_names:
            raise ValueError(
                message(
                    f"`{argument}` must be an axis of the mesh, one of "
                    f"{tuple(device_mesh.axis_names)}, or None.",
                    **{argument: axis},
                )
            )
    layouts = keras.distribution.LayoutMap(device_mesh)
    for pattern, axes in _layouts(experts, model).items():
        layouts[pattern] = axes
    return layouts


def _layouts(experts: str | None, model: str | None) -> dict[str, tuple]:
    """Axes by pattern of path.

    A layer that stands alone has ".../experts/expand_kernel"; a stack of layers
    has ".../sparse_stack/experts_expand_kernel", with a leading axis of layers.
    """
    columns, rows = (None, model), (model, None)
    alone: dict[str, tuple] = {
        "experts/expand_kernel": (experts, *columns),
        "experts/contract_kernel": (experts, *rows),
        "experts/expand_bias": (experts, *columns),
        "experts/contract_bias": (experts, None, None),
    }
    stacked: dict[str, tuple] = {
        "experts_expand_kernel": (experts, *columns),
        "experts_contract_kernel": (experts, *rows),
        "experts_expand_bias": (experts, *columns),
        "experts_contract_bias": (experts, None, None),
        "(query|key|value|expand)_kernel": columns,
        "(query|key|value|expand)_bias": (model,),
        "(output|contract)_kernel": rows,
    }
    # The low-rank updates of experts lie where the experts do.
    stacked |= {
        f"lora/lora_{factor}_experts_(expand|contract)_kernel": (
            experts,
            None,
            None,
        )
        for factor in "ab"
    }
    layouts = {f".*/{name}": axes for name, axes in alone.items()}
    for name, axes in stacked.items():
        layouts[f".*stack(_[0-9]+)?/{name}"] = (None, *axes)
    return layouts
