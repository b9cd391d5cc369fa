"""The loop of lesson 00 as the map at the top of every schematic: what a lesson is about is lit."""

from course_utils.publishing.schematics.drawing import (
    COLOURS,
    INK,
    LARGE,
    LINE,
    NORMAL,
    PAPER,
    QUIET,
    SHADE,
    SMALL,
    WHITE,
    WIDTH,
    Drawing,
    tint,
    width_of,
)

STATIONS = ("text", "tokens", "vectors", "layers", "logits", "choice")
AGAIN = "again"  # the arrow back
EDGE, STATION, GAP = 24, 122, 24
TOP, BOTTOM = 52, 134  # of the stations
MARGIN = 12  # around the panel, which is a little wider than the map
PANEL = 160  # where the lesson's own picture begins
LABELS = {"layers": "30 layers"}


def left(station: str) -> float:
    """Return where a station begins.

    >>> [left(station) for station in ("text", "tokens", "choice")]
    [24, 170, 754]
    """
    return EDGE + STATIONS.index(station) * (STATION + GAP)


def middle(station: str) -> float:
    """Return the middle of a station.

    >>> middle("text")
    85.0
    """
    return left(station) + STATION / 2


def draw_map(drawing: Drawing, lit: tuple[str, ...], headline: str, layers: str = "30 layers") -> None:
    """Draw the map with the parts in `lit`, and below it the panel, empty but for its headline."""
    _arrow_back(drawing, AGAIN in lit)
    for station in STATIONS:
        x, is_lit = left(station), station in lit
        colour = COLOURS[station]
        if is_lit:
            drawing.rect(x, TOP, STATION, BOTTOM - TOP, tint(colour), colour, 4, radius=10)
        else:
            drawing.rect(x, TOP, STATION, BOTTOM - TOP, PAPER, LINE, 1.5, radius=10)
        _icon(drawing, station, x + STATION / 2, TOP + 26, is_lit)
        label = layers if station == "layers" else station
        drawing.text(x + STATION / 2, BOTTOM - 13, label, NORMAL, is_lit, INK if is_lit else QUIET, room=STATION - 6)
        if station != "choice":
            middle_height = (TOP + BOTTOM) / 2
            drawing.arrow([(x + STATION + 3, middle_height), (x + STATION + GAP - 3, middle_height)], QUIET, 2)
    _panel(drawing, [station for station in STATIONS if station in lit], headline)


def _arrow_back(drawing: Drawing, is_lit: bool) -> None:
    first, last, height = middle("text"), middle("choice"), 24
    colour, thick = (COLOURS["choice"], 4) if is_lit else (LINE, 2)
    drawing.arrow([(last, TOP), (last, height), (first, height), (first, TOP - 2)], colour, thick)
    words = "append the token, start again"
    room = width_of(words, SMALL, is_lit) + 24
    drawing.rect(WIDTH / 2 - room / 2, height - 14, room, 28, PAPER)
    drawing.text(WIDTH / 2, height + 6, words, SMALL, is_lit, INK if is_lit else QUIET)


def _panel(drawing: Drawing, lit: list[str], headline: str) -> None:
    """Draw the panel as an enlargement of the lit stations."""
    begin, end = left(lit[0]), left(lit[-1]) + STATION
    corners = [(begin, BOTTOM + 4), (end, BOTTOM + 4), (WIDTH - MARGIN, PANEL), (MARGIN, PANEL)]
    drawing.shape(corners, SHADE)
    drawing.rect(MARGIN, PANEL, WIDTH - 2 * MARGIN, drawing.height - PANEL - MARGIN, WHITE, LINE, 1.5, radius=12)
    drawing.text(MARGIN + 20, PANEL + 38, headline, LARGE, True, anchor="start", room=WIDTH - 2 * MARGIN - 40)


def _icon(drawing: Drawing, station: str, x: float, y: float, is_lit: bool) -> None:
    """Draw the sign of a station around (x, y), at most 84 × 36 pixels."""
    colour = COLOURS[station] if is_lit else LINE
    if station == "text":
        for number, length in enumerate((60, 60, 36)):
            drawing.line([(x - 30, y - 10 + 10 * number), (x - 30 + length, y - 10 + 10 * number)], colour, 3.5)
    elif station == "tokens":
        for number in range(3):
            drawing.rect(x - 41 + 29 * number, y - 9, 24, 18, WHITE, colour, 3, radius=9)
    elif station == "vectors":
        for column in range(3):
            for row in range(3):
                strength = (0.9, 0.35, 0.6)[(row + column * 2) % 3]
                drawing.rect(x - 33 + 26 * column, y - 16 + 11 * row, 14, 9, colour, radius=2, opacity=strength)
    elif station == "layers":
        for number in range(4):
            slab = colour if number % 2 == 0 or not is_lit else COLOURS["mlp"]
            drawing.rect(x - 30, y - 16 + 9 * number, 60, 7, slab, radius=2)
    elif station == "logits":
        for number, length in enumerate((46, 24, 34, 14)):
            drawing.rect(x - 24, y - 16 + 9 * number, length, 7, colour, radius=2)
    else:
        drawing.rect(x - 29, y - 12, 58, 24, WHITE, colour, 3, radius=12)
        drawing.shape([(x - 6, y - 7), (x + 8, y), (x - 6, y + 7)], colour)
