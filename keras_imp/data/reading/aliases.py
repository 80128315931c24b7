"""Names that people give to columns, splits and files: the one table."""

import re

# The columns of a manifest, in the order in which they are shown.
COLUMNS = (
    "image",
    "video",
    "audio",
    "text",
    "label",
    "group",
    "split",
    "start",
    "end",
    "weight",
)
# Columns whose values are files.
MEDIA = ("image", "video", "audio")
# What an example is made of: what a task reads or predicts.
CONTENT = (*MEDIA, "text", "label")
NUMBERS = ("start", "end", "weight")
# Columns of which a row may have several values.
LISTS = ("text", "label")

# Of two names in a table, the one that stands first here is used. Compared in
# lower case, with "_" for " " and "-".
ALIASES: dict[str, tuple[str, ...]] = {
    "image": (
        "image",
        "images",
        "image_path",
        "image_file",
        "image_filename",
        "image_file_name",
        "image_name",
        "img",
        "img_path",
        "picture",
        "photo",
        "jpg",
        "jpeg",
        "png",
        "image/encoded",
    ),
    "video": (
        "video",
        "video_path",
        "video_file",
        "video_filename",
        "video_file_name",
        "video_name",
        "clip",
        "clip_path",
        "mp4",
    ),
    "audio": (
        "audio",
        "audio_path",
        "audio_file",
        "audio_filename",
        "audio_filepath",
        "audio_file_name",
        "sound",
        "sound_file",
        "recording",
        "wav",
        "flac",
    ),
    "text": (
        "text",
        "texts",
        "caption",
        "captions",
        "title",
        "sentence",
        "sentences",
        "transcript",
        "transcription",
        "description",
        "utterance",
        "prompt",
        "txt",
        "image/caption",
    ),
    "label": (
        "label",
        "labels",
        "category",
        "class",
        "class_name",
        "label_name",
        "species",
        "genre",
        "target",
        "cls",
        "image/class/text",
        "image/class/label",
    ),
    "group": (
        "group",
        "group_id",
        "speaker",
        "speaker_id",
        "client_id",
        "subject",
        "subject_id",
        "patient_id",
        "user_id",
        "session_id",
        "scene_id",
        "src_file",
    ),
    "split": ("split", "subset", "partition", "set"),
    "start": (
        "start",
        "start_time",
        "time_start",
        "start_seconds",
        "start_sec",
        "begin",
        "offset",
    ),
    "end": (
        "end",
        "end_time",
        "time_end",
        "end_seconds",
        "end_sec",
        "stop",
    ),
    "weight": ("weight", "sample_weight", "importance"),
}
# Files of any kind: the endings of their names say which column it is.
FILES = (
    "file",
    "file_name",
    "filename",
    "filepath",
    "file_path",
    "path",
    "fname",
)
# A video by its number at YouTube; its file is looked for by that.
YOUTUBE = ("youtube_id", "ytid", "yt_id", "video_id")

# Splits, by the names of folders, files and values.
SPLITS: dict[str, tuple[str, ...]] = {
    "train": ("train", "training"),
    "validation": ("validation", "val", "valid", "validate", "dev"),
    "test": ("test", "testing"),
}

# Folders that are named for what they hold, so not for a class.
FOLDERS_OF_KINDS = (
    "image",
    "images",
    "img",
    "imgs",
    "photos",
    "video",
    "videos",
    "clips",
    "audio",
    "audios",
    "sounds",
    "wav",
    "wavs",
    "text",
    "texts",
    "captions",
    "txt",
)

# Endings of file names, in lower case.
SUFFIXES: dict[str, tuple[str, ...]] = {
    "image": (
        ".jpg",
        ".jpeg",
        ".png",
        ".gif",
        ".webp",
        ".bmp",
        ".tif",
        ".tiff",
        ".avif",
    ),
    "video": (
        ".mp4",
        ".m4v",
        ".mkv",
        ".webm",
        ".mov",
        ".avi",
        ".mpg",
        ".mpeg",
        ".ogv",
    ),
    "audio": (
        ".wav",
        ".flac",
        ".ogg",
        ".oga",
        ".mp3",
        ".opus",
        ".aiff",
        ".aif",
        ".m4a",
        ".au",
    ),
    "text": (".txt", ".caption"),
    "label": (".cls",),
}

# A split, and maybe the number of a shard: "train-00000-of-00002". Behind it,
# `push_to_hub` of `datasets` writes a hash.
_NAMED = re.compile(r"([A-Za-z]+)(?:[-_.]?\d+(?:-of-\d+(?:-[0-9a-f]+)?)?)?")


def canonical(name: str) -> str:
    """A name as it is compared.

    Example:
        >>> from keras_imp.data.reading.aliases import canonical
        >>> canonical(" Image-Path")
        'image_path'
    """
    return name.strip().lower().replace(" ", "_").replace("-", "_")


def split_named(name: str) -> str | None:
    """The split that a name stands for, or None.

    Example:
        >>> from keras_imp.data.reading.aliases import split_named
        >>> split_named("Val"), split_named("vale")
        ('validation', None)
    """
    return _SPLIT_OF.get(name.strip().lower())


def split_of(name: str) -> str | None:
    """The split that the name of a file or of a shard says.

    Example:
        >>> from keras_imp.data.reading.aliases import split_of
        >>> split_of("train-00000-of-00002.parquet"), split_of("trainers.csv")
        ('train', None)
    """
    match = _NAMED.fullmatch(name.partition(".")[0])
    return split_named(match[1]) if match else None


def kind_of(name: str) -> str | None:
    """The column that a file belongs to, by the ending of its name.

    Example:
        >>> from keras_imp.data.reading.aliases import kind_of
        >>> kind_of("a/heart.JPG"), kind_of("README")
        ('image', None)
    """
    dot = name.rfind(".")
    return _KIND_OF.get(name[dot:].lower()) if dot >= 0 else None


_SPLIT_OF = {name: split for split, names in SPLITS.items() for name in names}
_KIND_OF = {end: kind for kind, ends in SUFFIXES.items() for end in ends}
