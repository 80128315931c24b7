"""What is learned from which columns."""

import re

import pytest

from keras_imp.data import Manifest
from keras_imp.evaluation.own_data.inference import (
    Guess,
    RowsOfTasks,
    add_paths,
    guesses,
    infer,
)
from keras_imp.evaluation.own_data.recipe import (
    DataRecipe,
    RecipeError,
    TaskRecipe,
)

pytestmark = pytest.mark.one_backend


def columns(**given):
    return Manifest(
        {
            name: values if isinstance(values, list) else [values] * 4
            for name, values in given.items()
        }
    )


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (
            {"image": "a.png", "text": "a"},
            [("contrastive", ("image", "text"))],
        ),
        ({"image": "a.png", "label": "x"}, [("classification", ("image",))]),
        (
            {"image": "a.png", "text": "a", "label": "x"},
            [
                ("contrastive", ("image", "text")),
                ("classification", ("image",)),
            ],
        ),
        ({"text": "a", "label": "x"}, [("classification", ("text",))]),
        ({"video": "a.mp4"}, [("contrastive", ("video", "audio"))]),
        (
            {"audio": "a.wav", "label": [["x"], ["x", "y"], ["y"], ["x"]]},
            [("multi-label", ("audio",))],
        ),
        (
            {"audio": "a.wav", "label": [["x"], ["y"], ["y"], ["x"]]},
            [("classification", ("audio",))],
        ),
        (
            {"image": "a.png", "label": ["1.5", "2", "3", "4"]},
            [("regression", ("image",))],
        ),
        (
            {"image": "a.png", "label": ["1", "2", "1", "1.0"]},
            [("classification", ("image",))],
        ),
    ],
)
def test_tasks_follow_from_the_columns(given, found):
    assert guesses(columns(**given), "x") == [Guess(*each) for each in found]


def test_many_whole_numbers_with_few_rows_each_are_numbers():
    years = [str(1900 + number) for number in range(100)]
    (guess,) = guesses(columns(image=["a.png"] * 100, label=years), "x")
    assert guess.kind == "regression"
    (guess,) = guesses(columns(image=["a.png"] * 2000, label=years * 20), "x")
    assert guess.kind == "classification"


def test_one_column_alone_is_nothing_to_learn():
    with pytest.raises(RecipeError, match="two of image, video, audio, text"):
        guesses(columns(image="a.png"), "photos.csv")


def test_tasks_are_named_after_their_data(tmp_path):
    path = tmp_path / "my photos.csv"
    path.write_text("text,title,label\na,x,1\nb,y,2\n")
    rows_of = RowsOfTasks()
    recipe = add_paths(DataRecipe(), [path, path], {"text": "title"}, rows_of)
    assert list(recipe.tasks) == ["my_photos", "my_photos_2"]
    assert recipe.tasks["my_photos"].columns == {"text": "title"}


def test_a_table_without_a_name_of_its_own_is_named_after_its_folder(tmp_path):
    path = tmp_path / "birds" / "metadata.csv"
    path.parent.mkdir()
    path.write_text("text,label\na,x\nb,y\n")
    recipe = add_paths(DataRecipe(), [path], {}, RowsOfTasks())
    assert list(recipe.tasks) == ["birds"]


def test_a_recipe_keeps_what_it_says(tmp_path):
    manifest = columns(image="a.png", text="a", label="x")
    recipe = infer(
        DataRecipe(
            {
                "a": TaskRecipe("x", kind="classification", inputs=("text",)),
                "b": TaskRecipe("x", weight=5.0),
            }
        ),
        {"a": manifest, "b": manifest},
    )
    assert recipe.tasks["a"].inputs == ("text",)
    assert recipe.tasks["b"].kind == "contrastive"
    assert recipe.weights == {"a": 2.0, "b": 5.0}


@pytest.mark.parametrize(
    ("task", "told"),
    [
        (
            {"kind": "regression", "inputs": ("image",)},
            "Task 'a' needs columns that its data does not have. Received: "
            "missing=['label'], kind='regression'. There are: 'image', 'text'."
            " Name it in [tasks.a.columns].",
        ),
        (
            {"inputs": ("audio", "text")},
            "Received: missing=['audio']",
        ),
        (
            {"kind": "contrastive", "inputs": ("text",)},
            "A contrastive task has two inputs or more, any other has one.",
        ),
    ],
)
def test_what_the_data_cannot_be_used_for_is_told(task, told):
    recipe = DataRecipe({"a": TaskRecipe("x", **task)})
    with pytest.raises(RecipeError, match=re.escape(told)):
        infer(recipe, {"a": columns(image="a.png", text="a")})
