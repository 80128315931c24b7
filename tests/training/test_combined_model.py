"""All tasks in each step: by the sum of their losses, or in a padded batch."""

import re

import keras
import numpy as np
import pytest
from keras import ops

import keras_imp
from keras_imp.models.embedders import Embedder
from keras_imp.training.combined_model import CombinedModel
from keras_imp.training.step.joint import JointPredictions
from tests.helpers import interruption as interrupted
from tests.helpers import models
from tests.helpers.bad_batches import exactly
from tests.helpers.compiled import in_one
from tests.helpers.weights import to_numpy

BACKEND = keras.config.backend()
RATE = 0.5
EXPERTS = {"num_experts": 3, "num_moe_layers": 1, "router_z_loss": 0.0}


def combined(make_tasks=models.tasks, encoder=None, seed=1, **options):
    """A compiled model whose weights depend on the seed only."""
    keras.utils.set_random_seed(seed)
    names = ("strategy", "update")
    model = CombinedModel(
        encoder() if encoder else models.TinyEncoder(),
        make_tasks(),
        **{name: options.pop(name) for name in names if name in options},
    )
    options.setdefault("optimizer", keras.optimizers.SGD(RATE))
    options.setdefault("jit_compile", models.default_jit())
    # Quicker than to trace graphs of a few steps.
    options.setdefault("run_eagerly", BACKEND == "tensorflow")
    model.compile(**options)
    return model


def together(data=None, steps=1):
    data = data or models.make_data()
    return keras_imp.TaskMixture.together(data, steps_per_epoch=steps)


# A padded pass needs an encoder of tokens ----------------------------------


def small_encoder(**options):
    return keras_imp.IMPEncoder(
        **{
            "hidden_dim": 8,
            "intermediate_dim": 16,
            "num_layers": 1,
            "num_heads": 2,
            "modalities": ("image", "video", "text"),
            "vocabulary_size": 11,
            "patch_size": (2, 4, 4),
            "max_sequence_length": 7,
            **options,
        }
    )


def token_tasks():
    return [
        keras_imp.tasks.Classification("objects", "image", 3),
        keras_imp.tasks.Contrastive(
            "captions", ("image", "text"), projection_dim=8, loss_weight=2.0
        ),
        keras_imp.tasks.Classification("clips", "video", 2),
    ]


def token_data():
    """Pictures of 4 and 6 tokens, texts of 5 (some padded), clips of 8."""
    rng = np.random.default_rng(5)

    def normal(*shape):
        return rng.normal(size=shape).astype("float32")

    text = rng.integers(1, 11, (3, 5))
    text[1, 2:] = 0
    return {
        "objects": [({"image": normal(4, 8, 8, 3)}, rng.integers(0, 3, 4))],
        "captions": [({"image": normal(3, 8, 12, 3), "text": text},)],
        "clips": [({"video": normal(2, 4, 8, 8, 3)}, rng.integers(0, 2, 2))],
    }


def step(model, mixture):
    """Logs of one step, and what it added to each weight."""
    before = models.values(model.trainable_variables)
    logs = model.fit(mixture, steps_per_epoch=1, verbose=0).history
    after = models.values(model.trainable_variables)
    moved = [after[path] - before[path] for path in before]
    return {name: value[0] for name, value in logs.items()}, moved


def assert_same_changes(model, found, expected):
    for v, a, b in zip(model.trainable_variables, found, expected):
        np.testing.assert_allclose(a, b, 1e-6, 1e-5, err_msg=v.path)


# The step ------------------------------------------------------------------


def weighted_tasks():
    objects, captions, sounds = models.tasks()
    captions.loss_weight = 3.0
    return [objects, captions, sounds]


def test_a_step_takes_the_gradient_of_the_sum_of_all_losses():
    data = models.make_data()
    model = combined(weighted_tasks)
    logs, moved = step(model, together())
    losses, changes = {}, []
    for name in data:
        # The same weights, but one task alone: the first of the mixture.
        alone = models.make_model(
            weighted_tasks, optimizer=keras.optimizers.SGD(RATE)
        )
        first = {n: data[n] for n in (name, *data)}
        found, change = step(alone, models.in_turn(first))
        changes.append(change)
        losses[f"{name}/loss"] = found[f"{name}/loss"]
    assert_same_changes(model, moved, [sum(c) for c in zip(*changes)])
    for name, loss in losses.items():
        assert logs[name] == pytest.approx(loss, rel=1e-5)
    assert logs["loss"] == pytest.approx(sum(losses.values()), rel=1e-5)


