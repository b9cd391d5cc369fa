"""Lesson 06's engine: both losses equal those of transformers, hiding equals its collator, training trains."""

import math
import random
import re
from collections import Counter
from functools import partial
from itertools import islice, pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import BertConfig, BertForMaskedLM, BertModel, DataCollatorForLanguageModeling

from benchmarks.fine_tuning import best_rates, measure
from course_utils import figures
from course_utils.experiments.characters import Characters, counted_loss, write_on
from course_utils.experiments.fine_tuning import SentenceClassifier, fine_tune, shuffled_batches
from course_utils.experiments.four_ways import (
    RATES,
    TASKS,
    new_classifier,
    recorded_rates,
    recorded_ways,
    task_texts,
    text_inputs,
    tuned,
)
from course_utils.experiments.intervals import wilson_interval
from course_utils.experiments.losses import IGNORED, causal_lm_loss, cross_entropy, hide_tokens
from course_utils.experiments.small_reviews import small_reviews, with_shuffled
from course_utils.experiments.tiny_training import (
    CONTEXT,
    cut_windows,
    mean_loss,
    new_tiny_model,
    random_windows,
    train_tiny_model,
)
from course_utils.models import Encoder, load_causal_lm, load_encoder, load_head
from course_utils.models.lora import LoraLinear, attach_lora
from tests.examples import examples
from tests.tiny_models import VOCABULARY, tiny_model

SENTENCE = "She put the letter into her pocket and closed the door."


@pytest.fixture(scope="module")
def tiny_bert():
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    config = BertConfig(vocab_size=VOCABULARY, max_position_embeddings=64, initializer_range=0.5, **sizes)
    return BertForMaskedLM(config).eval().requires_grad_(False)


@st.composite
def labelled(draw, least_asked_from):
    """Token ids `(batch, seq)`, and labels of which some are −100, but not all from place `least_asked_from` on."""
    batch, length = draw(st.integers(1, 3)), draw(st.integers(2, 12))
    chance = torch.Generator().manual_seed(draw(st.integers(0, 10**6)))
    ids = torch.randint(VOCABULARY, (batch, length), generator=chance)
    labels = torch.randint(VOCABULARY, (batch, length), generator=chance)
    labels[torch.rand(labels.shape, generator=chance) < draw(st.floats(0, 1))] = IGNORED
    labels[draw(st.integers(0, batch - 1)), draw(st.integers(least_asked_from, length - 1))] = 5
    return ids, labels


@examples(60)
@given(labelled(least_asked_from=1), st.sampled_from(["llama", "gpt2"]))
def test_causal_loss_is_that_of_transformers(case, kind):
    ids, labels = case
    output = tiny_model(kind)(ids, labels=labels)
    torch.testing.assert_close(causal_lm_loss(output.logits, labels), output.loss)


@examples(60)
@given(labelled(least_asked_from=0))
def test_masked_loss_is_that_of_transformers(tiny_bert, case):
    ids, labels = case
    output = tiny_bert(ids, labels=labels)
    torch.testing.assert_close(cross_entropy(output.logits, labels), output.loss)


def test_the_two_losses_ask_for_different_places(tiny_bert):
    ids = torch.arange(8)[None]
    logits = tiny_bert(ids).logits
    assert not torch.allclose(causal_lm_loss(logits, ids), cross_entropy(logits, ids), atol=1e-3)


def test_real_models_agree():
    smollm = load_causal_lm()
    ids = smollm.encode(SENTENCE)
    with torch.inference_mode():
        output = smollm.model(ids, labels=ids)
    torch.testing.assert_close(causal_lm_loss(output.logits, ids), output.loss, atol=1e-4, rtol=0)
    model, tokenizer = load_head("mlm")
    ids = tokenizer(SENTENCE, return_tensors="pt").input_ids
    special = ids < 1000
    hidden = hide_tokens(ids, special, tokenizer.mask_token_id, len(tokenizer), 0.5, torch.Generator().manual_seed(1))
    with torch.inference_mode():
        output = model(hidden.ids, labels=hidden.labels)
    torch.testing.assert_close(cross_entropy(output.logits, hidden.labels), output.loss, atol=1e-4, rtol=0)


