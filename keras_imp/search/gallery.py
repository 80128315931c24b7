"""What a search found, as one image."""

from pathlib import Path

from keras_imp.data.decoding.errors import BadFile
from keras_imp.evaluation.figures import AS_IT_IS, new_figure, save_figure
from keras_imp.search.index import Hit
from keras_imp.search.previews import small

COLUMNS, INCHES = 6, 1.7
LONGEST = 24


def plot_hits(title: str, hits: list[Hit], path: str | Path) -> None:
    """Draw the images that a search found, the nearest first.

    Args:
        title: What was looked for.
        hits: What `Index.search` found for one query.
        path: PNG to write.

    Raises:
        ImportError: If `matplotlib` is not installed.
    """
    rows = -(-len(hits) // COLUMNS)
    size = (INCHES * COLUMNS, 0.5 + (INCHES + 0.35) * rows)
    figure, axes = new_figure(rows, COLUMNS, size)
    figure.suptitle(title, **AS_IT_IS)
    for axis in axes:
        axis.axis("off")
    for axis, hit in zip(axes, hits):
        file = hit.item["file"]
        try:
            axis.imshow(small(Path(file)))
        except (TypeError, BadFile):
            # In an archive, or gone since it was embedded.
            axis.text(
                0.5, 0.5, "no file", ha="center", transform=axis.transAxes
            )
        name = name_of(hit)
        if len(name) > LONGEST:
            name = name[: LONGEST - 1] + "…"
        axis.set_title(f"{name}\n{hit.similarity:.3f}", fontsize=8, **AS_IT_IS)
    save_figure(figure, path)


def name_of(hit: Hit) -> str:
    """What to call an item: its text, its label, or its file."""
    text = hit.item.get("text") or hit.item.get("label") or hit.item["name"]
    return str(text[0] if isinstance(text, list | tuple) else text)