@pytest.mark.parametrize("options", [{}, EXPERTS], ids=["dense", "sparse"])
def test_a_padded_step_is_a_summed_step(options):
    def one(strategy):
        model = combined(
            token_tasks, lambda: small_encoder(**options), strategy=strategy
        )
        return model, *step(model, together(token_data()))

    _, logs, moved = one("sum")
    model, padded_logs, padded_moved = one("padded")
    for name, value in logs.items():
        if not name.startswith("routing/"):
            assert padded_logs[name] == pytest.approx(value, abs=1e-5), name
    assert max(np.abs(change).max() for change in moved) > 1e-3
    assert_same_changes(model, padded_moved, moved)


def test_the_share_of_padding_is_logged():
    model = combined(token_tasks, small_encoder, strategy="padded")
    logs, _ = step(model, together(token_data()))
    # All are padded to the 8 tokens of a clip: pictures of 4 and 6, texts of
    # 5, 2 and 5, clips of 8.
    real = 4 * 4 + 3 * 6 + (5 + 2 + 5) + 2 * 8
    slots = (4 + 3 + 3 + 2) * 8
    assert logs["padding/wasted_tokens"] == pytest.approx(1 - real / slots)


def test_dropped_tokens_are_not_padded():
    def tasks_that_drop():
        objects, _, clips = token_tasks()
        drop = {"drop_tokens": {"video": 0.5}, "drop_seed": 3}
        return [
            objects,
            type(clips).from_config({**clips.get_config(), **drop}),
        ]

    data = {name: token_data()[name] for name in ("objects", "clips")}
    summed, padded = (
        step(
            combined(tasks_that_drop, small_encoder, strategy=strategy),
            together(data),
        )
        for strategy in ("sum", "padded")
    )
    for name, value in summed[0].items():
        assert padded[0][name] == pytest.approx(value, abs=1e-5), name
    # Clips of 8 tokens keep 4, as many as a picture has.
    assert padded[0]["padding/wasted_tokens"] == 0.0


