"""What is kept of widgets for pages without a kernel, the files that are made of it, and that all of it is there."""

import ast
import base64
import gzip
import json

import nbformat
import pytest

from course_utils import widgets
from course_utils.machine import ROOT
from course_utils.publishing.live import assets
from course_utils.publishing.live.record import LiveError, keep, kept, place, recorded, stored_text
from course_utils.widgets import MemoryCalculator, SamplingLab

NOTEBOOKS = sorted([*ROOT.glob("notebooks/*.ipynb"), *ROOT.glob("notebooks/deeper/*.ipynb")])
SHOW = {*widgets.__all__, "quiz_question", "predict"}


def unpacked(script):
    """What a file hands over: its name, and its text."""
    call = script.removeprefix("courseLive.put(").removesuffix(");\n")
    return json.loads(f"[{call}]")


def content(script):
    return json.loads(gzip.decompress(base64.b64decode(unpacked(script)[1])))


def asked_for(value):
    """The names of the files in a state."""
    if isinstance(value, dict):
        return [value["$file"]] if "$file" in value else [name for one in value.values() for name in asked_for(one)]
    return [name for one in value for name in asked_for(one)] if isinstance(value, list) else []


def test_what_is_kept_is_read_as_it_was_in_its_order(tmp_path, random_trace):
    whole = recorded(SamplingLab(random_trace, order=["min_p", "top_p", "top_k", "temperature"]))
    whole["answers"] = {"2": {"z": 1, "a": [2, {"y": 3, "b": 4}]}, "1": {}}
    keep(tmp_path, "notebooks/deeper/11_x", {"cell": whole})
    assert place(tmp_path, "notebooks/deeper/11_x").is_file()
    again = kept(tmp_path, "notebooks/deeper/11_x")
    assert json.dumps(again) == json.dumps({"cell": whole})
    state = content(assets.live_files({"k": whole})["states/k"])
    assert json.dumps(state["more"]) == json.dumps(whole["answers"])
    assert list(state["state"]) == list(whole["state"])
    assert not {"layout", "_esm", "_css", "_view_name"} & set(whole["state"])

    keep(tmp_path, "notebooks/deeper/11_x", {})  # its last widget is gone
    assert kept(tmp_path, "notebooks/deeper/11_x") == {}
    keep(tmp_path, "notebooks/deeper/11_x", {})


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-9], lambda data: data[9:], lambda data: b"", lambda data: b"{}"]
)
def test_a_damaged_file_is_one_sentence(tmp_path, damage):
    keep(tmp_path, "notebooks/11_x", {"cell": recorded(MemoryCalculator())})
    file = place(tmp_path, "notebooks/11_x")
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(LiveError, match=r"11_x\.json\.xz is damaged: delete it and run `course sync --execute`\.$"):
        kept(tmp_path, "notebooks/11_x")


def test_bytes_that_two_widgets_share_are_one_file(random_trace):
    labs = {name: recorded(SamplingLab(random_trace, top_k=k)) for name, k in (("a", 5), ("b", 9))}
    files = assets.live_files(labs)
    first, second = (asked_for(content(files[f"states/{name}"])) for name in labs)
    assert first == second != []
    assert {name for name in files if name.startswith("bytes/")} == set(first)
    held = [one["$bytes"] for one in labs["a"]["state"].values() if isinstance(one, dict) and "$bytes" in one]
    for name in first:
        assert gzip.decompress(base64.b64decode(unpacked(files[name])[1])) in map(base64.b64decode, held)
    assert {name for name in files if name.startswith("widgets/")} == {"widgets/_common", "widgets/sampling_lab"}
    assert all(name == unpacked(script)[0] for name, script in files.items())


def test_large_answers_travel_apart_and_small_bytes_within():
    small = {"$bytes": base64.b64encode(b"abc").decode()}
    widget = {"module": "question", "text": "", "state": {"few": small}, "answers": {"[0]": {"words": "x" * 30_000}}}
    files = assets.live_files({"k": widget})
    assert content(files["states/k"]) == {"module": "question", "state": {"few": small}, "more": "states/k-more"}
    assert content(files["states/k-more"]) == widget["answers"]


