"""The course's index, glossary and references: notebooks made from the lessons and two tables."""

import ast
import re
import tomllib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import jupytext

from course_utils.learner.markup import markdown_link, markdown_table

_WIDGET_NAMES = {
    "pipeline xray": "pipeline x-ray",
    "cache stepper": "prefill/decode stepper",
    "next token explorer": "next-token explorer",
}
# What looks like a citation: a name, then a year, as in "Su et al. (2021)", "Devlin et al. 2019", "Dauphin (2018".
_CITATION = re.compile(r"\b(?!(?:In|Since|Until|By|From)\b)[A-Z][\w’'-]+(?: et al\.)?,? \(?((?:1[89]|20)\d\d)\b")
PICTURE = re.compile(r"!\[([^\]]*)\]\(([^)\s]+)\)")  # its words, its file
_BETWEEN = 70  # the most characters from the first author's name to the year


@dataclass(frozen=True)
class Lesson:
    """A lesson or a deeper notebook, read from its source.

    Args:
        file: `notebooks/source/NN_name.py` or `notebooks/source/deeper/NN_topic.py`.

    Lesson: none (this is how the index is made).
    """

    file: Path

    @cached_property
    def source(self) -> str:
        """The percent script."""
        return self.file.read_text(encoding="utf-8")

    @property
    def number(self) -> str:
        """Two digits; a deeper notebook has those of its lesson."""
        return self.file.stem[:2]

    @property
    def is_deeper(self) -> bool:
        """Whether it goes beyond a lesson."""
        return self.file.parent.name == "deeper"

    @property
    def name(self) -> str:
        """What the tables call it: a lesson by its number, a deeper notebook by its file, such as "11_order"."""
        return self.file.stem if self.is_deeper else self.number

    @property
    def address(self) -> str:
        """Where the notebook is, from the folder of the lessons."""
        return f"deeper/{self.file.stem}.ipynb" if self.is_deeper else f"{self.file.stem}.ipynb"

    @property
    def title(self) -> str:
        """The heading, such as "08 · Attention"."""
        return self._head.partition("\n")[0].removeprefix("# ")

    @property
    def link(self) -> str:
        """The title, linked to the notebook."""
        return markdown_link(self.title, self.address)

    @property
    def minutes(self) -> int:
        """How long a learner needs.

        Raises:
            ValueError: Its head doesn't say so.
        """
        said = re.search(r"\*\*Time\*\*: (\d+) minutes", self._head)
        if said is None:
            raise ValueError(f"{self.file.name} must say its time in the first cell, as in **Time**: 45 minutes")
        return int(said[1])

    @property
    def objectives(self) -> list[str]:
        """What a learner will be able to do, without the marks of the list."""
        listed = self._head.partition("**You will be able to**")[2].partition("**Time**")[0]
        lines = listed.replace("\n  ", " ").splitlines()  # an objective may take two lines
        return [line.removeprefix("- ").strip(" ;.") for line in lines if line.startswith("- ")]

    @property
    def widgets(self) -> list[str]:
        """The widgets in it, by their names in plain words, in the order of use."""
        imports = [node for node in self._code.body if isinstance(node, ast.ImportFrom)]
        imported = [name.name for node in imports if node.module == "course_utils.widgets" for name in node.names]
        plain = [re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).replace("_", " ").lower() for name in imported]
        return list(dict.fromkeys(_WIDGET_NAMES.get(name, name) for name in plain))

    @cached_property
    def text(self) -> str:
        """All that a learner reads: the prose, and the words of the quizzes."""
        calls = [node for node in ast.walk(self._code) if isinstance(node, ast.Call)]
        quizzes = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "quiz_question"]
        return "\n\n".join([*self.prose, *("\n".join(_words(quiz)) for quiz in quizzes)])

    @cached_property
    def text_and_sources(self) -> str:
        """The text, and where the numbers of published models come from if the lesson shows some."""
        if "PUBLISHED" not in self.source and "MemoryCalculator" not in self.source:
            return self.text
        from course_utils.measuring.model_shapes import PUBLISHED  # takes seconds, and only two lessons need it

        return "\n\n".join([self.text, *(shape.source for shape in PUBLISHED.values())])

    @cached_property
    def prose(self) -> list[str]:
        """The text of every markdown cell; a line break inside a paragraph is a space."""
        return [re.sub(r"(?<=\S)\n(?=[^\s|#-])", " ", text) for text in self._markdown]

    @cached_property
    def _markdown(self) -> list[str]:
        """The source of every markdown cell, without its pictures.

        The schematic's words for those who can't see it name parts of the map that a later lesson explains.
        """
        cells = jupytext.reads(self.source, fmt="py:percent").cells
        return [PICTURE.sub("", cell.source) for cell in cells if cell.cell_type == "markdown"]

    @property
    def _head(self) -> str:
        return self._markdown[0]

    @cached_property
    def _code(self) -> ast.Module:
        """Every code cell: a percent script is a Python module."""
        return ast.parse(self.source)

    def cites(self, work: dict) -> list[int]:
        """Return the place of the year each time the lesson cites `work`."""
        pattern = rf"\b{work['first']}\b(?:(?!\b(?:1[89]|20)\d\d\b).){{1,{_BETWEEN}}}?\b({work['year']})\b"
        text, title = self.text_and_sources, work.get("named", "")  # of two works of one author and year
        return [place.start(1) for place in re.finditer(pattern, text, re.S) if title in text[place.start() :][:150]]

    def unknown_citations(self, works: list[dict]) -> list[str]:
        """Return what looks like a citation and is in no table of `works`."""
        known = {place for work in works for place in self.cites(work)}
        return [found[0] for found in _CITATION.finditer(self.text_and_sources) if found.start(1) not in known]


