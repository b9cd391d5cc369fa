"""Bans and forced tokens, as `transformers` does them: bad words, suppressed tokens, a first and a last token.

They belong to the format of some models: BART's text must end in its end token, Marian's must not hold its padding.

Lesson: 15 · Capstone: your own generate()
"""

import torch
from transformers import (
    ForcedBOSTokenLogitsProcessor,
    ForcedEOSTokenLogitsProcessor,
    LogitsProcessor,
    NoBadWordsLogitsProcessor,
    SuppressTokensAtBeginLogitsProcessor,
    SuppressTokensLogitsProcessor,
)

from course_utils.engine.arguments import token_ids
from course_utils.engine.running import RunningModel
from course_utils.engine.settings import GenerationSettings
from course_utils.engine.stopping import StopRules
from course_utils.engine.usual_names import FURTHER


def further_processors(
    running: RunningModel, rules: StopRules, settings: GenerationSettings, logits: torch.Tensor
) -> list[LogitsProcessor]:
    """Return the processors of `settings.further` or else of the model's own `generation_config`, then the user's.

    Raises:
        ValueError: A setting isn't made of token ids of the vocabulary.

    >>> from course_utils.models import load_causal_lm
    >>> smollm = load_causal_lm()
    >>> running, rules = RunningModel(smollm.model, smollm.encode("Hi")), StopRules((2,), 20)
    >>> settings = GenerationSettings(suppress_tokens=[3])
    >>> [type(one).__name__ for one in further_processors(running, rules, settings, torch.zeros(1, 4))]
    ['SuppressTokensLogitsProcessor']
    """
    chosen = {
        name: settings.further.get(name, getattr(running.model.generation_config, name, None)) for name in FURTHER
    }
    start, vocabulary, device = running.start_ids.shape[1], logits.shape[-1], logits.device
    # A first token that is forced is not suppressed.
    first = start if start > 1 or chosen["forced_bos_token_id"] is None else start + 1
    last = start + settings.most_new_tokens(start)
    # In the order of transformers.
    makers = {
        "bad_words_ids": lambda value: NoBadWordsLogitsProcessor(
            _words(value, vocabulary), list(rules.eos_ids) or None
        ),
        "forced_bos_token_id": lambda value: ForcedBOSTokenLogitsProcessor(
            *_tokens("forced_bos_token_id", value, vocabulary)
        ),
        "forced_eos_token_id": lambda value: ForcedEOSTokenLogitsProcessor(
            last, _tokens("forced_eos_token_id", value, vocabulary), device
        ),
        "suppress_tokens": lambda value: SuppressTokensLogitsProcessor(token_ids("suppress_tokens", value), device),
        "begin_suppress_tokens": lambda value: SuppressTokensAtBeginLogitsProcessor(
            token_ids("begin_suppress_tokens", value), first, device
        ),
    }
    own = [make(chosen[name]) for name, make in makers.items() if chosen[name] is not None]
    return [*own, *settings.logits_processor]


def _words(words: object, vocabulary: int) -> list[list[int]]:
    if not isinstance(words, list | tuple) or not words or not all(isinstance(word, list | tuple) for word in words):
        raise ValueError(f"bad_words_ids must be a list of lists of token ids, got {words!r}")
    return [_tokens("bad_words_ids", word, vocabulary) for word in words]


def _tokens(name: str, value: object, vocabulary: int) -> list[int]:
    ids = token_ids(name, value)
    if not ids or not all(0 <= token < vocabulary for token in ids):
        raise ValueError(f"{name} must hold token ids in 0 … {vocabulary - 1}, got {value!r}")
    return ids
