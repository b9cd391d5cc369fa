"""The memory calculator: bytes against real tensors, golden words, the page's numbers, one-sentence errors."""

import json
import os
import subprocess
from dataclasses import replace

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from course_utils.engine.prefill_decode import prefill
from course_utils.figures.memory_bars import memory_bars
from course_utils.measuring import memory_budget
from course_utils.measuring.memory import measured_cache_bytes, measured_weight_bytes
from course_utils.measuring.model_shapes import PUBLISHED, ModelShape
from course_utils.models import load_causal_lm
from course_utils.widgets import MemoryCalculator
from course_utils.widgets.base import page_module
from tests.budgets import MOST_ESM_BYTES

RUN = {"weights": 538_060_032, "cache": 4_608_000, "tokens": 100}
GOLDEN = """\
Memory calculator: SmolLM2-135M, weights fp32, KV cache fp32, 1 × 9,000 tokens
⚠ 9,000 tokens are more than the context length of SmolLM2-135M (8,192).
in all                      3.89 GB
weights                      538 MB = 134,515,008 parameters × 4 bytes
KV cache                     415 MB = 2 × 30 layers × 3 KV heads × 64 × 9,000 tokens × 1 text × 4 bytes
attention scores            2.92 GB = 9 heads × 9,000 × 9,000 tokens × 1 text × 4 bytes, of one layer
hidden states and logits    20.9 MB = (576 × 9,000 tokens + 49,152 × 1) × 1 text × 4 bytes
with context × 2            13.1 GB
with batch × 2              7.24 GB
with 9 KV heads             4.72 GB
8 GB, GeForce RTX 4060: fits, 45 %
16 GB, GeForce RTX 4080: fits, 23 %
24 GB, GeForce RTX 4090: fits, 15 %
80 GB, A100 80GB: fits, 5 %
checked against a real run of SmolLM2-135M, 100 tokens:
weights 538,060,032 bytes = formula; KV cache 4,608,000 bytes = formula"""


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("all_logits", [True, False])
def test_parts_are_the_bytes_of_real_tensors(dtype, all_logits):
    config = LlamaConfig(
        hidden_size=48, intermediate_size=16, num_hidden_layers=3, num_attention_heads=6, num_key_value_heads=2,
        vocab_size=99, max_position_embeddings=64, attn_implementation="eager",
    )  # fmt: skip
    model = LlamaForCausalLM(config).eval().requires_grad_(False).to(dtype)
    ids = torch.ones(2, 20, dtype=torch.long)
    keep = 0 if all_logits else 1
    outputs = model(ids, use_cache=True, output_attentions=True, output_hidden_states=True, logits_to_keep=keep)
    name = {torch.float32: "fp32", torch.bfloat16: "bf16"}[dtype]
    shape = ModelShape.of("tiny", model)
    parts = memory_budget.memory_parts(shape, name, name, context=20, batch=2, all_logits=all_logits)
    assert parts == {
        "weights": measured_weight_bytes(model),
        "KV cache": measured_cache_bytes(outputs.past_key_values),
        "attention scores": outputs.attentions[0].nbytes,
        "hidden states and logits": outputs.hidden_states[0].nbytes + outputs.logits.nbytes,
    }


def test_a_real_cache_of_smollm2_is_what_the_formula_says():
    smollm = load_causal_lm()
    ids = smollm.encode("The capital of France is")
    cache = prefill(smollm.model, ids)[1]
    run = {"weights": measured_weight_bytes(smollm.model), "cache": cache.bytes, "tokens": ids.shape[1]}
    calculator = MemoryCalculator({"SmolLM2": ModelShape.of("SmolLM2", smollm.model)}, "SmolLM2", measured=run)
    assert calculator.checked == (
        "checked against a real run of SmolLM2, 5 tokens:\n"
        "weights 538,060,032 bytes = formula; KV cache 230,400 bytes = formula"
    )


def test_a_wrong_measurement_is_not_called_equal():
    said = MemoryCalculator(measured=RUN | {"cache": 4_608_001}).checked
    assert "KV cache 4,608,001 bytes ≠ formula (4,608,000)" in said
    assert "2 texts of 100 tokens" in MemoryCalculator(measured=RUN | {"batch": 2}).checked


def test_words_are_the_golden_ones_and_do_not_name_this_machine():
    assert MemoryCalculator(context=9_000, measured=RUN).describe() == GOLDEN


def test_what_grows_how():
    calculator = MemoryCalculator(model="Llama 3.1 8B", dtype="bf16")
    rows = calculator.rows()
    now, long, more, all_heads = rows.values()
    assert list(rows) == ["as set", "context × 2", "batch × 2", "32 KV heads"]
    assert (long["KV cache"], long["attention scores"]) == (2 * now["KV cache"], 4 * now["attention scores"])
    assert (more["KV cache"], more["attention scores"]) == (2 * now["KV cache"], 2 * now["attention scores"])
    assert all_heads == now | {"KV cache": 4 * now["KV cache"]}
    calculator.naive = False
    assert calculator.parts()["attention scores"] == 0
    assert calculator.total == sum(calculator.parts().values())


