"""Make a course folder for nbgrader: its configuration, the sandboxed kernel, and the sources of the exercises.

    python grading/nbgrader_course.py FOLDER           # all exercises
    python grading/nbgrader_course.py FOLDER 11 12     # those of two lessons

It can be run again: sources and kernel are made again, a configuration that is there stays. See nbgrader.md.
"""

import argparse
import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import nbformat

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from sandboxed_kernel import NAME, kernel_spec  # noqa: E402 - it lies beside this file

from course_utils.exercises.assignments import exercise  # noqa: E402
from course_utils.grading.sandbox import UNSAFE, NoSandboxError, try_sandbox  # noqa: E402
from course_utils.machine import ROOT  # noqa: E402
from course_utils.publishing.sync import build  # noqa: E402

CONFIG = "nbgrader_config.py"


def make(folder: Path, lessons: Sequence[str]) -> list[str]:
    """Make or renew a course folder; return what was made, a sentence each.

    Args:
        folder: Where; nbgrader's commands are started there.
        lessons: Their numbers, such as "11"; none means all.

    Raises:
        ValueError: A lesson has no exercise, or the markers of a source do not fit.
    """
    sources = {file.stem[:2]: file for file in sorted((ROOT / "solutions" / "source").glob("[0-9][0-9]_*.py"))}
    unknown = [lesson for lesson in lessons if lesson not in sources]
    if unknown:
        raise ValueError(f"There is no exercise for lesson {unknown[0]}: use one of {', '.join(sources)}.")
    made = []
    for lesson in lessons or sources:
        name = sources[lesson].stem
        place = folder / "source" / name
        place.mkdir(parents=True, exist_ok=True)
        nbformat.write(source(sources[lesson].read_text(encoding="utf-8")), place / f"{name}.ipynb")
        made.append(f"{place}: the source of the assignment {name}.")
    kernel = folder / "jupyter" / "kernels" / NAME
    kernel.mkdir(parents=True, exist_ok=True)
    (kernel / "kernel.json").write_text(json.dumps(kernel_spec(), indent=1) + "\n", encoding="utf-8")
    made.append(f"{kernel}: the kernel in the sandbox.")
    if (folder / CONFIG).exists():
        return [*made, f"{folder / CONFIG}: it was there, and is left as it is."]
    shutil.copyfile(HERE / CONFIG, folder / CONFIG)
    return [*made, f"{folder / CONFIG}: edit the name of the course and the exchange folder."]


def source(text: str) -> nbformat.NotebookNode:
    """Return an exercise as nbgrader's `generate_assignment` takes it, with solutions and hidden tests."""
    notebook = build(text)
    as_learners_get_it = exercise(notebook)  # this finds markers without a partner, too
    notebook.metadata = as_learners_get_it.metadata
    for cell, other in zip(notebook.cells, as_learners_get_it.cells, strict=True):
        cell.id, cell.metadata = other.id, other.metadata
    return notebook


def main(arguments: Sequence[str] | None = None) -> int:
    """Make a course folder; return an exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("lessons", nargs="*", metavar="LESSON")
    options = parser.parse_args(arguments)
    try:
        open_doors = try_sandbox()
        if open_doors:
            print(open_doors, file=sys.stderr)
        print("\n".join(make(options.folder.resolve(), options.lessons)))
    except NoSandboxError as error:
        print(str(error).removesuffix(UNSAFE).strip(), file=sys.stderr)
    except ValueError as error:
        print(error, file=sys.stderr)
    except OSError as error:
        print(f"{error.filename or options.folder} cannot be written ({error.strerror}).", file=sys.stderr)
    else:
        return 0
    return 1


if __name__ == "__main__":
    sys.exit(main())
