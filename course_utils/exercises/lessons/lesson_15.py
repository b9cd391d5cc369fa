"""Exercise 15 · Your own generate(): the change, the whole loop, beams with a cache, and guesses that are checked."""

import json
from functools import lru_cache
from itertools import pairwise

import torch
from transformers import MinPLogitsWarper, TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

from course_utils.engine.generate import generate
from course_utils.engine.penalties import PENALTIES, token_counts
from course_utils.engine.prefill_decode import decode_step, next_logits, prefill
from course_utils.engine.sampling import FILTERS
from course_utils.exercises.plain_data import ModelName, Settings
from course_utils.exercises.task import Check, Mistake, Prose, Task
from course_utils.models.practice import AT_ONCE, LETTERS, practice_model

MODEL, TOKENIZER = ModelName("practice.model"), ModelName("practice.tokenizer")
NARROW = ModelName("narrow.model")  # who reads all texts again in every step, without a cache, gets an error from it
GIVEN = ("course_utils.engine.prefill_decode", "course_utils.engine.sampling")
GONE = -torch.inf
REPETITION, PRESENCE, FREQUENCY = "repetition_penalty", "presence_penalty", "frequency_penalty"
THEIR_ORDER = {
    "temperature": TemperatureLogitsWarper,
    "top_k": TopKLogitsWarper,
    "top_p": TopPLogitsWarper,
    "min_p": MinPLogitsWarper,
}


# q1: what happens to the logits


def by_the_library(name, logits, counted, setting):
    """Apply one penalty to logits `(vocab,)`."""
    return PENALTIES[name][0](logits[None], torch.tensor([counted], dtype=torch.long), setting)[0]


def always_divides(logits, counted, setting):
    """Leave the sign rule out."""
    return torch.where(is_there(logits, counted), logits / setting, logits)


def divides_each_time(logits, counted, setting):
    """Punish a token once for each time it occurs."""
    for token in counted:
        logits = by_the_library(REPETITION, logits, [token], setting)
    return logits


def is_there(logits, counted):
    """Tell for each token of the vocabulary whether it is among the counted ones."""
    return token_counts(torch.tensor([counted], dtype=torch.long), len(logits))[0] > 0


def changing(
    order=list,
    counts=lambda name, prompt, new: prompt + new if PENALTIES[name][2] else new,
    penalise=None,
    short=lambda prompt, new, least: len(new) < least,
    eos=list,
    instead=GONE,
    from_start=False,
):
    """Return a function that changes logits, and whose pieces can be exchanged."""

    def changed(logits, prompt, new, settings):
        before = logits
        for name, setting in order(settings["penalties"]):
            counted = counts(name, prompt, new)
            own = (penalise or {}).get(name)
            logits = before if from_start else logits
            logits = own(logits, counted, setting) if own else by_the_library(name, logits, counted, setting)
        if short(prompt, new, settings["min_new_tokens"]) and settings["eos_ids"]:
            logits = logits.index_fill(0, torch.tensor(eos(settings["eos_ids"])), instead)
        return logits

    return changed


changed = changing()


def against(name):
    """Add where the penalty is subtracted."""
    return lambda logits, counted, setting: by_the_library(name, logits, counted, -setting)


def instead_of(name):
    """Apply another penalty with the same setting."""
    return lambda logits, counted, setting: by_the_library(name, logits, counted, setting)


def middle_of_a_text(random, *settings):
    """Logits and a text for each pair of penalties and a least length; `False` after them: no token ends it.

    The text has tokens that only the prompt holds, only the new part holds, both hold, and that come several times.
    """
    cases = []
    for penalties, least, new_tokens, *has_ends in settings:
        a, b, c, d, e, f = random.permutation(14)[:6].tolist()
        logits = torch.tensor(random.normal(0, 2, size=14), dtype=torch.float32)
        logits[[a, b, c, d]] = torch.tensor([1.0, -1.0, 1.0, -1.0]) * logits[[a, b, c, d]].abs().clamp(min=0.3)
        new = [c, a, d, c, b, c, d, e][:new_tokens]
        given = {"penalties": penalties, "min_new_tokens": least, "eos_ids": [] if has_ends == [False] else [a, f]}
        cases.append((logits, [a, b, a, f], new, given))
    return cases


# q2: the whole loop

DEFAULTS = {
    "max_new_tokens": 20,
    "min_new_tokens": 0,
    "penalties": [],
    "eos_ids": [],
    "stop_strings": [],
    "do_sample": False,
    "filters": [],
    "seed": 0,
    "num_beams": 1,
    "length_penalty": 1.0,
}
TO_THE_END = "never"  # the `early_stopping` of every search here: it goes on to max_new_tokens
FORM = "my_generate(model, ids, tokenizer, **settings)"
PROMPT_COUNTS = "The prompt counts for your max_new_tokens: it counts new tokens only."
NO_PROMPT = (
    "The prompt is missing: return the ids of the prompt and of the new tokens after it, as one tensor `(1, seq)`, as "
    "`model.generate` of transformers does."
)


