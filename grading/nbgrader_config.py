"""The configuration of a course folder for nbgrader: `python grading/nbgrader_course.py FOLDER` copies it there.

nbgrader reads it from the folder in which its commands are started. See nbgrader.md.
"""

import os
import secrets
import tempfile
from pathlib import Path

from nbgrader import utils
from nbgrader.preprocessors import (
    CheckCellMetadata,
    ClearOutput,
    DeduplicateIds,
    NbGraderPreprocessor,
    OverwriteCells,
    OverwriteKernelspec,
)

try:
    from course_utils.exercises.assignments import PROSE_STUB, STUB
    from course_utils.grading.limits import Limits
    from course_utils.grading.notebook_file import DEMONSTRATION
except ImportError as error:
    # After an ordinary error nbgrader goes on without this file, and so without the sandbox.
    raise SystemExit(f"nbgrader needs the Python in which the course is installed ({error}).") from error

FOLDER = Path(__file__).resolve().parent
c = get_config()  # noqa: F821 - nbgrader puts it there

# The course, and where learners fetch and submit: a folder that all of them can write to.
c.CourseDirectory.course_id = "llms-by-hand"
c.CourseDirectory.root = str(FOLDER)
c.Exchange.root = os.environ.get("COURSE_EXCHANGE", "/usr/local/share/nbgrader/exchange")

# What learners find in place of a solution: the same as in exercises/.
c.ClearSolutions.code_stub = {"python": STUB}
c.ClearSolutions.text_stub = PROSE_STUB
c.ClearSolutions.begin_solution_delimeter = "### BEGIN SOLUTION"
c.ClearSolutions.end_solution_delimeter = "### END SOLUTION"
c.ClearHiddenTests.begin_test_delimeter = "### BEGIN HIDDEN TESTS"
c.ClearHiddenTests.end_test_delimeter = "### END HIDDEN TESTS"

# Where learners' code runs: in the sandbox, without a network, so the sockets are files.
kernels = [str(FOLDER / "jupyter"), *filter(None, os.environ.get("JUPYTER_PATH", "").split(os.pathsep))]
os.environ["JUPYTER_PATH"] = os.pathsep.join(dict.fromkeys(kernels))
c.Execute.kernel_name = "course-sandbox"
c.KernelManager.transport = "ipc"
# Where the sockets' names begin: nobody else can guess it, and so put a socket of theirs there.
c.KernelManager.ip = str(Path(tempfile.gettempdir()).resolve() / f"course-{secrets.token_hex(8)}")
c.Execute.startup_timeout = int(Limits().start_seconds)
c.Execute.timeout = int(Limits().cells_seconds)  # of one cell
# Cells that only show something at work are left out, as `course grade` leaves them out.
c.Execute.skip_cells_with_tag = DEMONSTRATION


class Repair(NbGraderPreprocessor):
    """Undo what a learner's notebook may say about its cells with points.

    A test without output has full marks in nbgrader, so a tag that skips it would be worth the points. Of a cell that
    is there twice, nbgrader leaves one with empty metadata, and would stop there, with all submissions that follow.
    """

    def preprocess_cell(self, cell, resources, cell_index):
        """Return the cell without tags if it has points, and without metadata that is empty."""
        if utils.is_grade(cell):
            cell.metadata.pop("tags", None)
        if not cell.metadata.get("nbgrader", True):
            del cell.metadata["nbgrader"]
        return cell, resources


c.Autograde.sanitize_preprocessors = [
    ClearOutput, DeduplicateIds, Repair, OverwriteKernelspec, OverwriteCells, CheckCellMetadata,
]  # fmt: skip
# Points of an earlier run would stay when a test is not there, so one that was deleted is put back.
c.OverwriteCells.add_missing_cells = True

# `nbgrader export` writes grades.csv.
c.ExportApp.plugin_class = "nbgrader.plugins.export.CsvExportPlugin"
c.CsvExportPlugin.to = str(FOLDER / "grades.csv")
