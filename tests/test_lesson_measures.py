"""A core lesson fits a learner's hour, says how long it takes, and is written as one would say it."""

import json

import pytest

from course_utils.machine import ROOT
from tests.lesson_measures import LESSONS, cells_of, findings, measures, phrases, text_of

HEAD = (
    "# 03 · X\n\n![A loop from text to text.](images/03_x.svg)\n\n**You will be able to**\n\n- read;\n\n"
    "**Time**: 10 minutes.\n"
)


@pytest.mark.parametrize("file", LESSONS, ids=lambda file: file.stem)
def test_a_lesson_keeps_the_limits(file):
    assert findings(cells_of(file)) == []


@pytest.mark.parametrize("file", sorted((ROOT / "notebooks/deeper").glob("*.ipynb")), ids=lambda file: file.stem)
def test_a_deeper_notebook_is_written_as_one_would_say_it(file):
    assert phrases(text_of(cells_of(file))) == []


WRITTEN = [
    file
    for folder in ("course_utils", "workshop", "grading", "training", "website")
    for file in sorted((ROOT / folder).rglob("*"))
    if file.suffix in (".py", ".js", ".md", ".j2") and "node_modules" not in file.parts
]


@pytest.mark.parametrize("file", [*WRITTEN, ROOT / "README.md", ROOT / "CONTRIBUTING.md"], ids=lambda file: file.name)
def test_the_library_and_its_pages_are_written_so_too(file):
    assert phrases(" ".join(file.read_text(encoding="utf-8").split())) == []


def markdown(text):
    return {"cell_type": "markdown", "source": [text], "metadata": {}}


def code(source, tags=(), picture=False):
    data = {"image/png": "aGk="} if picture else {"text/plain": "2"}
    outputs = [{"output_type": "display_data", "data": data}, {"output_type": "stream", "text": "2"}]
    return {"cell_type": "code", "source": [source], "metadata": {"tags": list(tags)}, "outputs": outputs}


def good_lesson(words=900):
    """20 words in its head; `words` after it."""
    return [
        markdown(HEAD),
        markdown("word " * words),
        code("# how much?\nx = predict('x', 'How much?', [])\n"),
        code("SamplingLab(trace)", picture=True),
        code("quiz_question('x', 'Which?', [])"),
    ]


def test_everything_is_counted():
    found = measures(good_lesson())
    assert (found.cells, found.words, found.code_lines) == (5, 900 + len(HEAD.split()), 3)
    assert (found.predictions, found.widgets, found.questions, found.minutes_said) == (1, 1, 1, 10)
    assert found.minutes == pytest.approx(found.words / 180 + 3 / 12 + 1.5 + 4 + 1)
    assert findings(good_lesson()) == []
    json.dumps(good_lesson())


def test_a_class_without_a_picture_is_no_widget():
    assert measures([code("SamplingLab(trace).describe()")]).widgets == 0
    assert measures([code("fig = draw()", picture=True)]).widgets == 0
    assert measures([code("next_token_explorer(run, prompt)", picture=True)]).widgets == 1
    assert measures([code("figures.attention_map(weights)", picture=True)]).widgets == 0


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        (lambda cells: cells.extend([markdown("")] * 56), "61 cells, and a core lesson has at most 60"),
        (lambda cells: cells.append(code("x = 1\n" * 251)), "254 code lines, and a core lesson has at most 250"),
        (lambda cells: cells.append(markdown("word " * 1000)), "1,920 words, and a core lesson has at most 1,900"),
        (lambda cells: cells.append(markdown("word " * 900)), "the head says 10 minutes, and a learner needs about 17"),
        (lambda cells: cells.pop(1), "the head says 10 minutes, and a learner needs about 7"),
        (lambda cells: cells.__setitem__(0, markdown("**Time**: 10 minutes")), "it has no schematic"),
        (lambda cells: cells.append(markdown("a row\na token")), "“row a token” isn't how it would be said"),
        (lambda cells: cells.append(code("x", ["machine-dependent"])), "an output isn't stored"),
    ],
)
def test_each_excess_is_found(change, finding):
    cells = good_lesson()
    change(cells)
    assert any(found.startswith(finding) for found in findings(cells)), findings(cells)
