"""What the class board can ask: the course's own questions, and those of notebooks as teachers have them."""

import json
import re
from pathlib import Path

import jupytext
import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from starlette.testclient import TestClient

from course_utils.classroom.board import command
from course_utils.classroom.board.messages import LONGEST
from course_utils.classroom.board.questions import own_questions
from course_utils.classroom.board.reading import place_of, read_questions
from course_utils.cli import main
from course_utils.errors import CourseError
from course_utils.grading.spreadsheet import readable
from course_utils.learner.progress_table import _ASKED
from course_utils.machine import ROOT
from tests.boards import CODE, NAME, OPTIONS, QUESTIONS, TASKS

RUN = "the board doesn't run notebooks: write out the"
BROKEN = "the cell has a syntax error, so its question can't be read: correct it."
IMPORT = "from course_utils.learner import predict, quiz_question"
ASK = 'guess = predict("mine", "How much?", {"little": (0, 0.5), "a lot": (0.5, None)})'
LAST = 'quiz_question("last", "Which?", [("a", True, "Yes."), ("b", False, "No.")])'
COMPARE = 'guess.compare(share, "{:.1%}")'
MEASURED = "Measured: 77.3%. You didn't make a prediction."


# The course


def test_every_question_of_every_notebook_is_found():
    asked = {kind: set() for kind in _ASKED}
    for file in [*(ROOT / "notebooks").glob("[0-9]*.ipynb"), *(ROOT / "notebooks" / "deeper").glob("*.ipynb")]:
        assert not [found for found in read_questions(file) if isinstance(found[1], str)]
        cells = json.loads(file.read_text(encoding="utf-8"))["cells"]
        code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
        for kind, pattern in _ASKED.items():
            asked[kind] |= set(pattern.findall(code))
    assert {question.name for question in QUESTIONS.values() if question.measured} == asked["predictions"]
    assert {question.name for question in QUESTIONS.values() if question.kind == "prediction"} == asked["predictions"]
    assert {question.name for question in QUESTIONS.values() if question.kind == "quiz"} == asked["quizzes"]
    assert len(QUESTIONS) > 100


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS)
def test_a_question_can_be_asked_and_revealed(question):
    assert question.text
    assert len(set(question.options)) == len(question.options) >= 2
    assert all(readable(option) == option and len(option) <= LONGEST["choice"] for option in question.options)
    assert len(question.name) <= 80
    assert question.right, f"{question.measured!r} fits none of {question.options}"
    assert len(question.right) == 1 or not question.measured


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=list(QUESTIONS))
def test_a_question_is_plain_text(question):
    """The question's widget and the board show it as it is: backticks and stars would stay."""
    assert not re.search(r"[`*]|\]\(", " ".join([question.text, *question.options]))


def test_what_was_measured_is_the_option_that_the_notebook_means():
    assert (QUESTIONS[NAME].measured, [OPTIONS[place] for place in QUESTIONS[NAME].right]) == ("77.3%", ["over 50 %"])
    assert QUESTIONS[NAME].text.startswith("The prompt is “The capital of France is")
    assert QUESTIONS["11-quiz-order"].right == (0,)
    assert QUESTIONS["01-one-shot"].options[QUESTIONS["01-one-shot"].right[0]] == "over 80 %"


def test_digits_that_do_not_decide_it_decide_nothing():
    ranges = {"few": (0, 0.5), "many": (0.5, None)}
    assert [place_of(text, ranges, "{:.0%}") for text in ("49%", "50%", "51%")] == [(0,), (), (1,)]
    assert [place_of(text, ranges) for text in ("0.4", "0.5", "0.50001")] == [(0,), (), (1,)]
    assert place_of("0.0", {"none": (0, 5), "some": (5, None)}) == (0,)
    assert place_of("3 tokens", {"few": (None, 3), "many": (3, None)}, "{} tokens") == (1,)
    assert place_of("46,080 bytes", {"few": (None, 10_000), "many": (10_000, None)}, "{:,} bytes") == (1,)
    assert place_of("neither", ["a", "b"]) == ()


def test_a_number_is_read_as_the_notebook_wrote_it():
    percent = {"below half": (0, 50), "over half": (50, None)}
    assert place_of("77.3%", percent, "{:.1f}%") == (1,), "the measured number was 77.3, not 0.773"
    assert place_of("1e-05", {"tiny": (0, 0.5), "large": (0.5, None)}) == ()
    assert place_of("GPU 3: 0.2", {"fast": (0, 1), "slow": (1, None)}, "GPU 3: {}") == (0,)
    assert place_of("-0.2", {"down": (None, 0), "up": (0, None)}) == (0,)


