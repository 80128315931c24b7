"""The statistics of `tfdv_worker` as an Apache Beam pipeline.

TFDV's own engine, for features of more rows than one machine takes. It imports
nothing of keras_imp.
"""

from typing import Any

# Rows of one batch of Arrow, as TFDV takes them.
_BATCH = 1000


def statistics(request: dict[str, Any]) -> dict[tuple[str, str], Any]:
    """Statistics by kind and part, made by a pipeline.

    Args:
        request: What `tfdv_worker` is asked; `beam` has `folder`, which all
            workers see, and `options` of the pipeline, as on a command line.

    Returns:
        The statistics.
    """
    import apache_beam as beam
    import pyarrow as pa
    import tensorflow_data_validation as tfdv
    import tfdv_rows
    from apache_beam.internal.cloudpickle import cloudpickle
    from apache_beam.options.pipeline_options import PipelineOptions

    # Workers need not have these files: functions are sent by their code.
    cloudpickle.register_pickle_by_value(tfdv_rows)

    def rows_of(line: str) -> list:
        return list(tfdv_rows.read_rows([line]))

    def is_of(row: tuple, kind: str, part: str) -> bool:
        return row[0] == kind and row[1] == part

    def to_arrow(rows: list) -> Any:
        names = sorted({name for *_, features in rows for name in features})
        columns = [[row[3].get(name) for row in rows] for name in names]
        return pa.RecordBatch.from_arrays(
            [pa.array(column) for column in columns], names
        )

    folder = request["beam"]["folder"].rstrip("/")
    features = _shared(request["features"], folder)
    pairs = {
        f"{kind}-{part}": (kind, part)
        for kind in request["row_kinds"]
        for part, _ in request["parts"]
    }
    pipeline = beam.Pipeline(
        options=PipelineOptions(request["beam"]["options"])
    )
    lines = pipeline | beam.io.ReadFromText(features)
    rows = lines | "rows" >> beam.FlatMap(rows_of)
    for name, (kind, part) in pairs.items():
        own = rows | f"select {name}" >> beam.Filter(is_of, kind, part)
        batches = own | f"batch {name}" >> beam.BatchElements(_BATCH, _BATCH)
        arrow = batches | f"to Arrow {name}" >> beam.Map(
            to_arrow
        ).with_output_types(pa.RecordBatch)
        made = arrow | f"statistics {name}" >> tfdv.GenerateStatistics(
            tfdv_rows.options(tfdv)
        )
        _ = made | f"write {name}" >> tfdv.WriteStatisticsToBinaryFile(
            f"{folder}/{name}.statistics"
        )
    pipeline.run().wait_until_finish()
    found = {
        pair: tfdv.load_stats_binary(f"{folder}/{name}.statistics")
        for name, pair in pairs.items()
    }
    return {
        pair: own
        for pair, own in found.items()
        if own.datasets and own.datasets[0].num_examples
    }


def _shared(path: str, folder: str) -> str:
    """Copy the features to the folder that all workers see."""
    from apache_beam.io.filesystems import FileSystems

    target = FileSystems.join(folder, "features.jsonl")
    if not FileSystems.exists(folder):
        FileSystems.mkdirs(folder)
    with open(path, "rb") as source, FileSystems.create(target) as copy:  # noqa: PTH123
        while block := source.read(1 << 24):
            copy.write(block)
    return target
