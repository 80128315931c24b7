"""Draw docs/images/one_task_per_step.png, the diagram of the README.

    python scripts/draw_readme_picture.py

Needs matplotlib only. The sequence of steps is drawn by the default schedule's
rule, weighted random draws, with a fixed seed.
"""

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "images"

INK = "#1f2933"
GRAY = "#c3cad3"
PALE = "#f3f5f8"
# Okabe and Ito's palette, which color-blind readers can tell apart.
TASKS = [
    ("objects", "images, classes", "#0072b2", "Classification", ["vision"]),
    (
        "captions",
        "images, text",
        "#d55e00",
        "Contrastive",
        ["vision", "text"],
    ),
    ("sounds", "audio, classes", "#009e73", "Classification", ["audio"]),
    ("clips", "videos, text", "#b4548f", "Contrastive", ["vision", "text"]),
]
EMBEDDERS = [
    ("vision", "images, videos"),
    ("audio", "audio"),
    ("text", "text"),
]
ACTIVE = 1
WEIGHTS = [3, 3, 2, 2]
STEPS = 17
ROWS = [38.0, 29.5, 21.0, 12.5]
EMBEDDER_ROWS = {"vision": 35.5, "audio": 25.25, "text": 15.0}


def box(axis, x, y, width, height, face, edge, line=1.2, radius=0.9):
    """A rounded box around a center."""
    axis.add_patch(
        FancyBboxPatch(
            (x - width / 2, y - height / 2),
            width,
            height,
            boxstyle=f"round,pad=0,rounding_size={radius}",
            facecolor=face,
            edgecolor=edge,
            linewidth=line,
        )
    )


def arrow(axis, start, end, color, line):
    """An arrow with a slight bend."""
    axis.add_patch(
        FancyArrowPatch(
            start,
            end,
            connectionstyle="arc3,rad=0",
            arrowstyle="-|>",
            mutation_scale=9 + 2 * line,
            color=color,
            linewidth=line,
            shrinkA=0,
            shrinkB=0,
            zorder=3 if color != GRAY else 1,
        )
    )


def draw_tasks(axis, x):
    """Each task with its data; the one of the current step is filled."""
    for row, (name, data, color, _, _) in enumerate(TASKS):
        active = row == ACTIVE
        y = ROWS[row]
        face = color if active else "white"
        box(axis, x, y, 17, 6.6, face, color, 2.2 if active else 1.4)
        ink = "white" if active else INK
        axis.text(
            x, y + 1.1, name, color=ink, ha="center", va="center", weight="bold"
        )
        axis.text(
            x, y - 1.5, data, color=ink, ha="center", va="center", fontsize=8.5
        )


def draw_embedders(axis, x):
    """One embedder for each kind of input."""
    active = TASKS[ACTIVE][4]
    for name, label in EMBEDDERS:
        used = name in active
        edge = TASKS[ACTIVE][2] if used else GRAY
        box(
            axis,
            x,
            EMBEDDER_ROWS[name],
            14,
            5.4,
            "white",
            edge,
            2.0 if used else 1.2,
        )
        axis.text(
            x,
            EMBEDDER_ROWS[name],
            label,
            color=INK if used else "#7b8794",
            ha="center",
            va="center",
            fontsize=9,
        )


def draw_encoder(axis, x):
    """The shared stack of blocks."""
    color = TASKS[ACTIVE][2]
    box(axis, x, 25.25, 25, 33, PALE, color, 2.2)
    axis.text(
        x,
        38.4,
        "one shared encoder",
        ha="center",
        va="center",
        weight="bold",
        fontsize=10.5,
        color=INK,
    )
    blocks = [
        ("attention", 13.0),
        ("feed-forward", 17.8),
        ("attention", 25.2),
        ("experts", 30.0),
    ]
    for label, y in blocks:
        box(axis, x, y, 18, 3.6, "white", "#9aa5b1", 1.0, 0.5)
        if label != "experts":
            axis.text(
                x,
                y,
                label,
                ha="center",
                va="center",
                fontsize=8.5,
                color=INK,
            )
            continue
        for column in range(4):
            box(
                axis,
                x - 6.3 + 4.2 * column,
                y,
                3.3,
                2.2,
                "#e4e7eb",
                "#9aa5b1",
                0.8,
                0.3,
            )
        axis.text(
            x,
            y + 3.4,
            "feed-forward, or a mixture of experts",
            ha="center",
            va="center",
            fontsize=7.5,
            color="#52606d",
        )
    axis.text(
        x, 21.6, "...", ha="center", va="center", color="#7b8794", weight="bold"
    )


