"""Batches of real files: the same in any process, whatever is in them."""

import json
import re

import numpy as np
import pytest
import soundfile
from PIL import Image

import keras_imp
from keras_imp.data import Quarantine, Records
from keras_imp.data.manifest.columns import Strings
from keras_imp.data.manifest.media import Members
from keras_imp.data.records import TooManyBadFilesError
from tests.helpers.rows_of_files import (
    ROWS,
    assert_equal,
    make_manifest,
    make_preprocessor,
)

pytestmark = pytest.mark.one_backend


def with_bad(folder, **names):
    """A manifest with files at some rows that cannot be used."""
    images = [f"{i}.png" for i in range(ROWS)]
    for row, name in names.items():
        images[int(row.removeprefix("row"))] = name
    return make_manifest(folder, image=images)


# --- Batches ------------------------------------------------------------------


def test_a_batch_has_all_modalities_with_their_labels(manifest):
    data = Records(
        manifest,
        make_preprocessor(),
        batch_size=5,
        target="label",
        classes=["red", "green"],
    )
    x, y = data.batch_at(3)
    assert {name: (v.shape, v.dtype.name) for name, v in x.items()} == {
        "image": ((5, 16, 24, 3), "uint8"),
        "audio": ((5, 4000), "float32"),
        "text": ((5, 6), "int32"),
    }
    # The channel that is full says which class an image is of.
    found = x["image"].mean(axis=(1, 2))[:, :2].argmax(axis=1)
    np.testing.assert_array_equal(found, y)


def test_a_batch_depends_on_seed_and_number_only(manifest):
    make = lambda **k: Records(manifest, make_preprocessor(), 6, **k)
    data = make(seed=3, threads=1)
    later = [data.batch_at(i) for i in (7, 2, 0)]
    again = make(seed=3, threads=4)
    for batch, number in zip(later, (7, 2, 0)):
        assert_equal(batch, again.batch_at(number))
    other = make(seed=4).batch_at(7)[0]["image"]
    assert not np.array_equal(other, later[0][0]["image"])


def test_an_evaluation_has_each_row_once_as_a_server_makes_it(manifest):
    preprocessor = make_preprocessor()
    data = Records(manifest, preprocessor, 10, shuffle=False)
    x = data.batch_at(0)[0]
    assert [len(data[i][0]["image"]) for i in range(len(data))] == [10, 10, 4]
    image = np.asarray(Image.open(manifest.source(3, "image")))
    audio, rate = soundfile.read(manifest.source(3, "audio"), dtype="float32")
    served = preprocessor(
        {"image": image, "audio": (audio, rate), "text": "number 3"}
    )
    np.testing.assert_array_equal(x["image"][3], served["image"])
    np.testing.assert_array_equal(x["text"][3], served["text"])
    np.testing.assert_allclose(x["audio"][3], served["audio"], atol=1e-4)


def test_training_draws_captions_and_parts(manifest):
    data = Records(manifest, make_preprocessor(), ROWS)
    texts = {tuple(row) for row in data.batch_at(0)[0]["text"].tolist()}
    # "an image" is the second caption of all.
    assert 2 < len(texts) < ROWS
    fixed = Records(manifest, make_preprocessor(), ROWS, training=False)
    assert len({tuple(r) for r in fixed[0][0]["text"].tolist()}) == ROWS


def test_start_and_end_choose_a_part_of_a_file(folder):
    manifest = make_manifest(
        folder, start=[0.2] * ROWS, end=[0.4] * ROWS, audio=["5.wav"] * ROWS
    )
    preprocessor = make_preprocessor(audio_seconds=0.2)
    audio = Records(manifest, preprocessor, 4, shuffle=False)[0][0]["audio"]
    whole, _ = soundfile.read(folder / "5.wav", dtype="float32")
    np.testing.assert_allclose(audio[0], whole[1600:3200], atol=1e-4)


