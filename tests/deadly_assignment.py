"""An assignment that kills the grader's own process; a module of its own, which a new process imports quickly."""

import os
import signal

from course_utils.grading.grade import Assignment


class Deadly(Assignment):
    """Kills the process that grades a submission with the word "kill" in a cell, as a system without memory does."""

    def key(self, handed):
        if any("kill" in cell for cell in handed.cells):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().key(handed)
