"""Every token as visible text, whatever its tokenizer writes into its vocabulary."""

import re
from functools import cache

from transformers import PreTrainedTokenizerBase

_BYTE = re.compile(r"<0x([0-9A-F]{2})>")  # how SentencePiece writes a byte of its own


def token_labels(tokenizer: PreTrainedTokenizerBase, size: int) -> list[str]:
    """Return every token from 0 to `size` − 1 as visible text, spaces drawn as ␣.

    A number that the tokenizer has no token for is written `<50261>`: many models have more rows than their tokenizer
    has tokens, for a size that suits the hardware.
    """
    known = min(size, max(tokenizer.get_vocab().values(), default=-1) + 1)
    texts = tokenizer.batch_decode([[token] for token in range(known)])
    raw = tokenizer.convert_ids_to_tokens(list(range(known)))
    labels = [_visible(text, token or "") for text, token in zip(texts, raw, strict=True)]
    labels += [""] * (size - known)
    return [label or f"<{token}>" for token, label in enumerate(labels)]


def _visible(text: str, token: str) -> str:
    """Make one token's text visible; a token that is no whole character shows its bytes."""
    if byte := _BYTE.fullmatch(token):
        return f"<{byte[1]}>" if "\ufffd" in text or not text.isprintable() else text.replace(" ", "␣")
    if token.startswith("▁"):
        text = token.replace("▁", " ")  # SentencePiece drops the space of a text's first token
    codes = _byte_values()
    if "\ufffd" in text and all(character in codes for character in token):
        return "".join(f"<{codes[character]:02X}>" for character in token)
    for hidden, shown in ((" ", "␣"), ("\n", "⏎"), ("\t", "⇥"), ("\r", "␍")):
        text = text.replace(hidden, shown)
    if text.isprintable():  # nearly always, and a vocabulary has many tokens
        return text
    return "".join(c if c.isprintable() else f"<U+{ord(c):04X}>" for c in text)


@cache
def _byte_values() -> dict[str, int]:
    """Invert GPT-2's byte alphabet: the printable character that stands for a byte, back to the byte."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + i): byte for i, byte in enumerate(others)}
