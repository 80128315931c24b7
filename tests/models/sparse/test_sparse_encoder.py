"""The encoder with experts: sizes, invariance, insight, upcycling."""

import functools
import pathlib
import re
from typing import NamedTuple

import keras
import numpy as np
import pytest

import keras_imp
from keras_imp.evaluation.routing import _EncoderProbe
from keras_imp.models.sparse.placement import runs
from tests.helpers.compiled import in_one
from tests.helpers.weights import randomize, to_numpy

VOCABULARY = 13
PARTS = {
    "hidden_dim": 16,
    "intermediate_dim": 24,
    "num_layers": 4,
    "num_heads": 2,
    "modalities": ("image", "text"),
    "vocabulary_size": VOCABULARY,
    "patch_size": (2, 4, 4),
    "position_buckets": (2, 4, 4),
    "max_sequence_length": 40,
}
SPARSE = {**PARTS, "num_experts": 3, "num_moe_layers": 2}
ROUTERS = {
    "expert_choice": {},
    "token_choice": {"num_selected": 2, "balance_rate": 0.01},
    "soft": {"slots_per_expert": 2},
}
ROUTER = pytest.mark.parametrize("router", list(ROUTERS))


def sparse(router="expert_choice", seed=0, **options):
    keras.utils.set_random_seed(seed)
    arguments = {**SPARSE, "router_options": ROUTERS[router], **options}
    return keras_imp.IMPEncoder(router=router, **arguments)


def batch(rng, size=8, length=6):
    text = rng.integers(1, VOCABULARY, (size, length), dtype="int32")
    lengths = rng.integers(1, length + 1, (size, 1))
    text = np.where(np.arange(length) < lengths, text, 0)
    images = rng.integers(0, 256, (size, 8, 12, 3), dtype="uint8")
    return {"image": images, "text": text}


def pooled(features):
    return {k: to_numpy(v["pooled_output"]) for k, v in features.items()}


@ROUTER
def test_an_example_does_not_depend_on_its_batch(rng, router):
    encoder = randomize(sparse(router), rng)
    x = batch(rng)
    together = pooled(encoder(x))
    order = rng.permutation(8)
    permuted = pooled(encoder({k: v[order] for k, v in x.items()}))
    encode = in_one(encoder)  # What follows has shapes of its own.
    padded = {"text": np.pad(x["text"], ((0, 0), (0, 16)))}
    longer = pooled(encode(padded))["text"]
    np.testing.assert_allclose(longer, together["text"], atol=1e-5, rtol=1e-5)
    for name, values in together.items():
        np.testing.assert_allclose(
            permuted[name], values[order], atol=1e-5, rtol=1e-5
        )
        alone = pooled(encode({name: x[name][3:4]}))[name][0]
        np.testing.assert_allclose(alone, values[3], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "encoder", "active"),
    [
        ("imp_moe_small", 42_488_064, 21_254_400),
        ("imp_moe_base", 509_703_168, 85_029_888),
        ("imp_moe_large", 1_057_117_184, 302_142_464),
    ],
)
def test_presets_have_the_counts_of_the_table(name, encoder, active):
    try:
        with keras.StatelessScope(initialize_variables=False):
            built = keras_imp.IMPEncoder.from_preset(
                name, modalities=("image",)
            )
            inside = sum(s.count_params() for s in built.body.stacks)
            inside += built.final_norm.count_params()
            outside = built.count_params() - inside
            assert inside == encoder
            assert built.count_active_params() - outside == active
            assert built.body.stacks[-1].qk_layer_norm
    finally:
        keras.utils.clear_session(free_memory=False)


def test_presets_say_how_many_parameters_they_have():
    name = "imp_moe_tiny"
    built = keras_imp.IMPEncoder.from_preset(name, modalities=("text",))
    inside = sum(stack.count_params() for stack in built.body.stacks)
    inside += built.final_norm.count_params()
    preset = keras_imp.models.PRESETS[name]
    assert inside == preset["encoder_parameters"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((12, 6, "last"), [(0, 1, 2, 3, 4, 5), (6, 7, 8, 9, 10, 11)]),
        ((4, 2, "uniform"), [(0,), (1,), (2,), (3,)]),
        ((5, 2, "uniform"), [(0, 1), (2,), (3,), (4,)]),
        ((3, 3, "last"), [(0, 1, 2)]),
        ((3, 0, "last"), [(0, 1, 2)]),
    ],
)
def test_placement(arguments, expected):
    found = runs(*arguments)
    assert [run.layers for run in found] == expected
    assert sum(len(r.layers) for r in found if r.is_routed) == arguments[1]
    assert not arguments[1] or found[-1].is_routed


