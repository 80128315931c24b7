"""Counted work of the two dispatch forms, where it cannot be timed here.

Per token, forward pass of dispatch and combine, bfloat16, capacity factor 1,
group of s tokens, width d (the experts' own work is the same in both):

- one-hot: two products of (s x s) with (s x d): 4 s d operations; it reads the
  matrix twice and moves tokens and slots once each way.
- gather: no arithmetic to speak of; a row is read and written on each way, and
  the scatter-add reads what it adds to.

The time of each on a device is bounded below by operations / peak and by
bytes / bandwidth; the table takes the larger of the two for the one-hot form.
"""

import _timing

WIDTH, HIDDEN = 768, 3072
BYTES = 2
# Peak of dense bfloat16 products and memory bandwidth, from the makers' sheets.
DEVICES = {
    "H100 SXM": (989e12, 3.35e12),
    "A100 80GB": (312e12, 2.04e12),
    "TPU v4": (275e12, 1.23e12),
}
GROUPS = (64, 128, 196, 256, 512, 1024, 2048, 4096)


def work(group: int) -> dict:
    """Operations and bytes per token of both forms.

    Args:
        group: Tokens of a group.

    Returns:
        `flops` and `bytes` by form, and the share of the experts' operations
        that the one-hot products add.
    """
    experts = 4 * WIDTH * HIDDEN
    one_hot = 4 * group * WIDTH
    return {
        "one_hot_flops": one_hot,
        "one_hot_bytes": BYTES * (4 * WIDTH + 2 * group),
        "gather_bytes": BYTES * 5 * WIDTH,
        "one_hot_share_of_experts": round(one_hot / experts, 3),
    }


def times(group: int, peak: float, bandwidth: float) -> tuple[float, float]:
    """Least nanoseconds per token of the one-hot form and of the gather.

    Args:
        group: Tokens of a group.
        peak: Operations per second.
        bandwidth: Bytes per second.

    Returns:
        The two times.
    """
    counts = work(group)
    one_hot = max(
        counts["one_hot_flops"] / peak, counts["one_hot_bytes"] / bandwidth
    )
    return one_hot * 1e9, counts["gather_bytes"] / bandwidth * 1e9


def work_table() -> list[dict]:
    """Print the table and return its rows."""
    records, rows = [], []
    for group in GROUPS:
        record: dict = {"group": group, **work(group)}
        cells = [str(group), *(str(v) for v in list(record.values())[1:])]
        for device, limits in DEVICES.items():
            one_hot, gather = times(group, *limits)
            record[device] = {
                "one_hot_ns": round(one_hot, 2),
                "gather_ns": round(gather, 2),
            }
            cells.append(f"{one_hot:.1f} / {gather:.1f}")
        records.append(record)
        rows.append(cells)
    header = ["group", "one-hot flop", "B", "gather B", "of experts", *DEVICES]
    title = (
        f"\nDispatch and combine per token, d={WIDTH}: counted, and the least "
        "ns one-hot / gather"
    )
    print(_timing.table(title, header, rows))
    return records
