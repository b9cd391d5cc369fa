"""Who looked at whom: the weights of attention of every layer and head, in one run.

Lesson: 08 · Attention
"""

from dataclasses import dataclass

import numpy as np
import torch
from transformers import Pipeline, PreTrainedModel

from course_utils.experiments import head_measures
from course_utils.models import CausalLM, Encoder
from course_utils.models.architectures import generation_inputs, key_value_heads
from course_utils.models.doorway import takes
from course_utils.traces.base import Trace
from course_utils.traces.eager import check_attentions, eager_attention, recording

__all__ = ["AttentionTrace", "eager_attention", "record_attention", "record_cross_attention", "record_translation"]


@dataclass(frozen=True)
class AttentionTrace(Trace):
    """The weights of attention of one run.

    Args:
        model: Name of the model that ran.
        kind: "causal", "bidirectional" or "cross".
        query_tokens: The tokens that look, as visible text.
        key_tokens: The tokens that are looked at, as visible text.
        weights: float32 `(layer, head, query, key)`; every row sums to 1 (in GPT-OSS to less: a part goes to no token).
        key_value_heads: How many KV heads a layer has; query heads share them in order.
        scores: float32, shape as `weights`: QKᵀ/√d before the mask; None where they were not recorded.
        value_lengths: float32 `(layer, key_value_head, key)`: length of each value vector; None as for `scores`.

    Raises:
        ValueError: The arrays do not fit the tokens.

    >>> AttentionTrace("toy", "cross", ("a",), ("b", "c"), np.full((1, 4, 1, 2), 0.5, np.float32), 4).weights.shape
    (1, 4, 1, 2)
    """

    model: str
    kind: str
    query_tokens: tuple[str, ...]
    key_tokens: tuple[str, ...]
    weights: np.ndarray
    key_value_heads: int
    scores: np.ndarray | None = None
    value_lengths: np.ndarray | None = None

    def __post_init__(self) -> None:
        tokens = len(self.query_tokens), len(self.key_tokens)
        if self.weights.ndim != 4 or self.weights.shape[2:] != tokens:
            raise ValueError(
                f"weights must have shape (layer, head, {tokens[0]}, {tokens[1]}), got {self.weights.shape}"
            )
        if self.scores is not None and self.scores.shape != self.weights.shape:
            raise ValueError(f"scores must have shape {self.weights.shape} like the weights, got {self.scores.shape}")
        shape = self.weights.shape[0], self.key_value_heads, tokens[1]
        if self.value_lengths is not None and self.value_lengths.shape != shape:
            raise ValueError(f"value_lengths must have shape {shape}, got {self.value_lengths.shape}")

    def measures(self) -> dict[str, np.ndarray]:
        """Return what `experiments.head_measures` says about every head, `(layer, head)` each.

        Tokens that look the same count as the same. With fewer than two tokens, or in cross-attention, only the
        entropy can be said; induction is a matter of causal attention.

        >>> toy = AttentionTrace("toy", "cross", ("a",), ("b", "c"), np.full((1, 1, 1, 2), 0.5, np.float32), 1)
        >>> toy.measures()
        {'entropy': array([[1.]], dtype=float32)}
        """
        weights = torch.from_numpy(self.weights)
        found = {"entropy": head_measures.attention_entropy(weights).numpy()}
        if self.kind == "cross" or len(self.query_tokens) < 2:
            return found
        found["first token"] = head_measures.first_token_score(weights).numpy()
        found["previous token"] = head_measures.previous_token_score(weights).numpy()
        if self.kind == "causal":
            numbers = {token: number for number, token in enumerate(self.query_tokens)}
            ids = torch.tensor([numbers[token] for token in self.query_tokens])
            found["induction"] = head_measures.induction_score(weights, ids).numpy()
        return found


def _arrays(attentions: tuple[torch.Tensor, ...], kept: dict[int, tuple[torch.Tensor, ...]]) -> dict[str, np.ndarray]:
    """Stack the weights of all layers, and with them the scores and value lengths if these were kept."""
    arrays = {"weights": _joined(attentions)}
    if all(id(weights) in kept for weights in attentions):
        _, scores, lengths = zip(*(kept[id(weights)] for weights in attentions), strict=True)
        if len({each.shape for each in lengths}) == 1:  # else the layers have different numbers of KV heads
            arrays |= {"scores": _joined(scores), "value_lengths": _joined(lengths)}
    return arrays


def _joined(layers: tuple[torch.Tensor, ...]) -> np.ndarray:
    return torch.cat([layer.float().cpu() for layer in layers]).numpy()