def test_tasks_have_their_titles():
    assert TASKS["11-q3"] == "q3 · Top-p"
    assert len(TASKS) > 50


# A teacher's own


def own(folder, *cells, name="own.ipynb", title="# Jazz and tokens"):
    """Write a notebook of these cells of code, and read it."""
    cells = [new_code_cell(cell) if isinstance(cell, str) else cell for cell in cells]
    notebook = new_notebook(cells=[*([new_markdown_cell(title)] if title else []), *cells])
    nbformat.write(notebook, folder / name)
    return questions_of(folder / name)


def questions_of(*paths):
    return own_questions(paths, QUESTIONS, TASKS)


def run_cell(source, *said):
    return new_code_cell(source, outputs=[new_output("stream", text=f"{text}\n") for text in said])


def test_a_minimal_notebook(tmp_path):
    questions, problems = own(tmp_path, IMPORT, ASK)
    assert problems == []
    (question,) = questions.values()
    assert (question.name, question.lesson, question.text) == ("mine", "Jazz and tokens", "How much?")
    assert (question.options, question.kind) == (("little", "a lot"), "prediction")
    assert (question.right, question.measured) == ((), ""), "it was never run"


@pytest.mark.parametrize(
    "code",
    [
        'predict(identifier="mine", question="How much?", options=["little", "a lot"])',
        'predict("mine", options=("little", "a lot"), question="How much?", progress=None)',
        'import course_utils.learner as kit\nkit.predict("mine", "How much?", ["little", "a lot"])',
        'from course_utils import learner\nlearner.predict("mine", "How much?", ["little", "a lot"])',
        'from course_utils.learner import predict as ask\nask("mine", "How much?", ["little", "a lot"])',
        'display(predict("mine", "How much?", ["little", "a lot"]))',
        'if True:\n    guess = predict("mine", "How much?", ["little", "a lot"])',
        'few, many = "few", "many"\npredict("mine", "How " + "much?", ["lit" "tle", "a lot"])',
        'much = "much"\noptions = ["little"] + ["a lot"]\npredict("mine", f"How {much}?", options)',
        'options = {"little": (0, 1 / 3), "a lot": (1 / 3, None)}\npredict("mine", "How much?", options)',
        'predict("mine", "How much?", {"little": (0, len(words)), "a lot": (len(words), float("inf"))})',
        'number = 7\nwords = [f"{number:.1f}"]\npredict("mine", "How much?", ["little", "a lot"])',
        '%%time\nguess = predict("mine", "How much?", ["little", "a lot"])',
        '!pip install x\n%autosave 9\nfiles = !ls\npredict?\npredict("mine", "How much?", ["little", "a lot"])',
        'guess = await later(predict("mine", "How much?", ["little", "a lot"]))',
        'path = "C:\\data\\d"\npredict("mine", "How much?", ["little", "a lot"])',
        'quiz_question("mine", "How much?", [("little", False, f"{x}"), ("a lot", True, "Yes.")])',
        'class Net:\n    def predict(self, x):\n        ...\npredict("mine", "How much?", ["little", "a lot"])',
        'def f():\n    options = 1\noptions = ["little", "a lot"]\npredict("mine", "How much?", options)',
        'options = ["little", "a lot"]\ndef f(options):\n    ...\npredict("mine", "How much?", options)',
        'predict("mine", "How much?", ["little\\x1b", "a lot"])',
    ],
)
@pytest.mark.filterwarnings("error")
def test_all_ways_to_ask(code, tmp_path):
    questions, problems = own(tmp_path, "from course_utils.learner import *", code)
    assert problems == []
    assert [(one.text, one.options) for one in questions.values()] == [("How much?", ("little", "a lot"))]


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ('predict("x", "?", options_of(text))', f"{RUN} options of predict('x')"),
        ('predict("x", "?", ["a", str(1)])', f"{RUN} options of predict('x')"),
        ('predict(f"{n}-x", "?", ["a", "b"])', f"{RUN} name of predict(…)"),
        ('predict("x", f"{n} words?", ["a", "b"])', f"{RUN} question of"),
        ('x = "x"\nfor x in "xy":\n    predict(x, "?", ["a", "b"])', f"{RUN} name of"),
        ('o = ["a", "b"]\no.append(c)\npredict("x", "?", o)', f"{RUN} options"),
        ('o = {"a": 1, "b": 2}\no["c"] = 3\npredict("x", "?", o)', f"{RUN} options of predict('x') in the cell."),
        ('predict("x", "?", [*common, "b"])', f"{RUN} options"),
        ('predict("x", "?")', "predict(…) needs a name, a question and options."),
        ('predict(["a", "b"], "x", "?")', "the name of predict(…) must be a text."),
        ('predict("x", "?", [1, 2])', "the options of predict('x') must be texts."),
        ('predict("x", "?", "ab")', "predict('x') needs at least two different options."),
        ('predict("x", "?", ["a", " "])', "the options of predict('x') must be texts."),
        ('predict("x", "?", ["a", "a"])', "predict('x') needs at least two different options."),
        ('predict("", "?", ["a", "b"])', "the name of predict('') must be a text."),
        ('predict("x" * 81, "?", ["a", "b"])', "has 81 characters: shorten it to 80."),
        ('predict("x", "?", ["a", "b" * 501])', "an option of predict('x') has 501 characters: shorten it to 500."),
        ('quiz_question("x", "?", ["a", "b"])', "each option of quiz_question('x') must be (text, True or False, expl"),
        ('predict("11-q2", "?", ["a", "b"])', "'11-q2' is the name of a task: choose another name."),
        ('predict("x", "?", ["a", "b"', BROKEN),
        ('%%time\npredict("x", "?", ["a" "b"', BROKEN),
        ('predict("mine", "Other?", ["a", "b"])', "own.ipynb, cell 3 asks 'mine' already: choose another name."),
        ('predict("a\\nb", "?", ["a", "a"])', "predict('a\\nb') needs at least two different options."),
        ("x = 1\0\npredict('x')", BROKEN),
        (f'predict("x", {"+".join(["1"] * 9000)}, [])', BROKEN),
    ],
)
def test_what_cannot_be_asked_is_one_sentence_and_takes_nothing_else_away(code, problem, tmp_path):
    questions, problems = own(tmp_path, IMPORT, ASK, code, LAST)
    assert [*questions] == ["mine", "last"]
    (said,) = problems
    assert said.startswith(f"{tmp_path / 'own.ipynb'}, cell 4: ")
    assert problem in said
    assert "\n" not in said
    assert said.endswith(".")


