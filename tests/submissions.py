"""Notebooks that learners hand in, made for the tests of the grader, and a pool without processes."""

from concurrent.futures import Future

import nbformat

DOUBLE = "def double(values):\n    return values + values"
TOTAL = "def total(numbers):\n    return sum(numbers)"


def graded(name, solution=True):
    return {
        "grade_id": name,
        "solution": solution,
        "grade": not solution,
        "locked": False,
        "schema_version": 3,
        "task": False,
    }


def notebook(*code, prose="Because.", metadata=True):
    """A notebook with these cells of code, and an answer in words."""
    cells = [nbformat.v4.new_code_cell(source) for source in code]
    answer = nbformat.v4.new_markdown_cell(prose, metadata={"nbgrader": graded("q3")} if metadata else {})
    cells += [nbformat.v4.new_markdown_cell("## q3 · Why\n\nSay why."), answer]
    return nbformat.v4.new_notebook(cells=cells)


def hand_in(file, *code, **options):
    """Write such a notebook to `file`, and return the file."""
    file.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook(*code, **options), file)
    return file


class Here:
    """A pool that works in this process."""

    def __init__(self, *settings, **options):
        """Take what the real one takes."""

    def submit(self, function, *arguments):
        done = Future()
        done.set_result(function(*arguments))
        return done

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return None
