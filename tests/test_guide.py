"""The instructor guide: plans add up, every lesson has its half page, and what it quotes is what the notebooks show."""

import ast
import json
import re
from functools import cache
from itertools import pairwise

import pytest

from course_utils.machine import ROOT
from course_utils.publishing.pages import lessons
from course_utils.publishing.recorded import SIGNATURE

GUIDE = ROOT / "workshop" / "guide"
PAGES = sorted(GUIDE.glob("*.md"))
LESSONS = {lesson.number: lesson for lesson in lessons(ROOT / "notebooks" / "source")}
HEADINGS = ["Aim", "Demonstrate", "Predictions", "Errors and cures", "When late"]
NO_NUMBER_STORED = "your machine"


def sections(page, level="## "):
    """The parts of a page by their headings."""
    parts = re.split(rf"^{level}", (GUIDE / page).read_text(encoding="utf-8"), flags=re.M)[1:]
    return dict(part.split("\n", 1) for part in parts)


def table(text):
    """The rows of the first table, without its head."""
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows[2:]]


@cache
def cells(number):
    """Source and output of every code cell of the executed lesson."""
    notebook = json.loads(next((ROOT / "notebooks").glob(f"{number}_*.ipynb")).read_text(encoding="utf-8"))
    return [
        ("".join(cell["source"]), "\n".join(map(shown, cell["outputs"])))
        for cell in notebook["cells"]
        if cell["cell_type"] == "code"
    ]


def shown(output):
    return "".join(output.get("text") or output.get("data", {}).get("text/plain", ""))


def numbers(text):
    return set(re.findall(r"\d+(?:[.,]\d+)*", text))


def words(text):
    """A text with all spaces alike, and none before %."""
    return " ".join(text.split()).replace(" %", "%")


def page_of(number):
    return next(text for heading, text in sections("lessons.md").items() if heading.startswith(f"{number} · "))


def predictions():
    return [(number, *row) for number in LESSONS for row in table(page_of(number).split("### Predictions")[1])]


def minutes(clock):
    hours, rest = clock.split(":")
    return 60 * int(hours) + int(rest)


@pytest.mark.parametrize("plan", ["Half a day", "One day"])
def test_the_minutes_of_a_day_add_up(plan):
    heading, text = next(part for part in sections("plans.md").items() if part[0].startswith(plan))
    rows = [(minutes(start), int(length)) for start, length, _ in table(text)]
    assert sum(length for _, length in rows) == int(re.search(r"(\d+) minutes", heading)[1])
    assert rows[0][0] == 0
    assert [start + length for start, length in rows[:-1]] == [start for start, _ in rows[1:]]
    breaks = [start for start, _, what in table(text) if what in ("Break", "Lunch")]
    assert all(later - sooner <= 150 for sooner, later in pairwise([0, *map(minutes, breaks), sum(rows[-1])]))


def test_the_minutes_of_the_semester_add_up():
    heading, text = next(part for part in sections("plans.md").items() if part[0].startswith("A semester"))
    weeks, each, total = (int(number.replace(",", "")) for number in re.findall(r"\d[\d,]*", heading))
    rows = table(text)
    assert [int(row[0]) for row in rows] == list(range(1, weeks + 1))
    assert [sum(map(int, row[2:7])) for row in rows] == [each] * weeks
    assert weeks * each == total


def test_the_semester_has_every_lesson_and_its_time():
    text = next(text for heading, text in sections("plans.md").items() if heading.startswith("A semester"))
    rows = [(re.findall(r"\b\d\d\b", row[1]), int(row[3])) for row in table(text)]
    assert [number for numbers, _ in rows for number in numbers] == list(LESSONS)
    for (number, *others), length in rows:
        assert bool(others) or length == time_of(number)


def time_of(number):
    return int(re.search(r"\*\*Time\*\*: (\d+) minutes", LESSONS[number].text)[1])


