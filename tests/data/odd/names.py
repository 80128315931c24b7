"""Odd names, links and a pipe."""

import os
from pathlib import Path

from PIL import Image

from tests.data.odd.cases import Cases
from tests.data.odd.images import scene


def make_names(d: Path, outside: Path, cases: Cases):
    outside.mkdir(parents=True)
    Image.fromarray(scene()).save(outside / "secret.png")
    (d / "image/link_out.png").symlink_to(
        os.path.relpath(outside / "secret.png", d / "image")
    )
    cases.add(
        "image/link_out.png",
        "image",
        "symbolic link out of the folder",
        "refuse",
        "outside",
    )
    (d / "image/loop.png").symlink_to("loop.png")
    cases.add("image/loop.png", "image", "link to itself", "skip", "missing")
    os.mkfifo(d / "image/pipe.png")
    cases.add(
        "image/pipe.png",
        "image",
        "named pipe",
        "skip",
        "not_file",
        note="opening it would hang for ever",
    )
    good = (d / "image/good.jpg").read_bytes()
    for name in (
        "ünïcode ☃.jpg",
        "-dash.jpg",
        "sp ace.jpg",
        "UPPER.JPG",
        ".hidden.jpg",
        "._macos.jpg",
        "Thumbs.db",
    ):
        hidden = name.startswith(".") or name == "Thumbs.db"
        (d / "image" / name).write_bytes(good)
        cases.add(
            f"image/{name}",
            "image",
            "odd name",
            "skip" if hidden else "use",
            "hidden" if hidden else "",
            note="left out of folder scans, with a count" if hidden else "",
        )
    (d / "image" / os.fsdecode(b"latin1-\xe9.jpg")).write_bytes(good)
    cases.add(
        "image/latin1-\\xe9.jpg",
        "image",
        "name that is not UTF-8",
        "use",
        size=[60, 80],
        note="surrogateescape inside, shown as \\xe9, written to JSON "
        "without an error",
    )
