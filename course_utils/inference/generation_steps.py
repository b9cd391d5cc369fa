"""Generation without beams, step by step: logits, penalties, a token for every text, until all have ended.

Lesson: 15 · Capstone: your own generate()
"""

from collections.abc import Iterator

import torch
from transformers import PreTrainedTokenizerBase

from course_utils.inference.penalties import Penalty
from course_utils.inference.running import RunningModel
from course_utils.inference.sampling import draw_next
from course_utils.inference.settings import GenerationSettings
from course_utils.inference.stopping import StopReason, StopRules, TextStream, mask_eos


class GrowingText:
    """One text while it grows: its new tokens, what they say, and why it ended.

    Lesson: 12 · Repetition, length and stopping
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

    Lesson: 15 · Capstone: your own generate()
    """
    ids = running.start_ids
    generator = None if settings.seed is None else torch.Generator().manual_seed(settings.seed)
    while not all(text.reason for text in texts):
        logits = process_logits(running.next_logits(ids), ids, running, rules, settings)
        tokens = draw_next(logits, settings.filters, generator) if settings.do_sample else logits.argmax(-1)
        ids = torch.cat([ids, tokens[:, None]], dim=1)
        yield [text.add(token) for text, token in zip(texts, tokens.tolist(), strict=True)]


def process_logits(
    logits: torch.Tensor, ids: torch.Tensor, running: RunningModel, rules: StopRules, settings: GenerationSettings
) -> torch.Tensor:
    """Apply the penalties and, while the texts are too short, remove the end-of-sequence tokens; `(batch, vocab)`.

    Padding never counts as text.
    Lesson: 15 · Capstone: your own generate()
    """
    start = running.start_ids.shape[1]
    paddings = [running.padding(row) for row in range(len(ids))]
    for name, setting in settings.penalties:
        rows = []
        for row, padding in enumerate(paddings):
            penalty = Penalty(name, setting, start - padding, settings.count_prompt)
            rows.append(penalty(ids[row : row + 1, padding:], logits[row : row + 1]))
        logits = torch.cat(rows)
    is_too_short = ids.shape[1] - start < settings.min_new_tokens
    return mask_eos(logits, rules.eos_ids) if is_too_short else logits


def stop_rules(
    running: RunningModel, settings: GenerationSettings, tokenizer: PreTrainedTokenizerBase | None
) -> StopRules:
    """Collect what ends the texts of `running`: the settings, the model's own end, the context length.

    Lesson: 12 · Repetition, length and stopping
    """
    eos_ids = running.model.generation_config.eos_token_id if settings.eos_ids is None else settings.eos_ids
    eos_ids = (eos_ids,) if isinstance(eos_ids, int) else tuple(eos_ids or ())
    most, reason = settings.max_new_tokens, StopReason.MAX_NEW_TOKENS
    if running.room is not None and running.room < most:
        most, reason = running.room, StopReason.CONTEXT_LENGTH
    return StopRules(eos_ids, most, reason, settings.stop_strings, tokenizer)
