"""A model in the middle of a text: what it has read, and how to read on.

One class for every kind of model, so that greedy search, sampling and beam search need not know which it is.

Lesson: 15 · Capstone: your own generate()
"""

from collections.abc import Sequence

import torch
from transformers import PreTrainedModel

from course_utils.engine.cache import KeyValueCache
from course_utils.engine.llama import is_llama, llama_next_logits
from course_utils.models.architectures import context_length, generation_inputs, transformers_cache


class RunningModel:
    """A causal LM or an encoder–decoder that has read a batch of prompts.

    Args:
        model: Any causal LM or encoder–decoder of `transformers`.
        ids: The prompts `(batch, seq)`; for an encoder–decoder what the encoder reads.
        attention_mask: `(batch, seq)`, 0 where `ids` is padding. A causal LM wants its padding on the left.
        use_cache: False reads the whole text again at every step. So does a model that takes no cache of
            `transformers`, such as RWKV.
        decoder_start_token_id: Where an encoder–decoder begins to write; None takes the model's own.

    Raises:
        TypeError: `ids` or the mask is not a tensor.
        ValueError: `ids` is not `(batch, seq)`, empty, or leaves no room in the context length; the mask has
            another shape; a causal LM's padding is on the right; an encoder–decoder has no token to start from.

    >>> from course_utils.models import load_causal_lm
    >>> smollm = load_causal_lm()
    >>> running = RunningModel(smollm.model, smollm.encode("The capital of France is"))
    >>> smollm.labels[running.next_logits(running.start_ids).argmax()]
    '␣Paris'
    """

    def __init__(
        self,
        model: PreTrainedModel,
        ids: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        use_cache: bool = True,
        decoder_start_token_id: int | None = None,
    ) -> None:
        check_prompts(model, ids, attention_mask)
        self.model = model
        self.start_ids = ids = ids.to(model.device)
        self.mask = None if attention_mask is None else attention_mask.to(model.device)
        self.cache = self.encoded = None
        self.read = 0  # tokens in the cache; a cache of states (Mamba) can't count them itself
        if model.config.is_encoder_decoder:
            with torch.inference_mode():  # once: the source stays the same while the text grows
                self.encoded = model.get_encoder()(ids, attention_mask=self.mask)
            start = _start_token(model, decoder_start_token_id)
            self.start_ids = torch.full((ids.shape[0], 1), start, device=model.device)
        if use_cache:
            # The course's own cache has no place for padding.
            own = self.mask is None and is_llama(model)
            self.cache = KeyValueCache(model.config.num_hidden_layers) if own else transformers_cache(model)

    @property
    def room(self) -> int | None:
        """How many tokens fit between the start and the model's context length; None: the model has no limit."""
        longest = context_length(self.model)
        return None if longest is None else longest - self.start_ids.shape[1]

    def padding(self, row: int) -> int:
        """Return how many padding tokens row `row` of `start_ids` begins with."""
        is_padded = self.mask is not None and self.encoded is None
        return int((self.mask[row] != 0).int().argmax()) if is_padded else 0

    def next_logits(self, ids: torch.Tensor) -> torch.Tensor:
        """Return the logits of the next token `(batch, vocab)`, given everything so far `(batch, seq)`."""
        if isinstance(self.cache, KeyValueCache):
            # What the cache doesn't hold: the whole prompt at first (prefill), then one token at a time (decode).
            logits = llama_next_logits(self.model, ids[:, self.read :], self.cache)
        else:
            mask = self.mask
            if mask is not None and self.encoded is None:  # new tokens are no padding
                mask = torch.nn.functional.pad(mask, (0, ids.shape[1] - mask.shape[1]), value=1)
            inputs = generation_inputs(self.model, ids, self.cache, self.read, mask, self.encoded)
            with torch.inference_mode():
                logits = self.model(**inputs).logits[:, -1].float()
        if self.cache is not None:  # without one, everything is read again at the next step
            self.read = ids.shape[1]
        return logits

    def select(self, rows: Sequence[int]) -> None:
        """Go on with these rows of the batch, in this order; a row may come more than once."""
        rows = torch.tensor(rows, device=self.model.device)
        if isinstance(self.cache, KeyValueCache):
            self.cache.select(rows)
        elif self.cache is not None:
            self.cache.reorder_cache(rows)
        self.mask = None if self.mask is None else self.mask[rows]
        if self.encoded is not None:  # of its own kind: a mixture of experts looks for more than a plain output has
            self.encoded = type(self.encoded)(last_hidden_state=self.encoded.last_hidden_state[rows])


def _start_token(model: PreTrainedModel, chosen: int | None) -> int:
    own = model.generation_config
    for token in (chosen, own.decoder_start_token_id, own.bos_token_id):
        if token is not None:
            return token
    raise ValueError("decoder_start_token_id must be given for an encoder–decoder that has none of its own, got None")


def check_prompts(model: PreTrainedModel, ids: torch.Tensor, attention_mask: torch.Tensor | None) -> None:
    """Raise a TypeError or ValueError in one sentence unless `model` can read `ids` and write at least one token."""
    if not isinstance(ids, torch.Tensor):
        raise TypeError(f"ids must be a tensor of token ids (a tokenizer makes them), got {type(ids).__name__}")
    if ids.ndim != 2 or not ids.numel():
        raise ValueError(f"ids must have shape (batch, seq) with at least one token, got {tuple(ids.shape)}")
    # A causal LM writes after its prompt, an encoder–decoder beside it.
    needed = ids.shape[1] + (0 if model.config.is_encoder_decoder else 1)
    longest = context_length(model)
    if longest is not None and needed > longest:
        raise ValueError(f"ids must fit into the context length of {longest} tokens, got {ids.shape[1]}")
    if attention_mask is None:
        return
    if not isinstance(attention_mask, torch.Tensor):
        raise TypeError(f"attention_mask must be a tensor of 0 and 1, got {type(attention_mask).__name__}")
    if attention_mask.shape != ids.shape:
        raise ValueError(
            f"attention_mask must have the shape of ids {tuple(ids.shape)}, got {tuple(attention_mask.shape)}"
        )
    if not model.config.is_encoder_decoder and not attention_mask[:, -1].all():
        raise ValueError("attention_mask must have its padding on the left for a causal LM, got it on the right")
