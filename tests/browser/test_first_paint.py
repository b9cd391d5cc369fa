"""How long every widget takes from its state to its first picture, at 20, 60 and 200 tokens, without a kernel."""

import pytest

from course_utils.models import load_causal_lm, load_encoder
from course_utils.widgets import (
    AttentionExplorer,
    BeamTreeWidget,
    CacheStepper,
    EmbeddingMap,
    MaskLab,
    NextTokenExplorer,
    PipelineXray,
    RepetitionLab,
    SamplingLab,
    tokenizer_stepper,
)
from tests import (
    test_attention_explorer,
    test_beam_tree,
    test_cache_stepper,
    test_embedding_map,
    test_mask_lab,
    test_next_token_explorer,
    test_pictures,
    test_repetition_lab,
)
from tests.browser.conftest import render_alone, within

pytestmark = pytest.mark.browser

BUDGET_MILLISECONDS = 500
SIZES = (20, 60, 200)
BEAMS_AND_STEPS = {20: (2, 5), 60: (5, 6), 200: (10, 12)}  # trees of about so many tokens


def attention_explorer(tokens):
    names = tuple(f"␣token{place}" for place in range(tokens))
    return AttentionExplorer(test_attention_explorer.made_trace(30, 9, 3, tokens, tokens, tokens=names))


def stepper(tokens):
    return tokenizer_stepper([load_causal_lm(), load_encoder()], "one two " * (tokens // 2))


WIDGETS = {
    "AttentionExplorer": attention_explorer,
    "BeamTreeWidget": lambda tokens: BeamTreeWidget(test_beam_tree.random_trace(*BEAMS_AND_STEPS[tokens])),
    "CacheStepper": lambda tokens: CacheStepper(test_cache_stepper.as_large_as_smollm2(tokens)),
    "EmbeddingMap": lambda tokens: EmbeddingMap(test_embedding_map.random_trace(tokens)),
    "MaskLab": lambda tokens: MaskLab(test_mask_lab.random_masks(tokens)),
    "NextTokenExplorer": lambda tokens: NextTokenExplorer([test_next_token_explorer.random_prompt(tokens)] * 2),
    "PipelineXray": lambda tokens: PipelineXray(test_pictures.long_pipeline(tokens)),
    "RepetitionLab": lambda tokens: RepetitionLab(test_repetition_lab.random_trace(tokens)),
    "SamplingLab": lambda tokens: SamplingLab(test_next_token_explorer.random_prompt(tokens)),
    "TokenizerStepper": stepper,
}


@pytest.mark.parametrize("name", WIDGETS)
def test_the_first_picture_is_there_at_once(name, browser, outside_requests, record):
    times = {}
    for tokens in SIZES:
        page, first_paint = render_alone(browser, outside_requests, WIDGETS[name](tokens))
        times[str(tokens)] = first_paint["p95"]
        within(first_paint, BUDGET_MILLISECONDS)
        assert page.locator("[data-drawn]").count() == 1
        page.context.close()
    print(f"{name}: first paint after {times} ms")
    record(name, {"first_paint_ms": times})
    assert outside_requests == []
