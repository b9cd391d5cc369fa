"""Wrong pieces of a generation loop, each with one usual mistake in it: what `capstone_mistakes` puts together.

Lesson: 15 · Capstone: your own generate()
"""

from collections.abc import Callable

import torch
from transformers import DynamicCache

from course_utils.engine.beam_search import BeamTree, Finished
from course_utils.engine.penalties import token_counts
from course_utils.engine.sampling import FILTERS, apply_top_k
from course_utils.learner.capstone_cases import Case
from course_utils.learner.capstone_loop import Loop, has_eos, has_stop

Write = Callable[[Case], tuple[int, ...]]


def multiplied(logits: torch.Tensor, temperature: float) -> torch.Tensor:
    """Multiply by the temperature."""
    return logits * temperature


def stops_before_p(logits: torch.Tensor, top_p: float) -> torch.Tensor:
    """Remove the token that crosses top_p, too."""
    ranked = logits.softmax(-1).sort(descending=True)
    goes = ranked.values.cumsum(-1) > top_p
    return logits.masked_fill(goes.scatter(-1, ranked.indices, goes), -torch.inf)


def keeps_the_tail(logits: torch.Tensor, top_p: float) -> torch.Tensor:
    """Sum from the wrong end."""
    ranked = logits.softmax(-1).sort()
    goes = ranked.values.cumsum(-1) > top_p
    return logits.masked_fill(goes.scatter(-1, ranked.indices, goes), -torch.inf)


def absolute(logits: torch.Tensor, min_p: float) -> torch.Tensor:
    """Take min_p for a probability."""
    return logits.masked_fill(logits.softmax(-1) < min_p, -torch.inf)


def one_too_few(logits: torch.Tensor, top_k: int) -> torch.Tensor:
    """Keep one token too few."""
    return apply_top_k(logits, top_k - 1)


def always_divided(logits: torch.Tensor, ids: torch.Tensor, penalty: float) -> torch.Tensor:
    """Divide whatever the sign."""
    return torch.where(token_counts(ids, logits.shape[-1]) > 0, logits / penalty, logits)


def against(function: Callable) -> Callable:
    """Add where the penalty is subtracted."""
    return lambda logits, ids, penalty: function(logits, ids, -penalty)


def filters_with(**wrong: Callable) -> Write:
    """Write with some filters replaced."""
    return Loop(filters=FILTERS | wrong).write


def penalties_with(**wrong: Callable) -> Write:
    """Write with some penalties replaced."""
    return Loop(penalties=Loop().penalties | wrong).write


def reading_with(step: Callable[[torch.Tensor, int], dict]) -> Write:
    """Write with a cache, where `step` says what goes in, given all ids and how many are cached."""

    def read(model: torch.nn.Module, state: dict, ids: torch.Tensor, start: int) -> torch.Tensor:
        cache = state.setdefault("cache", DynamicCache(config=model.config))
        return model(past_key_values=cache, **step(ids, cache.get_seq_length())).logits[:, -1]

    return Loop(read=read).write


def late(ids: torch.Tensor, cached: int) -> dict:
    """Read the token before the newest one."""
    return {"input_ids": ids[:, -2:-1] if cached else ids}


def twice(ids: torch.Tensor, cached: int) -> dict:
    """Read the last two tokens at every step."""
    return {"input_ids": ids[:, -2:] if cached else ids}


def at_position(first: Callable[[int], int]) -> Callable[[torch.Tensor, int], dict]:
    """Read what is new, at a position of its own making."""

    def step(ids: torch.Tensor, cached: int) -> dict:
        unread = ids[:, cached:]
        start = first(cached) if cached else 0
        return {"input_ids": unread, "position_ids": torch.arange(start, start + unread.shape[1])[None]}

    return step


def raw_best(tree: BeamTree) -> Finished:
    """Choose the finished text with the best sum, whatever its length."""
    return max(tree.finished, key=lambda text: tree.nodes[text.node].score)


def in_their_order(filters: list) -> list:
    """Put filters into the order of `transformers`."""
    return [pair for name in FILTERS for pair in filters if pair[0] == name]


def forgetful(model: torch.nn.Module, state: dict, ids: torch.Tensor, start: int) -> torch.Tensor:
    """Read the prompt, and then each new token alone."""
    return model(ids if ids.shape[1] == start else ids[:, -1:]).logits[:, -1]


def prompt_again(model: torch.nn.Module, state: dict, ids: torch.Tensor, start: int) -> torch.Tensor:
    """Read the prompt at every step, and nothing new."""
    return model(ids[:, :start]).logits[:, -1]


def first_position(model: torch.nn.Module, state: dict, ids: torch.Tensor, start: int) -> torch.Tensor:
    """Take the logits of the first position."""
    return model(ids).logits[:, 0]


def ends_where(searched: Callable, ends: Callable = has_eos) -> Write:
    """Write with another rule for the end: stop strings are sought in the tokens that `searched` picks."""

    def end(prompt: list[int], new: list[int], settings, tokenizer) -> bool:
        return ends(new, settings) or has_stop(tokenizer.decode(searched(prompt, new)), settings)

    return Loop(ends=end).write


def too_short_while(rule: Callable) -> Write:
    """Write with another rule for the shortest length, of the new tokens' number, the prompt's and the minimum."""
    return Loop(is_too_short=lambda new, start, settings: rule(len(new), start, settings.min_new_tokens)).write


def each_step_anew(seed: int | None, before: torch.Generator | None) -> torch.Generator:
    """Make a new generator at every step."""
    return torch.Generator().manual_seed(seed or 0)
