"""Exercises and solutions: one source, what a learner gets, and that nothing in them is out of date."""

import json
import re

import nbformat
import pytest

from course_utils.exercises.assignments import exercise, without_regions
from course_utils.exercises.task import load_tasks
from course_utils.machine import ROOT
from course_utils.publishing import sync

SOURCES = {file.stem: file for file in sorted((ROOT / "solutions" / "source").glob("*.py"))}
BUILT = {name: sync.build(file.read_text(encoding="utf-8")) for name, file in SOURCES.items()}
every_exercise = pytest.mark.parametrize("name", SOURCES)
NBGRADER = {"grade", "grade_id", "locked", "schema_version", "solution", "task"}


def stored(folder, name):
    return nbformat.read(ROOT / folder / f"{name}.ipynb", as_version=4)


def checks(name):
    return load_tasks(ROOT / "course_utils" / "exercises" / "lessons" / f"lesson_{name[:2]}.py")


def headings(name):
    """The text of each task, by its name: from its heading to the next."""
    cells = [cell.source for cell in BUILT[name].cells if cell.cell_type == "markdown"]
    found = {}
    for text in cells:
        heading = re.match(r"## (q\d|Stretch) · (.+)", text)
        if heading:
            found[heading[1]] = (heading[2], text)
    return found


def graded(notebook):
    return {cell.metadata.nbgrader.grade_id: cell for cell in notebook.cells if "nbgrader" in cell.metadata}


@every_exercise
def test_it_belongs_to_a_lesson(name):
    assert (ROOT / "notebooks" / f"{name}.ipynb").is_file()


@every_exercise
def test_the_card_says_minutes_difficulty_and_needs(name):
    first = BUILT[name].cells[0].source
    assert first.startswith(f"# Exercise {name[:2]} · ")
    row = first.split("|---|---|---|\n")[1].splitlines()[0]
    minutes, difficulty, needs = (part.strip() for part in row.strip("|").split("|"))
    assert re.fullmatch(r"\d+ minutes", minutes)
    assert re.fullmatch(r"●{1,5}○*", difficulty)
    assert len(difficulty) == 5
    assert f"(../notebooks/{name}.ipynb)" in needs


@every_exercise
def test_every_task_has_its_heading_hints_and_points(name):
    tasks, prose = checks(name)
    texts = headings(name)
    assert [*texts] == [*sorted(one.name for one in (*tasks, *prose)), "Stretch"]
    assert 3 <= len(texts) - 1 <= 5
    for one in (*tasks, *prose):
        title, text = texts[one.name]
        assert title == one.title
        assert re.search(rf"\d+ minutes, ●+○*, {one.points} points\.", text), one.name
    for task in tasks:
        text = texts[task.name][1]
        assert "<summary>Hint 1</summary>" in text
        assert "<summary>Hint 2</summary>" in text


@every_exercise
def test_the_cells_of_a_task_are_as_nbgrader_wants_them(name):
    tasks, prose = checks(name)
    cells = graded(BUILT[name])
    for task in tasks:
        asked, checked = cells[task.name], cells[f"{task.name}-check"]
        assert f"def {task.function}(" in asked.source
        assert (asked.metadata.nbgrader.solution, asked.metadata.nbgrader.grade) == (True, False)
        # The card comes last, because a notebook shows the last value of a cell.
        hidden = f'### BEGIN HIDDEN TESTS\nassert check("{task.name}").is_right\n### END HIDDEN TESTS\n'
        assert checked.source == f'{hidden}check("{task.name}")'
        assert (checked.metadata.nbgrader.grade, checked.metadata.nbgrader.locked) == (True, True)
        assert checked.metadata.nbgrader.points == task.points
    for question in prose:
        wanted = cells[question.name].metadata.nbgrader
        assert (wanted.grade, wanted.solution, wanted.points) == (True, True, question.points)
    names = [*(task.name for task in tasks), *(f"{task.name}-check" for task in tasks), *(one.name for one in prose)]
    assert {*cells} == {*names, "stretch"}
    for cell in cells.values():
        assert {*cell.metadata.nbgrader} - {"points"} == NBGRADER


@every_exercise
def test_what_a_learner_gets(name):
    made = stored("exercises", name)
    assert made == exercise(BUILT[name])
    text = json.dumps(made)
    assert "jupytext" not in text
    assert "lines_to_next_cell" not in text
    assert "SOLUTION" not in text
    assert "HIDDEN" not in text
    assert all(cell.id == grade_id for grade_id, cell in graded(made).items())
    for task in checks(name)[0]:
        cell = graded(made)[task.name]
        compile(cell.source, task.name, "exec")
        assert cell.source.count("raise NotImplementedError") == 1
    assert not any(cell.get("outputs") for cell in made.cells)


