"""Predictions and quiz questions: a widget on the page, the answer in the progress file."""

from collections.abc import Mapping, Sequence

from course_utils.learner.progress import Progress, reason
from course_utils.learner.room import joined, share
from course_utils.widgets.question import QuestionWidget

Range = tuple[float | None, float | None]


class Prediction(QuestionWidget):
    """A question to commit to before the run that answers it. The first kept choice is final.

    Made by `predict`. Lesson: 00 · Start here
    """

    _measured: tuple[str, str] | None = None  # in words, and the option that it fits

    def __init__(
        self, identifier: str, question: str, options: Mapping[str, Range] | Sequence[str], progress: Progress
    ):
        _check_texts(identifier, question, list(options))
        self.identifier, self.progress = identifier, progress
        self.ranges = dict(options) if isinstance(options, Mapping) else {option: option for option in options}
        # In a room there's a second round: the prediction stays, and the room gets the new choice.
        is_alone = joined(progress) is None
        super().__init__(question=question, options=list(options), button="Keep my prediction", once=is_alone)
        try:
            self._show_kept(progress.get("predictions", identifier))
        except OSError as error:
            self.feedback = _could_not("read", progress, error)
        self.observe(self._keep, "attempt")

    def recorded_answers(self) -> dict[str, dict]:
        """Return what is said to each choice: what was measured, too, if it was."""
        said = [
            _verdict(*self._measured, option) if self._measured else f"Your prediction: {option}."
            for option in self.options
        ]
        return _by_choice(said)

    def _show_kept(self, kept: dict | None) -> None:
        if kept and kept.get("choice") in self.options:
            # Of a later press the number stays: a new one would be one more press.
            self.choice, self.attempt = self.options.index(kept["choice"]), self.attempt or 1
            self.feedback = f"Your prediction: {kept['choice']}."

    def _keep(self, change: dict) -> None:
        if not change["new"]:
            return
        if not _is_choice(self):
            self.attempt = 0  # or the page would lock with nothing kept
            return
        chosen = {"choice": self.options[self.choice]}
        try:
            kept = self.progress.update(
                "predictions",
                self.identifier,
                # Another view of this question may have been answered first, and the first choice is final.
                lambda before: before if before and before.get("choice") in self.options else chosen,
            )
        except OSError as error:
            self.attempt, self.feedback = 0, _could_not("kept", self.progress, error)
            return
        except BaseException:  # an interrupt while another program holds the file, or something unforeseen
            self.attempt, self.feedback = 0, f"Not saved: {chosen['choice']}."
            raise
        shared = share(self.progress, self.identifier, chosen["choice"])
        self._show_kept(kept)
        if kept["choice"] != chosen["choice"]:
            self.feedback += " That was your first choice, and the first one counts."
        if shared:
            self.choice = self.options.index(chosen["choice"])
            self.feedback += f"\n{shared} There, your newest choice counts: {chosen['choice']}."

    def compare(self, measured: float | str, show: str = "{}") -> str:
        """Set what was measured beside what was predicted, and keep whether they agree.

        Args:
            measured: A number that lies in one option's range, or an option itself.
            show: How the number is written, as `str.format` takes it.

        Raises:
            ValueError: `measured` fits no option.
        """
        truth = next((option for option, wanted in self.ranges.items() if _fits(measured, wanted)), None)
        if truth is None:
            raise ValueError(f"measured must fit one of {self.options}, got {measured!r}")
        found = f"Measured: {show.format(measured)}."
        self._measured = found, truth
        try:
            kept = self.progress.get("predictions", self.identifier)
        except OSError as error:
            return Sentence(f"{found}\n{_could_not('read', self.progress, error)}")
        if not kept or "choice" not in kept:
            return Sentence(f"{found} You didn't make a prediction.")
        right, said = kept["choice"] == truth, _verdict(found, truth, kept["choice"])
        try:
            self.progress.update("predictions", self.identifier, lambda before: {**(before or kept), "right": right})
        except OSError as error:
            said += f"\n{_could_not('kept', self.progress, error)}"
        self.feedback = said  # in the card, too: what was chosen beside what was measured
        return Sentence(said)


