"""The parts of every schematic, and what its colours mean: the same thing looks the same in all lessons."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from xml.sax.saxutils import escape

import matplotlib
from PIL import ImageFont

from course_utils.figures.base import PALETTE

WIDTH = 900
SMALL, NORMAL, LARGE = 18, 20, 23
# What is drawn in which colour. Shape, outline and label say it, too.
COLOURS = {
    "text": PALETTE["black"],
    "tokens": PALETTE["sky"],
    "vectors": PALETTE["green"],
    "layers": PALETTE["blue"],  # and attention, which is in them
    "mlp": PALETTE["orange"],
    "logits": PALETTE["purple"],
    "choice": PALETTE["vermilion"],
    "cache": PALETTE["yellow"],
}
# An <img> doesn't know the colours of the page around it, so each picture brings a light card.
INK, QUIET, LINE, SHADE, PAPER, WHITE = "#1a1a1a", "#5f5f5f", "#c4c4c4", "#e3e3e0", "#f6f6f4", "#ffffff"
_STRENGTHS = (0.8, 0.3, 0.55, 0.15, 0.95, 0.4, 0.7, 0.25)
_FONT = "system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',Arial,sans-serif"


def outline(part: str) -> str:
    """Return the colour around a part: yellow would not be seen on white.

    >>> outline("cache") == INK, outline("tokens") == COLOURS["tokens"]
    (True, True)
    """
    return INK if part == "cache" else COLOURS[part]


class DoesNotFit(ValueError):
    """A word is wider than the room that it has in a picture."""


@cache
def _font(size: int, bold: bool) -> ImageFont.FreeTypeFont:
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"  # wider than the fonts of most systems
    return ImageFont.truetype(str(Path(matplotlib.get_data_path(), "fonts", "ttf", name)), size)


def width_of(words: str, size: int, bold: bool = False) -> float:
    """Return how wide `words` are at most, in pixels.

    >>> width_of("tea", 20) < width_of("coffee", 20) < width_of("coffee", 20, bold=True)
    True
    """
    return _font(size, bold).getlength(words)


def tint(colour: str) -> str:
    """Return a pale version of a colour, for what is filled.

    >>> tint("#000000")
    '#ebebeb'
    """
    share = 0.08 if colour == COLOURS["text"] else 0.22
    parts = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    return "#" + "".join(f"{round(255 - share * (255 - part)):02x}" for part in parts)


def strengths(row: int, count: int) -> list[float]:
    """Return how dark the `count` squares of a drawn vector are; another row, another vector.

    >>> strengths(0, 3) != strengths(1, 3)
    True
    """
    return [_STRENGTHS[(row * 3 + column * (row % 2 + 1)) % len(_STRENGTHS)] for column in range(count)]


class Drawing:
    """One SVG picture, 900 pixels wide, in which things are put at places.

    Args:
        height: Of the picture, in pixels.
        title: Its name.
        desc: What it shows, in words: the alt text.
    """

    def __init__(self, height: int, title: str, desc: str) -> None:
        self.height, self.title, self.desc = height, title, desc
        self._parts: list[str] = []
        self.rect(1, 1, WIDTH - 2, height - 2, PAPER, LINE, radius=18)

    def svg(self) -> str:
        """Return the file."""
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {self.height}" width="{WIDTH}" '
            f'height="{self.height}" role="img" aria-labelledby="title desc" font-family="{_FONT}">'
        )
        words = f'<title id="title">{escape(self.title)}</title>\n<desc id="desc">{escape(self.desc)}</desc>'
        return "\n".join([head, words, *self._parts, "</svg>"]) + "\n"

    def rect(
        self, x: float, y: float, width: float, height: float, fill: str, stroke: str = "", thick: float = 1.5,
        radius: float = 8, dash: str = "", opacity: float = 1,
    ) -> None:  # fmt: skip
        """Draw a rectangle with round corners."""
        more = f' stroke="{stroke}" stroke-width="{_n(thick)}"' if stroke else ""
        more += f' stroke-dasharray="{dash}"' if dash else ""
        more += f' fill-opacity="{_n(opacity)}"' if opacity != 1 else ""
        place = f'x="{_n(x)}" y="{_n(y)}" width="{_n(width)}" height="{_n(height)}" rx="{_n(radius)}"'
        self._parts.append(f'<rect {place} fill="{fill}"{more}/>')

    def text(
        self, x: float, y: float, words: str, size: int = SMALL, bold: bool = False, fill: str = INK,
        anchor: str = "middle", room: float = WIDTH,
    ) -> None:  # fmt: skip
        """Write `words` in one line whose baseline is `y`.

        Raises:
            DoesNotFit: They are wider than `room`.
        """
        if not words:
            return
        if width_of(words, size, bold) > room:
            raise DoesNotFit(f"{words!r} needs {width_of(words, size, bold):.0f} px and has {room:.0f}")
        more = ' font-weight="700"' if bold else ""
        place = f'x="{_n(x)}" y="{_n(y)}" font-size="{size}" text-anchor="{anchor}" fill="{fill}"'
        self._parts.append(f"<text {place}{more}>{escape(words)}</text>")

    def lines(self, x: float, y: float, words: Sequence[str], step: float = 25, **look: object) -> None:
        """Write one line below the other."""
        for number, line in enumerate(words):
            self.text(x, y + step * number, line, **look)

    def box(
        self, x: float, y: float, width: float, height: float, words: str | Sequence[str], part: str,
        size: int = NORMAL, lit: bool = True, bold: bool = False,
    ) -> None:  # fmt: skip
        """Draw a step or a part of the model, with its name in the middle; one that is not lit is grey and thin."""
        fill, stroke, thick = (tint(COLOURS[part]), outline(part), 3) if lit else (PAPER, LINE, 1.5)
        self.rect(x, y, width, height, fill, stroke, thick, radius=10)
        words = [words] if isinstance(words, str) else words
        first = y + height / 2 + size * 0.36 - (len(words) - 1) * size * 0.62
        look = {"size": size, "bold": bold, "fill": INK if lit else QUIET, "room": width - 8}
        self.lines(x + width / 2, first, words, step=size * 1.24, **look)

    def frame(self, x: float, y: float, width: float, height: float, name: str, part: str) -> None:
        """Draw the frame around what belongs together, with its name at the top."""
        self.rect(x, y, width, height, WHITE, outline(part), 2.5, radius=10)
        self.rect(x, y, width, 38, tint(COLOURS[part]), outline(part), 2.5, radius=10)
        self.text(x + width / 2, y + 26, name, NORMAL, True, room=width - 8)

    def chip(
        self, x: float, y: float, word: str, part: str = "tokens", width: float = 0, size: int = SMALL,
        gone: bool = False, margin: float = 11,
    ) -> float:  # fmt: skip
        """Draw a token with its left edge at `x`; return where its right edge is. What is `gone` is dashed."""
        width = width or width_of(word, size) + 2 * margin
        fill, colour, dash = (WHITE, QUIET, "5 4") if gone else (tint(COLOURS[part]), outline(part), "")
        self.rect(x, y, width, 34, fill, colour, 2, radius=17, dash=dash)
        self.text(x + width / 2, y + 23.5, word, size, fill=QUIET if gone else INK, room=width - 6)
        return x + width

    def chips(self, x: float, y: float, words: Sequence[str], gap: float = 8, **look: object) -> float:
        """Draw tokens in a row; return where the last one ends."""
        for word in words:
            x = self.chip(x, y, word, **look) + gap
        return x - gap

    def cells(
        self, x: float, y: float, strengths: Sequence[float], part: str = "vectors", size: float = 18, gap: float = 3
    ) -> float:
        """Draw a vector as a row of squares, darker for larger numbers; return where the last one ends."""
        for number, strength in enumerate(strengths):
            place = x + number * (size + gap)
            self.rect(place, y, size, size, COLOURS[part], COLOURS[part], 1, radius=3, opacity=strength)
        return x + len(strengths) * (size + gap) - gap

    def bar(self, x: float, y: float, width: float, height: float, part: str, gone: bool = False) -> None:
        """Draw a bar; one that is `gone` is dashed and empty."""
        width, height = max(width, 2), max(height, 2)
        if gone:
            self.rect(x, y, width, height, WHITE, QUIET, 1.5, radius=3, dash="5 4")
        else:
            self.rect(x, y, width, height, COLOURS[part], radius=3)

    def line(
        self, points: Sequence[tuple[float, float]], colour: str = QUIET, thick: float = 2, dash: str = ""
    ) -> None:
        """Draw a line through `points`."""
        more = f' stroke-dasharray="{dash}"' if dash else ""
        way = "M" + "L".join(f"{_n(x)} {_n(y)}" for x, y in points)
        look = f'fill="none" stroke="{colour}" stroke-width="{_n(thick)}" stroke-linejoin="round"'
        self._parts.append(f'<path d="{way}" {look}{more}/>')

    def arrow(
        self, points: Sequence[tuple[float, float]], colour: str = QUIET, thick: float = 2.5, dash: str = ""
    ) -> None:
        """Draw a line through `points` with a head at the last one; it must end level or upright."""
        (x0, y0), (x, y) = points[-2:]
        along, side = 5 + thick * 2, 3.5 + thick * 1.2
        dx, dy = (x > x0) - (x < x0), (y > y0) - (y < y0)
        self.line([*points[:-1], (x - dx * along, y - dy * along)], colour, thick, dash)
        base = (x - dx * along, y - dy * along)
        corners = [(x, y), (base[0] - dy * side, base[1] - dx * side), (base[0] + dy * side, base[1] + dx * side)]
        self._parts.append(f'<path d="M{"L".join(f"{_n(a)} {_n(b)}" for a, b in corners)}Z" fill="{colour}"/>')

    def shape(self, points: Sequence[tuple[float, float]], fill: str) -> None:
        """Fill what is between `points`."""
        self._parts.append(f'<path d="M{"L".join(f"{_n(x)} {_n(y)}" for x, y in points)}Z" fill="{fill}"/>')


def _n(number: float) -> str:
    """Return a number without digits that nobody sees."""
    return f"{number:.1f}".removesuffix(".0") if abs(number) >= 1 or number == 0 else f"{number:.2f}"
