"""Translation from English to French: a small encoder–decoder trained from scratch on short everyday sentences.

`python -m training.translation --data DIR --out DIR`. It shares the loop's batches and checkpoints with the heads, but
has a model and a tokenizer of its own.
"""

import argparse
import io
import json
import math
import random
import time
import unicodedata
from pathlib import Path

import tokenizers
import torch
from tokenizers import decoders, models, pre_tokenizers, processors, trainers
from tqdm import tqdm
from transformers import BartConfig, BartForConditionalGeneration, GenerationConfig, PreTrainedTokenizerFast

from course_utils.files import full_path, write_whole
from training.data import read_rows
from training.loop import batches, fast_bf16
from training.loss_figure import loss_figure

VOCABULARY = 4000
HELD_OUT = 1000  # English sentences for dev, and as many for test
QUICK = 200  # of them for a quick look
SPECIAL = ["<pad>", "<eos>", "<start>", "<unk>"]
LONGEST = 64


def split(data: Path, seed: int = 0) -> dict[str, dict[str, list[str]]]:
    """Read the pairs; return for train, dev and test every English sentence with all its French translations.

    A sentence is in one part only, so that no test sentence was ever seen with another translation.
    """
    translations: dict[str, list[str]] = {}
    for row in read_rows(data, "tatoeba_en_fr/pairs"):
        french = plain_spaces(row["fr"])
        translations.setdefault(plain_spaces(row["en"]), []).append(french)
    english = sorted(translations)
    random.Random(seed).shuffle(english)
    parts = {"test": english[:HELD_OUT], "dev": english[HELD_OUT : 2 * HELD_OUT], "train": english[2 * HELD_OUT :]}
    return {part: {source: translations[source] for source in sources} for part, sources in parts.items()}


def plain_spaces(text: str) -> str:
    r"""Write French's narrow and no-break spaces as spaces, and letters with accents as one character.

    >>> plain_spaces("Qui\u202f?")
    'Qui ?'
    """
    return " ".join(unicodedata.normalize("NFC", text).split())


def train_tokenizer(texts: list[str]) -> PreTrainedTokenizerFast:
    """Learn one vocabulary of byte pairs for both languages."""
    tokenizer = tokenizers.Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=VOCABULARY, special_tokens=SPECIAL, initial_alphabet=alphabet)
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(single="$A <eos>", special_tokens=[("<eos>", 1)])
    named = {"pad_token": "<pad>", "eos_token": "<eos>", "bos_token": "<start>", "unk_token": "<unk>"}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=LONGEST, **named)


def new_model() -> BartForConditionalGeneration:
    """Build the model: 3 + 3 layers of width 192, about 3.9 million parameters."""
    special = {"pad_token_id": 0, "eos_token_id": 1, "bos_token_id": 2, "decoder_start_token_id": 2}
    config = BartConfig(
        vocab_size=VOCABULARY, d_model=192, encoder_layers=3, decoder_layers=3, encoder_attention_heads=4,
        decoder_attention_heads=4, encoder_ffn_dim=768, decoder_ffn_dim=768, max_position_embeddings=LONGEST,
        dropout=0.15, activation_function="gelu", scale_embedding=True, forced_eos_token_id=None,
        task_specific_params={"translation_en_to_fr": {}}, **special,
    )  # fmt: skip
    model = BartForConditionalGeneration(config)
    model.generation_config = GenerationConfig(max_new_tokens=LONGEST - 2, **special)
    return model


def collate(rows: list[dict]) -> dict[str, torch.Tensor]:
    """Pad sources with 0 and targets with −100, which the loss leaves out."""

    def stack(key: str, fill: int) -> torch.Tensor:
        longest = max(len(row[key]) for row in rows)
        return torch.tensor([row[key] + [fill] * (longest - len(row[key])) for row in rows])

    sources = stack("input_ids", 0)
    return {"input_ids": sources, "attention_mask": (sources != 0).long(), "labels": stack("labels", -100)}


def loss_of(model: BartForConditionalGeneration, batch: dict[str, torch.Tensor], smoothing: float) -> torch.Tensor:
    """Cross-entropy of the next target token, a little of it spread over all tokens against overconfidence."""
    logits = model(**batch).logits.float()
    return torch.nn.functional.cross_entropy(
        logits.flatten(0, 1), batch["labels"].flatten(), ignore_index=-100, label_smoothing=smoothing
    )