def test_uniform_placement_runs_and_saves(rng, tmp_path):
    encoder = randomize(sparse(moe_placement="uniform"), rng)
    x = batch(rng)
    expected = pooled(encoder(x))
    encoder.save(tmp_path / "encoder.keras")
    encoder.save_to_preset(str(tmp_path / "preset"))
    for loaded in (
        keras.saving.load_model(tmp_path / "encoder.keras"),
        keras_imp.IMPEncoder.from_preset(str(tmp_path / "preset")),
    ):
        for name, values in pooled(loaded(x)).items():
            np.testing.assert_allclose(values, expected[name], atol=1e-6)


def trained_call(encoder, x):
    """The sum of the losses that a training call adds."""

    def losses(x):
        encoder(x, training=True)
        return sum(encoder.losses)

    # An eager call on JAX has no scan.
    scans = encoder.body.stacks[0]._scans()
    return float((in_one(encoder, losses) if scans else losses)(x))


@functools.cache
def loop_reference(router):
    """First weights, input, encoder and losses, its layers run in a loop."""
    rng = np.random.default_rng(0)
    encoder = randomize(sparse(router, scan_layers=False), rng)
    weights, x = encoder.get_weights(), batch(rng)
    return weights, x, encoder, trained_call(encoder, x)


@pytest.mark.parametrize("scan", [True, False])
@pytest.mark.parametrize("remat", [True, False])
@ROUTER
def test_scan_and_loop_agree_with_their_losses(router, scan, remat):
    if keras.config.backend() == "torch" and scan:
        pytest.skip("Torch has no scan.")
    weights, x, reference, expected = loop_reference(router)
    other = sparse(router, scan_layers=scan, remat=remat)
    other.set_weights(weights)
    assert expected != 0.0 or router == "soft"
    np.testing.assert_allclose(expected, trained_call(other, x), rtol=1e-5)
    for name, metric in reference.routing_metrics.items():
        np.testing.assert_allclose(
            other.routing_metrics[name].importance(),
            metric.importance(),
            atol=1e-5,
        )


class Fit(NamedTuple):
    """A sparse encoder that was trained, and what is left of the training."""

    router: str
    encoder: keras.Model
    before: list[np.ndarray]
    history: dict[str, list]
    folder: pathlib.Path


@pytest.fixture(scope="module", params=list(ROUTERS))
def fit(request, tmp_path_factory):
    router, folder = request.param, tmp_path_factory.mktemp("fit")
    encoder = sparse(router, num_layers=3)
    before = [to_numpy(v) for v in last_variables(encoder)]
    callbacks = [keras_imp.evaluation.RoutingHeatMap(folder)]
    history = fitted(encoder, np.random.default_rng(0), router, callbacks)
    return Fit(router, encoder, before, history, folder)


def last_variables(encoder):
    return encoder.body.stacks[-1].trainable_variables


def fitted(encoder, rng, router, callbacks):
    x = batch(rng)
    tasks = [keras_imp.tasks.Contrastive("captions", projection_dim=8)]
    data = {"captions": [(x,)]}
    # A mixture of tasks with one router: each task compiles a graph.
    if router == "expert_choice":
        y = rng.integers(0, 3, 8)
        tasks.append(keras_imp.tasks.Classification("objects", "image", 3))
        data["objects"] = [({"image": x["image"]}, y)]
    model = keras_imp.AlternatingModel(encoder, tasks)
    # XLA compiles slowly on TensorFlow; JAX is slow without it. Moments would
    # be half of the graph, and are not what is tested.
    jit = keras.config.backend() == "jax"
    model.compile(optimizer=keras.optimizers.SGD(0.1), jit_compile=jit)
    mixture = keras_imp.TaskMixture(data, keras_imp.schedules.RoundRobin())
    return model.fit(
        mixture, steps_per_epoch=4, epochs=2, verbose=0, callbacks=callbacks
    ).history


