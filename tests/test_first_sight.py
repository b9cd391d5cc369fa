"""The stored picture of a widget says what to see, and can be read where a notebook shows it."""

import io

import numpy as np
import pytest
from matplotlib.text import Text
from PIL import Image

from course_utils.traces import TokenizationTrace
from course_utils.widgets import (
    EmbeddingMap,
    MaskLab,
    NextTokenExplorer,
    PipelineXray,
    RepetitionLab,
    TokenizerStepper,
)
from tests import (
    test_embedding_map,
    test_mask_lab,
    test_next_token_explorer,
    test_pictures,
    test_repetition_lab,
)

PAGE = 760  # pixels that a notebook has for a picture; a wider one is made smaller
READABLE = 12  # pixels: 9 points
MOST_BYTES = 40_000


def toy_tokenizers():
    """“aa b”, in which first the two a are joined, and then the space and the b."""
    words = np.array([[0, 2, 0], [2, 4, 0]])
    pieces = np.array(
        [[0, 1, 0, 1, 1], [1, 2, 0, 1, 1], [2, 3, 0, 2, 0], [3, 4, 0, 2, 2], [0, 2, 1, 9, 3], [2, 4, 2, 9, 4]]
    )
    labels, steps = ("a", "a", "␣", "b", "aa", "␣b"), (("aa", ("a", "a"), 7), ("␣b", ("␣", "b"), 8))
    toy = TokenizationTrace(
        "toy", "byte pairs", "aa b", ("61", "61", "20", "62"), words, pieces, labels, steps, 2, 8, 4
    )
    return [(toy, toy)]


def prompts(number, **settings):
    return NextTokenExplorer([test_next_token_explorer.random_prompt(20)] * number, **settings)


WIDGETS = {
    "explorer": lambda: prompts(1, bits=False),
    "explorer of two": lambda: prompts(2),
    "stepper": lambda: TokenizerStepper(toy_tokenizers()),
    "map": lambda: EmbeddingMap(test_embedding_map.toy(), senses=["river", "money", ""]),
    "x-ray": lambda: PipelineXray(test_pictures.long_pipeline(20)),
    "masks": lambda: MaskLab(test_mask_lab.toy_masks()),
    "many masks": lambda: MaskLab(test_mask_lab.random_masks(16)),
    "repetition": lambda: RepetitionLab(test_repetition_lab.random_trace(60)),
}


@pytest.mark.parametrize("name", WIDGETS)
def test_the_stored_picture_is_read_without_a_magnifier(name):
    widget = WIDGETS[name]()
    figure, png = widget.figure(), widget.static_bundle()[0]["image/png"]
    assert len(png) <= MOST_BYTES
    picture = Image.open(io.BytesIO(png))
    figure.draw_without_rendering()
    pixels_per_point = picture.width / (72 * figure.get_figwidth()) * min(1, PAGE / picture.width)
    small = {
        text.get_text(): round(text.get_fontsize() * pixels_per_point, 1)
        for text in figure.findobj(Text)
        if text.get_text() and text.get_visible() and text.get_fontsize() * pixels_per_point < READABLE
    }
    assert not small
    titles = [axes.get_title(loc) for axes in figure.axes for loc in ("left", "center")]
    written = [text.get_text() for axes in figure.axes for text in axes.texts]  # chips have their title among them
    assert any(titles) or figure.get_suptitle() or "toy: 4 characters → 2 tokens" in written