def by_the_course(model, ids, tokenizer, **settings):
    """Return prompt and new tokens as the course's `generate` chooses them."""
    new = generate(model, ids, tokenizer, **({"eos_ids": [], "early_stopping": TO_THE_END} | settings))[0].ids
    return torch.cat([ids, torch.tensor([new])], dim=1)


def by_transformers(model, ids, tokenizer, **settings):
    """Return prompt and new tokens as `generate` of transformers chooses them; the course's where it has no such setting."""
    filters, penalties = settings.get("filters", []), dict(settings.get("penalties", []))
    if not penalties.keys() <= {REPETITION} or ("temperature", 0) in map(tuple, filters):
        return by_the_course(model, ids, tokenizer, **settings)
    same = ("max_new_tokens", "min_new_tokens", "do_sample", "num_beams", "length_penalty")
    how = {"do_sample": False} | {name: settings[name] for name in same if name in settings}
    how |= penalties | ({"early_stopping": TO_THE_END} if how.get("num_beams", 1) > 1 else {})
    if how["do_sample"]:
        # Without filters of its own it takes its classes one by one, in our order.
        processors = [THEIR_ORDER[name](setting) for name, setting in filters]
        how |= {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "logits_processor": processors}
    if settings.get("stop_strings"):
        how |= {"stop_strings": list(settings["stop_strings"]), "tokenizer": tokenizer}
    eos_ids = list(settings.get("eos_ids", [])) or None
    with torch.random.fork_rng():
        torch.manual_seed(settings.get("seed", 0))
        mask = torch.ones_like(ids)
        return model.generate(ids, attention_mask=mask, pad_token_id=0, eos_token_id=eos_ids, **how)


def generate_right(model, ids, tokenizer, **settings):
    """Judge as transformers, but for stop strings: they may lie in the prompt here, and there the two disagree."""
    write = by_the_course if settings.get("stop_strings") else by_transformers
    return write(model, ids, tokenizer, **settings)


def takes_settings(own, right, case):
    """Say what the form of `my_generate` is, if the function takes its settings in another one."""
    is_other = own.raised == "TypeError" and "argument" in own.problem and "my_generate()" in own.problem
    return f"Your function {own.problem} It is called as `{FORM}`." if is_other else ""


@lru_cache(maxsize=4000)
def remembered(function, ids, settings):
    return function(practice_model().model, torch.tensor([ids]), json.loads(settings))


def written(function, ids, settings):
    """Return what a search finds with the practice model, worked out once in a process."""
    return remembered(function, tuple(ids[0].tolist()), json.dumps(settings))


@lru_cache(maxsize=8000)
def remembered_text(function, model, ids, tokenizer, settings):
    return function(model, torch.tensor([ids]), tokenizer, **json.loads(settings))


def once(function):
    """Return a `my_generate` that works each text out once in a process."""

    def my_generate(model, ids, tokenizer, **settings):
        return remembered_text(function, model, tuple(ids[0].tolist()), tokenizer, json.dumps(settings))

    return my_generate


def new_tokens(my_generate, ids, settings, loaded=None):
    """Return the list of new tokens that a model writes, the practice model unless another is given."""
    loaded = loaded or practice_model()
    return my_generate(loaded.model, ids, loaded.tokenizer, **settings)[0, ids.shape[1] :].tolist()


@lru_cache(maxsize=20_000)
def logits_after(model, tokens):
    """Return the logits `(vocab,)` after these tokens."""
    return next_logits(model, torch.tensor([tokens]), cache=None)[0]


def read_everything(model, prompt, new):
    return logits_after(model, (*prompt, *new))


@torch.inference_mode()
def first_position(model, prompt, new):
    """Take the logits of the first position of everything."""
    return model(torch.tensor([prompt + new])).logits[0, 0]


def draw(logits, settings, generator, filters=None, functions=FILTERS):
    """Filter and draw."""
    for name, setting in settings["filters"] if filters is None else filters:
        logits = functions[name](logits, setting)
    return int(torch.multinomial(logits.softmax(-1), 1, generator=generator))


def choose(logits, settings, generator):
    return draw(logits, settings, generator) if settings["do_sample"] else int(logits.argmax())


