"""A learner's server on a hub: first the learner's own copy of the course, then JupyterLab.

Every hub starts it by `python -P -m course_utils.classroom.learner_server`. It runs as the learner, so that nothing
with the hub's rights writes into a folder in which learners can put what they like.
"""

import sys
from pathlib import Path

from course_utils.learner.workspace import CopyError, give_course
from course_utils.machine import QUIET_LAB, ROOT

COURSE_FOLDER = "llms-by-hand"  # in the learner's home


def main() -> None:
    """Bring the learner's copy up to date, then become their server."""
    try:
        for name, done in give_course(ROOT, Path.home() / COURSE_FOLDER).items():
            print(f"{done}: {name}", file=sys.stderr)
    except CopyError as error:  # a learner with a full disk needs the server, to delete something
        print(f"{error}.", file=sys.stderr)
    from jupyterhub.singleuser import main as start  # only where a hub is

    sys.argv += QUIET_LAB
    start()


if __name__ == "__main__":
    main()
