"""A tiny random Llama that writes letters: it runs in milliseconds, so a check can ask it for many texts.

It is an instrument, not a language model. Most of its logits are negative, its distributions are neither flat nor
certain, and every text can be cut into tokens in several ways. A mistake that SmolLM2 hides shows here.
"""

import copy
from functools import cache

import tokenizers
import torch
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from course_utils.models.loading import CausalLM

LETTERS = "abcdefghijklmnopqrstuvwxyz"
PAIRS = [first + second for second in "abc" for first in LETTERS][:70]  # tokens of two letters
AT_ONCE = 4  # tokens of a text that the narrow practice model reads in one call
_SEED = 15
_SHIFT = -4.0  # moves the zero of the logits; no probability changes by it
_SPREAD = 0.4  # of the output weights: larger ones make the model more certain


@cache
def practice_model() -> CausalLM:
    """Return the tiny model with its tokenizer; the same object every time in one process.

    Lesson: 15 · Capstone: your own generate()

    >>> practice = practice_model()
    >>> practice.model.num_parameters(), practice.encode("cab")
    (21760, tensor([[2, 0, 1]]))
    """
    config = LlamaConfig(
        vocab_size=len(LETTERS) + len(PAIRS), hidden_size=32, intermediate_size=48, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=256, tie_word_embeddings=False,
        initializer_range=0.25,  # ten times the usual, so that every token of the text has a say
    )  # fmt: skip
    with torch.random.fork_rng():  # the learner's own random numbers stay as they are
        torch.manual_seed(_SEED)
        model = LlamaForCausalLM(config).eval().requires_grad_(False)
        model.lm_head = _output_layer(*model.lm_head.weight.shape)
    model.generation_config = GenerationConfig()  # no token ends a text unless a check says so
    return CausalLM("the practice model", model, _tokenizer())


@cache
def narrow_practice_model() -> CausalLM:
    """Return a practice model that reads at most `AT_ONCE` tokens of a text per call: a longer text needs a KV cache.

    Lesson: none (exercise 15 checks with it that a beam search has a cache).

    >>> narrow_practice_model().next_logits("cabin")
    Traceback (most recent call last):
        ...
    ValueError: this model reads at most 4 tokens of a text at once, got 5: what it has read belongs in a cache
    """
    practice = practice_model()
    model = copy.deepcopy(practice.model)
    model.get_input_embeddings().register_forward_pre_hook(_check_width)  # every way of reading begins there
    return CausalLM("the narrow practice model", model, practice.tokenizer)


def _check_width(module: torch.nn.Module, arguments: tuple) -> None:
    width = arguments[0].shape[-1]
    if width > AT_ONCE:
        says = f"this model reads at most {AT_ONCE} tokens of a text at once, got {width}"
        raise ValueError(f"{says}: what it has read belongs in a cache")


def _output_layer(vocabulary: int, width: int) -> torch.nn.Linear:
    layer = torch.nn.Linear(width, vocabulary).requires_grad_(False)
    layer.weight.copy_(torch.randn(vocabulary, width) * _SPREAD)
    layer.bias.fill_(_SHIFT)
    return layer


def _tokenizer() -> PreTrainedTokenizerFast:
    words = {word: number for number, word in enumerate([*LETTERS, *PAIRS])}
    letters = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="a"))
    letters.pre_tokenizer = tokenizers.pre_tokenizers.Split("", "isolated")
    letters.decoder = tokenizers.decoders.Fuse()
    return PreTrainedTokenizerFast(tokenizer_object=letters)
