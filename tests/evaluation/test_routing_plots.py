import numpy as np
import pytest

from keras_imp.evaluation import figures as figures_module
from keras_imp.evaluation import plot_overlay, routing_plots
from tests.helpers.figures import kept

pytestmark = pytest.mark.one_backend


@pytest.fixture
def overlay(monkeypatch):
    """From the grid and the gates of an image to its axes."""
    with kept(monkeypatch, routing_plots, "save_figure") as figures:

        def overlay(grid, gates):
            images = np.zeros((1, 4 * grid[0], 2 * grid[1], 3), "uint8")
            plot_overlay(images, gates[None, None], grid, "x.png")
            return figures.pop().axes[1]

        yield overlay


def test_each_patch_has_the_number_of_its_expert(overlay):
    # Six tokens, three experts; no expert took the fourth token.
    gates = np.eye(3)[[0, 2, 1, 0, 1, 2]] * 0.5
    gates[3] = 0.0
    axis = overlay((2, 3), gates)
    numbers = {text.get_position(): text.get_text() for text in axis.texts}
    # Patches are 4 pixels high and 2 wide; a pixel's center is at its index.
    assert numbers == {
        (0.5, 1.5): "0",
        (2.5, 1.5): "2",
        (4.5, 1.5): "1",
        (2.5, 5.5): "1",
        (4.5, 5.5): "2",
    }


def test_small_patches_have_no_room_for_a_number(overlay):
    side = routing_plots.NUMBERED_PATCHES
    assert len(overlay((side, 1), np.ones((side, 2))).texts) == side
    assert not overlay((side + 1, 1), np.ones((side + 1, 2))).texts


@pytest.mark.parametrize(("images", "experts"), [(1, 3), (1, 64), (6, 16)])
def test_titles_and_legend_are_in_the_figure_beside_the_images(
    monkeypatch, images, experts
):
    with kept(monkeypatch, figures_module, "write_figure") as figures:
        pixels = np.zeros((images, 8, 8, 3), "uint8")
        gates = np.ones((images, 2, 4, experts))
        plot_overlay(pixels, gates, (2, 2), "x.png")
        figure = figures.pop()
        figure.canvas.draw()
        height = figure.bbox.height
        title = figure.axes[1].title.get_window_extent()
        legend = figure.legends[0].get_window_extent()
        assert title.y1 <= height
        assert legend.y0 >= 0
        assert legend.y1 <= figure.axes[-1].get_window_extent().y0
