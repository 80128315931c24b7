"""TensorFlow Data Validation itself, where an environment has it."""

import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest

import keras_imp
from keras_imp.data import Manifest
from keras_imp.validation import Beam, scan_and_flag, validate
from keras_imp.validation.worker import PROGRAM, WorkerError, run_tfdv
from tests.validation.plantings import all_plantings

pytestmark = pytest.mark.one_backend

MEASURED = [p.name for p in all_plantings() if p.feature]


@pytest.mark.parametrize("name", MEASURED)
def test_statistics_tell_of_a_planted_feature(planted, validated, name):
    planting = next(p for p in planted[0] if p.name == name)
    found = {
        (a["kind"], a["part"], a["feature"]) for a in validated[1].anomalies
    }
    assert (*planting.place, planting.feature) in found
    if planting.row is not None:
        (rows,) = [
            a["rows"]
            for a in validated[1].anomalies
            if (a["kind"], a["part"], a["feature"])
            == (*planting.place, planting.feature)
            and not a["types"][0].startswith("COMPARATOR")
        ]
        assert planting.row in rows


def test_statistics_tell_nothing_of_clean_data(validated):
    assert validated[0].anomalies == []
    assert validated[0].notes == []
    assert validated[0].code == 0


def test_planted_data_ends_with_an_error(validated):
    assert validated[1].code == 1
    assert validated[1].missing == ""


def test_it_writes_what_tools_of_tfx_read(validated):
    folder = validated[0].report.parent
    for kind in ("audio", "image"):
        schema = (folder / kind / "schema.pbtxt").read_text()
        assert "drift_comparator" in schema
        assert 'name: "label"' in schema
        statistics = (folder / kind / "statistics.pbtxt").read_text()
        assert statistics.count("datasets {") == 2
    written = json.loads((folder / "anomalies.json").read_text())
    assert written["anomalies"] == []
    assert len(written["flags"]) == 2
    assert written["tfdv"]


def test_a_given_schema_is_a_contract(
    tfdv_python, validated, planted, tmp_path
):
    """What breaks it is an error, and its limits are taken."""
    found = validate(
        planted[1],
        tmp_path,
        schema=validated[0].report.parent,
        tfdv_python=tfdv_python,
    )
    severities = {
        (a["part"], a["feature"]): a["severity"] for a in found.anomalies
    }
    assert severities["train", "image_mode"] == "error"
    assert severities["validation", "image_brightness"] == "warning"


def test_a_schema_of_before_a_feature_was_measured_stays_usable(
    tfdv_python, validated, clean, tmp_path
):
    schema = tmp_path / "schema"
    shutil.copytree(validated[0].report.parent, schema)
    file = schema / "image" / "schema.pbtxt"
    blocks = re.split(r"(?m)^(?=\w)", file.read_text("utf-8"))
    kept = [b for b in blocks if 'name: "image_saturation"' not in b]
    assert len(kept) == len(blocks) - 1
    file.write_text("".join(kept), "utf-8")
    found = validate(
        clean, tmp_path / "found", schema=schema, tfdv_python=tfdv_python
    )
    assert found.anomalies == []
    assert found.notes == [
        "image: the schema says nothing of 'image_saturation'."
    ]
    assert found.code == 0


def test_other_data_is_compared_by_skew(tfdv_python, clean, planted, tmp_path):
    """And where its rows are few, it is said that nothing can be told."""
    other = planted[1].select(split="validation")
    numbers = np.arange(len(other))
    images = other.column("image").is_filled()
    few = np.r_[numbers[images], numbers[~images][:20]]
    found = validate(
        other.select(few),
        tmp_path,
        against=clean.select(split="train"),
        tfdv_python=tfdv_python,
    )
    skewed = {
        a["feature"]
        for a in found.anomalies
        if a["types"][0].startswith("COMPARATOR")
    }
    assert {"image_brightness", "label"} <= skewed
    assert {a["part"] for a in found.anomalies} == {"validation"}
    (note,) = found.notes
    assert note.startswith("audio, validation: 20 rows, and ")
    assert note.endswith("too few to tell whether distributions differ.")


