"""Tiny random models of many architectures, as people might bring them along; each is made in milliseconds."""

import copy
import inspect
from functools import cache

import torch
import transformers
from transformers import CONFIG_MAPPING, GenerationConfig
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES,
    MODEL_MAPPING_NAMES,
)

from tests.tiny_models import EOS, PAD, START, VOCABULARY, tiny_tokenizer

CONTEXT = 128
# What sizes are called in the configurations; of these, each architecture gets those it has.
SIZES = {
    **dict.fromkeys(("hidden_size", "d_model", "n_embd", "dim", "embedding_size"), 32),
    **dict.fromkeys(("intermediate_size", "ffn_dim", "n_inner", "d_ff", "hidden_dim", "encoder_ffn_dim"), 48),
    **dict.fromkeys(("num_hidden_layers", "n_layer", "n_layers", "num_layers", "encoder_layers"), 2),
    **dict.fromkeys(("num_attention_heads", "n_head", "n_heads", "num_heads", "encoder_attention_heads"), 4),
    **dict.fromkeys(("max_position_embeddings", "n_positions", "max_seq_len"), CONTEXT),
    **dict.fromkeys(("num_local_experts", "num_experts", "n_routed_experts"), 4),
    **{"num_key_value_heads": 2, "head_dim": 8, "moe_intermediate_size": 16, "num_experts_per_tok": 2},
    **{"vocab_size": VOCABULARY, "eos_token_id": EOS, "pad_token_id": PAD, "bos_token_id": START},
    **{"state_size": 8, "time_step_rank": 4, "d_kv": 8, "mamba_d_state": 8, "mamba_n_heads": 4, "mamba_d_head": 16},
    **{"mamba_expand": 2, "mamba_num_heads": 4, "mamba_head_dim": 16, "ssm_state_size": 8, "mamba_dt_rank": 4},
    **{"q_lora_rank": 8, "kv_lora_rank": 8, "qk_rope_head_dim": 8, "qk_nope_head_dim": 8, "v_head_dim": 8},
}
MORE = {
    "mistral": {"sliding_window": 4},
    "gemma2": {"sliding_window": 4},
    "gemma3_text": {"sliding_window": 4, "layer_types": ["sliding_attention", "full_attention"]},
    "cohere2": {"sliding_window": 4},
    "gpt_neo": {"attention_types": [[["global", "local"], 1]], "window_size": 4},
    "gptj": {"rotary_dim": 4},
    "falcon": {"multi_query": True},
    "deepseek_v3": {"num_key_value_heads": 4},
    "mamba2": {"num_heads": 8, "head_dim": 8, "expand": 2, "n_groups": 1, "chunk_size": 8},
    "recurrent_gemma": {"num_hidden_layers": 3, "lru_width": 32, "attention_window_size": 16, "num_key_value_heads": 1},
    "jamba": {"attn_layer_period": 2, "attn_layer_offset": 1, "expert_layer_period": 2, "use_mamba_kernels": False},
    "bamba": {"attn_layer_indices": [1], "mamba_n_groups": 1},
    "zamba2": {
        "num_hidden_layers": 3,
        "layers_block_type": ["mamba", "hybrid", "mamba"],
        "mamba_ngroups": 1,
        "n_mamba_heads": 4,
        "mamba_headdim": 16,
        "num_mem_blocks": 1,
        "num_key_value_heads": 4,
    },
    "falcon_h1": {"mamba_d_ssm": 64, "mamba_n_groups": 1, "mamba_chunk_size": 8},
    "nemotron_h": {"layers_block_type": ["mamba", "attention"], "n_groups": 1, "chunk_size": 8, "expand": 2},
    "qwen3_next": {"layer_types": ["linear_attention", "full_attention"]},
    "lfm2": {"layer_types": ["conv", "full_attention"]},
    "granitemoehybrid": {"layer_types": ["mamba", "attention"], "mamba_n_groups": 1},
    "rwkv": {"attention_hidden_size": 32},
    "minimax": {"layer_types": ["linear_attention", "full_attention"], "block_size": 4},
    "xlm": {"causal": True},
    "nllb-moe": {"decoder_layers": 2, "decoder_attention_heads": 4, "decoder_ffn_dim": 48},
    "modernbert": {"local_attention": 8},
    "deberta": {"relative_attention": True, "pos_att_type": ["c2p", "p2c"]},
    "deberta-v2": {"relative_attention": True, "pos_att_type": ["c2p", "p2c"]},
}


def config_of(kind, **more):
    """A tiny configuration of an architecture."""
    configuration = CONFIG_MAPPING[kind]
    names = set(inspect.signature(configuration.__init__).parameters) | set(configuration.attribute_map)
    for base in configuration.__mro__:
        names |= set(getattr(base, "__annotations__", {}))
    sizes = {name: size for name, size in SIZES.items() if name in names}
    return configuration(**sizes | MORE.get(kind, {}) | more)


@cache
def own_model(kind, dtype=torch.float32):
    """A causal LM whose next-token distributions are neither flat nor certain."""
    torch.manual_seed(0)
    model = getattr(transformers, MODEL_FOR_CAUSAL_LM_MAPPING_NAMES[kind])(config_of(kind))
    return with_random_weights(model).to(dtype)


def own_encoder(kind, **more):
    """An encoder, as `AutoModel` would make it."""
    torch.manual_seed(0)
    return getattr(transformers, MODEL_MAPPING_NAMES[kind])(config_of(kind, **more))


@cache
def own_translator(kind):
    """An encoder–decoder, as `AutoModelForSeq2SeqLM` would make it."""
    torch.manual_seed(0)
    made = getattr(transformers, MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES[kind])
    model = with_random_weights(made(config_of(kind, decoder_start_token_id=START)))
    model.generation_config.decoder_start_token_id = START
    return model


@torch.no_grad()
def with_random_weights(model):
    """Larger weights than a new model has: every token matters."""
    chance = torch.Generator().manual_seed(1)
    for name, weights in model.named_parameters():
        if weights.ndim == 2 and name.endswith("weight"):
            weights.normal_(0, 0.35, generator=chance)
    model.get_output_embeddings().weight.normal_(0, 0.6, generator=chance)
    model.generation_config = GenerationConfig(eos_token_id=EOS, pad_token_id=PAD, bos_token_id=START)
    return model.eval()


def own_tokenizer():
    """A tokenizer of one letter a token, with a padding token."""
    tokenizer = copy.deepcopy(tiny_tokenizer())  # one that a pipeline of another test hasn't turned to the left
    tokenizer.pad_token, tokenizer.eos_token = "<pad>", "<eos>"
    return tokenizer
