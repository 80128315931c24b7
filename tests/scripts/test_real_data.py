"""What the script makes of the packages, on files that look like theirs."""

import csv
import gzip
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

import keras_imp

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

from real_data import battles, prompts, wml
from real_data.encoding import write_video
from real_data.grouping import linked, split_of

pytestmark = pytest.mark.one_backend
UNIT = """
[unit_type]
    name= _ "female^Wolf"  # A comment.
    [attack]
        name=fangs
        range=melee
    [/attack]
    [attack_anim]
        [filter_attack]
            name=fangs
        [/filter_attack]
        [frame]
            image="units/wolf-[1~2].png:[80,120]"
            sound={SOUND_LIST:BITE}
        [/frame]
    [/attack_anim]
    [death]
        [frame]
            image="units/wolf-1.png:100"
        [/frame]
    [/death]
    {DEFENSE_ANIM "units/wolf-2.png" "units/wolf-1.png" {SOUND_LIST:BITE} }
[/unit_type]
"""


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("a.png", ["a.png"]),
        ("a[1~3].png", ["a1.png", "a2.png", "a3.png"]),
        ("a[2~1,5].png", ["a2.png", "a1.png", "a5.png"]),
        ("a-[01~02].png:[50*2]", ["a-01.png:50", "a-02.png:50"]),
        ("a[1~3].png:[10,20]", ["a1.png:10", "a2.png:20", "a3.png:20"]),
    ],
)
def test_patterns_stand_for_names(pattern, names):
    assert wml.expand(pattern) == names


def test_animations_become_videos_with_sound(tmp_path):
    core = tmp_path / battles.CORE
    for folder in ("units", "images/units", "sounds", "macros"):
        (core / folder).mkdir(parents=True)
    (core / "units" / "wolf.cfg").write_text(UNIT)
    (core / "macros" / "sounds.cfg").write_text(
        "#define SOUND_LIST:BITE\nbite-[1~2].ogg #enddef\n"
    )
    for i, color in ((1, "red"), (2, "blue")):
        image = core / "images" / "units" / f"wolf-{i}.png"
        Image.new("RGBA", (40, 32), color).save(image)
    wave = np.sin(np.arange(22050) / 20) / 2
    soundfile.write(core / "sounds" / "bite-1.ogg", wave, 22050)
    (path, rows), (heard, sounds) = battles.write(tmp_path, tmp_path / "out")
    # What has one image only is no animation.
    assert rows == sounds == 2
    assert keras_imp.data.read(heard).columns == ("video", "group", "split")
    manifest = keras_imp.data.read(path)
    assert [manifest.row(i)["text"] for i in range(2)] == [
        "Wolf attacks with fangs",
        "Wolf is struck",
    ]
    assert [manifest.row(i)["label"] for i in range(2)] == [
        "melee attack",
        "defense",
    ]
    source = manifest.source(0, "video")
    video = keras_imp.data.decoding.decode_video(source, interval=0.04)
    assert video.values.shape == (5, 32, 40, 3)  # 80 and 120 ms.
    reds = video.values[..., 0].mean(axis=(1, 2)) > 128
    assert reds.tolist() == [True, True, False, False, False]
    audio = keras_imp.data.decoding.decode_audio(source)
    assert "silent" not in audio.notes
    assert audio.facts["seconds"] == pytest.approx(1.0, abs=0.1)


def test_units_that_are_nearly_drawn_alike_are_of_one_group(tmp_path):
    generator = np.random.default_rng(0)
    drawn = np.kron(generator.integers(0, 256, (8, 8, 3)), np.ones((8, 8, 1)))
    files = []
    for name, pixels in (
        ("wolf", drawn),
        ("dire wolf", np.clip(drawn + 2, 0, 255)),
        ("bat", generator.integers(0, 256, (64, 64, 3))),
    ):
        image = tmp_path / f"{name}.png"
        Image.fromarray(pixels.astype("uint8")).save(image)
        files.append(tmp_path / f"{name}.mp4")
        write_video(files[-1], [(image, 200)], None)
    pairs = battles.redrawn(files, ["wolf", "dire wolf", "bat"])
    assert [sorted(pair) for pair in pairs] == [[0, 1]]


def test_prompts_have_the_transcripts_of_recordings_that_are_there(tmp_path):
    for language in prompts.LANGUAGES:
        name = f"asterisk-core-sounds-{language}"
        folder = tmp_path / "usr/share/doc" / name
        folder.mkdir(parents=True)
        text = "; Sounds\nadded: Added: one.\nbeep: [a beep]\ngone: Gone.\n"
        text += "added: Nine.\n"
        with gzip.open(folder / f"core-sounds-{language}.txt.gz", "wt") as file:
            file.write(text)
        sounds = tmp_path / "usr/share/asterisk/sounds" / f"{language}_X"
        sounds.mkdir(parents=True)
        for key in ("added", "beep"):
            soundfile.write(sounds / f"{key}.wav", np.zeros(800), 8000)
    path, rows = prompts.write(tmp_path, tmp_path / "out")
    assert rows == 5
    with path.open(encoding="utf-8") as file:
        first = next(csv.DictReader(file))
    assert first == {
        "audio": "prompts/en/added.wav",
        "text": "Added: one.",
        "group": "added",
        "split": "train",
    }
    assert (path.parent / first["audio"]).is_file()


def test_groups_are_joined_where_rows_share_something():
    groups = linked(["b", "a", "c", "b"], [["x"], ["x"], ["y"], ["z"]])
    assert groups == ["a", "a", "c", "a"]
    splits = [split_of(str(number)) for number in range(1000)]
    assert 150 < splits.count("test") < 250