@pytest.mark.parametrize(
    "cell",
    [
        "%%bash\nfor f in *; do echo $f; done",
        "def broken(:",
        "model.predict(text)",
        "from sklearn.dummy import predict\npredict(1)",
        "def predict(model):\n    return model(1)\npredict(model)",
        "predict = pipeline()\npredict(1)",
        new_markdown_cell('predict("x", "?", ["a", "b"])'),
    ],
)
def test_cells_that_ask_nothing_are_nobodys_business(cell, tmp_path):
    assert own(tmp_path, cell) == ({}, [])


def test_a_stored_run_says_what_is_right(tmp_path):
    questions, _ = own(tmp_path, ASK, run_cell(COMPARE, MEASURED))
    assert (questions["mine"].measured, questions["mine"].right) == ("77.3%", (1,))
    percent = ASK.replace("0.5", "50")
    questions, _ = own(tmp_path, percent, run_cell('guess.compare(share, show="{:.1f}%")', MEASURED))
    assert questions["mine"].right == (1,)
    questions, _ = own(tmp_path, percent, run_cell("guess.compare(share, chosen)", MEASURED))
    assert (questions["mine"].measured, questions["mine"].right) == ("77.3%", ()), "nobody knows what the % is"
    computed = ASK.replace("0.5", "half(1)")
    questions, _ = own(tmp_path, computed, run_cell(COMPARE, MEASURED))
    assert (questions["mine"].measured, questions["mine"].right) == ("77.3%", ())


def test_a_variable_that_is_used_again_measures_the_newest_question(tmp_path):
    assert own(tmp_path, ASK, "guess = other", run_cell(COMPARE, MEASURED))[0]["mine"].measured == ""
    again = ASK.replace("mine", "other").replace("How much?", "And now?")
    low = "Measured: 3.0%. You predicted “a lot”: ✗ not this time."
    questions, _ = own(tmp_path, ASK, run_cell(COMPARE, MEASURED), again, run_cell(COMPARE, low))
    assert {name: question.right for name, question in questions.items()} == {"mine": (1,), "other": (0,)}


