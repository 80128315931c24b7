"""Several devices train the same model as one: see `distributed.py`."""

import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

import keras_imp
from tests.helpers import models

ROOT = Path(__file__).parents[3]
BACKEND = keras.config.backend()

on_jax = pytest.mark.skipif(BACKEND != "jax", reason="keras.distribution")
on_tensorflow = pytest.mark.skipif(
    BACKEND != "tensorflow", reason="tf.distribute"
)
not_on_torch = pytest.mark.skipif(BACKEND == "torch", reason="one device only")


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """What the runs in a process of its own came to."""
    file = tmp_path_factory.mktemp("distributed") / "results.json"
    done = subprocess.run(
        [sys.executable, "-m", "tests.helpers.distributed", str(file)],
        cwd=ROOT,
        env={
            **os.environ,
            "KERAS_BACKEND": BACKEND,
            # Four devices on one processor, which must come to their
            # collectives in the same order, or they wait for each other.
            "XLA_FLAGS": os.environ["XLA_FLAGS"]
            + " --xla_force_host_platform_device_count=4"
            + " --xla_cpu_enable_concurrency_optimized_scheduler=false",
            "JAX_CPU_ENABLE_ASYNC_DISPATCH": "false",
        },
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(file.read_text())


def assert_close(found, expected):
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_allclose(
            found[name], values, atol=1e-5, rtol=1e-5, err_msg=name
        )


@not_on_torch
@pytest.mark.multi_device
def test_several_devices_give_the_numbers_of_one(results):
    """Losses and metrics of training, validation, `evaluate`, `predict`.

    Masks, sample weights, captions that are empty or repeat, and microbatches
    are all in it; a contrastive batch has all its negatives.
    """
    expected = results["runs"]["one device"]
    names = set(results["runs"]) - {"one device"}
    assert len(names) == {"jax": 2, "tensorflow": 1}[BACKEND]
    if BACKEND == "tensorflow":
        # Those of "scenes" are means over microbatches of their least and
        # most; a microbatch of a replica is smaller.
        for run in results["runs"].values():
            for figure in ("min_load", "max_load", "min_importance"):
                del run["history"][f"routing/image/layer_0/{figure}"]
    for name in names:
        run = results["runs"][name]
        assert_close(run["history"], expected["history"])
        assert_close(run["evaluated"], expected["evaluated"])
        assert run["step"] == expected["step"] == 12
        for predicted in ("predicted", "predicted on a batch"):
            assert np.shape(run[predicted]) == (11, 5)
            np.testing.assert_allclose(
                run[predicted], expected["predicted"], atol=1e-4
            )


@not_on_torch
@pytest.mark.multi_device
def test_a_padded_step_on_several_devices_is_that_of_one(results):
    """With groups, the sigmoid loss and, on JAX, masked words."""
    expected = results["padded"].pop("one device")
    assert len(expected) > 3
    for found in results["padded"].values():
        assert_close(found, expected)


@not_on_torch
@pytest.mark.multi_device
def test_muon_takes_the_steps_of_one_device_on_several(results):
    expected = results["muon"].pop("one device")
    assert len(results["muon"]) == {"jax": 2, "tensorflow": 1}[BACKEND]
    for found in results["muon"].values():
        assert_close(found, expected)


@not_on_torch
@pytest.mark.multi_device
def test_a_run_goes_on_with_other_devices(results):
    """From within an epoch; on JAX with weights over three mesh axes."""
    never_stopped = results["resumed"]["never"]
    for name in ("on one device", "on several"):
        assert_close(
            results["resumed"][name],
            {key: values[1:] for key, values in never_stopped.items()},
        )


@on_jax
@pytest.mark.multi_device
def test_experts_and_their_moments_are_divided(results):
    # (layers, experts, width, inner width), of the kernel and its momentum.
    experts = {
        "one device": 4,
        "data 4": 4,
        "batch 2, expert 2": 2,
    }
    for name, count in experts.items():
        assert results["shards"][name] == [[1, count, 8, 16]] * 2


@on_jax
@pytest.mark.multi_device
def test_muon_moves_no_more_between_devices_than_another_optimizer(results):
    """Each expert is orthogonalized where it lies."""
    found = results["collectives"]
    assert found["muon"] == found["gentle"]


@on_jax
@pytest.mark.multi_device
def test_data_parallel_devices_exchange_no_tokens(results):
    """Gradients, sums for metrics, and for a contrastive loss its vectors."""
    kinds = {kind for kind, _ in results["collectives"]["scenes"]}
    assert kinds == {"all-reduce"}
    # A vector of 8 for each of 8 examples; their tokens are 4 times as many.
    for kind, shape in results["collectives"]["captions"]:
        if kind != "all-reduce":
            for array in re.findall(r"\[([\d,]*)\]", shape):
                assert math.prod(map(int, array.split(","))) <= 8 * 8


@not_on_torch
@pytest.mark.multi_device
def test_a_batch_that_devices_cannot_share_is_refused(results):
    devices = {"jax": 4, "tensorflow": 2}[BACKEND]
    assert results["errors"]["odd batch"] == (
        "Task 'words': the batch size must be a multiple of the number of "
        f"devices that share a batch. Received: batch_size=7, devices={devices}"
        ". Choose another one, or leave out a smaller last batch: "
        "keras_imp.data.Arrays(..., drop_last=True)."
    )


@on_jax
@pytest.mark.multi_device
def test_a_model_made_before_the_distribution_is_refused(results):
    assert re.fullmatch(
        "The model and its optimizer must be made while the distribution is "
        "set: all their weights must be on its devices. Received: "
        r"weight='.*'. Call keras.distribution.set_distribution\(...\) first.",
        results["errors"]["model made outside"],
    )


@on_jax
@pytest.mark.multi_device
def test_experts_that_an_axis_cannot_share_are_refused(results):
    assert results["errors"]["experts"] == (
        "`num_experts` must be a multiple of the devices on the mesh axis "
        "'expert'. Received: num_experts=6, devices=4. Change either of them."
    )


@on_tensorflow
@pytest.mark.multi_device
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "model made outside",
            "The model and its optimizer must be made, and `compile` called, "
            "in the strategy's scope. Received: weight=",
        ),
        (
            "groups",
            "Groups must be single examples where replicas share a batch: "
            "others would end where the rows of a replica do. Received: "
            "replicas=2, group_size=8, variant='fixed'. Train on one device, "
            "or on JAX under keras.distribution.",
        ),
        (
            "balance",
            "`balance_rate` must be 0 where replicas share a batch: each would "
            "balance the load of its own rows. Received: replicas=2, "
            "balance_rate=0.1. Train on one device, or on JAX under "
            "keras.distribution.",
        ),
        (
            "mean of parts",
            "Task 'words': several replicas cannot take the mean over the "
            "losses of microbatches. Received: accumulate='mean', replicas=2. "
            "Use accumulate='exact'.",
        ),
        (
            "odd parts",
            "Task 'words': the examples of each replica must be a multiple of "
            "`microbatches`. Received: examples=4, replicas=2, microbatches=8."
            " Use another batch size or another number of parts.",
        ),
    ],
)
def test_what_replicas_cannot_do_is_refused(results, name, expected):
    assert expected in results["errors"][name]


