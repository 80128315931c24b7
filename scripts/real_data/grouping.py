"""Which rows belong together, and which of them are held out for testing."""

import hashlib
from collections.abc import Hashable, Iterable, Sequence

# Fraction of the groups that is held out.
TESTED = 0.2


def linked(
    groups: Sequence[str], keys: Sequence[Iterable[Hashable]]
) -> list[str]:
    """Join groups of which rows share a key.

    Args:
        groups: Group of each row.
        keys: What each row has, such as its text: other rows with the same
            are copies of it, or nearly.

    Returns:
        The group of each row: of joined ones, the first by the alphabet.
    """
    above: dict[Hashable, Hashable] = {}

    def top(item: Hashable) -> Hashable:
        while above.setdefault(item, item) != item:
            above[item] = above[above[item]]
            item = above[item]
        return item

    for group, own in zip(groups, keys):
        for key in own:
            above[top(("key", key))] = top(group)
    names: dict[Hashable, str] = {}
    for group in groups:
        names[top(group)] = min(group, names.get(top(group), group))
    return [names[top(group)] for group in groups]


def split_of(group: str) -> str:
    """The split of a group, which does not depend on the others.

    Args:
        group: Its name.

    Returns:
        `"train"` or `"test"`.
    """
    digest = hashlib.blake2b(group.encode(), digest_size=8).digest()
    is_tested = int.from_bytes(digest, "little") < TESTED * 2**64
    return "test" if is_tested else "train"
