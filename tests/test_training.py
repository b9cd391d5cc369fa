"""The training loop on a handful of made-up rows: it learns, goes on after a kill, and what it writes can be loaded."""

import gzip
import itertools
import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForSeq2SeqLM

from course_utils.models import load_encoder, load_head
from course_utils.models.lora import LoraLinear, attach_lora, merge_lora
from course_utils.models.task_heads import new_head, save_head
from training import own, report, sentiment, translation
from training.data import plain_words
from training.loop import batches, load_corrections, set_learning_rate, train
from training.ner import BIT, LABELS, Ner
from training.qa import Qa
from training.sentiment import PAIRS, Sentiment
from training.task import Recipe
from training.tasks import TASKS
from training.written import OPENINGS, openings

TWEETS = (("yay", "positive"), ("ugh", "negative"), ("so", "neutral"))


class Small(Sentiment):
    recipe = replace(Recipe(), batch_tokens=64, warmup=3)


class Killed(Exception):
    pass


def write_rows(folder, name, rows):
    file = folder / f"{name}.jsonl.gz"
    file.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(file, "wt", encoding="utf-8") as stream:
        stream.writelines(json.dumps(row) + "\n" for row in rows)


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data"
    reviews = [
        {"text": f"{word} {thing} {number}", "label": label}
        for number in range(4)
        for thing in ("soup", "chair", "film")
        for word, label in (("awful", 0), ("lovely", 1))
    ]
    for name in ("sst2/train", "sst2/dev", "cad_sentiment/train", "cad_sentiment/test"):
        write_rows(folder, name, reviews)
    write_rows(folder, "sst2/test", [{"text": "a lovely evening", "label": 1}])
    write_rows(folder, "uci_sentences/test", [{"text": "An awful walk.", "label": 0}])
    for part in ("train", "dev"):
        write_rows(folder, f"uci_sentences/{part}", reviews)
    tweets = [{"text": f"{word} {day} ", "label": label} for day in ("rain", "sun") for word, label in TWEETS]
    for part in ("val", "test"):
        write_rows(folder, f"tweeteval_sentiment/{part}", tweets)
    for part in ("amazonReviewSnippets", "movieReviewSnippets", "nytEditorialSnippets", "tweets"):
        write_rows(
            folder, f"vader/{part}", [{"text": "A lovely evening!", "score": 3.0}, {"text": "Rain", "score": 0.1}]
        )
    return folder


@pytest.fixture
def task(data, monkeypatch):
    pairs = data / "pairs.json"
    pairs.write_text('[["A lovely chair.", "An awful chair."], ["A lovely film.", "An awful film."]]', encoding="utf-8")
    monkeypatch.setattr(sentiment, "PAIRS", pairs)
    return Small(data, load_encoder().tokenizer)


def trained(model):
    return {name: value.detach() for name, value in model.named_parameters() if value.requires_grad}


def test_a_killed_run_goes_on_to_the_same_weights(task, tmp_path, monkeypatch):
    whole, history = train(task, tmp_path / "whole", steps=8)
    calls = []

    def killed(self, model, batch):
        calls.append(batch)
        if len(calls) == 5:
            raise Killed
        return Sentiment.loss(self, model, batch)

    with monkeypatch.context() as patch:
        patch.setattr(Small, "loss", killed)
        with pytest.raises(Killed):
            train(task, tmp_path / "parts", steps=8, checkpoint_seconds=0)
    parts, again = train(task, tmp_path / "parts", steps=8)
    assert again["losses"] == history["losses"]
    for name, value in trained(whole).items():
        assert torch.equal(value, trained(parts)[name]), name


def test_it_learns_and_what_it_writes_can_be_loaded(task, tmp_path):
    model, history = train(task, tmp_path / "out", steps=30)
    assert sum(history["losses"][-5:]) < sum(history["losses"][:5]) / 2
    save_head(model, task.settings(), tmp_path / "out")
    loaded, _ = load_head(tmp_path / "out")
    scores = task.evaluate(loaded)
    assert scores["sst2 dev accuracy"] > 0.9
    before = {name: 0.25 for name in scores}
    measured = {"scores": scores, "quick_scores": scores, "previous_scores": before}
    report.write_report(task, measured, history, "cpu", tmp_path / "out")
    written = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert written["bytes"] < 3_000_000
    assert written["steps"] == 30
    assert (tmp_path / "out" / "loss.png").stat().st_size > 1000
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert re.search(r"\| sst2 test accuracy \| [01]\.\d{4} \| 0\.2500 \| 0\.89, (not )?reached \|\n", card)


