"""Notebooks paired with their sources by Jupytext: either can be edited, and a save changes only what was edited."""

import json
import logging
import os
import re
import shutil

import jupytext
import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jupyter_server.services.contents.largefilemanager import LargeFileManager
from jupytext.cli import jupytext as jupytext_command
from jupytext.config import load_jupytext_config
from nbformat.v4 import new_code_cell, new_markdown_cell, new_raw_cell

from course_utils.machine import ROOT
from course_utils.publishing import sync

PAIRS = {
    f"{made[0]}/{source.stem}.ipynb": f"{folder}/{source.name}"
    for folder, made in sync.MAKES.items()
    for source in sorted((ROOT / folder).glob("*.py"))
}
CONFIG = load_jupytext_config(ROOT)
PERCENT = {"extension": ".py", "format_name": "percent"}
every_pair = pytest.mark.parametrize(("notebook", "source"), PAIRS.items(), ids=PAIRS)


def paired_with(path, capsys):
    jupytext_command(["--paired-paths", str(path)])
    return capsys.readouterr().out.split()


def as_source(notebook):
    """What a save writes into the source."""
    return jupytext.writes(notebook, PERCENT, config=CONFIG)


def contents_of(notebook):
    return [(cell.cell_type, cell.source) for cell in notebook.cells]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A copy of all that Jupytext could change."""
    folder = tmp_path_factory.mktemp("author")
    for name in ("notebooks", "exercises", "solutions"):
        shutil.copytree(ROOT / name, folder / name)
    shutil.copy(ROOT / "jupytext.toml", folder)
    return folder


@pytest.fixture
def lab(folder):
    """What JupyterLab opens and saves files with, after Jupytext's server extension was loaded."""
    manager = jupytext.build_sync_jupytext_contents_manager_class(LargeFileManager)(root_dir=str(folder))
    manager.log.setLevel(logging.ERROR)
    return manager


def opened(lab, path):
    return lab.get(path, content=True, type="notebook")["content"]


def save(lab, path, notebook):
    lab.save({"type": "notebook", "content": json.loads(json.dumps(notebook))}, path)


# which


