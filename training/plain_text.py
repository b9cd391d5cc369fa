"""Plain English from Debian's packages, for the masked-word head.

`apt install dict-wn dict-gcide debian-handbook python3-doc`, then `python -m training.plain_text --data DIR` writes
`DIR/plain_text/*.jsonl.gz`. WordNet's entries become sentences: what a word means, its examples, its opposites.
"""

import argparse
import gzip
import json
import random
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from bs4 import BeautifulSoup

from course_utils.files import full_path, write_whole

WORDNET = Path("/usr/share/dictd/wn.dict.dz")
WEBSTER = Path("/usr/share/dictd/gcide.dict.dz")
PAGES = {
    "debian_handbook": Path("/usr/share/doc/debian-handbook/html/en-US"),
    "python_docs": Path("/usr/share/doc/python3.11/html"),
}
SENSE = re.compile(r"(?:(n|v|adj|adv) )?(\d+): ")
KINDS = {"n": "noun", "v": "verb", "adj": "adjective", "adv": "adverb"}


def dictionary_entries(text: str) -> Iterator[tuple[str, str]]:
    r"""Yield a word and everything that is said about it, on one line, for each entry of a dictionary.

    >>> list(dictionary_entries("hot\n    adj 1: having\n           heat\ncold\n    adj 1: without heat"))
    [('hot', 'adj 1: having heat'), ('cold', 'adj 1: without heat')]
    """
    for block in re.split(r"\n(?=\S)", text):
        word, _, rest = block.partition("\n")
        yield word.strip(), " ".join(rest.split())


def wordnet_sentences(word: str, entry: str) -> Iterator[str]:
    """Yield sentences for each sense of a word in WordNet's entry.

    >>> entry = 'adj 1: having heat; "a very hot stove" [syn: {hot}, {warm}] [ant: {cold}] 2: new; "hot from the press"'
    >>> for sentence in wordnet_sentences("hot", entry): print(sentence)
    Hot means having heat.
    A very hot stove.
    The opposite of hot is cold.
    Hot means new.
    Hot from the press.
    """
    kind, pieces = "n", SENSE.split(entry)
    for kind_here, sense in zip(pieces[1::3], pieces[3::3], strict=True):
        kind = kind_here or kind
        meaning = re.sub(r"\[[^]]*\]", "", sense)
        gloss = meaning.split('"')[0].split(";")[0].strip()
        if (len(gloss.split()) > 1 and "(" not in gloss) or kind == "adj":
            yield sentence(defined(word, kind, gloss))
        yield from (sentence(example) for example in re.findall(r'"([^"]{12,})"', meaning))
        yield from (
            sentence(f"the opposite of {word} is {other}") for other in re.findall(r"\{([^}]+)\}", _part(sense, "ant"))
        )


def defined(word: str, kind: str, gloss: str) -> str:
    """Say what a word means, as people say it.

    >>> defined("knife", "n", "a tool for cutting"), defined("Paris", "n", "the capital of France")
    ('a knife is a tool for cutting', 'Paris is the capital of France')
    >>> defined("cut", "v", "separate with a tool")
    'to cut is to separate with a tool'
    """
    if kind == "n" and re.match("(a|an|the|any|some|one) ", gloss):
        a_name = word[0].isupper() or not gloss.startswith(("a ", "an "))
        article = "" if a_name else "an " if word[0] in "aeio" else "a "
        return f"{article}{word} is {gloss}"
    if kind == "n" and word[0].isupper():
        return f"{word} is the {gloss}"
    return f"to {word} is to {gloss}" if kind == "v" else f"{word} means {gloss}"


def _part(sense: str, name: str) -> str:
    found = re.search(rf"\[{name}: ([^]]*)\]", sense)
    return found.group(1) if found else ""


def sentence(text: str) -> str:
    """Give `text` a capital letter and a full stop.

    >>> sentence("...he left; ")
    'He left.'
    """
    text = text.strip(" ;:,.`'")
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith(('.', '!', '?')) else '.'}"


def wordnet(known: set[str]) -> list[str]:
    """Return sentences for every entry of one word that is in the vocabulary `known`, each once."""
    text = gzip.decompress(WORDNET.read_bytes()).decode("utf-8", errors="replace")
    entries = (entry for entry in dictionary_entries(text) if entry[0].isalpha() and entry[0].lower() in known)
    return sorted({found for word, entry in entries for found in wordnet_sentences(word, entry) if len(found) > 20})


def webster() -> list[str]:
    """Return the definitions and quotations of GCIDE that read as sentences."""
    text = gzip.decompress(WEBSTER.read_bytes()).decode("utf-8", errors="replace")
    blocks = re.split(r"\n\s*\n|\[1913 Webster\]|\[PJC\]|\n(?=   \d+\. )", text)
    plain = (" ".join(re.sub(r"--[A-Z][\w .]*$|^\s*\d+\. |[{}]", "", block.strip()).split()) for block in blocks)
    return sorted({found for found in plain if len(found) > 60 and re.fullmatch(r"[A-Z][a-zA-Z ,;'-]+[.]", found)})


def paragraphs(folder: Path) -> list[str]:
    """Return the paragraphs of every page in `folder`, each once."""
    found = set()
    for page in sorted(folder.rglob("*.html")):
        soup = BeautifulSoup(page.read_text(encoding="utf-8", errors="replace"), "html.parser")
        parts = soup.select("p, dd, div.para")
        texts = (" ".join(part.get_text().split()) for part in parts if not part.select("p, div.para, ul, dl, pre"))
        found.update(text for text in texts if len(text) > 80 and text.endswith((".", ":")))
    return sorted(found)


def write_rows(file: Path, texts: Iterable[str]) -> None:
    """Write texts as gzipped JSON lines."""
    lines = "".join(json.dumps({"text": text}) + "\n" for text in texts)
    write_whole(file, gzip.compress(lines.encode("utf-8"), mtime=0))


def main() -> None:
    """Write every file, and say how much there is."""
    parser = argparse.ArgumentParser(prog="python -m training.plain_text", description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=full_path, required=True, help="the folder of the data sets")
    folder = parser.parse_args().data / "plain_text"
    folder.mkdir(parents=True, exist_ok=True)
    from course_utils.models import load_encoder

    made = {"wordnet": wordnet(set(load_encoder().tokenizer.vocab)), "webster": webster()}
    made |= {name: paragraphs(where) for name, where in PAGES.items()}
    for name, texts in made.items():
        write_rows(folder / f"{name}.jsonl.gz", texts)
        print(f"{name}: {len(texts):,} texts, {sum(map(len, texts)) / 1e6:.1f} million letters")
        print(*random.Random(0).sample(texts, 3), sep="\n")


if __name__ == "__main__":
    main()
