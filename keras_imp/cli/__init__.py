"""The command line: `keras-imp train`, `validate`, `playground`, `presets`.

Nothing here imports Keras before the backend is chosen. What the commands do is
in the library, such as `keras_imp/evaluation/own_data/`.
"""

import sys

from keras_imp._optional import require


def main() -> None:
    """Run the command line; the entry point of the `keras-imp` script."""
    try:
        require("typer", extra="data")
    except ImportError as error:
        sys.exit(str(error))
    from keras_imp.cli.commands import app

    app(prog_name="keras-imp")
