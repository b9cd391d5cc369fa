"""Masked words: which word was hidden here?"""

import random
import re
from collections import Counter
from typing import ClassVar

import torch
from transformers import PreTrainedModel, pipeline

from training import own
from training.data import Overlap
from training.task import Recipe, Row, Task

LENGTH = 96  # tokens per row
HIDDEN = 0.15  # of the tokens in the test
SHORT = 32  # tokens: a text in which hardly any word comes twice
COPYING = 6  # how much a word that can be seen counts against the loss, in short texts
# file: its key, and how many of its texts are taken (None: all). The many short or technical ones are cut.
TEXTS: dict[str, tuple[str, int | None]] = {
    "plain_text/wordnet": ("text", None),
    "plain_text/written": ("text", None),
    "plain_text/webster": ("text", 10_000),
    "plain_text/debian_handbook": ("text", None),
    "plain_text/python_docs": ("text", 5_000),
    "wikitext2/valid": ("text", None),
    "mlm_text/hf_course_en": ("text", None),
    "mlm_text/d2l_en": ("text", None),
    "squad5k/train": ("context", None),
    "squad5k/valid": ("context", None),
    "qamr/wiki_sentences": ("text", None),
    "clinc150/wiki_sents": ("text", None),
    "ner/wikigold": ("tokens", None),
    "vader/nytEditorialSnippets": ("text", None),
    "vader/amazonReviewSnippets": ("text", None),
    "vader/movieReviewSnippets": ("text", None),
    "cad_sentiment/train": ("text", None),
    "snli/train20k": ("premise", None),
    "tatoeba_en_fr/pairs": ("en", None),
}
# Of these, every sentence is a row by itself, too: what is learned from short rows must hold for facts as well.
PARAGRAPHS = {"squad5k/train", "squad5k/valid", "wikitext2/valid", "mlm_text/hf_course_en", "mlm_text/d2l_en"}