def generating(
    read=read_everything,
    change=changed,
    choice=choose,
    starts_over=False,
    is_eos=lambda token, eos_ids: token in eos_ids,
    searched=lambda prompt, new: new,
    longest=lambda prompt, most: most,
    result=lambda prompt, new, has_ended: [prompt + new],
    change_last=False,
):
    """Return a `my_generate` whose pieces can be exchanged."""

    @once
    def my_generate(model, ids, tokenizer, **settings):
        settings = DEFAULTS | settings
        prompt, new, has_ended = ids[0].tolist(), [], False
        generator = torch.Generator().manual_seed(settings["seed"])
        while len(new) < longest(prompt, settings["max_new_tokens"]) and not has_ended:
            logits = read(model, prompt, new)
            if starts_over:
                generator = torch.Generator().manual_seed(settings["seed"])
            if change_last and settings["do_sample"]:
                for name, setting in settings["filters"]:
                    logits = FILTERS[name](logits, setting)
                logits = change(logits, prompt, new, settings)
                new.append(draw(logits, settings, generator, []))
            else:
                new.append(choice(change(logits, prompt, new, settings), settings, generator))
            text = tokenizer.decode(searched(prompt, new))
            has_stop = any(stop in text for stop in settings["stop_strings"])
            has_ended = is_eos(new[-1], settings["eos_ids"]) or has_stop
        return torch.tensor(result(prompt, new, has_ended))

    return my_generate


def filtering(**wrong):
    """Return a `my_generate` with some filters replaced."""

    def choice(logits, settings, generator):
        sampled = settings["do_sample"]
        return draw(logits, settings, generator, functions=FILTERS | wrong) if sampled else int(logits.argmax())

    return generating(choice=choice)


def in_their_order(logits, settings, generator):
    """Apply the filters in the order of transformers."""
    filters = sorted(settings["filters"], key=lambda pair: [*THEIR_ORDER].index(pair[0]))
    return draw(logits, settings, generator, filters) if settings["do_sample"] else int(logits.argmax())


def without_filters(logits, settings, generator):
    return draw(logits, settings, generator, []) if settings["do_sample"] else int(logits.argmax())


def never_draws(logits, settings, generator):
    return int(logits.argmax())


PLAIN = {"max_new_tokens": 8}
MINE = generating()  # reads a text once in a process, so that many cases can be tried
WITHOUT_CHANGE = generating(change=lambda logits, prompt, new, settings: logits)
OWN_ORDER = generating(choice=in_their_order)
UNFILTERED = generating(choice=without_filters)
CHANGED_LAST = generating(change_last=True)
STARTS_OVER = generating(starts_over=True)
TORCHS_NUMBERS = generating(
    choice=lambda logits, settings, generator: choose(
        logits, settings, torch.default_generator if settings["do_sample"] else None
    )
)
GREEDY = generating(choice=never_draws)
ALWAYS_DRAWS = generating(choice=draw)
NEWEST_TEXT = generating(searched=lambda prompt, new: new[-1:])
PROMPT_TEXT = generating(searched=lambda prompt, new: prompt + new)


def asked(ids, settings):
    """Return the arguments of a call of `my_generate`."""
    return (MODEL, ids, TOKENIZER, Settings(settings))


def letters(random, count):
    return torch.tensor([random.integers(0, len(LETTERS), size=count).tolist()])


def texts_unlike(random, others, *changes, length=5):
    """One prompt for each change of the settings, such that the functions `others` write something else after it."""
    cases = []
    for change in changes:
        while True:
            ids, settings = letters(random, length), PLAIN | change | {"seed": int(random.integers(1, 1000))}
            right = new_tokens(MINE, ids, settings)
            if all(new_tokens(other, ids, settings) != right for other in others):
                break
        cases.append(asked(ids, settings))
    return cases


def ended(random):
    """A text that ends with the second of two tokens, with the first, and one that may end early but must not."""
    while True:
        ids = letters(random, 4)
        free = new_tokens(MINE, ids, PLAIN)
        if free.index(free[4]) == 4 and len(set(free[:5])) == 5:
            break
    unused = next(token for token in range(96) if token not in free)
    return [
        asked(ids, PLAIN | {"eos_ids": [unused, free[4]]}),
        asked(ids, PLAIN | {"eos_ids": [free[2], unused]}),
        asked(ids, PLAIN | {"eos_ids": [free[1]], "min_new_tokens": 4}),
    ]


def stopped(random):
    """A text that ends with a string across two tokens, while the prompt holds another; one that ends within a token."""
    say = practice_model().tokenizer.decode
    while True:
        ids = letters(random, 5)
        free = new_tokens(MINE, ids, PLAIN)
        across = say(free[3:4])[-1] + say(free[4:5])[0]
        settings = PLAIN | {"stop_strings": [say(ids[0, 1:3]), across]}
        inside = PLAIN | {"stop_strings": [say(free[2:3])]}
        lengths = [
            len(new_tokens(*case))
            for case in ((MINE, ids, settings), (NEWEST_TEXT, ids, settings), (MINE, ids, inside))
        ]
        if lengths == [5, 8, 3]:
            return [asked(ids, settings), asked(ids, inside)]


