"""A greedy generation with notes: the logits before and after the penalties, what is shown, what is held back.

Lesson: 12 · Repetition, length and stopping
"""

from collections.abc import Callable, Mapping

import numpy as np
import torch

from course_utils.engine.generation_steps import GrowingText, stop_rules
from course_utils.engine.penalties import Penalty
from course_utils.engine.running import RunningModel
from course_utils.engine.settings import GenerationSettings
from course_utils.engine.stopping import mask_eos
from course_utils.errors import first_line
from course_utils.models import CausalLM

PenaltyFunction = Callable[[torch.Tensor, torch.Tensor, float], torch.Tensor]


class RepetitionRun:
    """The greedy generation of one text, with notes at every step; made by `record_repetition`.

    Args:
        settings: Of the generation.
        own: The learner's functions `(logits, ids, setting)`, by the name of the penalty that they replace.
        progress: Called before every step with its number, from 1, and the most that there can be.

    Raises:
        TypeError: `prompt` is not a str.
        ValueError: `prompt` is empty or too long, or the learner's function raises or does not return logits.

    >>> from course_utils.models import load_causal_lm
    >>> run = RepetitionRun(load_causal_lm(), "I like to eat", GenerationSettings(max_new_tokens=3), {})
    >>> run.fields()["new_tokens"]
    ('␣a', '␣bur', 'ger')
    """

    def __init__(
        self,
        model: CausalLM,
        prompt: str,
        settings: GenerationSettings,
        own: Mapping[str, PenaltyFunction],
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        self.model, self.prompt, self.settings, self.own = model, prompt, settings, own
        self.running = RunningModel(model.model, model.encode(prompt))
        self.rules = stop_rules(self.running, settings, model.tokenizer)
        start = self.running.start_ids.shape[1]
        self.penalties = [(name, Penalty(name, setting, start)) for name, setting in settings.penalties]
        self.eos_ids = list(stop_rules(self.running, GenerationSettings(), None).eos_ids)
        self.text, self.differs = GrowingText(self.rules), ""
        self.held, self.chances, self.texts = [], [], []
        ids = self.running.start_ids
        while not self.text.reason:
            if progress is not None:
                progress(len(self.text.ids) + 1, self.rules.max_new_tokens)
            ids = torch.cat([ids, self._step(ids)], dim=1)
        self.all_ids = ids[0]

    def _step(self, ids: torch.Tensor) -> torch.Tensor:
        before = self.running.next_logits(ids)
        after = self._processed(before, ids)
        token = after.argmax(-1, keepdim=True)
        tokens = ids[0].unique()
        self.held.append((tokens.cpu(), before[0, tokens].cpu(), after[0, tokens].cpu()))
        said, now = before[0].softmax(-1), after[0].softmax(-1)
        chances = said[token[0, 0]], said[self.eos_ids].sum(), now[self.eos_ids].sum()
        self.chances.append([chance.item() for chance in chances])
        self.text.add(token.item())
        shown = self.text.text
        self.texts.append((shown, self.rules.tokenizer.decode(self.text.ids, skip_special_tokens=True)[len(shown) :]))
        return token

    def _processed(self, logits: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
        for name, penalty in self.penalties:
            library = penalty(ids, logits)
            logits = library if name not in self.own else self._own(name, penalty, logits, ids, library)
        is_too_short = len(self.text.ids) < self.settings.min_new_tokens
        return mask_eos(logits, self.rules.eos_ids) if is_too_short else logits

    def _own(self, name, penalty, logits, ids, library) -> torch.Tensor:
        try:
            own = self.own[name](logits, ids[:, penalty.first_counted :], penalty.setting)
        except KeyboardInterrupt:  # Stop was pressed: that isn't the function's fault
            raise
        except BaseException as error:  # the learner's code may raise anything, exit() too
            said = f"your {name} raises {type(error).__name__}: {first_line(error)}"
            raise ValueError(said.removesuffix(": ")) from error
        if not isinstance(own, torch.Tensor) or own.shape != logits.shape:
            got = tuple(own.shape) if isinstance(own, torch.Tensor) else type(own).__name__
            raise ValueError(f"your {name} must return logits of shape {tuple(logits.shape)}, got {got}")
        self.differs = self.differs or self._difference(name, own[0], library[0])
        return own

    def _difference(self, name, own, library) -> str:
        is_wrong = ~own.isclose(library, atol=1e-4)
        if not is_wrong.any():
            return ""
        token = is_wrong.nonzero()[0, 0]
        return (
            f"Your {name} differs first at step {len(self.text.ids) + 1}: “{self.model.labels[token]}” gets "
            f"{own[token]:.2f}, from the library {library[token]:.2f}."
        )

    def fields(self) -> dict:
        """Return what a `RepetitionTrace` holds, besides the settings."""
        held_ids = self.all_ids.unique().cpu()
        tables = np.full((2, len(self.held), len(held_ids)), np.nan, np.float32)
        for step, (tokens, before, after) in enumerate(self.held):
            tables[:, step, torch.isin(held_ids, tokens).numpy()] = torch.stack([before, after]).numpy()
        chances = np.array(self.chances, np.float32).T
        shown, withheld = zip(*self.texts, strict=True)
        labels, new = self.model.labels, np.array(self.text.ids)
        return {
            "model": self.model.name,
            "prompt": self.prompt,
            "prompt_tokens": tuple(labels[token] for token in self.running.start_ids[0].tolist()),
            "new_tokens": tuple(labels[token] for token in new),
            "ids": new,
            "held_tokens": tuple(labels[token] for token in held_ids),
            "held_ids": held_ids.numpy(),
            "before": tables[0],
            "after": tables[1],
            "probability": chances[0],
            "eos_before": chances[1],
            "eos_after": chances[2],
            "shown": shown,
            "withheld": withheld,
            "reason": str(self.text.reason),
            "differs": self.differs,
        }
