"""The first implementation: names and shapes, and its forward pass in NumPy.

Written from the specification, not from the converter: slow, in float64.
"""

import dataclasses
import math

import ml_dtypes
import numpy as np

from tests.helpers.layer_oracles import gelu, layer_norm, patch_values, softmax

SHORT = {"vision": "rgb", "spectrogram": "spc", "waveform": "wav"}
AXES = {
    "vision": ("temporal", "vertical", "horizontal"),
    "spectrogram": ("temporal", "spectoral"),
    "waveform": ("temporal",),
    "text": ("temporal",),
}
# Our modality and patches or ids of it: theirs, and the feature.
SOURCE = {
    "image": ("vision", "token_raw"),
    "video": ("vision", "token_raw"),
    "audio": ("spectrogram", "token_raw"),
    "waveform": ("waveform", "token_raw"),
    "text": ("text", "token_id"),
}
FEATURES = ("token_raw", "token_id", "token_embed")


@dataclasses.dataclass(frozen=True)
class Sizes:
    """What a model is: by default a tiny dense one, stacked."""

    width: int = 8
    inner: int = 12
    layers: int = 3
    heads: int = 2
    experts: int = 0
    routed: tuple[int, ...] = ()
    qk_norm: bool = False
    bias: bool = False
    scanned: bool = True
    first_token: bool = False
    vocabulary: int = 11
    codes: int = 5
    common: int = 6
    hidden: int = 6
    space: str = "disjoint"
    patches: tuple = ((2, 4, 4), (4, 2), (8,))
    rows: tuple = ((4, 8, 8), (8, 4), (16,), (16,))
    classes: tuple = ()

    @property
    def encoder(self):
        prefix = "moe_" if self.experts else ""
        return f"{prefix}transformer_encoder"

    @property
    def layer_names(self):
        """Module and row of each layer; the row is None without a stack."""
        if not self.scanned:
            return [(f"layer_{i}", None) for i in range(self.layers)]
        if not self.experts:
            return [("layer_scan", i) for i in range(self.layers)]
        dense = self.layers - len(self.routed)
        return [("layer_scan_dense", i) for i in range(dense)] + [
            ("layer_scan_moe", i) for i in range(len(self.routed))
        ]


def shapes(s, everything=False):
    """Names and shapes; with `everything` as a released notebook made it."""
    found = {**_encoder_shapes(s)}
    sources = [
        (m, f)
        for m in AXES
        for f in FEATURES
        if (m, f) != ("text", "token_raw")
    ]
    if not everything:
        sources = [x for x in sources if x in SOURCE.values()]
    for modality, feature in sources:
        found |= _source_shapes(s, modality, feature)
    for name, count in s.classes:
        for modality, feature in sources:
            is_vision = modality == "vision"
            if modality != "text" and is_vision == (name[0] == "vision"):
                head = f"{modality}_{feature}_label_classifier"
                found |= _dense(f"{head}/classifier_{name[1]}", s.width, count)
    pairs = {tuple(sorted((a, b))) for a in AXES for b in AXES}
    return found | {f"temperature/temperature_{a}_{b}": () for a, b in pairs}


def _dense(name, rows, columns):
    return {f"{name}/kernel": (rows, columns), f"{name}/bias": (columns,)}


def _norm(name, width):
    return {f"{name}/scale": (width,), f"{name}/bias": (width,)}


def _source_shapes(s, modality, feature):
    index = list(AXES).index(modality)
    short = SHORT.get(modality, "txt")
    width = s.width
    stem = f"{modality}_{feature}"
    embed = f"{stem}_to_embed"
    if feature == "token_id":
        # Of discrete codes, vision has another name than of patches.
        name = "vis" if modality == "vision" else short
        rows = s.vocabulary if modality == "text" else s.codes
        found = {f"{embed}/{name}_to_embedding/embedding": (rows, width)}
    else:
        values = width
        if feature == "token_raw":
            channels = 3 if modality == "vision" else 1
            values = math.prod(s.patches[index]) * channels
        found = _dense(f"{embed}/{short}_to_embedding", values, width)
    positions = f"{embed}/{short}_pos_encoding"
    for axis, rows in zip(AXES[modality], s.rows[index], strict=True):
        table = f"{positions}/{axis}_postition_embeddings/embedding"
        found[table] = (rows, width)
    found |= _norm(f"{positions}/layer_norm", width)
    for side in ("pre", "post"):
        found |= _dense(f"{stem}_{side}_encoder_projection", width, width)
    if s.first_token:
        found[f"{stem}_agg_token/embedding"] = (1, width)
    targets = [f"to_{target}" for target in AXES if target != modality]
    for target in ["to_common"] if s.space == "joint" else targets:
        head = f"{stem}_{s.space}_projection/{target}"
        found |= _dense(f"{head}/wi", width, s.hidden)
        found |= _dense(f"{head}/wo", s.hidden, s.common)
        found |= _norm(f"{head}/layer_norm", s.common)
    return found


