"""A model of your own: it generates what `transformers` generates, and every trace runs or says what it needs.

transformers 5.23.0. Two differences are on purpose: `transformers` refuses beam search with RWKV, ours reads the text
again; and with the caches of RWKV and MiniMax it gives a padded batch another answer than without, and with MiniMax's
other beams, too. Ours has none for them, so it equals `use_cache=False` there.
"""

import copy
import re
from pathlib import Path

import numpy as np
import pytest
import tokenizers
import torch
from transformers import (
    AutoModelForCausalLM,
    BartConfig,
    BartModel,
    BertForMaskedLM,
    BertLMHeadModel,
    BertModel,
    Gemma3Config,
    Gemma3ForConditionalGeneration,
    GPT2Model,
    LlamaForCausalLM,
    LlamaModel,
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    T5Config,
    T5EncoderModel,
    WhisperConfig,
    WhisperForConditionalGeneration,
    pipeline,
)

from course_utils import traces, widgets
from course_utils.engine.generate import generate, search_beams, stream
from course_utils.engine.prefill_decode import decode_step, new_cache, prefill
from course_utils.experiments.greedy_answers import greedy_answers, next_probabilities
from course_utils.measuring.memory import kv_cache_bytes, measured_cache_bytes
from course_utils.measuring.model_shapes import NO_LIMIT, ModelShape
from course_utils.models import CausalLM, Encoder
from course_utils.models.architectures import keeps_keys_and_values, transformers_cache
from course_utils.serving.local_servers import own_server
from tests.other_device import OnCard, pretended_card
from tests.own_models import (
    CONTEXT,
    config_of,
    own_encoder,
    own_model,
    own_tokenizer,
    own_translator,
    with_random_weights,
)
from tests.tiny_models import PAD, VOCABULARY, tiny_model, tiny_tokenizer

ATTENTION = [
    *("llama", "mistral", "mixtral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3_text", "phi", "phi3", "gpt2"),
    *("gpt_neox", "gptj", "gpt_neo", "gpt_bigcode", "gpt_oss", "opt", "bloom", "falcon", "mpt", "stablelm", "olmo2"),
    *("cohere", "cohere2", "starcoder2", "granite", "smollm3", "deepseek_v3"),
]
STATES = [
    *("mamba", "mamba2", "falcon_mamba", "recurrent_gemma", "jamba", "bamba", "zamba2", "falcon_h1", "nemotron_h"),
    *("qwen3_next", "lfm2", "granitemoehybrid", "rwkv"),
]
ENCODERS = [
    *("bert", "roberta", "xlm-roberta", "distilbert", "electra", "albert", "mpnet", "deberta", "deberta-v2"),
    *("modernbert", "camembert"),
]
READS_PADDING = ["convbert", "fnet", "nystromformer", "yoso"]
TEXT = "abcabcxyz"
IDS = torch.tensor([[5, 6, 7, 8, 9, 5, 6]])
BATCH, MASK = torch.tensor([[PAD, PAD, 5, 6, 7], [8, 9, 5, 6, 7]]), torch.tensor([[0, 0, 1, 1, 1], [1] * 5])


def theirs(model, ids, **settings):
    """What transformers generates, without its padding."""
    made = model.generate(ids, **{"attention_mask": torch.ones_like(ids), "do_sample": False} | settings)
    return [[token for token in row if token != PAD] for row in made[:, ids.shape[1] :].tolist()]


def ours(model, ids, **settings):
    return [[token for token in text.ids if token != PAD] for text in generate(model, ids, **settings)]


@pytest.mark.parametrize("kind", [*ATTENTION, *STATES, "openai-gpt"])
def test_the_same_tokens_as_transformers(kind):
    model = own_model(kind)
    assert ours(model, IDS, max_new_tokens=8) == theirs(model, IDS, max_new_tokens=8)
    if kind != "rwkv":
        padded = {"attention_mask": MASK, "max_new_tokens": 4}
        assert ours(model, BATCH, **padded) == theirs(model, BATCH, **padded)
        beams = {"num_beams": 3, "max_new_tokens": 4}
        assert ours(model, IDS, **beams) == theirs(model, IDS, **beams)


