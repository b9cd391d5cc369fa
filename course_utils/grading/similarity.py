"""How alike submissions are, as a page for the teacher: it's never a grade, and it says what it can't know.

The comparison is copydetect's: fingerprints of short stretches of code (winnowing: Schleimer, Wilkerson and Aiken,
2003, https://doi.org/10.1145/872757.872770) in which every name is the same letter, without comments.
"""

import html
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from course_utils.files import write_whole
from course_utils.grading.notebook_file import cells_of
from course_utils.grading.results import html_page
from course_utils.grading.submission import Submission, read_submission
from course_utils.grading.texts import printable

if TYPE_CHECKING:
    from copydetect import CodeFingerprint  # takes a second to import: it brings matplotlib

PAGE = "similarity.html"
STRETCH = 25  # letters of a stretch, with one for each name; all are compared, so that every run says the same
LONGEST = 50_000  # letters of a submission that are compared
_IN_TABLE, _IN_FULL = 100, 20  # pairs
_STYLE = (
    "body{max-width:80em}table{border-collapse:collapse}td,th{padding:.2em .8em;text-align:left}"
    "td.n{text-align:right}.pair{display:grid;grid-template-columns:1fr 1fr;gap:1em}"
    ".pair>div{min-width:0}"
    "a{color:inherit}pre{overflow-x:auto;border:1px solid #767676;padding:.5em;font-size:13px}"
    "mark{background:#ffe08a;color:#1a1a1a}@media(max-width:50em){.pair{display:block}}"
)
_MEANING = """
<h2>What this page can tell you</h2>
<p>Where two learners' own code has the same shape. Cells of the exercise that weren't changed are left out, and so is
its code around the answers. Names, comments and the contents of strings don't count: renaming every variable changes
nothing here.</p>
<h2>What it can't</h2>
<ul>
<li>· It isn't proof of copying. Short tasks have few right answers, and two people who have never met write the same
four lines. Look first at what is usual in your class.</li>
<li>· It doesn't know why. Two learners may have been allowed to work together, or used the same lesson, book, website
or assistant.</li>
<li>· It doesn't know who. Nothing here says which of the two came first.</li>
<li>· A low number isn't proof of own work. Code that was rewritten from someone else's, or bought, or generated, looks
like nobody's.</li>
</ul>
<p>So read both, and ask before you judge. This page never changes points, and it shows learners' code: keep it to
yourself.</p>
"""


@dataclass(frozen=True)
class Pair:
    """Two submissions that share code.

    Args:
        one: The first learner.
        other: The second.
        shares: The part of either's own code that the other one has, too, from 0 to 1.
        letters: How much that is in the first one, in letters, with one for each name.
    """

    one: str
    other: str
    shares: tuple[float, float]
    letters: int

    @property
    def order(self) -> tuple:
        """What pairs are sorted by: the most alike come first."""
        return -max(self.shares), -self.letters, self.one, self.other


def write_similarity(folder: Path, submissions: Sequence[Submission], given: Path | None, prose: Iterable[str]) -> str:
    """Write the page `similarity.html`, and return one sentence about it.

    Args:
        folder: Where it goes.
        submissions: All of them; those that can't be read are left out.
        given: The exercise as the learners got it; None if there is none.
        prose: The `grade_id` of each question that is answered in words.

    Raises:
        OSError: It can't be written; it is as it was.
    """
    from copydetect import CodeFingerprint

    def fingerprint(code: str, boilerplate: Sequence[int] = ()) -> "CodeFingerprint":
        # copydetect counts in a text that Pygments has trimmed, so it must be trimmed before.
        text = "\n".join(code.splitlines()).strip("\n") + "\n"
        return CodeFingerprint("notebook.py", STRETCH, 1, boilerplate, language="python", fp=io.StringIO(text))

    known = cells_of(given.read_text(encoding="utf-8")) if given else []
    cells = [cell.source for cell in known if cell.kind == "code"]
    boilerplate = sorted(fingerprint("\n".join(cells)).hashes)
    prose, prints, cut = tuple(prose), {}, []
    for one in submissions:
        code = own_code(read_submission(one, prose).cells, cells)
        if code:
            prints[one.learner] = fingerprint(code[:LONGEST], boilerplate)
        if len(code) > LONGEST:
            cut.append(one.learner)
    pairs = [*_pairs(prints)]
    write_whole(folder / PAGE, _page(prints, pairs, cut, given))
    return f"{PAGE} compares {_submissions(prints)}; it is for you, and changes no points."