def _layer_shapes(s, is_routed):
    kernels = _kernel_shapes(s, is_routed)
    if not s.bias:
        return kernels
    # Each kernel and each scale gets one, of the axes that it makes.
    biases = {}
    for name, shape in kernels.items():
        module, kind = name.rsplit("/", 1)
        if kind == "scale":
            own = shape
        elif "experts" in module:
            own = (shape[0], shape[-1])
        else:
            own = shape[1:] if module[-1] in "qkv" else shape[-1:]
        if "router" not in module:
            biases[f"{module}/bias"] = own
    return kernels | biases


def _kernel_shapes(s, is_routed):
    width, inner, head = s.width, s.inner, s.width // s.heads
    found = {
        f"self_attention/{x}/kernel": (width, s.heads, head) for x in "qkv"
    }
    found["self_attention/o/kernel"] = (s.heads, head, width)
    found |= {f"layer_norm_{x}/scale": (width,) for x in ("sa", "ffn")}
    if s.qk_norm:
        for x in "qk":
            found[f"self_attention/layer_norm_{x}/scale"] = (head,)
    if not is_routed:
        found["feed_forward/wi/kernel"] = (width, inner)
        found["feed_forward/wo/kernel"] = (inner, width)
        return found
    experts = "feed_forward/experts"
    found["feed_forward/router/w/kernel"] = (width, s.experts)
    found[f"{experts}/wi/kernel"] = (s.experts, width, inner)
    found[f"{experts}/wo/kernel"] = (s.experts, inner, width)
    return found


def _encoder_shapes(s):
    names = s.layer_names
    found = _norm(f"{s.encoder}/final_layer_norm", s.width)
    for i, (module, row) in enumerate(names):
        own = _layer_shapes(s, i in s.routed)
        rows = () if row is None else (sum(m == module for m, _ in names),)
        for name, shape in own.items():
            found[f"{s.encoder}/{module}/{name}"] = (*rows, *shape)
    return found


def count(found, beginning=""):
    """Parameters whose names begin in some way."""
    return sum(
        math.prod(shape)
        for name, shape in found.items()
        if name.startswith(beginning)
    )


def random_tree(s, rng, **options):
    """Arrays of all names, float32; scales stay around 1."""
    tree = {}
    for name, shape in shapes(s, **options).items():
        around = 1.0 if name.endswith("scale") else 0.0
        values = around + 0.3 * rng.normal(size=shape)
        tree[name] = np.asarray(values, "float32")
    return tree


def inputs(rng):
    """Two examples of each modality."""
    text = rng.integers(1, 11, size=(2, 8), dtype="int32")
    text[0, 5:] = 0
    return {
        "image": rng.normal(size=(2, 8, 16, 3)).astype("float32"),
        "video": rng.normal(size=(2, 4, 8, 8, 3)).astype("float32"),
        "audio": rng.normal(size=(2, 16, 8)).astype("float32"),
        "waveform": rng.normal(size=(2, 64)).astype("float32"),
        "text": text,
    }


def forward(s, tree, modality, x):
    """Features `(batch, tokens, width)` and pooled vectors."""
    source, feature = SOURCE[modality]
    stem = f"{source}_{feature}"
    tokens, ids, mask = _embed(s, tree, modality, x)
    short = SHORT.get(source, "txt")
    positions = f"{stem}_to_embed/{short}_pos_encoding"
    summed = sum(
        _lookup(tree[f"{positions}/{axis}_postition_embeddings/embedding"], own)
        for axis, own in zip(AXES[source], ids, strict=True)
    )
    norm = f"{positions}/layer_norm"
    tokens = tokens + layer_norm(
        summed, tree[f"{norm}/scale"], tree[f"{norm}/bias"]
    )
    tokens = _project(tree, f"{stem}_pre_encoder_projection", tokens)
    if s.first_token:
        first = tree[f"{stem}_agg_token/embedding"][None]
        first = np.repeat(first, len(tokens), axis=0)
        tokens = np.concatenate([first, tokens], axis=1)
        mask = np.concatenate([np.ones((len(mask), 1)), mask], axis=1)
    for i in range(s.layers):
        tokens = _layer(s, _layer_weights(s, tree, i), tokens, mask)
    norm = f"{s.encoder}/final_layer_norm"
    tokens = layer_norm(tokens, tree[f"{norm}/scale"], tree[f"{norm}/bias"])
    tokens = _project(tree, f"{stem}_post_encoder_projection", tokens)
    if s.first_token:
        return tokens[:, 1:], tokens[:, 0]
    real = mask[..., None]
    return tokens, (tokens * real).sum(1) / (real.sum(1) + 1e-6)