def test_without_a_cache_of_its_own_it_is_what_transformers_gives_without_one():
    model = own_model("minimax")
    for ids, settings in ((BATCH, {"attention_mask": MASK}), (IDS, {"num_beams": 3}), (IDS, {})):
        wanted = theirs(model, ids, use_cache=False, max_new_tokens=4, **settings)
        assert ours(model, ids, max_new_tokens=4, **settings) == wanted


def test_a_row_is_the_same_alone_and_in_a_padded_batch():
    """GPT-1 has positions and no cache: those of a padded row are counted all the same."""
    model = own_model("openai-gpt")
    alone = ours(model, BATCH[:1, 2:], max_new_tokens=4)
    assert ours(model, BATCH, attention_mask=MASK, max_new_tokens=4)[:1] == alone


def test_an_encoder_with_experts_gives_the_same_tokens():
    model = own_translator("nllb-moe")
    ids = torch.tensor([[5, 6, 7, 8, 1]])
    for settings in ({"max_new_tokens": 6}, {"max_new_tokens": 4, "num_beams": 3}):
        mask = torch.ones_like(ids)
        wanted = model.generate(ids, attention_mask=mask, do_sample=False, **settings)[:, 1:].tolist()
        assert ours(model, ids, **settings) == [[token for token in row if token != PAD] for row in wanted]


def test_a_model_that_adds_a_token_to_the_text_is_refused_in_one_sentence():
    model = own_model("xlm")
    said = (
        "^model must predict the next token at the last one of the text, got XLMWithLMHeadModel, which adds a token to "
        "it and predicts there$"
    )
    with pytest.raises(ValueError, match=said):
        CausalLM.wrap(model, own_tokenizer())
    with pytest.raises(ValueError, match=said):
        generate(model, IDS)


@pytest.mark.parametrize("kind", ["mistral", "mamba", "rwkv", "jamba", "bloom"])
def test_with_and_without_a_cache_is_the_same(kind):
    model = own_model(kind)
    assert ours(model, IDS, max_new_tokens=8, use_cache=False) == ours(model, IDS, max_new_tokens=8)
    assert len(search_beams(model, IDS, num_beams=2, max_new_tokens=2).finished) == 2
    assert [token.id for token in stream(model, IDS, tiny_tokenizer(), max_new_tokens=3)] == list(
        generate(model, IDS, max_new_tokens=3)[0].ids
    )


@pytest.mark.parametrize("kind", ["gemma3_text", "llama"])
def test_a_static_cache_gives_the_same_tokens(kind):
    model = copy.deepcopy(own_model(kind))
    model.generation_config.cache_implementation = "static"
    assert ours(model, IDS, max_new_tokens=6) == theirs(model, IDS, max_new_tokens=6)


@pytest.mark.parametrize("implementation", ["eager", "sdpa"])
def test_with_either_implementation_of_attention(implementation):
    model = copy.deepcopy(own_model("qwen2"))
    model.set_attn_implementation(implementation)
    mine = CausalLM.wrap(model, own_tokenizer())
    assert [name for name in RECORD if name != "tokenization" and RECORD[name](mine) is None] == []
    assert model.config._attn_implementation == implementation


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("kind", ["llama", "gpt2", "gemma2", "mamba"])
def test_in_half_precision_too(kind, dtype):
    model = own_model(kind, dtype)
    assert ours(model, IDS, max_new_tokens=6) == theirs(model, IDS, max_new_tokens=6)
    mine = CausalLM.wrap(model, own_tokenizer())
    trace = traces.record_next_token(mine, TEXT)
    assert trace.logits.dtype == np.float32
    assert len(traces.record_generation(mine, TEXT, max_new_tokens=2).new_tokens) == 2
    if kind != "mamba":
        assert np.allclose(traces.record_attention(mine, TEXT).weights.sum(-1), 1, atol=0.02)