def _words(quiz: ast.Call) -> list[str]:
    """Return the question, the options and what is said about each; the first argument is only a name."""
    nodes = [node for argument in quiz.args[1:] for node in ast.walk(argument)]
    return [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]


def lessons(folder: Path) -> list[Lesson]:
    """Return the lessons in `folder`, which is `notebooks/source`, by their number.

    Lesson: none (this is how the index is made).

    >>> [lesson.title for lesson in lessons(Path("notebooks/source"))][0]
    '00 · Start here'
    """
    return [Lesson(file) for file in sorted(folder.glob("[0-9][0-9]_*.py"))]


def deeper_notebooks(folder: Path) -> list[Lesson]:
    """Return what goes beyond the lessons in `folder`, which is `notebooks/source`, in the order of the lessons.

    Lesson: none (this is how the index is made).

    >>> all(notebook.is_deeper for notebook in deeper_notebooks(Path("notebooks/source")))
    True
    """
    return lessons(folder / "deeper")


def pages(root: Path) -> dict[str, list[str]]:
    """Return the markdown cells of every generated page, by the name of its notebook.

    Raises:
        ValueError: A table names a lesson that does not exist, or lacks a work that a lesson cites.

    Lesson: none (this is how the index is made).
    """
    folder = root / "notebooks" / "source"
    every, deeper = lessons(folder), deeper_notebooks(folder)
    terms = tomllib.loads((folder / "glossary.toml").read_text(encoding="utf-8"))["term"]
    works = tomllib.loads((folder / "references.toml").read_text(encoding="utf-8"))["work"]
    exercises = {file.stem[:2]: file.name for file in (root / "exercises").glob("[0-9][0-9]_*.ipynb")}
    return {
        "index": _index(every, deeper, exercises),
        "glossary": _glossary([*every, *deeper], terms),
        "references": _references([*every, *deeper], works),
    }


def _index(every: list[Lesson], deeper: list[Lesson], exercises: dict[str, str]) -> list[str]:
    strays = sorted({notebook.number for notebook in deeper} - {lesson.number for lesson in every})
    if strays:
        raise ValueError(f"a deeper notebook must begin with the number of its lesson, and there is no lesson {strays}")
    rows = []
    for lesson in every:
        goals = "<br>".join(f"• {goal}" for goal in lesson.objectives)
        name = exercises.get(lesson.number)
        exercise = markdown_link(lesson.number, f"../exercises/{name}") if name else "–"
        more = [f"{other.link} ({other.minutes} min)" for other in deeper if other.number == lesson.number]
        title = "<br>".join([lesson.link, *more])
        rows.append((title, str(lesson.minutes), goals, ", ".join(lesson.widgets) or "–", exercise))
    hours = sum(lesson.minutes for lesson in every) / 60
    about = (
        f"All {len(every)} lessons, about {hours:.0f} hours. Each needs only what its head names under *Read before*. "
        f"{markdown_link('The glossary', 'glossary.ipynb')} says what the words mean, "
        f"{markdown_link('the references', 'references.ipynb')} name the works that the lessons cite."
    )
    if deeper:
        about += " *Deeper* notebooks are optional: each takes one question of its lesson further."
    titles = ("lesson", "minutes", "you will be able to", "widgets", "exercise")
    return [f"# Index\n\n{about}", markdown_table(titles, rows)]


def _glossary(every: list[Lesson], terms: list[dict]) -> list[str]:
    links = {lesson.name: lesson.link for lesson in every}
    missing = sorted({term["lesson"] for term in terms} - set(links))
    if missing:
        raise ValueError(f"glossary.toml must name lessons that exist, got {missing}")
    ordered = sorted(terms, key=lambda term: term["name"].lower())
    rows = [(f"**{term['name']}**", term["means"], links[term["lesson"]]) for term in ordered]
    about = (
        "Every term of the course in one sentence, with the lesson that explains it first. Terms are used in one way "
        "everywhere."
    )
    return [f"# Glossary\n\n{about}", markdown_table(("term", "what it means", "explained in"), rows)]


def _references(every: list[Lesson], works: list[dict]) -> list[str]:
    missing = [f"{text} (lesson {lesson.name})" for lesson in every for text in lesson.unknown_citations(works)]
    if missing:
        raise ValueError(f"references.toml must have every work that a lesson cites, and lacks {'; '.join(missing)}")
    lines = []
    for work in sorted(works, key=lambda work: (work["first"], work["year"], work["title"])):
        where = [lesson.link for lesson in every if lesson.cites(work)]
        if not where:
            raise ValueError(f"references.toml must hold cited works only, and no lesson cites {work['title']!r}")
        place = markdown_link(work["where"], work["url"]) if "url" in work else work["where"]
        title = f"*{work['title']}*" + ("" if work["title"].endswith("?") else ".")
        lines.append(f"- {work['authors']} ({work['year']}). {title} {place}. Cited in {'; '.join(where)}.")
    about = "Every work that a lesson cites, once, with the lessons that cite it."
    return [f"# References\n\n{about}", "\n".join(lines)]