def draw_heads(axis, x):
    """A head, a loss and metrics for each task."""
    for row, (_, _, color, head, _) in enumerate(TASKS):
        active = row == ACTIVE
        box(
            axis,
            x,
            ROWS[row],
            16,
            5.4,
            "white",
            color if active else GRAY,
            2.0 if active else 1.2,
        )
        axis.text(
            x,
            ROWS[row],
            head,
            ha="center",
            va="center",
            fontsize=9,
            color=INK if active else "#7b8794",
        )


def draw_arrows(axis, tasks, embedders, encoder, heads):
    """Which way the data of each task goes; the current step's in color."""
    order = [row for row in range(len(TASKS)) if row != ACTIVE] + [ACTIVE]
    for row in order:
        active = row == ACTIVE
        color = TASKS[row][2] if active else GRAY
        line = 2.2 if active else 0.9
        for name in TASKS[row][4]:
            start = (tasks + 8.6, ROWS[row])
            arrow(
                axis, start, (embedders - 7.3, EMBEDDER_ROWS[name]), color, line
            )
            y = EMBEDDER_ROWS[name]
            if active:
                arrow(
                    axis,
                    (embedders + 7.2, y),
                    (encoder - 12.8, y),
                    color,
                    line,
                )
        arrow(
            axis,
            (encoder + 12.6, ROWS[row]),
            (heads - 8.3, ROWS[row]),
            color,
            line,
        )
    y = EMBEDDER_ROWS["audio"]
    arrow(axis, (embedders + 7.2, y), (encoder - 12.8, y), GRAY, 0.9)


def draw_update(axis, heads):
    """The end of the current step."""
    color = TASKS[ACTIVE][2]
    y = ROWS[ACTIVE]
    arrow(axis, (heads + 8.2, y), (heads + 12.2, y), color, 2.2)
    axis.text(
        heads + 12.9,
        y,
        "loss, gradient,\nupdate of the\ncolored parts",
        ha="left",
        va="center",
        fontsize=9,
        color=color,
        weight="bold",
    )


def draw_steps(axis, left, right):
    """The sequence of steps, one task each."""
    generator = np.random.default_rng(56)
    drawn = generator.choice(
        len(TASKS), STEPS, p=np.array(WEIGHTS) / sum(WEIGHTS)
    )
    current = int(np.flatnonzero(drawn == ACTIVE)[1])
    axis.text(
        left,
        2.6,
        "one task per step",
        ha="left",
        va="center",
        weight="bold",
        fontsize=10.5,
        color=INK,
    )
    first = left + 21
    pitch = (right - first - 11) / STEPS
    for step, task in enumerate(drawn):
        x = first + pitch * (step + 0.5)
        is_current = step == current
        size = 4.4 if is_current else 3.2
        edge = INK if is_current else "white"
        box(axis, x, 2.6, size, size, TASKS[task][2], edge, 1.8, 0.6)
    axis.text(
        right - 4.6,
        2.6,
        "steps",
        ha="left",
        va="center",
        fontsize=9,
        color="#52606d",
    )
    arrow(axis, (right - 8.4, 2.6), (right - 5.2, 2.6), "#7b8794", 1.2)


def main():
    """Draw the diagram and write the PNG."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--out", type=Path, default=FOLDER / "one_task_per_step.png"
    )
    path = parser.parse_args().out
    plt.rcParams["font.family"] = "DejaVu Sans"
    plt.rcParams["font.size"] = 10
    figure, axis = plt.subplots(figsize=(11, 4.6), dpi=150)
    axis.set_xlim(0, 118)
    axis.set_ylim(-0.6, 46.4)
    axis.axis("off")
    tasks, embedders, encoder, heads = 10.0, 34.0, 61.0, 87.5
    titles = [
        (tasks, "tasks and their data"),
        (embedders, "embedders"),
        (heads, "task heads"),
    ]
    for x, title in titles:
        axis.text(
            x,
            44.6,
            title,
            ha="center",
            va="center",
            fontsize=9.5,
            color="#52606d",
        )
    draw_arrows(axis, tasks, embedders, encoder, heads)
    draw_tasks(axis, tasks)
    draw_embedders(axis, embedders)
    draw_encoder(axis, encoder)
    draw_heads(axis, heads)
    draw_update(axis, heads)
    draw_steps(axis, 1.5, 116.5)
    figure.subplots_adjust(0.005, 0.01, 0.995, 0.99)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, facecolor="white")
    print(path)


if __name__ == "__main__":
    main()
