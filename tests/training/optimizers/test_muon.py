"""Muon against its formula, and what it leaves to AdamW."""

import re

import keras
import numpy as np
import pytest
from keras import ops

import keras_imp
from keras_imp.models.weight_places import Place
from keras_imp.training.optimizers import AdamW, CosineWithWarmup, Muon
from keras_imp.training.optimizers.orthogonalize import (
    KELLER_JORDAN,
    THREE_STEPS,
)
from tests.helpers import models
from tests.helpers.bad_batches import exactly
from tests.helpers.optimizers import (
    MuonOracle,
    as_tensors,
    assert_follows,
    take_step,
)
from tests.helpers.weights import to_numpy

# Stacked matrices of one shape but for its side, experts, one matrix, and
# weights of AdamW.
SHAPES = {
    "stack/query_kernel": (2, 3, 7),
    "stack/output_kernel": (2, 7, 3),
    "stack/query_bias": (2, 7),
    "stack/experts_expand_kernel": (2, 5, 3, 4),
    "stack/router_kernel": (2, 3, 5),
    "head/kernel": (5, 3),
}
MATRICES = (0, 1, 3)
DECAYS = [0.5, 0.5, 0.0, 0.5, 0.5, 0.5]


def make_variables(rng, shapes=SHAPES):
    variables = []
    for path, shape in shapes.items():
        scope, _, name = path.rpartition("/")
        with keras.name_scope(scope):
            value = rng.normal(size=shape).astype("float32")
            variables.append(keras.Variable(value, name=name))
    return variables


def make_gradients(rng, steps, shapes=SHAPES):
    """Some of them None; each weight has one sooner or later."""
    return [
        [
            None
            if (step + i) % 3 == 0
            else rng.normal(size=shape).astype("float32")
            for i, shape in enumerate(shapes.values())
        ]
        for step in range(steps)
    ]


def make_oracle(variables, decays=DECAYS, factors=None, **options):
    options = {"matrices": MATRICES, "polynomials": THREE_STEPS, **options}
    values = [to_numpy(v) for v in variables]
    return MuonOracle(values, 0.01, decays, factors, **options)


# The numbers ----------------------------------------------------------------


@pytest.mark.parametrize("clip", [1.0, None])
@pytest.mark.parametrize(
    "polynomials", [THREE_STEPS, KELLER_JORDAN], ids=["three", "five"]
)
def test_steps_with_partial_gradients_follow_the_formula(
    rng, clip, polynomials
):
    variables = make_variables(rng)
    oracle = make_oracle(variables, clip=clip, polynomials=polynomials)
    optimizer = Muon(0.01, 0.5, global_clipnorm=clip, polynomials=polynomials)
    assert_follows(
        optimizer, oracle, variables, make_gradients(rng, 6), atol=2e-5
    )
    found = [optimizer.trains_matrix(v) for v in variables]
    assert [i for i, is_matrix in enumerate(found) if is_matrix] == [0, 1, 3]


def test_the_length_of_a_step_is_an_argument(rng):
    variables = make_variables(rng)
    oracle = make_oracle(variables, rms=0.7)
    optimizer = Muon(0.01, 0.5, global_clipnorm=None, update_rms=0.7)
    assert_follows(
        optimizer, oracle, variables, make_gradients(rng, 4), atol=2e-5
    )


def test_a_step_is_about_as_long_as_one_of_adamw(rng):
    kernel = keras.Variable(np.zeros((64, 256), "float32"), name="kernel")
    optimizer = Muon(1.0, matrices="kernel", global_clipnorm=None)
    optimizer.build([kernel])
    gradient = rng.normal(size=(64, 256)).astype("float32")
    take_step(optimizer, [kernel], [ops.convert_to_tensor(gradient)])
    rms = np.sqrt(np.mean(np.square(to_numpy(kernel))))
    assert rms == pytest.approx(0.2, rel=0.1)


def test_rows_have_factors_and_frozen_ones_do_not_change_by_a_bit(rng):
    variables = make_variables(rng)
    for i in (0, 1, 2, 3, 4):
        variables[i].place = Place((1, 2), top=3)
    row = lambda rank: np.reshape([0.0, 0.5], (2, *[1] * (rank - 1)))
    factors = [
        10 * row(3), row(3), row(2), row(4), row(3), 1.0
    ]  # fmt: skip
    oracle = make_oracle(variables, factors=factors, clip=0.5)
    optimizer = Muon(
        0.01,
        0.5,
        global_clipnorm=0.5,
        layer_decay=0.5,
        frozen_layers=[0],
        learning_rate_multipliers={"query_kernel": 10.0},
    )
    start = [to_numpy(v) for v in variables]
    assert_follows(
        optimizer, oracle, variables, make_gradients(rng, 6), atol=2e-5
    )
    for variable, value in zip(variables[:5], start):
        np.testing.assert_array_equal(to_numpy(variable)[0], value[0])
    state = {v.path: to_numpy(v) for v in optimizer.variables}
    for name in ("query_kernel", "output_kernel", "experts_expand_kernel"):
        (path,) = (p for p in state if p.endswith(f"{name}_momentum"))
        assert not state[path][0].any()
        assert state[path][1].any()


