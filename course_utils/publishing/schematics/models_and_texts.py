"""The schematics of lessons 04 to 07, and the numbers in them: tests compute each of these with the tokenizer."""

from course_utils.publishing.schematics.drawing import (
    COLOURS,
    LINE,
    NORMAL,
    QUIET,
    SMALL,
    WHITE,
    Drawing,
    strengths,
    tint,
)
from course_utils.publishing.schematics.loop_map import draw_map

# SmolLM2's tokenizer on one text, and the first three numbers of each row of the embedding.
SPLIT = "Tokenization helps"
SPLIT_WORDS = ("Tokenization", "␣helps")
SPLIT_TOKENS = (("Token", 20855), ("ization", 1237), ("␣helps", 2311))
TRAINING_TEXT = ("She", "put", "the", "letter", "away")


def _the_pipeline_tasks() -> Drawing:
    drawing = Drawing(
        600,
        "Three architectures and the tasks of pipelines",
        "Which model serves which pipeline task. One encoder, MiniLM, has a head for each of five tasks: "
        "sentiment-analysis gives one of two labels, zero-shot-classification one of your labels, fill-mask a word "
        "for the mask, ner the names and what they name, question-answering the words that answer. A decoder, "
        "SmolLM2, serves text-generation. An encoder–decoder serves translation: it reads one text and writes "
        "another.",
    )
    draw_map(drawing, ("layers", "logits", "choice"), "Same three steps, another head for each task", layers="layers")
    heads = (
        ("sentiment-analysis", "positive or negative"),
        ("zero-shot-classification", "one of your labels"),
        ("fill-mask", "a word for [MASK]"),
        ("ner", "names: who, what, where"),
        ("question-answering", "the words that answer"),
    )
    drawing.box(32, 216, 158, 212, ("encoder", "MiniLM", "reads"), "layers", NORMAL)
    rows = [216 + 44 * number for number in range(5)]
    rows += [448, 512]
    last = (("text-generation", "the next tokens"), ("translation", "a text in French"))
    drawing.box(32, 440, 158, 52, ("decoder", "SmolLM2"), "layers", SMALL)
    drawing.box(32, 504, 158, 52, ("encoder–", "decoder"), "layers", SMALL)
    for y, (task, result) in zip(rows, (*heads, *last), strict=True):
        drawing.arrow([(194, y + 18), (222, y + 18)])
        drawing.rect(226, y, 278, 36, tint(COLOURS["logits"]), COLOURS["logits"], 2.5, radius=6)
        drawing.text(365, y + 24.5, task, room=270)
        drawing.arrow([(508, y + 18), (536, y + 18)])
        drawing.rect(540, y, 328, 36, tint(COLOURS["choice"]), COLOURS["choice"], 2.5, radius=17)
        drawing.text(704, y + 24.5, result, room=300)
    return drawing


def _from_text_to_vectors() -> Drawing:
    drawing = Drawing(
        560,
        "From a text to vectors",
        "The text “Tokenization helps” on its way to vectors. It is first cut into parts, Tokenization and helps with"
        " the space before it. Byte-pair merges build tokens: Token, ization, and helps. Each token has an id: 20855,"
        " 1237 and 2311. Each id is a row of the embedding table, a vector of 576 numbers.",
    )
    draw_map(drawing, ("text", "tokens", "vectors"), "Cut, number, look up")
    names = ("text", "parts", "tokens", "ids", "vectors")
    rows = [222 + 64 * number for number in range(5)]
    columns = (300, 520, 740)
    for y, name in zip(rows, names, strict=True):
        drawing.text(44, y + 24, name, NORMAL, True, anchor="start")
    for y, how in zip(rows, ("cut at spaces", "merge pairs", "number", "look up"), strict=False):
        drawing.arrow([(80, y + 34), (80, y + 68)], thick=2.5)
        drawing.text(94, y + 54, how, fill=QUIET, anchor="start", room=140)
    drawing.box(columns[0] - 70, rows[0], columns[2] - columns[0] + 140, 36, SPLIT, "text")
    drawing.chip(columns[0] - 70, rows[1], SPLIT_WORDS[0], "text", width=360)
    drawing.chip(columns[2] - 70, rows[1], SPLIT_WORDS[1], "text", width=140)
    for number, (x, (token, token_id)) in enumerate(zip(columns, SPLIT_TOKENS, strict=True)):
        drawing.chip(x - 70, rows[2], token, width=140)
        drawing.text(x, rows[3] + 24, str(token_id), NORMAL)
        drawing.arrow([(x, rows[2] + 38), (x, rows[3] + 4)], thick=2)
        drawing.arrow([(x, rows[3] + 32), (x, rows[4] + 4)], thick=2)
        drawing.cells(x - 66, rows[4] + 8, strengths(number, 5))
        drawing.text(x + 39, rows[4] + 22, "…", anchor="start", fill=QUIET)
    drawing.text(columns[1], rows[4] + 56, "576 numbers each", fill=QUIET)
    return drawing


