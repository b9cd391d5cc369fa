"""How far a change reaches: one token is replaced, and every position of every layer is compared with before.

Lesson: 07 · Encoders, decoders and both; 08 · Attention
"""

from collections.abc import Iterable

import torch
from transformers import LlamaForCausalLM, PreTrainedModel, PreTrainedTokenizerBase

from course_utils.engine.llama import check_is_llama
from course_utils.experiments.prompt_trees import prompt_tree, tree_inputs
from course_utils.models.doorway import takes


@takes(model=PreTrainedModel)
@torch.inference_mode()
def hidden_states(model: PreTrainedModel, ids: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
    """Run an encoder or a decoder on one text; return what every layer made of it, `(layer + 1, seq, hidden)`.

    Args:
        model: An encoder or a causal LM of `transformers`.
        ids: Token ids, `(1, seq)`.
        mask: Boolean `(seq, seq)`, True where a query may look at a key. None: the mask that belongs to the model.

    Row 0 is before the first layer: the embeddings.

    Raises:
        ValueError: `ids` is not one text, `mask` does not fit it, or `model` has an encoder and a decoder.

    Equals `output_hidden_states=True` of `transformers`.

    >>> from course_utils.models import load_encoder
    >>> minilm = load_encoder()
    >>> hidden_states(minilm.model, minilm.encode("hello world")).shape
    torch.Size([7, 4, 384])
    """
    if model.config.is_encoder_decoder:
        raise ValueError("model must be an encoder or a decoder, got both in one: use encoder_decoder_states")
    _check_one_text("ids", ids)
    if mask is None:
        return torch.cat(model(ids, output_hidden_states=True).hidden_states)
    if mask.shape != (ids.shape[1], ids.shape[1]):
        raise ValueError(f"mask must have shape {(ids.shape[1], ids.shape[1])} like the text, got {tuple(mask.shape)}")
    return torch.cat(model(ids, attention_mask=mask[None, None], output_hidden_states=True).hidden_states)


@takes(model=LlamaForCausalLM)
@torch.inference_mode()
def last_states(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerBase, texts: Iterable[str]) -> torch.Tensor:
    """Return what every layer made of the last token of each text, `(layer + 1, text, hidden)`.

    What some texts share from their start is read once, and all of them in one run.

    Raises:
        ValueError: There are no texts, one has no token, or `model` is not a Llama.

    Equals the last position of `hidden_states` of each text, up to rounding.

    >>> from course_utils.models import load_causal_lm
    >>> smollm = load_causal_lm()
    >>> last_states(smollm.model, smollm.tokenizer, ["The cat sat", "The cat slept"]).shape
    torch.Size([31, 2, 576])
    """
    check_is_llama(model)
    texts = list(texts)
    rows = [tokenizer(text).input_ids for text in texts]
    if not rows or not all(rows):
        raise ValueError(f"texts must be at least one text with at least one token each, got {texts}")
    tree = prompt_tree(rows)
    states = model(**tree_inputs(tree, model.device), output_hidden_states=True).hidden_states
    return torch.cat([layer[:, tree.ends] for layer in states])


@takes(model=PreTrainedModel)
@torch.inference_mode()
def encoder_decoder_states(
    model: PreTrainedModel, source_ids: torch.Tensor, target_ids: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Run an encoder–decoder on a text and a translation of it; return the states of both halves.

    Args:
        model: An encoder–decoder of `transformers`.
        source_ids: What the encoder reads, `(1, source)`.
        target_ids: What the decoder reads, beginning with its start token, `(1, target)`.

    The states are `(layer + 1, source, hidden)` and `(layer + 1, target, hidden)`; row 0 is before the first layer.

    Raises:
        ValueError: `source_ids` or `target_ids` is not one text, or `model` is not an encoder–decoder.

    Equals `encoder_hidden_states` and `decoder_hidden_states` of `transformers`.

    >>> from course_utils.models.pipelines import load_pipeline
    >>> pipe = load_pipeline("translation")
    >>> source = pipe.tokenizer("I love you.", return_tensors="pt").input_ids
    >>> encoder, decoder = encoder_decoder_states(pipe.model, source, torch.tensor([[2, 280, 10]]))
    >>> encoder.shape, decoder.shape
    (torch.Size([4, 5, 192]), torch.Size([4, 3, 192]))
    """
    if not model.config.is_encoder_decoder:
        raise ValueError(f"model must be an encoder–decoder, got {model.config.model_type}")
    _check_one_text("source_ids", source_ids)
    _check_one_text("target_ids", target_ids)
    outputs = model(source_ids, decoder_input_ids=target_ids, output_hidden_states=True)
    return torch.cat(outputs.encoder_hidden_states), torch.cat(outputs.decoder_hidden_states)


def position_differences(before: torch.Tensor, after: torch.Tensor) -> torch.Tensor:
    """Return by how much each position of each layer differs: the largest of its numbers, `(layer, seq)`.

    Args:
        before: `(layer, seq, hidden)`.
        after: As `before`.

    A position that nothing has reached is exactly 0, as long as both texts have the same number of tokens: then the
    very same sums are computed. Otherwise rounding may leave about 0.0001.

    Raises:
        ValueError: The shapes differ.

    >>> position_differences(torch.zeros(1, 2, 3), torch.tensor([[[0.0, 0, 0], [1, -4, 2]]]))
    tensor([[0., 4.]])
    """
    if before.shape != after.shape:
        raise ValueError(f"after must have shape {tuple(before.shape)} like before, got {tuple(after.shape)}")
    return (after - before).abs().amax(-1)


def _check_one_text(name: str, ids: torch.Tensor) -> None:
    if ids.ndim != 2 or ids.shape[0] != 1 or not ids.shape[1]:
        raise ValueError(f"{name} must have shape (1, seq) with at least one token, got {tuple(ids.shape)}")