class QuizQuestion(QuestionWidget):
    """A question with an explanation for every option, right or wrong.

    Made by `quiz_question`. Lesson: 00 · Start here
    """

    def __init__(self, identifier: str, question: str, options: Sequence[tuple[str, bool, str]], progress: Progress):
        _check_texts(identifier, question, [label for label, _, _ in options])
        if not any(right for _, right, _ in options):
            raise ValueError(f"options of {identifier!r} must have a right one, got none")
        for label, _, explanation in options:
            if not explanation.strip():
                raise ValueError(f"options of {identifier!r} must each have an explanation, got none for {label!r}")
        self.identifier, self.progress, self.answers = identifier, progress, list(options)
        super().__init__(question=question, options=[o[0] for o in options], button="Check my answer", once=False)
        self.observe(self._answer, "attempt")

    def _answer(self, change: dict) -> None:
        if not change["new"] or not _is_choice(self):
            return
        label, right, _ = self.answers[self.choice]

        def one_more(before: dict | None) -> dict:
            before = before or {"first": label, "first_right": right}
            return {**before, "tries": before.get("tries", 0) + 1, "right": before.get("right", False) or right}

        self.feedback = self._said(self.choice)
        try:
            self.progress.update("quizzes", self.identifier, one_more)
        except OSError as error:
            self.feedback += f"\n{_could_not('kept', self.progress, error)}"
        if shared := share(self.progress, self.identifier, label):
            self.feedback += f"\n{shared}"

    def _said(self, choice: int) -> str:
        _, right, explanation = self.answers[choice]
        return f"{'✓ Right' if right else '✗ Not quite'}. {explanation}"

    def recorded_answers(self) -> dict[str, dict]:
        """Return what is said to each choice."""
        said = [self._said(i) for i in range(len(self.options))]
        return _by_choice(said)


class Sentence(str):
    """A text that a notebook shows without quotation marks."""

    def __repr__(self) -> str:
        return str(self)


def predict(
    identifier: str, question: str, options: Mapping[str, Range] | Sequence[str], progress: Progress | None = None
) -> Prediction:
    """Ask for a prediction before a run; the choice is kept and can be compared with what was measured.

    Args:
        identifier: Its name in the progress file, such as "00-paris".
        question: What is asked.
        options: Labels, or labels with the range `(low, high)` of measured values that they mean: low is
            in, high is out, None is an open end.
        progress: Where it is kept; by default the learner's own file.

    Raises:
        ValueError: A text is empty, or there are fewer than two options, or two are the same.

    Lesson: 00 · Start here

    >>> asked = predict("doctest", "How much?", {"little": (0, 0.5), "a lot": (0.5, None)})
    >>> asked.compare(0.7, "{:.0%}")
    Measured: 70%. You didn't make a prediction.
    """
    return Prediction(identifier, question, options, progress or Progress())


def quiz_question(
    identifier: str, question: str, options: Sequence[tuple[str, bool, str]], progress: Progress | None = None
) -> QuizQuestion:
    """Ask a quiz question; every option shows its explanation when it is chosen.

    Args:
        identifier: Its name in the progress file, such as "00-quiz-1".
        question: What is asked.
        options: `(label, is_right, explanation)`, at least two, at least one of them right.
        progress: Where the answer is kept; by default the learner's own file.

    Raises:
        ValueError: A text is empty, two options are the same, or none is right.

    Lesson: 00 · Start here

    >>> print(quiz_question("doctest", "1 + 1?", [("2", True, "Yes."), ("3", False, "One too many.")]))
    1 + 1?
      ( ) 2
      ( ) 3
    """
    return QuizQuestion(identifier, question, options, progress or Progress())


def _fits(measured: float | str, wanted: Range | str) -> bool:
    if isinstance(wanted, str) or isinstance(measured, str):
        return measured == wanted
    low, high = wanted
    return (low is None or measured >= low) and (high is None or measured < high)


def _by_choice(said: list[str]) -> dict[str, dict]:
    """What a page without a kernel is told when it asks with a choice."""
    return {f"[{i}]": {"choice": i, "attempt": 1, "feedback": text} for i, text in enumerate(said)}


def _verdict(found: str, truth: str, choice: str) -> str:
    return f"{found} You predicted “{choice}”: {'✓ right' if choice == truth else '✗ not this time'}."


def _is_choice(question: QuestionWidget) -> bool:
    """Tell whether the chosen option exists; the page may send anything, and says so where it does not."""
    if question.choice is not None and 0 <= question.choice < len(question.options):
        return True
    question.feedback = f"choice must be in 0 … {len(question.options) - 1}, got {question.choice}"
    return False


def _could_not(do: str, progress: Progress, error: OSError) -> str:
    """Say in a sentence what went wrong with the progress file: the lesson must continue."""
    what = {"kept": "This couldn't be saved", "read": "Your progress couldn't be read"}[do]
    return f"{what}: {reason(error)} ({progress.path})."


def _check_texts(identifier: str, question: str, labels: list[str]) -> None:
    for name, text in (("identifier", identifier), ("question", question)):
        if not isinstance(text, str) or not text.strip():
            raise ValueError(f"{name} must be a text, got {text!r}")
    if len(labels) < 2 or len(set(labels)) < len(labels) or not all(label.strip() for label in labels):
        raise ValueError(f"options of {identifier!r} must be at least two different texts, got {labels}")
