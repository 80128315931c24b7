"""Tables: encodings, separators, and paths that lead elsewhere."""

import json
from pathlib import Path

import numpy as np

from tests.data.odd.cases import Cases

ROWS = [
    ("image/good.jpg", "a red and blue flag, with a spot"),
    ("image/good.png", 'it says "hello"'),
    ("image/grey.jpg", "two\nlines"),
    ("image/cmyk.jpg", "naïve café ☃"),
]


def make_tables(d: Path, cases: Cases):
    d.mkdir(parents=True)

    def text(sep=",", end="\n", header=("image", "text")):
        q = lambda s: '"' + s.replace('"', '""') + '"'
        return (
            end.join([sep.join(header)] + [sep.join(map(q, r)) for r in ROWS])
            + end
        )

    def put(name, data, kind, expect, reason="", **check):
        (d / name).write_bytes(
            data if isinstance(data, bytes) else data.encode()
        )
        cases.add(f"../tables/{name}", "table", kind, expect, reason, **check)

    put("plain.csv", text(), "quoted newline and quotes", "use", rows=4)
    put("crlf.csv", text(end="\r\n"), "CRLF", "use", rows=4)
    put(
        "bom.csv",
        b"\xef\xbb\xbf" + text().encode(),
        "UTF-8 with BOM",
        "use",
        rows=4,
        columns=["image", "text"],
    )
    put("utf16.csv", text().encode("utf-16"), "UTF-16 with BOM", "use", rows=4)
    put(
        "latin1.csv",
        text().replace("☃", "o").encode("latin-1"),
        "Latin-1",
        "refuse",
        "encoding",
        note="error names line 6 and the byte; --encoding latin-1 reads it",
    )
    put("semicolon.csv", text(sep=";"), "semicolons", "use", rows=4)
    put("tab.tsv", text(sep="\t"), "tabs", "use", rows=4)
    put(
        "headerless.csv",
        text().split("\n", 1)[1],
        "no header",
        "refuse",
        "columns",
        note="error lists the columns found and shows --columns image,text",
    )
    put(
        "other_names.csv",
        text(header=("filepath", "caption")),
        "other column names",
        "use",
        rows=4,
        note="filepath -> image, caption/title -> text are known names; "
        "shown before the run",
    )
    put(
        "nan_label.csv",
        "image,label\nimage/good.jpg,cat\nimage/good.png,\nimage/grey.jpg,NaN\nimage/cmyk.jpg,dog\n",
        "missing and 'NaN' label",
        "skip",
        "no_label",
        rows=4,
        used=2,
    )
    put(
        "number_label.csv",
        "image,label\nimage/good.jpg,007\nimage/good.png,7\n",
        "labels 007 and 7",
        "use",
        rows=2,
        note="text stays text: two classes",
    )
    put(
        "duplicates.csv",
        "image,text\n" + "image/good.jpg,same\n" * 5,
        "same row five times",
        "warn",
        "duplicate",
        rows=5,
    )
    put(
        "missing_files.csv",
        "image,text\nimage/good.jpg,a\nimage/nowhere.jpg,b\n",
        "a file that is not there",
        "skip",
        "missing",
        rows=2,
        used=1,
    )
    put(
        "windows.csv",
        "image,text\nimage\\good.jpg,a\n",
        "backslash path",
        "use",
        rows=1,
    )
    put(
        "case.csv",
        "image,text\nIMAGE/Good.JPG,a\n",
        "wrong case",
        "skip",
        "missing",
        note="message names image/good.jpg",
    )
    put(
        "absolute.csv",
        "image,text\n/etc/hostname,a\n",
        "absolute path outside",
        "refuse",
        "outside",
    )
    put(
        "parent.csv",
        "image,text\n../outside/secret.png,a\n",
        "../ path",
        "refuse",
        "outside",
    )
    put(
        "link.csv",
        "image,text\nimage/link_out.png,a\n",
        "link that leaves the folder",
        "refuse",
        "outside",
        note="--allow-links ROOT permits a root by name",
    )
    put(
        "url.csv",
        "image,text\nhttp://127.0.0.1:9/x.png,a\n",
        "URL",
        "refuse",
        "outside",
        note="never fetched",
    )
    put(
        "nul.csv",
        b"image,text\nimage/good.jpg\x00.png,a\n",
        "NUL in a path",
        "skip",
        "missing",
    )
    put(
        "ragged.csv",
        "image,text\nimage/good.jpg,a\nimage/good.png\nimage/grey.jpg,a,b\n",
        "rows of unlike length",
        "refuse",
        "columns",
        note="line 3",
    )
    put("empty.csv", "", "empty table", "refuse", "empty")
    put("header_only.csv", "image,text\n", "no rows", "refuse", "empty")
    put(
        "huge_field.csv",
        "image,text\nimage/good.jpg," + "x" * 5_000_000 + "\n",
        "5 MB caption",
        "warn",
        "long_text",
        rows=1,
    )
    put(
        "formula.csv",
        "image,text\nimage/good.jpg,<script>alert(1)</script>\n",
        "HTML in a caption",
        "use",
        rows=1,
        note="escaped in report.html",
    )
    put(
        "lines.jsonl",
        "".join(
            json.dumps({"image": p, "text": [t, "a second caption"]}) + "\n"
            for p, t in ROWS
        ),
        "JSON Lines, two captions",
        "use",
        rows=4,
    )
    put(
        "broken.jsonl",
        '{"image": "image/good.jpg", "text": "a"}\n{"image": \n',
        "broken line",
        "refuse",
        "syntax",
        note="line 2",
    )
    np.savez(d / "pickle.npz", x=np.array([{"a": 1}], dtype=object))
    cases.add(
        "../tables/pickle.npz",
        "table",
        "pickled objects",
        "refuse",
        "pickle",
        note="allow_pickle=False",
    )
