"""The playground as five tasks: their data, their model, their mixture."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from keras_imp.data import (
    Arrays,
    LogMel,
    ResizedArrays,
    Tokenizer,
    playground,
)
from keras_imp.data.shapes.plan import Plan
from keras_imp.models.imp_encoder import IMPEncoder
from keras_imp.tasks import Classification, Contrastive, Task
from keras_imp.training.alternating_model import AlternatingModel
from keras_imp.training.input.task_mixture import TaskMixture
from keras_imp.training.optimizers import AdamW, CosineWithWarmup
from keras_imp.training.schedules import Weighted

# Fractions of the steps. Classification of 8,000 images needs more than the
# instruments' 573 recordings.
WEIGHTS = {
    "objects": 8.0,
    "captions": 4.0,
    "sounds": 3.0,
    "sound_captions": 3.0,
    "clips": 4.0,
}
BATCH_SIZES = {
    "objects": 64,
    "captions": 64,
    "sounds": 64,
    "sound_captions": 64,
    "clips": 48,
}
# Few examples, seen often. 8,000 images in few passes need no variation (it
# slows their learning), and each clip is rendered several times.
AUGMENTED = ("captions", "sounds", "sound_captions")
TEXT_LENGTH = 12
VOCABULARY_SIZE = 2000
PEAK_LEARNING_RATE = 1e-3
# Low on purpose: clipped at this norm, every task's gradient has the same
# length, and its fraction of the steps is its weight. A contrastive gradient is
# several times a classifier's, and Adam's state is shared.
CLIP_NORM = 0.1
# Every training clip is rendered with this many random motions.
RENDERINGS = 3


class Split(NamedTuple):
    """One split as arrays, ready for the tasks.

    Attributes:
        objects: Images and their classes.
        captions: Images and their captions.
        sounds: Log-mel spectrograms, their families and captions.
        clips: Clips, their motions and captions.
        source: The split as `playground.load` returns it.
    """

    objects: dict[str, np.ndarray]
    captions: dict[str, np.ndarray]
    sounds: dict[str, np.ndarray]
    clips: dict[str, np.ndarray]
    source: playground.PlaygroundSplit


def train_tokenizer() -> Tokenizer:
    """Train a small tokenizer on the captions of the training split.

    Returns:
        The tokenizer.
    """
    split = playground.load("train")
    captions = [*split.emoji.captions, *split.sounds.captions]
    texts = [text for several in captions for text in several]
    return Tokenizer.train(
        [*texts, *playground.MOTIONS], VOCABULARY_SIZE, TEXT_LENGTH
    )


def load_split(name: str, tokenizer: Tokenizer) -> Split:
    """Decode one split and prepare what does not change while training.

    Args:
        name: `"train"`, `"validation"` or `"test"`.
        tokenizer: From texts to ids.

    Returns:
        The arrays of all tasks.
    """
    source = playground.load(name)
    emoji, sounds = source.emoji, source.sounds
    return Split(
        objects={"image": source.fashion.images, "y": source.fashion.labels},
        captions={
            "image": emoji.images,
            "text": _several(emoji.captions, tokenizer),
        },
        sounds={
            "audio": log_mel(sounds.waveforms),
            "text": _several(sounds.captions, tokenizer),
            "y": sounds.family_labels,
        },
        clips=_render(emoji, name, tokenizer),
        source=source,
    )


def log_mel(waveforms: np.ndarray) -> np.ndarray:
    """Log-mel spectrograms, scaled to about [-1, 1].

    Args:
        waveforms: float32, shape `(clips, samples)`.

    Returns:
        float32, shape `(clips, 64, 64)`.
    """
    layer = LogMel(frame_length=1024, frame_step=256, num_mel_bins=64)
    # The layer's floor is ln(1e-6) = -13.8; loud bands reach about 4.
    return (np.asarray(layer(waveforms)) + 5.0) / 9.0


def build_model(
    tokenizer: Tokenizer,
    steps: int,
    preset: str = "imp_tiny",
    dense_twin: bool = False,
    tasks: tuple[str, ...] = tuple(WEIGHTS),
    make_model: Callable[..., AlternatingModel] = AlternatingModel,
    peak: float = PEAK_LEARNING_RATE,
    **options,
) -> AlternatingModel:
    """A tiny encoder with the five tasks, compiled.

    Args:
        tokenizer: For the size of the vocabulary.
        steps: Steps of the whole training, for the learning rate.
        preset: Preset of the encoder.
        dense_twin: Whether to take the preset's dense counterpart.
        tasks: Names of the tasks to learn.
        make_model: From encoder and tasks to the model.
        peak: Peak of the learning rate.
        **options: Arguments of `IMPEncoder` that replace the preset's.

    Returns:
        The model.
    """
    encoder = IMPEncoder.from_preset(
        preset,
        modalities=("image", "video", "audio", "text"),
        vocabulary_size=tokenizer.vocabulary_size,
        # 16 tokens for an image or a sound, 32 for a video: fast on a CPU.
        patch_size=(4, 8, 8),
        audio_patch_size=(16, 16),
        **options,
    )
    if dense_twin:
        encoder = encoder.dense_twin()
    model = make_model(
        encoder, [task for task in _make_tasks() if task.name in tasks]
    )
    rate = CosineWithWarmup(peak, total_steps=steps, warmup_steps=steps // 20)
    model.compile(AdamW(rate, weight_decay=0.1, global_clipnorm=CLIP_NORM))
    return model


def training_mixture(split: Split, seed: int) -> TaskMixture:
    """Shuffled, augmented batches of all tasks, drawn by `WEIGHTS`.

    Args:
        split: The training split.
        seed: Seed of the schedule, the order and the augmentation.

    Returns:
        The mixture.
    """
    return TaskMixture(
        training_sources(split, seed), schedule=Weighted(WEIGHTS), seed=seed
    )


def training_sources(
    split: Split, seed: int, tasks: tuple[str, ...] = tuple(WEIGHTS)
) -> dict[str, Arrays]:
    """Shuffled, augmented batches of each task.

    Args:
        split: The training split.
        seed: Seed of the order and the augmentation.
        tasks: Names of the tasks.

    Returns:
        The data by task, for a mixture.
    """
    return {
        name: Arrays(
            x,
            y,
            batch_size=BATCH_SIZES[name],
            augment=_augment if name in AUGMENTED else None,
            seed=seed,
        )
        for name, (x, y) in _by_task(split).items()
        if name in tasks
    }


def resized_mixture(split: Split, plan: Plan, seed: int) -> TaskMixture:
    """As `training_mixture`, in the shapes and batch sizes of a plan.

    Args:
        split: The training split.
        plan: Shapes of all tasks.
        seed: Seed of the schedule, the order, the shapes, the augmentation and
            the dropped tokens.

    Returns:
        The mixture.
    """
    return TaskMixture(
        {
            name: ResizedArrays(
                x,
                y,
                shapes=plan[name],
                augment=_augment if name in AUGMENTED else None,
                seed=seed,
            )
            for name, (x, y) in _by_task(split).items()
        },
        schedule=Weighted(WEIGHTS),
        seed=seed,
    )


def evaluation_mixture(split: Split) -> TaskMixture:
    """The examples of each task once, in batches of one size per task.

    Those of a contrastive task are of the size of the training batches, or
    their losses would not compare; what does not fill one is left out.

    Args:
        split: The validation or test split.

    Returns:
        The mixture.
    """
    return TaskMixture.sequential(
        {
            name: Arrays(
                _first_caption(x),
                y,
                batch_size=BATCH_SIZES[name] if y is None else _divisor(x),
                shuffle=False,
                drop_last=y is None,
            )
            for name, (x, y) in _by_task(split).items()
        }
    )


def test_inputs(split: Split) -> dict[str, np.ndarray]:
    """Something of each modality, to see what an encoder does with it.

    Args:
        split: The test split.

    Returns:
        Emoji, clips, sounds and the emoji's captions, by modality.
    """
    return {
        "image": split.captions["image"],
        "video": split.clips["video"],
        "audio": split.sounds["audio"],
        "text": _first_caption(split.captions)["text"],
    }


def _make_tasks() -> list[Task]:
    space: dict[str, Any] = {"projection_dim": 128, "temperature": 0.1}
    return [
        Classification("objects", "image", len(playground.FASHION_CLASSES)),
        Contrastive("captions", ("image", "text"), **space),
        Classification("sounds", "audio", len(playground.FAMILIES)),
        Contrastive("sound_captions", ("audio", "text"), **space),
        Contrastive("clips", ("video", "text"), **space),
    ]


def _by_task(split: Split) -> dict[str, tuple[dict[str, np.ndarray], Any]]:
    def pick(data, *names):
        return {name: data[name] for name in names}

    return {
        "objects": (pick(split.objects, "image"), split.objects["y"]),
        "captions": (pick(split.captions, "image", "text"), None),
        "sounds": (pick(split.sounds, "audio"), split.sounds["y"]),
        "sound_captions": (pick(split.sounds, "audio", "text"), None),
        "clips": (pick(split.clips, "video", "text"), None),
    }


def _several(captions: list[list[str]], tokenizer: Tokenizer) -> np.ndarray:
    """Token ids, shape (examples, captions, length)."""
    flat = [text for several in captions for text in several]
    return tokenizer(flat).reshape(len(captions), -1, TEXT_LENGTH)


def _render(emoji, name: str, tokenizer: Tokenizer) -> dict[str, np.ndarray]:
    renderings = RENDERINGS if name == "train" else 1
    first = playground.SPLITS.index(name)
    seeds = [first + len(playground.SPLITS) * i for i in range(renderings)]
    rendered = [playground.render_clips(emoji.images, seed=s) for s in seeds]
    texts = [
        text
        for _, motions in rendered
        for text in playground.clip_captions(emoji.names, motions)
    ]
    return {
        "video": np.concatenate([video for video, _ in rendered]),
        "motion": np.concatenate([motions for _, motions in rendered]),
        "text": tokenizer(texts),
    }


def _augment(batch: tuple, generator: np.random.Generator) -> tuple:
    """One caption of several; images and spectrograms shifted a little."""
    x = dict(batch[0])
    if "text" in x and x["text"].ndim == 3:
        rows = np.arange(len(x["text"]))
        picks = generator.integers(x["text"].shape[1], size=len(rows))
        x["text"] = x["text"][rows, picks]
    if "image" in x:
        x["image"] = _shift(x["image"], generator, reach=2)
    if "audio" in x:
        x["audio"] = _shift(x["audio"], generator, reach=2)
        loudness = generator.uniform(-0.1, 0.1, (len(x["audio"]), 1, 1))
        x["audio"] = (x["audio"] + loudness).astype("float32")
    return (x, *batch[1:])


def _shift(
    values: np.ndarray, generator: np.random.Generator, reach: int
) -> np.ndarray:
    """Move each example up to `reach` along both axes, edges repeated."""
    batch, height, width = values.shape[:3]
    moves = generator.integers(-reach, reach + 1, (2, batch, 1))
    rows = np.clip(np.arange(height) + moves[0], 0, height - 1)
    columns = np.clip(np.arange(width) + moves[1], 0, width - 1)
    example = np.arange(batch)[:, None, None]
    return values[example, rows[:, :, None], columns[:, None, :]]


def _first_caption(x: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    if "text" in x and x["text"].ndim == 3:
        return {**x, "text": x["text"][:, 0]}
    return x


def _divisor(x: dict[str, np.ndarray], most: int = 200) -> int:
    """The largest batch that leaves no rest: one shape to compile."""
    rows = len(next(iter(x.values())))
    return max(n for n in range(1, most + 1) if rows % n == 0)
