"""Figures in place of the files that they would be written to."""

import contextlib

import matplotlib.pyplot as plt


@contextlib.contextmanager
def kept(monkeypatch, module, writer):
    """A list that a module's figures go to; they are closed at the end.

    Args:
        monkeypatch: Pytest's.
        module: The module that draws.
        writer: Name of its function that writes a figure to a path.
    """
    drawn = []
    monkeypatch.setattr(
        module, writer, lambda figure, path, **options: drawn.append(figure)
    )
    yield drawn
    plt.close("all")
