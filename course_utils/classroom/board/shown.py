"""What each page of the board shows, and what the teacher's table holds: nobody sees more than they may.

Lesson: none (this is for teachers).
"""

import re

from course_utils.classroom.board.questions import Question
from course_utils.classroom.board.storage import LATE, ROUNDS, Room, Stage, Storage

# Half of the world's spreadsheets split at semicolons, and there a learner's "; =1+1" would begin a cell of its own.
_FORMULA_WITHIN = re.compile(r"""([;,|\t\n][\s"]*)(?=[=+\-@＝＋－＠])""")
MOST_SENTENCES = 5  # of a task, on the teacher's page


class Shown:
    """What there is to see in a room.

    Args:
        storage: Where everything is kept.
        questions: The questions of the course by their names.
        tasks: The titles of the tasks of its exercises by their names.
    """

    def __init__(self, storage: Storage, questions: dict[str, Question], tasks: dict[str, str]) -> None:
        self.storage, self.questions, self.tasks = storage, questions, tasks

    def for_learners(self, code: str) -> dict:
        """Return what a learner's page shows: nothing about anyone's answers, nor which is right."""
        room = self.storage.room(code)
        question, stage = self.questions.get(room.current or ""), self._stage(room)
        asked = question and {
            "name": question.name,
            "text": question.text,
            "options": question.options,
            "round": stage.round,
            "is_open": stage.is_open,
        }
        return {"asks_names": room.asks_names, "question": asked}

    def for_projector(self, code: str) -> dict:
        """Return what everyone may see: counts once they are shown, the measured answer once it's revealed."""
        room = self.storage.room(code)
        shown = {**self.for_learners(code), "people": self.storage.people(code)}
        if shown["question"]:
            shown["question"] |= self._results(room, self._stage(room), everything=False)
        return shown

    def for_teacher(self, code: str) -> dict:
        """Return everything that the teacher's page shows."""
        room, stages = self.storage.room(code), self.storage.stages(code)
        shown = {**self.for_learners(code), "people": self.storage.people(code)}
        if shown["question"]:
            stage = self._stage(room)
            shown["question"] |= self._results(room, stage, everything=True)
            shown["question"] |= {"is_shown": stage.is_shown, "is_revealed": stage.is_revealed}
        shown["answered"] = self.storage.answered(code)
        shown["stages"] = {name: stage._asdict() for name, stage in stages.items()}
        # As many sentences as the page has room for: someone who makes up thousands doesn't make it slow.
        stuck = self.storage.stuck(code, self.tasks)
        shown["stuck"] = [{**task, "sentences": task["sentences"][:MOST_SENTENCES]} for task in stuck]
        return shown

    def _results(self, room: Room, stage: Stage, everything: bool) -> dict:
        """Return how many have answered; their choices and what's right only as far as they may be seen."""
        question, counts = self.questions[room.current], self.storage.counts(room.code, room.current)
        rounds = [[counts[number][option] for option in question.options] for number in ROUNDS[: stage.round]]
        return {
            "answered": sum(counts[stage.round].values()),
            "late": sum(counts[LATE].values()),
            "rounds": rounds if everything or stage.is_shown else None,
            "right": question.right if everything or stage.is_revealed else None,
            "measured": question.measured if everything or stage.is_revealed else None,
        }

    def _stage(self, room: Room) -> Stage:
        return self.storage.stages(room.code).get(room.current or "", Stage())

    def table(self, code: str) -> list[tuple[str, ...]]:
        """Return what counts as rows, below their heading."""
        rows: list[tuple[str, ...]] = [("question", "round", "learner", "answer", "right", "sentence")]
        for name, round_, learner, choice, sentence in self.storage.table(code):
            learner, sentence = (_FORMULA_WITHIN.sub(r"\1'", text) for text in (learner, sentence))
            rows.append((name, round_, learner, choice, self._is_right(name, choice), sentence))
        return rows

    def _is_right(self, name: str, choice: str) -> str:
        if name in self.tasks:
            return "yes" if choice == "right" else "no"
        question = self.questions.get(name)
        if question is None or not question.right or choice not in question.options:
            return ""
        return "yes" if question.options.index(choice) in question.right else "no"
