"""Tables and links, as HTML, Markdown and plain text: what a text holds is escaped here, and nowhere else."""

import html
import re
from collections.abc import Iterable, Sequence
from urllib.parse import quote


def html_table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table as HTML, its text aligned left as in a sentence.

    Lesson: none (reports and scoreboards are shown with it).

    >>> html_table(["name"], [["<Ada>"]])
    "<table><tr><th style='text-align:left'>name</th></tr><tr><td style='text-align:left'>&lt;Ada&gt;</td></tr></table>"
    """

    def row(tag: str, cells: Sequence[str]) -> str:
        inside = (f"<{tag} style='text-align:left'>{html.escape(cell)}</{tag}>" for cell in cells)
        return f"<tr>{''.join(inside)}</tr>"

    return f"<table>{row('th', titles)}{''.join(row('td', cells) for cells in rows)}</table>"


def text_table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table as plain text, each column as wide as its widest cell.

    Lesson: none (reports and scoreboards are shown with it).

    >>> print(text_table(["name", "points"], [["Ada", "12"]]))
    name  points
    Ada   12
    """
    every = [titles, *rows]
    widths = [max(map(len, column)) for column in zip(*every, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in every)


def markdown_table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    r"""Return a table in Markdown; the cells are Markdown, too, and a `|` in one doesn't end it.

    Lesson: none (the course's index is made with it).

    >>> print(markdown_table(["term", "meaning"], [["**or**", "`a | b`"]]))
    | term | meaning |
    |---|---|
    | **or** | `a \| b` |
    """
    bar = re.compile(r"(?<!\\)\|")
    lines = ["| " + " | ".join(bar.sub(r"\\|", cell) for cell in row) + " |" for row in [titles, *rows]]
    return "\n".join([lines[0], "|" + "---|" * len(titles), *lines[1:]])


def html_link(says: str, address: str) -> str:
    """Return a link as HTML.

    Lesson: none (the checks of every exercise lead on with it).

    >>> html_link("R&D", "../exercises/11.ipynb")
    '<a href="../exercises/11.ipynb">R&amp;D</a>'
    """
    return f'<a href="{html.escape(address)}">{html.escape(says)}</a>'


def markdown_link(says: str, address: str) -> str:
    r"""Return a link in Markdown: no bracket in what it says and none in its address ends it too early.

    Lesson: none (the course's index is made with it).

    >>> print(markdown_link("a [b]", "https://example.org/a_(b) c"))
    [a \[b\]](https://example.org/a_%28b%29%20c)
    """
    safe = quote(address, safe="/:?#@!$&'*+,;=~%")  # what an address may hold, without its brackets
    escaped = re.sub(r"(?<!\\)([\[\]])", r"\\\1", says)
    return f"[{escaped}]({safe})"
