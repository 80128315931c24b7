"""The package and the example of a package of presets, as pip installs them.

Both are built as wheels and installed into a virtual environment that has the
other packages of this one, but not the source tree.
"""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

import keras_imp
from keras_imp.data import Tokenizer
from keras_imp.models.presets import BUILT_IN_FOLDERS
from tests.helpers.preset_packages import HOSTILE
from tests.helpers.weights import to_numpy

pytestmark = pytest.mark.one_backend

ROOT = Path(__file__).parents[1]
BACKENDS = ("jax", "tensorflow")
FILES = (
    "README.md",
    "config.json",
    "metadata.json",
    "model.weights.h5",
    "preprocessor.json",
    "tokenizer.json",
)
CARD = "---\nlicense: cc0-1.0\n---\n# Untrained\n\nFor a test: not trained.\n"
CODE = """
import json, sys
import numpy as np
import keras_imp
name = "garden/untrained"
encoder = keras_imp.IMPEncoder.from_preset(name)
preprocessor = keras_imp.IMPPreprocessor.from_preset(name)
images = np.load(sys.argv[1])["images"]
x = preprocessor({"image": images, "text": ["a red square"] * len(images)})
features = encoder.predict(x, verbose=0)
np.savez(sys.argv[2], **{k: v["pooled_output"] for k, v in features.items()})
print(json.dumps({
    "file": keras_imp.__file__,
    "path": sys.path,
    "dtypes": sorted({v.dtype for v in encoder.weights}),
    "presets": list(keras_imp.list_presets()),
    "imported": sorted(name for name in sys.modules if "garden" in name),
    "keras_hub": "keras_hub" in sys.modules,
}))
"""
# Emoji of concepts that were not trained on, which the wheel has too.
ZERO_SHOT = """
import json
import numpy as np
import keras_imp
from keras_imp.models.presets import BUILT_IN_FOLDERS
emoji = keras_imp.data.playground.load("validation").emoji
names = sorted(set(emoji.categories))
words = [name.lower().replace("&", "and") for name in names]
labels = np.array([names.index(name) for name in emoji.categories])
found = {}
for preset in BUILT_IN_FOLDERS:
    model = keras_imp.AlternatingModel.from_preset(preset)
    inputs = keras_imp.IMPPreprocessor.from_preset(preset)
    classify = keras_imp.ZeroShotClassifier(
        model, "captions/texts", words, tokenizer=inputs.tokenizer)
    report = classify.evaluate({"image": emoji.images}, labels)
    found[preset] = report["accuracy"]
print(json.dumps(found))
"""


class Installed(NamedTuple):
    """Both wheels, and an environment that has them."""

    folder: Path
    wheels: dict[str, Path]
    python: Path
    expected: dict[str, np.ndarray]


