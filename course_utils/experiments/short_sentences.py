"""Short English sentences with French translations by people, which the course's translator never saw in training.

They are the first 400 of the 1,000 test sentences that `training/translation.py` sets aside, from Tatoeba
(tatoeba.org), CC BY 2.0 FR.

Lesson: 13 · Beam search
"""

import json
from importlib.resources import files


def short_sentences() -> dict[str, list[str]]:
    """Return 400 English sentences, each with all French translations that people gave.

    >>> short_sentences()["She wore a white dress."]
    ['Elle portait une robe blanche.']
    """
    path = files("course_utils.experiments.texts") / "short_sentences.json"
    return json.loads(path.read_text(encoding="utf-8"))["sentences"]
