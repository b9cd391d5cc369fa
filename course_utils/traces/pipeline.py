"""A pipeline, opened: what each of its three steps made of one input.

Lesson: 03 · The pipeline, opened; 04 · The pipeline tasks
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from transformers.pipelines.base import ChunkPipeline, Pipeline

from course_utils.models.checked_tasks import checked
from course_utils.models.doorway import takes
from course_utils.traces.base import Trace

# A table: what it is, the shape of the array it comes from, the names of its columns, its rows.
Table = tuple[str, tuple[int, ...], tuple[str, ...], tuple[tuple[str | int | float, ...], ...]]
MOST_ROWS = 40


@dataclass(frozen=True)
class PipelineTrace(Trace):
    """Every intermediate value of one run of a pipeline, as tables.

    Args:
        task: The task, as `transformers` calls it.
        text: What went in.
        preprocess: What the model reads: tokens with their ids and masks.
        forward: What the model says: logits, or the ids it wrote.
        postprocess: What becomes of that: probabilities and the answer.

    Raises:
        ValueError: A step has no table.

    >>> table = ("ids", (1, 1), ("token", "id"), (("hi", 7),))
    >>> PipelineTrace("toy", "hi", (table,), (table,), (table,)).steps[0][0]
    'preprocess'
    """

    task: str
    text: str
    preprocess: tuple[Table, ...]
    forward: tuple[Table, ...]
    postprocess: tuple[Table, ...]

    def __post_init__(self) -> None:
        for name, tables in self.steps:
            if not tables:
                raise ValueError(f"{name} must hold at least one table, got none")

    @property
    def steps(self) -> tuple[tuple[str, tuple[Table, ...]], ...]:
        """The three steps with their names, in their order."""
        return tuple((name, getattr(self, name)) for name in ("preprocess", "forward", "postprocess"))


@takes(pipe=Pipeline)
@torch.inference_mode()
def record_pipeline(pipe: Pipeline, text: str | dict, **settings: object) -> PipelineTrace:
    """Run the three steps of a pipeline one by one, and record what each of them makes.

    Args:
        pipe: A pipeline for text.
        text: What it is called with: a text, or for question answering a dict with `question` and `context`.
        settings: What else it is called with, such as `candidate_labels`.

    Raises:
        ValueError: The text is empty, is longer than the model can read, or has no gap to fill.

    The answer is the one that calling `pipe` gives.

    >>> from course_utils.models.pipelines import load_pipeline
    >>> trace = record_pipeline(load_pipeline("sentiment-analysis"), "Good!")
    >>> trace.forward[0][:3]
    ('logits', (1, 2), ('label', 'logit'))
    """
    given = pipe._sanitize_parameters(**settings)
    defaults = pipe._preprocess_params, pipe._forward_params, pipe._postprocess_params
    reading, running, choosing = (before | now for before, now in zip(defaults, given, strict=True))
    checked(type(pipe)).check(pipe, text, **reading)  # the checks of the task, also for a pipeline without them
    inputs = pipe.preprocess(text, **reading)
    inputs = list(inputs) if isinstance(pipe, ChunkPipeline) else [inputs]
    read = tuple(table for piece in inputs for table in _tokens(pipe, piece))
    outputs = [pipe.forward(dict(piece), **running) for piece in inputs]
    said = tuple(
        table for piece, output in zip(inputs, outputs, strict=True) for table in _outputs(pipe, piece, output)
    )
    if len(inputs) > 1:
        read, said = _numbered(read, len(inputs)), _numbered(said, len(inputs))
    answer = pipe.postprocess(outputs if isinstance(pipe, ChunkPipeline) else outputs[0], **choosing)
    shown = text if isinstance(text, str) else " · ".join(text.values())
    if pipe.task == "feature-extraction":
        found = (_vectors("the answer", pipe.tokenizer.convert_ids_to_tokens(inputs[0]["input_ids"][0]), answer),)
    else:
        found = (*_probabilities(pipe, outputs), *_answers(answer))
    return PipelineTrace(pipe.task, shown, read, said, found)


def _numbered(tables: tuple[Table, ...], pieces: int) -> tuple[Table, ...]:
    """Say of each table which of several pieces it belongs to; every piece has equally many tables."""
    each = len(tables) // pieces
    return tuple((f"{name}, piece {i // each + 1} of {pieces}", *rest) for i, (name, *rest) in enumerate(tables))


def _tokens(pipe: Pipeline, inputs: dict) -> Iterator[Table]:
    """One row per token: the token, and every number that the model reads for it."""
    ids = inputs["input_ids"][0].tolist()
    tensors = {
        name: value[0].tolist()
        for name, value in inputs.items()
        if isinstance(value, torch.Tensor) and value.shape == inputs["input_ids"].shape
    }
    # A decoder's tokens hold their spaces as marks; decoding each one shows it as text.
    texts = [text.replace("Ġ", "␣").replace("Ċ", "⏎") for text in pipe.tokenizer.convert_ids_to_tokens(ids)]
    rows = tuple(zip(texts, *tensors.values(), strict=True))
    yield _capped("what the model reads", tuple(inputs["input_ids"].shape), ("token", *tensors), rows)


def _capped(name: str, shape: tuple[int, ...], columns: tuple[str, ...], rows: tuple) -> Table:
    """Keep the first rows of a long table, and say so in its name."""
    more = f", the first {MOST_ROWS} of {len(rows)} tokens" if len(rows) > MOST_ROWS else ""
    return name + more, shape, columns, rows[:MOST_ROWS]


def _outputs(pipe: Pipeline, inputs: dict, outputs: dict) -> Iterator[Table]:
    """One table per output of the model; one row per label, or per token where every token has its own numbers."""
    tokens = pipe.tokenizer.convert_ids_to_tokens(inputs["input_ids"][0].tolist())
    labels = [str(label) for label in pipe.model.config.id2label.values()]
    for name, value in outputs.items():
        if not isinstance(value, torch.Tensor) or not value.is_floating_point():
            continue
        shape = tuple(value.shape)
        if shape == (1, len(labels)):
            rows = tuple(zip(labels, _rounded(value[0]), strict=True))
            yield name, shape, ("label", "logit"), rows
        elif shape == (1, len(tokens)):
            yield _capped(name, shape, ("token", "logit"), tuple(zip(tokens, _rounded(value[0]), strict=True)))
        elif shape == (1, len(tokens), len(labels)):
            rows = [(token, *_rounded(numbers)) for token, numbers in zip(tokens, value[0], strict=True)]
            yield _capped(name, shape, ("token", *labels), tuple(rows))
        elif shape == (1, len(tokens), pipe.model.config.vocab_size) and pipe.tokenizer.mask_token in tokens:
            yield from _at_the_masks(pipe, inputs, name, value)
        elif name == "last_hidden_state":
            yield _vectors(name, tokens, value)
    for name in ("generated_sequence", "output_ids"):
        if name in outputs:
            written = outputs[name].flatten().tolist()
            texts = pipe.tokenizer.convert_ids_to_tokens(written)
            rows = tuple(zip([text.replace("Ġ", "␣") for text in texts], written, strict=True))
            yield "what the model wrote", tuple(outputs[name].shape), ("token", "id"), rows[-MOST_ROWS:]


def _at_the_masks(pipe: Pipeline, inputs: dict, name: str, logits: torch.Tensor) -> Iterator[Table]:
    """The best tokens at each masked place, of all the vocabulary."""
    places = (inputs["input_ids"][0] == pipe.tokenizer.mask_token_id).nonzero()[:, 0].tolist()
    for number, place in enumerate(places, start=1):
        best = logits[0, place].topk(10)
        tokens = pipe.tokenizer.convert_ids_to_tokens(best.indices.tolist())
        rows = tuple(zip(tokens, _rounded(best.values), strict=True))
        which = f" number {number}" if len(places) > 1 else ""
        yield f"{name} at [MASK]{which}, the best 10", tuple(logits.shape), ("token", "logit"), rows


def _vectors(name: str, tokens: list[str], vectors: torch.Tensor | list) -> Table:
    """One row per token: the first numbers of its vector."""
    vectors = torch.as_tensor(vectors)
    rows = tuple((token, *_rounded(vector[:6])) for token, vector in zip(tokens, vectors[0], strict=True))
    return _capped(f"{name}, the first 6 numbers of each", tuple(vectors.shape), ("token", *"123456"), rows)


def _probabilities(pipe: Pipeline, outputs: list[dict]) -> Iterator[Table]:
    """Of a text that gets one label: the probability of every label, not only of the best."""
    labels = [str(label) for label in pipe.model.config.id2label.values()]
    logits = outputs[0].get("logits")
    if len(outputs) == 1 and logits is not None and logits.shape == (1, len(labels)):
        rows = tuple(zip(labels, _rounded(logits[0].softmax(-1), 4), strict=True))
        yield "softmax of the logits", tuple(logits.shape), ("label", "score"), rows


def _answers(answer: object) -> Iterator[Table]:
    """The answer as a table: one row per result, one column per key."""
    results = answer if isinstance(answer, list) else [answer]
    if isinstance(answer, dict) and "labels" in answer:  # zero-shot: two lists side by side
        pairs = zip(answer["labels"], answer["scores"], strict=True)
        results = [{"label": label, "score": score} for label, score in pairs]
    if results and isinstance(results[0], list):  # several gaps, each with answers of its own
        results = [{"gap": number} | one for number, gap in enumerate(results, start=1) for one in gap]
    columns = tuple(results[0]) if results else ("answer",)
    rows = tuple(tuple(_plain(result[column]) for column in columns) for result in results)
    yield "the answer", (len(rows),), columns, rows or (("nothing found",),)


def _plain(value: object) -> str | int | float:
    if isinstance(value, bool | int | str):
        return value
    return round(float(value), 4) if hasattr(value, "__float__") else str(value)


def _rounded(numbers: torch.Tensor, digits: int = 3) -> list[float]:
    return [round(number, digits) for number in numbers.tolist()]
