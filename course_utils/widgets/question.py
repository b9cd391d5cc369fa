"""A question with options: the page's side of predictions and quizzes. It knows nothing about keeping them."""

import html

import traitlets

from course_utils.widgets.base import AskingWidget, page_module, page_style


class QuestionWidget(AskingWidget):
    """A question, its options, and a button that commits to one of them.

    Args:
        question: What is asked.
        options: What can be chosen, in this order.
        button: What the button says.
        once: Whether the first committed choice is final.

    Lesson: 00 · Start here

    >>> print(QuestionWidget(question="Which?", options=["a", "b"], button="Check", once=False))
    Which?
      ( ) a
      ( ) b
    """

    _esm = page_module("question")
    _css = page_style("question")
    _store_after = 0.0  # words are drawn at once, and a kept prediction must be in the notebook

    question = traitlets.Unicode().tag(sync=True)
    options = traitlets.List(traitlets.Unicode()).tag(sync=True)
    button = traitlets.Unicode().tag(sync=True)
    once = traitlets.Bool().tag(sync=True)
    choice = traitlets.Int(None, allow_none=True).tag(sync=True)
    # Counts the choices that arrived, so the page locks only what the kernel has; the same choice again is news, too.
    attempt = traitlets.Int(0).tag(sync=True)
    feedback = traitlets.Unicode().tag(sync=True)

    @property
    def chosen(self) -> str | None:
        """The option that the learner committed to, or None."""
        is_one = self.attempt and self.choice is not None and 0 <= self.choice < len(self.options)
        return self.options[self.choice] if is_one else None

    def answer(self, choice: int) -> None:
        """Take the choice of the page."""
        self.choice = choice
        self.attempt += 1

    def describe(self) -> str:
        """Return the question, its options with the chosen one marked, and what was said about that one."""
        options = [f"  ({'•' if option == self.chosen else ' '}) {option}" for option in self.options]
        return "\n".join([self.question, *options, *([self.feedback] if self.feedback else [])])

    def static_bundle(self) -> tuple[dict, dict]:
        """Return the question as HTML: for words, words are a better picture."""
        items = "".join(
            f"<li><strong>{html.escape(option)}</strong> ← your choice</li>"
            if option == self.chosen
            else f"<li>{html.escape(option)}</li>"
            for option in self.options
        )
        said = "".join(f"<p>{html.escape(line)}</p>" for line in self.feedback.splitlines())
        return {"text/html": f"<p><strong>{html.escape(self.question)}</strong></p><ul>{items}</ul>{said}"}, {}
