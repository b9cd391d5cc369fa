"""Exercise 10 · Prefill and decode: the KV cache, what it takes, and what it saves."""

import math
from functools import lru_cache

import torch

from course_utils.engine.cache import shared_prefix
from course_utils.engine.prefill_decode import decode_step, next_logits, prefill  # noqa: F401 - a patch uses it
from course_utils.exercises.plain_data import ModelName
from course_utils.exercises.task import Check, Prose, Task
from course_utils.models.practice import LETTERS, practice_model

PRACTICE = ModelName("practice")
GIVEN = ("course_utils.models.practice", "course_utils.engine.prefill_decode")
CLOSE = 0.01  # two logits nearer than this could change places by rounding


# q1: how many tokens fit


def bytes_of_a_token(shape, numbers=None):
    """Return what one token takes, or would take with another count of `numbers` in a layer."""
    width = shape["hidden_size"] // shape["query_heads"]
    numbers = 2 * shape["kv_heads"] * width if numbers is None else numbers(shape, width)
    return shape["layers"] * numbers * shape["bytes_per_number"]


def tokens_that_fit(shape, memory, texts):
    """Return how many whole tokens of each text the memory holds."""
    return memory // (texts * bytes_of_a_token(shape))


def with_numbers(numbers):
    """Count other `numbers` in a layer."""
    return lambda shape, memory, texts: memory // (texts * bytes_of_a_token(shape, numbers))


def budgets(random, *texts, spare=(0.55, 0.95)):
    """One shape and memory for each number of texts; the memory holds whole tokens and `spare` of one more."""
    cases = []
    for count in texts:
        kv_heads, group = int(random.integers(2, 9)), int(random.integers(2, 5))
        heads = kv_heads * group
        shape = {
            "layers": int(random.integers(4, 40)),
            "query_heads": heads,
            "kv_heads": kv_heads,
            "hidden_size": heads * int(random.choice([32, 48, 96, 128])),
            "bytes_per_number": int(random.choice([2, 4])),
        }
        whole = int(random.integers(150, 600))
        cases.append((shape, int((whole + random.uniform(*spare)) * count * bytes_of_a_token(shape)), count))
    return cases


def exact(random):
    """Memory to the last byte, and memory for less than a token."""
    ((shape, memory, texts),) = budgets(random, 3, spare=(0, 0))
    return [(shape, memory, texts), (shape, bytes_of_a_token(shape) - 1, 1)]


SMOLLM2 = {"layers": 30, "query_heads": 9, "kv_heads": 3, "hidden_size": 576, "bytes_per_number": 4}


q1 = Task(
    name="q1",
    title="How many tokens fit",
    function="tokens_that_fit",
    right=tokens_that_fit,
    given=GIVEN,
    checks=(
        Check(
            "fills the memory with one text",
            lambda random: [(SMOLLM2, 1_000_000, 1), *budgets(random, 1), *budgets(random, 1, spare=(0.1, 0.4))],
        ),
        Check("shares it among several texts", lambda random: [(SMOLLM2, 1_000_000, 2), *budgets(random, 2, 5)]),
        Check("uses the last byte, and no more", exact),
    ),
    hint="First the bytes of one token: 2 × layers × KV heads × width of a head × bytes per number.",
)
q1.mistake("You count keys only: the cache holds a key and a value for every token, so it takes twice that.")(
    with_numbers(lambda shape, width: shape["kv_heads"] * width)
)
q1.mistake(
    "You keep as much as for all query heads: only the KV heads are in the cache, and each is hidden_size / "
    "query_heads numbers wide."
)(with_numbers(lambda shape, width: 2 * shape["hidden_size"]))
q1.mistake(
    "You take hidden_size for the width of one head: the query heads share it, so a head has hidden_size / "
    "query_heads numbers."
)(with_numbers(lambda shape, width: 2 * shape["kv_heads"] * shape["hidden_size"]))
q1.mistake("You take 64 for the width of a head: that is SmolLM2's. It is hidden_size / query_heads.")(
    with_numbers(lambda shape, width: 2 * shape["kv_heads"] * 64)
)
q1.mistake("You leave the KV heads out: every one of them keeps its own key and value.")(
    with_numbers(lambda shape, width: 2 * width)
)
q1.mistake("You count numbers, and the memory counts bytes: multiply by bytes_per_number.")(
    lambda shape, memory, texts: tokens_that_fit(shape | {"bytes_per_number": 1}, memory, texts)
)
q1.mistake("You count one layer: every layer keeps keys and values of its own.")(
    lambda shape, memory, texts: tokens_that_fit(shape | {"layers": 1}, memory, texts)
)
q1.mistake("You give all the memory to one text: each of the texts needs a cache.")(
    lambda shape, memory, texts: tokens_that_fit(shape, memory, 1)
)
q1.mistake("You return the tokens of all texts together: divide by the number of texts.")(
    lambda shape, memory, texts: tokens_that_fit(shape, memory, texts) * texts
)
q1.mistake("A part of a token is no use: round down (`//`).")(
    lambda shape, memory, texts: memory / (texts * bytes_of_a_token(shape))
)
q1.mistake("You round to the nearest, and then the last token does not fit: round down (`//`).")(
    lambda shape, memory, texts: round(memory / (texts * bytes_of_a_token(shape)))
)
q1.mistake("You round up, and then the last token does not fit: round down (`//`).")(
    lambda shape, memory, texts: math.ceil(memory / (texts * bytes_of_a_token(shape)))
)