def test_more_goes_on_from_what_was_learned(task, tmp_path):
    model, first = train(task, tmp_path / "first", steps=30)
    save_head(model, task.settings(), tmp_path / "first")
    _, more = train(task, tmp_path / "more", steps=5, begin_with=tmp_path / "first")
    assert sum(more["losses"][:5]) < sum(first["losses"][:5]) / 2
    assert more["step"] == 5
    with pytest.raises(ValueError, match="made with another beginning"):
        train(task, tmp_path / "first", steps=40, begin_with=tmp_path / "first")


def test_a_card_names_every_stage(task, tmp_path, monkeypatch):
    model, history = train(task, tmp_path / "out", steps=2)
    save_head(model, task.settings(), tmp_path / "out")
    history["before"] = [{"steps": 700, "epochs": 1.5, "minutes": 3.0}]
    scores = dict.fromkeys(task.goals, 0.5)
    report.write_report(task, {"scores": scores, "quick_scores": scores}, history, "cpu", tmp_path / "out")
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert "--steps 700\n    python -m training sentiment --data DIR --out DIR --more --steps 2\n" in card
    assert "rows, 1.5 + " in card
    monkeypatch.setattr(report, "RESULTS", tmp_path)
    (tmp_path / "out").rename(tmp_path / "sentiment")
    assert [stage["steps"] for stage in report.stages_before("sentiment")] == [700, 2]


def test_minutes_become_a_number_of_steps(task, tmp_path):
    _, history = train(task, tmp_path, minutes=0.0001)
    assert history["step"] == history["steps"] == task.recipe.warmup + 1


def test_a_checkpoint_of_other_rows_is_refused(task, data, tmp_path):
    train(task, tmp_path / "out", steps=1)
    write_rows(data, "sst2/train", [{"text": "one lovely row", "label": 1}])
    with pytest.raises(ValueError, match="made with another rows"):
        train(task, tmp_path / "out", steps=1)


def texts_of(task):
    return task.tokenizer.batch_decode([row["input_ids"] for row in task.train_rows()], skip_special_tokens=True)


def test_texts_of_a_test_set_are_left_out(task):
    texts = texts_of(task)
    assert not any("lovely evening" in text or "awful walk" in text for text in texts)
    # Every second tweet is held out: of the test part's, "ugh rain", "yay sun" and a neutral one.
    assert [texts.count(text) for text in ("yay rain", "ugh rain", "yay sun", "ugh sun", "so sun")] == [2, 0, 0, 2, 0]


def test_sentences_of_our_own_are_left_out(task, monkeypatch):
    monkeypatch.setattr(sentiment, "PAIRS", PAIRS)
    pairs = json.loads(PAIRS.read_text(encoding="utf-8"))
    texts = set(texts_of(task))
    kept = [pair for pair in pairs if all(plain(text) in texts for text in pair)]
    assert 0.95 * len(pairs) < len(kept) < len(pairs)
    tested = {" ".join(plain_words(text)) for rows in own.sentences("sentiment").values() for text, _ in rows}
    assert not tested & {" ".join(plain_words(text)) for text in texts}


def plain(text):
    tokenizer = load_encoder().tokenizer
    return tokenizer.decode(tokenizer(text).input_ids, skip_special_tokens=True)


def test_a_correction_may_begin_with_one_of_lower_rank():
    torch.manual_seed(0)
    layers = {rank: LoraLinear(torch.nn.Linear(6, 6), rank=rank, alpha=2 * rank) for rank in (2, 5)}
    layers[5].base.load_state_dict(layers[2].base.state_dict())
    torch.nn.init.normal_(layers[2].lora_b)
    load_corrections(layers[5], {name: value.half() for name, value in layers[2].named_parameters() if "lora" in name})
    inputs = torch.randn(4, 6)
    assert torch.allclose(layers[5](inputs), layers[2](inputs), atol=1e-2)
    assert not torch.allclose(layers[5](inputs), layers[5].base(inputs), atol=0.1)


