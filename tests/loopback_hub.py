"""A hub on this machine: tiny random models of the famous architectures, served as the real hub serves files."""

import hashlib
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlparse

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from course_utils.models.hub import HUB_MODELS

TEXTS = ["my name is sylvain and i work at hugging face in brooklyn.", "this is not bad at all", "paris is in france"]
SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48}


def _bert_tokenizer():
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer.train_from_iterator(TEXTS, trainers.WordPieceTrainer(vocab_size=200, special_tokens=special))
    tokenizer.post_processor = processors.TemplateProcessing(
        "[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1", [("[CLS]", 2), ("[SEP]", 3)]
    )
    named = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), special, strict=True))
    return transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=128, **named)


def _byte_tokenizer():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=300, special_tokens=special, initial_alphabet=alphabet)
    tokenizer.train_from_iterator(TEXTS, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        "<s> $A </s>", "<s> $A </s> </s> $B </s>", [("<s>", 0), ("</s>", 2)]
    )
    named = {
        "bos_token": "<s>",
        "pad_token": "<pad>",
        "eos_token": "</s>",
        "unk_token": "<unk>",
        "mask_token": "<mask>",
    }
    named |= {"cls_token": "<s>", "sep_token": "</s>"}
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, model_max_length=128, model_input_names=["input_ids", "attention_mask"], **named
    )


def _labels(*names):
    return {"id2label": dict(enumerate(names)), "label2id": {name: i for i, name in enumerate(names)}}


def _model(task, vocabulary):
    """A tiny random model of the architecture that the hub's model for `task` has."""
    size = {"vocab_size": vocabulary}
    distilbert = {"dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 48} | size
    bart = {"d_model": 32, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2} | size
    bart |= {"decoder_attention_heads": 2, "encoder_ffn_dim": 48, "decoder_ffn_dim": 48, "max_position_embeddings": 160}
    bart |= {"pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2}
    t = transformers
    made = {
        "sentiment-analysis": lambda: t.DistilBertForSequenceClassification(
            t.DistilBertConfig(**distilbert, **_labels("NEGATIVE", "POSITIVE"))
        ),
        "zero-shot-classification": lambda: t.BartForSequenceClassification(
            t.BartConfig(**bart, **_labels("contradiction", "neutral", "entailment"))
        ),
        "text-generation": lambda: t.GPT2LMHeadModel(
            t.GPT2Config(n_embd=32, n_layer=2, n_head=2, bos_token_id=2, eos_token_id=2, **size)
        ),
        "fill-mask": lambda: t.RobertaForMaskedLM(
            t.RobertaConfig(**SMALL, max_position_embeddings=160, pad_token_id=1, **size)
        ),
        "ner": lambda: t.BertForTokenClassification(
            t.BertConfig(**SMALL, **size, **_labels("O", "B-PER", "I-PER", "I-ORG", "I-LOC"))
        ),
        "feature-extraction": lambda: t.DistilBertModel(t.DistilBertConfig(**distilbert)),
        "question-answering": lambda: t.DistilBertForQuestionAnswering(t.DistilBertConfig(**distilbert)),
        "translation": lambda: t.T5ForConditionalGeneration(
            t.T5Config(
                d_model=32, d_kv=8, d_ff=48, num_layers=2, num_heads=4, decoder_start_token_id=1, pad_token_id=1,
                eos_token_id=2, **size,
                task_specific_params={
                    "summarization": {"prefix": "summarize: ", "max_length": 5},
                    "translation_en_to_de": {"prefix": "translate English to German: "},
                    "translation_en_to_fr": {"prefix": "translate English to French: "},
                },
            )
        ),
    }  # fmt: skip
    return made[task]()


def make_models(folder):
    """Write every model of the hub profile to `folder`, by repository; return the revisions."""
    torch.manual_seed(0)
    for task, model in HUB_MODELS.items():
        place = folder / model.repository
        if place.exists():  # two names of one task
            continue
        wordpiece = task in ("sentiment-analysis", "ner", "question-answering", "feature-extraction")
        tokenizer = _bert_tokenizer() if wordpiece else _byte_tokenizer()
        if wordpiece and task != "ner":  # DistilBERT has no token types
            tokenizer.model_input_names = ["input_ids", "attention_mask"]
        _model(task, len(tokenizer)).save_pretrained(place)
        tokenizer.save_pretrained(place)
    return {model.repository: model.revision for model in HUB_MODELS.values()}


@contextmanager
def loopback_hub(folder, revisions, fault=None):
    """Serve `folder`; yield the address. `fault` is None, "429" or "cut short"."""

    class Hub(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self):
            self.do_GET()

        def do_GET(self):
            parts = urlparse(self.path).path.strip("/").split("/")
            if parts == [""]:
                return self.answer(200)
            if fault == "429":
                return self.answer(429)
            is_api = parts[:2] == ["api", "models"]
            repository = "/".join(parts[2:4] if is_api else parts[:2])
            if repository not in revisions:
                return self.answer(404, **{"X-Error-Code": "RepoNotFound"})
            revision = parts[5] if is_api and len(parts) > 5 else parts[3] if len(parts) > 3 else ""
            if revision != revisions[repository]:
                return self.answer(404, **{"X-Error-Code": "RevisionNotFound"})
            files = sorted(file for file in (folder / repository).iterdir() if file.is_file())
            if is_api:
                listing = [
                    {"type": "file", "path": file.name, "size": file.stat().st_size, "oid": _oid(file)}
                    for file in files
                ]
                siblings = {"id": repository, "sha": revision, "siblings": [{"rfilename": file.name} for file in files]}
                return self.answer(200, json.dumps(listing if parts[4] == "tree" else siblings).encode())
            wanted = folder / repository / "/".join(parts[4:])
            if wanted not in files:
                return self.answer(404, **{"X-Error-Code": "EntryNotFound"})
            content = wanted.read_bytes()
            headers = {"ETag": f'"{_oid(wanted)}"', "X-Repo-Commit": revision}
            cut = fault == "cut short" and wanted.suffix == ".safetensors" and self.command == "GET"
            return self.answer(200, content, cut, **headers)

        def answer(self, status, content=b"", cut=False, **headers):
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content[: len(content) // 2] if cut else content)
            if cut:
                self.close_connection = True

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def _oid(file):
    return hashlib.sha1(file.read_bytes()).hexdigest()
