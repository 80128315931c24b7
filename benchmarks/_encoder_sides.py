"""The sides of `encoder.py`: each function makes one train step.

All do the same work where their interfaces allow it: 16x16 patches, learned
positions, pre-norm blocks without biases, tanh GELU, no class token, mean of
the tokens, a dense layer to the classes, cross entropy, Adam. What differs is
in the facts ("differs"), which the table prints.
"""

import dataclasses
import importlib
import time
from collections.abc import Callable

import numpy as np
from _timing import NotAvailableError

Prepared = tuple[Callable[[], None], dict]


@dataclasses.dataclass(frozen=True)
class Shape:
    """Sizes of the encoder and of its batch."""

    layers: int = 12
    width: int = 384
    heads: int = 6
    hidden: int = 1536
    image: int = 224
    batch: int = 8
    classes: int = 1000
    patch: int = 16

    @property
    def tokens(self) -> int:
        """Tokens of one image."""
        return (self.image // self.patch) ** 2

    def train_flops(self) -> float:
        """Floating-point operations of the matrix products of one train step.

        A backward pass is twice a forward pass, except in the patch embedding,
        whose input needs no gradient. Recomputation does not count.
        """
        rows = self.batch * self.tokens
        dense = rows * (4 * self.width**2 + 2 * self.width * self.hidden)
        attention = 2 * self.batch * self.tokens**2 * self.width
        head = self.batch * self.width * self.classes
        patches = rows * 3 * self.patch**2 * self.width
        products = 3 * (self.layers * (dense + attention) + head) + 2 * patches
        return 2.0 * products


def batch_of(shape: Shape, channels_first: bool = False) -> tuple:
    rng = np.random.default_rng(0)
    sizes = (shape.batch, shape.image, shape.image, 3)
    x = rng.uniform(-1, 1, sizes).astype("float32")
    y = rng.integers(0, shape.classes, shape.batch)
    return (x.transpose(0, 3, 1, 2).copy() if channels_first else x), y


# --- Keras: ours and keras-hub ----------------------------------------------


def _fit_step(model, shape: Shape, jit: bool | str = "auto") -> Callable:
    import keras

    model.compile(
        optimizer=keras.optimizers.Adam(1e-4),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=jit,
    )
    x, y = batch_of(shape)
    return lambda: float(model.train_on_batch(x, y))


def _classifier(inputs, tokens, shape: Shape):
    import keras

    pooled = keras.layers.GlobalAveragePooling1D()(tokens)
    return keras.Model(inputs, keras.layers.Dense(shape.classes)(pooled))


def our_model(shape: Shape, **options):
    """The layers of this package, put together like a plain ViT."""
    import keras

    import keras_imp

    layers = keras_imp.layers
    inputs = keras.Input((shape.image, shape.image, 3))
    grid = (shape.image // shape.patch,) * 2
    x = layers.PatchEmbedding(
        shape.width, (shape.patch, shape.patch), num_channels=3
    )(inputs)
    x = layers.PositionEmbedding(grid)(x, grid=grid)
    x = layers.EncoderStack(shape.layers, shape.heads, shape.hidden, **options)(
        x
    )
    x = keras.layers.LayerNormalization(epsilon=1e-6)(x)
    return _classifier(inputs, x, shape)


def ours(shape: Shape, jit="auto", **options) -> Prepared:
    return _fit_step(our_model(shape, **options), shape, jit), {}


def imp_encoder(shape: Shape, jit="auto", **options) -> Prepared:
    import keras

    import keras_imp

    encoder = keras_imp.IMPEncoder(
        shape.width,
        shape.hidden,
        shape.layers,
        shape.heads,
        modalities=("image",),
        patch_size=(4, shape.patch, shape.patch),
        **options,
    )
    inputs = {"image": keras.Input((shape.image, shape.image, 3))}
    pooled = encoder(inputs)["image"]["pooled_output"]
    model = keras.Model(inputs, keras.layers.Dense(shape.classes)(pooled))
    return _fit_step(model, shape, jit), {
        "differs": "two more width x width layers; kernel for 4 frames"
    }


def keras_hub_vit(shape: Shape, jit="auto") -> Prepared:
    import keras_hub

    backbone = keras_hub.models.ViTBackbone(
        image_shape=(shape.image, shape.image, 3),
        patch_size=shape.patch,
        num_layers=shape.layers,
        num_heads=shape.heads,
        hidden_dim=shape.width,
        mlp_dim=shape.hidden,
        use_mha_bias=False,
        use_mlp_bias=False,
        use_class_token=False,
    )
    model = _classifier(backbone.input, backbone.output, shape)
    return _fit_step(model, shape, jit), {"differs": "erf GELU, norm biases"}


# --- Torch, eager -----------------------------------------------------------


def _torch_step(model, shape: Shape) -> Callable:
    import torch

    optimizer = torch.optim.Adam(model.parameters(), 1e-4, fused=True)
    x, y = map(torch.from_numpy, batch_of(shape, channels_first=True))
    model.train()

    def step():
        optimizer.zero_grad(set_to_none=True)
        loss = torch.nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        loss.item()

    return step


def _import(name: str, hint: str):
    try:
        return importlib.import_module(name)
    except (ImportError, RuntimeError) as error:
        # torchvision without its own torch ends in a RuntimeError.
        raise NotAvailableError(
            f"Not available here ({error}). {hint}"
        ) from error


def timm_vit(shape: Shape) -> Prepared:
    _import(
        "timm",
        "Install it with: pip install timm. It needs a torchvision that fits "
        "torch; --timm-python names the Python of another environment.",
    )
    import torch
    from timm.models.vision_transformer import VisionTransformer

    model = VisionTransformer(
        img_size=shape.image,
        patch_size=shape.patch,
        embed_dim=shape.width,
        depth=shape.layers,
        num_heads=shape.heads,
        mlp_ratio=shape.hidden / shape.width,
        num_classes=shape.classes,
        class_token=False,
        global_pool="avg",
        qkv_bias=False,
        proj_bias=False,
        act_layer="gelu_tanh",
    )
    differs = f"norm biases; torch {torch.__version__}"
    return _torch_step(model, shape), {"differs": differs}


def torch_encoder(shape: Shape) -> Prepared:
    import torch
    from torch import nn

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.patches = nn.Conv2d(3, shape.width, shape.patch, shape.patch)
            positions = torch.randn(1, shape.tokens, shape.width) * 0.02
            self.positions = nn.Parameter(positions)
            block = nn.TransformerEncoderLayer(
                shape.width,
                shape.heads,
                shape.hidden,
                dropout=0.0,
                activation=lambda x: nn.functional.gelu(x, approximate="tanh"),
                batch_first=True,
                norm_first=True,
                bias=False,
            )
            self.encoder = nn.TransformerEncoder(
                block, shape.layers, enable_nested_tensor=False
            )
            self.norm = nn.LayerNorm(shape.width)
            self.head = nn.Linear(shape.width, shape.classes)

        def forward(self, x):
            x = self.patches(x).flatten(2).transpose(1, 2) + self.positions
            return self.head(self.norm(self.encoder(x)).mean(1))

    return _torch_step(Model(), shape), {"differs": "none"}


def hugging_face_vit(shape: Shape) -> Prepared:
    transformers = _import(
        "transformers", "Install it with: pip install transformers."
    )
    from torch import nn

    config = transformers.ViTConfig(
        hidden_size=shape.width,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        intermediate_size=shape.hidden,
        hidden_act="gelu_pytorch_tanh",
        hidden_dropout_prob=0.0,
        image_size=shape.image,
        patch_size=shape.patch,
        qkv_bias=False,
    )

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.vit = transformers.ViTModel(config, add_pooling_layer=False)
            self.head = nn.Linear(shape.width, shape.classes)

        def forward(self, x):
            tokens = self.vit(pixel_values=x).last_hidden_state
            return self.head(tokens.mean(1))

    return _torch_step(Model(), shape), {
        "differs": "class token (197), biases but in q, k, v"
    }


# --- The ceiling: nothing but matrix products -------------------------------

GEMM = (6272, 384, 1536)


def gemm_flops() -> float:
    """One product and its two gradients."""
    rows, inner, outer = GEMM
    return 3 * 2.0 * rows * inner * outer


def _gemm_arrays() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    rows, inner, outer = GEMM
    sizes = (rows, inner), (inner, outer), (rows, outer)
    return [rng.standard_normal(s).astype("float32") for s in sizes]


def torch_gemm(shape: Shape) -> Prepared:
    import torch

    x, w, g = map(torch.from_numpy, _gemm_arrays())
    outputs = [torch.empty(t.shape) for t in (g, x, w)]

    def step():
        torch.mm(x, w, out=outputs[0])
        torch.mm(g, w.T, out=outputs[1])
        torch.mm(x.T, g, out=outputs[2])

    return step, {"flops": gemm_flops()}


def tensorflow_gemm(shape: Shape) -> Prepared:
    import tensorflow as tf

    x, w, g = map(tf.constant, _gemm_arrays())

    @tf.function
    def products(x, w, g):
        return (
            tf.matmul(x, w),
            tf.matmul(g, w, transpose_b=True),
            tf.matmul(x, g, transpose_a=True),
        )

    return lambda: products(x, w, g)[2].numpy()[0, 0], {"flops": gemm_flops()}


# --- Compile time of one more (task, shape) ---------------------------------


def compile_time(shape: Shape, jit="auto", **options) -> Prepared:
    """Seconds until a second batch shape has run, less one step of it."""
    model = our_model(shape, **options)
    _fit_step(model, shape, jit)()
    x, y = batch_of(dataclasses.replace(shape, batch=shape.batch // 2))
    model.make_train_function(force=True)

    def seconds() -> float:
        start = time.perf_counter(), time.process_time()
        float(model.train_on_batch(x, y))
        ends = time.perf_counter(), time.process_time()
        return [end - begin for end, begin in zip(ends, start)]

    first, second = seconds(), min(seconds(), seconds())
    wall, cpu = (a - b for a, b in zip(first, second))
    return lambda: None, {"compile_s": wall, "compile_cpu_s": cpu}


SIDES = {
    function.__name__: function
    for function in (
        ours,
        imp_encoder,
        keras_hub_vit,
        timm_vit,
        torch_encoder,
        hugging_face_vit,
        torch_gemm,
        tensorflow_gemm,
        compile_time,
    )
}