@every_exercise
def test_the_solution_shows_every_check_green_and_keeps_what_its_source_says(name):
    notebook = stored("solutions", name)
    assert [cell.source for cell in notebook.cells] == [cell.source for cell in BUILT[name].cells]
    cells = graded(notebook)
    for task in checks(name)[0]:
        (output,) = cells[f"{task.name}-check"].outputs
        first, *lines = output["data"]["text/plain"].splitlines()
        assert first == f"✅ {task.name} · {task.title}: {len(task.checks)} of {len(task.checks)} checks pass."
        assert "❌" not in "".join(lines)


@every_exercise
def test_cells_are_short(name):
    assert max(len(cell.source.splitlines()) for cell in BUILT[name].cells if cell.cell_type == "code") <= 35


@pytest.mark.parametrize(
    "text",
    [
        "### BEGIN SOLUTION\nx",
        "x\n### END SOLUTION",
        "### BEGIN SOLUTION\n### BEGIN SOLUTION\n### END SOLUTION",
        "### BEGIN SOLUTION\n### END HIDDEN TESTS",
        "### BEGIN HIDDEN TESTS\n### BEGIN SOLUTION\n### END SOLUTION\n### END HIDDEN TESTS",
    ],
)
def test_a_marker_without_partner_is_an_error(text):
    with pytest.raises(ValueError, match="has no partner"):
        without_regions(text, {"SOLUTION": "pass"})


def test_sync_says_which_source_has_a_marker_without_partner(tmp_path):
    (tmp_path / "solutions" / "source").mkdir(parents=True)
    source = tmp_path / "solutions" / "source" / "01_x.py"
    source.write_text("# %%\n### BEGIN SOLUTION\n1\n", encoding="utf-8")
    (problem,) = sync._sync_notebook(tmp_path, source, False, False, False)
    assert problem.startswith("solutions/source/01_x.py: ### BEGIN SOLUTION has no partner")
    assert not list(tmp_path.rglob("*.ipynb"))


def test_a_solution_cell_without_markers_is_an_error():
    notebook = sync.build('# %% nbgrader={"grade_id": "q1", "solution": true}\nx = 1\n')
    with pytest.raises(ValueError, match="the solution cell q1 needs ### BEGIN SOLUTION"):
        exercise(notebook)


def test_sync_makes_both_and_finds_what_is_out_of_date(tmp_path):
    (tmp_path / "solutions" / "source").mkdir(parents=True)
    source = tmp_path / "solutions" / "source" / "01_x.py"
    cell = '# %% nbgrader={"grade_id": "q1", "solution": true}\n'
    source.write_text(f"{cell}### BEGIN SOLUTION\n1 + 1\n### END SOLUTION\n", encoding="utf-8")
    assert sync._sync_notebook(tmp_path, source, False, False, False) == []
    made = nbformat.read(tmp_path / "exercises" / "01_x.ipynb", as_version=4)
    assert [(cell.id, cell.source) for cell in made.cells] == [("q1", "raise NotImplementedError")]
    solved = nbformat.read(tmp_path / "solutions" / "01_x.ipynb", as_version=4)
    assert solved.cells[0].outputs[0]["data"]["text/plain"] == "2"
    assert sync._sync_notebook(tmp_path, source, True, False, False) == []
    (tmp_path / "exercises" / "01_x.ipynb").write_text("{}", encoding="utf-8")
    (problem,) = sync._sync_notebook(tmp_path, source, True, False, False)
    assert problem == "exercises/01_x.ipynb is not what solutions/source/01_x.py makes: run `course sync`."


def test_sync_never_writes_over_somebodys_work(tmp_path):
    (tmp_path / "solutions" / "source").mkdir(parents=True)
    (tmp_path / "exercises").mkdir()
    source = tmp_path / "solutions" / "source" / "01_x.py"
    source.write_text("# %%\n1 + 1\n", encoding="utf-8")
    worked = sync.build("# %%\nmine = 1\n")
    worked.cells[0].execution_count = 3
    nbformat.write(worked, tmp_path / "exercises" / "01_x.ipynb")
    before = (tmp_path / "exercises" / "01_x.ipynb").read_text()
    (problem,) = sync._sync_notebook(tmp_path, source, False, False, False)
    assert problem.startswith("exercises/01_x.ipynb has someone's work in it: move it away")
    assert (tmp_path / "exercises" / "01_x.ipynb").read_text() == before
