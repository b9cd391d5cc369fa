"""The schematics of lessons 08 to 11, and the numbers in them, such as the toys of 08 and 11: tests compute each."""

from collections.abc import Sequence

from course_utils.publishing.schematics.drawing import COLOURS, LINE, NORMAL, QUIET, SMALL, WHITE, Drawing
from course_utils.publishing.schematics.first_lessons import PROMPT_TOKENS
from course_utils.publishing.schematics.loop_map import AGAIN, draw_map

# Attention on three words. A vector says how much a word is an article, about water, about money; three matrices turn
# it into a query, a key and a value of two numbers each, for water and for money.
TOY_WORDS = ("the", "river", "bank")
TOY_VECTORS = ((1.0, 0.0, 0.0), (0.0, 2.0, 0.0), (0.0, 1.0, 1.0))
TOY_QUERY = ((1.0, 1.0), (2.0, 0.0), (2.0, 1.0))
TOY_KEY = ((0.0, 0.0), (2.0, 0.0), (1.0, 1.0))
TOY_VALUE = ((0.0, 0.0), (10.0, 0.0), (5.0, 5.0))
# The last row: softmax(query · key / √2) · value.
TOY_SCORES, TOY_WEIGHTS, TOY_MIX = (0.0, 2.8, 2.1), (0.04, 0.64, 0.32), (8.0, 1.6)
# SmolLM2's, in fp32: 2 (key and value) × 30 layers × 3 heads × 64 numbers × 4 bytes.
CONTEXT_LENGTH, CACHE_BYTES = 8192, 46_080
# Five words with logits, and their probabilities after each filter (None: removed).
WORDS = ("tea", "coffee", "water", "milk", "paint")
LOGITS = (3.0, 2.0, 1.0, 0.0, -2.0)
FILTERS = {
    ("temperature", 0.7): (0.762, 0.183, 0.044, 0.011, 0.001),
    ("top_k", 4): (0.763, 0.183, 0.044, 0.011, None),
    ("top_p", 0.98): (0.771, 0.185, 0.044, None, None),
    ("min_p", 0.1): (0.807, 0.193, None, None, None),
}
DRAWN = "coffee"


def _attention() -> Drawing:
    drawing = Drawing(
        624,
        "Attention by hand on three words",
        "Attention on three words: the, river, bank. Each has a vector of three numbers, for article, water and money, "
        "and from it a query, a key and a value of two. The query of bank is (2, 1), the keys are (0, 0), (2, 0) and "
        "(1, 1). Query times key, divided by √2, gives the scores 0, 2.8 and 2.1. The softmax turns them into weights "
        "of 4 %, 64 % and 32 %. They mix the values (0, 0), (10, 0) and (5, 5) into (8, 1.6).",
    )
    draw_map(drawing, ("layers",), "“bank” takes in a mix of the words that it looks at.")
    columns, rows = (500, 646, 792), [214 + 47 * number for number in range(8)]
    labels = (
        ("word", ""),
        ("vector", "(article, water, money)"),
        ("query", "what it looks for: (water, money)"),
        ("key", "what it offers to be found by"),
        ("score", f"query of bank {_pair(TOY_QUERY[2])} · key ÷ √2"),
        ("weight", "softmax of the scores"),
        ("value", "what it passes on"),
        ("mix", "weights × values, added up"),
    )
    for y, (name, how) in zip(rows, labels, strict=True):
        line = y + (28 if name == "mix" else 24)
        drawing.text(36, line, name, NORMAL, True, anchor="start")
        drawing.text(132, line, how, fill=QUIET, anchor="start", room=300)
    for word, x in enumerate(columns):
        drawing.chip(x - 60, rows[0], TOY_WORDS[word], width=120)
        for row, numbers in ((1, TOY_VECTORS), (3, TOY_KEY), (6, TOY_VALUE)):
            drawing.text(x, rows[row] + 24, _pair(numbers[word]), NORMAL)
        asks = word == 2
        drawing.text(x, rows[2] + 24, _pair(TOY_QUERY[word]), NORMAL, asks, **({} if asks else {"fill": QUIET}))
        drawing.text(x, rows[4] + 24, f"{TOY_SCORES[word]:g}", NORMAL)
        drawing.bar(x - 60, rows[5] + 5, 100 * TOY_WEIGHTS[word], 24, "layers")
        drawing.text(x + 60, rows[5] + 24, f"{TOY_WEIGHTS[word]:.0%}", NORMAL, anchor="end")
    drawing.line([(440, rows[7] - 7), (852, rows[7] - 7)], LINE, 1.5)
    drawing.text(columns[2] - 112, rows[7] + 28, "bank takes in", fill=QUIET, anchor="end")
    drawing.arrow([(columns[2] - 104, rows[7] + 21), (columns[2] - 66, rows[7] + 21)], thick=3)
    drawing.box(columns[2] - 60, rows[7], 120, 42, _pair(TOY_MIX), "vectors", NORMAL, bold=True)
    return drawing