RECORD = {
    "next_token": lambda mine: traces.record_next_token(mine, TEXT),
    "surprisals": lambda mine: traces.record_surprisals(mine, TEXT),
    "attention": lambda mine: traces.record_attention(mine, TEXT),
    "embeddings": lambda mine: traces.record_embeddings(mine, ["abcd", ("abcdxyz", "xyz")]),
    "generation": lambda mine: traces.record_generation(mine, TEXT, max_new_tokens=3),
    "cache": lambda mine: traces.record_cache(mine, TEXT, max_new_tokens=3),
    "repetition": lambda mine: traces.record_repetition(mine, TEXT, max_new_tokens=3, repetition_penalty=1.3),
    "beams": lambda mine: traces.record_beams(mine, TEXT, to_the_end=True, num_beams=2, max_new_tokens=2),
    "masks": lambda mine: traces.record_masks(mine, ["abc", "abcdef"]),
    "tokenization": lambda mine: traces.record_tokenization(mine, TEXT),
}
NEVER_FAIL = ("next_token", "surprisals", "embeddings", "generation", "repetition", "beams")
RUNS_IN_FULL = ["llama", "gpt2", "qwen2", "phi", "olmo2", "stablelm", "starcoder2", "granite", "gpt_neox"]


def outcome(kind, name):
    """None where the trace is recorded; the sentence where it says what it needs."""
    try:
        RECORD[name](CausalLM.wrap(own_model(kind), own_tokenizer()))
    except ValueError as error:
        return str(error)
    return None


@pytest.mark.parametrize("kind", [*ATTENTION, "mamba", "recurrent_gemma", "jamba", "falcon_h1", "lfm2", "rwkv"])
def test_every_trace_runs_or_says_what_it_needs(kind):
    said = {name: outcome(kind, name) for name in RECORD}
    assert {name for name in NEVER_FAIL if said[name]} == set()
    for name, sentence in said.items():
        if sentence:
            begins = "tokenizer must be" if name == "tokenization" else "model must "
            assert sentence.startswith(begins), (name, sentence)
            assert "\n" not in sentence
    if kind in RUNS_IN_FULL:
        assert [name for name in said if said[name]] == ["tokenization"]  # one letter a token is no BPE


ONE_SIZE = "keep keys and values of one size of all tokens, in every layer, for this picture: got "


@pytest.mark.parametrize(
    ("kind", "name", "sentence"),
    [
        ("mamba", "attention", "return its weights of attention, got MambaForCausalLM, which returns none"),
        ("mamba", "cache", ONE_SIZE + "MambaForCausalLM"),
        ("mamba", "masks", "take a mask of its own for every query and key, got MambaForCausalLM, which uses another"),
        ("jamba", "attention", "have attention in every layer, got JambaForCausalLM, which has it in 1 only"),
        ("mistral", "cache", ONE_SIZE + "MistralForCausalLM"),
        ("bloom", "masks", "take a mask of its own for every query and key, got BloomForCausalLM, which uses another"),
    ],
)
def test_the_sentences(kind, name, sentence):
    assert outcome(kind, name) == f"model must {sentence}"


def test_speed_is_measured_or_says_what_it_needs():
    settings = {"prompt_lengths": [4], "new_tokens": 2, "batches": [1, 2], "repeats": 1, "dtypes": ["fp32", "bf16"]}
    trace = traces.record_speed(CausalLM.wrap(own_model("gpt2"), own_tokenizer()), **settings)
    assert trace.batches.tolist() == [1, 2, 1, 2]
    with pytest.raises(ValueError, match=r"^model must keep keys and values of one size per token in every layer"):
        traces.record_speed(CausalLM.wrap(own_model("mamba"), own_tokenizer()), **settings)


