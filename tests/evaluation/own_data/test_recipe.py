"""A recipe says what it means, and each wrong key is told with its place."""

import dataclasses
import re
from pathlib import Path

import pytest

from keras_imp.evaluation.own_data.recipe import (
    DataRecipe,
    RecipeError,
    Sizes,
    TaskRecipe,
)

pytestmark = pytest.mark.one_backend


def read(tmp_path, text):
    (tmp_path / "recipe.toml").write_text(text)
    return DataRecipe.read(tmp_path / "recipe.toml")


def test_paths_start_in_the_folder_of_the_recipe(tmp_path):
    recipe = read(
        tmp_path,
        'tokenizer = "t.json"\n[tasks.a]\ndata = "a.csv"\nroot = "files"\n'
        '[tasks.b]\ndata = "/b"\n',
    )
    assert recipe.tasks["a"].data == str(tmp_path / "a.csv")
    assert recipe.tasks["a"].root == str(tmp_path / "files")
    assert recipe.tasks["b"].data == "/b"
    assert recipe.tokenizer == str(tmp_path / "t.json")


def test_what_is_saved_is_read_again(tmp_path):
    task = TaskRecipe(
        "/data",
        kind="contrastive",
        inputs=("image", "text"),
        columns={"text": 'a "name"', "label": ""},
        weight=2.5,
        augment=False,
    )
    recipe = DataRecipe(
        {"photos": task},
        steps=7,
        learning_rate=0.001,
        sizes=Sizes(image=(32, 48), audio_seconds=1.5),
    )
    recipe.save(tmp_path / "recipe.toml")
    assert DataRecipe.read(tmp_path / "recipe.toml") == recipe
    text = (tmp_path / "recipe.toml").read_text()
    assert "image = [32, 48]\n" in text
    assert 'inputs = ["image", "text"]\n' in text


def test_every_field_has_a_rule(tmp_path):
    for of in (DataRecipe, TaskRecipe, Sizes):
        for field in dataclasses.fields(of):
            if field.name in ("tasks", "sizes"):
                continue
            lines = {
                DataRecipe: f"{field.name} = [[]]\n",
                Sizes: f"[sizes]\n{field.name} = [[]]\n",
                TaskRecipe: f'[tasks.a]\ndata = "a"\n{field.name} = [[]]\n',
            }
            if field.name == "data":
                lines[TaskRecipe] = "[tasks.a]\ndata = [[]]\n"
            with pytest.raises(RecipeError, match=f"{field.name}` must be "):
                read(tmp_path, lines[of])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("stepz = 3", "Did you mean 'steps'?"),
        (
            "[sizes]\nimages = [1, 1]",
            "key='sizes.images'. Did you mean 'image'",
        ),
        ("[tasks.a]\ndata = 'a'\nkidn = 'x'", "key='tasks.a.kidn'"),
        ("[tasks.a]\nkind = 'x'", "must have `data`"),
        (
            "[tasks.a]\ndata = 'a'\nkind = 'cls'",
            "`tasks.a.kind` must be one of",
        ),
        ("[tasks.'a/b']\ndata = 'a'", "ASCII letters"),
        ("tasks = 3", "`tasks` must be a table. Received: recipe="),
        ("steps = true", "`steps` must be an integer of at least 1."),
        ("learning_rate = nan", "`learning_rate` must be a number above 0."),
        ("encoder = 3", "`encoder` must be a text"),
        ("steps = ", "A recipe must be a TOML file that can be read."),
        ("seed = 4294967296", "at most 4294967295"),
        (
            "[tasks.a]\ndata = 'a'\n[tasks.a.columns]\nlabl = 'x'",
            "a table from some of 'image'",
        ),
    ],
)
def test_what_is_wrong_is_told_with_file_and_key(tmp_path, text, told):
    with pytest.raises(RecipeError, match=re.escape(told)) as error:
        read(tmp_path, text)
    assert str(tmp_path / "recipe.toml") in str(error.value)


def test_a_recipe_that_is_not_there_is_told(tmp_path):
    with pytest.raises(RecipeError, match="No such file"):
        DataRecipe.read(tmp_path / "none.toml")


def test_the_recipe_of_the_guide_can_be_read(tmp_path):
    guide = Path(__file__).parents[3] / "docs" / "guides" / "own_data.md"
    (text,) = re.findall(r"```toml\n(.*?)```", guide.read_text(), re.DOTALL)
    recipe = read(tmp_path, text)
    assert list(recipe.tasks) == ["photos", "audio", "species"]
    assert recipe.weights == {"photos": 4, "audio": 1, "species": 1.0}


def test_the_guide_names_every_key():
    guide = Path(__file__).parents[3] / "docs" / "guides" / "own_data.md"
    section = guide.read_text().split("### The recipe")[1].split("###")[0]
    for of in (DataRecipe, TaskRecipe, Sizes):
        for field in dataclasses.fields(of):
            assert re.search(rf"\b{field.name}\b", section), field.name
