"""Encoder, decoder and both: masks side by side, how far a change reaches, and a blank filled in several ways."""

from collections.abc import Sequence

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.patches import Rectangle

from course_utils.figures.base import PALETTE, CourseFigure, drawable, spoken

_FRAME = {"edgecolor": PALETTE["orange"], "linewidth": 2.5}

Panel = tuple[str, np.ndarray, Sequence[str], Sequence[str]]


def mask_grids(panels: Sequence[Panel]) -> CourseFigure:
    """Draw masks side by side: a filled cell may be looked at, a hatched one may not.

    Args:
        panels: For each mask its name, the mask as bool `(query, key)` (a torch tensor will do), the tokens that
            look, and the tokens that are looked at.

    Raises:
        ValueError: There are no panels, or a mask does not fit its tokens.

    Lesson: 07 · Encoders, decoders and both

    >>> mask_grids([("causal", np.tri(2, dtype=bool), ["a", "b"], ["a", "b"])]).alt
    '1 mask. causal: a looks at a; b at a, b.'
    """
    if not panels:
        raise ValueError("panels must hold at least one mask, got none")
    figure = CourseFigure(figsize=(0.6 + 2.35 * len(panels), 2.8), shows_frame=True)
    grid, said = figure.subplots(1, len(panels), squeeze=False)[0], []
    grid[0].set_ylabel("looks", fontsize=8)
    for axes, (title, mask, queries, keys) in zip(grid, panels, strict=True):
        mask = np.asarray(mask, dtype=bool)
        if mask.shape != (len(queries), len(keys)):
            raise ValueError(f"mask must have shape {(len(queries), len(keys))} like the tokens, got {mask.shape}")
        axes.set(xlim=(-0.5, len(keys) - 0.5), ylim=(len(queries) - 0.5, -0.5), aspect="equal")
        for row, column in np.ndindex(mask.shape):
            style = {"facecolor": PALETTE["blue"]} if mask[row, column] else {"facecolor": "white", "hatch": "////"}
            axes.fill_between([column - 0.5, column + 0.5], row - 0.5, row + 0.5, edgecolor=PALETTE["grey"], **style)
        axes.set_xticks(range(len(keys)), map(drawable, keys), rotation=40, ha="right", fontsize=8)
        axes.set_yticks(range(len(queries)), map(drawable, queries), fontsize=8)
        axes.set_title(drawable(title), fontsize=9)
        axes.set_xlabel("is looked at", fontsize=8)
        rows = [
            f"{spoken(query)}{' looks' * (row == 0)} at "
            + (", ".join(spoken(keys[key]) for key in np.flatnonzero(mask[row])) or "nothing")
            for row, query in enumerate(queries)
        ]
        said.append(f"{spoken(title)}: {'; '.join(rows)}")
    figure.alt = f"{len(panels)} mask{'s' if len(panels) > 1 else ''}. {'. '.join(said)}."
    return figure