def test_a_pipeline_makes_the_same_statistics(tfdv_python, tmp_path):
    rng = np.random.default_rng(0)
    columns = {
        "text": [f"{'word ' * n}{n}" for n in rng.integers(1, 30, 60)],
        "label": [str(n) for n in rng.choice(["a", "b", "c"], 60)],
        "split": ["train"] * 40 + ["validation"] * 20,
    }
    scan = scan_and_flag(keras_imp.data.Manifest(columns), tmp_path)
    texts = []
    for beam in (None, Beam.local(workers=2)):
        folder = tmp_path / str(len(texts))
        folder.mkdir()
        run_tfdv(tfdv_python, scan, folder, beam=beam)
        texts.append((folder / "statistics.pbtxt").read_text())
    # Batches are merged in any order, and quantiles are approximate.
    exact = [
        re.findall(r"(?:num_|max|min|value|label)\S*: \S+", t) for t in texts
    ]
    assert exact[0] == exact[1]
    assert len(exact[0]) > 100


def test_limits_of_categories_are_those_of_many_splits(monkeypatch):
    """Of eight splits, one odd one set a limit that hid a shift by 0.2."""
    monkeypatch.syspath_prepend(str(PROGRAM.parent))
    import tfdv_distances

    generator = np.random.default_rng(0)
    rows = [
        (f"{i // 3}", {"label": [str(generator.choice(5))], "size": [3]})
        for i in range(600)
    ]
    groups = sorted({group for group, _ in rows})
    limits = tfdv_distances._distances_of_categories(groups, rows, 140)
    assert list(limits) == ["label"]
    # Standard deviation of a fraction of 0.2 in 140 rows, and in the others.
    deviation = np.sqrt(0.2 * 0.8 * (1 / 140 + 1 / 460))
    assert 2 * deviation < limits["label"] < 4.5 * deviation


def test_a_python_without_it_is_named_with_its_last_words(clean_scan, tmp_path):
    with pytest.raises(WorkerError, match="ended with code 1") as error:
        run_tfdv(sys.executable, clean_scan, tmp_path)
    assert "No module named 'tensorflow_data_validation'" in str(error.value)


def test_a_scan_alone_needs_none_of_it(clean, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_IMP_TFDV_PYTHON", "/nowhere")
    assert scan_and_flag(clean, tmp_path).counts("error") == {}


CUT_TEXTS = """
import random, sys
sys.path.insert(0, sys.argv[1])
import tensorflow_data_validation as tfdv
import tfdv_distances, tfdv_rows

draw = random.Random(0)

def rows(count, cut):
    for place in range(count):
        words = round(draw.lognormvariate(3, 0.3))
        if draw.random() < 0.03:
            words = 3000
        yield str(place), {"text_words": [words // 2 if cut else words]}

train, clean, short = list(rows(600, 0)), list(rows(300, 0)), []
for place in range(150):
    short += [*rows(1, 0), *rows(1, 1)]
schema = tfdv.infer_schema(
    tfdv_rows.statistics(tfdv, [row for _, row in train])
)
limits = tfdv_distances.calibrated_limits(tfdv, train, 300)
tfdv_distances.set_limits(schema, limits, skew=False)
for part in (clean, short):
    found = tfdv_distances.compare(tfdv, schema, train, part, skew=False)
    reasons = [r for i in found.anomaly_info.values() for r in i.reason]
    print(any("drift" in r.description.lower() or "divergence" in
              r.description.lower() for r in reasons))
"""


def test_few_texts_far_longer_hide_no_texts_that_are_cut(tfdv_python):
    """One bar of a histogram for all but the longest would tell nothing."""
    code = [tfdv_python, "-c", CUT_TEXTS, str(PROGRAM.parent)]
    output = subprocess.run(code, check=True, capture_output=True, text=True)
    assert output.stdout.split() == ["False", "True"]


def test_a_schema_is_that_of_the_rows_that_are_there(tfdv_python, tmp_path):
    """Of a kind that is there no more, none is left to be taken later."""
    texts = [f"text {number}" for number in range(40)]
    kinds = Manifest({"text": texts, "label": ["a", "b"] * 20})
    out = tmp_path / "report"
    for stale in (out / "image", out / "text"):
        stale.mkdir(parents=True)
        (stale / "schema.pbtxt").write_text("feature { name: 'none' }")
    validate(kinds, out, tfdv_python=tfdv_python)
    assert (out / "schema.pbtxt").exists()
    assert not [*out.glob("*/schema.pbtxt")]
    other = tmp_path / "other"
    (other / "image").mkdir(parents=True)
    shutil.copy(out / "schema.pbtxt", other / "image")
    found = validate(
        kinds, tmp_path / "again", schema=other, tfdv_python=tfdv_python
    )
    assert found.missing == ""
    assert any("has none for such rows" in note for note in found.notes)
