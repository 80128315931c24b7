"""Read a page as a browser does: its elements, texts and addresses."""

import html.parser
from typing import Any

VOID = ("meta", "img", "link", "br")


class Page(html.parser.HTMLParser):
    """A page that is read, and refused where an element is not closed.

    Attributes:
        headings: Texts of the h2 elements.
        rows: The texts of the cells of each row of a table, with headings.
        images: Attributes of the images.
        addresses: All that a browser would load or lead to.
        tags: Names of the elements.
        text: All text, without style.
    """

    def __init__(self, text: str):
        super().__init__()
        self.headings: list[str] = []
        self.rows: list[list[str]] = []
        self.images: list[dict[str, Any]] = []
        self.addresses: list[str] = []
        self.tags: set[str] = set()
        self.text = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        values = dict(attrs)
        self.addresses += [
            values[name] for name in ("src", "href", "action") if name in values
        ]
        if tag == "img":
            self.images.append(values)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        if tag == "h2":
            self.headings.append("")
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if "style" in self._open:
            assert "url(" not in data
            assert "@import" not in data
            return
        self.text += data
        if "h2" in self._open:
            self.headings[-1] += data
        if "td" in self._open or "th" in self._open:
            self.rows[-1][-1] += data
