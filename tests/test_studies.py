"""What the studies of `benchmarks/` share: kept runs, and intervals."""

import importlib
import json
import re
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
JOB = {"arm": "summed x1", "seed": 0, "steps": 4, "views": "a", "sizes": (1,)}
RESULT = {"scores": {"objects": 0.5}}

pytestmark = [
    pytest.mark.one_backend,
    pytest.mark.skipif(not BENCHMARKS.exists(), reason="needs the repository"),
]


@pytest.fixture
def study(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("_study")


@pytest.fixture
def kept_result(study):
    return study.kept_result


@pytest.fixture
def file(tmp_path):
    return tmp_path / "summed_x1-0-4.json"


def test_a_kept_run_is_used_again(kept_result, tmp_path, file):
    assert kept_result(JOB, tmp_path) is None
    file.write_text(json.dumps({**RESULT, "job": JOB}))
    assert kept_result(JOB, tmp_path) == RESULT


def test_a_kept_run_of_another_job_is_refused(kept_result, tmp_path, file):
    file.write_text(json.dumps({**RESULT, "job": JOB}))
    text = (
        "A kept run must be of the job that is asked for. Received: "
        f"file={str(file)!r}, kept={{'rate': None, 'views': 'a'}}, "
        "now={'rate': 2, 'views': 'b'}. Move the file away to train anew."
    )
    now = {**JOB, "views": "b", "rate": 2}
    for adopt in (False, True):
        with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
            kept_result(now, tmp_path, adopt)


def test_a_kept_run_without_a_job_is_refused_until_adopted(
    kept_result, tmp_path, file
):
    file.write_text(json.dumps(RESULT))
    text = (
        "A kept run must say what decided it. Received: "
        f"file={str(file)!r}. If it is of the script as it is now, give "
        "--adopt once; else move the file away."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        kept_result(JOB, tmp_path)
    assert kept_result(JOB, tmp_path, adopt=True) == RESULT
    assert kept_result(JOB, tmp_path) == RESULT


def test_a_study_gives_each_run_its_settings(study, tmp_path, monkeypatch):
    jobs = []

    def run(script, job, core, folder):
        jobs.append(job)
        return RESULT

    monkeypatch.setattr(study, "_run", run)
    monkeypatch.setattr(study._timing, "RESULTS", tmp_path)
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    arguments = study.make_parser("A study.", steps=4).parse_args(
        ["--seeds", "1"]
    )
    found = study.run_all(
        "script", "study", ["a", "b"], arguments, {"a": {"rate": 2}}, split="x"
    )
    assert found == {"a": [RESULT], "b": [RESULT]}
    common = {"seed": 0, "steps": 4, "backend": "torch", "split": "x"}
    assert sorted(jobs, key=lambda job: job["arm"]) == [
        {"arm": "a", **common, "rate": 2},
        {"arm": "b", **common},
    ]


@pytest.mark.parametrize("runs", [2, 8, 12])
def test_an_interval_knows_any_number_of_runs(study, runs):
    mean, half = study.interval([0.0, 2.0] * (runs // 2))
    quantile = {2: 12.706, 8: 2.365, 12: 2.201}[runs]
    assert mean == 1.0
    error = (runs / (runs - 1)) ** 0.5 / runs**0.5
    assert half == pytest.approx(quantile * error, rel=1e-3)
