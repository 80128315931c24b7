"""Finished runs of a study, kept in files with what decided them."""

import json
import pathlib


def kept_result(
    job: dict, folder: pathlib.Path, adopt: bool = False
) -> dict | None:
    """The result of a run that is finished; None if it is not.

    Args:
        job: What decides the run.
        folder: Of the kept results.
        adopt: Whether a file without a job is of this one. Those that former
            versions of the studies wrote have none.

    Returns:
        What the run returned.

    Raises:
        ValueError: If the file is of another job, or does not say of which.
    """
    path = _file_of(job, folder)
    if not path.exists():
        return None
    result = json.loads(path.read_text())
    if "job" not in result and adopt:
        keep(job, folder, result)
        return result
    known, now = result.pop("job", None), json.loads(json.dumps(job))
    if known is None:
        raise ValueError(
            "A kept run must say what decided it. Received: "
            f"file={str(path)!r}. If it is of the script as it is now, give "
            "--adopt once; else move the file away."
        )
    if known != now:
        names = sorted(known.keys() | now.keys())
        before, after = (
            {n: d.get(n) for n in names if known.get(n) != now.get(n)}
            for d in (known, now)
        )
        raise ValueError(
            "A kept run must be of the job that is asked for. Received: "
            f"file={str(path)!r}, kept={before}, now={after}. Move the file "
            "away to train anew."
        )
    return result


def keep(job: dict, folder: pathlib.Path, result: dict) -> None:
    """Keep the result of a run with its job.

    Args:
        job: What decided the run.
        folder: Of the kept results.
        result: What the run returned.
    """
    content = json.dumps({**result, "job": job})
    _file_of(job, folder).write_text(content + "\n")


def _file_of(job: dict, folder: pathlib.Path) -> pathlib.Path:
    arm = "".join(c if c.isalnum() else "_" for c in job["arm"])
    return folder / f"{arm}-{job['seed']}-{job['steps']}.json"