def test_rows_of_a_group_do_not_meet(folder):
    group = [f"speaker {i // 4}" for i in range(ROWS)]
    data = Records(
        make_manifest(folder, group=group),
        make_preprocessor(),
        6,
        inputs=("text",),
        target="group",
    )
    for i in range(12):
        assert len(set(data[i][1].tolist())) == 6


def test_weights_come_third(folder):
    manifest = make_manifest(folder, weight=[0.5] * ROWS)
    _, y, weight = Records(manifest, make_preprocessor(), 4)[0]
    assert y is None
    assert weight.tolist() == [0.5] * 4


def test_hosts_share_one_batch(manifest):
    make = lambda **k: Records(manifest, make_preprocessor(), 7, **k)
    whole = make().batch_at(2)[0]
    parts = [make(host=(h, 3)).batch_at(2)[0] for h in range(3)]
    for name in whole:
        np.testing.assert_array_equal(
            np.concatenate([part[name] for part in parts]), whole[name]
        )


def test_shapes_have_sizes_and_batch_sizes_of_their_own(manifest):
    encoder = keras_imp.IMPEncoder.from_preset(
        "imp_tiny", modalities=("image",), patch_size=(4, 8, 8)
    )
    plan = keras_imp.TokenBudget(tokens_per_batch=64).plan(
        encoder,
        {
            "objects": [
                keras_imp.data.Shape(image=(16, 16)),
                keras_imp.data.Shape(image=(32, 32), drop={"image": 0.5}),
            ]
        },
    )
    data = Records(
        manifest,
        make_preprocessor(),
        inputs=("image",),
        target="label",
        shapes=plan["objects"],
    )
    seen = set()
    for i in range(len(data)):
        image = data[i][0]["image"]
        seen.add(
            image["patches"].shape if isinstance(image, dict) else image.shape
        )
    assert seen == {(16, 16, 16, 3), (8, 8, 192)}


