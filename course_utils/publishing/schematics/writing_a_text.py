"""The schematics of lessons 12 to 15, and the numbers in them: tests compute each of these with the engine."""

from course_utils.publishing.schematics.drawing import COLOURS, INK, LINE, NORMAL, QUIET, SMALL, WHITE, Drawing, tint
from course_utils.publishing.schematics.first_lessons import PROMPT
from course_utils.publishing.schematics.loop_map import AGAIN, STATIONS, draw_map, left

# Three penalties on the logits of five words after “the cat sat the”.
VOCABULARY, WRITTEN = ("the", "cat", "sat", "on", "mat"), ("the", "cat", "sat", "the")
UNPENALISED = (2.0, 1.0, -1.0, 0.5, 1.5)
PENALTIES = {
    ("presence", 1.0): (1.0, 0.0, -2.0, 0.5, 1.5),
    ("frequency", 1.0): (0.0, 0.0, -2.0, 0.5, 1.5),
    ("repetition", 2.0): (1.0, 0.5, -2.0, 0.5, 1.5),
}
# A weather diary: how likely each day is after the day before, and three days of it with three beams.
DAYS = ("sun", "rain", "fog")
AFTER = {
    "start": (0.50, 0.30, 0.20),
    "sun": (0.35, 0.40, 0.25),
    "rain": (0.20, 0.70, 0.10),
    "fog": (0.05, 0.05, 0.90),
}
# Of each beam: the days that are kept, and of those pruned the best, each with the probability of the diary so far.
BEAMS = (
    ((("sun", 0.5), ("rain", 0.2), ("rain", 0.14)), (("sun", 0.175), ("sun", 0.04))),
    ((("rain", 0.3), ("rain", 0.21), ("rain", 0.147)), (("sun", 0.06), ("sun", 0.042))),
    ((("fog", 0.2), ("fog", 0.18), ("fog", 0.162)), (("sun", 0.01), ("sun", 0.009))),
)
# SmolLM2 in fp32, in bytes: its weights, and the KV cache of 8,192 tokens.
WEIGHT_BYTES, FULL_CACHE_BYTES = 538_060_032, 377_487_360


def _repetition_length_and_stopping() -> Drawing:
    drawing = Drawing(
        560,
        "Three penalties, and three rules that stop a text",
        "The text so far is: the cat sat the. Three penalties lower the logits of its words. Presence takes 1 from "
        "each word that was used: the falls from 2 to 1. Frequency takes 1 for each time: the falls to 0. Repetition "
        "divides positive logits by 2 and multiplies negative ones: sat falls from −1 to −2. The unused words on and "
        "mat stay. Beside it what stops a text: the EOS token, the maximum length, a stop string.",
    )
    draw_map(drawing, ("logits", "choice", AGAIN), "Make used words less likely; know when to stop.")
    drawing.text(36, 238, "so far", fill=QUIET, anchor="start")
    drawing.chips(108, 214, WRITTEN)
    heads = (("logit",), ("presence", "−1 if used"), ("frequency", "−1 each time"), ("repetition", "÷ 2, or × 2"))
    columns, widths = (108, 196, 330, 474), (78, 124, 134, 130)
    for x, width, head in zip(columns, widths, heads, strict=True):
        drawing.box(x, 262, width, 58, head, "logits", 17)
    values = (UNPENALISED, *PENALTIES.values())
    for row, word in enumerate(VOCABULARY):
        y = 332 + 40 * row
        drawing.text(36, y + 23, word, NORMAL, anchor="start")
        for x, width, logits in zip(columns, widths, values, strict=True):
            changed = logits[row] != UNPENALISED[row]
            if changed:
                drawing.rect(x + width / 2 - 34, y, 68, 32, tint(COLOURS["logits"]), COLOURS["logits"], 2)
            words = f"{logits[row]:.1f}".replace("-", "−")
            is_old = logits is not UNPENALISED and not changed
            drawing.text(x + width / 2, y + 23, words, NORMAL, changed, QUIET if is_old else INK)
    drawing.frame(636, 214, 232, 318, "stop when", "choice")
    stops = (
        ("<|im_end|>", "the model ends it"),
        ("max_new_tokens", "it's long enough"),
        ("“Q:”", "a stop string is there"),
    )
    for number, (sign, words) in enumerate(stops):
        drawing.chip(652, 270 + 86 * number, sign, "choice", width=200)
        drawing.text(752, 328 + 86 * number, words, fill=QUIET, room=224)
    return drawing


def _beam_search() -> Drawing:
    drawing = Drawing(
        560,
        "Beam search with three beams",
        "A tree of weather diaries, three days long, with three beams. Day 1 keeps sun 0.50, rain 0.30 and fog 0.20. "
        "On each later day the three best of nine continuations are kept, the others pruned, such as sun, sun with "
        "0.175. At the end fog, fog, fog is best with 0.162, although fog was the least likely first day; greedy "
        "search, which follows sun, rain, rain, gets 0.140.",
    )
    draw_map(drawing, ("logits", "choice", AGAIN), "Keep the three best texts: a weak start can still win.")
    xs = (188, 396, 604)
    for x, day in zip(xs, ("day 1", "day 2", "day 3"), strict=True):
        drawing.text(x + 68, 236, day, NORMAL, True)
    drawing.chip(36, 356, "start", "text", width=84)
    for lane, (kept, pruned) in enumerate(BEAMS):
        y, is_best = 256 + 100 * lane, lane == 2
        colour, thick = (COLOURS["choice"], 4) if is_best else (QUIET, 2)
        drawing.line([(120, 373), (150, 373), (150, y + 17), (xs[0], y + 17)], colour, thick)
        for number, (x, (day, probability)) in enumerate(zip(xs, kept, strict=True)):
            drawing.chip(x, y, f"{day} {probability:.3f}", "choice" if is_best else "tokens", width=136)
            if number < 2:
                after = xs[number + 1]
                drawing.line([(x + 136, y + 17), (after, y + 17)], colour, thick)
                drawing.line([(x + 168, y + 17), (x + 168, y + 60), (after, y + 60)], QUIET, 1.5, "5 4")
                lost, chance = pruned[number]
                drawing.chip(after, y + 43, f"{lost} {chance:.3f}", width=136, gone=True)
    drawing.text(758, 279, "greedy", fill=QUIET, anchor="start")
    drawing.text(758, 479, "the best", bold=True, anchor="start")
    drawing.chip(758, 499, "pruned", width=96, gone=True)
    return drawing


