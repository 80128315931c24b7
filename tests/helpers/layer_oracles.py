"""What the layers compute, in NumPy and float64, written to be read.

Weights are dicts from `named_weights`. Where a layer is fast, this is slow.
"""

import itertools
import math

import ml_dtypes
import numpy as np

# Largest absolute and relative error of a float32 layer against float64.
FLOAT32_TOLERANCE = 2e-5
# Two ways to compute the same thing in float32 (scan and loop, for example).
SAME_MATH_TOLERANCE = 1e-5
# bfloat16 has 8 bits: a value is off by up to 1/256, a sum by a few of them.
BFLOAT16_TOLERANCE = 4e-2

EPSILON = 1e-6


def layer_norm(x, scale, bias=0.0):
    mean = x.mean(-1, keepdims=True)
    variance = ((x - mean) ** 2).mean(-1, keepdims=True)
    return (x - mean) / np.sqrt(variance + EPSILON) * scale + bias


def gelu(x):
    inner = math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)
    return 0.5 * x * (1 + np.tanh(inner))


def exact_gelu(x):
    erf = np.vectorize(math.erf, otypes=["float64"])
    return 0.5 * x * (1 + erf(x / math.sqrt(2)))


def quick_gelu(x):
    return x / (1 + np.exp(-1.702 * x))


ACTIVATIONS = {
    "gelu_tanh": gelu,
    "gelu": exact_gelu,
    "quick_gelu": quick_gelu,
}


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def dense(x, weights, name):
    return x @ weights[f"{name}/kernel"] + weights.get(f"{name}/bias", 0.0)


def unit_range(x):
    if x.dtype == np.uint8:
        return 2 * x.astype("float64") / 255 - 1
    return x.astype("float64")


def patch_values(x, patch_size):
    """Values of each patch of `(batch, *sizes, channels)`, in float64."""
    x = unit_range(x)
    counts = [n // p for n, p in zip(x.shape[1:-1], patch_size)]
    patches = []
    for place in itertools.product(*(range(n) for n in counts)):
        window = tuple(
            slice(i * p, (i + 1) * p) for i, p in zip(place, patch_size)
        )
        patches.append(x[(slice(None), *window)].reshape(len(x), -1))
    return np.stack(patches, axis=1)


def patch_embedding(x, patch_size, weights):
    return dense(patch_values(x, patch_size), weights, "projection")


def image_embedding(images, patch_size, weights):
    """An image is the clip that repeats it to fill the temporal patch."""
    clip = np.repeat(images[:, None], patch_size[0], axis=1)
    return patch_embedding(clip, patch_size, weights)


def spectrogram_embedding(x, patch_size, weights):
    return patch_embedding(x[..., None], patch_size, weights)


def waveform_embedding(x, patch, weights):
    return patch_embedding(x[..., None], (patch,), weights)


def token_embedding(ids, weights):
    return np.array([[weights["table"][i] for i in row] for row in ids])


def position_row(i, count, scale, coordinates="integer"):
    """Table row of patch `i` of `count`."""
    if coordinates == "integer":
        return i * scale // count
    if coordinates == "float32":
        return int(np.float32(np.float32(i) / np.float32(count)) * scale)
    coordinate = ml_dtypes.bfloat16(np.float32(i) / np.float32(count))
    return int(coordinate * ml_dtypes.bfloat16(scale))


def axis_vector(table, i, count, dilated, coordinates, interpolate):
    """What one axis contributes to the position of patch `i` of `count`."""
    rows = len(table)
    scale = rows if dilated else count
    row = position_row(i, count, scale, coordinates)
    if row >= rows:
        return np.zeros(table.shape[1])
    if not interpolate:
        return table[row]
    share = i * scale / count - row
    return (1 - share) * table[row] + share * table[min(row + 1, rows - 1)]


def position_embedding(
    tokens,
    grid,
    weights,
    dilated=True,
    coordinates="integer",
    interpolate=False,
):
    tables = [weights[f"table_{axis}"] for axis in range(len(grid))]
    vectors = [
        sum(
            axis_vector(table, i, n, dilated, coordinates, interpolate)
            for table, i, n in zip(tables, place, grid)
        )
        for place in itertools.product(*(range(n) for n in grid))
    ]
    return tokens + layer_norm(
        np.array(vectors), weights["norm/gamma"], weights["norm/beta"]
    )


def attention(x, weights, num_heads, mask=None):
    """Self-attention; with QK-LayerNorm where the weights have its scales."""
    batch, _, width = x.shape
    head_dim = width // num_heads
    q, k, v = (dense(x, weights, name) for name in ("query", "key", "value"))
    merged = np.zeros_like(q)
    for example, head in itertools.product(range(batch), range(num_heads)):
        part = slice(head * head_dim, (head + 1) * head_dim)
        qh, kh, vh = (t[example, :, part] for t in (q, k, v))
        if "query_norm/gamma" in weights:
            qh = _head_norm(qh, weights, "query_norm")
            kh = _head_norm(kh, weights, "key_norm")
        logits = qh @ kh.T / math.sqrt(head_dim)
        if mask is not None:
            logits = np.where(mask[example], logits, -1e10)
        merged[example, :, part] = softmax(logits) @ vh
    return dense(merged, weights, "output")


def _head_norm(x, weights, name):
    bias = weights.get(f"{name}/beta", 0.0)
    return layer_norm(x, weights[f"{name}/gamma"], bias)


def feed_forward(x, weights, activation="gelu_tanh"):
    active = ACTIVATIONS[activation](dense(x, weights, "expand"))
    return dense(active, weights, "contract")


def encoder_block(x, weights, num_heads, mask=None):
    normed = _block_norm(x, weights, "attention_norm")
    h = x + attention(normed, weights, num_heads, mask)
    normed = _block_norm(h, weights, "feed_forward_norm")
    return h + feed_forward(normed, weights)


def _block_norm(x, weights, name):
    bias = weights.get(f"{name}/beta", 0.0)
    return layer_norm(x, weights[f"{name}/gamma"], bias)


def encoder_stack(x, weights_of_each_block, num_heads, mask=None):
    for weights in weights_of_each_block:
        x = encoder_block(x, weights, num_heads, mask)
    return x


def mean_pooling(x, mask):
    """Mean of the real tokens, one example at a time; 0 where none is real."""
    return np.array(
        [
            tokens[real].mean(0) if real.any() else np.zeros(x.shape[-1])
            for tokens, real in zip(x, mask)
        ]
    )


def attention_pooling(x, weights, num_heads, mask=None):
    batch, _, width = x.shape
    head_dim = width // num_heads
    q = dense(weights["probe"], weights, "query")[0]
    k, v = dense(x, weights, "key"), dense(x, weights, "value")
    merged = np.zeros((batch, width))
    for example, head in itertools.product(range(batch), range(num_heads)):
        part = slice(head * head_dim, (head + 1) * head_dim)
        logits = k[example, :, part] @ q[part] / math.sqrt(head_dim)
        if mask is not None:
            logits = np.where(mask[example], logits, -1e10)
        merged[example, part] = softmax(logits) @ v[example, :, part]
    a = dense(merged, weights, "output")
    normed = layer_norm(a, weights["norm/gamma"], weights["norm/beta"])
    return a + feed_forward(normed, weights)


def projection_head(x, weights):
    x = dense(gelu(dense(x, weights, "expand")), weights, "contract")
    return layer_norm(x, weights["norm/gamma"], weights["norm/beta"])


def unit_length(x):
    return x / (np.linalg.norm(x, axis=-1, keepdims=True) + 1e-6)