def test_widgets_open_on_a_model_of_your_own():
    mine = CausalLM.wrap(own_model("gemma2"), own_tokenizer())
    assert "Gemma2ForCausalLM" in widgets.attention_explorer(mine, TEXT).describe()
    assert widgets.beam_tree(mine, "abc", num_beams=2, steps=2).tree["model"] == "Gemma2ForCausalLM"
    assert widgets.embedding_map(mine, ["abc", "abd", "xyz"]).figure()
    assert widgets.repetition_lab(mine, "abc", max_new_tokens=3).describe()
    for kind in ("bloom", "gpt_oss", "falcon"):
        explorer = widgets.attention_explorer(CausalLM.wrap(own_model(kind), own_tokenizer()), TEXT)
        assert explorer.static_bundle()[0]["image/png"]
        assert ("adds up to 1" in explorer.describe()) == (kind != "gpt_oss")
    assert widgets.cache_stepper(CausalLM.wrap(own_model("bloom"), own_tokenizer()), "abc", 2).describe()
    state = CausalLM.wrap(own_model("mamba"), own_tokenizer())
    assert widgets.SamplingLab(traces.record_next_token(state, "abc"), top_k=2).describe()
    explorer = widgets.next_token_explorer(lambda text: traces.record_surprisals(state, text), "abc", "abd")
    assert "MambaForCausalLM" in explorer.describe()


@pytest.mark.parametrize("kind", ["llama", "mistral", "gemma2", "gpt2", "gpt_oss", "falcon", "bloom", "phi", "cohere"])
def test_attention_is_that_of_the_model(kind):
    """Whatever an architecture does to its scores: a cap (Gemma 2), a place that is no token (GPT-OSS)."""
    mine = CausalLM.wrap(own_model(kind), own_tokenizer())
    before = mine.model.config._attn_implementation
    trace = traces.record_attention(mine, TEXT)
    assert mine.model.config._attn_implementation == before
    with traces.attention.eager_attention(mine.model), torch.inference_mode():
        expected = mine.model(mine.encode(TEXT), output_attentions=True).attentions
    np.testing.assert_allclose(trace.weights, torch.cat(expected).float().numpy(), atol=1e-5)
    if kind not in ("gpt_oss", "falcon", "bloom"):
        assert trace.scores is not None


@pytest.mark.parametrize(("kind", "heads"), [("falcon", 1), ("gpt_bigcode", 1), ("llama", 2), ("bloom", 4)])
def test_key_value_heads_are_counted(kind, heads):
    mine = CausalLM.wrap(own_model(kind), own_tokenizer())
    assert ModelShape.of(kind, mine.model).key_value_heads == heads
    assert traces.record_cache(mine, "abc", 2).key_value_heads == heads


@pytest.mark.parametrize("kind", [kind for kind in ATTENTION if kind != "deepseek_v3"])
def test_the_formula_gives_the_bytes_of_the_real_cache(kind):
    model, cache = own_model(kind), transformers_cache(own_model(kind))
    with torch.inference_mode():
        model(IDS[:, :3], past_key_values=cache, use_cache=True)  # within every window
    assert measured_cache_bytes(cache) == kv_cache_bytes(ModelShape.of(kind, model), tokens=3)


def test_a_state_stays_as_large_as_it_is():
    trace = traces.record_generation(CausalLM.wrap(own_model("mamba"), own_tokenizer()), TEXT, max_new_tokens=3)
    assert trace.cache_tokens.tolist() == [9, 10, 11]
    assert len(set(trace.cache_bytes.tolist())) == 1
    assert trace.cache_bytes[0] > 0


def test_prefill_and_decode_need_keys_and_values():
    for kind in ("mamba", "rwkv", "recurrent_gemma"):
        assert not keeps_keys_and_values(own_model(kind))
        with pytest.raises(ValueError, match=rf"^model must keep keys and values .* got {kind}, which keeps none$"):
            new_cache(own_model(kind))
    for kind in ("jamba", "gpt2", "mistral"):
        logits, cache = prefill(own_model(kind), IDS)
        after = decode_step(own_model(kind), logits.argmax(-1), cache)
        assert [logits.argmax().item(), after.argmax().item()] == theirs(own_model(kind), IDS, max_new_tokens=2)[0]


