"""The mask lab: who may look at whom in a batch of prompts, and what that does to each prompt's next token."""

from collections.abc import Callable

import numpy as np
import traitlets

from course_utils.figures.base import CourseFigure, quoted
from course_utils.figures.prompts import masked_batch
from course_utils.models.doorway import takes
from course_utils.traces import MaskTrace
from course_utils.traces.masks import KINDS, PADDINGS
from course_utils.widgets.base import AskingWidget, page_module, page_style

TOP = 4  # tokens of a prompt alone and in the batch that get bars

Run = Callable[[list[str], int], MaskTrace]


class MaskLab(AskingWidget):
    """Switch masks and padding of a batch; beside each grid, the next-token distribution before and after.

    Of an encoder it is the distribution at the blank of each prompt.

    Every setting was run by the model when the trace was recorded. Switching only reads the answers again.

    Args:
        trace: The recorded runs; `record_masks` makes it, or `record_blanks` for an encoder.
        run: Records other prompts with a window; without it, the text boxes are not there.
        kind: "causal", "none", "window" or "window + first token".
        padding: "left", "right" or "right, read at the last token", which a blank does not have.
        masked: Whether the padding is masked.

    Raises:
        ValueError: A setting is not one of these.

    Lesson: 07 · Encoders, decoders and both; 09 · Context length and prompting

    >>> zeros = np.zeros((4, 3, 2, 2, 2), np.float32)
    >>> toy = MaskTrace("toy", ("a", "a b"), (("a",), ("a", "b")), 2, zeros[0, 0, 0], zeros, ("x", "y"))
    >>> print(MaskLab(toy, padding="right"))
    Mask lab (toy): causal, padding right, padding masked
    1 “a”: 1 of 2 columns is padding, read at padding; “x” 50.0 % alone, 50.0 % now; 0.0 % moved
    2 “a b”: 0 of 2 columns are padding, read at “b”; “x” 50.0 % alone, 50.0 % now; 0.0 % moved
    """

    _esm = page_module("mask_lab")
    _css = page_style("mask_lab")

    kind = traitlets.Unicode(KINDS[0]).tag(sync=True)
    padding = traitlets.Unicode(PADDINGS[0]).tag(sync=True)
    masked = traitlets.Bool(True).tag(sync=True)

    kinds = traitlets.List(list(KINDS)).tag(sync=True)
    paddings = traitlets.List(list(PADDINGS)).tag(sync=True)
    batch = traitlets.Dict().tag(sync=True)  # prompts, tokens, window, and what came out of every setting

    @takes(trace=MaskTrace)
    def __init__(self, trace: MaskTrace, run: Run | None = None, **settings: object) -> None:
        self.trace, self._run = trace, run
        super().__init__(can_run=run is not None, paddings=list(trace.paddings), **settings)
        self._show(trace)

    @traitlets.validate("kind", "padding")
    def _check_setting(self, proposal: dict) -> str:
        name, value = proposal["trait"].name, proposal["value"]
        allowed = {"kind": KINDS, "padding": self.trace.paddings}[name]
        if value not in allowed:
            raise ValueError(f"{name} must be one of {list(allowed)}, got {value!r}")
        return value

    def _show(self, trace: MaskTrace) -> None:
        results = [
            [
                [[_row(trace, k, p, m, prompt) for prompt in range(len(trace.prompts))] for m in (0, 1)]
                for p in range(len(trace.paddings))
            ]
            for k in range(len(KINDS))
        ]
        self.trace = trace  # all that takes time has succeeded
        self.batch = {
            "prompts": list(trace.prompts),
            "tokens": [list(tokens) for tokens in trace.tokens],
            "window": trace.window,
            "blanks": None if trace.blanks is None else list(trace.blanks),
            "results": results,
        }

    def answer(self, texts: list[str], window: int) -> None:
        """Run other prompts; an empty box is left out."""
        self._show(self._run([text for text in texts if text], window))

    def _rows(self) -> list[dict]:
        """What is drawn now, one dict a prompt."""
        trace, masks = self.trace, self.trace.mask(self.kind, self.padding, self.masked)
        chosen = self.batch["results"][KINDS.index(self.kind)][PADDINGS.index(self.padding)][self.masked]
        rows = []
        for number, (mask, tokens, result) in enumerate(zip(masks, trace.tokens, chosen, strict=True)):
            pads = [None] * (trace.width - len(tokens))
            columns = [*pads, *tokens] if self.padding == "left" else [*tokens, *pads]
            rows.append(result | {"mask": mask, "tokens": columns, "reads_at": trace.reads_at(self.padding, number)})
        return rows

    def _title(self) -> str:
        kind = f"{self.kind} (window {self.trace.window})" if self.kind.startswith("window") else self.kind
        return f"{kind}, padding {self.padding}, padding {'masked' if self.masked else 'not masked'}"

    def describe(self) -> str:
        """Say in words what every prompt's next token is, alone and under this mask."""
        lines = [f"Mask lab ({self.trace.model}): {self._title()}"]
        for number, (prompt, row) in enumerate(zip(self.trace.prompts, self._rows(), strict=True), start=1):
            read, pads = row["tokens"][row["reads_at"]], row["tokens"].count(None)
            read_at = "padding" if read is None else quoted(read)
            best = "; ".join(
                f"{quoted(label)} {a * 100:.1f} % alone, {b * 100:.1f} % now" for label, a, b in _winners(row["best"])
            )
            lines.append(
                f"{number} {quoted(prompt)}: "
                f"{pads} of {len(row['tokens'])} columns {'is' if pads == 1 else 'are'} padding, "
                f"read at {read_at}; {best}; {row['moved'] * 100:.1f} % moved"
            )
        return "\n".join(lines)

    def figure(self) -> CourseFigure:
        """Draw every prompt's grid beside its two distributions."""
        return masked_batch(self._rows(), self._title())