@pytest.mark.parametrize("number", LESSONS)
def test_a_lesson_says_its_time_and_that_of_its_exercise(number):
    said = re.findall(r"\((\S+)\),\s(\d+)\sminutes", page_of(number).split("### ")[0])
    for target, length in said:
        notebook = json.loads((GUIDE / target).read_text(encoding="utf-8"))
        first = "".join(notebook["cells"][0]["source"])
        assert int(length) == int(re.search(r"(?:\*\*Time\*\*: |^\| )(\d+) minutes", first, re.M)[1])
    made = [*(ROOT / "notebooks").glob(f"{number}_*.ipynb"), *(ROOT / "exercises").glob(f"{number}_*.ipynb")]
    assert [(GUIDE / target).resolve() for target, _ in said] == made


def test_the_tasks_named_in_a_plan_fit_into_its_minutes():
    rows = [(int(row[1]), row[2]) for plan in list(sections("plans.md").values())[:2] for row in table(plan)]
    rows += [(int(row[5]), row[7]) for row in table(list(sections("plans.md").values())[2])]
    named = [(length, what) for length, what in rows if "xercise" in what]
    assert len(named) > 10
    for length, what in named:
        tasks = exercise_minutes(re.search(r"xercise (\d\d)", what)[1])
        asked = re.findall(r"\bq\d", what)
        assert asked
        assert sum(tasks[task] for task in asked) <= length, what


@cache
def exercise_minutes(number):
    """Minutes by task, from the exercise's own text."""
    notebook = json.loads(next((ROOT / "exercises").glob(f"{number}_*.ipynb")).read_text(encoding="utf-8"))
    text = "\n".join("".join(cell["source"]) + "\n" for cell in notebook["cells"] if cell["cell_type"] == "markdown")
    return {task: int(length) for task, length in re.findall(r"^## (q\d) · .+\n\n(\d+) minutes", text, re.M)}


def test_sections_that_a_plan_names_are_there():
    text = (GUIDE / "plans.md").read_text(encoding="utf-8")
    found = re.findall(r"/(\d\d)_\w+\.ipynb\), sections? ([^|]*)", text)
    assert len(found) > 10
    for number, named in found:
        assert all(int(section) <= last_section(number) for section in re.findall(r"\d+", named)), (number, named)


def last_section(number):
    return max(int(section) for section in re.findall(r"^## (\d+) · ", LESSONS[number].text, re.M))


@pytest.mark.parametrize("number", LESSONS)
def test_sections_that_a_lesson_names_are_there(number):
    named = re.findall(r"(?:[Ss]ections?|Skip|Keep)((?:(?:,| and| to| or)? \d+)+)", words(page_of(number)))
    assert named
    assert all(0 < int(section) <= last_section(number) for part in named for section in re.findall(r"\d+", part))


def test_a_lesson_that_may_be_left_out_is_asked_for_by_none():
    text = words((GUIDE / "plans.md").read_text(encoding="utf-8"))
    named = re.findall(r"\d\d", re.search(r"leave out lessons ([\d, and]+) first", text)[1])
    assert named
    for lesson in LESSONS.values():
        needed = re.search(r"\*\*Read before\*\*:((?:.|\n)*?)\n\n", f"{lesson.text}\n\n")[1]
        assert not set(named) & set(re.findall(r"\b\d\d", needed)), lesson.number


def test_every_lesson_has_its_part_with_the_same_headings():
    assert list(sections("lessons.md")) == [lesson.title for lesson in LESSONS.values()]
    for number in LESSONS:
        assert re.findall(r"^### (.+)$", page_of(number), re.M) == HEADINGS
        assert len(page_of(number).split()) < 420, f"{number} is more than about half a page"


def test_every_lesson_asks_the_room_something():
    assert {number for number, *_ in predictions()} == set(LESSONS)