# q3: beams


def beams_right(model, ids, settings):
    """Return all finished texts as transformers finds them, and the course where it has no such penalty."""
    how = {name: settings[name] for name in ("num_beams", "max_new_tokens", "min_new_tokens", "length_penalty")}
    if not {name for name, _ in settings["penalties"]} <= {REPETITION}:
        more = {"penalties": settings["penalties"], "eos_ids": settings["eos_ids"], "early_stopping": TO_THE_END}
        found = generate(model, ids, num_return_sequences=settings["num_beams"], **how, **more)
        return [[text.score, list(text.ids)] for text in found]
    out = model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        do_sample=False,
        pad_token_id=0,
        eos_token_id=settings["eos_ids"] or None,
        early_stopping=TO_THE_END,
        num_return_sequences=settings["num_beams"],
        return_dict_in_generate=True,
        output_scores=True,
        **how,
        **dict(settings["penalties"]),
    )
    rows = [cut(row, settings["eos_ids"]) for row in out.sequences[:, ids.shape[1] :].tolist()]
    return [[score, row] for score, row in zip(out.sequences_scores.tolist(), rows, strict=True)]


def cut(row, eos_ids):
    """Return the tokens up to the first that ends a text."""
    ends = [place for place, token in enumerate(row) if token in eos_ids]
    return row[: ends[0] + 1] if ends else row


def searching(
    selects=True,
    value=lambda logits, prompt, tokens, settings: changed(logits.log_softmax(-1), prompt, tokens, settings),
    first_for_all=False,
    ends=True,
    refills=True,
    from_best=True,
    stops=lambda finished, beams: False,
    scored=lambda total, tokens, settings: total / len(tokens) ** settings["length_penalty"],
    width=lambda beams: beams,
    leftover=True,
    result=lambda tokens: tokens,
):
    """Return a beam search with a cache, whose pieces can be exchanged."""

    def my_beams(model, ids, settings, gaps=None):
        prompt, beams = ids[0].tolist(), width(settings["num_beams"])
        eos_ids = settings["eos_ids"] if ends else []
        logits, cache = prefill(model, ids)
        alive, finished, rows = [(0.0, [], 0)], [], [0]
        for step in range(settings["max_new_tokens"]):
            if step:
                cache.select(
                    rows if selects else list(range(len(rows))) if len(rows) <= len(logits) else [0] * len(rows)
                )
                logits = decode_step(model, torch.tensor([tokens[-1] for _, tokens, _ in alive]), cache)
            candidates = []
            for row, (total, tokens, _) in enumerate(alive):
                text = alive[0][1] if first_for_all else tokens
                values = value(logits[row], prompt, text, settings).tolist()
                candidates += [(total + one, [*tokens, token], row) for token, one in enumerate(values)]
            candidates.sort(reverse=True)
            note_gaps(gaps, candidates[: 2 * beams + 1])
            best = candidates[:beams] if from_best else candidates
            finished += [(total, tokens) for total, tokens, _ in best if tokens[-1] in eos_ids]
            going = candidates if refills else candidates[:beams]
            alive = [one for one in going if one[1][-1] not in eos_ids][:beams]
            rows = [row for *_, row in alive]
            if not alive or stops(finished, beams):
                break
        if leftover:
            finished += [(total, tokens) for total, tokens, _ in alive]
        ranked = sorted(((scored(total, tokens, settings), tokens) for total, tokens in finished), reverse=True)
        note_gaps(gaps, ranked[: beams + 1])
        return [[score, result(tokens)] for score, tokens in ranked[:beams]]

    return my_beams


def note_gaps(gaps, ranked):
    """Add the distances between neighbours of a ranking to `gaps`, if anybody wants them."""
    if gaps is not None:
        values = [value for value, *_ in ranked if value > GONE]
        gaps += [one - other for one, other in pairwise(values)]


BEAMS = searching()
KEEPS_ITS_BEAM = searching(refills=False)
STOPS_EARLY = searching(stops=lambda finished, beams: len(finished) >= beams)
CACHE_LEFT = searching(selects=False)
RAW_CHANGE = searching(
    value=lambda logits, prompt, tokens, settings: changed(logits, prompt, tokens, settings).log_softmax(-1)
)
FIRST_FOR_ALL = searching(first_for_all=True)
FROM_ANYWHERE = searching(from_best=False)


def tokens_of(found):
    return [tokens for _, tokens in found]