def own_code(cells: Sequence[str], given: Sequence[str]) -> str:
    r"""Return what a learner wrote: the cells that aren't in the exercise as it was given.

    >>> own_code(["import torch ", "def f(x):\n    return x"], ["import torch", "def f(x):\n    ..."])
    'def f(x):\n    return x'
    """
    known = {cell.strip() for cell in given}
    return "\n\n".join(cell for cell in cells if cell.strip() and cell.strip() not in known)


def _pairs(prints: dict[str, "CodeFingerprint"]) -> Iterable[Pair]:
    from copydetect import compare_files

    several = [*combinations(prints, 2)]
    for one, other in tqdm(several, unit="pair", disable=None):
        letters, shares, _ = compare_files(prints[one], prints[other])
        yield Pair(one, other, tuple(map(float, shares)), int(letters))


def _page(prints: dict, pairs: list[Pair], cut: list[str], given: Path | None) -> str:
    ordered = sorted(pairs, key=lambda pair: pair.order)
    alike = [pair for pair in ordered if pair.letters]
    parts = ["<h1>How alike the submissions are</h1>", _MEANING, "<h2>What is usual here</h2>", _usual(prints, ordered)]
    if given is None:
        parts.append("<p>There is no exercise for these checks, so what everyone was given counts as alike, too.</p>")
    if cut:
        names = html.escape(", ".join(map(printable, cut)))
        parts.append(f"<p>Only the first {LONGEST:,} letters were compared of: {names}.</p>")
    if alike:
        parts.append(
            f"<h2>The most alike{f', {_IN_TABLE} pairs of {len(alike)}' if len(alike) > _IN_TABLE else ''}</h2>"
        )
        rows = "".join(_row(at, pair) for at, pair in enumerate(alike[:_IN_TABLE]))
        heads = "".join(f"<th>{name}</th>" for name in ("", "learner", "learner", "of the first", "of the second"))
        parts.append(f"<table><tr>{heads}</tr>{rows}</table>")
    parts += [_in_full(at, pair, prints) for at, pair in enumerate(alike[:_IN_FULL])]
    return html_page("How alike the submissions are", "".join(parts), _STYLE)


def _usual(prints: dict, ordered: list[Pair]) -> str:
    if not ordered:
        return f"<p>{_submissions(prints)} with code: there is nothing to compare.</p>"
    shares = [max(pair.shares) for pair in ordered]
    said = f"Half of the pairs share at most {shares[len(shares) // 2]:.0%} of one's code, "
    if len(shares) >= 20:
        said += f"nine in ten at most {shares[len(shares) // 10]:.0%}, "
    said += f"and the most is {shares[0]:.0%}. Where many share much, the task leaves little choice."
    return f"<p>{len(prints)} submissions make {len(ordered)} pairs. {said}</p>"


def _submissions(prints: dict) -> str:
    return f"{len(prints)} submission{'s' * (len(prints) != 1)}"


def _row(at: int, pair: Pair) -> str:
    number = f'<a href="#pair{at + 1}">{at + 1}</a>' if at < _IN_FULL else f"{at + 1}"
    names = "".join(f"<td>{html.escape(printable(name))}</td>" for name in (pair.one, pair.other))
    shares = "".join(f'<td class="n">{share:.0%}</td>' for share in pair.shares)
    return f'<tr><td class="n">{number}</td>{names}{shares}</tr>'


def _in_full(at: int, pair: Pair, prints: dict[str, "CodeFingerprint"]) -> str:
    from copydetect import compare_files
    from copydetect.utils import highlight_overlap

    _, _, slices = compare_files(prints[pair.one], prints[pair.other])
    shown = []
    for name, where in zip((pair.one, pair.other), slices, strict=True):
        marked, _ = highlight_overlap(prints[name].raw_code, where, "<mark>", "</mark>", escape_html=True)
        shown.append(f"<div><h3>{html.escape(printable(name))}</h3><pre tabindex=0>{marked}</pre></div>")
    return f'<h2 id="pair{at + 1}">Pair {at + 1}</h2><div class="pair">{"".join(shown)}</div>'
