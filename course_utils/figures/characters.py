"""Tokens and texts in a sentence or a small place: cut where a reader would cut, quoted where they are named."""

import unicodedata

import regex


def cut(text: str, most: int) -> str:
    """Return the first `most` characters, as a reader counts them: no emoji and no accent is cut in half.

    Equals `cut` of `widgets/_common.js`.
    Lesson: every lesson.

    >>> print(cut("👩‍👩‍👧 at home", 4))
    👩‍👩‍👧 a…
    >>> cut("home", 4)
    'home'
    """
    characters = regex.findall(r"\X", text)
    return text if len(characters) <= most else "".join(characters[: most - 1]) + "…"


def quoted(token: str) -> str:
    """Put a token that a sentence names in quotation marks; Arabic or Hebrew must not reorder what is around it.

    Lesson: every lesson.

    >>> quoted("␣Paris")
    '“␣Paris”'
    """
    from_right = any(unicodedata.bidirectional(character) in ("R", "AL", "AN") for character in token)
    return f"“\u2068{token}\u2069”" if from_right else f"“{token}”"
