"""`keras-imp app` over 100,000 items: 8 clients, then 2,000 requests at once.

    python benchmarks/search_requests.py --backend jax
    python benchmarks/search_requests.py --smoke

The command runs in a process of its own and is asked over HTTP. The encoder is
`imp_tiny` with random weights: a search takes as long with any. The vectors of
the items are those of 64 random images and of their neighborhood, written by
`Index.write`: 100,000 files would be embedded for an hour first.
"""

import argparse
import asyncio
import collections
import concurrent.futures
import http.client
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import _timing

HOST, PORT = "127.0.0.1", 8765
WORDS = ("red", "green", "blue", "boat", "bird", "tree", "house", "heart")
WIDTH = 256


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    add = parser.add_argument
    add("--backend", default="jax", choices=("jax", "tensorflow", "torch"))
    add("--smoke", action="store_true", help="few items, few requests")
    add("--items", type=int, default=100_000)
    add("--clients", type=int, default=8)
    add("--each", type=int, default=50, help="requests of each client")
    add("--at-once", type=int, default=2000)
    return parser.parse_args()


# What is searched ------------------------------------------------------------


def make_run(folder: Path, items: int) -> Path:
    """A run with random weights and an index of its own; the index."""
    import keras
    import numpy as np

    import keras_imp
    from keras_imp.data import Tokenizer
    from keras_imp.search import Index, SearchModel

    keras.utils.set_random_seed(0)
    words = Tokenizer.train(list(WORDS), 60, length=8)
    preprocessor = keras_imp.IMPPreprocessor(image=(32, 32), tokenizer=words)
    encoder = keras_imp.IMPEncoder.from_preset(
        "imp_tiny",
        modalities=("image", "text"),
        vocabulary_size=words.vocabulary_size,
    )
    task = keras_imp.tasks.Contrastive("captions", projection_dim=WIDTH)
    model = keras_imp.AlternatingModel(encoder, [task])
    model.compile()
    run = folder / "run"
    run.mkdir()
    model.save(run / "model.keras")
    encoder.save_to_preset(run / "encoder", preprocessor=preprocessor)

    rng = np.random.default_rng(0)
    search = SearchModel(model, preprocessor)
    images = rng.integers(0, 256, (64, 32, 32, 3), "uint8")
    centers = search.vectors("image", images, "text", batch_size=64)
    vectors = np.resize(centers, (items, WIDTH))
    vectors += 0.05 * rng.standard_normal(vectors.shape, "float32")
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    Index.write(
        folder / "index",
        [{"file": None, "name": f"{n}.png", "row": n} for n in range(items)],
        vectors,
        model_id=search.model_id,
        task="captions",
        modality="image",
        to="text",
    )
    about = json.dumps({"run": str(run), "task": "captions"})
    (folder / "index" / "run.json").write_text(about)
    return folder / "index"


# The process that answers ----------------------------------------------------


def start(index: Path, backend: str) -> subprocess.Popen:
    """`keras-imp app`, once it answers and has loaded all that it needs."""
    command = "from keras_imp.cli import main; main()"
    server = subprocess.Popen(
        [
            *(sys.executable, "-c", command, "app", str(index)),
            *(f"--port={PORT}", f"--backend={backend}"),
        ],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        },
    )
    for _ in range(600):
        if server.poll() is not None:
            raise RuntimeError(f"The server ended with {server.returncode}.")
        try:
            ask("first")
        except OSError:
            time.sleep(0.5)
        else:
            break
    for words in WORDS:
        ask(words)
    return server


def cpu_seconds(server: subprocess.Popen) -> float:
    """Processor time of a process so far."""
    stat = Path(f"/proc/{server.pid}/stat").read_text()
    fields = stat.rsplit(")", 1)[1].split()
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")


def memory_mb(server: subprocess.Popen, which: str) -> int:
    """Memory of a process now (`"VmRSS"`) or at most so far (`"VmHWM"`)."""
    status = Path(f"/proc/{server.pid}/status").read_text()
    line = next(x for x in status.splitlines() if x.startswith(which))
    return round(int(line.split()[1]) / 1000)


# Those that ask --------------------------------------------------------------


