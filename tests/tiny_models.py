"""Tiny random models of every architecture that `generate` must handle, made in milliseconds."""

from functools import cache

import tokenizers
import torch
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    GenerationConfig,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    T5Config,
    T5ForConditionalGeneration,
)

VOCABULARY = 96
EOS, PAD, START = 1, 0, 2


def _config(kind):
    common = {"vocab_size": VOCABULARY, "eos_token_id": EOS, "pad_token_id": PAD, "bos_token_id": START}
    if kind == "llama":
        return LlamaForCausalLM, LlamaConfig(
            hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
            max_position_embeddings=128, tie_word_embeddings=False, **common,
        )  # fmt: skip
    if kind == "gpt2":
        return GPT2LMHeadModel, GPT2Config(
            n_embd=32, n_layer=2, n_head=4, n_positions=128, resid_pdrop=0, embd_pdrop=0, attn_pdrop=0, **common
        )
    if kind == "t5":
        return T5ForConditionalGeneration, T5Config(
            d_model=32, d_kv=8, d_ff=48, num_layers=2, num_heads=4, dropout_rate=0, decoder_start_token_id=START,
            **common,
        )  # fmt: skip
    return BartForConditionalGeneration, BartConfig(
        d_model=32, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4, decoder_attention_heads=4,
        encoder_ffn_dim=48, decoder_ffn_dim=48, max_position_embeddings=128, dropout=0,
        decoder_start_token_id=START, **common,
    )  # fmt: skip


@cache
def tiny_model(kind, seed=0):
    """A random model whose next-token distributions are neither flat nor certain, and that likes to end."""
    torch.manual_seed(seed)
    architecture, config = _config(kind)
    model = architecture(config).eval().requires_grad_(False)
    head = model.get_output_embeddings()
    scale = 3.0 if kind == "t5" else 0.6  # T5 scales its last hidden states down
    head.weight = torch.nn.Parameter(torch.randn(head.weight.shape) * scale, requires_grad=False)
    # transformers reads these, not the model's configuration, when it generates.
    model.generation_config = GenerationConfig(
        eos_token_id=EOS, pad_token_id=PAD, bos_token_id=START, decoder_start_token_id=START
    )
    return model


@cache
def tiny_tokenizer():
    """One token per letter, and 67 pairs of letters: so a string can be cut into tokens in several ways."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    pairs = [first + second for second in "abc" for first in letters][: VOCABULARY - 3 - len(letters)]
    words = ["<pad>", "<eos>", "<s>", *letters, *pairs]
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel({word: i for i, word in enumerate(words)}, "<pad>"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Split("", "isolated")
    tokenizer.decoder = tokenizers.decoders.Fuse()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer)
