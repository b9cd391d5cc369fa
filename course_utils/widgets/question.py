"""A question with options: the page's side of predictions and quizzes. It knows nothing about keeping them."""

import html

import traitlets

from course_utils.widgets.base import CourseWidget, page_module, page_style


class QuestionWidget(CourseWidget):
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
    attempt = traitlets.Int(0).tag(sync=True)  # counts the presses: the same choice again is news, too
    feedback = traitlets.Unicode().tag(sync=True)

    def describe(self) -> str:
        """Return the question and its options; what the learner chose is not in it."""
        return "\n".join([self.question, *(f"  ( ) {option}" for option in self.options)])

    def static_bundle(self) -> tuple[dict, dict]:
        """Return the question as HTML: for words, words are a better picture."""
        items = "".join(f"<li>{html.escape(option)}</li>" for option in self.options)
        return {"text/html": f"<p><strong>{html.escape(self.question)}</strong></p><ul>{items}</ul>"}, {}
