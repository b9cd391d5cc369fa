"""Index, glossary, references say what the lessons say; words come after their explanation, numbers from somewhere."""

import json
import re
import tomllib

import pytest

from course_utils.machine import ROOT
from course_utils.publishing.pages import Lesson, deeper_notebooks, lessons, pages
from tests.numbers_in_prose import explained, unexplained

SOURCES = ROOT / "notebooks" / "source"
LESSONS, DEEPER = lessons(SOURCES), deeper_notebooks(SOURCES)
TERMS = tomllib.loads((SOURCES / "glossary.toml").read_text(encoding="utf-8"))["term"]
WORKS = tomllib.loads((SOURCES / "references.toml").read_text(encoding="utf-8"))["work"]

every_lesson = pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.name)
every_notebook = pytest.mark.parametrize("lesson", [*LESSONS, *DEEPER], ids=lambda lesson: lesson.name)


def notebook_of(lesson):
    return ROOT / "notebooks" / lesson.address


def text_of(page):
    return "\n".join("".join(cell["source"]) for cell in json.loads((ROOT / "notebooks" / page).read_text())["cells"])


def words(term):
    names = "|".join(re.escape(name) for name in [term["name"], *term.get("also", [])])
    return re.compile(rf"(?<![\w-])(?:{names})s?(?![\w-])", re.I)


def lesson_of(tmp_path, prose, name="03_x.py"):
    file = tmp_path / name
    file.write_text("# %% [markdown]\n" + "".join(f"# {line}\n" for line in prose.splitlines()))
    return Lesson(file)


def test_a_lesson_is_read_however_its_code_is_laid_out(tmp_path):
    file = tmp_path / "03_x.py"
    file.write_text(
        "# %% [markdown]\n# # 03 · X\n#\n# **You will be able to**\n#\n# - do a thing that takes\n#   two lines;\n#\n"
        "# **Time**: 45 minutes.\n\n# %%\nfrom course_utils.widgets import (\n    MaskLab,\n    PipelineXray as X,\n)\n"
        '# %%\nquiz_question("03-quiz-4711", "Is it so (Su "\n    "et al., 2021)?", [("Yes", True, "It is.")])\n'
    )
    lesson = Lesson(file)
    assert (lesson.title, lesson.minutes, lesson.objectives) == ("03 · X", 45, ["do a thing that takes two lines"])
    assert lesson.widgets == ["mask lab", "pipeline x-ray"]
    assert lesson.text.endswith("\n\nIs it so (Su et al., 2021)?\nYes\nIt is.")
    assert lesson.cites({"first": "Su", "year": 2021})


@every_notebook
def test_a_title_says_which_lesson_it_belongs_to(lesson):
    assert re.match(rf"{'Deeper ' if lesson.is_deeper else ''}{lesson.number} · \S", lesson.title), lesson.title


@every_lesson
def test_the_index_has_every_lesson_with_all_of_it(lesson):
    row = next(line for line in text_of("index.ipynb").splitlines() if lesson.link in line)
    assert f"| {lesson.minutes} |" in row
    assert 3 <= len(lesson.objectives) <= 6
    assert all(goal in row for goal in lesson.objectives)
    assert all(name in row for name in lesson.widgets)


@every_lesson
def test_the_readme_has_every_lesson_with_its_minutes(lesson):
    row = next(line for line in (ROOT / "README.md").read_text().splitlines() if f"[{lesson.title}]" in line)
    assert f"(notebooks/{lesson.file.stem}.ipynb)" in row
    assert row.endswith(f"| {lesson.minutes} |")


def test_every_widget_is_in_a_lesson():
    used = {name for lesson in LESSONS for name in lesson.widgets}
    files = {file.stem.replace("_", " ") for file in (ROOT / "course_utils" / "widgets").glob("*.js")}
    files -= {" common", "question"}
    other = {"pipeline xray": "pipeline x-ray", "cache stepper": "prefill/decode stepper"}
    other["next token explorer"] = "next-token explorer"
    assert {other.get(name, name) for name in files} == used


@every_notebook
def test_links_lead_somewhere(lesson):
    without_code = re.sub(r"```.*?```", "", lesson.text, flags=re.DOTALL)
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", without_code):
        assert (notebook_of(lesson).parent / target).exists(), target