def train(data: Path, out: Path, steps: int, batch_tokens: int, device: str, seed: int = 0) -> dict:
    """Train, going on from a checkpoint in `out` if there is one; return what happened."""
    torch.manual_seed(seed)
    parts = split(data)
    pairs = [(english, french) for english, all_french in parts["train"].items() for french in all_french]
    tokenizer = train_tokenizer([text for pair in pairs for text in pair])
    sources, targets = (tokenizer([pair[side] for pair in pairs]).input_ids for side in (0, 1))
    rows = [{"input_ids": source, "labels": target} for source, target in zip(sources, targets, strict=True)]
    model = new_model().to(device).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.98), weight_decay=0.01)
    state = {"step": 0, "epoch": 0, "losses": [], "seconds": 0.0}
    out.mkdir(parents=True, exist_ok=True)
    tokenizer.save_pretrained(out)
    checkpoint = out / "checkpoint.pt"
    if checkpoint.is_file():
        saved = torch.load(checkpoint, map_location="cpu", weights_only=True)
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        torch.set_rng_state(saved["chance"])
        state = saved["state"]
    precision = torch.autocast(device, dtype=torch.bfloat16, enabled=fast_bf16(device))
    started = time.monotonic() - state["seconds"]
    bar = tqdm(initial=state["step"], total=steps, unit="step", mininterval=20)
    while state["step"] < steps:
        for batch_rows in batches(rows, batch_tokens, seed + state["epoch"]):
            warmup = 400
            share = min((state["step"] + 1) / warmup, 0.5 * (1 + math.cos(math.pi * state["step"] / steps)))
            for group in optimizer.param_groups:
                group["lr"] = 1e-3 * share
            batch = {key: value.to(device) for key, value in collate(batch_rows).items()}
            with precision:
                loss = loss_of(model, batch, smoothing=0.1)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            state["step"] += 1
            state["losses"].append(loss.item())
            bar.update()
            bar.set_postfix(loss=f"{sum(state['losses'][-200:]) / len(state['losses'][-200:]):.3f}", refresh=False)
            if state["step"] >= steps:
                break
        state["epoch"] += 1
        state["seconds"] = time.monotonic() - started
        saved = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "state": state}
        stream = io.BytesIO()
        torch.save(saved | {"chance": torch.get_rng_state()}, stream)
        write_whole(checkpoint, stream.getvalue())
    save(model, out)
    return state | {"rows": len(rows)}


def save(model: BartForConditionalGeneration, out: Path) -> None:
    """Write the weights as fp16, and say that they are to be loaded as fp32: half the size, all the precision."""
    model.eval().requires_grad_(False).to(torch.float16).save_pretrained(out)
    config = json.loads((out / "config.json").read_text(encoding="utf-8"))
    (out / "config.json").write_text(json.dumps(config | {"dtype": "float32"}, indent=2) + "\n", encoding="utf-8")


@torch.inference_mode()
def evaluate(data: Path, out: Path, part: str = "test", most: int | None = None) -> dict[str, float]:
    """BLEU and exact match of greedy translations of sentences that were never seen; any translation counts."""
    import sacrebleu  # only measuring needs it

    tokenizer = PreTrainedTokenizerFast.from_pretrained(out)
    model = BartForConditionalGeneration.from_pretrained(out, dtype=torch.float32).eval()
    pairs = list(split(data)[part].items())[:most]
    translations = []
    for start in range(0, len(pairs), 50):
        batch = tokenizer([english for english, _ in pairs[start : start + 50]], return_tensors="pt", padding=True)
        ids = model.generate(batch.input_ids, attention_mask=batch.attention_mask, do_sample=False)
        translations += [text.strip() for text in tokenizer.batch_decode(ids, skip_special_tokens=True)]
    most_references = max(len(french) for _, french in pairs)
    references = [[french[i] if i < len(french) else None for _, french in pairs] for i in range(most_references)]
    exact = sum(text in french for text, (_, french) in zip(translations, pairs, strict=True)) / len(pairs)
    return {f"{part} BLEU": sacrebleu.corpus_bleu(translations, references).score, f"{part} exact match": exact}


def measure(data: Path, folder: Path, quick: bool) -> dict[str, float]:
    """Return the scores on dev and test; `quick`: on a part of test."""
    return evaluate(data, folder, most=QUICK) if quick else evaluate(data, folder, "dev") | evaluate(data, folder)


def main() -> None:
    """Train and measure."""
    parser = argparse.ArgumentParser(prog="python -m training.translation", description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=full_path, required=True, help="the folder of the data sets")
    parser.add_argument(
        "--out", type=full_path, required=True, help="where the model goes; a killed run goes on from there"
    )
    parser.add_argument("--steps", type=int, default=12_000)
    parser.add_argument("--batch-tokens", type=int, default=1024, help="source tokens in a step, padding included")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    wanted = parser.parse_args()
    state = train(wanted.data, wanted.out, wanted.steps, wanted.batch_tokens, wanted.device)
    about = {name: state[name] for name in ("step", "seconds", "epoch", "rows")}
    scores, quick = (measure(wanted.data, wanted.out, quick) for quick in (False, True))
    report = {"scores": scores, "quick_scores": quick, "target": {}, **about}
    (wanted.out / "report.json").write_text(json.dumps(report, indent=1) + "\n")
    loss_figure("Translation", state["losses"]).savefig(wanted.out / "loss.png", dpi=80)
    print(report)


if __name__ == "__main__":
    main()
