"""Cut a batch of tokens into the groups in which tokens compete for slots."""

from typing import NamedTuple

from keras import ops

from keras_imp._errors import message
from keras_imp.typing import Tensor

# Tokens of a group in the first implementation: docs/method.md, Mixture of
# experts.
IMP_GROUP_SIZE = 2048


class Groups(NamedTuple):
    """Tokens in groups.

    Attributes:
        tokens: Shape `(groups, size, hidden_dim)`.
        padding_mask: True where a token is real, shape `(groups, size)`; None
            if all are.
    """

    tokens: Tensor
    padding_mask: Tensor | None


def group(
    tokens: Tensor, padding_mask: Tensor | None, group_size: int | None
) -> Groups:
    """Cut tokens into groups; the last one is filled up with padding.

    Args:
        tokens: Shape `(batch, tokens, hidden_dim)`.
        padding_mask: True where a token is real, shape `(batch, tokens)`.
        group_size: Tokens of a group, over the borders of examples; None for
            one group per example.

    Returns:
        The groups.
    """
    if group_size is None:
        return Groups(tokens, padding_mask)
    width = tokens.shape[-1]
    rows = ops.reshape(tokens, (-1, width))
    batch, length = tokens.shape[:2]
    count = batch * length if batch and length else ops.shape(rows)[0]
    # JAX knows of this form that groups divide the sum, of a symbol too, and
    # ONNX divides no negative number right.
    rest = (count + group_size - 1) // group_size * group_size - count
    if padding_mask is not None:
        real = ops.reshape(ops.cast(padding_mask, "bool"), (-1,))
    elif isinstance(rest, int) and rest == 0:
        real = None
    else:
        real = ops.ones((count,), dtype="bool")
    if not (isinstance(rest, int) and rest == 0):
        rows = ops.concatenate([rows, ops.zeros((rest, width), rows.dtype)])
        real = ops.concatenate([real, ops.zeros((rest,), "bool")])
    return Groups(
        ops.reshape(rows, (-1, group_size, width)),
        None if real is None else ops.reshape(real, (-1, group_size)),
    )


def ungroup(grouped: Tensor, like: Tensor, group_size: int | None) -> Tensor:
    """Undo `group`.

    Args:
        grouped: Shape `(groups, size, width)`.
        like: The tokens that `group` was given.
        group_size: As given to `group`.

    Returns:
        Shape `(batch, tokens, width)`.
    """
    if group_size is None:
        return grouped
    batch, length = ops.shape(like)[:2]
    rows = ops.reshape(grouped, (-1, grouped.shape[-1]))[: batch * length]
    return ops.reshape(rows, (batch, length, grouped.shape[-1]))


def check_known(tokens: Tensor, group_size: int | str | None) -> None:
    """Raise unless the number of tokens that the capacity needs is known.

    Args:
        tokens: Shape `(batch, tokens, hidden_dim)`.
        group_size: As given to the layer.

    Raises:
        ValueError: If it is known only at run time.
    """
    needed = ()
    if group_size is None:
        needed = tokens.shape[1:2]
    elif group_size == "batch":
        needed = tokens.shape[:2]
    if None in needed:
        raise ValueError(
            message(
                "The size of a group must be known when the model is built: "
                "it decides how many slots an expert has.",
                "Give inputs of a known size, or set `group_size` to a number "
                "of tokens.",
                shape=tuple(tokens.shape),
                group_size=group_size,
            )
        )


def imp_group_size(num_tokens: int, num_experts: int) -> int:
    """Tokens of a group as the first implementation chooses them.

    On one device. Where no number of groups divides the tokens, it raises an
    error; here the tokens are filled up to the next multiple of the experts.

    Args:
        num_tokens: Tokens of the batch.
        num_experts: Number of experts.

    Returns:
        The group size.

    Reference:
        docs/method.md, Mixture of experts.
    """
    padded = -(-num_tokens // num_experts) * num_experts
    groups = max(padded // IMP_GROUP_SIZE, num_experts)
    while padded % groups or groups % num_experts:
        groups += 1
    return padded // groups