def test_the_experiments_run_on_it():
    for kind in ("mistral", "mamba", "jamba"):
        model, tokenizer = own_model(kind), own_tokenizer()
        answers = greedy_answers(model, tokenizer, ["abcx", "abcyz"], max_new_tokens=3, ends="")
        alone = [
            theirs(model, torch.tensor([tokenizer(text).input_ids]), max_new_tokens=3)[0] for text in ("abcx", "abcyz")
        ]
        assert [answer.text for answer in answers] == [tokenizer.decode(ids) for ids in alone]
        for text, row in zip(["abcx", "abcyz"], next_probabilities(model, tokenizer, ["abcx", "abcyz"]), strict=True):
            with torch.inference_mode():
                logits = model(torch.tensor([tokenizer(text).input_ids])).logits[0, -1]
            assert torch.allclose(row, logits.softmax(-1), atol=1e-4)


def test_the_lines_of_the_readme_run(tmp_path):
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    code = re.search(r"## A model of your own.*?```python\n(.*?)```", readme, re.DOTALL)[1]
    own_model("gpt2").save_pretrained(tmp_path / "gpt2")
    own_tokenizer().save_pretrained(tmp_path / "gpt2")
    names = {}
    exec(code.replace('"gpt2"', repr(str(tmp_path / "gpt2"))).replace("The cat sat on the mat", TEXT), names)
    assert names["mine"].name == "gpt2"


# ---------------------------------------------------------------------------------------- what wrap takes and refuses


@pytest.mark.parametrize("kind", ATTENTION + STATES)
def test_a_causal_lm_is_wrapped(kind):
    model = own_model(kind).train()
    mine = CausalLM.wrap(model, own_tokenizer())
    assert not model.training  # dropout would give another answer each time
    with torch.inference_mode():
        expected = model(mine.encode(TEXT), use_cache=False).logits[0, -1]
    torch.testing.assert_close(mine.next_logits(TEXT), expected, atol=1e-4, rtol=1e-4)
    without = ("bloom", "mamba", "mamba2", "falcon_mamba", "recurrent_gemma")
    assert mine.context_length == (None if kind in without else CONTEXT)
    assert ModelShape.of(kind, model).context_length == NO_LIMIT if kind == "bloom" else True


@pytest.mark.parametrize("kind", ENCODERS)
def test_an_encoder_is_wrapped(kind):
    mine = Encoder.wrap(own_encoder(kind), own_tokenizer())
    alone, beside = mine.embed(["abc"]), mine.embed(["abc", "abcdefgh"])
    torch.testing.assert_close(alone[0], beside[0], atol=1e-4, rtol=0)
    assert mine.embed(["abcd" * 100]).isfinite().all()  # cut at the context length
    assert np.allclose(traces.record_attention(mine, "abcdef").weights.sum(-1), 1, atol=1e-4)
    assert traces.record_embeddings(mine, ["abc", ("abcdef", "def")]).states.shape[1] == 2
    unused = {"roberta": 1, "xlm-roberta": 1, "camembert": 1, "mpnet": 2}  # of the table of positions
    assert mine.context_length == CONTEXT - unused.get(kind, 0)


@pytest.mark.parametrize("kind", READS_PADDING)
def test_a_text_has_one_vector_also_where_padding_is_read_as_text(kind):
    mine = Encoder.wrap(own_encoder(kind), own_tokenizer())
    together = mine.embed(["abcdefgh", "abc", "xyz", "abcdefgz"])
    for row, text in enumerate(["abcdefgh", "abc", "xyz", "abcdefgz"]):
        torch.testing.assert_close(mine.embed([text])[0], together[row], atol=1e-5, rtol=0)