# q2: greedy with a cache


@torch.inference_mode()
def greedy(loaded, prompt, new_tokens):
    """Return the new tokens, and for each step how many tokens it read and the cache then held."""
    ids, cache, read, kept = loaded.encode(prompt), None, [], []
    unread, start = ids, ids.shape[1]
    for _ in range(new_tokens):
        output = loaded.model(unread, past_key_values=cache, use_cache=True)
        cache = output.past_key_values
        read.append(unread.shape[1])
        kept.append(cache.get_seq_length())
        unread = output.logits[:, -1].argmax(-1, keepdim=True)
        ids = torch.cat([ids, unread], dim=1)
    return {"tokens": ids[0, start:].tolist(), "read": read, "kept": kept}


def word(random, length):
    """Draw letters."""
    return "".join(LETTERS[letter] for letter in random.integers(0, 26, size=length))


def is_steady(ids, new_tokens):
    """Tell whether no choice on the way hangs on the last digits of a logit."""
    return greedy_with_gap(tuple(ids), new_tokens)[1] > CLOSE


@lru_cache(maxsize=1000)
def greedy_with_gap(ids, new_tokens):
    """Return the greedy tokens after `ids`, and the smallest lead of a chosen one."""
    tokens, gaps, cache = [], [], None
    for _ in range(new_tokens):
        logits, cache = prefill(practice_model().model, torch.tensor([[*ids, *tokens]]), cache)
        best = logits[0].topk(2)
        tokens.append(int(best.indices[0]))
        gaps.append(float(best.values[0] - best.values[1]))
    return tokens, min(gaps)


def prompts(random, *sizes):
    """One prompt for each pair of letters and new tokens."""
    cases = []
    for letters, new_tokens in sizes:
        prompt = word(random, letters)
        while not is_steady(practice_model().encode(prompt)[0].tolist(), new_tokens):
            prompt = word(random, letters)
        cases.append((PRACTICE, prompt, new_tokens))
    return cases


q2 = Task(
    name="q2",
    title="A loop with a cache",
    function="greedy",
    right=greedy,
    given=("course_utils.models.practice",),  # this one is to be written without prefill and decode_step
    ready_made=(".generate(",),
    checks=(
        Check("makes one token in prefill", lambda random: prompts(random, (5, 1), (3, 1))),
        Check("continues with decode steps", lambda random: prompts(random, (6, 2), (4, 8))),
        Check("continues for long", lambda random: prompts(random, (9, 14))),
    ),
    hint="Before the loop all of the prompt is unread; at the end of a step, only the new token is.",
    points=3,
)
q2.patch(
    "You hand over the whole text and the cache as well, so the cache gets everything again: a step reads "
    "only what the cache has not seen.",
    "ids = torch.cat",
    "ids = unread = torch.cat",
)
q2.patch(
    "The tokens are right, and every step reads the whole text again: hand the cache of the step before "
    "back in, with the newest token alone.",
    "ids = torch.cat",
    "ids = unread = torch.cat",
    "past_key_values=cache",
    "past_key_values=None",
)
q2.patch(
    "A decode step has forgotten the text before it: hand the cache of the step before back in "
    "(`past_key_values=cache`).",
    "past_key_values=cache",
    "past_key_values=None",
)
q2.patch(
    "Off by one: a decode step reads the newest token, not the one before it.",
    "dim=1)",
    "dim=1); unread = ids[:, -2:-1]",
)
q2.patch(
    "Off by one: a decode step reads two tokens, and the first of them is in the cache already.",
    "dim=1)",
    "dim=1); unread = ids[:, -2:]",
)
q2.patch(
    "You take the logits of the first position: those of the last one, `[:, -1]`, say what comes next.",
    "[:, -1]",
    "[:, 0]",
)
q2.patch(
    "One read too many: the last token is chosen and never has to be read.",
    "(new_tokens)",
    "(new_tokens + 1)",
    "start:]",
    "start:-1]",
)
q2.patch(
    "One token too few: prefill makes the first, and the decode steps make all others.",
    "(new_tokens)",
    "(new_tokens - 1)",
)
q2.patch(
    "`kept` is one step behind: note the length of the cache after the step has read.",
    "cache.get_seq_length()",
    "cache.get_seq_length() - unread.shape[1]",
)
q2.patch("`tokens` holds the new tokens only: leave the prompt out.", "ids[0, start:]", "ids[0]")


