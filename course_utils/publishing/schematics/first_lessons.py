"""The schematics of lessons 00 to 03, and the numbers in them: tests compute each of these with the models."""

from course_utils.publishing.schematics.drawing import COLOURS, NORMAL, QUIET, SMALL, WHITE, Drawing, strengths, tint
from course_utils.publishing.schematics.loop_map import AGAIN, STATIONS, draw_map, left, middle

# SmolLM2 on one prompt: its tokens, the largest logits and their probabilities.
PROMPT = "The capital of France is"
PROMPT_TOKENS = ("The", "␣capital", "␣of", "␣France", "␣is")
NEXT_TOKENS = (("␣Paris", 17.4, 0.77), ("␣the", 14.9, 0.06), ("␣London", 13.2, 0.01), ("␣Le", 13.0, 0.01))
# How many parameters of SmolLM2 are where (the norms have the other 35,136).
PARAMETERS = {"embedding": 28_311_552, "attention": 26_542_080, "MLP": 79_626_240}
# How much likelier SmolLM2 finds “she” than “he” after “The … said that”.
SHE_TO_HE = {"nurse": (5, 1), "farmer": (1, 2)}
SPELT = ("st", "raw", "berry")
# The sentiment pipeline of the course on one text.
CLASSIFIED = "I've been waiting for a HuggingFace course my whole life."
CLASSIFIED_IDS = (101, 1045, 1005)  # the first of 16
CLASSIFIED_LOGITS = {"NEGATIVE": -2.12, "POSITIVE": 1.94}
CLASSIFIED_SCORES = {"NEGATIVE": 0.017, "POSITIVE": 0.983}


def _start_here() -> Drawing:
    drawing = Drawing(
        500,
        "The loop that writes a text",
        "The loop of a language model. The text “The capital of France is” becomes five tokens; each token becomes a "
        "vector of 576 numbers; 30 layers of attention and MLP change the vectors; the last one gives a logit for "
        "each of 49,152 tokens; a choice is made, here “Paris” with 77 %; it is appended to the text, and the loop "
        "starts again.",
    )
    draw_map(drawing, (*STATIONS, AGAIN), "Each time around, the loop writes one token.")
    rows = [225 + 42 * number for number in range(5)]
    drawing.lines(middle("text"), rows[0] + 23, ("The capital", "of France is"), room=122)
    drawing.chip(left("text") + 17, rows[2] - 2, "␣Paris", "choice", width=88)
    drawing.text(middle("text"), rows[3] + 18, "appended", fill=QUIET)
    for number, (y, token) in enumerate(zip(rows, PROMPT_TOKENS, strict=True)):
        drawing.chip(left("tokens") + 9, y, token, width=104)
        drawing.cells(left("vectors") + 9, y + 8, strengths(number, 4))
        drawing.text(left("vectors") + 96, y + 22, "…", anchor="start", fill=QUIET)
    drawing.text(middle("tokens"), 460, "5 tokens", fill=QUIET)
    drawing.text(middle("vectors"), 460, "5 × 576", fill=QUIET)
    for depth in (12, 6):
        drawing.rect(left("layers") + depth, rows[0] + 22 - depth, 110, 146, WHITE, QUIET, radius=10)
    drawing.rect(left("layers"), rows[0] + 22, 110, 146, WHITE, QUIET, radius=10)
    drawing.box(left("layers") + 6, rows[0] + 30, 98, 60, "attention", "layers", SMALL - 1)
    drawing.box(left("layers") + 6, rows[0] + 100, 98, 60, "MLP", "mlp", SMALL)
    drawing.text(middle("layers"), 460, "30 times", fill=QUIET)
    for y, (token, logit, share) in zip(rows, NEXT_TOKENS, strict=False):
        drawing.text(left("logits") - 8, y + 23, token, anchor="start")
        drawing.text(left("logits") + 118, y + 23, f"{logit}", anchor="end")
        drawing.bar(left("choice") + 2, y + 7, 66 * share / 0.77, 20, "choice")
        drawing.text(left("choice") + 122, y + 23, f"{share:.0%}", anchor="end", bold=share > 0.5)
    drawing.text(middle("logits"), rows[4] + 20, "…", fill=QUIET)
    drawing.text(middle("logits"), 460, "49,152 logits", fill=QUIET, room=135)
    drawing.text(middle("choice"), 460, "1 token", fill=QUIET)
    return drawing