def test_gradients_are_those_of_torch():
    logits = torch.randn(2, 5, 7, generator=torch.Generator().manual_seed(0)).requires_grad_()
    labels = torch.tensor([[1, IGNORED, 3, 4, 6], [IGNORED, IGNORED, 0, 2, 2]])
    (ours,) = torch.autograd.grad(cross_entropy(logits, labels), logits)
    theirs = torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten())
    torch.testing.assert_close(ours, torch.autograd.grad(theirs, logits)[0])
    assert not ours[0, 1].any()


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (torch.tensor([1]), r"labels must have shape \(2,\) like the logits, got \(1,\)"),
        (torch.tensor([IGNORED, IGNORED]), "labels must hold at least one token that is not -100, got none"),
        (torch.tensor([1, 3]), r"labels must be -100 or in 0 … 2, got 3"),
        (torch.tensor([1, -1]), r"labels must be -100 or in 0 … 2, got -1"),
    ],
)
def test_wrong_labels_are_refused(labels, message):
    with pytest.raises(ValueError, match=message):
        cross_entropy(torch.zeros(2, 3), labels)


@examples(40)
@given(st.integers(0, 10**6), st.sampled_from([0.05, 0.15, 0.5, 1.0]), st.integers(1, 40))
def test_hiding_is_that_of_the_collator(seed, share, length):
    tokenizer = load_encoder().tokenizer
    ids = torch.randint(1000, 20_000, (2, length), generator=torch.Generator().manual_seed(seed))
    ids[:, 0] = tokenizer.cls_token_id
    special = ids == tokenizer.cls_token_id
    collator = DataCollatorForLanguageModeling(tokenizer, mlm_probability=share, seed=seed)
    rows = [{"input_ids": row, "special_tokens_mask": mark.long()} for row, mark in zip(ids, special, strict=True)]
    theirs = collator([{name: value.clone() for name, value in row.items()} for row in rows])
    chance = torch.Generator().manual_seed(seed)
    before = ids.clone()
    ours = hide_tokens(ids, special, tokenizer.mask_token_id, len(tokenizer), share, chance)
    assert torch.equal(ours.ids, theirs["input_ids"])
    assert torch.equal(ours.labels, theirs["labels"])
    assert torch.equal(ids, before)


def test_hiding_keeps_its_shares_and_leaves_the_rest_alone():
    ids = torch.arange(100_000).view(10, -1) + 5
    special = ids % 10 == 0
    shown, labels = hide_tokens(ids, special, 1, 200_000, generator=torch.Generator().manual_seed(3))
    chosen = labels != IGNORED
    assert not (chosen & special).any()
    assert torch.equal(labels[chosen], ids[chosen])
    assert torch.equal(shown[~chosen], ids[~chosen])
    # Five standard deviations of a binomial: 90,000 tokens that may be chosen, about 13,500 chosen ones.
    assert chosen.sum().item() / 90_000 == pytest.approx(0.15, abs=0.006)
    shares = [(part & chosen).sum().item() / chosen.sum().item() for part in (shown == 1, shown == ids)]
    assert shares == pytest.approx([0.8, 0.1], abs=0.0175)


@pytest.mark.parametrize("share", [0, -0.1, 1.5, "some"])
def test_a_wrong_share_is_refused(share):
    with pytest.raises(ValueError, match=r"share must be in \(0, 1\], got"):
        hide_tokens(torch.ones(1, 3).long(), torch.zeros(1, 3).bool(), 1, 9, share)


def test_special_must_fit():
    with pytest.raises(ValueError, match=r"special must have shape \(1, 3\) like ids, got \(1, 2\)"):
        hide_tokens(torch.ones(1, 3).long(), torch.zeros(1, 2).bool(), 1, 9)


@given(st.text(min_size=1, max_size=60))
def test_characters_come_back(text):
    vocabulary = Characters(text)
    assert vocabulary.decode(vocabulary.encode(text)) == text
    assert len(vocabulary) == len(set(text)) == vocabulary.encode(text).unique().numel()


def test_an_unknown_character_is_refused():
    with pytest.raises(ValueError, match="text must have only characters of the vocabulary, got 'x'"):
        Characters("abc").encode("abx")