# q3: what has to be read


def unread(kept, prompt):
    """Return the tokens of `prompt` that must be read when the cache holds `kept`."""
    return prompt[min(shared_prefix(kept, prompt), len(prompt) - 1) :]


def from_place(place):
    """Read from another place on."""
    return lambda kept, prompt: prompt[place(kept, prompt) :]


def equal_places(kept, prompt):
    """Count all places with the same token, even after the first that differs."""
    return min(sum(one == other for one, other in zip(kept, prompt, strict=False)), len(prompt) - 1)


def while_both_last(kept, prompt):
    """Walk along the prompt as if the cache held as many tokens."""
    return next((place for place, token in enumerate(prompt) if kept[place] != token), len(prompt) - 1)


def texts_that_share(random, shared, kept_more, prompt_more):
    """Two lists of tokens that begin the same, differ in one token, and agree again after it."""
    start = random.integers(0, 50, size=shared).tolist()
    rest = random.integers(0, 50, size=max(kept_more, prompt_more)).tolist()
    kept, prompt = start + rest[:kept_more], start + rest[:prompt_more]
    if kept_more and prompt_more:
        prompt[shared] = kept[shared] + 50
    return kept, prompt


def pairs(random, *sizes):
    """One pair of token lists for each (shared, more in the cache, more in the prompt)."""
    return [texts_that_share(random, *size) for size in sizes]


q3 = Task(
    name="q3",
    title="What has to be read",
    function="unread",
    right=unread,
    given=GIVEN,
    ready_made=("shared_prefix",),
    checks=(
        Check(
            "reads from the first token that differs",
            lambda random: [([5, 6, 7, 8], [5, 6, 9, 8, 1]), *pairs(random, (4, 3, 3), (7, 2, 5))],
        ),
        Check("reads the rest of a longer prompt", lambda random: pairs(random, (5, 0, 3), (2, 0, 6))),
        Check("reads everything when nothing is shared", lambda random: pairs(random, (0, 4, 4), (0, 0, 5), (0, 1, 3))),
        Check(
            "reads the last token when the cache holds the whole prompt",
            lambda random: pairs(random, (6, 0, 0), (4, 5, 0)),
        ),
    ),
    hint="Walk along both lists while they agree, and stop one token before the end of the prompt.",
)
q3.mistake("When the cache holds the whole prompt you read nothing, and have no logits: read its last token again.")(
    from_place(shared_prefix)
)
q3.mistake("When the cache holds the whole prompt you read all of it: its last token is enough.")(
    from_place(lambda kept, prompt: shared_prefix(kept, prompt) % len(prompt))
)
q3.mistake("You look past the end of `kept`: it may be shorter than the prompt, so stop where it ends.")(
    from_place(while_both_last)
)
q3.mistake(
    "You count equal tokens after the first that differs: their keys and values have seen another text, so "
    "stop counting there."
)(from_place(equal_places))
q3.mistake("You skip as many tokens as the cache holds, whatever they are: compare them one by one.")(
    from_place(lambda kept, prompt: min(len(kept), len(prompt) - 1))
)
q3.mistake("You skip every token that is in the cache somewhere: it must be at the same place, after the same tokens.")(
    lambda kept, prompt: [token for token in prompt if token not in kept] or prompt[-1:]
)
q3.mistake("You skip the first token that differs: it is the first that must be read.")(
    from_place(lambda kept, prompt: min(shared_prefix(kept, prompt) + 1, len(prompt) - 1))
)
q3.mistake("You read the last shared token again: it is in the cache, with the right tokens before it.")(
    from_place(lambda kept, prompt: max(shared_prefix(kept, prompt) - 1, 0))
)
q3.mistake("You return what is shared: return the rest of the prompt.")(
    lambda kept, prompt: prompt[: min(shared_prefix(kept, prompt), len(prompt) - 1)]
)
q3.mistake("You return how many tokens: return the tokens themselves, as a list.")(
    lambda kept, prompt: len(unread(kept, prompt))
)