@takes(run=Callable)
def mask_lab(run: Run, prompts: list[str], window: int = 4, **settings: object) -> MaskLab:
    """Open the mask lab on a batch of prompts, which can then be changed on the page.

    Args:
        run: Records prompts with a window: `functools.partial(record_masks, model)`, or `record_blanks` with a
            pipeline for fill-mask.
        prompts: 2 to 4 prompts.
        window: How many tokens the sliding window lets a token see, itself included.
        settings: As `MaskLab` takes them.

    Raises:
        TypeError, ValueError: As `record_masks`, `record_blanks` and `MaskLab`.

    Lesson: 07 · Encoders, decoders and both; 09 · Context length and prompting

    >>> from functools import partial
    >>> from course_utils.models import load_causal_lm
    >>> from course_utils.traces import record_masks
    >>> mask_lab(partial(record_masks, load_causal_lm()), ["The sky is", "2 + 2 ="]).batch["window"]
    4
    """
    return MaskLab(run(prompts, window), run, **settings)


def _row(trace: MaskTrace, kind: int, padding: int, masked: int, prompt: int) -> dict:
    """The likeliest tokens of a prompt, alone and in the batch, and the share that moved."""
    alone, now = (_softmax(logits) for logits in (trace.alone[prompt], trace.logits[kind, padding, masked, prompt]))
    first = _likeliest(alone)
    others = [token for token in _likeliest(now) if token not in first]
    best = [[trace.labels[t], *(float(f"{p[t]:.6g}") for p in (alone, now))] for t in first + others]
    return {"best": best, "moved": round(float(abs(now - alone).sum() / 2), 5)}


def _likeliest(probabilities: np.ndarray) -> list[int]:
    """The first tokens by probability; of equal ones, the first by number."""
    # To sort a whole vocabulary takes fifty times as long, and a batch has some hundred such rows.
    least = np.partition(probabilities, -TOP)[-TOP] if len(probabilities) > TOP else -np.inf
    candidates = np.flatnonzero(~(probabilities < least))  # all of them where they are not numbers
    return candidates[np.argsort(-probabilities[candidates], kind="stable")][:TOP].tolist()


def _softmax(logits: np.ndarray) -> np.ndarray:
    shifted = np.exp(logits.astype(np.float64) - logits.max())
    return shifted / shifted.sum()


def _winners(best: list) -> list:
    """The likeliest token alone and, if it is another one, the likeliest now."""
    now = max(best, key=lambda row: row[2])
    return [best[0]] if now[2] <= best[0][2] else [best[0], now]