def with_smallest_gap(model, ids, settings):
    """Search, and return how close the nearest two candidates were, too."""
    gaps = []
    return BEAMS(model, ids, settings, gaps), min(gaps)


def beams_unlike(random, others, *changes):
    """One prompt for each change of the settings, such that the searches `others` find something else after it."""
    cases = []
    for change in changes:
        settings = PLAIN_BEAMS | {name: value for name, value in change.items() if name != "ends"}
        while True:
            ids = letters(random, AT_ONCE)
            settings = settings | {"eos_ids": random.permutation(96)[: change.get("ends", 0)].tolist()}
            found, gap = written(with_smallest_gap, ids, settings)
            if gap > 0.0005 and all(tokens_of(written(other, ids, settings)) != tokens_of(found) for other in others):
                break
        cases.append((NARROW, ids, settings))
    return cases


PLAIN_BEAMS = {
    "num_beams": 3,
    "max_new_tokens": 5,
    "min_new_tokens": 0,
    "length_penalty": 1.0,
    "penalties": [],
    "eos_ids": [],
}


# q4: guesses


@torch.inference_mode()
def own_choices(model, ids, guesses, first=-1):
    """Return what the model chooses before the first guess, and after each: one token more than guesses."""
    logits = model(torch.cat([ids, ids.new_tensor([guesses])], dim=1)).logits[0]
    return logits[ids.shape[1] + first :].argmax(-1).tolist()


def checking(first=-1, counts=None, result=lambda own, guesses, right: own[: right + 1]):
    """Return a function that checks guesses, and whose pieces can be exchanged."""

    def checked(model, ids, guesses):
        own = own_choices(model, ids, guesses, first)
        right = counts(own, guesses) if counts else agreeing(own, guesses)
        return result(own, guesses, right)

    return checked


def agreeing(own, guesses):
    """Count the guesses that are right from the start."""
    pairs = zip(own, guesses, strict=False)
    return next((place for place, (one, guess) in enumerate(pairs) if one != guess), len(guesses))


def all_that_agree(own, guesses, right):
    """Keep right guesses even after a wrong one."""
    return [guess for one, guess in zip(own, guesses, strict=False) if one == guess] + own[-1:]


def guesses_with(random, *settings):
    """Guesses for each (count, first wrong one); after the wrong one, every second guess agrees with the model."""
    model, cases = practice_model().model, []
    for count, wrong in settings:
        ids, guesses = letters(random, int(random.integers(3, 8))), []
        for place in range(count):
            logits = logits_after(model, (*ids[0].tolist(), *guesses))
            is_wrong = place == wrong or (place > wrong and (place - wrong) % 2 == 0)
            guesses.append(int(logits.topk(4).indices[3 if is_wrong else 0]))
        cases.append((MODEL, ids, guesses))
    return cases