# q4: one cache for prompt after prompt


def answers(loaded, prompts, new_tokens):
    """Answer prompt after prompt with one cache; say how much of each prompt is read."""
    cache, held, found = None, [], []
    for prompt in prompts:
        keep = min(shared_prefix(held, prompt), len(prompt) - 1)
        if cache is not None:
            cache.crop(keep)
        logits, cache = prefill(loaded.model, torch.tensor([prompt]), cache)
        tokens = [int(logits.argmax())]
        while len(tokens) < new_tokens:
            tokens.append(int(decode_step(loaded.model, torch.tensor(tokens[-1:]), cache).argmax()))
        held = [*prompt, *tokens[:-1]]
        found.append({"tokens": tokens, "read": len(prompt) - keep})
    return found


def some_tokens(random, count):
    return random.integers(0, 96, size=count).tolist()


def questions(random):
    """Two prompts with one beginning and different endings; the second is shorter, and the third is longer."""
    while True:
        story = some_tokens(random, 9)
        first, second, third = some_tokens(random, 5), some_tokens(random, 3), some_tokens(random, 8)
        if len({first[0], second[0], third[0]}) < 3:
            continue
        asked = [story + first, story + second, story + third]
        if all(is_steady(prompt, 4) for prompt in asked):
            return [(PRACTICE, asked, 4)]


def chat(random):
    """Every prompt holds the one before, its answer, and something new."""
    while True:
        asked, text = [], []
        for _ in range(3):
            text = text + some_tokens(random, 5)
            asked.append(text)
            tokens, gap = greedy_with_gap(tuple(text), 4)
            if gap < CLOSE:
                break
            text = text + tokens
        else:
            return [(PRACTICE, asked, 4)]


def asked_again(random):
    """The same prompt twice, and then its beginning."""
    while True:
        prompt = some_tokens(random, 8)
        asked = [prompt, prompt, prompt[:5]]
        if all(is_steady(one, 3) for one in asked):
            return [(PRACTICE, asked, 3)]


q4 = Task(
    name="q4",
    title="One cache for many prompts",
    function="answers",
    right=answers,
    given=GIVEN,
    ready_made=("shared_prefix",),
    checks=(
        Check("keeps what two prompts share", questions),
        Check("keeps the answers, too, when a chat continues", chat),
        Check("answers the same prompt again", asked_again),
    ),
    hint="Keep a list of what the cache holds: the prompt and the answer without its last token.",
    points=3,
)
q4.patch(
    "You read every prompt from its start: keep the cache, forget what the next prompt does not share "
    "(`crop`), and read the rest.",
    "keep = min",
    "cache, held = None, []; keep = min",
)
q4.patch(
    "You forget nothing, so `prefill` takes the end of the old text for a part of the new one: crop the cache "
    "to what both share.",
    "cache.crop(keep)",
    "keep = cache.length",
)
q4.patch(
    "You read the right tokens, but after the old ones: crop the cache to what both share first.",
    "            cache.crop(keep)\n",
    "            logits = next_logits(loaded.model, torch.tensor([prompt[keep:]]), cache)\n        else:\n    ",
)
q4.patch(
    "You compare with the prompt before: the cache holds its answer, too, and the next message of a chat shares it.",
    "held = [*prompt, *tokens[:-1]]",
    "held = prompt",
)
q4.patch("You count the last token of an answer as kept: it was chosen and never read.", "*tokens[:-1]]", "*tokens]")
q4.patch(
    "You read the last token of an answer, too: stop when it is chosen.",
    "held = [*prompt, *tokens[:-1]]",
    "held = [*prompt, *tokens]; decode_step(loaded.model, torch.tensor(tokens[-1:]), cache)",
)
q4.patch(
    "When the cache holds the whole prompt you leave nothing to read: keep one token less, so that there are logits.",
    "min(shared_prefix(held, prompt), len(prompt) - 1)",
    "shared_prefix(held, prompt)",
)
q4.patch("`read` is what is read of the prompt: you return what is kept.", "len(prompt) - keep", "keep")


TASKS = (q1, q2, q3, q4)
PROSE = (
    Prose(
        name="q5",
        title="Eight at once",
        points=2,
        look_for="A decode step is memory-bound: it reads all weights to do little arithmetic, so seven more texts use the same "
        "read and cost little more time. Prefill of a long prompt is compute-bound: the weights are already used for "
        "every one of its tokens, the arithmetic is busy, and eight prompts take nearly eight times as long. (Also right: "
        "every text adds its own cache to what a step reads.)",
    ),
)
