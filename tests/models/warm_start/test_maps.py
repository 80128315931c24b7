"""Encoders that start from a backbone have its outputs, for random weights."""

import keras
import numpy as np
import pytest

import keras_imp
from tests.helpers import backbones
from tests.helpers.backbones import CASES, largest_difference

LIMIT = 1e-4


class Mapped:
    """A backbone, the encoder that starts from it, and both their outputs."""

    def __init__(self, case):
        rng = np.random.default_rng(5)
        self.case = case
        self.backbone = backbones.random_backbone(case, rng)
        self.encoder = keras_imp.IMPEncoder.from_backbone(self.backbone)
        self.x, theirs = backbones.inputs_of(case, rng)
        self.expected = backbones.outputs_of(case, self.backbone, theirs)

    def difference(self, encoder):
        features = encoder({self.case.modality: self.x})[self.case.modality]
        return largest_difference(features, self.expected)


@pytest.fixture(scope="module", params=CASES.values(), ids=CASES.keys())
def mapped(request):
    return Mapped(request.param)


def test_outputs_are_those_of_the_backbone(mapped):
    assert mapped.difference(mapped.encoder) < LIMIT
    for value in mapped.expected.values():
        # Outputs of one example differ from those of another, and by place.
        assert value.std(axis=0).min() > 1e-3
        assert 0.1 < np.abs(value).mean() < 10


def test_upcycling_keeps_them(mapped):
    for router in ("expert_choice", "token_choice"):
        sparse = keras_imp.upcycle(
            mapped.encoder, num_experts=3, num_moe_layers=2, router=router
        )
        assert mapped.difference(sparse) < LIMIT


def test_scan_remat_and_saving_keep_them(mapped, tmp_path):
    other = keras_imp.IMPEncoder.from_backbone(
        mapped.backbone,
        scan_layers=not mapped.encoder.body.stacks[0]._scans(),
        remat=True,
    )
    assert mapped.difference(other) < LIMIT
    mapped.encoder.save(tmp_path / "encoder.keras")
    loaded = keras.saving.load_model(tmp_path / "encoder.keras")
    assert mapped.difference(loaded) < LIMIT
    mapped.encoder.save_to_preset(str(tmp_path / "preset"))
    loaded = keras_imp.IMPEncoder.from_preset(str(tmp_path / "preset"))
    assert mapped.difference(loaded) < LIMIT


def test_half_precision_is_near(mapped):
    half = keras_imp.IMPEncoder.from_backbone(
        mapped.backbone, dtype="mixed_bfloat16"
    )
    features = half({mapped.case.modality: mapped.x})[mapped.case.modality]
    for name, expected in mapped.expected.items():
        found = np.asarray(
            keras.ops.convert_to_numpy(
                keras.ops.cast(features[name], "float32")
            )
        )
        assert np.abs(found - expected).mean() < 0.05 * np.abs(expected).max()
