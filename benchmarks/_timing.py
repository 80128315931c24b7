"""What the benchmarks share: fair turns, medians, a table, a JSON file.

A machine that others use too changes its speed from minute to minute, so every
side lives in its own process and they compute in turns, a few steps at a time,
one side after the other. Only ratios within one such run mean anything. The
steadier figure is "cpu/n": processor time of the process over its n cores,
since waiting for a core does not count in it.
"""

import ctypes
import dataclasses
import importlib.util
import json
import os
import pathlib
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

RESULTS = pathlib.Path(__file__).parent / "results"
CORES = len(os.sched_getaffinity(0))


class NotAvailableError(Exception):
    """A side cannot run here; the message says why and what to install."""


# --- In the process of one side ---------------------------------------------


def set_allocator() -> None:
    """Let glibc keep freed memory instead of giving it back at each step.

    XLA on a CPU takes fresh memory for each step; the page faults of that cost
    up to a quarter of it. Must run before the framework is imported.
    """
    mmap_max, trim_threshold, top_pad, arena_max = -4, -1, -2, -8
    libc = ctypes.CDLL("libc.so.6")
    libc.mallopt(mmap_max, 0)
    libc.mallopt(trim_threshold, 2**31 - 1)
    libc.mallopt(top_pad, 64 * 2**20)
    libc.mallopt(arena_max, 1)


def resident_bytes() -> int:
    """Memory that this process holds now."""
    status = pathlib.Path("/proc/self/status").read_text("ascii")
    line = next(x for x in status.splitlines() if x.startswith("VmRSS"))
    return int(line.split()[1]) * 1024


