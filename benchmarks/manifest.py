"""Read, check and scan a table of millions of rows; print time and memory.

    python benchmarks/manifest.py

Processor time, since other programs do not change it, and the most memory that
the process has had, less what it had after the imports.
"""

import argparse
import json
import resource
import tempfile
import time
from pathlib import Path

import keras_imp
from keras_imp.data.reading.read import read
from keras_imp.evaluation.own_data.choices import choose_sizes
from keras_imp.evaluation.own_data.inference import add_paths, infer
from keras_imp.evaluation.own_data.recipe import DataRecipe
from keras_imp.validation.scan import scan_and_flag

RESULTS = Path(__file__).parent / "results" / "manifest.json"
FOLDERS = 1000
STAGES = ("read", "split", "select", "problems", "summary", "recipe", "scan")


def make_table(folder: Path, rows: int) -> Path:
    """A table with captions, labels, groups and files that are not there."""
    for number in range(FOLDERS):
        (folder / f"images/{number:03}").mkdir(parents=True)
    path = folder / "table.csv"
    with path.open("w") as file:
        file.write("image,text,label,group,split\n")
        for row in range(rows):
            file.write(
                f"images/{row % FOLDERS:03}/{row:08}.jpg,"
                f'"an image of thing number {row}, with words",'
                f"class {row % 1000},g{row % 100_000},train\n"
            )
    return path


def memory() -> float:
    """Most memory of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def measure(path: Path) -> dict:
    """Processor seconds and memory after each thing that is done."""
    start, found = memory(), {}

    def after(name, call):
        begun = time.process_time()
        value = call()
        found[name] = {
            "cpu_s": round(time.process_time() - begun, 1),
            "peak_mb": round(memory() - start),
        }
        return value

    manifest = after("read", lambda: read(path))
    parts = after("split", lambda: manifest.split(fraction=0.1))
    after("select", lambda: manifest.select(label="class 7"))
    after("problems", manifest.problems)
    after("summary", lambda: str(manifest.summary()))
    after("recipe", lambda: understand(path, manifest))
    # No file is there, so that each row has a fault: the most that there is.
    scan = after("scan", lambda: scan_and_flag(manifest, path.parent))
    found["flagged"] = scan.counts()
    found["rows_mb"] = round(manifest.nbytes / 1e6)
    found["table_mb"] = round(path.stat().st_size / 1e6)
    found["held_out"] = round(len(parts[1]) / len(manifest), 3)
    return found


def understand(path: Path, manifest) -> DataRecipe:
    """What `keras-imp train --data PATH --dry-run` does after reading."""
    recipe = add_paths(DataRecipe(), [path], {}, lambda task: manifest)
    manifests = dict.fromkeys(recipe.tasks, manifest)
    return choose_sizes(infer(recipe, manifests), manifests)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=3_000_000)
    parser.add_argument("--smoke", action="store_true", help="few rows")
    args = parser.parse_args()
    rows = 20_000 if args.smoke else args.rows
    with tempfile.TemporaryDirectory() as folder:
        found = measure(make_table(Path(folder), rows))
    found |= {"rows": rows, "keras_imp": keras_imp.__version__}
    print(f"{rows} rows, a table of {found['table_mb']} MB")
    for name in STAGES:
        print(
            f"{name:9} {found[name]['cpu_s']:6.1f} cpu s "
            f"{found[name]['peak_mb']:6} MB at most"
        )
    print(f"the rows take {found['rows_mb']} MB")
    if not args.smoke:
        RESULTS.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