def test_what_was_measured_is_nobodys_when_it_is_not_said_once_for_each(tmp_path):
    other = 'other = predict("other", "?", {"little": (0, 0.5), "a lot": (0.5, None)})'
    both = run_cell(f"other.compare(0.1)\n{COMPARE}", MEASURED)  # only the last was shown
    questions, _ = own(tmp_path, ASK, other, both)
    assert {question.right for question in questions.values()} == {()}


def test_a_question_of_the_same_name_replaces_the_courses(tmp_path):
    questions, problems = own(tmp_path, f'predict("{NAME}", "Which?", ["this", "that"])', title="# 00 · Mine")
    assert problems == []
    assert (questions[NAME].text, questions[NAME].lesson) == ("Which?", "00 · Mine")


def test_a_copy_of_the_course_without_outputs_changes_nothing_but_what_was_changed(tmp_path):
    lesson = nbformat.read(ROOT / "notebooks" / "00_start_here.ipynb", 4)
    for cell in lesson.cells:
        if cell.cell_type == "code":
            cell.outputs = []
    nbformat.write(lesson, tmp_path / "00_start_here.ipynb")
    assert questions_of(tmp_path) == ({}, []), "the course knows what is right"
    changed = next(cell for cell in lesson.cells if f'"{NAME}"' in cell.source)
    changed.source = changed.source.replace(OPTIONS[0], "next to nothing")
    nbformat.write(lesson, tmp_path / "00_start_here.ipynb")
    # After an update, the course's newer version is beside the changed lesson.
    new = nbformat.read(ROOT / "notebooks" / "00_start_here.ipynb", 4)
    nbformat.write(new, tmp_path / "00_start_here-new.ipynb")
    questions, problems = questions_of(tmp_path)
    assert [*questions] == [NAME]
    assert questions[NAME].options == ("next to nothing", *OPTIONS[1:])
    assert len(problems) == 1
    assert "00_start_here-new.ipynb, cell " in problems[0]


def test_a_folder_has_its_notebooks_and_no_checkpoints(tmp_path):
    for folder in ("week 1", "week 1/.ipynb_checkpoints", ".trash"):
        (tmp_path / folder).mkdir()
        own(tmp_path / folder, ASK.replace("mine", folder), "predict(")
    (tmp_path / "script.py").write_text("predict(1)")
    (tmp_path / "folder.ipynb").mkdir()
    questions, problems = questions_of(tmp_path, tmp_path / "week 1" / "own.ipynb")
    assert [*questions] == ["week 1"]
    assert problems == [f"{tmp_path / 'week 1' / 'own.ipynb'}, cell 3: {BROKEN}"], "said once"


def test_a_notebook_without_a_title_has_its_files_name(tmp_path):
    assert own(tmp_path, ASK, name="jazz.ipynb", title="")[0]["mine"].lesson == "jazz"
    assert own(tmp_path, ASK, name="jazz.ipynb", title="## Only a section")[0]["mine"].lesson == "jazz"
    late = new_markdown_cell("Welcome!\n\n# Jazz\n")
    assert own(tmp_path, "x = 1", late, ASK, title="")[0]["mine"].lesson == "Jazz"


@pytest.mark.parametrize("form", ["py:percent", "py:light"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_script_of_cells(form, encoding, tmp_path):
    code = [new_code_cell(source) for source in ("%%time\n!ls", ASK.replace("little", "très peu"))]
    script = jupytext.writes(new_notebook(cells=[new_markdown_cell("# Café"), *code]), form)
    (tmp_path / "own.py").write_text(script, encoding=encoding)
    questions, problems = questions_of(tmp_path / "own.py")
    assert problems == []
    assert (questions["mine"].lesson, questions["mine"].options) == ("Café", ("très peu", "a lot"))


def test_the_sources_of_the_course_ask_what_its_notebooks_ask():
    assert questions_of(*(ROOT / "notebooks" / "source").glob("1*.py")) == ({}, [])


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_notebook_that_another_program_has_saved(encoding, tmp_path):
    own(tmp_path, ASK)
    text = (tmp_path / "own.ipynb").read_text(encoding="utf-8")
    (tmp_path / "own.ipynb").write_text(text.replace("little", "très peu"), encoding=encoding)
    questions, problems = questions_of(tmp_path)
    assert problems == []
    assert questions["mine"].options == ("très peu", "a lot")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<<<<<<< HEAD\n{}",
        b"[1, 2]",
        b"{}",
        b'{"worksheets": []}',
        b'{"cells": [{"cell_type": "code"}]}',
        b'{"cells": [{"cell_type": "code", "source": 3}]}',
        b'{"cells": {"a": 1}}',
        '{"cells": "très"}'.encode("cp1252"),
        b"[" * 100_000,
    ],
)
def test_a_file_that_is_no_notebook_is_one_sentence(content, tmp_path):
    own(tmp_path, ASK)
    broken = tmp_path / "broken.ipynb"
    broken.write_bytes(content)
    questions, problems = questions_of(tmp_path)
    assert [*questions] == ["mine"]
    assert problems == [f"{broken}: it isn't a notebook in UTF-8: open it in JupyterLab and save it there."]