def links_of(file):
    """The links of a notebook's text: what they say, by the file that they lead to."""
    cells = json.loads(file.read_text(encoding="utf-8"))["cells"]
    text = "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    links = re.findall(r"\[([^\]]+)\]\((?!https?:)([^)\s#]+\.ipynb)\)", text)
    return {(file.parent / target).resolve(): " ".join(says.split()) for says, target in links}


@every_lesson
def test_a_lesson_leads_on(lesson):
    """To the next lesson, its exercise, what goes deeper and the index; to lessons by their titles."""
    links = links_of(notebook_of(lesson))
    titles = {notebook_of(other): other.title for other in LESSONS}
    titles |= {ROOT / "exercises" / file.name: title for file, title in titles.items()}
    after = LESSONS[LESSONS.index(lesson) + 1 :][:1]
    exercise = ROOT / "exercises" / f"{lesson.file.stem}.ipynb"
    needed = {notebook_of(other) for other in [*after, *deeper_of(lesson)]} | {ROOT / "notebooks/index.ipynb"}
    assert links.keys() >= needed | ({exercise} if exercise.exists() else set())
    for file, says in links.items():
        assert file.exists()
        assert says in (titles.get(file, says), file.stem[:2], f"lesson {file.stem[:2]}"), says
    told = re.findall(r"\*\*(?:Next|Read before)\*\*:.*", "\n".join(lesson.prose))
    assert not [text for text in told if re.search(r"[Ll]essons? \d", text.replace("lessons [", ""))]


def deeper_of(lesson):
    return [notebook for notebook in DEEPER if notebook.number == lesson.number]


@every_lesson
def test_a_deeper_notebook_leads_back_to_its_lesson(lesson):
    for notebook in deeper_of(lesson):
        assert notebook_of(lesson) in links_of(notebook_of(notebook)), notebook.name
        assert f"{notebook.link} ({notebook.minutes} min)" in text_of("index.ipynb")


@pytest.mark.parametrize("name", [lesson.file.stem for lesson in LESSONS[1:]])
@pytest.mark.parametrize("folder", ["exercises", "solutions"])
def test_an_exercise_and_its_solution_lead_to_each_other_and_to_the_lesson(folder, name):
    links = links_of(ROOT / folder / f"{name}.ipynb")
    kinds = ("notebooks", "exercises", "solutions")
    after = [lesson.file.stem for lesson in LESSONS if lesson.file.stem > name][:1]
    needed = {ROOT / kind / f"{name}.ipynb" for kind in kinds} | {ROOT / folder / f"{next}.ipynb" for next in after}
    assert links.keys() >= needed | {ROOT / "notebooks/index.ipynb"}
    assert all(file.exists() for file in links)


def test_the_glossary_is_whole():
    names = [term["name"] for term in TERMS]
    assert len(names) == len(set(names))
    page = text_of("glossary.ipynb")
    for term in TERMS:
        assert page.count(f"| **{term['name']}** |") == 1
        assert term["means"].endswith(".")


@pytest.mark.parametrize("term", TERMS, ids=lambda term: term["name"])
def test_a_term_is_explained_before_it_is_used(term):
    """A lesson may use a word of a later one where it has named that lesson, in the same cell or before."""
    before = [lesson for lesson in [*LESSONS, *DEEPER] if lesson.number < term["lesson"][:2]]
    own = next(lesson for lesson in [*LESSONS, *DEEPER] if lesson.name == term["lesson"])
    assert used_unexplained(term, before) == []
    assert words(term).search(own.text.replace("**", "")), f"lesson {own.name} does not use the word"


def used_unexplained(term, earlier):
    longer = [other["name"] for other in TERMS if term["name"] in other["name"] != term["name"]]
    own = term["lesson"][:2]
    named = re.compile(rf"lessons? (?:\d\d(?:, | and | or ))*{own}|\({own}_|\[{own}", re.I)
    found = []
    for lesson in earlier:
        pointed = False
        for cell in lesson.prose:
            pointed = pointed or bool(named.search(cell))
            text = re.sub(r"\*[A-Z][^*]+\*", "", cell)  # titles of works
            for name in longer:
                text = re.sub(re.escape(name), "", text, flags=re.I)
            use = words(term).search(text)
            if use and not pointed:
                found.append(f"{lesson.name}: … {text[max(0, use.start() - 40) : use.end() + 30]} …")
    return found


def test_a_word_that_comes_too_early_would_be_found(tmp_path):
    term = {"name": "logit", "lesson": "05"}
    assert used_unexplained(term, [lesson_of(tmp_path, "Look at the logits.")])
    assert not used_unexplained(term, [lesson_of(tmp_path, "Look at the logits (lesson 05).")])
    assert not used_unexplained(term, [lesson_of(tmp_path, "Look at logistics.")])


def test_references_are_whole():
    page = text_of("references.ipynb")
    for work in WORKS:
        assert page.count(f"*{work['title']}*") == 1
        assert any(lesson.cites(work) for lesson in [*LESSONS, *DEEPER]), work["title"]


@every_notebook
def test_every_cited_work_is_in_the_references(lesson):
    assert lesson.unknown_citations(WORKS) == []


def test_citations_are_recognised(tmp_path):
    work = {"first": "Su", "year": 2021}
    for text in ("Su et al. (2021), *RoFormer*", "Su et al., 2021", "Su, Lu and Pan 2021", "Su (2021)"):
        lesson = lesson_of(tmp_path, f"It turns them ({text}).")
        assert lesson.cites(work), text
        assert not lesson.unknown_citations([work])
        assert lesson.unknown_citations([])
    assert not lesson_of(tmp_path, "Su et al. (2020) and others in 2021").cites(work)
    assert not lesson_of(tmp_path, "In 2021 it rained.").unknown_citations([])


def test_deeper_notebooks_are_in_the_index_the_glossary_and_the_references(tmp_path):
    folder = tmp_path / "notebooks" / "source"
    (folder / "deeper").mkdir(parents=True)
    lesson_of(folder, LESSON)
    lesson_of(folder / "deeper", "# Why X\n\n**Time**: 15 minutes.\n\nBoth are of Ab (1999).", "03_why.py")
    (folder / "glossary.toml").write_text('[[term]]\nname = "a"\nlesson = "03_why"\nmeans = "A."\n')
    table = '[[work]]\nfirst = "{}"\nyear = {}\ntitle = "{}"\nauthors = "A"\nwhere = "X"\n'
    (folder / "references.toml").write_text(table.format("Su", 2021, "R") + table.format("Ab", 1999, "Old"))
    made = {name: "\n".join(texts) for name, texts in pages(tmp_path).items()}
    assert "| [03 · X](03_x.ipynb)<br>[Why X](deeper/03_why.ipynb) (15 min) | 5 |" in made["index"]
    assert "| **a** | A. | [Why X](deeper/03_why.ipynb) |" in made["glossary"]
    assert "*Old*. X. Cited in [Why X](deeper/03_why.ipynb)." in made["references"]

    (folder / "deeper" / "03_why.py").rename(folder / "deeper" / "04_why.py")
    with pytest.raises(ValueError, match=r"there is no lesson \['04'\]"):
        pages(tmp_path)


def test_a_head_without_minutes_is_one_sentence(tmp_path):
    with pytest.raises(ValueError, match=r"^03_x\.py must say its time in the first cell, as in \*\*Time\*\*: 45 min"):
        _ = lesson_of(tmp_path, "# 03 · X").minutes


LESSON = "# 03 · X\n**You will be able to**\n\n- x\n\n**Time**: 5 minutes.\nAfter Su et al. (2021)."


@pytest.mark.parametrize(
    ("terms", "works", "sentence"),
    [
        ("04", "", "glossary.toml must name lessons that exist, got ['04']"),
        (
            "03",
            "work = []",
            "references.toml must have every work that a lesson cites, and lacks Su et al. (2021 (lesson 03)",
        ),
        (
            "03",
            '[[work]]\nfirst = "Su"\nyear = 2021\ntitle = "R"\nauthors = "S"\nwhere = "X"\n'
            '[[work]]\nfirst = "Ab"\nyear = 1999\ntitle = "Old"',
            "references.toml must hold cited works only, and no lesson cites 'Old'",
        ),
    ],
)
def test_a_table_that_does_not_fit_is_one_sentence(tmp_path, terms, works, sentence):
    folder = tmp_path / "notebooks" / "source"
    folder.mkdir(parents=True)
    lesson_of(folder, LESSON)
    (folder / "glossary.toml").write_text(f'[[term]]\nname = "a"\nlesson = "{terms}"\nmeans = "A."\n')
    (folder / "references.toml").write_text(works or "work = []")
    with pytest.raises(ValueError) as caught:
        pages(tmp_path)
    assert str(caught.value) == sentence


@every_notebook
def test_every_number_of_the_text_comes_from_somewhere(lesson):
    why = explained().get(lesson.name, {})
    found = unexplained(lesson)
    assert [line for line in found if line.partition(":")[0] not in why] == []
    unused = set(why) - {line.partition(":")[0] for line in found}
    assert not unused, "explained, and no longer there"


def test_a_number_from_nowhere_would_be_found(tmp_path):
    lesson = lesson_of(tmp_path, "It takes 4,711 bytes, 91.4 % of 5,000; that is lesson 05.")
    cell = {"cell_type": "code", "source": ["x = 5_000"], "metadata": {}}
    cell["outputs"] = [{"data": {"text/plain": "0.91352"}, "metadata": {}}]
    (tmp_path / "nb").mkdir()
    notebook = tmp_path / "nb" / "03_x.ipynb"
    notebook.write_text(json.dumps({"cells": [cell]}))
    assert [line.partition(":")[0] for line in unexplained(lesson, notebook)] == ["4,711"]
