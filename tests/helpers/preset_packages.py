"""Packages that bring presets, as pip would install them, without pip."""

import json

# What a package must not get a chance to do.
HOSTILE = "raise SystemExit('this package was imported')\n"


def write_config(folder, **config):
    """A preset without weights, as somebody else may have written it."""
    folder.mkdir(parents=True, exist_ok=True)
    saved = {
        "module": "keras_imp.models.imp_encoder",
        "class_name": "IMPEncoder",
        "config": {**SIZES, **config},
        "registered_name": "keras_imp>IMPEncoder",
    }
    (folder / "config.json").write_text(json.dumps(saved))
    return folder


def change(path, **values):
    """Change values of a file of JSON."""
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, **values}))


SIZES = {
    "hidden_dim": 4,
    "intermediate_dim": 4,
    "num_layers": 1,
    "num_heads": 1,
    "modalities": ["text"],
    "vocabulary_size": 6,
    "max_sequence_length": 3,
}


def install(
    monkeypatch, site, name, presets=(), entry="acme", module=None, code=HOSTILE
):
    """Install a package in a folder of its own, and return its presets' folder.

    Its module is named after it, and `module` is what its entry point says.
    """
    site = site / name
    package = name.replace("-", "_")
    module = package if module is None else module
    (site / package).mkdir(parents=True)
    (site / package / "__init__.py").write_text(code)
    info = site / f"{package}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
    )
    (info / "entry_points.txt").write_text(
        f"[keras_imp.presets]\n{entry} = {module}\n"
    )
    folder = site / module.partition(":")[0].replace(".", "/")
    for preset in presets:
        write_config(folder / preset)
    monkeypatch.syspath_prepend(str(site))
    return folder
