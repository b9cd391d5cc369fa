"""Models in memory: one object per process, weights mapped from the store, bad prompts in one sentence."""

from functools import cache, cached_property
from threading import Lock
from typing import Self

import course_utils.models.offline  # noqa: F401 - before transformers

# isort: split
import torch
from transformers import AutoModel, AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import logging

from course_utils.models.architectures import context_length, generation_inputs, parameter_names, vocabulary_size
from course_utils.models.catalogue import CATALOGUE
from course_utils.models.store import ModelStore
from course_utils.models.token_labels import token_labels
from course_utils.models.wrapping import check_causal_lm, check_encoder, check_padded, check_tokenizer, model_name

_loading = Lock()
# How much of a text sentence-transformers reads, as published beside the model (`sentence_bert_config.json`).
# The model itself could read 512 tokens, but was trained on short texts.
_LONGEST_SENTENCES = {"all-MiniLM-L6-v2": 256}


class LoadedModel:
    """A model with its tokenizer: what every kind of model can be asked.

    Args:
        name: What the model is called.
        model: The `transformers` model, in evaluation mode.
        tokenizer: Its tokenizer.

    Lesson: 00 · Start here
    """

    def __init__(self, name: str, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
        self.name = name
        self.model = model
        self.tokenizer = tokenizer

    @cached_property
    def context_length(self) -> int | None:
        """The most tokens the model was made to read at once; None: it knows no limit."""
        return context_length(self.model)

    def encode(self, prompt: str) -> torch.Tensor:
        """Turn `prompt` into token ids on the model's device, `(1, seq)`.

        Raises:
            TypeError: `prompt` is not a str.
            ValueError: `prompt` is empty, has no token or one that the model doesn't know, or has more tokens than the
                context length.

        >>> load_causal_lm().encode("Hello world")
        tensor([[19556,   905]])
        """
        if not isinstance(prompt, str):
            raise TypeError(f"prompt must be a str, got {type(prompt).__name__}: {prompt!r}")
        if not prompt:
            raise ValueError("prompt must have at least one character, got an empty text")
        # Lengths are checked below, in our words; the tokenizer's own warning would only repeat it.
        ids = torch.tensor([self.tokenizer(prompt, verbose=False).input_ids], dtype=torch.long)
        if not ids.numel():
            raise ValueError(f"prompt must have at least one token for {self.name}, got {prompt!r}")
        self._check_known(ids, "prompt")
        if self.context_length is not None and ids.shape[1] > self.context_length:
            raise ValueError(
                f"prompt must have at most {self.context_length:,} tokens (the context length of {self.name}), "
                f"got {ids.shape[1]:,}"
            )
        return ids.to(self.model.device)

    def _check_known(self, ids: torch.Tensor, name: str) -> None:
        known, largest = vocabulary_size(self.model), ids.max().item()
        if largest >= known:
            raise ValueError(
                f"{name} must have tokens that {self.name} knows (0 … {known - 1:,}), but its tokenizer makes "
                f"{largest:,} of it: they do not belong together"
            )

    @cached_property
    def labels(self) -> list[str]:
        """Every token of the vocabulary as visible text: `(vocab,)` strings, spaces drawn as ␣.

        >>> load_causal_lm().labels[7042]
        '␣Paris'
        """
        return token_labels(self.tokenizer, vocabulary_size(self.model))


class CausalLM(LoadedModel):
    """A causal language model with its tokenizer.

    Lesson: 00 · Start here

    >>> smollm = load_causal_lm()
    >>> smollm.next_logits("The capital of France is").shape
    torch.Size([49152])
    """

    @classmethod
    def wrap(cls, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> Self:
        """Take a causal LM of your own, so that everything in the course runs on it: traces, engine, widgets.

        Args:
            model: Any causal LM of `transformers`, on any device and in any number format; it is put into evaluation
                mode. Of a vision-language model, the part that reads and writes text is used.
            tokenizer: Its tokenizer.

        What a model can't do says what it needs, in one sentence: Mamba has no attention to look at.

        Raises:
            TypeError: `model` or `tokenizer` is something else, such as a name or a pipeline.
            ValueError: The model is no causal LM, such as an encoder or an encoder–decoder.

        >>> from transformers import LlamaConfig, LlamaForCausalLM
        >>> tokenizer = load_causal_lm().tokenizer
        >>> size = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
        >>> mine = CausalLM.wrap(LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer), **size)), tokenizer)
        >>> mine.next_logits("The capital of France is").shape
        torch.Size([49152])
        """
        check_causal_lm(model)
        check_tokenizer(tokenizer)
        return cls(model_name(model), model, tokenizer)

    @torch.inference_mode()
    def next_logits(self, prompt: str) -> torch.Tensor:
        """Run the model on `prompt`; return the logits of the next token, `(vocab,)`.

        Raises:
            TypeError, ValueError: As `encode`.

        >>> smollm = load_causal_lm()
        >>> smollm.labels[smollm.next_logits("The capital of France is").argmax()]
        '␣Paris'
        """
        return self.model(**generation_inputs(self.model, self.encode(prompt))).logits[0, -1].float()


class Encoder(LoadedModel):
    """An encoder with its tokenizer: texts in, one vector per text out.

    Lesson: 05 · From text to vectors

    >>> vectors = load_encoder().embed(["a cat", "a kitten", "a bridge"])
    >>> vectors.shape
    torch.Size([3, 384])
    >>> bool(vectors[0] @ vectors[1] > vectors[0] @ vectors[2])
    True
    """

    @classmethod
    def wrap(cls, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> Self:
        """Take an encoder of your own, so that everything in the course that takes an encoder runs on it.

        Args:
            model: Any encoder of `transformers`, such as a BERT; of one with a head, the part below the head is taken.
                It is put into evaluation mode.
            tokenizer: Its tokenizer.

        Raises:
            TypeError: `model` or `tokenizer` is something else, such as a name or a pipeline.
            ValueError: The model is no encoder, such as a causal LM or an encoder–decoder.

        >>> from transformers import BertConfig, BertModel
        >>> tokenizer = load_encoder().tokenizer
        >>> size = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
        >>> mine = Encoder.wrap(BertModel(BertConfig(vocab_size=len(tokenizer), **size)), tokenizer)
        >>> mine.embed(["a cat", "a bridge"]).shape
        torch.Size([2, 16])
        """
        model = check_encoder(model)
        check_tokenizer(tokenizer)
        return cls(model_name(model), model, tokenizer)

    @torch.inference_mode()
    def embed(self, texts: list[str]) -> torch.Tensor:
        """Return one vector of length 1 per text, `(batch, hidden)`: the mean over the text's tokens.

        Of a longer text, the first 256 tokens count.

        Raises:
            TypeError: `texts` is not a list of str.
            ValueError: `texts` is empty, or has tokens that the model doesn't know; or the tokenizer has no padding
                token for texts of different lengths.

        Equals `SentenceTransformer.encode` of sentence-transformers for this model.
        """
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise TypeError(f"texts must be a list of str, got {texts!r}")
        if not texts:
            raise ValueError("texts must hold at least one text, got an empty list")
        longest = self.tokenizer.model_max_length
        most = _LONGEST_SENTENCES.get(self.name) or min(longest, self.context_length or longest)
        # A tokenizer that was told no length says 10³⁰.
        limit = {"truncation": True, "max_length": most} if most < 2**31 else {}
        # A pipeline for generation may have turned the tokenizer to the left, where a BERT's positions would move.
        batch = self.tokenizer(texts, padding=self.tokenizer.pad_token_id is not None, padding_side="right", **limit)
        check_padded(self.tokenizer, batch)
        batch = batch.convert_to_tensors("pt").to(self.model.device)
        self._check_known(batch.input_ids, "texts")
        taken = parameter_names(self.model)  # a DistilBERT has no use for what the tokenizer of a BERT adds
        inputs = {name: values for name, values in batch.items() if name in taken}
        hidden = self.model(**inputs).last_hidden_state.float()
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
    logging.disable_progress_bar()
    kind, auto = (CausalLM, AutoModelForCausalLM) if role == "causal LM" else (Encoder, AutoModel)
    model = auto.from_pretrained(folder, local_files_only=True).eval().requires_grad_(False)
    return kind(name, model, AutoTokenizer.from_pretrained(folder, local_files_only=True))
