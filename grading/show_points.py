"""Print the points in a folder of results, as Markdown, for the page of a CI job: no input and no right value."""

import json
import sys
from pathlib import Path


def main(folder: str) -> None:
    """Print what the reports in `folder` say of each task."""
    for file in sorted(Path(folder, "reports").glob("*.json")):
        report = json.loads(file.read_text(encoding="utf-8"))
        points = "Not graded" if report["points"] is None else f"{report['points']} of {report['of']} points"
        print(f"**{points}** ({report['status']})\n")
        for task in report["tasks"]:
            print(f"- {task['name']} · {task['title']}: {task['status']}, {task['points']} of {task['of']}")
        for reason in report["reasons"]:
            print(f"\n{reason}")


if __name__ == "__main__":
    main(sys.argv[1])