@pytest.mark.parametrize("text", ["</script>", "<!--<script>", "👩\u200d👩\u200d👧", "\u2028", '"\\'])
def test_no_text_ends_the_script_that_hands_it_over(text):
    widget = {"module": "question", "text": text, "state": {"said": text}, "answers": {}}
    (name,) = set(assets.live_files({text: widget})) - {"widgets/_common", "widgets/question"}
    script = assets.live_files({text: widget})[name]
    assert "<" not in script
    assert script.isascii()
    assert unpacked(script)[0] == f"states/{text}"
    assert content(script)["state"] == {"said": text}
    assert "<" not in assets.live_files({"k": widget})["widgets/question"]


def test_the_place_comes_after_the_last_output_with_the_stored_text():
    def shown(text, **data):
        return nbformat.v4.new_output("display_data", {"text/plain": text, **data})

    said = nbformat.v4.new_output("stream", text="said")
    for outputs, after in (
        ([shown("a")], 0),
        ([shown("a"), shown("b"), shown("b"), said], 2),
        ([shown("b"), shown("a"), shown("b")], 2),
        ([said, shown(""), said], 1),
    ):
        cell = nbformat.v4.new_code_cell("lab", outputs=list(outputs))
        assets.add_place(cell, "11_x/cell")
        assert "data-live" in cell.outputs[after + 1].data["text/html"]
        assert [one for one in cell.outputs if "data-live" not in str(one)] == outputs
        place_of = cell.outputs.index(cell.outputs[after + 1])
        assert place_of == after + 1


def test_the_place_escapes_what_it_is_given():
    assert assets.fragment('a"<b>', 'x" onclick="') == (
        '<div class="live" data-live="a&quot;&lt;b&gt;" data-play="x&quot; onclick=&quot;"></div>'
    )


def called(node):
    """The name of what a call calls."""
    return getattr(node.func, "id", getattr(node.func, "attr", "")) if isinstance(node, ast.Call) else ""


def shows_a_widget(cell, names):
    """Whether the last line of a cell is a widget or a question; `names` are the variables that hold one."""
    if cell.cell_type != "code" or not cell.outputs:
        return False
    try:
        lines = ast.parse(cell.source).body
    except SyntaxError:  # a magic of IPython
        return False
    for line in lines:
        if isinstance(line, ast.Assign) and isinstance(line.targets[0], ast.Name):
            (names.add if called(line.value) in SHOW else names.discard)(line.targets[0].id)
    last = lines[-1] if lines else None
    return isinstance(last, ast.Expr) and (called(last.value) in SHOW or getattr(last.value, "id", "") in names)


@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.stem)
def test_every_widget_of_a_notebook_is_kept_as_the_notebook_shows_it(file):
    notebook = nbformat.read(file, as_version=4)
    names, cells = set(), {cell.id: cell for cell in notebook.cells}
    shown = [cell.id for cell in notebook.cells if shows_a_widget(cell, names)]
    alive = kept(ROOT, file.relative_to(ROOT).with_suffix("").as_posix())
    assert sorted(alive) == sorted(shown)
    for one, widget in alive.items():
        assert widget["text"] == stored_text(cells[one]), cells[one].source


def test_nothing_is_kept_of_a_notebook_that_is_gone():
    names = {file.relative_to(ROOT / "notebooks").with_suffix("").as_posix() for file in NOTEBOOKS}
    folder = ROOT / "website" / "live"
    of = {file.relative_to(folder).as_posix().removesuffix(".json.xz") for file in folder.rglob("*.json.xz")}
    assert of <= {*names, "front"}


def test_a_cell_that_shows_a_widget_is_seen():
    widgets = ["asked = predict('a', 'b', 'cd')\nasked", "asked", "learner.quiz_question()", "asked\nlab = x\nasked"]
    others = ["x = 1\nx", "lab = mask_lab(1)", "lab = mask_lab(1)\nlab = 3\nlab", "figures.bars()", "%time 1", ""]
    names, output = set(), nbformat.v4.new_output("display_data", {"text/plain": ""})
    cells = [nbformat.v4.new_code_cell(source, outputs=[output]) for source in widgets + others]
    assert [shows_a_widget(cell, names) for cell in cells] == [True] * len(widgets) + [False] * len(others)
