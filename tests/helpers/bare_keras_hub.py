"""`python -m tests.helpers.bare_keras_hub FOLDER MODULE...`: import and load.

Nothing of keras_imp but the package itself is touched before keras-hub loads
the preset. Prints the class of what it loaded, and its pooled output.
"""

import importlib
import json
import sys

import numpy as np

if __name__ == "__main__":
    folder, *modules = sys.argv[1:]
    for module in modules:
        importlib.import_module(module)
    backbone = sys.modules["keras_hub"].models.Backbone
    encoder = backbone.from_preset(folder)
    text = np.array([[1, 2, 0]], "int32")
    found = encoder.predict({"text": text}, verbose=0)["text"]["pooled_output"]
    sys.stdout.write(json.dumps([type(encoder).__name__, found.tolist()]))