@pytest.mark.skipif(BACKEND == "jax", reason="JAX shares the work")
def test_a_distribution_that_would_be_ignored_is_refused():
    model = models.make_model(models.one_task)
    elsewhere = {
        "tensorflow": "use tf.distribute.MirroredStrategy.",
        "torch": "use the JAX backend.",
    }
    message = (
        "`keras.distribution` shares work on JAX only: here, every device but "
        "one would be idle. Received: distribution='DataParallel', "
        f"backend='{BACKEND}'. Call keras.distribution.set_distribution(None); "
        f"for several devices, {elsewhere.get(BACKEND)}"
    )
    data = models.data_of("objects")
    distribution = keras.distribution.DataParallel(devices=["cpu:0", "cpu:1"])
    with distribution.scope():
        for run in (
            lambda: model.fit(models.make_mixture(data), steps_per_epoch=1),
            lambda: model.evaluate(models.all_once(data)),
            lambda: model.predict(data["objects"][0][0]),
        ):
            with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
                run()


@pytest.mark.skipif(BACKEND != "torch", reason="torch.distributed")
def test_processes_that_would_train_apart_are_refused(monkeypatch):
    import torch

    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 2)
    model = models.make_model(models.one_task)
    message = (
        "On torch a model trains in one process: gradients would not be "
        "shared, and each process would train a model of its own. Received: "
        "processes=2. Use the JAX backend under keras.distribution."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        model.fit(models.make_mixture(models.data_of("objects")))


def mesh(*axes):
    return keras.distribution.DeviceMesh((1,) * len(axes), axes, ["cpu:0"])


def test_layouts_of_a_sparse_encoder():
    """Every path is a real one; what no pattern matches is everywhere."""
    encoder = keras_imp.IMPEncoder(
        8, 16, 2, 2, modalities=("text",), vocabulary_size=7,
        num_experts=4, num_moe_layers=1, router_options={"use_bias": True},
    )  # fmt: skip
    layouts = keras_imp.distribution.layout_map(
        mesh("batch", "expert", "model"), model="model"
    )
    found = {}
    for variable in encoder.weights:
        layout = layouts[variable.path]
        if layout is not None:
            assert len(layout.axes) == len(variable.shape)
            found["/".join(variable.path.split("/")[-2:])] = layout.axes
    columns, rows = (None, None, "model"), (None, "model", None)
    assert found == {
        **{
            f"stack/{name}_kernel": columns
            for name in ("query", "key", "value")
        },
        "stack/output_kernel": rows,
        "stack/expand_kernel": columns,
        "stack/contract_kernel": rows,
        **{
            f"sparse_stack/{name}_kernel": columns
            for name in ("query", "key", "value")
        },
        "sparse_stack/output_kernel": rows,
        "sparse_stack/experts_expand_kernel": (None, "expert", None, "model"),
        "sparse_stack/experts_contract_kernel": (None, "expert", "model", None),
        "sparse_stack/experts_expand_bias": (None, "expert", None, "model"),
        "sparse_stack/experts_contract_bias": (None, "expert", None, None),
    }


def test_lora_weights_of_experts_lie_where_the_experts_do():
    encoder = keras_imp.IMPEncoder(
        8, 16, 2, 2, modalities=("text",), vocabulary_size=7,
        num_experts=4, num_moe_layers=1,
    )  # fmt: skip
    encoder.enable_lora(2, ("query", "expand"))
    layouts = keras_imp.distribution.layout_map(
        mesh("batch", "expert", "model"), model="model"
    )
    paths = [v.path for v in encoder.trainable_variables]
    assert {path: layouts[path].axes for path in paths if layouts[path]} == {
        f"body/sparse_stack/lora/lora_{factor}_experts_expand_kernel": (
            (None, "expert", None, None)
        )
        for factor in "ab"
    }


def test_layouts_of_a_routed_layer_alone():
    layer = keras_imp.layers.ExpertChoiceMoE(4, 8)
    layer.build((None, 6, 8))
    layouts = keras_imp.distribution.layout_map(mesh("batch", "expert"))
    axes = {v.name: layouts[v.path] for v in layer.weights}
    assert axes.pop("router_kernel") is None
    assert {name: layout.axes for name, layout in axes.items()} == {
        "expand_kernel": ("expert", None, None),
        "contract_kernel": ("expert", None, None),
    }


def test_an_axis_that_the_mesh_lacks_is_refused():
    message = (
        "`experts` must be an axis of the mesh, one of ('batch', 'model'), or "
        "None. Received: experts='expert'."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        keras_imp.distribution.layout_map(mesh("batch", "model"))
    layouts = keras_imp.distribution.layout_map(mesh("batch"), experts=None)
    assert layouts["encoder/sparse_stack/experts_expand_kernel"].axes == (
        (None,) * 4
    )
