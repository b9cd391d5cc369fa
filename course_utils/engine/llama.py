"""The Llama architecture, step by step, on the weights of a `transformers` model.

`layer_outputs` walks through the layers; everything before it is one of its steps.

Source: Touvron et al. (2023), LLaMA. Equals `LlamaForCausalLM` of `transformers`.
Lesson: 08 · Attention; with a cache: 10 · Prefill and decode
"""

from collections.abc import Callable, Iterator, Sequence

import torch
from torch.nn.functional import silu
from transformers import LlamaForCausalLM
from transformers.models.llama.modeling_llama import LlamaAttention, LlamaDecoderLayer, LlamaMLP, LlamaRMSNorm

from course_utils.engine.attention import fused_attention, grouped_query_attention, merge_heads, split_heads
from course_utils.engine.cache import KeyValueCache
from course_utils.engine.masks import causal_mask
from course_utils.engine.rope import rope_rotation, rotate

Rotation = tuple[torch.Tensor, torch.Tensor]
Attend = Callable[..., tuple[torch.Tensor, torch.Tensor | None]]


def rms_norm(hidden: torch.Tensor, norm: LlamaRMSNorm) -> torch.Tensor:
    """Scale each position's vector of `(batch, seq, hidden)` to a mean square of 1, then by learned weights.

    Source: Zhang and Sennrich (2019), Root Mean Square Layer Normalization. Equals `LlamaRMSNorm`.

    >>> rms_norm(torch.tensor([3.0, 3.0]), LlamaRMSNorm(2).requires_grad_(False)).round(decimals=3)
    tensor([1., 1.])
    """
    return norm.weight * (hidden * torch.rsqrt(hidden.square().mean(-1, keepdim=True) + norm.variance_epsilon))


def feed_forward(hidden: torch.Tensor, mlp: LlamaMLP) -> torch.Tensor:
    """Work on each position of `(batch, seq, hidden)` alone, through a wider layer with a gate (SwiGLU).

    Source: Shazeer (2020), GLU Variants Improve Transformer. Equals `LlamaMLP`.

    >>> from course_utils.models import load_causal_lm
    >>> feed_forward(torch.zeros(1, 3, 576), load_causal_lm().model.model.layers[0].mlp).shape
    torch.Size([1, 3, 576])
    """
    return mlp.down_proj(silu(mlp.gate_proj(hidden)) * mlp.up_proj(hidden))