def common_vector(s, tree, modality, target, pooled):
    """Unit vector of a modality towards another one."""
    source, feature = SOURCE[modality]
    end = "common" if s.space == "joint" else SOURCE[target][0]
    head = f"{source}_{feature}_{s.space}_projection/to_{end}"
    x = gelu(_project(tree, f"{head}/wi", pooled))
    x = _project(tree, f"{head}/wo", x)
    norm = f"{head}/layer_norm"
    x = layer_norm(x, tree[f"{norm}/scale"], tree[f"{norm}/bias"])
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def _embed(s, tree, modality, x):
    """Tokens, table rows of each axis, and mask."""
    if modality == "text":
        table = tree["text_token_id_to_embed/txt_to_embedding/embedding"]
        tokens = table[x].astype("float64")
        ids = _rows(x.shape[1], x.shape[1])
        return tokens, [ids], (x != 0).astype("float64")
    source, _ = SOURCE[modality]
    index = list(AXES).index(source)
    patch = s.patches[index]
    if modality == "image":
        x = np.repeat(x[:, None], patch[0], axis=1)
    if modality in ("audio", "waveform"):
        x = x[..., None]
    grid = [n // p for n, p in zip(x.shape[1:-1], patch, strict=True)]
    places = np.indices(grid).reshape(len(grid), -1)
    ids = [
        _rows(n, rows)[own]
        for n, rows, own in zip(grid, s.rows[index], places, strict=True)
    ]
    module = f"{source}_token_raw_to_embed/{SHORT[source]}_to_embedding"
    tokens = _project(tree, module, patch_values(x, patch))
    return tokens, ids, np.ones(tokens.shape[:2])


def _rows(count, scale):
    """trunc(c * scale), with the coordinates c in bfloat16."""
    coordinates = (np.arange(count, dtype="float32") / count).astype(
        ml_dtypes.bfloat16
    )
    return (
        (coordinates * ml_dtypes.bfloat16(scale)).astype("float32").astype(int)
    )


def _lookup(table, ids):
    """Rows; a row outside the table is 0."""
    one_hot = ids[:, None] == np.arange(len(table))
    return one_hot.astype("float64") @ table


def _project(tree, module, x):
    return x @ tree[f"{module}/kernel"] + tree[f"{module}/bias"]


def _layer_weights(s, tree, i):
    module, row = s.layer_names[i]
    stem = f"{s.encoder}/{module}/"
    return {
        name.removeprefix(stem): value if row is None else value[row]
        for name, value in tree.items()
        if name.startswith(stem)
    }


def _layer(s, w, x, mask):
    x = x + _attention(s, w, _normalize(w, "layer_norm_sa", x), mask)
    normed = _normalize(w, "layer_norm_ffn", x)
    if "feed_forward/router/w/kernel" in w:
        return x + _experts(w, normed)
    inner = gelu(
        normed @ w["feed_forward/wi/kernel"] + w.get("feed_forward/wi/bias", 0)
    )
    out = inner @ w["feed_forward/wo/kernel"]
    return x + out + w.get("feed_forward/wo/bias", 0)


def _normalize(w, module, x):
    return layer_norm(x, w[f"{module}/scale"], w.get(f"{module}/bias", 0))


def _attention(s, w, x, mask):
    q, k, v = (
        np.einsum("btw,whd->bthd", x, w[f"self_attention/{name}/kernel"])
        + w.get(f"self_attention/{name}/bias", 0)
        for name in "qkv"
    )
    if s.qk_norm:
        q = _normalize(w, "self_attention/layer_norm_q", q)
        k = _normalize(w, "self_attention/layer_norm_k", k)
    logits = np.einsum("bqhd,bkhd->bhqk", q / math.sqrt(q.shape[-1]), k)
    logits = logits + np.where(mask > 0, 0.0, -1e10)[:, None, None, :]
    mixed = np.einsum("bhqk,bkhd->bqhd", softmax(logits), v)
    out = np.einsum("bqhd,hdw->bqw", mixed, w["self_attention/o/kernel"])
    return out + w.get("self_attention/o/bias", 0)


def _experts(w, x):
    """Experts choose, on one device, with capacity factor 1."""
    router = w["feed_forward/router/w/kernel"]
    experts = router.shape[1]
    rows = x.reshape(-1, x.shape[-1])
    groups = max(len(rows) // 2048, experts)
    while len(rows) % groups or groups % experts:
        groups += 1
    size = len(rows) // groups
    slots = round(size / experts)
    y = np.zeros_like(rows)
    bias = [w.get(f"feed_forward/experts/{x}/bias") for x in ("wi", "wo")]
    wi, wo = ([0] * experts if x is None else x for x in bias)
    for first in range(0, len(rows), size):
        own = rows[first : first + size]
        p = softmax(own @ router)
        for e in range(experts):
            best = np.argsort(-p[:, e], kind="stable")[:slots]
            x_e = own[best] @ w["feed_forward/experts/wi/kernel"][e] + wi[e]
            out = gelu(x_e) @ w["feed_forward/experts/wo/kernel"][e] + wo[e]
            y[first + best] += p[best, e, None] * out
    return y.reshape(x.shape)