@every_pair
def test_source_and_notebook_name_each_other(notebook, source, capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert paired_with(notebook, capsys) == [source]
    assert paired_with(source, capsys) == [notebook]


def test_a_deeper_notebook_pairs_with_a_deeper_source(folder, capsys):
    source = folder / "notebooks/source/deeper/11_order.py"
    source.parent.mkdir(exist_ok=True)
    source.write_text("# %%\n1\n")
    assert paired_with(source, capsys) == [str(folder / "notebooks/deeper/11_order.ipynb")]


@pytest.mark.parametrize(
    "path",
    [
        *(f"notebooks/{name}.ipynb" for name in ("index", "glossary", "references", "Untitled")),
        "exercises/11_sampling.ipynb",
        "my-course/notebooks/11_sampling.ipynb",
        "my-course/exercises/11_sampling.ipynb",
    ],
)
def test_what_has_no_source_gets_none(folder, lab, path, capsys):
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    if not (folder / path).exists():
        shutil.copy(ROOT / "notebooks/11_sampling.ipynb", folder / path)
    assert paired_with(folder / path, capsys) == []
    scripts = sorted(folder.rglob("*.py"))
    notebook = opened(lab, path)
    notebook.cells.append(new_markdown_cell("mine"))
    save(lab, path, notebook)
    assert sorted(folder.rglob("*.py")) == scripts
    assert nbformat.read(folder / path, as_version=4).cells[-1].source == "mine"


def test_a_new_notebook_gets_its_source_when_it_is_saved_under_a_number(folder, lab):
    notebook = nbformat.v4.new_notebook(cells=[new_code_cell("1")], metadata={"language_info": {"name": "python"}})
    save(lab, "notebooks/16_new.ipynb", notebook)
    assert (folder / "notebooks/source/16_new.py").read_text() == "# %%\n1\n"


def test_jupytext_and_sync_have_the_same_options():
    assert {name: getattr(CONFIG, name) for name in sync.JUPYTEXT} == sync.JUPYTEXT


# what a save writes


@every_pair
def test_a_notebook_makes_its_source_byte_for_byte(notebook, source):
    text = (ROOT / source).read_text(encoding="utf-8")
    assert as_source(nbformat.read(ROOT / notebook, as_version=4)).rstrip("\n") == text.rstrip("\n")


@pytest.mark.parametrize("newer", ["notebook", "source"])
@every_pair
def test_it_opens_whichever_was_written_last_and_a_save_changes_nothing(folder, lab, notebook, source, newer):
    """After a clone the times of files say nothing."""
    before = (folder / source).read_bytes(), (folder / notebook).read_bytes()
    for path, name in ((notebook, "notebook"), (source, "source")):
        os.utime(folder / path, (1_000_000_000 + 1000 * (name == newer),) * 2)
    assert contents_of(opened(lab, source)) == contents_of(nbformat.read(ROOT / notebook, as_version=4))
    save(lab, notebook, opened(lab, notebook))
    assert ((folder / source).read_bytes(), (folder / notebook).read_bytes()) == before


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A repository with one lesson."""
    folder = tmp_path_factory.mktemp("made")
    for name in ("jupytext.toml", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, folder)
    (folder / "notebooks/source").mkdir(parents=True)
    (folder / "notebooks/source/01_sums.py").write_text("# %% [markdown]\n# # Sums\n\n# %%\n1 + 1\n\n# %%\n3\n")
    assert sync.sync(folder) == []
    return folder


@pytest.fixture
def small(made, tmp_path, lab):
    """A copy of it, and the author's JupyterLab over it."""
    lab.root_dir = str(shutil.copytree(made, tmp_path / "small"))
    return tmp_path / "small"


def test_how_a_notebook_looks_to_its_author_stays_out_of_the_source(small, lab):
    before = (small / "notebooks/source/01_sums.py").read_bytes()
    notebook = opened(lab, "notebooks/01_sums.ipynb")
    notebook.cells[1].metadata |= {
        "jupyter": {"outputs_hidden": True, "source_hidden": True},
        "slideshow": {"slide_type": "skip"},
        "collapsed": True,
        "scrolled": True,
        "editable": False,
        "execution": {"iopub.execute_input": "2026-01-01T00:00:00Z"},
    }
    notebook.metadata.language_info = {"name": "python", "version": "3.12.1"}
    save(lab, "notebooks/01_sums.ipynb", notebook)
    assert (small / "notebooks/source/01_sums.py").read_bytes() == before


def test_after_a_save_sync_makes_the_notebook_again_and_takes_no_output_of_the_author(small, lab):
    file = small / "notebooks/01_sums.ipynb"
    before = nbformat.read(file, as_version=4)
    notebook = opened(lab, "notebooks/01_sums.ipynb")
    notebook.cells[0].source = "# Numbers"
    notebook.cells[1].outputs[0].data["text/plain"] = "of another kernel"
    notebook.metadata.language_info = {"name": "python", "version": "3.12.1"}
    save(lab, "notebooks/01_sums.ipynb", notebook)
    assert len(sync.sync(small, check=True)) == 1
    assert sync.sync(small) == []
    after = nbformat.read(file, as_version=4)
    assert after.cells[0].source == "# Numbers"
    assert after.cells[1:] == before.cells[1:], "ids and outputs"
    assert after.metadata == before.metadata


def test_a_new_cell_and_a_changed_one_arrive_with_their_own_ids(small, lab):
    notebook = opened(lab, "notebooks/01_sums.ipynb")
    notebook.cells[1].source = "1 + 2"
    notebook.cells.insert(2, new_code_cell("2 + 2", id="made-in-lab", metadata={"tags": ["nbval-check-output"]}))
    save(lab, "notebooks/01_sums.ipynb", notebook)
    source = (small / "notebooks/source/01_sums.py").read_text()
    assert source == (
        '# %% [markdown]\n# # Sums\n\n# %%\n1 + 2\n\n# %% tags=["nbval-check-output"]\n2 + 2\n\n# %%\n3\n'
    )
    assert sync.sync(small) == []
    made = nbformat.read(small / "notebooks/01_sums.ipynb", as_version=4)
    assert [cell.id for cell in made.cells] == [cell.id for cell in sync.build(source).cells]


def test_an_edit_of_the_notebook_alone_is_not_lost(small, monkeypatch):
    """As by an editor without Jupytext; JupyterLab then refuses to open it, too."""
    file, source = small / "notebooks/01_sums.ipynb", small / "notebooks/source/01_sums.py"
    notebook = nbformat.read(file, as_version=4)
    notebook.cells[1].source = "1 + 5"
    nbformat.write(notebook, file)
    os.utime(source, (1_000_000_000, 1_000_000_000))
    (problem,) = sync.sync(small)
    assert problem.startswith("notebooks/01_sums.ipynb was edited, and notebooks/source/01_sums.py was not: ")
    assert nbformat.read(file, as_version=4) == notebook
    monkeypatch.chdir(small)
    jupytext_command(["--sync", "notebooks/01_sums.ipynb"])  # as the problem says
    assert "1 + 5\n" in source.read_text()
    assert sync.sync(small) == []
    assert nbformat.read(file, as_version=4).cells[1].outputs[0].data["text/plain"] == "6"


def test_an_older_edit_and_a_notebook_of_another_branch_are_made_again(small):
    """What `sync` made itself, or what has gone into the source since, holds nobody's work."""
    file, source = small / "notebooks/01_sums.ipynb", small / "notebooks/source/01_sums.py"
    source.write_text(source.read_text().replace("1 + 1", "1 + 5"))
    os.utime(source, (1_000_000_000, 1_000_000_000))
    assert sync.sync(small) == []
    notebook = nbformat.read(file, as_version=4)
    notebook.cells[1].source = "1 + 6"
    nbformat.write(notebook, file)
    os.utime(file, (1_000_000_000, 1_000_000_000))
    source.write_text(source.read_text().replace("1 + 5", "1 + 7"))
    assert sync.sync(small) == []
    assert nbformat.read(file, as_version=4).cells[1].source == "1 + 7"


# cells of every kind


COMMANDS = ["rm it", "cat", "cd into", "cp a b", "copy", "echo it", "ls", "why?", "%d", "%%time", "!important", "?x"]
# What ends a line ends a comment, too, and what looks like the head of a cell is one.
HEAD = re.compile(r"\s*(%%+(\s|$)|<codecell>|In\[)")
texts = st.text(st.characters(exclude_categories=["C", "Zl", "Zp"])).filter(lambda text: not HEAD.match(text))
comments = st.sampled_from(COMMANDS) | texts


@given(st.lists(comments, min_size=1, max_size=3), st.sampled_from(["# ", "#", "    # "]))
def test_a_comment_stays_a_comment(texts, prefix):
    lines = [f"{prefix}{text}" for text in texts]
    code = "\n".join(["if True:", *lines, "    x = 1", *lines])
    source = f"# %%\n{lines[0].strip()}\n{code}\n"
    made = sync.build(source)
    assert [cell.source for cell in made.cells] == [f"{lines[0].strip()}\n{code}"]
    assert as_source(made) == source


@pytest.mark.parametrize(
    "cell",
    [
        new_code_cell('x = """\n# %%\n# %% [markdown]\n"""'),
        new_code_cell("\n\nx = 1"),
        new_code_cell("x = 1\n\n\n"),
        new_code_cell(""),
        new_code_cell("# don't\nx = 'ä␣—𝄞'  # ünï"),
        new_code_cell("def f():\n    return 1"),
        new_code_cell("%timeit 1"),
        new_code_cell("!ls"),
        new_markdown_cell('"""\nquoted\n"""'),
        new_markdown_cell("\n\nspace around\n\n"),
        new_markdown_cell("```\n# %% in a fence\n```"),
        new_markdown_cell("    code\n  - a  "),
        new_raw_cell("raw"),
    ],
    ids=lambda cell: repr(cell.source),
)
def test_a_cell_comes_through_source_and_sync_as_it_was(cell):
    notebook = nbformat.v4.new_notebook(cells=[cell, new_code_cell("after = 1")])
    source = as_source(notebook)
    made = sync.build(source)
    assert contents_of(made) == contents_of(notebook)
    assert as_source(made) == source


def test_the_courses_own_metadata_comes_through():
    source = "# ---\n# jupyter:\n#   course:\n#     minutes: 30\n# ---\n\n# %%\n1\n"
    assert as_source(sync.build(source)) == source
