"""One `generate` out of the course's parts: cache, sampling, penalties, stopping, beams, streaming.

Lesson: 15 · Capstone: your own generate(); streams: 12 · Repetition, length and stopping; beams: 13 · Beam search
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from course_utils.engine.beam_search import BeamTree, beam_search
from course_utils.engine.generation_steps import GrowingText, generation_steps, process_logits, stop_rules
from course_utils.engine.prompts import prepared
from course_utils.engine.running import RunningModel
from course_utils.engine.stopping import StopReason, StopRules


@dataclass(frozen=True)
class Generated:
    """One generated text.

    Args:
        ids: The new tokens; the end-of-sequence token is the last if there was one.
        reason: Why it ended.
        text: What the tokens say, without stop string and special tokens; None without a tokenizer.
        score: Of beam search: the sum of log-probabilities, divided by length ** length_penalty. Else None.

    >>> Generated((7042, 30), StopReason.MAX_NEW_TOKENS, " Paris.").reason == "max_new_tokens"
    True
    """

    ids: tuple[int, ...]
    reason: StopReason
    text: str | None = None
    score: float | None = None


@dataclass(frozen=True)
class StreamedToken:
    """One token of a stream: its id, the text that may be shown now, and why the text ended if it did.

    >>> StreamedToken(30, ".", None).text
    '.'
    """

    id: int
    text: str
    reason: StopReason | None


def generate(
    model: PreTrainedModel,
    ids: torch.Tensor | None = None,
    tokenizer: PreTrainedTokenizerBase | None = None,
    attention_mask: torch.Tensor | None = None,
    **settings,
) -> list[Generated]:
    """Generate text after every prompt: greedy, sampled or by beam search.

    Args:
        model: Any causal LM or encoder–decoder of `transformers`.
        ids: The prompts, `(batch, seq)`, or what a tokenizer returns; `**tokenizer(…)` will do, too.
        tokenizer: Turns tokens into text; stop strings need it.
        attention_mask: `(batch, seq)`, 0 where `ids` is padding. None: read off `ids`, if the model has a padding token
            that doesn't end texts.
        settings: As `GenerationSettings`, or under the names that `transformers` has for them.

    Returns:
        `num_return_sequences` texts for the first prompt, then for the second, and so on.

    Raises:
        TypeError: `ids` aren't token ids, or the mask can't be made a tensor.
        ValueError: A setting is unknown or out of its range; stop strings come without a tokenizer; a prompt leaves no
            room in the context length, or isn't of the model's vocabulary; no token is left to choose.

    Equals `generate` of `transformers`: the same tokens under the same settings. Other than there, a text ends when the
    context length is reached, a stop string must lie in the new text, and what the model's own `generation_config`
    says about sampling, penalties and beams counts only if you pass it, as `generation_config=`.

    >>> from course_utils.models import load_causal_lm
    >>> smollm = load_causal_lm()
    >>> generate(smollm.model, smollm.encode("The capital of France is"), smollm.tokenizer, max_new_tokens=2)[0].text
    ' Paris.'
    """
    chosen, ids, attention_mask = prepared(model, ids, attention_mask, settings)
    if chosen.num_beams > 1:  # the batch of beam search is its beams: it reads one prompt at a time
        masks = [None] * len(ids) if attention_mask is None else attention_mask.split(1)
        prompts = zip(ids.split(1), masks, strict=True)
        return [text for prompt, mask in prompts for text in _beam_texts(model, prompt, tokenizer, mask, chosen)]
    if chosen.num_return_sequences > 1:  # a row for every text, so that all are drawn at once
        ids = ids.repeat_interleave(chosen.num_return_sequences, dim=0)
        if attention_mask is not None:
            attention_mask = attention_mask.repeat_interleave(chosen.num_return_sequences, dim=0)
    running, rules = _before_the_first_token(model, ids, tokenizer, attention_mask, chosen)
    texts = [GrowingText(rules) for _ in ids]
    for _ in generation_steps(running, rules, chosen, texts):
        pass  # every step adds a token to each text that hasn't ended
    return [Generated(tuple(text.ids), text.reason, text.text) for text in texts]


def stream(
    model: PreTrainedModel,
    ids: torch.Tensor | None = None,
    tokenizer: PreTrainedTokenizerBase | None = None,
    attention_mask: torch.Tensor | None = None,
    **settings,
) -> Iterator[StreamedToken]:
    """Generate after one prompt `(1, seq)`, and yield every token as soon as it is chosen. Arguments as `generate`.

    The texts of all tokens together are the text of `generate` under the same settings.

    Raises:
        ValueError: As `generate`; or there is more than one prompt, or beam search (which can still change its
            mind about every token).

    >>> from course_utils.models import load_causal_lm
    >>> smollm = load_causal_lm()
    >>> ids = smollm.encode("The capital of France is")
    >>> [token.text for token in stream(smollm.model, ids, smollm.tokenizer, max_new_tokens=2)]
    [' Paris', '.']
    """
    chosen, ids, attention_mask = prepared(model, ids, attention_mask, settings)
    if len(ids) > 1 or chosen.num_beams > 1 or chosen.num_return_sequences > 1:
        raise ValueError("ids, num_beams and num_return_sequences must be one each for a stream, got more")
    running, rules = _before_the_first_token(model, ids, tokenizer, attention_mask, chosen)
    text = GrowingText(rules)
    for shown in generation_steps(running, rules, chosen, [text]):
        # What may be shown lags behind the tokens: half a character or half a stop string is held back.
        yield StreamedToken(text.ids[-1], shown[0], text.reason)


def search_beams(
    model: PreTrainedModel,
    ids: torch.Tensor | None = None,
    tokenizer: PreTrainedTokenizerBase | None = None,
    attention_mask: torch.Tensor | None = None,
    to_the_end: bool = False,
    **settings,
) -> BeamTree:
    """Run beam search after one prompt `(1, seq)`; return the whole tree. Arguments as `generate`.

    With `to_the_end` the search continues when it is done, as `beam_search` says.

    Raises:
        ValueError: As `generate`; or there is more than one prompt.

    >>> from course_utils.models import load_causal_lm
    >>> smollm = load_causal_lm()
    >>> tree = search_beams(smollm.model, smollm.encode("The capital of France is"), num_beams=2, max_new_tokens=2)
    >>> [smollm.tokenizer.decode(tree.path(text.node)) for text in tree.finished]
    [' Paris.', ' Paris,']
    """
    chosen, ids, attention_mask = prepared(model, ids, attention_mask, settings)
    if len(ids) > 1:
        raise ValueError(f"ids must be one prompt for one tree, got {len(ids)}")
    return _search(model, ids, tokenizer, attention_mask, chosen, to_the_end)[0]


def _before_the_first_token(model, ids, tokenizer, attention_mask, settings) -> tuple[RunningModel, StopRules]:
    running = RunningModel(model, ids, attention_mask, settings.use_cache, settings.decoder_start_token_id)
    # The rules come after the model: the room that its context length leaves is one of them.
    return running, stop_rules(running, settings, tokenizer)


def _search(model, ids, tokenizer, attention_mask, settings, to_the_end=False) -> tuple[BeamTree, StopRules]:
    running, rules = _before_the_first_token(model, ids, tokenizer, attention_mask, settings)

    # Beam search knows nothing of penalties: they change the log-probabilities before it looks at them.
    def process(logits: torch.Tensor, texts: torch.Tensor) -> torch.Tensor:
        return process_logits(logits, texts, running, rules, settings)

    tree = beam_search(running, rules, settings, process, to_the_end)
    if not tree.finished:
        raise ValueError("penalties, bans and min_new_tokens must leave the beams a token to choose from, got none")
    return tree, rules


def _beam_texts(model, ids, tokenizer, attention_mask, settings) -> list[Generated]:
    tree, rules = _search(model, ids, tokenizer, attention_mask, settings)
    texts = []
    for node, score in tree.finished[: settings.num_return_sequences]:
        text = GrowingText(rules)  # fed again from its start, it says what it shows and why it ended
        for token in tree.path(node):
            text.add(token)
        texts.append(Generated(tuple(text.ids), text.reason, text.text, score))
    return texts
