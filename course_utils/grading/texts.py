"""Names and texts from elsewhere: any bytes may be one, and people read them in tables, pages and terminals."""

import json
import re
import unicodedata

_JOINERS = "\u200c\u200d"  # they belong to words in Persian, and to many an emoji
_HALVES = re.compile(r"[\ud800-\udfff]")
_NOT_ASCII = re.compile(r"[^\x00-\x7f\ufffd]")


def printable(text: str) -> str:
    r"""Return `text` as one line that is safe to print: what is no letter is written as its escape.

    Two texts that differ stay different, so this is also how learners are named.

    >>> printable("ada\n\x1b[2J")
    'ada\\n\\x1b[2J'
    """
    return "".join(
        letter if _is_shown(letter) else letter.encode("unicode_escape").decode("ascii")
        for letter in unicodedata.normalize("NFC", text)
    )


def writable(text: str) -> str:
    r"""Return `text` as every file can hold it: half an emoji becomes a replacement character. Lines stay.

    >>> ascii(writable("warm \ud83d"))
    "'warm \\ufffd'"
    """
    return _HALVES.sub("\ufffd", text)


def same_name(name: str) -> str:
    """Return what is equal for two spellings of one name: accents, capitals and spaces are written in several ways.

    >>> same_name("Rene\u0301e ") == same_name("renée")
    True
    """
    return " ".join(unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold()).split())


def decoded(content: bytes) -> tuple[str, bool]:
    r"""Return the text in `content`, and whether its letters are certain: without UTF-8 or UTF-16 they are a guess.

    >>> decoded("Zoë".encode("cp1252")), decoded("Zoë".encode("utf-16"))
    (('Zoë', False), ('Zoë', True))
    """
    try:
        return content.decode(json.detect_encoding(content)), True
    except UnicodeDecodeError:
        damaged = content.decode("utf-8-sig", errors="replace")
    if _NOT_ASCII.search(damaged):  # UTF-8 after all, with a damaged letter
        return damaged, False
    return content.decode("cp1252", errors="replace"), False  # Windows-1252: the usual one without UTF-8


def of_a_file(name: str) -> str:
    r"""Return the name of a file as text, also where the archive that it came from was packed without UTF-8.

    >>> of_a_file("Ren\udce9e")
    'Renée'
    """
    try:
        return decoded(name.encode("utf-8", errors="surrogateescape"))[0]
    except UnicodeEncodeError:
        return name


def _is_shown(letter: str) -> bool:
    return letter.isprintable() or letter in _JOINERS or unicodedata.category(letter) == "Zs"