def test_another_model_forgets_the_kv_heads_of_the_last():
    calculator = MemoryCalculator(key_value_heads=1)
    assert calculator.shape == replace(PUBLISHED["SmolLM2-135M"], key_value_heads=1)
    calculator.model = "GPT-2"
    assert calculator.shape == PUBLISHED["GPT-2"]
    assert list(calculator.rows())[3] == "1 KV head"


def test_the_cache_has_the_format_of_the_weights_but_at_least_16_bits():
    formats = [MemoryCalculator(dtype=dtype).cache_dtype for dtype in ("fp32", "bf16", "int8", "int4")]
    assert formats == ["fp32", "bf16", "bf16", "bf16"]
    assert MemoryCalculator(cache_dtype="int8").cache_dtype == "int8"


@pytest.mark.parametrize("model", PUBLISHED)
def test_static_picture_and_state_are_small(model):
    calculator = MemoryCalculator(model=model, dtype="int4", context=100_000, batch=3)
    data, metadata = calculator._repr_mimebundle_()
    assert len(data["image/png"]) <= 40_000
    assert data["text/plain"] == calculator.describe()
    assert metadata["image/png"]["alt"].startswith("Stacked bars of memory. as set: weights")
    assert len(json.dumps({k: v for k, v in calculator.get_state().items() if k not in ("_esm", "_css")})) <= 20_000


def test_the_page_is_small(record):
    calculator = MemoryCalculator()
    sizes = {
        "esm_bytes": len(page_module("memory_calculator").encode()),
        "png_bytes": len(calculator._repr_mimebundle_()[0]["image/png"]),
        "state_bytes": len(json.dumps({k: v for k, v in calculator.get_state().items() if k not in ("_esm", "_css")})),
    }
    record("MemoryCalculator", sizes)
    assert sizes["esm_bytes"] <= MOST_ESM_BYTES


PARITY = """
const page = await import(process.env.WIDGET_MODULES + "/memory_calculator.mjs");
const chunks = [];
for await (const chunk of process.stdin) chunks.push(chunk);
const { shapes, formats, cases } = JSON.parse(Buffer.concat(chunks));
console.log(JSON.stringify(cases.map(({ model, set }) => {
  const shape = shapes[model], bars = page.rows(shape, set, formats), total = page.sum(bars[0][1]);
  return { bars, formulas: page.formulas(shape, set, formats), warning: page.warning(model, shape, set.context),
    sizes: bars.map(([, bar]) => page.sizeText(page.sum(bar))), fit: page.fit(total, 8 * 2 ** 30) };
})));
"""


def test_page_and_python_say_the_same(node, tmp_path):
    (tmp_path / "memory_calculator.mjs").write_text(page_module("memory_calculator"), encoding="utf-8")
    calculators = [
        MemoryCalculator(model=model, dtype=dtype, context=context, batch=batch, naive=naive, all_logits=not naive)
        for model, dtype, context, batch, naive in [
            ("SmolLM2-135M", "fp32", 2048, 1, True),
            ("Llama 3.1 70B", "int4", 200_000, 3, False),
            ("Llama 3.1 405B", "int8", 131_072, 64, True),
            ("GPT-2", "bf16", 1, 1, True),
            ("Gemma 2 2B", "bf16", 999, 512, False),
        ]
    ]
    calculators.append(MemoryCalculator(model="Mistral 7B", key_value_heads=1, cache_dtype="int8"))
    cases = [
        {
            "model": one.model,
            "set": {
                "dtype": one.dtype,
                "cache": one.cache_dtype,
                "context": one.context,
                "batch": one.batch,
                "heads": one.shape.key_value_heads,
                "naive": one.naive,
                "all": one.all_logits,
            },
        }
        for one in calculators
    ]
    message = json.dumps({"shapes": calculators[0].shapes, "formats": calculators[0].formats, "cases": cases})
    command = [node, "--input-type=module", "-e", PARITY]
    environment = {**os.environ, "WIDGET_MODULES": str(tmp_path)}
    done = subprocess.run(command, input=message, env=environment, capture_output=True, text=True, check=True)
    for one, page in zip(calculators, json.loads(done.stdout), strict=True):
        assert page["bars"] == [[name, list(parts.values())] for name, parts in one.rows().items()]
        assert page["formulas"] == list(one.formulas().values())
        assert page["warning"] == one.warning()
        assert page["sizes"] == [memory_budget.size_text(sum(parts.values())) for parts in one.rows().values()]
        assert f"GeForce RTX 4060: {page['fit']}" in one.describe()


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: MemoryCalculator(dtype="fp64"), "dtype must be one of ['fp32', 'bf16', 'int8', 'int4'], got 'fp64'"),
        (
            lambda: MemoryCalculator(cache_dtype="int4"),
            "cache_dtype must be one of ['fp32', 'bf16', 'int8'], got 'int4'",
        ),
        (lambda: MemoryCalculator(context=0), "context must be a whole number of at least 1, got 0"),
        (lambda: MemoryCalculator(batch=2**25), "batch must be at most 16,777,216, got 33,554,432"),
        (
            lambda: MemoryCalculator(key_value_heads=2),
            "key_value_heads must divide the 9 query heads ([1, 3, 9]), got 2",
        ),
        (
            lambda: MemoryCalculator({"toy": PUBLISHED["GPT-2"]}, "GPT-5"),
            "model must be one of ['toy'], got 'GPT-5'",
        ),
        (
            lambda: MemoryCalculator(measured={"weights": 1}),
            "measured must have the keys weights, cache and tokens, got ['weights']",
        ),
        (
            lambda: memory_budget.memory_parts(PUBLISHED["GPT-2"], weights="fp8"),
            "weights must be one of ['fp32', 'bf16', 'int8', 'int4'], got 'fp8'",
        ),
        (lambda: memory_bars({}, {}), "rows must hold at least one bar, and all bars the same parts"),
    ],
)
def test_bad_input_is_one_sentence(make, sentence):
    with pytest.raises(ValueError) as caught:
        make()
    assert str(caught.value) == sentence