def _speed_and_memory_in_practice() -> Drawing:
    drawing = Drawing(
        580,
        "Where the time goes, and where the memory goes",
        "Above, the timeline of a request: a long silence, the prefill, ends with the first token; its length is "
        "TTFT. Then the tokens come one by one, TPOT apart. The total is TTFT plus n minus 1 times TPOT. Below, the "
        "memory of SmolLM2 in fp32: weights 538 MB, always the same; the KV cache, which grows with every token to "
        "377 MB at 8,192 tokens; activations.",
    )
    draw_map(drawing, ("layers", "logits", "choice", AGAIN), "How long does it take? Does it fit?")
    drawing.text(36, 240, "time", NORMAL, True, anchor="start")
    drawing.text(856, 240, "total = TTFT + (n − 1) × TPOT", anchor="end")
    drawing.box(36, 296, 300, 50, "prefill", "layers")
    for number in range(5):
        end = 336 + 104 * number
        if number:
            drawing.box(end - 100, 296, 100, 50, "decode", "layers", SMALL)
        drawing.chip(end - 20, 256, str(number + 1), "choice", width=40)
    drawing.text(300, 280, "tokens", fill=QUIET, anchor="end")
    drawing.text(790, 280, "…", fill=QUIET)
    for begin, end, words in ((36, 336, "TTFT: time to first token"), (340, 440, "TPOT")):
        drawing.line([(begin, 354), (begin, 364), (end, 364), (end, 354)], QUIET, 2)
        drawing.text((begin + end) / 2, 388, words)
    drawing.text(454, 388, "time per output token", fill=QUIET, anchor="start")
    drawing.text(36, 436, "memory", NORMAL, True, anchor="start")
    drawing.text(856, 436, "SmolLM2, fp32, 8,192 tokens", anchor="end")
    scale = 700 / (WEIGHT_BYTES + FULL_CACHE_BYTES)
    weights, cache = WEIGHT_BYTES * scale, FULL_CACHE_BYTES * scale
    drawing.box(36, 452, weights, 60, ("weights", "538 MB"), "layers")
    drawing.box(36 + weights + 4, 452, cache, 60, ("KV cache", "377 MB"), "cache")
    drawing.rect(36 + weights + cache + 8, 452, 112, 60, WHITE, QUIET, 2, dash="6 5")
    drawing.text(36 + weights + cache + 64, 488, "activations", 17, room=110)
    drawing.text(36 + weights / 2, 540, "always the same", fill=QUIET)
    drawing.text(40 + weights + cache / 2, 540, "grows with each token", fill=QUIET)
    return drawing


def _your_own_generate() -> Drawing:
    drawing = Drawing(
        520,
        "The whole engine, built from the lessons",
        "The parts of a generate function in the order in which they work, each with the number of its lesson: the "
        "prompt becomes tokens (05); the model reads them with a KV cache (10); penalties (12) and filters (11) "
        "change the logits; a token is drawn (11) or beams choose it (13); a stop rule (12) ends the text or sends "
        "the token around again.",
    )
    draw_map(drawing, (*STATIONS, AGAIN), "Every part is one that you have built.")
    parts = (
        ("text", ("prompt", "to tokens"), "tokens", ("05",)),
        ("tokens", ("model +", "KV cache"), "cache", ("10",)),
        ("vectors", "penalties", "logits", ("12",)),
        ("layers", "filters", "logits", ("11",)),
        ("logits", ("draw", "or beams"), "choice", ("11", "13")),
        ("choice", ("stop?",), "choice", ("12",)),
    )
    for place, words, part, lessons in parts:
        x = left(place)
        drawing.box(x, 264, 122, 84, words, part, bold=True)
        for number, lesson in enumerate(lessons):
            middle = x + 61 + (number - (len(lessons) - 1) / 2) * 46
            drawing.rect(middle - 21, 234, 42, 30, WHITE, LINE, 1.5, radius=15)
            drawing.text(middle, 255, lesson, fill=QUIET)
        if place != "choice":
            drawing.arrow([(x + 125, 306), (x + 143, 306)])
    drawing.arrow([(786, 350), (786, 386), (231, 386), (231, 351)], COLOURS["choice"], 4)
    drawing.rect(418, 372, 188, 28, WHITE)
    drawing.text(512, 392, "no: one more token", fill=QUIET)
    drawing.arrow([(844, 350), (844, 424)], COLOURS["choice"], 4)
    drawing.text(832, 412, "yes", fill=QUIET, anchor="end")
    drawing.box(24, 426, 852, 52, f"{PROMPT} Paris.", "text")
    return drawing


WRITING_A_TEXT = {
    "12_repetition_length_and_stopping": _repetition_length_and_stopping,
    "13_beam_search": _beam_search,
    "14_speed_and_memory_in_practice": _speed_and_memory_in_practice,
    "15_your_own_generate": _your_own_generate,
}
