import numpy as np
import pytest

from keras_imp.evaluation import gallery, plot_retrieval
from tests.helpers.figures import kept

pytestmark = pytest.mark.one_backend

# Two queries, five images of one gray each.
IMAGES = np.arange(5, dtype="uint8")[:, None, None, None] * np.ones(
    (1, 2, 2, 3), "uint8"
)
SIMILARITIES = np.array([[0.1, 0.9, 0.3, 0.2, 0.0], [0.5, 0.4, 0.3, 0.2, 0.1]])
RELEVANT = np.array([[0, 0, 1, 1, 0], [0, 0, 0, 0, 1]], bool)


@pytest.fixture
def draw(monkeypatch):
    """From arguments to the figure."""
    with kept(monkeypatch, gallery, "write_figure") as figures:

        def draw(*arguments, **options):
            plot_retrieval(*arguments, "unused.png", **options)
            figure = figures.pop()
            figure.canvas.draw()
            return figure

        yield draw


def images_of(figure):
    """The gray of each image, whether it is framed, and its sign."""
    return [
        (
            int(axis.images[0].get_array()[0, 0, 0]),
            axis.spines["left"].get_linewidth() > 1,
            [text.get_text() for text in axis.texts],
        )
        for axis in figure.axes
    ]


def test_right_answers_have_a_frame_and_a_sign(draw):
    figure = draw(["a", "b"], IMAGES, SIMILARITIES, RELEVANT, top=3)
    right, other = (True, ["✓"]), (False, [])
    assert images_of(figure) == [
        (1, *other),
        (2, *right),
        (3, *right),
        (0, *other),
        (1, *other),
        (2, *other),
        # Not among the nearest: apart.
        (4, *right),
        # The legend.
        (245, *right),
        (245, *other),
    ]


def test_the_rank_of_the_first_right_answer_is_told(draw):
    figure = draw(["a", "b"], IMAGES, SIMILARITIES, RELEVANT, top=3)
    texts = [text.get_text() for text in figure.texts]
    assert "“a” – right answer: rank 2 of 5" in texts
    assert "“b” – right answer: rank 5 of 5" in texts
    nothing = np.zeros_like(RELEVANT)
    figure = draw(["a", "b"], IMAGES, SIMILARITIES, nothing)
    texts = [text.get_text() for text in figure.texts]
    assert "“a” – no right answer" in texts


@pytest.mark.parametrize("top", [1, 5, 50])
@pytest.mark.parametrize("word", ["WWWW", "a", "$x_$", "W" * 300])
def test_nothing_is_cut_off_or_drawn_over_another(draw, top, word):
    query = " ".join([word] * 60)
    figure = draw([query, "b"], IMAGES, SIMILARITIES, RELEVANT, top=top)
    whole = figure.bbox
    boxes = [
        artist.get_window_extent()
        for artist in [*figure.texts, *(axis.patch for axis in figure.axes)]
    ]
    for box in boxes:
        assert whole.x0 <= box.x0 < box.x1 <= whole.x1
        assert whole.y0 <= box.y0 < box.y1 <= whole.y1
    for n, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[n + 1 :])


def test_shapes_that_do_not_match_are_refused(tmp_path):
    path = tmp_path / "x.png"
    with pytest.raises(ValueError, match=r"queries=1, images=5, similarities="):
        plot_retrieval(["a"], IMAGES, SIMILARITIES, RELEVANT, path)
    with pytest.raises(ValueError, match="at least one query"):
        plot_retrieval([], IMAGES, SIMILARITIES[:0], RELEVANT[:0], path)
    with pytest.raises(ValueError, match="top=0"):
        plot_retrieval(["a", "b"], IMAGES, SIMILARITIES, RELEVANT, path, top=0)
    assert not path.exists()