def test_fit_trains_every_part_and_logs_the_routing(fit):
    after = [to_numpy(v) for v in last_variables(fit.encoder)]
    for variable, a, b in zip(last_variables(fit.encoder), fit.before, after):
        assert np.abs(a - b).max() > 0, variable.name
    for name in ("image", "text"):
        for layer in (1, 2):
            for figure in ("left_behind", "confidence", "z_loss", "max_load"):
                values = fit.history[f"routing/{name}/layer_{layer}/{figure}"]
                assert np.isfinite(values).all()
    if fit.router == "token_choice":
        assert to_numpy(fit.encoder.body.stacks[-1].stacked_bias).any()


def test_the_heat_map_goes_to_tensorboard(fit):
    from tensorboard.backend.event_processing.event_accumulator import (
        EventAccumulator,
    )

    events = EventAccumulator(str(fit.folder / "routing")).Reload()
    images = events.Images("routing/importance")
    assert [image.step for image in images] == [0, 1]
    assert images[0].encoded_image_string.startswith(b"\x89PNG")


class Inspection(NamedTuple):
    """What `inspect_routing` found and drew."""

    encoder: keras.Model
    x: dict[str, np.ndarray]
    routing: dict[str, keras_imp.evaluation.Routing]
    folder: pathlib.Path


@pytest.fixture(scope="module")
def inspection(tmp_path_factory):
    rng, folder = np.random.default_rng(1), tmp_path_factory.mktemp("routing")
    encoder, x = randomize(sparse(num_layers=3), rng), batch(rng)
    routing = keras_imp.inspect_routing(encoder, x, folder, batch_size=3)
    return Inspection(encoder, x, routing, folder)


def test_routing_is_counted_over_all_real_tokens(inspection):
    encoder, x, routing, _ = inspection
    encoder(x)  # A plain call counts nothing.
    assert np.isnan(encoder.routing_metrics["text"].importance()).all()
    encoder(x, training=False)
    for name, found in routing.items():
        metric = encoder.routing_metrics[name]
        np.testing.assert_allclose(found.load, metric.load(), atol=1e-5)
        np.testing.assert_allclose(
            found.importance, metric.importance(), atol=1e-5
        )
        result = metric.result()
        for i, layer in enumerate(encoder.routed_layers):
            key = f"layer_{layer}"
            assert result[f"{key}/left_behind"] == pytest.approx(
                found.left_behind[i], abs=1e-6
            )
            assert result[f"{key}/confidence"] == pytest.approx(
                found.confidence[i], rel=1e-4
            )


def test_inspect_routing_draws(inspection):
    _, _, routing, folder = inspection
    assert routing["image"].gates.shape == (8, 2, 6, 3)
    assert routing["text"].gates.shape == (8, 2, 6, 3)
    # Float32 shares of three experts: one may round the other way.
    np.testing.assert_allclose(
        routing["image"].importance.sum(-1), 1.0, rtol=1e-6
    )
    assert (folder / "routing_heatmap.png").stat().st_size > 5000
    assert (folder / "routing_overlay.png").stat().st_size > 5000


def test_inspect_routing_compiles_no_copy_of_the_weights():
    encoder = sparse()
    probe = _EncoderProbe(encoder)
    assert [id(v) for v in probe.weights] == [id(v) for v in encoder.weights]


def test_inspect_routing_of_a_dense_encoder_is_refused():
    encoder = keras_imp.IMPEncoder(**PARTS)
    text = (
        "The model must have experts. Received: num_experts=0. Use a sparse "
        'preset, such as "imp_moe_tiny".'
    )
    with pytest.raises(ValueError, match=re.escape(text)):
        keras_imp.inspect_routing(encoder, {})


@pytest.mark.parametrize("router", ["expert_choice", "token_choice"])
@pytest.mark.parametrize("placement", ["last", "uniform"])
def test_upcycling_changes_no_output(rng, router, placement):
    dense = randomize(keras_imp.IMPEncoder(**PARTS), rng)
    copy = keras_imp.upcycle(
        dense,
        num_experts=3,
        num_moe_layers=2,
        router=router,
        moe_placement=placement,
    )
    x = batch(rng)
    expected = pooled(dense(x))
    for name, values in pooled(copy(x)).items():
        np.testing.assert_allclose(values, expected[name], atol=2e-5, rtol=2e-5)
    assert copy.count_params() > dense.count_params()


