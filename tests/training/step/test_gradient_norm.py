"""The global norm of a gradient, whatever way the backend adds it up."""

import re

import keras
import numpy as np
import pytest

import keras_imp
from keras_imp.training.input.reader import MixtureReader
from tests.helpers import models
from tests.helpers.weights import to_numpy

RATE = 0.05


def image_encoder():
    """Its image kernel is the sum of 4, which have one gradient."""
    keras.utils.set_random_seed(0)
    return keras_imp.IMPEncoder(
        hidden_dim=64,
        intermediate_dim=64,
        num_layers=1,
        num_heads=2,
        modalities=("image",),
        patch_size=(4, 8, 8),
    )


def image_model():
    model = keras_imp.AlternatingModel(
        image_encoder(), [keras_imp.tasks.Classification("objects", "image", 3)]
    )
    model.compile(
        keras.optimizers.SGD(RATE),
        jit_compile=models.default_jit(),
        run_eagerly=keras.config.backend() == "tensorflow",
    )
    return model


def state_of(model):
    """Values of variables, as a step on JAX takes them."""
    groups = (
        model.trainable_variables,
        model.non_trainable_variables,
        model.optimizer.variables,
        model.metrics_variables,
    )
    return tuple([v.value for v in group] for group in groups)


def repeating_sums(text):
    """Arrays, repeated along their first axis, in what YNNPACK gets.

    Args:
        text: A compiled program.
    """
    calls = {
        re.search(r"calls=%([\w.]+)", line)[1]
        for line in text.splitlines()
        if '"__ynn_fusion"' in line
    }
    computations = re.finditer(
        r"^%([\w.]+) \(.*?^}", text, re.DOTALL | re.MULTILINE
    )
    repeats = re.compile(r"broadcast\([^)]*\), dimensions={[1-9][^}]*}")
    return [
        repeat
        for computation in computations
        if computation[1] in calls
        for repeat in repeats.findall(computation[0])
    ]


def image_mixture():
    rng = np.random.default_rng(0)
    image = rng.uniform(-1, 1, (4, 16, 16, 3)).astype("float32")
    return keras_imp.TaskMixture(
        {"objects": [({"image": image}, np.array([0, 1, 2, 0]))]},
        steps_per_epoch=1,
    )


def test_the_norm_of_every_step_is_that_of_the_update():
    model, mixture = image_model(), image_mixture()
    squares = []
    for draws in range(1, 26):
        before = [to_numpy(v) for v in model.trainable_variables]
        # One run: each epoch continues where the one before ended.
        model.fit(mixture, epochs=draws, initial_epoch=draws - 1, verbose=0)
        after = [to_numpy(v) for v in model.trainable_variables]
        squares.append(
            sum(
                np.sum(((b.astype("float64") - a) / RATE) ** 2)
                for a, b in zip(before, after)
            )
        )
        measured = model.schedule_state.measured(("objects",))
        assert measured.draws[0] == draws
        # The mean of the first 50.
        found = measured.squared_gradient[0]
        assert found == pytest.approx(np.mean(squares), rel=1e-3)


@pytest.mark.skipif(
    keras.config.backend() != "jax", reason="a fault of XLA as jaxlib has it"
)
class TestOnJax:
    def test_no_sum_of_a_step_is_handed_to_a_library_that_adds_up_wrongly(self):
        from tests.helpers.distributed import compiled_in

        model, mixture = image_model(), image_mixture()
        model.fit(mixture, verbose=0)
        reader = MixtureReader(mixture, model.prepare_batch, None)
        item = next(iter(reader.get_jax_iterator()))
        step = compiled_in(model.train_function)
        text = step.lower(state_of(model), item).compile().as_text()
        assert "__ynn_fusion" not in text

    def test_a_step_of_keras_itself_sums_nothing_that_repeats(self):
        """Of a plain `keras.Model` around an encoder, compiled by Keras."""
        import jax

        inputs = {"image": keras.Input((16, 16, 3), name="image")}
        pooled = image_encoder()(inputs)["image"]["pooled_output"]
        model = keras.Model(inputs, keras.layers.Dense(3)(pooled))
        model.compile(
            keras.optimizers.SGD(RATE, global_clipnorm=1.0),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        )
        model.optimizer.build(model.trainable_variables)
        step = jax.jit(model.train_step)
        data = (
            {"image": np.zeros((4, 16, 16, 3), "float32")},
            np.arange(4) % 3,
        )
        lowered = step.lower(state_of(model), data)
        assert repeating_sums(lowered.compile().as_text()) == []

    def test_a_sum_that_repeats_is_found(self):
        """On the version that has the fault; then `repeating_sums` sees it."""
        import jax
        from jax import numpy as jnp

        def squares(x):
            return jnp.sum(jnp.square(jnp.broadcast_to(x, (4, 192, 128))))

        text = jax.jit(squares).lower(jnp.ones((192, 128))).compile().as_text()
        assert len(repeating_sums(text)) == ("__ynn_fusion" in text)

    def test_a_version_without_the_option_is_told_about(self, monkeypatch):
        from keras_imp.training.step import jax_compiler

        compiler_options = jax_compiler.compiler_options.__wrapped__
        monkeypatch.setattr(jax_compiler, "OPTIONS", {"xla_no_such": ""})
        monkeypatch.setattr(jax_compiler.jaxlib, "__version__", "0.99.0")
        with pytest.warns(
            UserWarning, match="does not know the option"
        ) as caught:
            assert compiler_options() == {}
        assert str(caught[0].message) == (
            "jaxlib 0.99.0 does not know the option 'xla_no_such', which "
            "keeps the norm of a gradient right on a CPU: now and then it may "
            "be too large, and the update be clipped too much. jaxlib 0.10.2 "
            "knows it."
        )

    @pytest.mark.parametrize(
        ("version", "affected"),
        [
            ("0.7.0", False),
            ("0.10.1", False),
            ("0.10.2", True),
            ("0.10.2.dev20260101", True),
            ("0.11.0", True),
        ],
    )
    def test_versions_before_0_10_2_need_no_option(self, version, affected):
        from keras_imp.training.step.jax_compiler import _is_affected

        assert _is_affected(version) is affected
