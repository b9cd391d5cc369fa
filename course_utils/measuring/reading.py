"""How much a model reads: with a cache, each token once.

Lesson: 15 · Capstone: your own generate()
"""

import torch


class ReadingMeter:
    """Count how many positions a model reads, and how often it is called: `with ReadingMeter(model) as meter: …`.

    Args:
        most_calls: The next call after this many raises a `RuntimeError`, which ends a loop without an end.

    >>> from course_utils.models.practice import practice_model
    >>> practice = practice_model()
    >>> with ReadingMeter(practice.model) as meter:
    ...     logits = practice.next_logits("cab")
    >>> meter.positions, meter.calls
    (3, 1)
    """

    def __init__(self, model: torch.nn.Module, most_calls: int | None = None) -> None:
        self.model, self.most_calls, self.positions, self.calls = model, most_calls, 0, 0

    def __enter__(self) -> "ReadingMeter":
        # Every way of reading begins with the embeddings: `model(...)`, and the course's own layers, too.
        self._handle = self.model.get_input_embeddings().register_forward_pre_hook(self._count)
        return self

    def __exit__(self, *_: object) -> None:
        self._handle.remove()

    def _count(self, module: torch.nn.Module, arguments: tuple) -> None:
        self.positions += arguments[0].numel()
        self.calls += 1
        if self.most_calls is not None and self.calls > self.most_calls:
            raise RuntimeError(f"the model was called more than {self.most_calls} times: does the loop end?")