def test_a_path_with_nothing_is_one_sentence(tmp_path):
    with pytest.raises(CourseError, match=re.escape(f"There is no notebook or folder {tmp_path / 'none'}: ")):
        questions_of(tmp_path / "none")
    assert questions_of(Path(tmp_path)) == ({}, [])


def test_letters_are_kept_as_answers_are(tmp_path):
    decomposed = "cafe\u0301"  # as macOS may type it
    questions, _ = own(tmp_path, f'predict("{decomposed}", "?", ["{decomposed}", "tea"])')
    assert [*questions] == ["café"]
    assert questions["café"].options == ("café", "tea")


# On the board


@pytest.fixture
def opened(tmp_path, monkeypatch):
    """`course board` with options, up to the moment when it would serve: the board."""
    boards = []
    monkeypatch.setattr(command, "serve", lambda board, **where: boards.append(board))
    monkeypatch.setattr(command, "port_is_taken", lambda port: False)

    def start(*options):
        database = f"sqlite:///{tmp_path / 'board.sqlite'}"
        assert main(["board", f"--db={database}", f"--room={CODE}", *map(str, options)]) == 0
        return boards.pop()

    return start


def test_the_command_says_what_it_found_and_what_it_left_out(opened, tmp_path, capsys):
    own(tmp_path, ASK, "predict(name, '?', options)", name="one.ipynb")
    own(tmp_path, LAST, name="two.ipynb")
    board = opened("--notebooks", tmp_path / "one.ipynb", "--notebooks", tmp_path / "two.ipynb")
    assert [*board.questions] == [*QUESTIONS, "mine", "last"]
    assert capsys.readouterr().out.startswith(
        "Your notebooks add or change 2 questions. Left out:\n"
        f"    {tmp_path / 'one.ipynb'}, cell 3: {RUN} name of predict(…) in the cell.\n"
        f"\nRoom {CODE} is open."
    )
    board.storage.engine.dispose()


def test_a_hub_has_them_too(opened, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("JUPYTERHUB_SERVICE_PREFIX", "/services/board/")
    monkeypatch.setattr(command, "serve_on_hub", lambda contents, *_: command.serve(contents))
    own(tmp_path, ASK)
    storage, questions, _ = opened("--notebooks", tmp_path)
    assert [*questions] == [*QUESTIONS, "mine"]
    assert capsys.readouterr().out == "Your notebooks add or change 1 question.\n\n"
    storage.engine.dispose()


def test_an_own_question_is_answered_shown_and_revealed(opened, tmp_path):
    own(tmp_path, ASK, run_cell(COMPARE, MEASURED), 'predict("unrun", "How many?", ["few", "many"])')
    board = opened("--notebooks", tmp_path)
    learner, teacher = TestClient(board.app()), TestClient(board.app())
    learner.headers["authorization"] = f"Bearer {'k' * 40}"
    for number, (name, choice) in enumerate([("mine", "a lot"), ("unrun", "few")]):
        said = {"code": CODE, "message": f"message-{number}", "question": name, "choice": choice}
        assert learner.post("/api/answers", json=said).json() == {"round": 1}
    page = teacher.get(f"/teacher/{board.storage.room(CODE).secret}").text
    asked = json.loads(page.partition('<template id="questions">')[2].partition("</template>")[0])
    mine = {"name": "mine", "lesson": "Jazz and tokens", "text": "How much?", "kind": "prediction"}
    assert asked[-2:] == [mine, {**mine, "name": "unrun", "text": "How many?"}]
    shown = []
    for name in ("mine", "unrun"):
        for act in ("open", "reveal"):
            board.storage.act(CODE, act, name)
        question = board.shown.for_projector(CODE)["question"]
        shown.append((question["rounds"], question["right"], question["measured"]))
    assert shown == [([[0, 1]], (1,), "77.3%"), ([[1, 0]], (), "")]
    board.storage.engine.dispose()