class Mlm(Task):
    """Gives a sentence encoder its lost skill back: guessing a hidden word from both sides."""

    name = "mlm"
    title = "Fill-mask"
    architecture = "BertForMaskedLM"
    recipe = Recipe(epochs=4, rank=64, alpha=128, dropout=0.0)
    goals: ClassVar[dict[str, float]] = {"wikitext2 test top-5": 0.52, "cloze test top-5": 0.60}
    data_sets = (
        "WikiText-2, validation part (Merity et al. 2016), CC BY-SA 3.0",
        "WordNet 3.0 (Princeton University), its definitions, examples and opposites as sentences: WordNet licence",
        "GCIDE (the Collaborative International Dictionary of English), GPL; the Debian Administrator's"
        " Handbook, GPL-2 or later or CC BY-SA 3.0; Python's documentation, PSF licence",
        "text written by SmolLM2-135M-Instruct (Apache-2.0) from openings of ours: a large model teaches a small one",
        "texts of the Hugging Face course (Apache-2.0) and of Dive into Deep Learning (CC BY-SA 4.0)",
        "paragraphs of SQuAD (CC BY-SA 4.0), sentences of QAMR, CLINC150 and Wikigold, captions of SNLI (CC BY-SA)",
        "editorials and reviews (Hutto & Gilbert 2014), MIT; film reviews (Kaushik et al. 2020), Apache-2.0",
        "Tatoeba's English sentences, CC BY 2.0 FR",
    )
    notes = (
        "The encoder was made for sentences as vectors; this head gives back only part of what BERT knew.",
        "It writes small letters only, and pieces of words (##ing) can come first.",
        "Facts other than the most common ones are guesses; so are pronouns, which follow the biases of its texts.",
    )

    def train_rows(self) -> list[Row]:
        """Return prose of many kinds, cut to rows of at most `LENGTH` tokens; nothing is hidden yet."""
        unseen = Overlap((clean(row["text"]) for row in self.read("wikitext2/test")), run=12)
        cloze = (row for rows in own.sentences("cloze").values() for row in rows)
        ours = Overlap((text.replace("[MASK]", word) for text, words in cloze for word in words), run=6)
        texts = set()
        for name, (key, most) in TEXTS.items():
            found = sorted({clean(_plain(row[key])) for row in self.read(name)})
            taken = random.Random(self.recipe.seed).sample(found, min(most or len(found), len(found)))
            texts.update(taken)
            if name in PARAGRAPHS:
                texts.update(sentence for text in taken for sentence in re.split(r"(?<=[.!?]) +(?=[A-Z])", text))
        return self._pieces(sorted(text for text in texts if text not in unseen and text not in ours))

    def collate(self, rows: list[Row]) -> dict[str, torch.Tensor]:
        """Pad, hide a fifth of the tokens behind [MASK], keep what they were as labels."""
        batch = super().collate(rows)
        if not torch.is_grad_enabled():  # the test hides its own
            return batch
        ids = batch["input_ids"]
        hidden = (torch.rand(ids.shape) < 0.2) & (ids > 999)  # below are [CLS], [UNK] and unused entries
        batch["labels"] = ids.masked_fill(~hidden, -100)
        batch["input_ids"] = ids.masked_fill(hidden, self.tokenizer.mask_token_id)
        return batch

    def loss(self, model: PreTrainedModel, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """Return the mean loss of the hidden tokens; the vocabulary is scored for them only.

        In a short text a word seldom comes twice, yet a head that was trained on articles fills a gap with a word
        beside it ("Paris is the capital of paris"). So in short texts the probability of every word that can be seen
        counts as a loss, too.

        Source: Welleck et al. (2020), Neural Text Generation with Unlikelihood Training.
        """
        labels = batch.pop("labels")
        hidden = labels >= 0
        vectors = model.bert(**batch).last_hidden_state[hidden]
        scores, wanted = model.cls(vectors).float().log_softmax(-1), labels[hidden][:, None]
        row = hidden.nonzero()[:, 0]
        is_short = batch["attention_mask"].sum(1)[row] <= SHORT
        seen = batch["input_ids"][row]
        is_copy = (seen > 999) & (seen != wanted) & is_short[:, None]
        copied = (scores.gather(1, seen).exp() * is_copy).sum(1).clamp(max=0.999)
        against = -(1 - copied).log().sum() / is_short.sum().clamp(min=1)
        return -scores.gather(1, wanted).mean() + COPYING * against

    @torch.inference_mode()
    def evaluate(self, model: PreTrainedModel, quick: bool = False) -> dict[str, float]:
        """Accuracy on WikiText-2 and on our own sentences with a gap, beside always guessing the commonest tokens."""
        common = Counter(token for row in self._wikitext("valid") for token in row["input_ids"] if token > 999)
        commonest = [token for token, _ in common.most_common(5)]
        scores = {}
        for part in ("valid", "test"):
            rows = self._wikitext(part)
            if quick or part == "valid":
                rows = random.Random(0).sample(rows, 150 if quick else 500)
            chance = torch.Generator().manual_seed(0)
            first = five = unigram = total = 0
            for row in rows:
                ids = torch.tensor([row["input_ids"]])
                hidden = (torch.rand(ids.shape, generator=chance) < HIDDEN) & (ids > 999)
                if not hidden.any():
                    continue
                shown = ids.masked_fill(hidden, self.tokenizer.mask_token_id).to(model.device)
                vectors = model.bert(input_ids=shown).last_hidden_state[hidden.to(model.device)]
                guesses = model.cls(vectors).topk(5).indices.cpu()
                right = guesses == ids[hidden][:, None]
                first += right[:, 0].sum().item()
                five += right.sum().item()
                unigram += sum(token in commonest for token in ids[hidden].tolist())
                total += len(right)
            name = "wikitext2 test" if part == "test" else "wikitext2 valid (seen in training)"
            scores |= {f"{name} top-1": first / total, f"{name} top-5": five / total}
        words = self.tokenizer.convert_ids_to_tokens(commonest)
        return scores | {
            "wikitext2 test top-5 of always the same five tokens": unigram / total,
            "cloze test top-5": own.masked_words(pipeline("fill-mask", model=model, tokenizer=self.tokenizer)),
            "cloze test top-5 of always the same five tokens": own.gaps_filled_by(words),
        }

    def _wikitext(self, part: str) -> list[Row]:
        return self._pieces([clean(row["text"]) for row in self.read(f"wikitext2/{part}")])

    def _pieces(self, texts: list[str]) -> list[Row]:
        """Cut texts into rows of at most `LENGTH` tokens."""
        rows = []
        for ids in self.tokenizer(texts, add_special_tokens=False, return_attention_mask=False, verbose=False)[
            "input_ids"
        ]:
            for start in range(0, len(ids), LENGTH - 2):
                piece = ids[start : start + LENGTH - 2]
                if len(piece) > 5:
                    rows.append({"input_ids": [self.tokenizer.cls_token_id, *piece, self.tokenizer.sep_token_id]})
        return rows


def _plain(text: str | list[str]) -> str:
    return (text if isinstance(text, str) else " ".join(text)).replace("<br />", " ")


def clean(text: str) -> str:
    """Undo what WikiText-2 did to its text.

    >>> clean("a guest @-@ starring role by <unk> , 1 @,@ 000 times")
    'a guest-starring role by [UNK] , 1,000 times'
    """
    return re.sub(r" @(.)@ ", r"\1", text).replace("<unk>", "[UNK]")