def _pretraining_and_finetuning() -> Drawing:
    drawing = Drawing(
        580,
        "Labels made from the text itself, then a few by hand",
        "Pre-training makes its labels from the text itself. Causal: below each of the words She, put, the, letter is"
        " the next one, put, the, letter, away. Masked: in She put MASK letter away only the hidden word, the, is a "
        "label. The weights that this gives are then fine-tuned with labels that people wrote.",
    )
    draw_map(drawing, ("layers", "logits"), "The text is its own label.")
    for top, name, inputs, labels in (
        (218, "causal", TRAINING_TEXT[:-1], TRAINING_TEXT[1:]),
        (330, "masked", ("She", "put", "[MASK]", "letter", "away"), ("", "", "the", "", "")),
    ):
        drawing.text(44, top + 24, name, NORMAL, True, anchor="start")
        drawing.text(150, top + 24, "input", fill=QUIET, anchor="start")
        drawing.text(150, top + 74, "label", fill=QUIET, anchor="start")
        for number, (word, label) in enumerate(zip(inputs, labels, strict=True)):
            x = 228 + 126 * number
            drawing.chip(x, top, word, width=112, gone=word == "[MASK]")
            if label:
                drawing.arrow([(x + 56, top + 37), (x + 56, top + 49)], thick=2)
                drawing.chip(x, top + 50, label, "choice", width=112)
    drawing.line([(44, 440), (856, 440)], LINE, 1.5)
    drawing.box(44, 464, 210, 72, ("pre-training", "much plain text"), "tokens", SMALL)
    drawing.arrow([(260, 500), (334, 500)], thick=3)
    drawing.box(340, 464, 140, 72, ("weights",), "layers", NORMAL, bold=True)
    drawing.arrow([(486, 500), (560, 500)], thick=3)
    drawing.box(566, 464, 290, 72, ("fine-tuning", "few texts, labels by people"), "choice", SMALL)
    return drawing


def _grid(drawing: Drawing, x: float, rows: tuple[str, ...], columns: tuple[str, ...], seen: tuple[str, ...]) -> None:
    """Draw who may look at whom: a row is the token that looks; `x` is what it sees, `c` what it sees of the source."""
    y, size = 292, 50
    for number, word in enumerate(columns):
        drawing.text(x + size * (number + 0.5), y - 10, word, room=size)
    for row, (word, marks) in enumerate(zip(rows, seen, strict=True)):
        drawing.text(x - 8, y + size * (row + 0.5) + 6, word, anchor="end")
        for column, mark in enumerate(marks):
            place = (x + size * column + 2, y + size * row + 2, size - 4, size - 4)
            if mark == "-":
                drawing.rect(*place, WHITE, LINE, 1.5, radius=4, dash="4 4")
            else:
                drawing.rect(*place, COLOURS["layers"] if mark == "x" else tint(COLOURS["layers"]), radius=4)
            if mark == "c":
                drawing.rect(*place, WHITE, COLOURS["layers"], 3, radius=4, opacity=0)


def _encoders_decoders_and_both() -> Drawing:
    drawing = Drawing(
        520,
        "Three architectures as masks",
        "Three grids of who may look at whom: a row looks, a filled cell is seen. Encoder: every token of I love you "
        "sees all three. Decoder: each sees itself and those before it, a staircase. Encoder–decoder: Je, t’, aime see "
        "all of I love you, and of their own text only what is written already.",
    )
    draw_map(drawing, ("layers",), "The mask decides who may look at whom.", layers="layers")
    words, french = ("I", "love", "you"), ("Je", "t’", "aime")
    everything, staircase = ("xxx",) * 3, ("x--", "xx-", "xxx")
    for x, name in ((157, "encoder"), (375, "decoder"), (684, "encoder–decoder")):
        drawing.text(x, 242, name, NORMAL, True)
    _grid(drawing, 82, words, words, everything)
    _grid(drawing, 300, words, words, staircase)
    _grid(drawing, 526, french, words, ("ccc",) * 3)
    _grid(drawing, 692, ("",) * 3, french, staircase)
    uses = ((157, "all of the text"), (375, "only what is before"), (601, "the source"), (767, "its own text"))
    for x, use in uses:
        drawing.text(x, 474, use, fill=QUIET)
    return drawing


MODELS_AND_TEXTS = {
    "04_the_pipeline_tasks": _the_pipeline_tasks,
    "05_from_text_to_vectors": _from_text_to_vectors,
    "06_pretraining_and_finetuning": _pretraining_and_finetuning,
    "07_encoders_decoders_and_both": _encoders_decoders_and_both,
}