def test_a_bad_setting_keeps_the_last_good_state():
    calculator = MemoryCalculator()
    for name, value in (("context", -1), ("key_value_heads", 4), ("model", "none"), ("dtype", "x")):
        with pytest.raises(ValueError, match=name):
            setattr(calculator, name, value)
    assert (calculator.context, calculator.key_value_heads, calculator.dtype) == (2048, None, "fp32")


def test_limits_that_are_far_away_are_not_drawn_and_no_other_is_left_out():
    bars = {"now": {"weights": 5e9}}
    assert "Limits drawn: 8 GB." in memory_bars(bars, {"8 GB": 8e9, "80 GB": 80e9}).alt
    assert "Limits drawn: none" in memory_bars(bars, {"80 GB": 80e9}).alt
    calculator = MemoryCalculator(model="Llama 3.1 8B", dtype="bf16", context=8192, batch=16)
    assert calculator.figure().alt.endswith("Limits drawn: 8 GB card, 16 GB card, 24 GB card, 80 GB card.")


def test_lines_that_are_close_share_a_label():
    limits = {"8 GB card": 8e9, "16 GB card": 16e9, "24 GB card": 24e9, "80 GB card": 80e9}
    above = [text.get_text() for text in memory_bars({"now": {"weights": 300e9}}, limits).axes[0].texts]
    assert above == ["300", "8, 16, 24 GB card", "80 GB card"]
    named = {"one": 1e9, "another machine": 1.01e9}
    assert [text.get_text() for text in memory_bars({"now": {"a": 1e9}}, named).axes[0].texts][1:] == [
        "one, another machine"
    ]


def test_the_largest_sum_that_can_be_set_has_a_unit():
    calculator = MemoryCalculator(model="Llama 3.1 405B", context=2**24, batch=2**24)
    assert "in all" in calculator.describe()
    assert memory_budget.size_text(calculator.total).endswith(" YB")
    assert [memory_budget.size_text(10.0**power) for power in (12, 15, 18, 21, 24)] == [
        "1.00 TB", "1.00 PB", "1.00 EB", "1.00 ZB", "1.00 YB",
    ]  # fmt: skip


def test_a_card_frames_the_bar_and_says_what_is_left():
    fits = MemoryCalculator(card="8 GB, GeForce RTX 4060")
    assert "8 GB, GeForce RTX 4060: fits, 9 % (fits, 7.80 GB left)" in fits.describe()
    assert fits.figure().alt.endswith("Limits drawn: 8 GB card.")
    over = MemoryCalculator(model="Llama 3.1 70B", dtype="bf16", card="80 GB, A100 80GB")
    assert "too small, " in over.describe()
    assert " GB over)" in over.describe()
    assert len(over._repr_mimebundle_()[0]["image/png"]) <= 40_000
    own = MemoryCalculator(card="this machine's RAM")
    assert "RAM" not in own.describe(), "it differs on every machine"
    assert own.describe() == MemoryCalculator().describe()
    with pytest.raises(ValueError, match=r"card must be one of \['', '8 GB, GeForce RTX 4060'"):
        MemoryCalculator(card="8 GB")


def test_a_website_does_not_take_the_machine_that_made_it_for_its_reader_s():
    devices = MemoryCalculator().recorded_state()["devices"]
    assert devices[:-1] == MemoryCalculator().devices[:-1]
    assert devices[-1] == ["RAM of a 16 GB laptop", 16 * 2**30]
