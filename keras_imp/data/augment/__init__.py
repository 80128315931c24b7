"""Augmentations: functions of examples and of random draws for their rows.

`images`, `spectrograms`, `waveforms` and `texts` hold plain functions
`function(values, draws, **settings)`; `Compose` makes of some of them what
`Arrays(augment=...)` takes. `crops` holds functions that give boxes and places
for the decoders of files. What happens to an example depends on the seed, the
number of the batch and the example's row only.
"""

from keras_imp._lazy import lazy

_HOMES = {
    "Compose": "keras_imp.data.augment.compose",
    "Draws": "keras_imp.data.augment.draws",
    "crops": "keras_imp.data.augment.crops",
    "images": "keras_imp.data.augment.images",
    "mix": "keras_imp.data.augment.mixing",
    "spectrograms": "keras_imp.data.augment.spectrograms",
    "texts": "keras_imp.data.augment.texts",
    "waveforms": "keras_imp.data.augment.waveforms",
}

__all__ = sorted(_HOMES)

__getattr__, __dir__ = lazy(globals(), _HOMES)
