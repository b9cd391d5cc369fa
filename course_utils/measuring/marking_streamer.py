"""When `generate` of `transformers` chose its tokens.

Lesson: 14 · Speed and memory in practice; 15 · Capstone: your own generate()
"""

from collections.abc import Callable

import torch
from transformers.generation.streamers import BaseStreamer


class MarkingStreamer(BaseStreamer):
    """Lets `generate` of `transformers` mark its tokens: `model.generate(..., streamer=MarkingStreamer(mark))`.

    >>> from course_utils.models import load_causal_lm
    >>> smollm = load_causal_lm()
    >>> ids, marks = smollm.encode("1, 2, 3,"), []
    >>> streamer = MarkingStreamer(lambda: marks.append("a token"))
    >>> after = smollm.model.generate(ids, max_new_tokens=2, do_sample=False, streamer=streamer)
    >>> marks
    ['a token', 'a token']
    """

    def __init__(self, mark: Callable[[], None]) -> None:
        self.mark = mark
        self.prompt_came = False

    def put(self, value: torch.Tensor) -> None:
        """Take what `generate` sends: first the prompt, then each token."""
        if self.prompt_came:
            self.mark()
        self.prompt_came = True

    def end(self) -> None:
        """Take the end; there is nothing left to mark."""