@takes(model=(CausalLM, Encoder))
def record_attention(model: CausalLM | Encoder, text: str) -> AttentionTrace:
    """Run `model` once on `text` and record the scores and weights of every layer and head.

    Raises:
        TypeError: `text` is not a str.
        ValueError: `text` is empty, or longer than the context length; or the model has no attention in some layer, as
            Mamba.

    >>> from course_utils.models import load_causal_lm
    >>> record_attention(load_causal_lm(), "The cat sat").weights.shape
    (30, 9, 3, 3)
    """
    ids = model.encode(text)
    tokens = tuple(model.labels[token] for token in ids[0].tolist())
    with recording(model.model) as kept, torch.inference_mode():
        inputs = generation_inputs(model.model, ids) if isinstance(model, CausalLM) else {"input_ids": ids}
        attentions = getattr(model.model(**inputs, output_attentions=True), "attentions", None)
        check_attentions(model.model, attentions, ids.shape[1], ids.shape[1])
        arrays = _arrays(attentions, kept)
    heads = key_value_heads(model.model) or arrays["weights"].shape[1]
    heads = arrays["value_lengths"].shape[1] if "value_lengths" in arrays else heads
    kind = "causal" if isinstance(model, CausalLM) else "bidirectional"
    return AttentionTrace(model.name, kind, tokens, tokens, key_value_heads=heads, **arrays)


@takes(model=PreTrainedModel)
def record_cross_attention(
    name: str,
    model: PreTrainedModel,
    source_ids: torch.Tensor,
    target_ids: torch.Tensor,
    source_tokens: tuple[str, ...],
    target_tokens: tuple[str, ...],
) -> AttentionTrace:
    """Run an encoder–decoder once and record where each position of the decoder looked in the source.

    Position i reads target token i and predicts token i + 1, so its row says where the model looked to write that
    next token. The rows are those that `generate` computes step by step.

    Args:
        name: What the model is called.
        model: An encoder–decoder of `transformers`.
        source_ids: What the encoder reads, `(1, source)`.
        target_ids: What the decoder reads, beginning with its start token, `(1, target)`.
        source_tokens: The source as visible text.
        target_tokens: The target as visible text.

    Raises:
        ValueError: The tokens do not fit the ids, there is more than one text, or the model returns no weights of its
            cross-attention.

    >>> from transformers import BartConfig, BartForConditionalGeneration
    >>> size = {"d_model": 16, "encoder_ffn_dim": 16, "decoder_ffn_dim": 16, "vocab_size": 9}
    >>> bart = BartForConditionalGeneration(BartConfig(**size, encoder_layers=1, decoder_layers=1)).eval()
    >>> source, target = torch.tensor([[3, 4, 5]]), torch.tensor([[2, 6]])
    >>> record_cross_attention("tiny", bart, source, target, ("a", "b", "c"), ("<s>", "d")).weights.shape
    (1, 16, 2, 3)
    """
    if len(source_ids) != 1:
        raise ValueError(f"source_ids must hold one text, got {len(source_ids)}")
    source_ids, target_ids = source_ids.to(model.device), target_ids.to(model.device)
    with recording(model) as kept, torch.inference_mode():
        outputs = model(source_ids, decoder_input_ids=target_ids, output_attentions=True)
        check_attentions(model, outputs.cross_attentions, target_ids.shape[1], source_ids.shape[1])
        arrays = _arrays(outputs.cross_attentions, kept)
    heads = arrays["weights"].shape[1]
    return AttentionTrace(name, "cross", target_tokens, source_tokens, key_value_heads=heads, **arrays)


@takes(pipe=Pipeline)
def record_translation(pipe: Pipeline, text: str) -> AttentionTrace:
    """Translate `text` and record where the decoder looked in it to write each token of the translation.

    Args:
        pipe: A pipeline for translation; it is run greedily.

    A row is named by the token that was *written* there, not by the one that was read.

    Raises:
        ValueError: The text is empty, or longer than the model can read.

    >>> from course_utils.models.pipelines import load_pipeline
    >>> record_translation(load_pipeline("translation"), "I love you.").query_tokens
    ('␣Je', '␣t', "'", 'aime', '.', '<eos>')
    """
    if not isinstance(text, str) or not text.strip():
        raise ValueError(f"text must be a text that is not empty, got {text!r}")
    source = pipe.preprocess(text)["input_ids"]
    target = pipe.model.generate(source, do_sample=False, num_beams=1)
    words = [tuple(pipe.tokenizer.decode([token]).replace(" ", "␣") for token in ids[0]) for ids in (source, target)]
    name = pipe.model.name_or_path.rstrip("/").rpartition("/")[-1]
    return record_cross_attention(name, pipe.model, source, target[:, :-1], words[0], words[1][1:])
