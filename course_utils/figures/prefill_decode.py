"""The two phases of generation: when what ran, what the cache holds, how the work adds up, what sets the pace."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.patches import Rectangle

from course_utils.figures.base import PALETTE, CourseFigure, cut, drawable, quoted, spoken

_MOST_COLUMNS = 200
_WAYS = {"with cache": ("blue", "-", "o"), "without cache": ("vermilion", "--", "s")}


def run_timeline(events: Sequence[tuple[str, str, float, float]], lanes: Sequence[str] | None = None) -> CourseFigure:
    """Draw what ran when: a lane for every kind of work, prefill and decode told apart by colour and hatch.

    Args:
        events: Phase ("prefill" or "decode"), what was done, start and end in seconds.
        lanes: All that was done, from top to bottom; None puts first what came first.

    Raises:
        ValueError: There are no events, a phase has another name, or `lanes` lacks something that was done.

    Lesson: 10 · Prefill and decode

    >>> run_timeline([("prefill", "read the prompt", 0.0, 0.06), ("decode", "read a token", 0.06, 0.09)]).alt
    'A timeline of 90 ms. prefill takes 60 ms: read the prompt 60.0 ms. decode takes 30 ms: read a token 30.0 ms.'
    """
    if not events or any(phase not in ("prefill", "decode") for phase, *_ in events):
        raise ValueError("events must hold at least one, each of the phase 'prefill' or 'decode'")
    done = list(dict.fromkeys(what for _, what, _, _ in events))
    lanes = list(lanes or done)
    if missing := [what for what in done if what not in lanes]:
        raise ValueError(f"lanes must name all that was done, got no {missing[0]!r}")
    zero = min(start for *_, start, _ in events)
    figure = CourseFigure(figsize=(8, 1.1 + 0.34 * len(lanes)))
    axes = figure.subplots()
    for phase, what, start, end in events:
        look = {"color": PALETTE["blue"]} if phase == "prefill" else {"color": PALETTE["orange"], "hatch": "///"}
        width = max(end - start, 0.0004) * 1000  # what is too short to see is drawn as a line
        axes.barh(lanes.index(what), width, left=(start - zero) * 1000, edgecolor="black", linewidth=0.6, **look)
    ends = {
        phase: max(end for p, _, _, end in events if p == phase)
        for phase in ("prefill", "decode")
        if _has(events, phase)
    }
    if len(ends) == 2:
        axes.axvline((ends["prefill"] - zero) * 1000, color="black", linestyle=":")
    for number, lane in enumerate(lanes):
        total = sum(end - start for _, what, start, end in events if what == lane) * 1000
        place = {"xy": (1.01, number), "xycoords": ("axes fraction", "data"), "va": "center", "fontsize": 9}
        axes.annotate(f"{total:,.1f} ms", **place)
    axes.set_title("blue: prefill    hatched: decode", loc="left", fontsize=9)
    axes.set_title("in all", loc="right", fontsize=9)
    axes.set_yticks(range(len(lanes)), [drawable(lane) for lane in lanes])
    axes.invert_yaxis()
    axes.set_xlim(left=-0.01 * axes.get_xlim()[1])  # what starts at 0 must not hide behind the axis
    axes.set_xlabel("milliseconds since the start")
    figure.alt = _timeline_alt(events, lanes, zero)
    return figure


def _has(events, phase) -> bool:
    return any(event[0] == phase for event in events)


def _timeline_alt(events, lanes, zero) -> str:
    sentences = [f"A timeline of {(max(end for *_, end in events) - zero) * 1000:,.0f} ms."]
    for phase in ("prefill", "decode"):
        spent = {
            lane: sum(end - start for p, what, start, end in events if (p, what) == (phase, lane)) for lane in lanes
        }
        if _has(events, phase):
            parts = ", ".join(f"{lane} {seconds * 1000:.1f} ms" for lane, seconds in spent.items() if seconds)
            sentences.append(f"{phase} takes {sum(spent.values()) * 1000:,.0f} ms: {parts}.")
    return " ".join(sentences)


def cache_steps(
    prompt_tokens: Sequence[str],
    new_tokens: Sequence[str],
    shares: np.ndarray,
    milliseconds: tuple[np.ndarray, np.ndarray],
    step: int,
    use_cache: bool,
    key_lengths: bool = False,
) -> CourseFigure:
    """Draw the cache after one step, one column per token and one row per KV head, over the times both ways.

    Args:
        prompt_tokens: The prompt.
        new_tokens: The generated tokens, one per step.
        shares: The length of each key, 0 to 1, `(layer, key_value_head, position)`.
        milliseconds: Of every step, with the cache and without.
        step: The step to show; 0 is prefill.
        use_cache: Which of the two runs to show.
        key_lengths: Whether the cells show `shares`.

    Raises:
        ValueError: `shares` does not have one position for every token that is read.

    Lesson: 10 · Prefill and decode

    >>> times = np.array([60.0, 30.0]), np.array([60.0, 70.0])
    >>> cache_steps(["a", "b"], ["c", "d"], np.ones((2, 1, 3)), times, step=1, use_cache=True).alt
    'Step 1, decode with the KV cache: 2 tokens are kept, 1 is read, “d” is chosen; 30 ms, without the cache 70 ms.'
    """
    prompt, tokens = len(prompt_tokens), [*prompt_tokens, *new_tokens][:-1]
    if shares.shape[2:] != (len(tokens),):
        raise ValueError(f"shares must have shape (layer, key_value_head, {len(tokens)}), got {shares.shape}")
    now = prompt + step
    kept = now - 1 if use_cache and step else 0
    first = max(0, len(tokens) - _MOST_COLUMNS)
    figure = CourseFigure(figsize=(8.5, 5.6))
    figure.colors = 64
    above, middle, below = figure.subplots(3, 1, height_ratios=(2, 1.1, 0.6))
    _cells(above, shares, first, now, kept, prompt, key_lengths)
    above.set_xlim(first - 0.5, len(tokens) - 0.5)
    if len(tokens) <= 40:
        names = [drawable(cut(token, 10) if position < now else "") for position, token in enumerate(tokens)]
        above.set_xticks(range(len(tokens)), names, rotation=60, ha="right", fontsize=9, rotation_mode="anchor")
    shown = f" (the last {_MOST_COLUMNS} of {len(tokens)})" if first else ""
    above.set_xlabel(f"token{shown}: {prompt} of the prompt, {step} generated and read", fontsize=9)
    _step_times(middle, milliseconds, step)
    _times_so_far(below, milliseconds, step)
    figure.headline(f"Step {step} reads {now - kept} token{'s' * (now - kept != 1)}; {kept} stay in the cache")
    figure.alt = _steps_alt(new_tokens, milliseconds, step, use_cache, now, kept)
    return figure


def _cells(axes, shares, first, now, kept, prompt, key_lengths) -> None:
    rows = shares.reshape(-1, shares.shape[2])
    if key_lengths:
        # Eight shades keep the stored picture small; the page has all of them.
        cells = np.ma.masked_where(np.arange(rows.shape[1])[None] >= now + 0 * rows, (rows * 7).round() / 7)
        axes.imshow(cells, cmap="Blues", vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    axes.spines[:].set_visible(True)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    for start, end, look in (
        (0, kept, {"facecolor": "#BBDDF6", "edgecolor": "white"}),
        (kept, now, {"facecolor": PALETTE["orange"], "edgecolor": PALETTE["vermilion"], "hatch": "//", "linewidth": 2}),
    ):
        axes.add_patch(Rectangle((start - 0.5, -0.5), end - start, len(rows), fill=not key_lengths, **look))
    if now > prompt:
        axes.axvline(prompt - 0.5, color="black", linewidth=1.2, linestyle=":")
    axes.set_title("hatched: read in this step    plain: kept    right of the line: generated", loc="left", fontsize=9)
    heads = shares.shape[1]
    marked = sorted({*range(0, shares.shape[0], 10), shares.shape[0] - 1})
    places = [layer * heads + (heads - 1) / 2 for layer in marked]
    axes.set_yticks(places, [f"layer {layer}" for layer in marked], fontsize=9)


_PLAIN_BAR = {"color": PALETTE["blue"]}
_HATCHED_BAR = {"facecolor": "white", "edgecolor": PALETTE["vermilion"], "hatch": "////"}


def _step_times(axes, milliseconds, step) -> None:
    steps = np.arange(len(milliseconds[0]))
    axes.bar(steps - 0.2, milliseconds[0], 0.4, **_PLAIN_BAR)
    axes.bar(steps + 0.2, milliseconds[1], 0.4, **_HATCHED_BAR)
    axes.plot(step, 0, "^", color="black", clip_on=False, zorder=5)
    axes.set_xlim(-0.6, len(steps) - 0.4)
    axes.set_ylabel("ms", fontsize=9)
    axes.set_title("time of each step (▲ this one)", loc="left", fontsize=9)
    axes.locator_params(axis="x", integer=True)
    axes.tick_params(labelsize=9)


def _times_so_far(axes, milliseconds, step) -> None:
    for place, (all_steps, look) in enumerate(zip(milliseconds, (_PLAIN_BAR, _HATCHED_BAR), strict=True)):
        so_far = float(all_steps[: step + 1].sum())
        axes.barh(place, so_far, 0.7, **look)
        axes.annotate(
            f"{so_far / 1000:,.2f} s", (so_far, place), (4, 0), textcoords="offset points", va="center", fontsize=9
        )
    axes.set_xlim(0, 1.12 * max(float(all_steps.sum()) for all_steps in milliseconds))
    axes.set_yticks((0, 1), ("with cache", "without cache"), fontsize=9)
    axes.set_xticks(())
    axes.invert_yaxis()
    axes.set_title("time so far", loc="left", fontsize=9)


def _steps_alt(new_tokens, milliseconds, step, use_cache, now, kept) -> str:
    read = f"{now - kept} {'is' if now - kept == 1 else 'are'} read"
    kept_words = f"{kept} token{'s are' if kept != 1 else ' is'} kept"
    return (
        f"Step {step}, {'decode' if step else 'prefill'} {'with' if use_cache else 'without'} the KV cache: "
        f"{kept_words}, {read}, {quoted(spoken(new_tokens[step]))} is chosen; "
        f"{milliseconds[not use_cache][step]:.0f} ms, {'without' if use_cache else 'with'} the cache "
        f"{milliseconds[use_cache][step]:.0f} ms."
    )


def total_work(tokens_read: Mapping[str, np.ndarray], seconds: Mapping[str, np.ndarray]) -> CourseFigure:
    """Draw how the work adds up over the steps: counted tokens on the left, measured seconds on the right.

    Args:
        tokens_read: For "with cache" and "without cache", the tokens read in each step, `(step,)`.
        seconds: The same for the seconds of each step, `(step,)`.

    Lesson: 10 · Prefill and decode

    >>> read = {"with cache": np.array([5, 1]), "without cache": np.array([5, 6])}
    >>> total_work(read, {name: numbers / 10 for name, numbers in read.items()}).alt.partition(". ")[0]
    'Total work over 2 steps'
    """
    figure = CourseFigure(figsize=(8, 3))
    panels = figure.subplots(1, 2)
    words = []
    for axes, numbers, title in zip(
        panels, (tokens_read, seconds), ("tokens read so far (counted)", "seconds so far (measured)"), strict=True
    ):
        totals = {name: np.cumsum(numbers[name]) for name in _WAYS}
        for name, (colour, line, marker) in _WAYS.items():
            steps = np.arange(len(totals[name]))
            axes.plot(steps, totals[name], line, color=PALETTE[colour], marker=marker, markevery=0.2)
            axes.annotate(
                name, (steps[-1], totals[name][-1]), (-4, 5), textcoords="offset points", ha="right", fontsize=9
            )
        axes.set_title(title, loc="left", fontsize=10)
        axes.set_xlabel("step (0 is prefill)")
        axes.locator_params(axis="x", integer=True)
        axes.set_ylim(0, max(total[-1] for total in totals.values()) * 1.15)
        ends = {name: total[-1] for name, total in totals.items()}
        shown = ", ".join(f"{end:,.4g} {name}" for name, end in ends.items())
        words.append(f"{shown}, {ends['without cache'] / ends['with cache']:.1f} times as much")
    figure.alt = f"Total work over {len(steps)} steps. Tokens read: {words[0]}. Seconds: {words[1]}."
    return figure


def roofline(points: Mapping[str, tuple[float, float]], gigaflops: float, gigabytes: float) -> CourseFigure:
    """Draw speed over arithmetic intensity, under the roof that memory (slope) and arithmetic (flat) put on it.

    Args:
        points: For every name, FLOPs per byte and the GFLOP/s it reached.
        gigaflops: The most GFLOP/s that this machine reached.
        gigabytes: The GB/s that this machine reads.

    Source: Williams, Waterman and Patterson (2009), Roofline.
    Lesson: 10 · Prefill and decode

    >>> roofline({"decode": (0.5, 8.0), "prefill": (100, 90.0)}, gigaflops=100, gigabytes=25).alt[:85]
    'A roofline: memory sets the limit below 4.0 FLOPs per byte, arithmetic above. decode:'
    """
    figure = CourseFigure(figsize=(7, 3.6))
    axes = figure.subplots()
    intensities = [intensity for intensity, _ in points.values()]
    reach = np.geomspace(min(0.2, *intensities), max(400, *intensities), 200)
    axes.loglog(reach, np.minimum(reach * gigabytes, gigaflops), color="black", label="the roof")
    balance = gigaflops / gigabytes
    axes.axvline(balance, color=PALETTE["grey"], linestyle=":")
    axes.annotate(
        f"{balance:.1f}", (balance, 1), (3, 0), textcoords="offset points", xycoords=("data", "axes fraction"), va="top"
    )
    for (name, (intensity, speed)), marker in zip(points.items(), "osD^vP" * len(points), strict=False):
        axes.plot(intensity, speed, marker, markersize=9, color=PALETTE["blue"], markeredgecolor="black")
        place = {"xytext": (0, -20), "ha": "center"} if intensity > balance else {"xytext": (10, -4)}
        plate = {"facecolor": "white", "edgecolor": "none", "pad": 1}  # the ridge's line must not cross the words
        axes.annotate(f"{name}: {speed:.0f}", (intensity, speed), textcoords="offset points", bbox=plate, **place)
    speeds = [gigaflops, *(speed for _, speed in points.values())]
    axes.set_ylim(min(speeds) / 2, max(speeds) * 1.6)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter("{x:g}")
        axis.set_minor_formatter("")
    axes.set_xlabel("arithmetic intensity (FLOPs per byte read)")
    axes.set_ylabel("GFLOP/s")
    named = ", ".join(f"{name}: {x:.1f} FLOPs per byte, {y:.0f} GFLOP/s" for name, (x, y) in points.items())
    figure.alt = f"A roofline: memory sets the limit below {balance:.1f} FLOPs per byte, arithmetic above. {named}."
    return figure
