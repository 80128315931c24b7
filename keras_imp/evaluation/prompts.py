"""Sentences around the names of classes, for each modality."""

from keras_imp._errors import check_choice, message

# Each stands for a way in which people describe what they have recorded.
PROMPTS = {
    "image": (
        "{}",
        "an image of a {}",
        "a photo of a {}",
        "an image with a {} in it",
        "a close view of a {}",
        "a {} seen from far away",
        "a drawing of a {}",
        "a small {}",
        "a large {}",
        "several of {}",
        "a blurred photo of a {}",
        "a {} before a plain background",
    ),
    "video": (
        "{}",
        "a video of {}",
        "a short clip of {}",
        "a clip that shows {}",
        "someone is {}",
        "people are {}",
        "a person doing {}",
        "a recording of {} in motion",
        "a scene with {}",
        "footage of {}, seen from one side",
    ),
    "audio": (
        "{}",
        "the sound of {}",
        "a recording of {}",
        "one can hear {}",
        "the noise of {} nearby",
        "{} in the distance",
        "a short sound of {}",
        "{} with noise in the background",
    ),
}


def prompts_of(prompts: str | tuple[str, ...] | list[str]) -> tuple[str, ...]:
    """Prompts, by the name of a library or as they are.

    Args:
        prompts: `"image"`, `"video"` or `"audio"`, or templates with `{}`
            where the name of the class goes.

    Returns:
        The templates.

    Raises:
        ValueError: If there is no such library, or no template, or one has no
            `{}`.

    Example:
        >>> from keras_imp.evaluation.prompts import prompts_of
        >>> len(prompts_of("audio")), prompts_of(["a {}"])
        (8, ('a {}',))
    """
    if isinstance(prompts, str) and "{}" not in prompts:
        check_choice(tuple(PROMPTS), prompts=prompts)
        return PROMPTS[prompts]
    found = (prompts,) if isinstance(prompts, str) else tuple(prompts)
    if not found:
        raise ValueError(message("There must be a prompt.", prompts=found))
    for prompt in found:
        if "{}" not in prompt:
            raise ValueError(
                message(
                    "A prompt must have {} where the class name goes.",
                    prompt=prompt,
                )
            )
    return found