def test_a_frozen_weight_does_not_change(rng):
    variables = make_variables(rng)
    optimizer = Muon(0.1, 0.5, learning_rate_multipliers={"stack/": 0.0})
    optimizer.build(variables)
    start = [to_numpy(v) for v in variables]
    gradients = [ops.ones(shape) for shape in SHAPES.values()]
    take_step(optimizer, variables, gradients)
    for variable, value in zip(variables[:5], start):
        np.testing.assert_array_equal(to_numpy(variable), value)
    assert (to_numpy(variables[5]) != start[5]).all()


def test_a_matrix_that_is_updated_alone_takes_the_same_step(rng):
    """As replicas of TensorFlow do it, weight by weight."""
    gradients = make_gradients(rng, 3)
    start = make_variables(rng)
    values = [to_numpy(v) for v in start]

    class Alone(Muon):
        def _backend_update_step(self, grads, trainable_variables, rate):
            for gradient, variable in zip(grads, trainable_variables):
                self.update_step(gradient, variable, rate)

    found = []
    for kind in (Muon, Alone):
        for variable, value in zip(start, values, strict=True):
            variable.assign(value)
        optimizer = kind(0.01, 0.5)
        optimizer.build(start)
        for step in gradients:
            take_step(optimizer, start, as_tensors(step))
        found.append([to_numpy(v) for v in start])
    for together, alone in zip(*found, strict=True):
        np.testing.assert_allclose(together, alone, rtol=1e-5, atol=1e-6)


def test_averages_follow_the_weights(rng):
    variables = make_variables(rng)
    optimizer = Muon(0.01, use_ema=True, ema_momentum=0.5)
    optimizer.build(variables)
    expected = None
    for step in make_gradients(rng, 4):
        take_step(optimizer, variables, as_tensors(step))
        new = [to_numpy(v) for v in variables]
        expected = (
            new
            if expected is None
            else [(a + b) / 2 for a, b in zip(expected, new)]
        )
    optimizer.finalize_variable_values(variables)
    for variable, value in zip(variables, expected, strict=True):
        np.testing.assert_allclose(to_numpy(variable), value, atol=1e-6)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float64"])
def test_weights_of_another_dtype_keep_it(rng, dtype):
    if dtype == "float64" and keras.config.backend() == "jax":
        pytest.skip("JAX has none by default")
    kernel = keras.Variable(rng.normal(size=(4, 9)), name="kernel", dtype=dtype)
    before = to_numpy(ops.cast(kernel, "float32"))
    optimizer = Muon(0.01, matrices="kernel")
    optimizer.build([kernel])
    gradient = ops.cast(rng.normal(size=(4, 9)), dtype)
    take_step(optimizer, [kernel], [gradient])
    assert keras.backend.standardize_dtype(kernel.dtype) == dtype
    after = to_numpy(ops.cast(kernel, "float32"))
    assert 0 < abs(after - before).max() < 0.02