def run(*command, **environment):
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    result = subprocess.run(
        [str(part) for part in command],
        cwd=command[0].parent if isinstance(command[0], Path) else None,
        env={**kept, **environment},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def colored_squares(rng):
    """Four red and four blue images of a little noise each."""
    images = rng.integers(0, 40, (8, 20, 24, 3), dtype="uint8")
    images[:4, ..., 0] += 200
    images[4:, ..., 2] += 200
    return images


def save_preset(folder, images):
    """An encoder with its inputs, and what it gives."""
    tokenizer = Tokenizer.train(["a red square", "a blue one"], 60, length=4)
    encoder = keras_imp.IMPEncoder(
        hidden_dim=16,
        intermediate_dim=32,
        num_layers=2,
        num_heads=2,
        modalities=("image", "text"),
        vocabulary_size=tokenizer.vocabulary_size,
        patch_size=(4, 4, 4),
        max_sequence_length=8,
        num_experts=2,
        num_moe_layers=1,
    )
    preprocessor = keras_imp.IMPPreprocessor.for_encoder(
        encoder, image=(16, 16), tokenizer=tokenizer
    )
    encoder.save_to_preset(
        folder, preprocessor=preprocessor, card=CARD, weights_dtype="float16"
    )
    rounded = keras_imp.IMPEncoder.from_preset(folder)
    texts = ["a red square"] * len(images)
    x = preprocessor({"image": images, "text": texts})
    return {k: to_numpy(v["pooled_output"]) for k, v in rounded(x).items()}


def build(source, folder):
    """A wheel, with the build backend that is installed: without a network."""
    run(
        sys.executable,
        *("-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index"),
        *("--no-build-isolation", "--wheel-dir", folder, source),
    )


def make_environment(folder, wheels):
    """A virtual environment with wheels, and what is installed here."""
    run(sys.executable, "-m", "venv", "--without-pip", folder)
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = Path(run(python, "-c", code).strip())
    # As paths alone: `.pth` files in them are not read, so that no editable
    # install brings the source tree.
    here = dict.fromkeys(map(sysconfig.get_path, ("purelib", "platlib")))
    (site / "here.pth").write_text("\n".join(here) + "\n")
    run(
        sys.executable,
        *("-m", "pip", "--python", python, "install", "--quiet"),
        *("--no-deps", "--no-index", "--ignore-installed", *wheels),
    )
    return python, site


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheels")
    images = colored_squares(np.random.default_rng(0))
    np.savez(folder / "images.npz", images=images)
    source = folder / "preset_package"
    shutil.copytree(ROOT / "examples" / "preset_package", source)
    expected = save_preset(source / "src/garden_presets/untrained", images)
    build(ROOT, folder)
    build(source, folder)
    wheels = {p.name.split("-")[0]: p for p in folder.glob("*.whl")}
    python, site = make_environment(folder / "env", wheels.values())
    # From here on, an import of the package of presets would end the process.
    assert (site / "garden_presets" / "untrained" / "config.json").is_file()
    (site / "garden_presets" / "__init__.py").write_text(HOSTILE)
    return Installed(folder, wheels, python, expected)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_preset_of_a_package_is_loaded_by_name(installed, backend):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    found = installed.folder / f"{backend}.npz"
    images = installed.folder / "images.npz"
    output = run(
        *(installed.python, "-c", CODE, images, found), KERAS_BACKEND=backend
    )
    told = json.loads(output.splitlines()[-1])
    assert Path(told["file"]).is_relative_to(installed.folder)
    assert not [p for p in told["path"] if Path(p) in (ROOT, ROOT / "tests")]
    assert told["imported"] == []
    assert not told["keras_hub"]
    assert told["dtypes"] == ["float32"]
    assert told["presets"][-1] == "garden/untrained"
    features = dict(np.load(found))
    for modality, values in installed.expected.items():
        np.testing.assert_allclose(features[modality], values, atol=1e-4)
    # Each image is most like another one of its color.
    vectors = features["image"] - features["image"].mean(axis=0)
    distances = ((vectors[:, None] - vectors[None]) ** 2).sum(axis=-1)
    np.fill_diagonal(distances, np.inf)
    assert (distances.argmin(axis=1) // 4).tolist() == [0] * 4 + [1] * 4


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_trained_preset_classifies_by_words(installed, backend):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    output = run(*(installed.python, "-c", ZERO_SHOT), KERAS_BACKEND=backend)
    # The largest of nine categories is 0.23 of the emoji.
    accuracies = json.loads(output.splitlines()[-1])
    assert set(BUILT_IN_FOLDERS) == set(accuracies)
    assert min(accuracies.values()) > 0.4


def test_the_command_lists_it(installed):
    command = installed.python.with_name("keras-imp")
    output = run(command, "presets", COLUMNS="80")
    row = next(r for r in output.splitlines() if "garden/untrained" in r)
    assert "yes" in row
    assert "cc0-1.0" in row
    assert "For a test: not trained." in run(
        command, "presets", "garden/untrained", COLUMNS="80"
    )


def test_the_wheels_hold_what_they_should(installed):
    with zipfile.ZipFile(installed.wheels["keras_imp"]) as wheel:
        names = wheel.namelist()
    assert "keras_imp/models/presets/imp_tiny.json" in names
    assert "keras_imp/models/presets/installed.py" in names
    roots = {name.split("/")[0] for name in names}
    assert roots == {
        "keras_imp",
        f"keras_imp-{keras_imp.__version__}.dist-info",
    }
    with zipfile.ZipFile(installed.wheels["garden_presets"]) as wheel:
        files = {n.removeprefix("garden_presets/") for n in wheel.namelist()}
    assert {f"untrained/{file}" for file in FILES} <= files


def test_the_example_itself_holds_no_encoder():
    folder = ROOT / "examples" / "preset_package"
    assert not [*folder.rglob("*.h5"), *folder.rglob("config.json")]
