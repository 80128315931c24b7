"""One Transformer encoder for images, video, audio and text, many tasks.

The flow, and the folders that show it:

    files > data > TaskMixture > embedders > encoder blocks > task head
          > task loss > train step > metrics

`layers` turn tokens into tokens, `models` put them together, `tasks` say what
a step optimizes, `training` takes the steps, `data` feeds it, `evaluation`
measures, `exporting` writes files for other runtimes. Names are loaded when
they are first used: `import keras_imp` loads neither Keras nor a backend. Once
Keras is imported too, in either order, it can load whatever was saved:
`keras.models.load_model("model.keras")`.
"""

from keras_imp._after_import import after_import
from keras_imp._lazy import lazy
from keras_imp._registration import join_keras_hub, register

__version__ = "0.1.0"

_HOMES = {
    "AlternatingModel": "keras_imp.training.alternating_model",
    "CombinedModel": "keras_imp.training.combined_model",
    "IMPEncoder": "keras_imp.models.imp_encoder",
    "IMPPreprocessor": "keras_imp.data.preprocessor",
    "NonFiniteLossError": "keras_imp.training.monitoring.non_finite",
    "TaskMixture": "keras_imp.training.input.task_mixture",
    "TokenBudget": "keras_imp.data.shapes.token_budget",
    "ZeroShotClassifier": "keras_imp.evaluation.zero_shot",
    "evaluate_retrieval": "keras_imp.evaluation.retrieval_report",
    "export": "keras_imp.exporting.export_files",
    "inspect_routing": "keras_imp.evaluation.routing",
    "list_presets": "keras_imp.models.presets.table",
    "upcycle": "keras_imp.models.sparse.upcycling",
}
_MODULES = {
    "callbacks": "keras_imp.callbacks",
    "data": "keras_imp.data",
    "distribution": "keras_imp.training.devices.layouts",
    "evaluation": "keras_imp.evaluation",
    "exporting": "keras_imp.exporting",
    "layers": "keras_imp.layers",
    "models": "keras_imp.models",
    "optimizers": "keras_imp.training.optimizers",
    "schedules": "keras_imp.training.schedules",
    "search": "keras_imp.search",
    "tasks": "keras_imp.tasks",
    "training": "keras_imp.training",
    "validation": "keras_imp.validation",
}

__all__ = sorted([*_HOMES, *_MODULES])

__getattr__, __dir__ = lazy(globals(), {**_HOMES, **_MODULES})

after_import("keras", register)
after_import("keras_hub", join_keras_hub)