def test_openings_use_every_frame_and_good_articles():
    texts = list(itertools.islice(openings(), 20 * len(OPENINGS["frames"])))
    assert len(set(texts)) > len(texts) / 4
    assert not [text for text in texts if "{" in text or re.search(r"\b[Aa] [aeio]", text)]
    assert texts == list(itertools.islice(openings(), len(texts)))


def test_batches_keep_the_budget_and_every_row():
    rows = [{"input_ids": [0] * (1 + 7 * number % 40), "number": number} for number in range(500)]
    cut = list(batches(rows, 64, seed=1))
    assert all(len(batch) * max(len(row["input_ids"]) for row in batch) <= 64 for batch in cut)
    assert sorted(row["number"] for batch in cut for row in batch) == list(range(500))
    assert cut == list(batches(rows, 64, seed=1)) != list(batches(rows, 64, seed=2))


def test_the_learning_rate_rises_and_falls_to_zero():
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))])
    rates = []
    for step in range(100):
        set_learning_rate(optimizer, 1.0, step, 10, 100)
        rates.append(optimizer.param_groups[0]["lr"])
    assert rates[0] == 0.1
    assert max(rates) == rates[9] == rates[10] == 1
    assert rates[99] == pytest.approx(1 / 90)


def test_merged_lora_gives_the_same_output():
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.GELU(), torch.nn.Linear(16, 4))
    inputs = torch.randn(5, 8)
    before = model(inputs)
    attach_lora(model, rank=2, alpha=4)
    assert torch.equal(model(inputs), before)
    for layer in model.modules():
        if isinstance(layer, LoraLinear):
            torch.nn.init.normal_(layer.lora_b)
    changed = model(inputs)
    merge_lora(model)
    assert not torch.allclose(changed, before)
    assert torch.allclose(model(inputs), changed, atol=1e-5)
    assert not any("lora" in name for name, _ in model.named_parameters())


@pytest.mark.parametrize("name", TASKS)
def test_every_head_is_small_and_leaves_the_encoder_alone(name, tmp_path):
    task = TASKS[name](tmp_path, load_encoder().tokenizer)
    model = new_head(task.settings())
    save_head(model, task.settings(), tmp_path)
    assert (tmp_path / "head.safetensors").stat().st_size <= (6_000_000 if name == "mlm" else 3_000_000)
    loaded, tokenizer = load_head(tmp_path)
    encoder = load_encoder().model
    batch = tokenizer("Nothing was learned yet.", return_tensors="pt")
    with torch.inference_mode():
        same = loaded.base_model(**batch).last_hidden_state, encoder(**batch).last_hidden_state
    assert torch.allclose(*same, atol=1e-5)
    assert type(loaded).__name__ == task.architecture


def test_a_token_may_have_one_of_several_labels(tmp_path):
    task = Ner(tmp_path, load_encoder().tokenizer)
    rows = task._rows([(["in", "Karlovagrad"], [BIT["O"], BIT["B-LOC"] | BIT["B-ORG"]])])
    tokens = task.tokenizer.convert_ids_to_tokens(rows[0]["input_ids"])
    first, *others = rows[0]["allowed"][2:-1]
    assert len(tokens) == len(rows[0]["allowed"])
    assert first == BIT["B-LOC"] | BIT["B-ORG"]
    assert set(others) == {BIT["I-LOC"] | BIT["I-ORG"]}
    model = new_head(task.settings())
    torch.nn.init.zeros_(model.classifier.weight)
    loss = task.loss(model, task.collate([{"input_ids": [101, 2005], "allowed": [0, 3]}]))
    assert loss.item() == pytest.approx(-torch.tensor(2 / len(LABELS)).log().item(), abs=0.05)