def test_upcycling_refuses_what_cannot_start_equal():
    dense = keras_imp.IMPEncoder(**PARTS)
    text = (
        "The router of a sparse encoder that starts from a dense one must give "
        "its experts tokens, not mixtures of tokens. Received: router='soft'. "
        'Use "expert_choice" or "token_choice".'
    )
    with pytest.raises(ValueError, match=re.escape(text)):
        keras_imp.upcycle(dense, 3, 2, router="soft")
    keeps_its_router = keras_imp.IMPEncoder(**PARTS, router="soft")
    with pytest.raises(ValueError, match=re.escape(text)):
        keras_imp.upcycle(keeps_its_router, 3, 2)
    with pytest.raises(ValueError, match="`encoder` must be dense"):
        keras_imp.upcycle(sparse(), 3, 2)


def test_the_dense_twin_has_the_active_parameters():
    encoder = sparse()
    twin = encoder.dense_twin()
    routers = 2 * PARTS["hidden_dim"] * SPARSE["num_experts"]
    assert twin.num_experts == 0
    assert twin.uses_qk_layer_norm
    assert encoder.count_active_params() == twin.count_params() + routers


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (
            {"num_experts": 4, "num_moe_layers": 0},
            "`num_experts` and `num_moe_layers` must both be greater than 0, "
            "or both 0 for a dense encoder. Received: num_experts=4, "
            "num_moe_layers=0.",
        ),
        (
            {"num_experts": 0, "num_moe_layers": 2},
            "`num_experts` and `num_moe_layers` must both be greater than 0, "
            "or both 0 for a dense encoder. Received: num_experts=0, "
            "num_moe_layers=2.",
        ),
        (
            {"num_experts": -1, "num_moe_layers": 2},
            "`num_experts` and `num_moe_layers` must not be negative. "
            "Received: num_experts=-1, num_moe_layers=2.",
        ),
        (
            {"num_experts": 4, "num_moe_layers": 5},
            "`num_moe_layers` must be at most `num_layers`. Received: "
            "num_moe_layers=5, num_layers=4.",
        ),
        (
            {"num_experts": 4, "num_moe_layers": 2, "router": "hash"},
            "`router` must be one of ('expert_choice', 'token_choice', "
            "'soft'). Received: router='hash'.",
        ),
        (
            {
                "num_experts": 4,
                "num_moe_layers": 2,
                "capacity_factor": -1.0,
            },
            "`capacity_factor` must be greater than 0. Received: "
            "capacity_factor=-1.0.",
        ),
    ],
)
def test_bad_arguments(arguments, text):
    with pytest.raises(ValueError, match=re.escape(text)):
        keras_imp.IMPEncoder(**{**PARTS, **arguments})


def test_balancing_and_dropout_keep_their_states_apart(rng):
    encoder = sparse("token_choice", dropout=0.2)
    encoder(batch(rng), training=True)
    bias = to_numpy(encoder.body.stacks[-1].stacked_bias)
    assert bias.any()
    # Whole nudges of 0.01, one for each modality at most: no seed state.
    nudges = bias / 0.01
    np.testing.assert_allclose(nudges, nudges.round(), atol=1e-5)
    assert np.abs(nudges).max() < 2.5


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_routing_is_counted_in_every_precision(dtype):
    encoder = keras_imp.IMPEncoder(**SPARSE, dtype=dtype)
    metric = encoder.routing_metrics["text"]
    metric.batches.assign(300.0)  # bfloat16 cannot count from here.
    in_one(encoder, training=False)({"text": np.array([[1, 2, 3]])})
    assert float(to_numpy(metric.batches)) == 301.0
    assert to_numpy(metric.load_sum).sum() > 0


@pytest.mark.parametrize("part", ["all", "embedder"])
def test_upcycling_copies_what_is_frozen(rng, part):
    dense = keras_imp.IMPEncoder(8, 16, 2, 2, ("text",), vocabulary_size=20)
    x = {"text": rng.integers(1, 20, (3, 6))}
    before = dense(x)["text"]["pooled_output"]
    frozen = dense if part == "all" else dense.embedders["text"]
    frozen.trainable = False
    after = keras_imp.upcycle(dense, 3, 1)(x)["text"]["pooled_output"]
    np.testing.assert_allclose(to_numpy(after), to_numpy(before), atol=1e-5)
