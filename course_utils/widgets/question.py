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

    question = traitlets.Unicode().tag(sync=True)
    options = traitlets.List(traitlets.Unicode()).tag(sync=True)
    button = traitlets.Unicode().tag(sync=True)
    once = traitlets.Bool().tag(sync=True)
    choice = traitlets.Int(None, allow_none=True).tag(sync=True)
    # Counts the choices that arrived, so the page locks only what the kernel has; the same choice again is news, too.
    attempt = traitlets.Int(0).tag(sync=True)
    feedback = traitlets.Unicode().tag(sync=True)

    def answer(self, choice: int) -> None:
        """Take the choice of the page."""
        self.choice = choice
        self.attempt += 1

    def describe(self) -> str:
        """Return the question and its options; what the learner chose is not in it."""
        return "\n".join([self.question, *(f"  ( ) {option}" for option in self.options)])

    def static_bundle(self) -> tuple[dict, dict]:
        """Return the question as HTML: for words, words are a better picture."""
        items = "".join(f"<li>{html.escape(option)}</li>" for option in self.options)
        return {"text/html": f"<p><strong>{html.escape(self.question)}</strong></p><ul>{items}</ul>"}, {}