class HalfOfAClip(keras_imp.tasks.Classification):
    """Encodes a random half of the tokens, and tells which."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.seed_generator = keras.random.SeedGenerator(4)

    def call(self, inputs, encoder=None, training=None):
        noise = keras.random.uniform((2, 8), seed=self.seed_generator)
        kept = ops.sort(ops.argsort(noise, axis=1)[:, :4], axis=1)
        features = encoder(
            {"video": inputs["video"]}, training=training, kept={"video": kept}
        )["video"]
        logits = self.head(features["pooled_output"])
        return {
            "logits": logits,
            "kept": ops.cast(kept, "float32"),
            "tokens": features["sequence_output"],
        }

    def compute_loss(self, x, y, y_pred, sample_weight=None):
        return super().compute_loss(x, y, y_pred["logits"], sample_weight)


def test_random_draws_of_a_task_are_those_that_were_encoded():
    model = combined(
        lambda: [
            HalfOfAClip("clips", "video", 2),
            keras_imp.tasks.Classification("objects", "image", 3),
        ],
        small_encoder,
        strategy="padded",
    )
    data = token_data()
    video = data["clips"][0][0]["video"]
    x = {"clips": {"video": video}, "objects": data["objects"][0][0]}
    run, encode = in_one(model, training=True), in_one(model.encoder)
    draws = []
    for _ in range(2):
        found = to_numpy(run(x)["clips"])
        kept = found["kept"].astype(int)
        alone = encode({"video": video}, kept={"video": kept})["video"]
        np.testing.assert_allclose(
            found["tokens"], to_numpy(alone["sequence_output"]), atol=1e-5
        )
        draws.append(kept)
    assert (draws[0] != draws[1]).any()
    # A call moves on by one draw: the seed, and how many there were.
    state = model.tasks["clips"].seed_generator.state
    assert to_numpy(state).tolist() == [4, 2]


def test_masked_modeling_hides_the_same_in_a_padded_step():
    def one(strategy):
        decoder = {"decoder_dim": 8, "decoder_layers": 1, "decoder_heads": 2}
        masked = keras_imp.tasks.MaskedModeling
        model = combined(
            lambda: [
                masked("pixels", "image", 0.5, seed=1, **decoder),
                masked("words", "text", 0.5, mask_id=10, seed=2),
            ],
            small_encoder,
            strategy=strategy,
        )
        x = token_data()["captions"][0][0]
        words = np.minimum(x["text"], 9)
        return step(
            model,
            together(
                {
                    "pixels": [({"image": x["image"]},)],
                    "words": [({"text": words},)],
                }
            ),
        )[0]

    summed, padded = one("sum"), one("padded")
    for name, value in summed.items():
        assert padded[name] == pytest.approx(value, abs=1e-5), name
    # Three of six patches beside texts of 5, 2 and 5 tokens of 5.
    assert padded["padding/wasted_tokens"] == pytest.approx(1 - 21 / 30)


def test_evaluation_and_prediction_pad_nothing(monkeypatch):
    model = combined(token_tasks, small_encoder, strategy="padded")
    data = token_data()
    lengths = []
    embed = Embedder.call

    def noting(self, inputs, **options):
        found = embed(self, inputs, **options)
        lengths.append(found["tokens"].shape[1])
        return found

    monkeypatch.setattr(Embedder, "call", noting)
    found = model.evaluate(models.all_once(data), verbose=0)
    assert "padding/wasted_tokens" not in found
    summed = combined(token_tasks, small_encoder)
    expected = summed.evaluate(models.all_once(data), verbose=0)
    assert found == pytest.approx(expected, rel=1e-5)
    x = data["objects"][0][0]
    logits = model.predict(x, task="objects", verbose=0)
    np.testing.assert_allclose(
        logits, to_numpy(model({"objects": x})), atol=1e-5
    )


# What it shares with `AlternatingModel` --------------------------------------


@pytest.fixture(scope="module")
def fitted():
    model = combined(optimizer=keras.optimizers.AdamW(1e-2), run_eagerly=False)
    history = model.fit(
        together(steps=9),
        epochs=4,
        verbose=0,
        validation_data=models.all_once(),
    ).history
    return model, history


def test_the_loss_of_every_task_falls(fitted):
    model, history = fitted
    for name in model.tasks:
        losses = history[f"{name}/loss"]
        assert losses[-1] < 0.8 * losses[0], losses
    assert int(model.step_counter) == int(model.optimizer.iterations) == 36


def test_each_task_has_logs_of_its_own(fitted):
    model, history = fitted
    names = {
        "captions/image_to_text_top_1",
        "captions/loss",
        "captions/text_to_image_top_1",
        "loss",
        "objects/accuracy",
        "objects/loss",
        "sounds/accuracy",
        "sounds/loss",
    }
    assert set(history) == names | {f"val_{name}" for name in names}
    total = sum(history[f"{name}/loss"][0] for name in model.tasks)
    assert history["loss"][0] == pytest.approx(total, rel=1e-5)


def test_items_of_all_tasks_can_be_evaluated_too(fitted):
    model, _ = fitted
    data = {name: batches[:1] for name, batches in models.make_data().items()}
    at_once = model.evaluate(together(data), verbose=0)
    apart = model.evaluate(models.all_once(data), verbose=0)
    total = sum(apart[f"{name}/loss"] for name in data)
    assert at_once.pop("loss") == pytest.approx(total, rel=1e-5)
    apart.pop("loss")
    assert at_once == pytest.approx(apart, rel=1e-5)


def test_a_saved_model_goes_on_as_if_it_had_not_been_saved(tmp_path):
    options = {"dropout": 0.3}
    model = combined(
        token_tasks, lambda: small_encoder(**options), strategy="padded"
    )
    model.fit(together(token_data(), steps=2), verbose=0)
    model.save(tmp_path / "model.keras")
    keras.utils.set_random_seed(99)
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert type(loaded) is CombinedModel
    assert loaded.strategy == "padded"
    models.assert_same(models.state(loaded), models.state(model))
    histories = [
        m.fit(together(token_data(), steps=3), verbose=0).history
        for m in (model, loaded)
    ]
    assert histories[0] == histories[1]
    models.assert_same(models.state(loaded), models.state(model))


def test_a_run_that_breaks_off_goes_on_within_the_epoch(tmp_path):
    def fit(callbacks, seed=77):
        model = combined(
            token_tasks,
            lambda: small_encoder(dropout=0.2),
            seed=seed,
            strategy="padded",
        )
        history = model.fit(
            together(token_data(), steps=3),
            epochs=2,
            verbose=0,
            callbacks=callbacks,
        )
        return model, history.history

    def backup():
        return keras_imp.callbacks.Backup(tmp_path, every=1)

    expected = interrupted.whole(fit)
    with pytest.raises(interrupted.InterruptedRunError):
        fit([backup(), interrupted.StopAfter(4)], seed=1)
    interrupted.assert_whole(*fit([backup()]), expected)


def test_an_alternating_model_takes_the_weights(tmp_path):
    model = combined()
    model.save_weights(tmp_path / "model.weights.h5")
    other = models.make_model(seed=2)
    other.load_weights(tmp_path / "model.weights.h5")
    models.assert_same(
        [to_numpy(v) for v in model.weights],
        [to_numpy(v) for v in other.weights],
    )


@pytest.mark.skipif(BACKEND == "torch", reason="compiles nothing")
def test_all_tasks_compile_as_one_graph():
    model = CombinedModel(models.TinyEncoder(), models.tasks())
    traced = models.note_traces(model)
    model.compile("sgd", jit_compile=models.default_jit())
    for _ in range(2):
        model.fit(together(steps=4), verbose=0)
    assert len(traced) == 1


def with_bad_sounds():
    data = models.make_data()
    x, y = data["sounds"][1]
    data["sounds"][1] = ({"audio": np.full_like(x["audio"], np.nan)}, y)
    return data


def test_a_loss_that_is_not_finite_names_its_task_and_spoils_nothing():
    model = combined(optimizer=keras.optimizers.AdamW(1e-2))
    with pytest.raises(keras_imp.NonFiniteLossError) as caught:
        model.fit(together(with_bad_sounds(), steps=4), verbose=0)
    assert (caught.value.task, caught.value.step) == ("sounds", 1)
    assert caught.value.cause == "Its input 'audio' is not finite in row 0."
    good = combined(optimizer=keras.optimizers.AdamW(1e-2))
    good.fit(together(steps=1), verbose=0)
    models.assert_same(
        [to_numpy(v) for v in model.trainable_variables],
        [to_numpy(v) for v in good.trainable_variables],
    )


def test_a_skipped_step_counts_for_its_task():
    model = combined(on_non_finite="skip")
    text = re.escape("by task: {'sounds': 1}.")
    with pytest.warns(UserWarning, match=text):
        history = model.fit(
            together(with_bad_sounds(), steps=3), verbose=0
        ).history
    assert np.isfinite(history["loss"]).all()
    assert to_numpy(model.skipped_steps.value).tolist() == [0, 0, 1]
    assert int(model.step_counter) == 3


def test_a_gradient_alone_is_that_of_all_tasks():
    model = combined(models.two_tasks)
    losses = {"objects": ops.ones(()), "sounds": ops.ones(())}
    data = models.data_of("objects", "sounds")
    batch = model.program.unpack({f"{name}@": data[name][0] for name in data})

    def failing():
        y_pred = JointPredictions({}, losses)
        return to_numpy(model.program.failing_tasks(batch, y_pred)).tolist()

    assert failing() == [True, True]
    losses["sounds"] = ops.convert_to_tensor(np.inf, "float32")
    assert failing() == [False, True]


@pytest.mark.parametrize("policy", ["mixed_bfloat16"])
def test_a_padded_step_in_mixed_precision(policy):
    keras.config.set_dtype_policy(policy)
    try:
        model = combined(token_tasks, small_encoder, strategy="padded")
        logs, moved = step(model, together(token_data()))
    finally:
        keras.config.set_dtype_policy("float32")
    assert {v.dtype for v in model.trainable_variables} == {"float32"}
    assert all(np.isfinite(value) for value in logs.values())
    assert max(np.abs(change).max() for change in moved) > 1e-3


# Errors --------------------------------------------------------------------


def test_a_mixture_of_the_other_kind_is_refused():
    text = (
        "`x` must have a batch of every task in each item. Received: "
        "is_together=False. Use TaskMixture.together, or an AlternatingModel."
    )
    with exactly(ValueError, text):
        combined().fit(models.in_turn(), steps_per_epoch=1)
    text = (
        "`{}` must have a batch of one task in each item. Received: "
        "is_together=True. Use TaskMixture, or a CombinedModel."
    )
    alternating = models.make_model()
    with exactly(ValueError, text.format("x")):
        alternating.fit(together())
    with exactly(ValueError, text.format("x")):
        alternating.evaluate(together())
    with exactly(ValueError, text.format("validation_data")):
        alternating.fit(
            models.in_turn(), steps_per_epoch=1, validation_data=together()
        )


def test_an_unknown_strategy_is_refused():
    text = (
        "`strategy` must be one of ('sum', 'padded'). Received: "
        "strategy='mean'."
    )
    with exactly(ValueError, text):
        combined(strategy="mean")


def test_an_encoder_without_tokens_is_refused():
    text = (
        '`strategy="padded"` needs an encoder with embed, body, finish; see '
        "keras_imp.models.TokenEncoder. Received: encoder='TinyEncoder', "
        "missing=['embed', 'body', 'finish']. Use an IMPEncoder, or add what "
        'is missing. Or use strategy="sum".'
    )
    with exactly(ValueError, text):
        combined(strategy="padded")


def test_microbatches_are_refused():
    text = (
        "A combined step takes the batch of each task as a whole. Received: "
        "task='objects', microbatches=2. Omit `microbatches`, or use "
        "AlternatingModel."
    )
    objects = keras_imp.tasks.Classification(
        "objects", "image", 3, microbatches=2
    )
    with exactly(ValueError, text):
        combined(lambda: [objects])


def test_a_mixture_of_some_of_the_tasks_trains_those():
    model = combined()
    sounds = models.values(model.tasks["sounds"].trainable_variables)
    logs = model.fit(
        together(models.data_of("objects", "captions"), steps=2), verbose=0
    ).history
    assert "captions/loss" in logs
    assert "sounds/loss" not in logs
    found = models.values(model.tasks["sounds"].trainable_variables)
    for path, value in sounds.items():
        np.testing.assert_array_equal(found[path], value)