def self_attention(
    hidden: torch.Tensor,
    layer: LlamaAttention,
    rotation: Rotation,
    mask: torch.Tensor | None = None,
    cache: KeyValueCache | None = None,
    attend: Attend = grouped_query_attention,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Let every position read from the positions before it; return `(batch, seq, hidden)` and the weights.

    Args:
        hidden: `(batch, seq, hidden)`, normalised.
        rotation: Cosines and sines of the positions, from `rope_rotation`.
        mask: Boolean `(seq, key)`; None lets every query look at every key.
        cache: Keys and values of the tokens before `hidden`; the new ones are added to it.
        attend: `grouped_query_attention`, or `fused_attention`, which returns no weights.

    The weights are `(batch, query_heads, seq, key)`. Equals `LlamaAttention`.

    >>> from course_utils.models import load_causal_lm
    >>> layer = load_causal_lm().model.model.layers[0].self_attn
    >>> rotation = rope_rotation(torch.arange(3), layer.head_dim, base=100_000.0)
    >>> output, weights = self_attention(torch.zeros(1, 3, 576), layer, rotation, causal_mask(3, 3))
    >>> weights[0, 0]
    tensor([[1.0000, 0.0000, 0.0000],
            [0.5000, 0.5000, 0.0000],
            [0.3333, 0.3333, 0.3333]])
    """
    heads = layer.config.num_attention_heads, layer.config.num_key_value_heads
    query = rotate(split_heads(layer.q_proj(hidden), heads[0]), *rotation)
    key = rotate(split_heads(layer.k_proj(hidden), heads[1]), *rotation)
    value = split_heads(layer.v_proj(hidden), heads[1])
    if cache is not None:
        key, value = cache.append(layer.layer_idx, key, value)
    output, weights = attend(query, key, value, mask)
    return layer.o_proj(merge_heads(output)), weights


def decoder_layer(
    hidden: torch.Tensor,
    layer: LlamaDecoderLayer,
    rotation: Rotation,
    mask: torch.Tensor | None = None,
    cache: KeyValueCache | None = None,
    attend: Attend = grouped_query_attention,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Run one layer: attention, then feed-forward, each added to what came in. Arguments as `self_attention`.

    Equals `LlamaDecoderLayer`.

    >>> from course_utils.models import load_causal_lm
    >>> layer = load_causal_lm().model.model.layers[0]
    >>> rotation = rope_rotation(torch.arange(3), layer.self_attn.head_dim, base=100_000.0)
    >>> hidden, weights = decoder_layer(torch.zeros(1, 3, 576), layer, rotation, causal_mask(3, 3))
    >>> hidden.shape, weights.shape
    (torch.Size([1, 3, 576]), torch.Size([1, 9, 3, 3]))
    """
    normed = rms_norm(hidden, layer.input_layernorm)
    attended, weights = self_attention(normed, layer.self_attn, rotation, mask, cache, attend)
    hidden = hidden + attended
    return hidden + feed_forward(rms_norm(hidden, layer.post_attention_layernorm), layer.mlp), weights


@torch.inference_mode()
def layer_outputs(
    model: LlamaForCausalLM,
    ids: torch.Tensor,
    cache: KeyValueCache | None = None,
    attend: Attend = grouped_query_attention,
    known: Sequence[tuple[torch.Tensor, torch.Tensor | None]] = (),
) -> Iterator[tuple[torch.Tensor, torch.Tensor | None]]:
    """Read token ids `(batch, seq)`; after each layer, yield the hidden states and the attention weights.

    Args:
        ids: The tokens that are not yet in the cache.
        cache: What was read before; it grows by `ids`. None: nothing was, and nothing is kept.
        attend: `grouped_query_attention`, or `fused_attention`, which returns no weights.
        known: What the first layers yielded when they read the same ids; it is yielded again, not computed.

    Raises:
        ValueError: `model` is not a Llama with plain RoPE, or has fewer layers than are known; or there is a cache as
            well, which layers that are not computed would leave empty.

    >>> from course_utils.models import load_causal_lm
    >>> smollm = load_causal_lm()
    >>> hidden, weights = next(layer_outputs(smollm.model, smollm.encode("Hello world")))
    >>> hidden.shape, weights.shape
    (torch.Size([1, 2, 576]), torch.Size([1, 9, 2, 2]))
    """
    check_is_llama(model)
    if known and (cache is not None or len(known) > len(model.model.layers)):
        raise ValueError(
            f"known must be of at most {len(model.model.layers)} layers and go without a cache, got {len(known)}"
            + (" and a cache" if cache is not None else "")
        )
    before = 0 if cache is None else cache.length
    length = before + ids.shape[1]
    layers, config = model.model.layers, model.config
    positions = torch.arange(before, length, device=ids.device)
    rotation = rope_rotation(positions, layers[0].self_attn.head_dim, config.rope_parameters["rope_theta"])
    # One new token may look at everything: it is the last.
    mask = causal_mask(ids.shape[1], length).to(ids.device) if ids.shape[1] > 1 else None
    hidden = known[-1][0] if known else model.model.embed_tokens(ids)
    yield from known
    for layer in layers[len(known) :]:
        hidden, weights = decoder_layer(hidden, layer, rotation, mask, cache, attend)
        yield hidden, weights


@torch.inference_mode()
def llama_next_logits(model: LlamaForCausalLM, ids: torch.Tensor, cache: KeyValueCache | None = None) -> torch.Tensor:
    """Read token ids `(batch, seq)`; return the logits of the next token, `(batch, vocab)`.

    Arguments and errors as `layer_outputs`.

    >>> from course_utils.models import load_causal_lm
    >>> smollm = load_causal_lm()
    >>> logits = llama_next_logits(smollm.model, smollm.encode("The capital of France is"))
    >>> smollm.labels[logits[0].argmax()]
    '␣Paris'
    """
    for hidden, _ in layer_outputs(model, ids, cache, fused_attention):
        last_hidden = hidden[:, -1]
    return model.lm_head(rms_norm(last_hidden, model.model.norm))


def check_is_llama(model: torch.nn.Module) -> None:
    """Raise a ValueError in one sentence unless `model` is a Llama with plain RoPE that this module can run."""
    if not is_llama(model):
        kind = getattr(getattr(model, "config", None), "model_type", type(model).__name__)
        kind = f"{kind} in {model.dtype}" if isinstance(model, LlamaForCausalLM) else kind
        raise ValueError(f"model must be a LlamaForCausalLM with plain RoPE and SiLU in torch.float32, got {kind}")


def is_llama(model: torch.nn.Module) -> bool:
    """Tell whether this module can run `model`: a Llama in float32, on one device.

    In other formats, and with weights that are spread or packed, `transformers` rounds in places of its own.

    >>> from course_utils.models import load_causal_lm
    >>> is_llama(load_causal_lm().model)
    True
    """
    return (
        isinstance(model, LlamaForCausalLM)
        and model.config.rope_parameters["rope_type"] == "default"
        and model.config.hidden_act == "silu"
        and model.dtype == torch.float32
        and len(set(getattr(model, "hf_device_map", {}).values())) < 2
        and getattr(model, "hf_quantizer", None) is None
    )