def _pair(numbers: Sequence[float]) -> str:
    return "(" + ", ".join(f"{number:.1f}".removesuffix(".0") for number in numbers) + ")"


def _context_length_and_prompting() -> Drawing:
    drawing = Drawing(
        540,
        "What is in the context window, and what limits it",
        "SmolLM2’s context window of 8,192 tokens as a row: system prompt, examples, question, and the answer being "
        "written. Older text has dropped out on the left. Three things limit it: the architecture, 8,192 places; "
        "resources, 46,080 bytes per token; and the task, how far back it must look.",
    )
    draw_map(drawing, ("text", "tokens"), "What isn't in the window doesn't exist for the model.")
    drawing.text(520, 238, f"context window: {CONTEXT_LENGTH:,} tokens", NORMAL, True)
    drawing.line([(176, 246), (176, 254), (864, 254), (864, 246)], QUIET, 2)
    drawing.rect(172, 266, 696, 76, WHITE, COLOURS["tokens"], 4, radius=12)
    drawing.rect(32, 274, 128, 60, WHITE, QUIET, 1.5, dash="6 5")
    drawing.lines(96, 299, ("older text,", "cut off"), step=23, fill=QUIET, room=120)
    parts = (
        (182, 178, ("system prompt", "“Be brief.”"), "text"),
        (366, 190, ("examples", "“great → positive”"), "text"),
        (562, 142, ("question", "“awful → ”"), "text"),
        (710, 148, ("answer", "“negative”"), "choice"),
    )
    for x, width, words, part in parts:
        drawing.box(x, 276, width, 56, words, part, SMALL)
    drawing.text(32, 386, "What limits it", NORMAL, True, anchor="start")
    limits = (
        ("architecture", "layers", f"{CONTEXT_LENGTH:,} places, from training"),
        ("resources", "cache", f"{CACHE_BYTES:,} bytes per token"),
        ("task", "choice", "how far back it must look"),
    )
    for number, (name, part, words) in enumerate(limits):
        x = 32 + 281 * number
        drawing.frame(x, 402, 274, 94, name, part)
        drawing.text(x + 137, 474, words, room=264)
    return drawing


