"""An encoder with weights of the first implementation has its outputs."""

import dataclasses

import numpy as np
import pytest

import keras_imp
from keras_imp.models import imp_config, load_imp_weights
from tests.helpers import first_implementation as first
from tests.helpers.weights import to_numpy

TOLERANCE = 1e-4
SPARSE = first.Sizes(experts=2, routed=(2,), qk_norm=True)
CASES = {
    "dense, stacked": first.Sizes(),
    "dense, not stacked": first.Sizes(scanned=False),
    "dense, first token": first.Sizes(first_token=True),
    "sparse, stacked": SPARSE,
    "dense, biases": first.Sizes(layers=2, bias=True, scanned=False),
    "sparse, biases": dataclasses.replace(SPARSE, bias=True),
    "sparse, uniform": dataclasses.replace(
        SPARSE, scanned=False, layers=4, routed=(1, 3)
    ),
    "sparse, all layers": dataclasses.replace(SPARSE, routed=(0, 1, 2)),
}


def make_encoder(weights, **arguments):
    """What only the product of is known is given."""
    patches = {"patch_size": (2, 4, 4), "audio_patch_size": (4, 2)}
    return keras_imp.IMPEncoder(
        **{**imp_config(weights), **patches, **arguments}
    )


@pytest.mark.parametrize("case", CASES)
def test_the_outputs_are_those_of_the_first_implementation(case, rng, tmp_path):
    sizes = CASES[case]
    tree = first.random_tree(sizes, rng)
    np.savez(tmp_path / "weights.npz", **tree)
    encoder = make_encoder(tmp_path / "weights.npz")
    report = load_imp_weights(encoder, tmp_path / "weights.npz")
    assert report.loaded == report.total == len(encoder.weights)
    assert not report.new
    x = first.inputs(rng)
    features = to_numpy(encoder(x))
    for modality, values in x.items():
        tokens, pooled = first.forward(sizes, tree, modality, values)
        found = features[modality]
        for actual, expected in (
            (found["sequence_output"], tokens),
            (found["pooled_output"], pooled),
        ):
            assert np.abs(expected).max() > 0.1
            np.testing.assert_allclose(
                actual, expected, rtol=TOLERANCE, atol=TOLERANCE
            )


def test_the_default_variant_has_them_too_where_no_example_has_padding(rng):
    tree = first.random_tree(SPARSE, rng)
    encoder = make_encoder(
        tree, variant="fixed", modalities=("image", "video", "audio")
    )
    load_imp_weights(encoder, tree)
    x = first.inputs(rng)
    x = {name: x[name] for name in encoder.modalities}
    for modality, values in x.items():
        # Each example is a group: two experts, two examples.
        _, pooled = first.forward(SPARSE, tree, modality, values)
        np.testing.assert_allclose(
            to_numpy(encoder({modality: values})[modality]["pooled_output"]),
            pooled,
            rtol=TOLERANCE,
            atol=TOLERANCE,
        )


@pytest.mark.parametrize("space", ["disjoint", "joint"])
def test_heads_of_contrastive_tasks_get_their_weights(space, rng):
    sizes = first.Sizes(space=space)
    tree = first.random_tree(sizes, rng)
    encoder = make_encoder(tree, modalities=("image", "audio", "text"))
    task = keras_imp.tasks.Contrastive(
        "all",
        modalities=("image", "audio", "text"),
        projection_dim=6,
        space=space,
    )
    model = keras_imp.AlternatingModel(encoder, [task])
    report = load_imp_weights(model, tree)
    assert all("temperature" in path for path in report.new)
    x = first.inputs(rng)
    x = {name: x[name] for name in encoder.modalities}
    vectors = to_numpy(task(x, encoder=encoder))
    assert len(vectors) == 6
    for key, actual in vectors.items():
        source, target = key.split("_to_")
        _, pooled = first.forward(sizes, tree, source, x[source])
        expected = first.common_vector(sizes, tree, source, target, pooled)
        np.testing.assert_allclose(actual, expected, atol=TOLERANCE)