def _what_llms_can_do() -> Drawing:
    drawing = Drawing(
        590,
        "Where the parameters of SmolLM2 are",
        "One of the 30 layers of SmolLM2, its matrices drawn to scale. Attention has four: Q and O, 576 by 576, for 9"
        " query heads, and the narrow K and V, 576 by 192, for 3 heads each. The MLP has three: gate and up, 576 by "
        "1,536, and down, 1,536 by 576. Below, all 134.5 million parameters as one bar: embedding 28.3 million, "
        "attention 26.5 million, MLP 79.6 million.",
    )
    draw_map(drawing, ("vectors", "layers"), "One layer: seven matrices, drawn to scale")
    top, hidden, narrow, wide = 298, 56, 19, 149  # 576, 192 and 1,536
    drawing.frame(32, 214, 378, 246, "attention", "layers")
    drawing.frame(422, 214, 446, 246, "MLP", "mlp")
    for x, width, name in ((69, hidden, "Q"), (189, narrow, "K"), (235, narrow, "V"), (317, hidden, "O")):
        drawing.rect(x, top, width, hidden, tint(COLOURS["layers"]), COLOURS["layers"], 2.5, radius=3)
        drawing.text(x + width / 2, top - 10, name, NORMAL, True)
    for x, words in ((97, ("576 × 576", "9 heads")), (221, ("576 × 192", "3 heads each")), (345, ("576 × 576",))):
        drawing.lines(x, top + hidden + 28, words, room=124)
    for x, width, height, name in ((440, wide, hidden, "gate"), (609, wide, hidden, "up"), (784, hidden, wide, "down")):
        drawing.rect(x, top, width, height, tint(COLOURS["mlp"]), COLOURS["mlp"], 2.5, radius=3)
        drawing.text(x + width / 2, top - 10, name, NORMAL, True)
    drawing.text(514.5, top + hidden + 28, "576 × 1,536", room=wide)
    drawing.text(683.5, top + hidden + 28, "576 × 1,536", room=wide)
    drawing.text(774, top + wide - 6, "1,536 × 576", anchor="end", room=wide)
    drawing.text(32, 492, "30 layers and the embedding: 134.5 million parameters", anchor="start", room=830)
    x = 32.0
    for (name, count), part in zip(PARAMETERS.items(), ("vectors", "layers", "mlp"), strict=True):
        width = 836 * count / sum(PARAMETERS.values())
        drawing.rect(x, 504, width, 56, tint(COLOURS[part]), COLOURS[part], 2.5, radius=3)
        drawing.lines(x + width / 2, 527, (name, f"{count / 1e6:.1f} M"), step=23, room=width - 8)
        x += width
    return drawing


def _where_llms_fail() -> Drawing:
    drawing = Drawing(
        470,
        "Where to look for each failure",
        "Five failures of language models, each below the part of the loop that it belongs to. Text, context: "
        "whatever is cut off does not exist. Tokens, spelling: strawberry arrives as st, raw, berry, not as letters. "
        "Layers, bias: “she” is 5 times as likely as “he” after “The nurse said that”, and half as likely after “The "
        "farmer said that”. Layers, cost: all 134.5 million weights work for every token. Choice, invention: it writes "
        "what is likely, true or not.",
    )
    draw_map(drawing, ("text", "tokens", "layers", "choice"), "Where to look for each failure")
    cards = (
        ("text", 24, 130, 85, "Context", ("Whatever", "is cut off", "doesn't", "exist.")),
        ("tokens", 166, 142, 231, "Spelling", ("It reads", "", "not letters.")),
        (
            "layers",
            366,
            152,
            500,
            "Bias",
            ("she : he after", *(f"{who} {she} : {he}" for who, (she, he) in SHE_TO_HE.items())),
        ),
        ("layers", 530, 142, 546, "Cost", ("Every token", "takes all", "134.5 million", "weights.")),
        ("choice", 734, 146, 815, "Invention", ("It writes", "what is likely,", "true or not.")),
    )
    for part, x, width, pointer, name, words in cards:
        drawing.frame(x, 238, width, 192, name, part)
        drawing.shape([(pointer - 11, 238), (pointer, 222), (pointer + 11, 238)], COLOURS[part])
        drawing.lines(x + width / 2, 312, words, step=30, room=width - 8)
    drawing.chips(172, 319, SPELT, gap=2, size=SMALL, margin=5)
    return drawing


def _the_pipeline_opened() -> Drawing:
    drawing = Drawing(
        490,
        "The three steps of a pipeline",
        "A sentiment pipeline on “I've been waiting for a HuggingFace course my whole life.” Step 1, preprocess, "
        "turns the text into input_ids, 101, 1045, 1005 and so on, and an attention_mask of ones. Step 2, forward, "
        "runs the model and returns two logits, −2.12 and 1.94. Step 3, postprocess, applies the softmax and returns "
        "the label POSITIVE with the score 0.983.",
    )
    draw_map(drawing, STATIONS, "One call, three steps", layers="6 layers")
    drawing.frame(32, 216, 248, 240, "1  preprocess", "tokens")
    drawing.frame(320, 216, 224, 240, "2  forward", "layers")
    drawing.frame(584, 216, 284, 240, "3  postprocess", "choice")
    drawing.arrow([(284, 352), (316, 352)], thick=3.5)
    drawing.arrow([(548, 352), (580, 352)], thick=3.5)
    drawing.lines(48, 284, ("“I've been waiting for", "a HuggingFace …”"), anchor="start", room=224)
    for y, name, values in ((352, "input_ids", CLASSIFIED_IDS), (414, "attention_mask", (1, 1, 1))):
        drawing.text(48, y, name, bold=True, anchor="start", room=224)
        drawing.text(48, y + 26, f"[{', '.join(map(str, values))}, …]", anchor="start", room=228)
    drawing.box(362, 274, 140, 62, ("encoder", "6 layers"), "layers", SMALL)
    drawing.text(432, 374, "logits", bold=True)
    for y, (name, logit) in zip((404, 434), CLASSIFIED_LOGITS.items(), strict=True):
        drawing.text(346, y, name, anchor="start", room=100)
        drawing.text(518, y, f"{logit:.2f}".replace("-", "−"), anchor="end")
    drawing.text(726, 290, "softmax", bold=True)
    for y, (name, score) in zip((308, 346), CLASSIFIED_SCORES.items(), strict=True):
        drawing.text(600, y + 19, name, anchor="start", room=112, bold=score > 0.5)
        drawing.bar(718, y + 2, 72 * score, 22, "choice")
        drawing.text(856, y + 19, f"{score:.3f}", anchor="end", bold=score > 0.5)
    drawing.chip(631, 404, "label: POSITIVE", "choice", width=190)
    return drawing


FIRST_LESSONS = {
    "00_start_here": _start_here,
    "01_what_llms_can_do": _what_llms_can_do,
    "02_where_llms_fail": _where_llms_fail,
    "03_the_pipeline_opened": _the_pipeline_opened,
}
