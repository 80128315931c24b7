"""The command line: `keras-imp train` and `keras-imp presets`.

Nothing here imports Keras before the backend is chosen.
"""

from keras_imp._optional import require


def main() -> None:
    """Run the command line; the entry point of the `keras-imp` script."""
    require("typer", extra="data")
    from keras_imp.cli.commands import app

    app()