def ask(words: str) -> float:
    """Seconds until a search was answered."""
    begun = time.perf_counter()
    connection = http.client.HTTPConnection(HOST, PORT, timeout=300)
    connection.request("GET", f"/search?words={words}&k=24")
    answer = connection.getresponse()
    content = json.loads(answer.read())
    connection.close()
    if answer.status != 200 or len(content["hits"]) != 24:
        raise RuntimeError(f"{answer.status}: {content}")
    return time.perf_counter() - begun


def by_clients(server: subprocess.Popen, clients: int, each: int) -> dict:
    """Times of requests, where each client asks again once it is answered."""
    words = [WORDS[n % len(WORDS)] for n in range(clients)]
    begun, before = time.perf_counter(), cpu_seconds(server)
    own = time.process_time()
    with concurrent.futures.ThreadPoolExecutor(clients) as pool:
        asked = [
            pool.submit(lambda w: [ask(w) for _ in range(each)], w)
            for w in words
        ]
        times = [t for client in asked for t in client.result()]
    spent = time.perf_counter() - begun
    cpu = cpu_seconds(server) - before
    own = time.process_time() - own
    cuts = statistics.quantiles(times, n=100)
    return {
        "clients": clients,
        "requests": len(times),
        "p50_ms": round(1e3 * cuts[49], 1),
        "p95_ms": round(1e3 * cuts[94], 1),
        "max_ms": round(1e3 * max(times), 1),
        "requests_per_s": round(len(times) / spent, 1),
        "server_cpu_ms": round(1e3 * cpu / len(times), 1),
        # Of the cores' time, what server and clients got: the rest went to
        # other programs, and stretched all times above.
        "got": round((cpu + own) / (spent * _timing.CORES), 2),
    }


async def status_of_one(number: int) -> str:
    """The status of an answer, or the name of an error."""
    words = WORDS[number % len(WORDS)]
    request = (
        f"GET /search?words={words} HTTP/1.1\r\nHost: {HOST}\r\n"
        "Connection: close\r\n\r\n"
    )
    try:
        reader, writer = await asyncio.open_connection(HOST, PORT)
        writer.write(request.encode())
        line = await reader.readline()
        await reader.read()
        writer.close()
    except OSError as error:
        return type(error).__name__
    return line.split()[1].decode() if line else "no answer"


async def statuses(count: int) -> list[str]:
    return await asyncio.gather(*map(status_of_one, range(count)))


def all_at_once(server: subprocess.Popen, count: int) -> dict:
    """What becomes of many requests at once, and of the server."""
    begun = time.perf_counter()
    found = collections.Counter(asyncio.run(statuses(count)))
    spent = time.perf_counter() - begun
    return {
        "requests": count,
        "statuses": dict(found),
        "wall_s": round(spent, 1),
        "answers_after": server.poll() is None and ask("after") > 0,
        "memory_mb_before": None,
        "memory_mb_at_most": memory_mb(server, "VmHWM"),
    }


def measure(arguments: argparse.Namespace, folder: Path) -> dict:
    index = make_run(folder, arguments.items)
    server = start(index, arguments.backend)
    try:
        alone = by_clients(server, 1, arguments.each)
        several = by_clients(server, arguments.clients, arguments.each)
        before = memory_mb(server, "VmRSS")
        many = all_at_once(server, arguments.at_once)
        many["memory_mb_before"] = before
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(60)
    return {
        "backend": arguments.backend,
        "items": arguments.items,
        "width": WIDTH,
        "one_client": alone,
        "several_clients": several,
        "all_at_once": many,
    }


def main() -> None:
    arguments = parse_arguments()
    if arguments.smoke:
        arguments.items, arguments.each, arguments.at_once = 1000, 3, 100
    os.environ["KERAS_BACKEND"] = arguments.backend
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    _timing.find_package()
    with tempfile.TemporaryDirectory() as folder:
        content = measure(arguments, Path(folder))
    rows = [
        [f"{one['clients']} at once", *(str(v) for v in list(one.values())[1:])]
        for one in (content["one_client"], content["several_clients"])
    ]
    header = ["clients", *list(content["one_client"])[1:]]
    title = f"{arguments.backend}, {arguments.items:,} items"
    print(_timing.table(title, header, rows))
    print(json.dumps(content["all_at_once"]))
    name = f"search_requests_{arguments.backend}"
    name = f"tmp/{name}_smoke" if arguments.smoke else name
    print(_timing.write_json(name, content))


if __name__ == "__main__":
    main()