def test_answers_keep_their_places_in_long_texts(tmp_path):
    task = Qa(tmp_path, load_encoder().tokenizer)
    context = "Nothing to see here. " * 90 + "The bell hangs in Oslo. " + "Nothing to see here. " * 30
    rows, _ = task._windows([("Where is the bell?", context, ("Oslo", context.index("Oslo")))])
    assert len(rows) > 2
    found = [task.tokenizer.decode(row["input_ids"][row["first"] : row["last"] + 1]) for row in rows if row["first"]]
    assert found
    assert set(found) == {"oslo"}


def test_missing_data_is_said_in_one_sentence(tmp_path):
    command = [sys.executable, "-m", "training", "nli", "--data", str(tmp_path), "--out", str(tmp_path / "out")]
    result = subprocess.run(command, cwd=Path(__file__).resolve().parents[1], capture_output=True, text=True)
    assert result.returncode == 1
    assert result.stderr.strip().splitlines()[-1].endswith("laid out as training/README.md says")
    assert "Traceback" not in result.stderr


@pytest.fixture
def pairs(tmp_path, monkeypatch):
    rows = [{"en": f"I see {n} cats.", "fr": f"Je vois {n}\u202fchats."} for n in range(60)]
    write_rows(tmp_path / "data", "tatoeba_en_fr/pairs", [*rows, {"en": "I see 1 cats.", "fr": "J'en vois 1."}])
    monkeypatch.setattr(translation, "HELD_OUT", 5)
    monkeypatch.setattr(translation, "VOCABULARY", 300)
    return tmp_path / "data"


def test_no_sentence_is_in_two_parts(pairs):
    parts = translation.split(pairs)
    assert [len(parts[name]) for name in ("train", "dev", "test")] == [50, 5, 5]
    assert len(set().union(*parts.values())) == 60
    everything = parts["train"] | parts["dev"] | parts["test"]
    assert everything["I see 1 cats."] == ["Je vois 1 chats.", "J'en vois 1."]


def test_translation_goes_on_after_a_kill_as_if_nothing_had_been(pairs, tmp_path, monkeypatch):
    whole = translation.train(pairs, tmp_path / "whole", steps=8, batch_tokens=200, device="cpu")
    calls, loss_of = [], translation.loss_of

    def killed(*arguments, **settings):
        calls.append(1)
        if len(calls) > 5:
            raise Killed
        return loss_of(*arguments, **settings)

    monkeypatch.setattr(translation, "loss_of", killed)
    with pytest.raises(Killed):
        translation.train(pairs, tmp_path / "cut", steps=8, batch_tokens=200, device="cpu")
    monkeypatch.setattr(translation, "loss_of", loss_of)
    resumed = translation.train(pairs, tmp_path / "cut", steps=8, batch_tokens=200, device="cpu")
    assert resumed["losses"] == whole["losses"]
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "cut")]
    assert weights[0] == weights[1]


def test_a_translator_is_half_the_size_and_loads_in_full_precision(pairs, tmp_path):
    translation.train(pairs, tmp_path / "out", steps=2, batch_tokens=400, device="cpu")
    model = AutoModelForSeq2SeqLM.from_pretrained(tmp_path / "out")
    assert model.dtype == torch.float32
    assert (tmp_path / "out" / "model.safetensors").stat().st_size < 2.1 * model.num_parameters()


@pytest.mark.parametrize(("lost", "code"), [(0, 0), (0.03, 1)])
def test_the_report_measures_every_head_and_fails_when_one_is_worse(lost, code, monkeypatch, capsys):
    measured = []

    def measure(name, data, quick):
        measured.append(name)
        recorded = json.loads((report.RESULTS / name / "report.json").read_text(encoding="utf-8"))["quick_scores"]
        return {score: value - (lost * max(1, value) if name == "qa" else 0) for score, value in recorded.items()}

    monkeypatch.setattr(report, "measure", measure)
    monkeypatch.setattr(sys, "argv", ["report", "--data", "anywhere", "--quick"])
    assert report.main() == code
    assert measured == [*TASKS, "translation"]
    assert "| sentiment | sst2 test accuracy | 0.89 |" in capsys.readouterr().out
