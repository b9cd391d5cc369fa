"""Which pronoun a model expects: P(she) and P(he) after a text, or in a gap.

Lesson: 02 · Where LLMs fail
"""

from collections import defaultdict
from collections.abc import Sequence

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from course_utils.experiments.greedy_answers import next_probabilities
from course_utils.models.doorway import takes

PAIR = ("she", "he")


@takes(model=PreTrainedModel)
@torch.inference_mode()
def pronoun_probabilities(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], pair: tuple[str, str] = PAIR
) -> torch.Tensor:
    """Return the probability of two words at the place that is asked for, `(text, 2)`.

    A masked model fills its mask token, which each text must hold once, and reads both sides of it. A causal LM goes
    on after the text, with a space before the word.

    Args:
        model: A masked language model or a causal LM of `transformers`.
        texts: Sentences with the mask token, or beginnings of sentences.
        pair: The two words; each must be one token.

    Raises:
        ValueError: There are no texts, a word is not one token, or a text for a masked model has not one mask token.

    Source: after Rudinger et al. (2018), Gender Bias in Coreference Resolution.

    >>> from course_utils.models import load_causal_lm
    >>> smollm = load_causal_lm()
    >>> found = pronoun_probabilities(smollm.model, smollm.tokenizer, ["My mother said that", "My father said that"])
    >>> found.argmax(-1)
    tensor([0, 1])
    """
    if not texts:
        raise ValueError("texts must hold at least one text, got none")
    masked = tokenizer.mask_token is not None
    words = [_one_token(tokenizer, word if masked else f" {word}") for word in pair]
    if not masked:
        return next_probabilities(model, tokenizer, texts)[:, words].cpu()
    rows = [tokenizer(text).input_ids for text in texts]
    if any(row.count(tokenizer.mask_token_id) != 1 for row in rows):
        raise ValueError(f"texts must each hold {tokenizer.mask_token} once, got {list(texts)}")
    alike = defaultdict(list)  # what is equally long shares a batch, so nothing is padded
    for place, row in enumerate(rows):
        alike[len(row)].append(place)
    found = torch.empty(len(rows), len(words))
    for places in alike.values():
        ids = torch.tensor([rows[place] for place in places], device=model.device)
        logits = model(ids).logits[ids == tokenizer.mask_token_id]
        found[places] = logits.float().softmax(-1)[:, words].cpu()
    return found


def share_of_first(probabilities: torch.Tensor) -> torch.Tensor:
    """Return the first word's share of the two: P(she) / (P(she) + P(he)); 0.5 is no preference.

    Args:
        probabilities: `(..., 2)`.

    Raises:
        ValueError: There are not two words.

    >>> share_of_first(torch.tensor([[0.3, 0.1]]))
    tensor([0.7500])
    """
    if probabilities.shape[-1] != 2:
        raise ValueError(f"probabilities must have shape (..., 2), got {tuple(probabilities.shape)}")
    return probabilities[..., 0] / probabilities.sum(-1)


def _one_token(tokenizer: PreTrainedTokenizerBase, word: str) -> int:
    ids = tokenizer(word, add_special_tokens=False).input_ids
    if len(ids) != 1:
        raise ValueError(f"pair must hold words of one token, got {word!r} with {len(ids)}")
    return ids[0]