@pytest.mark.parametrize(
    "given", [{"batch_size": 8}, {"shuffle": False}, {"drop_last": True}]
)
def test_an_order_of_its_own_is_refused_beside_shapes(manifest, given):
    ((name, value),) = given.items()
    text = (
        "`shapes` have batch sizes of their own, every pass of them is "
        "shuffled, and every batch is full. Received: "
        f"{name}={value}. Omit `{name}`, or `shapes`."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        Records(manifest, make_preprocessor(), shapes=(), **given)


def test_augment_gets_the_rows(manifest):
    augment = keras_imp.data.augment.Compose(
        image=[keras_imp.data.augment.images.flip]
    )
    plain = Records(manifest, make_preprocessor(), 8).batch_at(1)[0]["image"]
    flipped = Records(manifest, make_preprocessor(), 8, augment=augment)
    image = flipped.batch_at(1)[0]["image"]
    mirrored = [
        not np.array_equal(a, b) and np.array_equal(a, b[:, ::-1])
        for a, b in zip(image, plain)
    ]
    assert 0 < sum(mirrored) < 8


# --- Bad files ----------------------------------------------------------------


def test_a_bad_file_is_replaced_listed_and_never_an_empty_image(folder):
    manifest = with_bad(folder, row3="damaged.png", row8="gone.png")
    path = folder / "quarantine.jsonl"
    quarantine = Quarantine(ROWS, path, max_bad=0.1)
    data = Records(manifest, make_preprocessor(), 8, quarantine=quarantine)
    batches = [data.batch_at(i) for i in range(3)]
    assert all(b[0]["image"].any(axis=(1, 2, 3)).all() for b in batches)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert {(line["row"], line["reason"]) for line in lines} == {
        (3, "damaged"),
        (8, "missing"),
    }
    # Read again, by another process, they are the same batches.
    resumed = Records(
        manifest,
        make_preprocessor(),
        8,
        quarantine=Quarantine(ROWS, path, max_bad=0.1),
    )
    for i in (2, 0, 1):
        assert_equal(resumed.batch_at(i), batches[i])
    assert len(path.read_text().splitlines()) == 2


def test_a_file_that_breaks_late_is_replaced_from_then_on(folder):
    manifest = make_manifest(folder)
    path = folder / "quarantine.jsonl"
    make = lambda: Records(
        manifest,
        make_preprocessor(),
        6,
        quarantine=Quarantine(ROWS, path, max_bad=0.1),
    )
    first = make()
    before = first.batch_at(0)
    (folder / "11.png").write_bytes(b"")
    after = [first.batch_at(i) for i in range(4, 8)]
    assert Quarantine(ROWS, path).bad_rows == [11]
    second = make()
    for i, batch in zip(range(4, 8), after):
        assert_equal(second.batch_at(i), batch)
    assert before[0]["image"].shape == (6, 16, 24, 3)


def test_too_many_bad_files_stop_the_run(folder):
    manifest = with_bad(folder, row3="damaged.png", row8="gone.png")
    data = Records(manifest, make_preprocessor(), ROWS)
    with pytest.raises(TooManyBadFilesError, match=r"rows=24.*max_bad"):
        data.batch_at(0)


def test_strict_stops_at_the_first_and_names_it(folder):
    data = Records(
        with_bad(folder, row3="empty.png"),
        make_preprocessor(),
        ROWS,
        quarantine=Quarantine(ROWS, strict=True, max_bad=0.5),
    )
    with pytest.raises(TooManyBadFilesError, match=r"empty\.png"):
        data.batch_at(0)


def test_a_line_that_a_kill_cut_off_is_left_out(tmp_path):
    path = tmp_path / "quarantine.jsonl"
    path.write_text('{"row": 4, "reason": "empty"}\n{"row": 5, "rea')
    assert Quarantine(10, path).bad_rows == [4]
    assert path.read_text() == '{"row": 4, "reason": "empty"}\n'
    path.write_text("no line\n")
    with pytest.raises(ValueError, match=r"line=1"):
        Quarantine(10, path)


# --- Bad arguments ------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"inputs": ("video",)}, "columns of the manifest"),
        ({"crop": "any"}, "crop"),
        ({"batch_size": 25}, "one batch"),
        ({"target": "class"}, "target"),
        ({"target": "number"}, "finite number"),
        ({"target": "label", "classes": ["red", "blue"]}, "none of the 2"),
        ({"host": (2, 2)}, "host"),
        ({"threads": 0}, "threads"),
    ],
)
def test_bad_arguments(manifest, arguments, text):
    with pytest.raises(ValueError, match=text):
        Records(manifest, make_preprocessor(), **{"batch_size": 4, **arguments})


def test_labels_may_be_several(folder):
    labels = [["red", "old"] if i % 3 else ["red"] for i in range(ROWS)]
    data = Records(
        make_manifest(folder, label=labels),
        make_preprocessor(),
        ROWS,
        target="labels",
        shuffle=False,
    )
    y = data[0][1]
    assert y.shape == (ROWS, 2)
    assert y[:2].tolist() == [[0.0, 1.0], [1.0, 1.0]]


def test_the_size_of_a_member_is_known_without_reading(tmp_path):
    path = tmp_path / "data.bin"
    path.write_bytes(b"onethree")
    column = Members(
        [path],
        Strings.of(["a", "b"]),
        np.array([0, 0]),
        starts=np.array([0, 3]),
        sizes=np.array([3, 5]),
    )
    assert [column.size_of(row) for row in (0, 1)] == [3, 5]
    assert [len(column.source(row)) for row in (0, 1)] == [3, 5]
    path.unlink()
    assert column.size_of(1) == 5


def test_descriptions_differ_with_the_data(folder, manifest):
    make = lambda m=manifest, p=None, **k: json.loads(
        json.dumps(Records(m, p or make_preprocessor(), 4, **k).describe())
    )
    plain = make()
    assert plain == make()
    assert plain != make(seed=1)
    assert plain != make(p=make_preprocessor(image=(8, 8)))
    assert plain != make(m=make_manifest(folder, label=["red"] * ROWS))
    (folder / "0.png").write_bytes(b"other")
    assert plain != make()
