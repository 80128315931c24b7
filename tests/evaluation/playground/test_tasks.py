import keras
import pytest

from keras_imp.evaluation.playground.tasks import build_model
from keras_imp.training.optimizers import Muon

pytestmark = pytest.mark.one_backend

# What the playground's weights were told before `AdamW` had a rule.
EXCLUDED = ["gamma", "beta", "bias", "table", "temperature"]


class Tokens:
    vocabulary_size = 50


@pytest.mark.parametrize("preset", ["imp_tiny", "imp_moe_tiny"])
def test_the_playground_decays_what_it_always_has(preset):
    model = build_model(Tokens(), steps=100, preset=preset)
    optimizer = model.optimizer
    assert type(optimizer) is Muon
    assert optimizer.weight_decay == 0.1
    assert optimizer.global_clipnorm == 0.1
    variables = model.trainable_variables
    optimizer.build(variables)
    before = keras.optimizers.AdamW()
    before.exclude_from_weight_decay(var_names=EXCLUDED)
    decayed = [v.path for v in variables if optimizer.rule(v).decays]
    assert decayed == [v.path for v in variables if before._use_weight_decay(v)]
    assert 0 < len(decayed) < len(variables)
    assert all(optimizer.rule(v).factor == 1.0 for v in variables)


def test_an_option_replaces_the_patches_of_the_playground():
    model = build_model(Tokens(), steps=100, patch_size=(4, 4, 4))
    assert model.encoder.patchings["image"].patch_size[-2:] == (4, 4)