@examples(30)
@given(st.lists(st.integers(0, 3), min_size=12, max_size=60), st.integers(0, 2))
def test_counted_loss_by_another_way(tokens, context):
    """Counted with strings, and without a table: a look through the whole text for every token."""
    text, windows = "".join(map(str, tokens)), torch.tensor(tokens[:12]).view(2, 6)
    total = []
    for window in windows.tolist():
        for place in range(max(1, context), 6):
            before, after = "".join(map(str, window[place - context : place])), str(window[place])
            followers = [text[at + context] for at in range(len(text) - context) if text[at : at + context] == before]
            total.append(-math.log((followers.count(after) + 1) / (len(followers) + 4)))
    assert counted_loss(torch.tensor(tokens), windows, 4, context) == pytest.approx(sum(total) / len(total))


@pytest.mark.parametrize("context", [-1, 1.5, 6])
def test_counted_loss_refuses_a_wrong_context(context):
    with pytest.raises(ValueError, match="context must be"):
        counted_loss(torch.arange(9), torch.zeros(2, 6).long(), 9, context)


@examples(30)
@given(st.integers(3, 80), st.integers(1, 3), st.integers(0, 99))
def test_windows_are_pieces_of_the_text(length, size, seed):
    ids = torch.arange(length)
    for windows in (next(random_windows(ids, 4, seed, size)), cut_windows(ids, size)):
        assert windows.shape[1] == size
        assert torch.equal(windows, windows[:, :1] + torch.arange(size))
        assert windows.max() < length
    assert torch.equal(cut_windows(ids, size).flatten(), ids[: length // size * size])


def test_every_place_of_the_text_is_drawn():
    batches = islice(random_windows(torch.arange(12), 8, 0, 3), 40)
    assert {start.item() for batch in batches for start in batch[:, 0]} == set(range(10))


def test_a_text_shorter_than_a_window_is_refused():
    for call in (lambda: cut_windows(torch.arange(5)), lambda: next(random_windows(torch.arange(5), 1, 0))):
        with pytest.raises(ValueError, match=f"ids must have at least {CONTEXT} tokens, got 5"):
            call()


@pytest.mark.parametrize("vocabulary", [10, 50, 300])
def test_training_begins_at_the_log_of_the_vocabulary(vocabulary):
    windows = torch.randint(vocabulary, (8, 32), generator=torch.Generator().manual_seed(0))
    assert mean_loss(new_tiny_model(vocabulary), windows) == pytest.approx(math.log(vocabulary), abs=0.15)


@pytest.fixture(scope="module")
def counting():
    """A text without end that says 0 1 2 3 4 5 again and again, and a curve of learning it."""
    ids = torch.arange(6).repeat(60)
    model = new_tiny_model(6, width=32)
    curve = train_tiny_model(model, random_windows(ids, 8, 0, 16), cut_windows(ids, 15), steps=60, measure_every=20)
    return ids, model, curve


def test_a_tiny_model_learns_what_can_be_known(counting):
    ids, model, curve = counting
    assert list(curve.held_out) == [0, 20, 40, 60]
    assert len(curve.train) == 60
    assert curve.held_out[60] < 0.1 < 1.5 < curve.held_out[0]
    assert mean_loss(model, cut_windows(ids, 15)) == pytest.approx(curve.held_out[60], abs=1e-6)
    written = write_on(model, Characters("012345"), "2345", characters=80, seed=0)
    successors = [(int(one) + 1) % 6 == int(next_one) for one, next_one in pairwise(written)]
    assert sum(successors) > 65  # drawn, so now and then another one


def test_a_text_without_rule_cannot_be_learned_beyond_its_counts():
    ids = torch.randint(4, (400,), generator=torch.Generator().manual_seed(0))
    held_out = torch.randint(4, (20, 16), generator=torch.Generator().manual_seed(1))
    curve = train_tiny_model(new_tiny_model(4, 16), random_windows(ids, 8, 0, 16), held_out, 40)
    assert min(curve.held_out.values()) > math.log(4) - 0.05


def test_training_repeats_and_is_the_plain_loop(counting):
    ids, _, curve = counting
    model = new_tiny_model(6, width=32)
    batches = random_windows(ids, 8, 0, 16)
    optimizer = torch.optim.AdamW(model.parameters())
    losses = []
    for step in range(10):
        for group in optimizer.param_groups:
            group["lr"] = 5e-3 * (step + 1) / 20
        windows = next(batches)
        loss = model(windows, labels=windows).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses == pytest.approx(curve.train[:10], abs=1e-3)


@pytest.mark.parametrize("steps", [0, 2.5, -1])
def test_wrong_numbers_of_steps_are_refused(steps):
    with pytest.raises(ValueError, match="steps must be a whole number of at least 1"):
        train_tiny_model(new_tiny_model(4, 16), iter([]), torch.zeros(1, 9).long(), steps)
    with pytest.raises(ValueError, match="steps must be a whole number of at least 1"):
        fine_tune(torch.nn.Linear(1, 2), {"input": torch.ones(1, 1)}, torch.tensor([0]), steps, 0.1)


def test_written_text_reads_no_more_than_the_context(counting):
    _, model, _ = counting
    letters = Characters("012345")
    start = "012345" * 20
    assert write_on(model, letters, start, 5, seed=3)[-5:] == write_on(model, letters, start[-CONTEXT:], 5, seed=3)[-5:]
    with pytest.raises(ValueError, match="start must have at least one character, got none"):
        write_on(model, letters, "", 5, seed=0)


@given(st.integers(1, 2000), st.data())
def test_the_interval_solves_its_equation(total, data):
    """Each end is a true share from which what was counted is just 1.96 standard deviations away."""
    right = data.draw(st.integers(0, total))
    low, high = wilson_interval(right, total)
    assert 0 <= low <= right / total <= high <= 1
    for end in (low, high):
        if 0 < end < 1:
            away = abs(right / total - end) / math.sqrt(end * (1 - end) / total)
            assert away == pytest.approx(1.959964, rel=1e-6) or right in (0, total)


def test_the_interval_holds_the_truth_as_often_as_it_says():
    chance, truth = random.Random(0), 0.7
    counts = Counter(sum(chance.random() < truth for _ in range(120)) for _ in range(2000))
    holds = sum(
        many
        for right, many in counts.items()
        if wilson_interval(right, 120)[0] <= truth <= wilson_interval(right, 120)[1]
    )
    assert 0.93 < holds / 2000 < 0.97


@pytest.mark.parametrize(("right", "total"), [(5, 4), (-1, 4), (1.5, 4), (0, 0), (True, 4)])
def test_the_interval_refuses_impossible_counts(right, total):
    with pytest.raises(ValueError, match=r"(right|total) must be a whole number"):
        wilson_interval(right, total)


def test_the_reviews_are_balanced_and_no_test_review_was_trained_on():
    train, test = small_reviews("train"), small_reviews("test")
    for part in (train, test):
        assert set(Counter(zip(part.topics.tolist(), part.feelings.tolist(), strict=True)).values()) == {20}
        assert len(set(part.texts)) == 120
    assert not {text.lower() for text in train.texts} & {text.lower() for text in test.texts}
    pattern = r"(was|were) (a |worth |better |worse )?\w+( \w+){0,2}\.$"
    assert sum(bool(re.search(pattern, text)) for text in train.texts) > 60
    openings = ("I thought the", "Honestly, the")
    assert not [text for text in test.texts if text.startswith(openings)]
    with pytest.raises(ValueError, match='part must be "train" or "test", got \'valid\''):
        small_reviews("valid")


@given(st.lists(st.text("abc ", min_size=3, max_size=30).filter(lambda t: len(set(t.split())) > 1), min_size=1))
def test_shuffling_keeps_the_words_and_changes_their_order(texts):
    shown, labels = with_shuffled(texts)
    assert labels.tolist() == [1, 0] * len(texts)
    for number, text in enumerate(texts):
        written, mixed = (shown[2 * number + offset].removesuffix(".").split() for offset in (0, 1))
        assert written == text.split() != mixed
        assert Counter(written) == Counter(mixed)


def test_one_word_cannot_be_shuffled():
    with pytest.raises(ValueError, match=r"texts must each have at least two different words, got 'No no\.'"):
        with_shuffled(["A fine soup.", "No no."])


@examples(30)
@given(st.integers(1, 30), st.integers(1, 12), st.integers(0, 99))
def test_batches_show_everything_equally_often(examples, batch_size, seed):
    rounds = batch_size * 2
    seen = torch.cat(list(islice(shuffled_batches(examples, batch_size, seed), examples * 2)))
    assert Counter(seen.tolist()) == dict.fromkeys(range(examples), rounds)


@pytest.fixture(scope="module")
def small_encoder():
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    return BertModel(BertConfig(vocab_size=VOCABULARY, max_position_embeddings=64, **sizes)).requires_grad_(False)


@pytest.fixture
def rule():
    """Texts of which those that begin with token 7 are of class 1."""
    chance = torch.Generator().manual_seed(0)
    ids = torch.randint(10, VOCABULARY, (64, 9), generator=chance)
    labels = torch.arange(64) % 2
    ids[:, 0] = torch.where(labels == 1, 7, 8)
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}, labels


def test_vectors_are_those_of_the_encoder():
    encoder = load_encoder()
    texts = ["A cat.", "The train ride was a real pleasure.", "No."]
    inputs = encoder.tokenizer(texts, padding="max_length", max_length=24, return_tensors="pt")
    with torch.no_grad():
        vectors = SentenceClassifier(encoder.model, 2).vectors(**inputs)
    torch.testing.assert_close(
        torch.nn.functional.normalize(vectors, dim=-1), encoder.embed(texts).clone(), atol=1e-5, rtol=0
    )


def test_lora_learns_beside_an_encoder_that_stays(small_encoder, rule):
    inputs, labels = rule
    before = {name: value.clone() for name, value in small_encoder.state_dict().items()}
    model = SentenceClassifier(small_encoder, 2)
    attach_lora(model.encoder, rank=4, alpha=16)
    frozen_vectors = model.vectors(**inputs).detach()
    losses = fine_tune(model, inputs, labels, steps=60, learning_rate=0.03)
    assert losses[-1] < 0.1 < losses[0]
    with torch.no_grad():
        assert torch.equal(model(**inputs).argmax(-1), labels)
    assert all(torch.equal(value, before[name]) for name, value in small_encoder.state_dict().items())
    for layer in model.modules():
        if isinstance(layer, LoraLinear):
            layer.scale = 0
    torch.testing.assert_close(model.vectors(**inputs).detach(), frozen_vectors)


def test_without_pretraining_everything_is_new_and_trainable(small_encoder):
    fresh = SentenceClassifier(small_encoder, 3, pretrained=False, seed=1)
    kept = SentenceClassifier(small_encoder, 3, seed=1)
    name = "embeddings.word_embeddings.weight"
    assert not torch.equal(fresh.encoder.state_dict()[name], small_encoder.state_dict()[name])
    assert torch.equal(kept.encoder.state_dict()[name], small_encoder.state_dict()[name])
    assert torch.equal(fresh.head.weight, kept.head.weight)
    assert all(parameter.requires_grad for parameter in fresh.parameters())
    assert fresh.encoder.pooler is None
    shapes = [{key: value.shape for key, value in model.state_dict().items()} for model in (fresh, kept)]
    assert shapes[0] == shapes[1]


def test_fine_tuning_repeats_with_its_seed(small_encoder, rule):
    runs = []
    for seed in (0, 0, 1):
        model = SentenceClassifier(small_encoder, 2, pretrained=False)
        runs.append(fine_tune(model, *rule, steps=6, learning_rate=1e-3, seed=seed))
    assert runs[0] == pytest.approx(runs[1], abs=1e-5)
    assert runs[0] != pytest.approx(runs[2], abs=1e-5)


@pytest.fixture(scope="module")
def small_words():
    """An untrained encoder that knows MiniLM's tokens."""
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    tokenizer = load_encoder().tokenizer
    model = BertModel(BertConfig(vocab_size=len(tokenizer), max_position_embeddings=64, **sizes)).eval()
    return Encoder.wrap(model, tokenizer)


def test_each_way_trains_what_it_says(small_words):
    inputs, classes = text_inputs(small_words, ["Good.", "Bad.", "So bad.", "So good."]), torch.tensor([1, 0, 0, 1])
    for way, rates in RATES.items():
        before = new_classifier(way, small_words, seed=3).state_dict()
        after = tuned(way, small_words, inputs, classes, rates[-1], seed=3, steps=2).state_dict()
        changed = {name for name, value in after.items() if not torch.equal(value, before[name])}
        assert {"head.weight", "head.bias"} <= changed
        corrections = {name for name in after if "lora_" in name}
        if way == "LoRA":
            assert len(corrections) == 12
            assert changed - {"head.weight", "head.bias"} <= corrections
        elif way == "head only":
            assert changed == {"head.weight", "head.bias"}
        else:
            assert "encoder.embeddings.word_embeddings.weight" in changed
            assert not corrections


def test_a_way_repeats_and_starts_from_the_encoder_unless_it_says_not(small_words):
    table = "encoder.embeddings.word_embeddings.weight"
    for way in RATES:
        one, again, other = (new_classifier(way, small_words, seed).state_dict() for seed in (1, 1, 2))
        assert all(torch.equal(value, again[name]) for name, value in one.items())
        assert any(not torch.equal(value, other[name]) for name, value in one.items())
        own = torch.equal(one[table], small_words.model.get_input_embeddings().weight)
        assert own == (way != "no pre-training")


@pytest.mark.parametrize(("task", "texts"), [("order", 240), ("feeling", 120)])
def test_the_benchmark_measures_each_test_text_with_every_seed(small_words, task, texts):
    best, second = best_rates(small_words, task, "head only")
    assert {best, second} < set(RATES["head only"])
    run = measure(small_words, task, "head only", best, seeds=2)
    assert run["rate"] == best
    assert [len(row) for row in run["right"]] == [texts, texts]
    assert set("".join(run["right"])) == {"0", "1"}
    assert len(task_texts(task, "train")[0]) == texts


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("task", TASKS)
def test_what_is_recorded_is_of_every_review(task, place):
    found = recorded_ways(task, place)
    assert list(found) == list(recorded_rates(task, place)) == list(RATES)
    assert all(rate in RATES[way] for way, rate in recorded_rates(task, place).items())
    for shares in found.values():
        assert shares.shape == (120,)
        assert 0 <= shares.min() <= shares.max() <= 1


def test_other_tasks_and_ways_are_refused(small_words):
    for call in (lambda: task_texts("topic", "test"), lambda: recorded_ways("topic")):
        with pytest.raises(ValueError, match="task must be one of order, feeling, got 'topic'"):
            call()
    with pytest.raises(ValueError, match="way must be one of head only, LoRA, all weights, no pre-training, got 'all'"):
        new_classifier("all", small_words, seed=0)


def test_nothing_to_train_is_refused():
    with pytest.raises(ValueError, match="model must have parameters that ask for gradients, got none"):
        fine_tune(torch.nn.Linear(1, 2).requires_grad_(False), {"input": torch.ones(1, 1)}, torch.tensor([0]), 1, 0.1)


def test_loss_curves_say_what_they_show():
    figure = figures.loss_curves([4.0, 3.0, 2.0], {0: 4.0, 2: 3.25, 3: 3.5}, {"guessing": 3.91, "pairs": 2.4}, "Tiny")
    assert figure.alt == (
        "Loss over 3 steps of training. On the training text from 4.00 to 2.00; on held-out text from 4.00 to 3.50, "
        "lowest 3.25 after step 2. Dotted lines: guessing 3.91, pairs 2.40."
    )
    lines = figure.axes[0].get_lines()
    assert [list(line.get_ydata()) for line in lines] == [[4, 3, 2], [4, 3.25, 3.5], [3.91, 3.91], [2.4, 2.4]]
    assert len(figures.png_bytes(figure)) < 40_000
    with pytest.raises(ValueError, match="train and held_out must hold at least one loss, got 0 and 1"):
        figures.loss_curves([], {0: 1.0})


def test_an_interval_that_reaches_guessing_looks_different():
    figure = figures.accuracy_intervals({"good": (0.8, 0.7, 0.9), "no better": (0.55, 0.45, 0.65)}, chance=0.5)
    assert "good: 80 % (70 to 90); no better: 55 % (45 to 65)." in figure.alt
    faces = [line.get_markerfacecolor() for line in figure.axes[0].get_lines() if line.get_marker() == "o"]
    assert faces == [figures.PALETTE["blue"], "white"]
    for rows, message in (({}, "at least one"), ({"a": (0.5, 0.6, 0.7)}, "inside its interval, got 0.5, 0.6 … 0.7")):
        with pytest.raises(ValueError, match=message):
            figures.accuracy_intervals(rows, chance=0.5)


def test_a_new_model_leaves_the_learners_random_numbers_alone(small_encoder):
    for make in (partial(new_tiny_model, 20), partial(SentenceClassifier, small_encoder, 3)):
        torch.manual_seed(4)
        wanted = torch.rand(3)
        torch.manual_seed(4)
        first, second = make(seed=1).state_dict(), make(seed=2).state_dict()
        assert torch.equal(torch.rand(3), wanted)
        assert any(not torch.equal(value, second[name]) for name, value in first.items())