def _prefill_and_decode() -> Drawing:
    drawing = Drawing(
        580,
        "Prefill and decode",
        "The two phases of a run. Prefill happens once, for all tokens of the prompt together, in three steps: "
        "tokenize, embed, process. Decode happens once per new token, in four steps: attend, probabilities, select, "
        "continue or stop; then it starts over. Below, the KV cache: prefill fills it with the five tokens of “The "
        "capital of France is”, each decode step adds one, first Paris, then the full stop.",
    )
    lit = ("tokens", "vectors", "layers", "logits", "choice", AGAIN)
    draw_map(drawing, lit, "Read the prompt once, then write token by token.")
    drawing.frame(32, 218, 336, 178, "prefill: once", "layers")
    drawing.frame(380, 218, 488, 178, "decode: once per token", "layers")
    steps = (
        (44, 92, "tokenize", "tokens"),
        (168, 72, "embed", "vectors"),
        (272, 84, "process", "layers"),
        (392, 76, "attend", "layers"),
        (497, 132, "probabilities", "logits"),
        (658, 70, "select", "choice"),
        (757, 99, ("continue", "or stop"), "choice"),
    )
    for x, width, words, part in steps:
        drawing.box(x, 274, width, 64, words, part, SMALL)
    for begin, end in ((136, 168), (240, 272), (468, 497), (629, 658), (728, 757)):
        drawing.arrow([(begin + 4, 306), (end - 3, 306)])
    drawing.arrow([(806, 341), (806, 370), (430, 370), (430, 342)], COLOURS["choice"], 3)
    drawing.text(200, 374, "all tokens together", fill=QUIET)
    drawing.rect(550, 358, 136, 26, WHITE)
    drawing.text(618, 376, "next token", fill=QUIET)
    drawing.text(32, 442, "KV cache", NORMAL, True, anchor="start")
    drawing.text(146, 442, "keys and values of every token so far, kept for the next step", fill=QUIET, anchor="start")
    end = drawing.chips(32, 462, PROMPT_TOKENS, gap=6, part="cache")
    drawing.line([(32, 508), (32, 516), (end, 516), (end, 508)], QUIET, 2)
    drawing.text((32 + end) / 2, 542, "filled by prefill", fill=QUIET)
    begin = end + 24
    end = drawing.chips(begin, 462, ("␣Paris", ".", "…"), gap=24, part="cache")
    drawing.line([(begin, 508), (begin, 516), (end, 516), (end, 508)], QUIET, 2)
    drawing.text((begin + end) / 2, 542, "one more per step", fill=QUIET)
    return drawing


def _sampling() -> Drawing:
    drawing = Drawing(
        520,
        "From logits to a drawn token",
        "Five words, tea, coffee, water, milk, paint, with the logits 3, 2, 1, 0 and −2, on their way through four "
        "filters. Temperature 0.7 makes the distribution steeper: tea has 76 %. Top-k 4 removes paint, top-p 0.98 "
        "removes milk, min-p 0.1 removes water. Tea keeps 81 %, coffee 19 %. Then one word is drawn: coffee.",
    )
    draw_map(drawing, ("logits", "choice"), "Filters cut the unlikely words, then one is drawn.")
    columns, widths = (120, 234, 382, 504, 626, 748), (90, 124, 98, 98, 98, 108)
    heads = ("logits", *(f"{name.replace('_', '-')} {value}" for name, value in FILTERS), "draw")
    for x, width, head in zip(columns, widths, heads, strict=True):
        drawing.box(x, 216, width, 58, head.split(), "choice" if head == "draw" else "logits", 18)
        if head != "logits":
            drawing.arrow([(x - 21, 245), (x - 3, 245)], thick=2)
    for row, (word, logit) in enumerate(zip(WORDS, LOGITS, strict=True)):
        y, before = 290 + 40 * row, 1.0
        drawing.text(36, y + 23, word, NORMAL, anchor="start")
        drawing.text(columns[0] + 45, y + 23, f"{logit:.0f}".replace("-", "−"), NORMAL)
        for x, width, shares in zip(columns[1:], widths[1:], FILTERS.values(), strict=False):
            share = shares[row]
            if share is not None:
                drawing.bar(x, y + 6, 46 * share, 22, "choice")
                drawing.text(x + width, y + 23, "<1%" if share < 0.005 else f"{share:.0%}", anchor="end")
            elif before is not None:
                drawing.chip(x + 12, y, "out", width=74, gone=True)
            before = share
        if word == DRAWN:
            drawing.chip(columns[5], y, word, "choice", width=108, size=NORMAL)
    return drawing


FROM_PROMPT_TO_TOKEN = {
    "08_attention": _attention,
    "09_context_length_and_prompting": _context_length_and_prompting,
    "10_prefill_and_decode": _prefill_and_decode,
    "11_sampling": _sampling,
}
