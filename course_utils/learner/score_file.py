"""The scoreboard's file: written whole or not at all, and set aside, never lost, where it is damaged.

Lesson: 15 · Capstone: your own generate()
"""

from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from course_utils.learner.progress import Progress, progress_folder


class Score(NamedTuple):
    """One line of the scoreboard; times are medians in seconds.

    Lesson: 15 · Capstone: your own generate()

    >>> Score("Ada", "2026-05-04 10:00", "a laptop", 0.2, 0.05, 0.2, 0.06, equal=12, cases=12).speed
    1.2
    """

    name: str
    when: str
    machine: str
    ttft: float
    tpot: float
    their_ttft: float
    their_tpot: float
    equal: int
    cases: int

    @property
    def speed(self) -> float:
        """How many tokens it wrote while `transformers` wrote one, after the first."""
        return round(self.their_tpot / self.tpot, 4)


class ScoreFile(Progress):
    """The scores, kept as the progress file is: whole or not at all, and set aside, never lost, where it is damaged.

    Args:
        path: The file; by default `scoreboard.json` beside the progress file.

    Lesson: 15 · Capstone: your own generate()
    """

    kinds = ("scores",)
    called = "scoreboard"

    def __init__(self, path: Path | None = None) -> None:
        super().__init__(path if path is not None else progress_folder() / "scoreboard.json")

    def add(self, score: Score) -> None:
        """Keep one more score; when this returns, it is on the disk.

        Raises:
            OSError: As `Progress.update`.
        """
        self.record("scores", f"{datetime.now():%Y%m%d-%H%M%S-%f}", score._asdict())

    def scores(self) -> list[Score]:
        """Return all scores, the oldest first.

        Raises:
            OSError: As `Progress.everything`.
        """
        return [Score(**entry) for entry in self.everything()["scores"].values()]

    def _makes_sense(self, entry: object) -> bool:
        return (
            super()._makes_sense(entry)
            and entry.keys() == Score.__annotations__.keys()
            and all(isinstance(entry[field], _ALSO.get(kind, kind)) for field, kind in Score.__annotations__.items())
            and entry["tpot"] > 0
        )


_ALSO = {float: int | float}  # JSON writes 1.0 seconds as it likes