@pytest.mark.parametrize("update", ["touched", "all"])
def test_idle_matrices_stay_as_they_are(update):
    """With `update="all"` they have no momentum either, but they decay."""
    optimizer = Muon(1e-2, 0.5, matrices="kernel$")
    model = models.make_model(
        models.two_tasks, optimizer=optimizer, update=update
    )
    before = models.values(model.trainable_variables)
    data = models.data_of("objects", "sounds")
    mixture = models.in_turn(data, schedule=models.Always("objects"))
    model.fit(mixture, steps_per_epoch=3, verbose=0)
    after = models.values(model.trainable_variables)
    kernels = {p: v for p, v in after.items() if p.endswith("kernel")}
    for path, value in kernels.items():
        if "sounds" in path or "audio" in path:
            decay = (1 - 0.5 * 1e-2) ** 3 if update == "all" else 1.0
            np.testing.assert_allclose(
                value, before[path] * decay, rtol=1e-6, err_msg=path
            )
            if update == "touched":
                np.testing.assert_array_equal(value, before[path])
    assert any((v != before[p]).any() for p, v in kernels.items())


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_a_mixed_policy_keeps_matrices_and_momentum_in_float32(policy):
    keras.config.set_dtype_policy(policy)
    try:
        encoder = make_encoder()
        task = keras_imp.tasks.Classification("words", "text", 3)
        model = keras_imp.AlternatingModel(encoder, [task])
        model.compile(
            Muon(1e-2), jit_compile=models.default_jit(), **models.few_steps()
        )
    finally:
        keras.config.set_dtype_policy("float32")
    rng = np.random.default_rng(0)
    batch = {"text": rng.integers(1, 30, (8, 6))}, np.arange(8) % 3
    mixture = keras_imp.TaskMixture({"words": [batch]}, steps_per_epoch=6)
    losses = model.fit(mixture, epochs=3, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    dtypes = {
        v.dtype for v in model.optimizer.variables if "_kernel_" in v.path
    }
    assert dtypes == {"float32"}


# Which weights --------------------------------------------------------------


def make_encoder():
    return keras_imp.IMPEncoder(
        8, 16, 3, 2,
        modalities=("image", "text"), vocabulary_size=30,
        num_experts=4, num_moe_layers=1, router_options={"use_bias": True},
    )  # fmt: skip


def test_the_kernels_of_an_encoder_are_matrices_and_nothing_else_is():
    encoder = make_encoder()
    optimizer = Muon()
    optimizer.build(encoder.trainable_variables)
    found = {
        "/".join(v.path.split("/")[-2:])
        for v in encoder.trainable_variables
        if optimizer.trains_matrix(v)
    }
    attention = ("query", "key", "value", "output")
    assert found == {
        *(f"stack/{name}_kernel" for name in (*attention, "expand")),
        "stack/contract_kernel",
        *(f"sparse_stack/{name}_kernel" for name in attention),
        "sparse_stack/experts_expand_kernel",
        "sparse_stack/experts_contract_kernel",
        "projection/kernel",
        "before/kernel",
        "after/kernel",
    }


@pytest.mark.parametrize(
    ("options", "trained"),
    [({}, set()), ({"matrices": "lora_"}, {"lora_a", "lora_b"})],
    ids=["by default", "by name"],
)
def test_lora_weights_are_matrices_only_where_it_is_asked_for(options, trained):
    encoder = keras_imp.IMPEncoder(8, 16, 2, 2, modalities=("image",))
    encoder.enable_lora(2, ("query",))
    encoder.embedders["vision"].trainable = True
    optimizer = Muon(0.01, **options)
    optimizer.build(encoder.trainable_variables)
    matrices = {
        variable.name[:6]
        for variable in encoder.trainable_variables
        if optimizer.trains_matrix(variable)
    }
    assert matrices - {"kernel"} == trained


def test_a_matrix_needs_no_second_moment(rng):
    variables = make_variables(rng)
    muon, adamw = Muon(amsgrad=True), AdamW(amsgrad=True)
    for optimizer in (muon, adamw):
        optimizer.build(variables)
    missing = {v.path.split("/")[-1] for v in adamw.variables} - {
        v.path.split("/")[-1] for v in muon.variables
    }
    names = [list(SHAPES)[i].replace("/", "_") for i in MATRICES]
    assert missing == {
        f"{name}_{kind}"
        for name in names
        for kind in ("velocity", "velocity_hat")
    }


@pytest.mark.parametrize(
    ("pattern", "name", "shape"),
    [
        ("attention_norm_gamma", "attention_norm_gamma", (2, 8)),
        ("stack/experts_expand_bias", "experts_expand_bias", (1, 4, 1, 16)),
        ("final_norm/gamma", "gamma", (8,)),
    ],
)
def test_what_is_no_matrix_is_refused(pattern, name, shape):
    encoder = make_encoder()
    weight = next(
        v for v in encoder.trainable_variables if re.search(pattern, v.path)
    )
    assert (weight.name, tuple(weight.shape)) == (name, shape)
    text = (
        "`matrices` must match matrices only: the last two axes of a weight, "
        "after that of the layers in a stack. Received: "
        f"matrices={pattern!r}, weight={weight.path!r}, shape={shape!r}. "
        "Choose a pattern that leaves this weight to AdamW."
    )
    with exactly(ValueError, text):
        Muon(matrices=pattern).build(encoder.trainable_variables)


def test_a_pattern_that_matches_nothing_is_refused(rng):
    text = (
        "`matrices` must match the path of a trainable weight. Received: "
        "matrices='kernels'. Print `[v.path for v in "
        "model.trainable_variables]`; where there are no matrices to train, "
        "use keras_imp.optimizers.AdamW."
    )
    with exactly(ValueError, text):
        Muon(matrices="kernels").build(make_variables(rng))


# Arguments ------------------------------------------------------------------


@pytest.mark.parametrize("momentum", [-0.1, 1.0])
def test_a_momentum_out_of_range_is_refused(momentum):
    text = f"`momentum` must be in [0, 1). Received: momentum={momentum}."
    with exactly(ValueError, text):
        Muon(momentum=momentum)


@pytest.mark.parametrize("polynomials", [[], [(1.0, 2.0)]])
def test_polynomials_of_another_form_are_refused(polynomials):
    text = (
        "`polynomials` must be at least one `(a, b, c)`. Received: "
        f"polynomials={polynomials!r}."
    )
    with exactly(ValueError, text):
        Muon(polynomials=polynomials)


def test_config_round_trip():
    optimizer = Muon(
        CosineWithWarmup(1e-3, 100, 10),
        0.05,
        matrices="stack/.*_kernel$",
        momentum=0.9,
        update_rms=0.5,
        polynomials=KELLER_JORDAN,
        frozen_layers=range(2),
        layer_decay=0.75,
        use_ema=True,
    )
    copy = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert type(copy) is Muon
    assert copy.get_config() == optimizer.get_config()
    assert copy.polynomials == KELLER_JORDAN
