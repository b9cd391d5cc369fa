"""Tables as spreadsheets read and save them: any separator, encoding or line end, and no text becomes a formula."""

import codecs
import csv
import io
import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")  # half of a pair, which no file in UTF-8 can hold
_NUMBER = re.compile(r"[+-]?(?:\d+(?:[.,](\d*))?|[.,]\d+)(e[+-]?\d+)?", re.IGNORECASE)
_FORMULA = tuple("=+-@＝＋－＠")  # a Japanese spreadsheet takes the wide ones, too
_MARKS = {  # the longer ones first: UTF-16's is the beginning of UTF-32's
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
    codecs.BOM_UTF8: "utf-8-sig",
}
_CODE_PAGES = {
    "cp1252": "Windows-1252",
    "mac_roman": "Mac Roman",
    "cp850": "DOS 850",
    "cp1250": "Windows-1250",
    "cp1251": "Windows-1251",
}


@dataclass(frozen=True)
class Table:
    """A table that was read.

    Args:
        rows: Its cells; rows may be of different lengths.
        separator: What stood between two cells.
        has_mark: Whether the file began with a byte order mark, by which Excel knows UTF-8.
        guessed: The code page of cells that aren't UTF-8; "" if all are.
    """

    rows: list[list[str]]
    separator: str = ","
    has_mark: bool = False
    guessed: str = ""


def read_table(content: bytes, score: Callable[[list[list[str]]], int], known: Collection[str]) -> Table:
    """Read a CSV file however a spreadsheet saved it.

    Args:
        content: The file.
        score: How much rows look like the table that is expected; the separator with the highest wins, and 0 is none.
        known: Texts that should be in the table: by them a code page is recognised.

    Raises:
        ValueError: It isn't the table that is expected, with any separator.
    """
    text = _decoded(content)
    text = re.sub(r"(?i)\A\"?sep=.\"?[\r\n]+", "", text)  # a line for Excel, which names the separator
    tables = [
        Table(rows, separator, content.startswith(tuple(_MARKS)))
        for quote in "\"'"
        for separator in ",;\t|"
        if (rows := _rows(text, separator, quote))
    ]
    best = max(tables, key=lambda table: score(table.rows), default=None)
    if best is None or not score(best.rows):
        raise ValueError("it is no table with these columns")
    odd = [cell for row in best.rows for cell in row if _SURROGATE.search(cell)]
    if not odd:
        return best
    page = max(_CODE_PAGES, key=lambda page: sum(_in_page(cell, page) in known for cell in odd))
    rows = [[_in_page(cell, page) if _SURROGATE.search(cell) else cell for cell in row] for row in best.rows]
    return Table(rows, best.separator, best.has_mark, _CODE_PAGES[page])


def table_text(rows: Iterable[Sequence], separator: str = ",") -> str:
    r"""Return a table as CSV, in which no cell is a formula.

    >>> table_text([["ada", "=SUM(A1:A9)"]])
    '"ada","\'=SUM(A1:A9)"\r\n'
    """
    text = io.StringIO()
    writer = csv.writer(text, delimiter=separator, quoting=csv.QUOTE_ALL)
    writer.writerows([[quoted(readable(cell)) for cell in row] for row in rows])
    return text.getvalue()


def readable(text: object) -> str:
    r"""Return a text as any file and any terminal can show it: no control characters, no half surrogate pairs, NFC.

    >>> readable("red: \x1b[31m, a cut emoji: \ud83d")
    'red: [31m, a cut emoji: �'
    """
    lines = str(text).replace("\r\n", "\n").replace("\r", "\n")
    return unicodedata.normalize("NFC", _SURROGATE.sub("\ufffd", _CONTROL.sub("", lines)))


def quoted(text: str) -> str:
    """Return a cell that no spreadsheet takes for a formula; one that is quoted already stays as it is."""
    return f"'{text}" if text.lstrip().startswith(_FORMULA) or text[:1] in ("\t", "\r") else text


def unquoted(cell: str) -> str:
    """Return what was in a cell before `quoted`."""
    return cell[1:] if cell[:1] == "'" and quoted(cell[1:]) == cell else cell


def number(cell: str) -> float | None:
    """Return the number in a cell, also with a decimal comma; None if it holds something else.

    >>> number(" 1,5 "), number("2.0"), number("two")
    (1.5, 2.0, None)
    """
    text = unquoted(cell.strip()).strip()
    return float(text.replace(",", ".")) if _NUMBER.fullmatch(text) else None


def alike(cell: str, text: str) -> bool:
    """Say whether a cell is what a spreadsheet makes of a text: other white space, 417 of 00417, 1E+05 of 100000.

    >>> alike("417", "00417"), alike("4.17E+04", "41732"), alike("418", "00417")
    (True, True, False)
    """
    if _squeezed(text) in (_squeezed(cell), _squeezed(unquoted(cell))):
        return True
    shown, value = number(cell), number(text)
    if shown is None or value is None:
        return False
    matched = _NUMBER.fullmatch(unquoted(cell.strip()).strip())
    return shown == (float(f"{value:.{len(matched[1] or '')}e}") if matched[2] else value)


def _rows(text: str, separator: str, quote: str) -> list[list[str]]:
    """Return the rows of a table; none if it isn't one with this separator."""
    limit = csv.field_size_limit(len(text) + 1)  # a pasted picture is longer than Python's limit
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, quotechar=quote, strict=True)
        return list(reader)
    except csv.Error:
        return []
    finally:
        csv.field_size_limit(limit)


def _decoded(content: bytes) -> str:
    """Return a file's text; each byte that is no UTF-8 becomes a half surrogate pair, for `_in_page`."""
    for mark, encoding in _MARKS.items():
        if content.startswith(mark) and encoding != "utf-8-sig":
            return content.decode(encoding, "replace")
    if b"\0" in content:  # UTF-16 without a mark: one half of each Latin letter is a zero
        is_little = content[1::2].count(0) > content[::2].count(0)
        return content.decode("utf-16-le" if is_little else "utf-16-be", "replace")
    return content.removeprefix(codecs.BOM_UTF8).decode("utf-8", "surrogateescape")


def _in_page(cell: str, page: str) -> str:
    # Cell by cell: where Excel took UTF-8 for Windows-1252, only what was typed into it is in that code page.
    return cell.encode("utf-8", "surrogateescape").decode(page, "replace")


def _squeezed(text: str) -> str:
    return " ".join(readable(text).split())
