"""What is wrong with a data set, before a step is spent on it.

The flow, and the files that show it:

    manifest > scan (every file decoded, alone) > flags (across rows)
             > TensorFlow Data Validation, in a process of its own > report

`validate` does all of it, for `keras-imp validate`; `scan_and_flag` stops
before TensorFlow Data Validation.
"""

from keras_imp._lazy import lazy

_HOMES = {
    "FLAGS": "keras_imp.validation.flags",
    "Beam": "keras_imp.validation.worker",
    "Finding": "keras_imp.validation.findings",
    "Scan": "keras_imp.validation.scan",
    "Validation": "keras_imp.validation.validation",
    "find_tfdv": "keras_imp.validation.environment",
    "install_tfdv": "keras_imp.validation.environment",
    "scan_and_flag": "keras_imp.validation.scan",
    "validate": "keras_imp.validation.validation",
}

__all__ = sorted(_HOMES)

__getattr__, __dir__ = lazy(globals(), _HOMES)
