"""Generation without beams, step by step: logits, penalties, a token for every text, until all have ended.

Lesson: 15 · Capstone: your own generate(); how a text ends: 12 · Repetition, length and stopping
"""

from collections.abc import Iterator

import torch
from transformers import PreTrainedTokenizerBase

from course_utils.engine.further import further_processors
from course_utils.engine.penalties import Penalty
from course_utils.engine.prompts import end_tokens
from course_utils.engine.running import RunningModel
from course_utils.engine.sampling import draw_next
from course_utils.engine.settings import GenerationSettings
from course_utils.engine.stopping import StopReason, StopRules, TextStream, mask_eos


class GrowingText:
    """One text while it grows: its new tokens, what they say, and why it ended.

    >>> text = GrowingText(StopRules(eos_ids=(2,), max_new_tokens=9))
    >>> [text.add(token) for token in (5, 2, 6)]
    ['', '', '']
    >>> text.ids, text.reason
    ([5, 2], <StopReason.EOS: 'eos'>)
    """

    def __init__(self, rules: StopRules) -> None:
        self.rules = rules
        self.ids: list[int] = []
        self.reason: StopReason | None = None
        self.stream = None if rules.tokenizer is None else TextStream(rules.tokenizer, rules.stop_strings)

    @property
    def text(self) -> str | None:
        """What the tokens say so far; None without a tokenizer."""
        return None if self.stream is None else self.stream.text

    def add(self, token: int) -> str:
        """Take the next token; return what may be shown. A text that has ended takes no more."""
        if self.reason:
            return ""
        self.ids.append(token)
        self.reason = self.rules.reason(self.ids)
        if self.stream is None:
            return ""
        shown = self.stream.push(token)
        return shown + self.stream.finish() if self.reason else shown


def generation_steps(
    running: RunningModel, rules: StopRules, settings: GenerationSettings, texts: list[GrowingText]
) -> Iterator[list[str]]:
    """Choose a token for every text, step by step, until all have ended; yield what each may show.

    >>> from course_utils.models import load_causal_lm
    >>> smollm = load_causal_lm()
    >>> running, settings = RunningModel(smollm.model, smollm.encode("1, 2, 3,")), GenerationSettings(max_new_tokens=2)
    >>> rules = stop_rules(running, settings, smollm.tokenizer)
    >>> list(generation_steps(running, rules, settings, [GrowingText(rules)]))
    [[' '], ['4']]
    """
    ids = running.start_ids
    generator = settings.generator if settings.seed is None else torch.Generator(ids.device).manual_seed(settings.seed)
    while not all(text.reason for text in texts):
        # Prefill: the first time round, the model reads the whole prompt, and its last logits give the first new token.
        # Decode: from then on the cache holds everything but the newest token, so the model reads only that one.
        logits = running.next_logits(ids)
        # Penalties and bans come before the filters, so that top-k and top-p count only what is still allowed.
        logits = checked_choice(process_logits(logits, ids, running, rules, settings), texts)
        # Greedy search needs no filters: none of them removes the most likely token.
        tokens = draw_next(logits, settings.filters, generator) if settings.do_sample else logits.argmax(-1)
        ids = torch.cat([ids, tokens[:, None]], dim=1)
        # Stop: a text that has ended keeps its row until the last one ends, but takes no more tokens.
        yield [text.add(token) for text, token in zip(texts, tokens.tolist(), strict=True)]


def process_logits(
    logits: torch.Tensor, ids: torch.Tensor, running: RunningModel, rules: StopRules, settings: GenerationSettings
) -> torch.Tensor:
    """Apply the penalties, remove the end-of-sequence tokens while the texts are too short, and ban; `(batch, vocab)`.

    Padding never counts as text for a penalty.

    >>> from course_utils.models import load_causal_lm
    >>> smollm = load_causal_lm()
    >>> running = RunningModel(smollm.model, smollm.encode("Hi"))
    >>> settings, rules = GenerationSettings(min_new_tokens=1), StopRules(eos_ids=(2,), max_new_tokens=9)
    >>> process_logits(torch.zeros(1, 4), running.start_ids, running, rules, settings)
    tensor([[0., 0., -inf, 0.]])
    """
    start = running.start_ids.shape[1]
    paddings = [running.padding(row) for row in range(len(ids))]
    for name, setting in settings.penalties:
        rows = []  # one by one, because every prompt begins with padding of its own length
        for row, padding in enumerate(paddings):
            penalty = Penalty(name, setting, start - padding, settings.count_prompt)
            rows.append(penalty(ids[row : row + 1, padding:], logits[row : row + 1]))
        logits = torch.cat(rows)
    if ids.shape[1] - start < settings.least_new_tokens(start):  # too short to end
        logits = mask_eos(logits, rules.eos_ids)
    with torch.inference_mode():  # some processors write into the logits, which only inference mode may do
        for processor in further_processors(running, rules, settings, logits):
            logits = processor(ids, logits.clone())
    return logits


def checked_choice(logits: torch.Tensor, texts: list[GrowingText]) -> torch.Tensor:
    """Return logits `(batch, vocab)` to choose from; a text that has ended gets zeros, since its choice isn't used.

    Raises:
        ValueError: A text that continues has no token left, or the model's logits are not numbers.

    >>> text = GrowingText(StopRules(eos_ids=(2,), max_new_tokens=9))
    >>> checked_choice(torch.full((1, 4), -torch.inf), [text])
    Traceback (most recent call last):
    ValueError: penalties, bans and min_new_tokens must leave a token to choose from, got none for new token 1
    """
    is_over = torch.tensor([text.reason is not None for text in texts], device=logits.device)[:, None]
    logits = logits.masked_fill(is_over, 0)
    if logits.isnan().any():
        raise ValueError("model must give logits that are numbers, got nan")
    if (logits == -torch.inf).all(-1).any():
        length = max(len(text.ids) for text in texts) + 1
        raise ValueError(
            f"penalties, bans and min_new_tokens must leave a token to choose from, got none for new token {length}"
        )
    return logits


def stop_rules(
    running: RunningModel, settings: GenerationSettings, tokenizer: PreTrainedTokenizerBase | None
) -> StopRules:
    """Collect what ends the texts of `running`: the settings, the model's own end, the context length.

    Raises:
        ValueError: There are stop strings without a tokenizer, or `max_length` leaves no room.

    >>> from course_utils.models import load_causal_lm
    >>> smollm = load_causal_lm()
    >>> running = RunningModel(smollm.model, smollm.encode("Hi"))
    >>> stop_rules(running, GenerationSettings(max_new_tokens=10_000), smollm.tokenizer).max_new_tokens
    8191
    """
    eos_ids = end_tokens(running.model, settings)
    most, reason = settings.most_new_tokens(running.start_ids.shape[1]), StopReason.MAX_NEW_TOKENS
    if running.room is not None and running.room < most:
        most, reason = running.room, StopReason.CONTEXT_LENGTH
    return StopRules(eos_ids, most, reason, settings.stop_strings, tokenizer)
