"""A tower or a task as one file for another runtime.

The flow, and the files that show it:

    model > subject > description > worker (another process) > file
          > running (a process without Keras) > comparison > report

The model's own outputs are computed before and compared with those of the
file, which is kept only if they agree. `keras_imp.export` does all of it.
"""

from keras_imp._lazy import lazy

_HOMES = {
    "ExportError": "keras_imp.exporting.report",
    "ExportReport": "keras_imp.exporting.report",
}

__all__ = sorted(_HOMES)

__getattr__, __dir__ = lazy(globals(), _HOMES)
