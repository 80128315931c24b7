import pytest

from keras_imp.training.monitoring import progress_text as text

pytestmark = pytest.mark.one_backend

LOGS = {
    "loss": 2.5,
    "objects/loss": 1.25,
    "objects/accuracy": 0.5,
    "captions/loss": 3.75,
    "captions/image_to_text_top_1": 0.125,
    "captions/text_to_image_top_1": 0.25,
    "routing/image/layer_3/confidence": 0.9,
    "val_loss": 2.0,
    "val_objects/loss": 1e-5,
    "val_captions/loss": float("nan"),
    "val_routing/image/layer_3/confidence": 0.9,
}
TASKS = ("objects", "captions")
HEAD = ["Epoch 1/2", "20/20", "5s", "120ms/step"]


def test_an_epoch_is_a_line_for_the_whole_and_one_for_each_task():
    assert text.table(HEAD, text.groups(LOGS, TASKS), 79) == [
        "Epoch 1/2  20/20  5s  120ms/step  loss 2.5000  val_loss 2.0000",
        "  objects   loss 1.2500  accuracy 0.5000  val_loss 1.0000e-05",
        "  captions  loss 3.7500  image_to_text_top_1 0.1250  "
        "text_to_image_top_1 0.2500",
        "            val_loss nan",
    ]


@pytest.mark.parametrize("columns", [200, 79, 60, 33, 10, 1])
def test_no_line_of_a_table_is_wider_than_its_room(columns):
    lines = text.table(HEAD, text.groups(LOGS), columns)
    assert max(map(len, lines)) <= columns
    if columns > 50:
        found = " ".join(" ".join(lines).split())
        for name, value in LOGS.items():
            if "routing" not in name:
                assert text.number(value) in found


def test_a_line_for_a_file_has_every_value():
    assert text.log_line(HEAD, text.groups(LOGS, TASKS)) == (
        "Epoch 1/2 - 20/20 - 5s - 120ms/step - loss 2.5000 - val_loss 2.0000 - "
        "objects: loss 1.2500, accuracy 0.5000, val_loss 1.0000e-05 - "
        "captions: loss 3.7500, image_to_text_top_1 0.1250, "
        "text_to_image_top_1 0.2500, val_loss nan"
    )


def test_values_of_the_validation_begin_a_line_if_one_is_not_enough():
    logs = {"a/loss": 1.0, "a/accuracy": 0.5}
    logs |= {f"val_{name}": value for name, value in logs.items()}
    groups = text.groups(logs)
    assert text.table(["Epoch"], groups, 50) == [
        "Epoch",
        "  a  loss 1.0000  accuracy 0.5000",
        "     val_loss 1.0000  val_accuracy 0.5000",
    ]
    assert text.table(["Epoch"], groups, 36)[1:] == [
        "  a  loss 1.0000  accuracy 0.5000",
        "     val_loss 1.0000",
        "     val_accuracy 0.5000",
    ]
    assert len(text.table(["Epoch"], groups, 80)) == 2


def test_the_line_of_a_running_epoch_shows_a_loss_for_each_task():
    assert text.losses(LOGS) == {
        "loss": 2.5,
        "objects": 1.25,
        "captions": 3.75,
        "val_objects": 1e-5,
        "val_captions": pytest.approx(float("nan"), nan_ok=True),
    }


def test_the_loss_of_all_tasks_comes_first_whatever_their_names():
    logs = {"captions/loss": 1.0, "loss": 2.0}
    assert list(text.losses(logs)) == ["loss", "captions"]


def test_the_loss_of_a_part_is_not_that_of_its_task():
    logs = {"all/loss": 3.0, "all/kind/loss": 1.0}
    assert text.losses(logs) == {"all": 3.0}
    assert text.groups(logs)["all"] == [("loss", 3.0), ("kind/loss", 1.0)]


@pytest.mark.parametrize("columns", [200, 79, 50, 49, 30, 5])
@pytest.mark.parametrize("target", [20, None])
def test_the_line_of_a_running_epoch_fits_its_room(columns, target):
    shown = text.items({f"task_{i}": float(i) for i in range(20)})
    line = text.live_line("Epoch 1/2", 7, target, "3s", shown, columns)
    assert len(line) <= columns
    # An item is there as a whole or not at all.
    if columns > 30:
        assert line.split("  ")[-1] in ["3s", *shown]


def test_the_bar_grows_with_the_steps():
    def bar(steps):
        line = text.live_line("", steps, 20, "1s", [], 79)
        return line.count("━"), line.count("─")

    assert [bar(steps) for steps in (0, 10, 20, 21)] == [
        (0, 12),
        (6, 6),
        (12, 0),
        (12, 0),
    ]


def test_time_leaves_out_the_first_step_which_compiles():
    clock = text.Clock(100.0)
    clock.step(1, 160.0)
    assert clock.left(11) == "10:00"
    clock.step(2, 161.0)
    clock.step(3, 162.0)
    assert clock.left(11) == "8s"
    assert clock.left(None) == "1:02"
    assert clock.spent(170.0) == ["1:10", "1.0s/step"]


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.00123, "1.2ms"), (0.123, "123ms"), (5.054, "5.1s"), (20.0, "20s")],
)
def test_the_time_of_a_step_has_a_unit_that_fits(seconds, shown):
    clock = text.Clock(0.0)
    clock.step(1, seconds)
    assert clock.spent(seconds)[1] == f"{shown}/step"


def test_steps_without_an_end_are_counted():
    assert text.count(7, None) == "7 steps"
    assert text.count(7, 100) == "  7/100"