def small_bart():
    size = {"encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 4, "decoder_attention_heads": 4}
    return BartModel(BartConfig(vocab_size=VOCABULARY, d_model=32, encoder_ffn_dim=48, decoder_ffn_dim=48, **size))


def test_heads_are_taken_off_an_encoder():
    bert = BertForMaskedLM(config_of("bert"))
    assert Encoder.wrap(bert, own_tokenizer()).model is bert.bert
    t5 = T5EncoderModel(T5Config(vocab_size=VOCABULARY, d_model=32, d_kv=8, d_ff=48, num_layers=2, num_heads=4))
    for encoder in (t5, small_bart().get_encoder()):
        assert Encoder.wrap(encoder, own_tokenizer()).embed(["abc", "abcde"]).shape == (2, 32)


# What torch.compile makes, without the seconds that it takes.
COMPILED = type("OptimizedModule", (torch.nn.Module,), {"_orig_mod": None})()
REFUSED = {
    "a name": (CausalLM, lambda: "gpt2", TypeError, r"got str: load it with transformers first, .*'gpt2'\)"),
    "a class": (CausalLM, lambda: LlamaForCausalLM, TypeError, "got the class LlamaForCausalLM: make or load a model"),
    "nothing": (CausalLM, lambda: None, TypeError, "got NoneType"),
    "a pipeline": (
        CausalLM,
        lambda: pipeline("text-generation", model=own_model("gpt2"), tokenizer=own_tokenizer()),
        TypeError,
        "got TextGenerationPipeline: give the model inside it, .model",
    ),
    "wrapped twice": (
        CausalLM,
        lambda: CausalLM.wrap(own_model("gpt2"), own_tokenizer()),
        TypeError,
        "got CausalLM: give the model inside it, .model",
    ),
    "compiled": (CausalLM, lambda: COMPILED, TypeError, "as it was before torch.compile"),
    "another module": (CausalLM, lambda: torch.nn.Linear(1, 1), TypeError, "got Linear$"),
    "no head": (CausalLM, lambda: GPT2Model(config_of("gpt2")), ValueError, "got GPT2Model, which has no head"),
    "an encoder": (CausalLM, lambda: BertModel(config_of("bert")), ValueError, "use Encoder.wrap for an encoder"),
    "a masked LM": (CausalLM, lambda: BertForMaskedLM(config_of("bert")), ValueError, "use Encoder.wrap"),
    "an encoder as LM": (
        CausalLM,
        lambda: BertLMHeadModel(config_of("bert")),
        ValueError,
        "in which a token sees those after it",
    ),
    "both": (CausalLM, lambda: tiny_model("bart"), ValueError, "an encoder–decoder: give it to generate"),
    "speech": (
        CausalLM,
        lambda: WhisperForConditionalGeneration(WhisperConfig(
            vocab_size=VOCABULARY, d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
            decoder_attention_heads=2, encoder_ffn_dim=16, decoder_ffn_dim=16, pad_token_id=PAD,
        )),
        ValueError,
        "an encoder–decoder",
    ),
    "no memory": (CausalLM, lambda: BertModel(config_of("bert")).to("meta"), ValueError, "meta device"),
    "a decoder": (Encoder, lambda: LlamaModel(config_of("llama")), ValueError, "before it: use CausalLM.wrap"),
    "a causal LM": (Encoder, lambda: own_model("llama"), ValueError, "only those before it: use CausalLM.wrap"),
    "both for Encoder": (Encoder, small_bart, ValueError, r"give its encoder, model.get_encoder\(\)"),
    "characters": (
        Encoder, lambda: own_encoder("canine"), ValueError, "model must have a table of tokens, got CanineModel"
    ),
    "a name for Encoder": (Encoder, lambda: "bert-base-uncased", TypeError, r"AutoModel.from_pretrained\('bert"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_anything_else_is_refused_in_one_sentence(case):
    kind, make, error, sentence = REFUSED[case]
    with pytest.raises(error, match=sentence) as caught:
        kind.wrap(make(), own_tokenizer())
    assert str(caught.value).startswith("model must ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("tokenizer", "advice"),
    [
        ("gpt2", r"got str: load it with transformers first, AutoTokenizer.from_pretrained\('gpt2'\)"),
        (None, "got NoneType$"),
        (tokenizers.Tokenizer(tokenizers.models.BPE()), "PreTrainedTokenizerFast"),
        (type("Processor", (), {"tokenizer": tiny_tokenizer()})(), "give the tokenizer inside it"),
    ],
)
def test_a_tokenizer_must_be_one(tokenizer, advice):
    with pytest.raises(TypeError, match=rf"^tokenizer must be a tokenizer of transformers, .*{advice}"):
        CausalLM.wrap(own_model("gpt2"), tokenizer)


def test_a_server_needs_a_chat_template():
    with (
        pytest.raises(ValueError, match=r"^tokenizer must have a chat template to serve a chat, got none"),
        own_server(own_model("gpt2"), own_tokenizer()),
    ):
        pass


def test_it_is_called_as_where_it_came_from(tmp_path):
    own_model("gpt2").save_pretrained(tmp_path / "my-model")
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "my-model")
    assert CausalLM.wrap(loaded, own_tokenizer()).name == "my-model"
    assert CausalLM.wrap(own_model("gpt2"), own_tokenizer()).name == "GPT2LMHeadModel"


def word_tokenizer(words, **settings):
    """A tokenizer with these tokens, cut at spaces."""
    model = tokenizers.models.WordLevel({word: number for number, word in enumerate(words)}, words[0])
    tokenizer = tokenizers.Tokenizer(model)
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **settings)


def test_a_tokenizer_with_nothing_but_tokens():
    """No end, no padding, no chat template, no length, and fewer tokens than the model has rows."""
    mine = CausalLM.wrap(own_model("gpt2"), word_tokenizer(["a", "b", "c"]))
    assert len(mine.labels) == VOCABULARY
    assert mine.labels[2:5] == ["c", "<3>", "<4>"]
    assert len(traces.record_generation(mine, "a b c", max_new_tokens=3).new_tokens) == 3
    with pytest.raises(
        ValueError, match=r"^tokenizer must have a padding token to fill up the short prompts, got none"
    ):
        traces.record_masks(mine, ["a b", "a"])
    encoder = Encoder.wrap(own_encoder("bert"), word_tokenizer(["a", "b", "c"]))
    assert encoder.embed(["a b", "b c"]).shape == (2, 32)
    torch.testing.assert_close(encoder.embed(["a b", "a"])[1:], encoder.embed(["a"]))
    assert encoder.embed(["a " * 500]).isfinite().all()


def test_a_tokenizer_of_another_model():
    words = [f"w{number}" for number in range(VOCABULARY + 5)]
    mine = CausalLM.wrap(own_model("gpt2"), word_tokenizer(words))
    with pytest.raises(ValueError, match=r"its tokenizer makes 99 of it: they do not belong together$"):
        mine.next_logits("w1 w99")
    with pytest.raises(ValueError, match=r"^texts must have tokens that BertModel knows"):
        Encoder.wrap(own_encoder("bert"), word_tokenizer(words, pad_token="w0")).embed(["w1", "w99 w3"])
    with pytest.raises(ValueError, match="prompt must have at least one token for GPT2LMHeadModel, got ' '"):
        mine.encode(" ")


def test_tokens_of_sentencepiece_are_visible():
    mine = CausalLM.wrap(own_model("gpt2"), word_tokenizer(["▁Paris", "<0xE2>", "<0x0A>", "ab", "▁▁"]))
    assert mine.labels[:5] == ["␣Paris", "<E2>", "<0A>", "ab", "␣␣"] or mine.labels[0] == "␣Paris"


def test_quantised_linear_layers():
    model = torch.ao.quantization.quantize_dynamic(copy.deepcopy(own_model("opt")), {torch.nn.Linear})
    mine = CausalLM.wrap(model, own_tokenizer())
    assert len(mine.labels) == VOCABULARY
    assert ours(model, IDS, max_new_tokens=4) == theirs(model, IDS, max_new_tokens=4)


def small_vision_models():
    text = {"vocab_size": VOCABULARY, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
            "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": CONTEXT}  # fmt: skip
    gemma = Gemma3Config(
        text_config=text | {"head_dim": 8}, mm_tokens_per_image=4, image_token_index=90, boi_token_index=91,
        eoi_token_index=92, vision_config={"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1,
                                           "num_attention_heads": 2, "image_size": 8, "patch_size": 4},
    )  # fmt: skip
    rope = {"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 10_000.0}
    qwen = Qwen2_5_VLConfig(
        text_config=text | {"rope_parameters": rope},
        vision_config={"depth": 1, "hidden_size": 16, "intermediate_size": 16, "num_heads": 2, "out_hidden_size": 32},
        image_token_id=90, video_token_id=91, vision_start_token_id=92, vision_end_token_id=93,
    )  # fmt: skip
    return [Gemma3ForConditionalGeneration(gemma), Qwen2_5_VLForConditionalGeneration(qwen)]


def test_the_text_part_of_a_vision_language_model():
    for model in map(with_random_weights, small_vision_models()):
        mine = CausalLM.wrap(model, own_tokenizer())
        assert mine.context_length == CONTEXT
        assert ours(model, IDS, max_new_tokens=5) == theirs(model, IDS, max_new_tokens=5)
        padded = {"attention_mask": MASK, "max_new_tokens": 3}
        assert ours(model, BATCH, **padded) == theirs(model, BATCH, **padded)
        assert traces.record_attention(mine, TEXT).weights.shape == (2, 4, 9, 9)
        assert traces.record_beams(mine, "abc", num_beams=2, max_new_tokens=2).finished.size


# ----------------------------------------------------------------------------------------------- on another device


def test_the_pretended_card_refuses_what_a_real_one_refuses():
    with pretended_card(own_model("gpt2")) as model:
        there = torch.arange(3, device=model.device)
        assert isinstance(there, OnCard)
        with pytest.raises(RuntimeError, match="another on the processor"):
            there + torch.arange(3)
        with pytest.raises(TypeError, match=r"use \.cpu"):
            there.numpy()
        assert (there + there.cpu().to(model.device)).tolist() == [0, 2, 4]


@pytest.mark.parametrize("kind", ["llama", "gpt2", "mamba", "t5"])
def test_everything_is_made_on_the_models_device(kind):
    model = own_model(kind) if kind != "t5" else tiny_model("t5")
    settings = [
        {"max_new_tokens": 4},
        {"max_new_tokens": 4, "use_cache": False},
        {"max_new_tokens": 4, "num_beams": 2},
        {"max_new_tokens": 4, "min_new_tokens": 3, "penalties": [
            ("repetition_penalty", 1.5), ("no_repeat_ngram", 1), ("presence_penalty", 0.5), ("frequency_penalty", 0.5)
        ]},
        {"max_new_tokens": 2, "do_sample": True, "filters": [
            ("temperature", 0.5), ("top_p", 0.9), ("min_p", 0.1), ("top_k", 1)
        ]},
    ]  # fmt: skip
    with pretended_card(model) as there:
        for each in settings:
            assert ours(there, IDS, **each) == ours(model, IDS, **each)
        if kind != "t5":
            padded = {"attention_mask": MASK, "max_new_tokens": 2}
            assert ours(there, BATCH, **padded) == ours(model, BATCH, **padded)


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_traces_bring_their_numbers_to_the_processor(kind):
    here = CausalLM.wrap(own_model(kind), own_tokenizer())
    with pretended_card(own_model(kind)) as model:
        there = CausalLM(here.name, model, own_tokenizer())
        for name in RECORD:
            if name not in ("tokenization", "masks"):
                assert type(RECORD[name](there)) is type(RECORD[name](here)), name
        np.testing.assert_allclose(RECORD["next_token"](there).logits, RECORD["next_token"](here).logits, atol=1e-5)
        with pytest.raises(ValueError, match=r"^model must be on the processor, whose rates it is compared with"):
            traces.record_speed(there, [4], 2)


def test_an_encoder_on_another_device():
    here = Encoder.wrap(own_encoder("bert"), own_tokenizer())
    with pretended_card(here.model) as model:
        there = Encoder(here.name, model, own_tokenizer())
        torch.testing.assert_close(there.embed(["abc", "abcd"]).cpu(), here.embed(["abc", "abcd"]))
        assert traces.record_attention(there, "abc").kind == "bidirectional"
