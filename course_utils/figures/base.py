"""What every picture of the course shares: a palette, alt text, a small PNG."""

import io
import unicodedata
from functools import cache

import matplotlib
import regex
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ft2font import FT2Font
from PIL import Image

# Okabe & Ito (2008), "Color Universal Design": eight colours that stay apart in every common form of
# colour blindness. The names are ours, by use.
PALETTE = {
    "black": "#000000",
    "orange": "#E69F00",
    "sky": "#56B4E9",
    "green": "#009E73",
    "yellow": "#F0E442",
    "blue": "#0072B2",
    "vermilion": "#D55E00",
    "purple": "#CC79A7",
    "grey": "#767676",
}


class CourseFigure(Figure):
    """A matplotlib figure that carries its own alt text and shows itself in a notebook.

    Its axes make room for their words, and have no line at the top and the right.

    Args:
        shows_frame: Draw all four lines around the axes, as a map needs them.
        layout: How the axes get their room; None where the figure places them itself.
        **settings: What else matplotlib's `Figure` takes, such as `figsize`.

    Lesson: every lesson.

    >>> figure = CourseFigure(figsize=(3, 2))
    >>> figure.alt = "An empty picture."
    >>> figure
    An empty picture.
    """

    alt = ""
    colors = 256  # of its PNG; a picture full of small words is lighter with fewer

    def __init__(self, *, shows_frame: bool = False, layout: str | None = "constrained", **settings: object) -> None:
        super().__init__(layout=layout, **settings)
        self._shows_frame = shows_frame

    def __repr__(self) -> str:
        return self.alt

    def add_subplot(self, *place: object, **settings: object) -> Axes:
        """Add axes as matplotlib does, with the lines around them that this figure shows."""
        axes = super().add_subplot(*place, **settings)
        axes.spines[["top", "right"]].set_visible(self._shows_frame)
        return axes

    def headline(self, words: str) -> None:
        """Say above the whole picture what there is to see in it."""
        self.suptitle(drawable(words), x=0.01, ha="left", fontsize=10, fontweight="bold")

    def _repr_mimebundle_(self, **kwargs: object) -> tuple[dict, dict]:
        data = {"image/png": png_bytes(self), "text/plain": self.alt}
        return data, {"image/png": {"alt": self.alt}}


def png_bytes(figure: Figure, dots_per_inch: int = 110) -> bytes:
    r"""Draw `figure` as a PNG on a white card, in at most 256 colours (a `CourseFigure` may ask for fewer).

    The background is opaque, so dark text stays readable in JupyterLab's dark theme; the small palette
    keeps a notebook with twenty pictures light.

    Lesson: every lesson.

    >>> png_bytes(CourseFigure(figsize=(1, 1), layout=None))[:4]
    b'\x89PNG'
    """
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=dots_per_inch, facecolor="white")
    small = io.BytesIO()
    colors = getattr(figure, "colors", 256)
    # With few colours, "maximum coverage" keeps the rare ones; a median cut would make a thin orange line grey.
    method = Image.Quantize.MEDIANCUT if colors == 256 else Image.Quantize.MAXCOVERAGE
    Image.open(drawn).convert("RGB").quantize(colors, method=method).save(small, format="PNG", optimize=True)
    return small.getvalue()


@cache
def _drawable_characters() -> frozenset[int]:
    """Code points that the font matplotlib ships can draw."""
    path = matplotlib.font_manager.findfont("DejaVu Sans")
    return frozenset(FT2Font(path).get_charmap())


def drawable(text: str) -> str:
    """Replace what the picture's font has no shape for by its code point, so no empty box is drawn.

    Lesson: every lesson.

    >>> drawable("␣Paris")
    '␣Paris'
    >>> drawable("你")
    '<U+4F60>'
    """
    known = _drawable_characters()
    safe = "".join(character if ord(character) in known else f"<U+{ord(character):04X}>" for character in text)
    # matplotlib reads text between two dollar signs as mathematics.
    return safe.replace("$", r"\$")


def spoken(token: str) -> str:
    """Write a token for an alt text: no angle brackets, which a screen reader spells out or a page takes for a tag.

    Lesson: every lesson.

    >>> spoken("<eos>")
    'eos'
    """
    return token.removeprefix("<").removesuffix(">").replace("<", "less-than") or "an empty token"


def cut(text: str, most: int) -> str:
    """Return the first `most` characters as a reader counts them: no emoji and no accent is cut in half.

    The pages cut at the same places, with `cut` in `_common.js`.

    Lesson: every lesson.

    >>> cut("Paris", 5), cut("Paris", 4), cut("🦜👩‍👩‍👧🦜", 2)
    ('Paris', 'Par…', '🦜…')
    """
    characters = regex.findall(r"\X", text)
    return "".join(characters[: most - 1]) + "…" if len(characters) > most else text


def quoted(token: str) -> str:
    r"""Put a token into quotation marks for a sentence; Arabic or Hebrew can't reorder the words around it.

    Lesson: every lesson.

    >>> quoted(".")
    '“.”'
    >>> quoted("שלום")
    '“\u2068שלום\u2069”'
    """
    right_to_left = any(unicodedata.bidirectional(character) in ("R", "AL", "AN") for character in token)
    return f"“\u2068{token}\u2069”" if right_to_left else f"“{token}”"
