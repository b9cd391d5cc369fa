"""Models in memory: one object a process, weights mapped from the store, bad prompts in one sentence."""

import os
from functools import cache, cached_property
from threading import Lock

import torch
from transformers import AutoModel, AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import logging

from course_utils.models.catalogue import CATALOGUE
from course_utils.models.store import ModelStore

_loading = Lock()


class LoadedModel:
    """A model with its tokenizer: what every kind of model can be asked.

    Args:
        name: What the model is called in the catalogue.
        model: The `transformers` model, in evaluation mode.
        tokenizer: Its tokenizer.

    Lesson: 00 · Start here
    """

    def __init__(self, name: str, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
        self.name = name
        self.model = model
        self.tokenizer = tokenizer

    @property
    def context_length(self) -> int:
        """The most tokens the model was trained to read at once."""
        return self.model.config.max_position_embeddings

    def encode(self, prompt: str) -> torch.Tensor:
        """Turn `prompt` into token ids, `(1, seq)`.

        Raises:
            TypeError: `prompt` is not a str.
            ValueError: `prompt` is empty, or has more tokens than the context length.

        >>> load_causal_lm().encode("Hello world")
        tensor([[19556,   905]])
        """
        if not isinstance(prompt, str):
            raise TypeError(f"prompt must be a str, got {type(prompt).__name__}: {prompt!r}")
        if not prompt:
            raise ValueError("prompt must have at least one character, got an empty text")
        # Lengths are checked below, in our words; the tokenizer's own warning would only repeat it.
        ids = self.tokenizer(prompt, return_tensors="pt", verbose=False).input_ids
        if ids.shape[1] > self.context_length:
            raise ValueError(
                f"prompt must have at most {self.context_length:,} tokens (the context length of {self.name}), "
                f"got {ids.shape[1]:,}"
            )
        return ids

    @cached_property
    def labels(self) -> list[str]:
        """Every token of the vocabulary as visible text: `(vocab,)` strings, spaces drawn as ␣.

        >>> load_causal_lm().labels[7042]
        '␣Paris'
        """
        texts = self.tokenizer.batch_decode([[token] for token in range(self.model.config.vocab_size)])
        raw = self.tokenizer.convert_ids_to_tokens(list(range(len(texts))))
        return [_visible(text, token) for text, token in zip(texts, raw, strict=True)]


class CausalLM(LoadedModel):
    """A causal language model with its tokenizer.

    Lesson: 00 · Start here

    >>> smollm = load_causal_lm()
    >>> smollm.next_logits("The capital of France is").shape
    torch.Size([49152])
    """

    @torch.inference_mode()
    def next_logits(self, prompt: str) -> torch.Tensor:
        """Run the model on `prompt`; return the logits of the next token, `(vocab,)`.

        Raises:
            TypeError, ValueError: As `encode`.

        >>> smollm = load_causal_lm()
        >>> smollm.labels[smollm.next_logits("The capital of France is").argmax()]
        '␣Paris'
        """
        return self.model(self.encode(prompt), logits_to_keep=1).logits[0, -1]


class Encoder(LoadedModel):
    """An encoder with its tokenizer: texts in, one vector a text out.

    Lesson: 05 · From text to vectors

    >>> vectors = load_encoder().embed(["a cat", "a kitten", "a bridge"])
    >>> vectors.shape
    torch.Size([3, 384])
    >>> bool(vectors[0] @ vectors[1] > vectors[0] @ vectors[2])
    True
    """

    @torch.inference_mode()
    def embed(self, texts: list[str]) -> torch.Tensor:
        """Return one vector of length 1 a text, `(batch, hidden)`: the mean over the text's tokens.

        Raises:
            TypeError: `texts` is not a list of str.
            ValueError: `texts` is empty.

        Equals `SentenceTransformer.encode` of sentence-transformers for this model.
        """
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise TypeError(f"texts must be a list of str, got {texts!r}")
        if not texts:
            raise ValueError("texts must hold at least one text, got an empty list")
        batch = self.tokenizer(texts, padding=True, truncation=True, return_tensors="pt")
        hidden = self.model(**batch).last_hidden_state
        mask = batch.attention_mask.unsqueeze(-1)
        return torch.nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1), dim=-1)


def load_causal_lm(name: str = "SmolLM2-135M-Instruct") -> CausalLM:
    """Load the causal LM `name`; the same object every time in one process.

    The weights are fetched and prepared on first use. They are mapped from the file, not read into private
    memory, so thirty kernels on one machine share one copy.

    Raises:
        ValueError: The catalogue has no causal LM of that name.
        ModelStoreError: The weights cannot be had.

    Lesson: 00 · Start here

    >>> load_causal_lm() is load_causal_lm()
    True
    """
    return _load(name, "causal LM")


def load_encoder(name: str = "all-MiniLM-L6-v2") -> Encoder:
    """Load the encoder `name`; the same object every time in one process.

    Raises:
        ValueError: The catalogue has no encoder of that name.
        ModelStoreError: The weights cannot be had.

    Lesson: 05 · From text to vectors

    >>> load_encoder().model.config.num_hidden_layers
    6
    """
    return _load(name, "encoder")


def _load(name: str, role: str) -> CausalLM | Encoder:
    allowed = [entry.name for entry in CATALOGUE.values() if entry.role == role]
    if name not in allowed:
        raise ValueError(f"name must be one of {allowed}, got {name!r}")
    with _loading:  # two threads must not get two copies
        return _load_once(name, role)


@cache
def _load_once(name: str, role: str) -> CausalLM | Encoder:
    folder = ModelStore().ensure(CATALOGUE[name])
    # Everything is in the folder. Without this, a library that looks for one more file waits for a hub.
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    logging.disable_progress_bar()
    kind, auto = (CausalLM, AutoModelForCausalLM) if role == "causal LM" else (Encoder, AutoModel)
    model = auto.from_pretrained(folder, local_files_only=True).eval().requires_grad_(False)
    return kind(name, model, AutoTokenizer.from_pretrained(folder, local_files_only=True))


def _visible(text: str, token: str) -> str:
    """Make one token's text visible; a token that is no whole character shows its bytes."""
    if "\ufffd" in text:
        codes = _byte_values()
        return "".join(f"<{codes[character]:02X}>" for character in token)
    for hidden, shown in ((" ", "␣"), ("\n", "⏎"), ("\t", "⇥"), ("\r", "␍")):
        text = text.replace(hidden, shown)
    return "".join(c if c.isprintable() else f"<U+{ord(c):04X}>" for c in text)


@cache
def _byte_values() -> dict[str, int]:
    """Invert GPT-2's byte alphabet: the printable character that stands for a byte, back to the byte."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + i): byte for i, byte in enumerate(others)}
