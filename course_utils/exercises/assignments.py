"""Exercises and solutions from one source: what is between the markers goes, and a stub comes in its place.

The markers and the cell metadata are nbgrader's own, so its `generate_assignment` takes the same source.
"""

import copy
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nbformat import NotebookNode  # takes a second to import, and the grader starts many processes

STUB = "raise NotImplementedError"
PROSE_STUB = "*Write your answer here.*"
_TO_A_SOLUTION = re.compile(r",?\s*\[[^\]]*\]\(\.\./solutions/[^)\s]*\)")
_MARKER = re.compile(r"^(?P<indent>[ \t]*)### (?P<which>BEGIN|END) (?P<region>SOLUTION|HIDDEN TESTS)[ \t]*$")


def exercise(notebook: "NotebookNode") -> "NotebookNode":
    """Return what a learner gets: stubs for the solutions, no hidden tests, no outputs.

    Raises:
        ValueError: A marker has no partner, or a solution cell has none at all.
    """
    made = copy.deepcopy(notebook)
    made.metadata.pop("jupytext", None)  # no source pairs with an exercise
    for cell in made.cells:
        cell.metadata.pop("lines_to_next_cell", None)  # Jupytext's, about the source
        if "nbgrader" in cell.metadata:
            cell.id = cell.metadata.nbgrader.grade_id
        is_asked = cell.metadata.get("nbgrader", {}).get("solution", False)
        if is_asked and cell.cell_type == "markdown":
            cell.source = PROSE_STUB
        elif is_asked and "### BEGIN SOLUTION" not in cell.source:
            raise ValueError(f"the solution cell {cell.metadata.nbgrader.grade_id} needs ### BEGIN SOLUTION")
        cell.source = without_regions(cell.source, {"SOLUTION": STUB, "HIDDEN TESTS": None})
        # No output is stored, so there is none to compare with.
        tags = [tag for tag in cell.metadata.get("tags", []) if tag != "nbval-check-output"]
        cell.metadata.pop("tags", None)
        if tags:
            cell.metadata["tags"] = tags
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return made


def without_solution_links(text: str) -> str:
    """Return the text of a cell without its links to solutions, for places that have none.

    >>> without_solution_links("[to solve](../exercises/11.ipynb), [solved](../solutions/11.ipynb).")
    '[to solve](../exercises/11.ipynb).'
    """
    return _TO_A_SOLUTION.sub("", text)


def without_regions(source: str, instead: dict[str, str | None]) -> str:
    r"""Return the text of a cell without its markers, and with a stub in place of each region in `instead`.

    Args:
        source: The cell's text.
        instead: For each region to take out, what comes in its place (indented as its marker), or None.

    Raises:
        ValueError: A marker has no partner.

    >>> without_regions("def f():\n    ### BEGIN SOLUTION\n    return 1\n    ### END SOLUTION", {"SOLUTION": "pass"})
    'def f():\n    pass'
    """
    lines, inside = [], ""
    for line in source.splitlines():
        marker = _MARKER.match(line)
        if marker is None:
            if inside not in instead:
                lines.append(line)
            continue
        which, region = marker["which"], marker["region"]
        if (which == "BEGIN") == bool(inside) or (which == "END" and inside != region):
            raise ValueError(f"### {which} {region} has no partner")
        if which == "BEGIN" and instead.get(region):
            lines.append(marker["indent"] + instead[region])
        inside = region if which == "BEGIN" else ""
    if inside:
        raise ValueError(f"### BEGIN {inside} has no partner")
    return "\n".join(lines).rstrip("\n")