@pytest.mark.parametrize("row", predictions(), ids=lambda row: row[1].strip("`"))
def test_a_prediction_is_that_of_the_lesson(row):
    number, name, measured, tempting, _ = row
    name, tempting = name.strip("`"), re.fullmatch("“(.+)”", tempting)[1]
    made = re.search(rf'(\w+) = predict\(\s*"{re.escape(name)}"', "\n".join(source for source, _ in cells(number)))
    assert made, f"{name} is no prediction of lesson {number}"
    assert name in LESSONS[number].file.read_text(encoding="utf-8")
    assert f'"{tempting}"' in "\n".join(source for source, _ in cells(number))
    compared = [output for source, output in cells(number) if f"{made[1]}.compare(" in source]
    assert compared
    found = re.findall(r"Measured: (.+?)(?:, which is “.+?”)?\. You (?:kept|didn't)", words(" ".join(compared)))
    if measured == NO_NUMBER_STORED:
        assert not found or all(SIGNATURE in output for output in compared), f"{name}: the notebook says {found}"
        shown = found
    else:
        shown = [one for one in found if re.search(rf"(?<![\d.]){re.escape(words(measured))}(?![\d%])", one)]
        assert shown, f"{name}: the notebook says {found}"
    assert not any(is_right(options_of(number, name)[tempting], one) for one in shown), "that is the right answer"


def options_of(number, name):
    """What a prediction of a lesson offers: each label with its range, or with itself."""
    tree = ast.parse(LESSONS[number].source)
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and len(node.args) >= 3]
    (asked,) = [call for call in calls if isinstance(call.args[0], ast.Constant) and call.args[0].value == name]
    options = asked.args[2]
    if isinstance(options, ast.Name):  # a variable of an earlier line
        made = [node for node in tree.body if isinstance(node, ast.Assign) and node.lineno < asked.lineno]
        options = [node.value for node in made if getattr(node.targets[0], "id", "") == options.id][-1]
    options = ast.literal_eval(options)
    return options if isinstance(options, dict) else {label: label for label in options}


def is_right(wanted, measured):
    """Whether an option is the one that was measured; a measured text is one, or begins with its number."""
    if isinstance(wanted, str):
        return words(wanted) == measured
    value = float(re.search(r"-?\d[\d,]*(?:\.\d+)?", measured)[0].replace(",", ""))
    low, high = wanted
    scale = 0.01 if "%" in measured else 1
    return (low is None or value * scale >= low) and (high is None or value * scale < high)


def test_the_right_answer_would_not_pass_for_a_tempting_one():
    assert is_right((0.5, None), "77%")
    assert not is_right((None, 0.5), "77%")
    assert is_right((1000, 2000), "1,024 bytes")
    assert is_right("50 %, or so", "50%, or so")
    assert not is_right("no", "yes")


@pytest.mark.parametrize("number", LESSONS)
def test_every_number_of_a_lesson_is_one_of_its_notebook(number):
    text = re.sub(r"\]\(\S+\),\s\d+\sminutes|\]\(\S+\)|\blessons? [\d, and]+", "", page_of(number))
    there = set().union(*(numbers(source) | numbers(output) for source, output in cells(number)))
    there |= numbers(LESSONS[number].text)
    assert not numbers(text) - there


def test_every_link_leads_somewhere():
    assert PAGES
    for page in PAGES:
        for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", page.read_text(encoding="utf-8")):
            file, _, place = target.partition("#")
            goal = (page.parent / file).resolve()
            assert goal.is_file(), f"{page.name}: {target}"
            assert not place or place in anchors(goal), f"{page.name}: {target}"


def anchors(file):
    """The places that GitHub makes of the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_page_is_reached_from_the_first():
    first = (GUIDE / "README.md").read_text(encoding="utf-8")
    assert all(f"]({page.name})" in first for page in PAGES if page.name != "README.md")


def test_there_is_a_place_for_the_rehearsal():
    assert "<!-- rehearsal -->" in sections("README.md")["How many fit on one machine"].splitlines()
