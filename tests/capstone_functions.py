"""Three right ways to write the capstone's functions, and the pieces that a learner may get wrong, one at a time."""

import ast
import re
from functools import cache

import nbformat
import torch
from transformers import DynamicCache

from course_utils.engine.generate import generate, stream
from course_utils.engine.settings import GenerationSettings
from course_utils.engine.stopping import TextStream
from course_utils.machine import ROOT

LESSON = ROOT / "notebooks/15_your_own_generate.ipynb"
GIVEN = {"DEFAULTS", "my_tokens", "my_generate"}  # what the lesson itself writes


def by_the_course(model, ids, tokenizer, **settings):
    """The first right way: the course's own engine."""
    new = generate(model, ids, tokenizer, **({"eos_ids": [], "early_stopping": "never"} | settings))[0].ids
    return torch.cat([ids, torch.tensor([new])], dim=1)


def stream_by_the_course(model, ids, tokenizer, **settings):
    for token in stream(model, ids, tokenizer, **({"eos_ids": []} | settings)):
        yield token.text


class Learner:
    """The second right way: a learner's own loop. A test replaces one method by a wrong one."""

    def read(self, model, ids, state):
        cache = state.setdefault("cache", DynamicCache(config=model.config))
        return model(ids[:, cache.get_seq_length() :], past_key_values=cache).logits[0, -1]

    def temperature(self, logits, setting):
        return logits / setting

    def top_k(self, logits, setting):
        return torch.where(logits < logits.sort().values[-min(setting, len(logits))], -torch.inf, logits)

    def top_p(self, logits, setting):
        ranked, order = logits.softmax(-1).sort(descending=True)
        goes = ranked.cumsum(-1) - ranked >= setting
        return logits.index_fill(0, order[goes], -torch.inf)

    def min_p(self, logits, setting):
        chances = logits.softmax(-1)
        return torch.where(chances < setting * chances.max(), -torch.inf, logits)

    def ordered(self, filters):
        return filters

    def presence_penalty(self, logits, ids, setting):
        logits = logits.clone()
        logits[ids.unique()] -= setting
        return logits

    def frequency_penalty(self, logits, ids, setting):
        logits = logits.clone()
        for token in ids.tolist():
            logits[token] -= setting
        return logits

    def repetition_penalty(self, logits, ids, setting):
        logits = logits.clone()
        for token in set(ids.tolist()):
            logits[token] = logits[token] / setting if logits[token] > 0 else logits[token] * setting
        return logits

    def counts_prompt(self, name):
        return name == "repetition_penalty"

    def is_too_short(self, new, start, chosen):
        return len(new) < chosen.min_new_tokens

    def is_end(self, new, ids, chosen, tokenizer):
        text = tokenizer.decode(new, skip_special_tokens=True)
        return new[-1] in chosen.eos_ids or any(stop in text for stop in chosen.stop_strings)

    def generator(self, chosen, before):
        return before or torch.Generator().manual_seed(chosen.seed or 0)

    def choose(self, logits, chosen, generator):
        if not chosen.do_sample:
            return int(logits.argmax())
        for name, setting in self.ordered(chosen.filters):
            logits = getattr(self, name)(logits, setting)
        return int(torch.multinomial(logits.softmax(-1), 1, generator=generator))

    def changed(self, logits, ids, start, chosen):
        for name, setting in chosen.penalties:
            counted = ids if self.counts_prompt(name) else ids[start:]
            logits = getattr(self, name)(logits, counted, setting)
        if self.is_too_short(ids[start:].tolist(), start, chosen):
            logits = logits.clone()
            logits[list(chosen.eos_ids)] = -torch.inf
        return logits

    @torch.inference_mode()
    def tokens(self, model, ids, tokenizer, chosen):
        start, state, new, generator = ids.shape[1], {}, [], None
        while len(new) < chosen.max_new_tokens:
            logits = self.changed(self.read(model, ids, state), ids[0], start, chosen)
            generator = self.generator(chosen, generator)
            new.append(self.choose(logits, chosen, generator))
            ids = torch.cat([ids, torch.tensor([new[-1:]])], dim=1)
            yield new[-1]
            if self.is_end(new, ids, chosen, tokenizer):
                return

    def value(self, logits, ids, start, chosen):
        return self.changed(logits.log_softmax(-1), ids, start, chosen)

    def score(self, total, new, chosen):
        return total / len(new) ** chosen.length_penalty

    def is_over(self, finished, chosen):
        return False

    def best(self, ranked):
        return ranked[0][1]

    @torch.inference_mode()
    def beams(self, model, ids, tokenizer, chosen):
        start, beams, alive, finished = ids.shape[1], chosen.num_beams, [(0.0, [])], []
        for _ in range(chosen.max_new_tokens):
            candidates = []
            for total, new in alive:  # one beam after the other: slow, and not as the lesson's solution does it
                text = torch.cat([ids[0], torch.tensor(new, dtype=torch.long)])
                values = self.value(model(text[None]).logits[0, -1], text, start, chosen)
                best = values.topk(beams + len(chosen.eos_ids))
                candidates += [
                    (total + value, [*new, token]) for value, token in zip(*map(torch.Tensor.tolist, best), strict=True)
                ]
            candidates.sort(reverse=True)
            finished += [one for one in candidates[:beams] if one[1][-1] in chosen.eos_ids]
            alive = [one for one in candidates if one[1][-1] not in chosen.eos_ids][:beams]
            if self.is_over(finished, chosen):
                break
        scored = ((self.score(*one, chosen), one[1]) for one in finished + alive)
        return self.best(sorted(scored, reverse=True)[:beams])

    def result(self, ids, new):
        return torch.cat([ids, torch.tensor([new])], dim=1)

    def generate(self, model, ids, tokenizer, **settings):
        chosen = GenerationSettings(**({"eos_ids": []} | settings))
        way = self.beams if chosen.num_beams > 1 else self.tokens
        return self.result(ids, [*way(model, ids, tokenizer, chosen)])

    def stream(self, model, ids, tokenizer, **settings):
        chosen = GenerationSettings(**({"eos_ids": []} | settings))
        text = TextStream(tokenizer, chosen.stop_strings)
        for token in self.tokens(model, ids, tokenizer, chosen):
            yield text.push(token)
        yield text.finish()


def learner(**wrong):
    """A learner with some methods replaced."""
    return type("Wrong", (Learner,), wrong)()


@cache
def by_the_lesson():
    """The third right way: the stubs of the lesson replaced by its folded solutions, as a learner would do it.

    Returns all functions by their names, and as "loop" the first `my_generate`.
    """
    functions = {}
    for cell in nbformat.read(LESSON, as_version=4).cells:
        if cell.cell_type == "code":
            for statement in ast.parse(cell.source).body:
                if isinstance(statement, ast.Import | ast.ImportFrom) or name_of(statement) in GIVEN:
                    exec(ast.unparse(statement), functions)
        for solution in solutions_in(cell):
            exec(solution, functions)
            functions.setdefault("loop", functions["my_generate"])
    return functions


def name_of(statement):
    targets = getattr(statement, "targets", [])
    return getattr(targets[0], "id", "") if targets else getattr(statement, "name", "")


def solutions_in(cell):
    folded = re.findall(r"<details>.*?</details>", cell.source, re.DOTALL) if cell.cell_type == "markdown" else []
    return [re.search(r"```python\n(.*?)```", text, re.DOTALL)[1] for text in folded]
