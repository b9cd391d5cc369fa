"""Cached equals uncached, token by token; crop, reuse, copy and select do what they say."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import DynamicCache

from course_utils.engine.cache import KeyValueCache, shared_prefix
from course_utils.engine.llama import llama_next_logits
from course_utils.engine.prefill_decode import cache_length, crop_cache, decode_step, new_cache, prefill
from course_utils.models import load_causal_lm
from tests.examples import examples
from tests.tiny_models import VOCABULARY, tiny_model

texts = st.lists(st.integers(0, VOCABULARY - 1), min_size=2, max_size=20)
kinds = st.sampled_from(["llama", "gpt2", "llama with the cache of transformers"])


def model_and_cache(kind):
    model = tiny_model(kind.split()[0])
    return model, DynamicCache(config=model.config) if "transformers" in kind else new_cache(model)


def close(ours, theirs):
    return torch.allclose(ours, theirs, rtol=0, atol=1e-4)


def logits_at_end(model, ids):
    """What transformers says without any cache."""
    return model(ids, use_cache=False).logits[:, -1]


@given(kinds, texts, st.data())
@examples(60)
def test_cached_equals_uncached_token_by_token(kind, text, data):
    model, cache = model_and_cache(kind)
    ids = torch.tensor([text])
    prompt = data.draw(st.integers(1, len(text) - 1))
    logits, cache = prefill(model, ids[:, :prompt], cache)
    assert close(logits, logits_at_end(model, ids[:, :prompt]))
    for end in range(prompt + 1, len(text) + 1):
        logits = decode_step(model, ids[:, end - 1], cache)
        assert close(logits, logits_at_end(model, ids[:, :end]))
        assert cache_length(cache) == end


@given(kinds, texts, texts, st.integers(0, 10))
@examples(60)
def test_a_shared_prefix_is_reused(kind, first, second, common):
    model, cache = model_and_cache(kind)
    second = first[:common] + second
    prefill(model, torch.tensor([first]), cache)
    keep = min(shared_prefix(first, second), len(second) - 1)
    crop_cache(cache, keep)
    assert cache_length(cache) == keep
    logits, cache = prefill(model, torch.tensor([second]), cache)
    assert close(logits, logits_at_end(model, torch.tensor([second])))


@given(texts, st.lists(st.integers(0, 2), min_size=1, max_size=5))
@examples(30)
def test_select_follows_the_rows(text, rows):
    model = tiny_model("llama")
    ids = torch.tensor([text, text[::-1], [5] * len(text)])
    _, cache = prefill(model, ids[:, :-1])
    cache.select(rows)
    assert close(decode_step(model, ids[rows, -1], cache), logits_at_end(model, ids[rows]))


def test_a_copy_goes_its_own_way():
    model, ids = tiny_model("llama"), torch.tensor([[5, 6, 7]])
    _, cache = prefill(model, ids)
    twin = cache.copy()
    decode_step(model, torch.tensor([8]), cache)
    crop_cache(cache, 1)
    assert twin.length == 3
    assert close(decode_step(model, torch.tensor([9]), twin), logits_at_end(model, torch.tensor([[5, 6, 7, 9]])))


def test_bytes_are_counted_and_freed():
    smollm = load_causal_lm()
    logits, cache = prefill(smollm.model, smollm.encode("The capital of France is"))
    assert cache.bytes == 5 * 46_080
    assert smollm.labels[logits[0].argmax()] == "␣Paris"
    cache.crop(2)
    assert cache.bytes == 2 * 46_080
    assert sum(tensor.untyped_storage().nbytes() for tensor in [*cache.keys, *cache.values]) == cache.bytes
    cache.crop(0)
    assert (cache.bytes, cache.length) == (0, 0)


def test_smollm2_cached_equals_uncached_and_transformers():
    smollm = load_causal_lm()
    ids = smollm.encode("Once upon a time, there was a little girl who")
    logits, cache = prefill(smollm.model, ids)
    for _ in range(12):
        with torch.inference_mode():
            expected = logits_at_end(smollm.model, ids)
        assert torch.allclose(logits, expected, rtol=0, atol=1e-3)
        assert torch.allclose(llama_next_logits(smollm.model, ids), expected, rtol=0, atol=1e-3)
        token = logits.argmax(-1)
        ids = torch.cat([ids, token[:, None]], dim=1)
        logits = decode_step(smollm.model, token, cache)


@pytest.mark.parametrize("cache", [KeyValueCache(2), DynamicCache()])
def test_bad_input_gets_one_sentence(cache):
    model, ids = tiny_model("llama"), torch.tensor([[5, 6, 7]])
    with pytest.raises(ValueError, match=r"^cache must hold the prompt before a decode step, got an empty cache$"):
        decode_step(model, torch.tensor([5]), cache)
    prefill(model, ids, cache)
    with pytest.raises(ValueError, match=r"^ids must hold more tokens than the cache \(3\), got 3$"):
        prefill(model, ids, cache)
    with pytest.raises(ValueError, match=r"^length must be at most the cache's 3 tokens, got 4$"):
        crop_cache(cache, 4)
    with pytest.raises(ValueError, match=r"^length must be a whole number of at least 0, got -1$"):
        crop_cache(cache, -1)


@given(texts, texts)
def test_shared_prefix(first, second):
    length = shared_prefix(first, second)
    assert first[:length] == second[:length]
    assert first[length : length + 1] != second[length : length + 1] or length == min(len(first), len(second))