TASKS = (
    Task(
        name="q1",
        title="The change",
        function="changed",
        right=changed,
        given=GIVEN,
        ready_made=("RepetitionPenaltyLogitsProcessor",),
        checks=(
            Check(
                "applies one penalty",
                lambda random: middle_of_a_text(
                    random, ([(REPETITION, 1.5)], 0, 7), ([(PRESENCE, 0.8)], 0, 7), ([(FREQUENCY, 0.6)], 0, 8)
                ),
            ),
            Check(
                "applies several in the order of the list",
                lambda random: middle_of_a_text(
                    random,
                    ([(PRESENCE, 1.5), (REPETITION, 2.0)], 0, 7),
                    ([(REPETITION, 1.3), (FREQUENCY, 0.9)], 0, 8),
                    ([(FREQUENCY, 1.1), (REPETITION, 1.8), (PRESENCE, 0.4)], 0, 6),
                ),
            ),
            Check(
                "keeps a text going that is too short",
                lambda random: middle_of_a_text(
                    random,
                    ([], 5, 3),
                    ([], 9, 3),
                    ([], 6, 6),
                    ([], 6, 5),
                    ([(PRESENCE, 0.5)], 4, 0),
                    ([], 0, 0),
                    ([], 5, 3, False),
                ),
            ),
        ),
        mistakes=(
            Mistake(
                "The sign rule: a negative logit is multiplied by the repetition penalty, or the token would get more "
                "likely.",
                changing(penalise={REPETITION: always_divides}),
            ),
            Mistake(
                "A token that is in the text twice is divided twice: the repetition penalty hits each token once.",
                changing(penalise={REPETITION: divides_each_time}),
            ),
            Mistake(
                "The sign: presence and frequency penalties are subtracted.",
                changing(penalise={PRESENCE: against(PRESENCE), FREQUENCY: against(FREQUENCY)}),
            ),
            Mistake(
                "A frequency penalty counts: three times in the new text is three times the penalty.",
                changing(penalise={FREQUENCY: instead_of(PRESENCE)}),
            ),
            Mistake(
                "A presence penalty does not count: three times in the new text costs as much as once.",
                changing(penalise={PRESENCE: instead_of(FREQUENCY)}),
            ),
            Mistake(
                "The prompt counts for the repetition penalty only: presence and frequency look at the new tokens.",
                changing(counts=lambda name, prompt, new: prompt + new),
            ),
            Mistake(
                "The prompt counts for the repetition penalty: it looks at prompt and new tokens.",
                changing(counts=lambda name, prompt, new: new),
            ),
            Mistake(
                "You have an order of your own: the penalties come in the order of the list.",
                changing(order=lambda pairs: sorted(pairs, key=lambda pair: [*PENALTIES].index(pair[0]))),
            ),
            Mistake(
                "You go through the list backwards: the first penalty of the list comes first.",
                changing(order=lambda pairs: pairs[::-1]),
            ),
            Mistake(
                "Only the last penalty is left: each one changes what the one before it returned.",
                changing(from_start=True),
            ),
            Mistake(
                "min_new_tokens has no effect: as long as there are fewer new tokens, those of eos_ids get −∞.",
                changing(short=lambda prompt, new, least: False),
            ),
            Mistake(
                "The prompt counts for your min_new_tokens: it counts new tokens only.",
                changing(short=lambda prompt, new, least: len(prompt) + len(new) < least),
            ),
            Mistake(
                "Off by one: with min_new_tokens new tokens the text is long enough and may end (`<`, not `<=`).",
                changing(short=lambda prompt, new, least: len(new) <= least),
            ),
            Mistake(
                "Off by one: the last of the min_new_tokens must not be an end either.",
                changing(short=lambda prompt, new, least: len(new) + 1 < least),
            ),
            Mistake("You mask one token: every token of eos_ids gets −∞.", changing(eos=lambda eos_ids: eos_ids[:1])),
            Mistake(
                "Masked tokens get a logit of 0, which is a probability above 0: it takes −∞.",
                changing(instead=0.0),
            ),
        ),
        hint="For each penalty ask first which tokens count, and whether it matters how often they come.",
    ),
    Task(
        name="q2",
        title="The loop",
        function="my_generate",
        right=once(generate_right),
        given=GIVEN,
        ready_made=(".generate(",),
        explain=takes_settings,
        checks=(
            Check(
                "writes the likeliest tokens",
                lambda random: [
                    asked(torch.tensor([[2, 0, 1]]), PLAIN),
                    *texts_unlike(random, [ALWAYS_DRAWS], {"max_new_tokens": 6}, {"max_new_tokens": 1}),
                ],
            ),
            Check(
                "changes the logits before it chooses",
                lambda random: texts_unlike(
                    random,
                    [WITHOUT_CHANGE],
                    {"penalties": [(REPETITION, 2.0)]},
                    {"penalties": [(FREQUENCY, 1.0)], "max_new_tokens": 12},
                ),
            ),
            Check("ends where it should", lambda random: [*ended(random), *stopped(random)]),
            Check(
                "draws, with the filters in the order of the list",
                lambda random: [
                    *texts_unlike(
                        random,
                        [OWN_ORDER, UNFILTERED, STARTS_OVER, GREEDY],
                        {"do_sample": True, "filters": [("top_p", 0.7), ("temperature", 2.5)]},
                    ),
                    *texts_unlike(
                        random,
                        [UNFILTERED, CHANGED_LAST],
                        {
                            "do_sample": True,
                            "filters": [("temperature", 1.5), ("top_k", 4)],
                            "penalties": [(REPETITION, 2.0)],
                        },
                        length=20,
                    ),
                ],
            ),
        ),
        mistakes=(
            Mistake(
                "You take the logits of the first position: those of the last one, `[:, -1]`, say what comes next.",
                generating(read=first_position),
            ),
            Mistake(
                "Every step chooses after the prompt: the new tokens must be read, too.",
                generating(read=lambda model, prompt, new: logits_after(model, tuple(prompt))),
            ),
            Mistake(
                "A step has forgotten the text before it: hand the cache of the step before back in.",
                generating(read=lambda model, prompt, new: logits_after(model, tuple(new[-1:] or prompt))),
            ),
            Mistake(
                "Off by one: a step reads the token before the newest one.",
                generating(
                    read=lambda model, prompt, new: logits_after(model, tuple((prompt + new)[:-1] if new else prompt))
                ),
            ),
            Mistake(
                PROMPT_COUNTS,
                generating(longest=lambda prompt, most: max(most - len(prompt), 0)),
            ),
            Mistake(NO_PROMPT, generating(result=lambda prompt, new, has_ended: new)),
            Mistake(NO_PROMPT, generating(result=lambda prompt, new, has_ended: [new])),
            Mistake(
                "Your ids are in one row without a batch: return them as `(1, seq)`, as `model.generate` does.",
                generating(result=lambda prompt, new, has_ended: prompt + new),
            ),
            Mistake(
                "So far this is greedy search. Next: let `changed` change the logits in every step.",
                generating(
                    change=lambda logits, prompt, new, settings: logits,
                    is_eos=lambda token, eos_ids: False,
                    searched=lambda prompt, new: [],
                    choice=never_draws,
                ),
            ),
            Mistake(
                "So far your texts neither end early nor are they drawn. Next: stop at a token of eos_ids.",
                generating(is_eos=lambda token, eos_ids: False, searched=lambda prompt, new: [], choice=never_draws),
            ),
            Mistake(
                "So far stop strings do not end a text, and nothing is drawn. Next: look for each stop string in the decoded new "
                "tokens.",
                generating(searched=lambda prompt, new: [], choice=never_draws),
            ),
            Mistake(
                "The logits are not changed: penalties and min_new_tokens change them in every step, before the choice.",
                WITHOUT_CHANGE,
            ),
            Mistake(
                "Your text does not end at eos_ids: stop when the newest token is one of them.",
                generating(is_eos=lambda token, eos_ids: False),
            ),
            Mistake(
                "Only the first of the eos_ids ends your text: every one of them does.",
                generating(is_eos=lambda token, eos_ids: token in eos_ids[:1]),
            ),
            Mistake(
                "The token that ends a text is missing: it is part of the result, as in transformers.",
                generating(result=lambda prompt, new, has_ended: [prompt + (new[:-1] if has_ended else new)]),
            ),
            Mistake(
                "Stop strings have no effect: decode the new tokens, and look for each string.",
                generating(searched=lambda prompt, new: []),
            ),
            Mistake(
                "You look for stop strings in the newest token: one can lie across two, so decode all new tokens.",
                NEWEST_TEXT,
            ),
            Mistake(
                "You look for stop strings in the prompt, too: decode the new tokens only.",
                PROMPT_TEXT,
            ),
            Mistake("The filters come in an order of your own, or of transformers: take that of the list.", OWN_ORDER),
            Mistake("The filters have no effect: draw from the logits that they return.", UNFILTERED),
            Mistake(
                "You filter first and change afterwards: the penalties come before the filters.",
                CHANGED_LAST,
            ),
            Mistake("Nothing is drawn: with do_sample the token comes from `torch.multinomial`.", GREEDY),
            Mistake("Where do_sample is False, the likeliest token is taken: yours draws.", ALWAYS_DRAWS),
            Mistake(
                "The generator starts over in every step: make it once, before the loop.",
                STARTS_OVER,
            ),
            Mistake(
                "You draw from torch's own random numbers: hand `generator=` to `torch.multinomial`.",
                TORCHS_NUMBERS,
            ),
        ),
        hint="Four places in a loop: read, change, choose, end. Get the greedy text right first.",
    ),
    Task(
        name="q3",
        title="Beams with a cache",
        function="my_beams",
        right=lambda model, ids, settings: written(beams_right, ids, settings),
        given=GIVEN,
        ready_made=(".generate(",),
        checks=(
            Check(
                "finds the best texts of one length",
                lambda random: beams_unlike(random, [CACHE_LEFT], {"num_beams": 2, "max_new_tokens": 4}, {}),
            ),
            Check(
                "sets texts aside that end",
                lambda random: [
                    *beams_unlike(random, [KEEPS_ITS_BEAM], {"ends": 8}),
                    *beams_unlike(random, [STOPS_EARLY], {"ends": 12, "length_penalty": 1.5}),
                    *beams_unlike(random, [FROM_ANYWHERE], {"ends": 10, "length_penalty": 0.0}),
                ],
            ),
            Check(
                "changes every beam by its own text",
                lambda random: [
                    *beams_unlike(random, [RAW_CHANGE], {"penalties": [(REPETITION, 1.6)]}),
                    *beams_unlike(random, [FIRST_FOR_ALL], {"penalties": [(PRESENCE, 2.0)], "max_new_tokens": 6}),
                ],
            ),
        ),
        mistakes=(
            Mistake(
                "The cache does not follow the beams: after you have chosen, give each beam the row that it came from "
                "(`cache.select(rows)`).",
                CACHE_LEFT,
            ),
            Mistake(
                "You add logits: turn them into log-probabilities first (`log_softmax`).",
                searching(value=lambda logits, prompt, tokens, settings: changed(logits, prompt, tokens, settings)),
            ),
            Mistake(
                "You change the logits and take the log-softmax afterwards: with beams, `changed` gets log-probabilities, "
                "as in transformers.",
                RAW_CHANGE,
            ),
            Mistake(
                "Your beams are not changed: call `changed` with the log-probabilities and the text of each.",
                searching(value=lambda logits, prompt, tokens, settings: logits.log_softmax(-1)),
            ),
            Mistake(
                "All beams are changed by the text of the first: each has new tokens of its own.",
                FIRST_FOR_ALL,
            ),
            Mistake(
                "This is greedy search: keep num_beams texts alive.",
                searching(width=lambda beams: 1),
            ),
            Mistake(
                "The length is missing from the score: divide the sum by the number of new tokens ** length_penalty.",
                searching(scored=lambda total, tokens, settings: total),
            ),
            Mistake(
                "Your score is the mean in all cases: take the length to the power length_penalty.",
                searching(scored=lambda total, tokens, settings: total / len(tokens)),
            ),
            Mistake(
                "Your texts do not end at eos_ids: set them aside, and do not extend them.",
                searching(ends=False),
            ),
            Mistake(
                "A text that has ended keeps its beam: the next best candidate takes its place.",
                KEEPS_ITS_BEAM,
            ),
            Mistake(
                "You stop when num_beams texts are finished: continue to max_new_tokens.",
                STOPS_EARLY,
            ),
            Mistake(
                "Texts end that are not among the best num_beams candidates: those are pruned.",
                FROM_ANYWHERE,
            ),
            Mistake(
                "The texts that are alive after the last step are missing: score them as well.",
                searching(leftover=False),
            ),
        ),
        hint="Each candidate needs three things: its sum, its tokens, and the row of the cache that it came from.",
        points=6,
    ),
    Task(
        name="q4",
        title="Guesses, checked in one read",
        function="checked",
        right=checking(),
        given=GIVEN,
        ready_made=(".generate(",),
        checks=(
            Check("takes right guesses and adds a token", lambda random: guesses_with(random, (3, 9), (1, 9))),
            Check("stops at the first wrong guess", lambda random: guesses_with(random, (5, 2), (4, 1), (5, 4))),
            Check("gives a token even if all guesses are wrong", lambda random: guesses_with(random, (4, 0), (1, 0))),
        ),
        mistakes=(
            Mistake(
                "Off by one: the logits at a position choose the token after it, so the first guess is compared with what "
                "the last position of the text chooses.",
                checking(first=0),
            ),
            Mistake(
                "`len(ids)` is the number of texts, which is 1: the number of tokens is `ids.shape[1]`.",
                lambda model, ids, guesses: checking(first=-ids.shape[1])(model, ids, guesses),
            ),
            Mistake(
                "A right guess after a wrong one is no use: the model has read the wrong one before it. Stop there.",
                checking(result=all_that_agree),
            ),
            Mistake(
                "You return the right guesses only: the read has chosen one more token, add it.",
                checking(result=lambda own, guesses, right: guesses[:right]),
            ),
            Mistake(
                "After a wrong guess you take the token that the last position chose: take the one chosen in place "
                "of the wrong guess.",
                checking(result=lambda own, guesses, right: guesses[:right] + own[-1:]),
            ),
            Mistake(
                "You keep the first wrong guess: the model's own token takes its place.",
                checking(result=lambda own, guesses, right: (guesses + own[-1:])[: right + 1]),
            ),
            Mistake(
                "You keep all guesses: compare each with what the model chooses.",
                checking(result=lambda own, guesses, right: guesses + own[-1:]),
            ),
            Mistake(
                "You return all that the model chose: after a wrong guess it has read a wrong text.",
                checking(result=lambda own, guesses, right: own),
            ),
            Mistake(
                "You return how many guesses are right: return the tokens.",
                checking(result=lambda own, guesses, right: right),
            ),
            Mistake(
                "You return the prompt as well: return the new tokens only.",
                lambda model, ids, guesses: ids[0].tolist() + checking()(model, ids, guesses),
            ),
        ),
        hint="`logits[0, ids.shape[1] - 1:].argmax(-1)` is the model's own choice for every guess, and one token more.",
        points=4,
    ),
)
PROSE = (
    Prose(
        name="q5",
        title="What fifty equal texts say",
        points=2,
        look_for="Two mistakes that greedy texts of SmolLM2 without settings cannot show, each with a test that could. For example: a "
        "repetition penalty without the sign rule (its best logits are positive: a model or logits with negative ones); the "
        "order of the filters or the generator (sampling with a seed and top-p before temperature); a stop string across two "
        "tokens; eos_ids or min_new_tokens (texts that would end early); no cache at all (tokens are equal: count the "
        "positions that were read); the cache of beams. A test counts if the mistake named would make it fail.",
    ),
)
