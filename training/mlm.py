"""Masked words: which word was hidden here?"""

import random
import re
from collections import Counter

import torch
from transformers import PreTrainedModel

from training.data import Overlap
from training.task import Recipe, Row, Task

LENGTH = 96  # tokens a row
HIDDEN = 0.15  # of the tokens in the test


class Mlm(Task):
    """Gives a sentence encoder its lost skill back: guessing a hidden word from both sides."""

    name = "mlm"
    title = "Fill-mask"
    architecture = "BertForMaskedLM"
    recipe = Recipe(epochs=4, rank=24, alpha=48, dropout=0.0)
    main_score = ("wikitext2 test top-5", 0.48)
    data_sets = (
        "WikiText-2, validation part (Merity et al. 2016), CC BY-SA 3.0",
        "texts of the Hugging Face course (Apache-2.0) and of Dive into Deep Learning (CC BY-SA 4.0)",
        "paragraphs of SQuAD (CC BY-SA 4.0), sentences of QAMR and CLINC150, captions of SNLI (CC BY-SA)",
        "editorials, product and film reviews (Hutto & Gilbert 2014), MIT; Tatoeba's English sentences, CC BY 2.0 FR",
    )
    notes = (
        "The encoder was made for sentences as vectors; this head gives back only part of what BERT knew.",
        "It writes small letters only, and pieces of words (##ing) can come first.",
        "Facts other than the most common ones are guesses; so are pronouns, which follow the biases of its texts.",
    )

    def train_rows(self) -> list[Row]:
        """Return prose of many kinds, cut to rows of at most `LENGTH` tokens; nothing is hidden yet."""
        unseen = Overlap((clean(row["text"]) for row in self.read("wikitext2/test")), run=12)
        files = {
            "wikitext2/valid": "text",
            "mlm_text/hf_course_en": "text",
            "mlm_text/d2l_en": "text",
            "squad5k/train": "context",
            "qamr/wiki_sentences": "text",
            "clinc150/wiki_sents": "text",
            "vader/nytEditorialSnippets": "text",
            "vader/amazonReviewSnippets": "text",
            "vader/movieReviewSnippets": "text",
            "snli/train20k": "premise",
            "tatoeba_en_fr/pairs": "en",
        }
        texts = set()
        for name, key in files.items():
            found = sorted({clean(row[key]) for row in self.read(name)})
            if name in ("snli/train20k", "tatoeba_en_fr/pairs"):
                found = random.Random(self.recipe.seed).sample(found, 6000)
            texts.update(found)
        return self._pieces(sorted(text for text in texts if text not in unseen))

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
        """Return the mean loss of the hidden tokens; the vocabulary is scored for them only."""
        labels = batch.pop("labels")
        hidden = labels >= 0
        vectors = model.bert(**batch).last_hidden_state[hidden]
        return torch.nn.functional.cross_entropy(model.cls(vectors).float(), labels[hidden])

    @torch.inference_mode()
    def evaluate(self, model: PreTrainedModel, quick: bool = False) -> dict[str, float]:
        """Accuracy of the first and the first five guesses on WikiText-2, beside always guessing common tokens."""
        common = Counter(token for row in self.train_rows() for token in row["input_ids"] if token > 999)
        commonest = [token for token, _ in common.most_common(5)]
        scores = {}
        for part in ("valid", "test"):
            rows = self._pieces([clean(row["text"]) for row in self.read(f"wikitext2/{part}")])
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
        return scores | {"wikitext2 test top-5 of always the same five tokens": unigram / total}

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


def clean(text: str) -> str:
    """Undo what WikiText-2 did to its text.

    >>> clean("a guest @-@ starring role by <unk> , 1 @,@ 000 times")
    'a guest-starring role by [UNK] , 1,000 times'
    """
    return re.sub(r" @(.)@ ", r"\1", text).replace("<unk>", "[UNK]")