def changed_positions_map(panels: Sequence[tuple[str, np.ndarray, Sequence[str], int | None]]) -> CourseFigure:
    """Draw how far a change reaches: one row per layer, one column per token, ▼ the replaced one, hatched where equal.

    Darker means further apart. A colour is a share of the panel's own largest difference, as vectors of two models
    can't be compared in size.

    Args:
        panels: For each model its name; the differences `(layer, seq)`, row 0 before the first layer (a torch tensor
            will do); the tokens; and the column of the token that was replaced, None if it is in another panel.

    Raises:
        ValueError: There are no panels, or the differences do not fit the tokens.

    Lesson: 07 · Encoders, decoders and both

    >>> changed_positions_map([("a decoder", np.array([[0, 1.0, 0], [0, 2, 3]]), ["the", "cat", "sat"], 1)]).alt
    'Where hidden states differ after one token was replaced. a decoder (cat replaced): cat, sat; unchanged: the.'
    """
    if not panels:
        raise ValueError("panels must hold at least one model, got none")
    arrays = [np.asarray(values, dtype=float) for _, values, _, _ in panels]
    scale = LogNorm(0.0001, 1, clip=True)  # [CLS] differs by a few ten-thousandths at first, and mustn't look white
    width = [len(tokens) + 2 for _, _, tokens, _ in panels]
    figure = CourseFigure(figsize=(1 + 0.34 * sum(width), 3.4), shows_frame=True)
    grid, said = figure.subplots(1, len(panels), squeeze=False, width_ratios=width)[0], []
    for axes, values, (title, _, tokens, replaced) in zip(grid, arrays, panels, strict=True):
        if values.ndim != 2 or values.shape[1] != len(tokens):
            raise ValueError(f"differences must have shape (layer, {len(tokens)}) like the tokens, got {values.shape}")
        axes.patch.set(hatch="////", facecolor="white", edgecolor=PALETTE["grey"])
        shares = values / (values.max() or 1)
        shown = axes.imshow(np.ma.masked_equal(shares, 0), cmap="Blues", aspect="auto", norm=scale)
        if replaced is not None:
            axes.plot(replaced, 1.03, "v", color="black", transform=axes.get_xaxis_transform(), clip_on=False)
        axes.set_xticks(range(len(tokens)), map(drawable, tokens), rotation=60, ha="right", fontsize=8)
        axes.set_yticks(range(0, len(values), max(1, len(values) // 6)))
        axes.set_title(drawable(title), fontsize=9, pad=12)
        said.append(_reached(title, values, tokens, replaced))
    grid[0].set_ylabel("after how many layers")
    if any(values.any() for values in arrays):
        figure.colorbar(shown, ax=grid, shrink=0.8, label="share of the panel's largest difference", extend="min")
    figure.alt = f"Where hidden states differ after one token was replaced. {'. '.join(said)}."
    return figure


def _reached(title: str, values: np.ndarray, tokens: Sequence[str], replaced: int | None) -> str:
    """Name the tokens that the change has reached, and those that it has not."""
    changed = values.any(0)
    reached, still = ([spoken(tokens[place]) for place in np.flatnonzero(which)] for which in (changed, ~changed))
    what = f"{spoken(title)} ({spoken(tokens[replaced])} replaced)" if replaced is not None else spoken(title)
    return f"{what}: {', '.join(reached) or 'nothing'}; unchanged: {', '.join(still) or 'nothing'}"


def choice_grids(
    panels: Sequence[tuple[str, np.ndarray]], rows: Sequence[str], choices: Sequence[str], right: Sequence[int]
) -> CourseFigure:
    """Draw how several models share their probability between the same choices; a frame is the right choice.

    Darker means more.

    Args:
        panels: For each model its name and the probabilities `(row, choice)`; a torch tensor will do.
        rows: The questions, top to bottom.
        choices: What there was to choose from, left to right.
        right: For each row the right choice.

    Raises:
        ValueError: The probabilities do not fit rows and choices.

    Lesson: 07 · Encoders, decoders and both

    >>> choice_grids([("left only", np.array([[0.2, 0.8]]))], ["The … barked."], ["dog", "cat"], [0]).alt
    'left only, 0 of 1 right: The … barked. cat.'
    """
    width = 2.8 + 0.52 * len(choices) * len(panels)
    figure = CourseFigure(figsize=(width, 1.3 + 0.34 * len(rows)), shows_frame=True)
    grid, said = figure.subplots(1, len(panels), squeeze=False)[0], []
    for axes, (title, values) in zip(grid, panels, strict=True):
        values = np.asarray(values, dtype=float)
        if values.shape != (len(rows), len(choices)):
            raise ValueError(f"probabilities must have shape {(len(rows), len(choices))}, got {values.shape}")
        axes.imshow(values, cmap="Blues", vmin=0, vmax=1, aspect="auto")
        for row, column in np.ndindex(values.shape):
            colour = "white" if values[row, column] > 0.71 else "black"
            axes.text(column, row, f"{values[row, column]:.2f}", ha="center", va="center", color=colour, fontsize=8)
        for row, column in enumerate(right):
            axes.add_patch(Rectangle((column - 0.46, row - 0.44), 0.92, 0.88, fill=False, **_FRAME))
        axes.set_xticks(range(len(choices)), map(drawable, choices), rotation=40, ha="right", fontsize=8)
        axes.set_yticks([])
        best = values.argmax(-1)
        hits = f"{(best == np.asarray(right)).sum()} of {len(rows)} right"
        axes.set_title(f"{drawable(title)}\n{hits}", fontsize=9)
        took = "; ".join(f"{row} {choices[column]}" for row, column in zip(rows, best, strict=True))
        said.append(f"{title}, {hits}: {took}")
    grid[0].set_yticks(range(len(rows)), map(drawable, rows), fontsize=8)
    figure.alt = f"{'. '.join(said)}."
    return figure