def peak_resident_bytes() -> int:
    """The most memory that this process has held; Linux counts KiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def more_bytes(work: Callable[[], None]) -> int:
    """The most memory during some work, above what was held before it."""
    # Linux forgets the peak so far: filling what is held may have taken more.
    pathlib.Path("/proc/self/clear_refs").write_text("5", "ascii")
    before = resident_bytes()
    work()
    status = pathlib.Path("/proc/self/status").read_text("ascii")
    line = next(x for x in status.splitlines() if x.startswith("VmHWM"))
    return int(line.split()[1]) * 1024 - before


def serve(prepare: Callable[[], tuple[Callable[[], None], dict]]) -> None:
    """Answer the driver's requests until it closes the pipe.

    Args:
        prepare: Returns the function that computes one step, to its end, and a
            dict of facts about the side.
    """
    # Frameworks write to standard output; the answers get a pipe of their own.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def answer(message: dict) -> None:
        answers.write(json.dumps(message) + "\n")
        answers.flush()

    try:
        step, facts = prepare()
    except NotAvailableError as error:
        answer({"not_available": str(error)})
        return
    first = timed(step)
    second = timed(step)
    answer({**facts, "first_call_s": first["wall"], "second_s": second["wall"]})
    for line in sys.stdin:
        request = json.loads(line)
        for _ in range(request["warm"]):
            step()
        answer({"samples": [timed(step) for _ in range(request["steps"])]})


def timed(work: Callable[[], None]) -> dict[str, float]:
    """Seconds of some work, processor time, that of the kernel, page faults."""
    wall, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
    work()
    after = resource.getrusage(resource.RUSAGE_SELF)
    system = after.ru_stime - before.ru_stime
    return {
        "wall": time.perf_counter() - wall,
        "cpu": after.ru_utime - before.ru_utime + system,
        "system": system,
        "faults": after.ru_minflt - before.ru_minflt,
    }


def find_package() -> None:
    """Let a side import the package of this checkout if none is installed."""
    if importlib.util.find_spec("keras_imp") is None:
        sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))


# --- In the driver ----------------------------------------------------------


@dataclasses.dataclass
class Side:
    """One competitor: a process that computes when asked.

    Attributes:
        name: Row of the table.
        command: Command line of the process.
        env: Environment variables to add.
        facts: What the process told when it was ready.
        samples: Seconds of each measured step.
    """

    name: str
    command: list[str]
    env: dict[str, str] = dataclasses.field(default_factory=dict)
    facts: dict = dataclasses.field(default_factory=dict)
    samples: list[dict] = dataclasses.field(default_factory=list)

    def start(self, log: pathlib.Path) -> bool:
        """Start the process and wait until it is compiled and warm.

        Args:
            log: File that takes the standard error of the process.

        Returns:
            Whether the side can run here; if not, `facts` says why.
        """
        with log.open("w") as errors:
            self.process = subprocess.Popen(
                self.command,
                env={**os.environ, **self.env},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        self.facts = self._answer(log)
        return "not_available" not in self.facts

    def measure(self, warm: int, steps: int) -> None:
        """Let the side compute and keep its samples.

        Args:
            warm: Steps before the measured ones.
            steps: Measured steps.
        """
        request = json.dumps({"warm": warm, "steps": steps})
        self.process.stdin.write(request + "\n")
        self.process.stdin.flush()
        self.samples += self._answer(None)["samples"]

    def stop(self) -> None:
        """Let the process end."""
        self.process.stdin.close()
        self.process.wait()

    def median(self, figure: str = "cpu") -> float:
        """Median over the measured steps.

        Args:
            figure: `"cpu"` or `"wall"`.

        Returns:
            Seconds; processor time is divided by the number of cores.
        """
        value = statistics.median(sample[figure] for sample in self.samples)
        return value / CORES if figure == "cpu" else value

    def best(self) -> float:
        """Shortest wall time of a measured step, in seconds."""
        return min(sample["wall"] for sample in self.samples)

    def _answer(self, log: pathlib.Path | None) -> dict:
        line = self.process.stdout.readline()
        if line:
            return json.loads(line)
        code = self.process.wait()
        tail = "\n".join(log.read_text().splitlines()[-15:]) if log else ""
        raise RuntimeError(f"{self.name} ended with status {code}.\n{tail}")


def make_side(
    name: str,
    script: str,
    backend: str,
    job: dict,
    python: str = sys.executable,
) -> Side:
    """A side that a script is when it is given a job.

    Args:
        name: Row of the table.
        script: The script; its option `--worker` takes the job.
        backend: Keras backend.
        job: What JSON can hold.
        python: The interpreter.

    Returns:
        The side, not started.
    """
    environment = {"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [python, script, "--worker", json.dumps(job)]
    return Side(name, command, environment)


def start_all(sides: list[Side], report: Callable[[str], None]) -> list[Side]:
    """Start the sides one after the other, leaving out those that cannot run.

    Args:
        sides: The competitors.
        report: Gets one line of progress per side.

    Returns:
        The sides that are ready.
    """
    logs = RESULTS / "tmp"
    logs.mkdir(parents=True, exist_ok=True)
    ready = []
    for side in sides:
        file_name = "".join(c if c.isalnum() else "_" for c in side.name)
        if side.start(logs / f"{file_name}.txt"):
            ready.append(side)
            report(f"ready: {side.name}, {side.facts['first_call_s']:.1f} s")
        else:
            report(f"left out: {side.name}. {side.facts['not_available']}")
    return ready


def take_turns(sides: list[Side], rounds: int, warm: int, steps: int) -> float:
    """Measure all sides in turns; the order reverses each round.

    Args:
        sides: Sides that are ready.
        rounds: Turns of each side.
        warm: Steps at the start of a turn that are not measured.
        steps: Measured steps of a turn.

    Returns:
        Share of the machine's processor time that other programs took.
    """
    start, foreign = time.perf_counter(), _foreign_seconds(sides)
    for turn in range(rounds):
        for side in sides if turn % 2 == 0 else sides[::-1]:
            side.measure(warm, steps)
    spent = time.perf_counter() - start
    return (_foreign_seconds(sides) - foreign) / (spent * CORES)


def _foreign_seconds(sides: list[Side]) -> float:
    """Processor time since boot that none of the sides has used."""
    fields = pathlib.Path("/proc/stat").read_text().splitlines()[0].split()
    user, nice, system = (int(field) for field in fields[1:4])
    ours = 0
    for side in sides:
        stat = pathlib.Path(f"/proc/{side.process.pid}/stat").read_text()
        # The name in parentheses may hold spaces; user and system time are
        # the 12th and 13th field after it.
        ours += sum(map(int, stat.rsplit(")", 1)[1].split()[11:13]))
    return (user + nice + system - ours) / os.sysconf("SC_CLK_TCK")


def table(title: str, header: list[str], rows: list[list[str]]) -> str:
    """Plain text table: first column to the left, the others to the right.

    Args:
        title: Line above the table.
        header: Names of the columns.
        rows: Cells.

    Returns:
        The lines, joined.
    """
    widths = [max(map(len, column)) for column in zip(header, *rows)]

    def line(cells: list[str]) -> str:
        rest = [c.rjust(w) for c, w in zip(cells[1:], widths[1:])]
        return "  ".join([cells[0].ljust(widths[0]), *rest])

    rule = "  ".join("-" * width for width in widths)
    return "\n".join([title, line(header), rule, *map(line, rows)])


def write_json(name: str, content: dict) -> pathlib.Path:
    """Write results with a description of the machine.

    Args:
        name: Path in `results/`, without suffix.
        content: What was measured.

    Returns:
        Path of the file.
    """
    machine = {
        "cores": CORES,
        "processor": _processor(),
        "python": platform.python_version(),
        "date": time.strftime("%Y-%m-%d"),
    }
    path = RESULTS / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        json.dumps({"machine": machine, **content}, indent=2) + "\n"
    )
    return path


def _processor() -> str:
    info = pathlib.Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
