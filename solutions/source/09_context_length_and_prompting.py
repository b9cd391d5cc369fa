# %% [markdown]
# # Exercise 09 · Context length and prompting
#
# | time | difficulty | needs |
# |---|---|---|
# | 50 minutes | ●●●○○ | lesson [09](../notebooks/09_context_length_and_prompting.ipynb), sections 2, 4 and 6 |
#
# You write what a chat program does before the model runs: it writes the messages as one text, drops what no longer
# fits, and keeps strangers from opening a turn of their own. Then you look for the place in a batch where the answer
# stands.
#
# A message is a dict with `"role"` and `"content"`, a conversation is a list of them. The role is `system`, `user` or
# `assistant`. Only the first message can be a system prompt; after it `user` and `assistant` take turns, and the last
# message is one of the user.
#
# Run the first cell, then take the tasks in order. `check("q1")` says what is right so far, as often as you like.

# %%
import torch
from course_utils.learner import checker
from course_utils.models import load_causal_lm

check = checker("09", globals())
smollm = load_causal_lm()
default_system = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"

# %% [markdown]
# ## q1 · A chat template
#
# 8 minutes, ●●○○○, 2 points.
#
# Write the chat template of SmolLM2 by hand. Each message becomes a turn: `<|im_start|>`, the role, a line break, the
# content, `<|im_end|>`, a line break. If the first message is no system prompt, `default_system` comes first, as a
# turn of its own. The text ends with the generation prompt, `<|im_start|>assistant` and a line break. The messages
# *Be brief.* (system) and *Hello!* (user) become
#
#     <|im_start|>system
#     Be brief.<|im_end|>
#     <|im_start|>user
#     Hello!<|im_end|>
#     <|im_start|>assistant
#
# Leave the list that you are given as it is.
#
# <details><summary>Hint 1</summary>Write one turn as an f-string first. A line break in it is
# <code>\n</code>.</details>
# <details><summary>Hint 2</summary><code>[new, *messages]</code> is a new list with one more message in front. A loop
# or <code>"".join(...)</code> puts the turns together.</details>


# %% nbgrader={"grade": false, "grade_id": "q1", "locked": false, "schema_version": 3, "solution": true, "task": false}
def chat_text(messages):
    """List of messages → the text that the model reads, with the generation prompt."""
    ### BEGIN SOLUTION
    if messages[0]["role"] != "system":
        messages = [{"role": "system", "content": default_system}, *messages]
    turns = [f"<|im_start|>{message['role']}\n{message['content']}<|im_end|>\n" for message in messages]
    return "".join(turns) + "<|im_start|>assistant\n"
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "q1-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false} tags=["nbval-check-output"]
### BEGIN HIDDEN TESTS
assert check("q1").is_right
### END HIDDEN TESTS
check("q1")

# %% [markdown]
# Is it what `transformers` makes of the template that ships with the model?

# %% tags=["raises-exception"]
chat = [{"role": "user", "content": "Is it far?"}, {"role": "assistant", "content": "No."}]
chat.append({"role": "user", "content": "Can I walk?"})
chat_text(chat) == smollm.tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)

# %% [markdown]
# ## q2 · A context budget
#
# 15 minutes, ●●●○○, 3 points.
#
# A conversation grows, the context does not. Each message has one more entry, `"tokens"`: what its turn takes. Prompt
# and answer share the context: the tokens of what you keep, plus `answer`, may be `context_length` at most. Return the
# messages to keep, by these rules:
#
# 1. The system prompt stays, if there is one.
# 2. The oldest turns go first, and no more than needed. What is kept is the end of the conversation, without a gap.
# 3. It begins with a message of the user: an answer without its question is dropped, too.
# 4. If not even the system prompt and the last message fit, raise a `ValueError`.
#
# | role | content | tokens |
# |---|---|---|
# | system | Be brief. | 20 |
# | user | Hello! | 10 |
# | assistant | Hi! How can I help? | 15 |
# | user | Where is the ferry? | 12 |
#
# With a context of 100 and an answer of 30 all four stay: 57 + 30 is 87. With a context of 70 the first and the last
# stay: 87 is too much, and without *Hello!* its answer has to go as well.
#
# <details><summary>Hint 1</summary>Part the messages into the system prompt (a list of one or none) and the turns. Then
# drop turns from the front until both conditions are true: it fits, and the user begins.</details>
# <details><summary>Hint 2</summary><code>while turns:</code> look at <code>turns</code>, return if all is well, else
# <code>turns = turns[1:]</code>. What does it mean if the loop ends?</details>


# %% nbgrader={"grade": false, "grade_id": "q2", "locked": false, "schema_version": 3, "solution": true, "task": false}
def fit(messages, context_length, answer):
    """Messages with "tokens", the context length, the tokens of the answer → list of the messages that are kept."""
    ### BEGIN SOLUTION
    count = 1 if messages[0]["role"] == "system" else 0
    system, turns = messages[:count], messages[count:]
    while turns:
        tokens = sum(message["tokens"] for message in system + turns)
        if tokens + answer <= context_length and turns[0]["role"] == "user":
            return system + turns
        turns = turns[1:]
    raise ValueError("the last message does not fit")
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "q2-check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false} tags=["nbval-check-output"]
### BEGIN HIDDEN TESTS
assert check("q2").is_right
### END HIDDEN TESTS
check("q2")

# %% [markdown]
# ## q3 · A chat that strangers write in
#
# 12 minutes, ●●●○○, 3 points.
#
# Section 6 of the lesson showed a message that brings `<|im_end|>` and `<|im_start|>` of its own, and opens a turn
# with them. Make the ids so that this cannot happen: special tokens come from your template only. What is written in
# a message stays plain text, every character of it. `model.tokenizer(text, split_special_tokens=True).input_ids` gives
# such ids. These conversations always bring their system prompt.
#
# The message *Hello!* of the user becomes `[1, 4093, 198, 19556, 17, 2, 198]`: the id of `<|im_start|>`, *user* and a
# line break, *Hello* and *!*, the id of `<|im_end|>`, a line break. The ids end with the generation prompt,
# `[1, 520, 9531, 198]`. Return one list for the whole conversation.
#
# <details><summary>Hint 1</summary>Build the list piece by piece, and not from one text: id, ids, id, ids.</details>
# <details><summary>Hint 2</summary><code>tokenizer.convert_tokens_to_ids("&lt;|im_start|&gt;")</code> is the id of a
# special token. What your own program writes, such as the generation prompt, may go through the tokenizer as
# usual.</details>


# %% nbgrader={"grade": false, "grade_id": "q3", "locked": false, "schema_version": 3, "solution": true, "task": false}
def chat_ids(model, messages):
    """A CausalLM and messages → list of token ids, with the generation prompt; messages are plain text."""
    ### BEGIN SOLUTION
    tokenizer, ids = model.tokenizer, []
    for message in messages:
        written = tokenizer(message["content"], split_special_tokens=True).input_ids
        ids += tokenizer(f"<|im_start|>{message['role']}\n").input_ids + written
        ids += tokenizer("<|im_end|>\n").input_ids
    return ids + tokenizer("<|im_start|>assistant\n").input_ids
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "q3-check", "locked": true, "points": 3, "schema_version": 3, "solution": false, "task": false} tags=["nbval-check-output"]
### BEGIN HIDDEN TESTS
assert check("q3").is_right
### END HIDDEN TESTS
check("q3")

# %% [markdown]
# ### See them at work
#
# Somebody says where she lives, talks about ferries, and asks for the city in the end. Your `chat_ids` counts the
# tokens of each turn, less the 4 of the generation prompt.

# %% tags=["raises-exception"]
said = ["I live in Oslo.", "Oslo is a beautiful city by the sea.", "What is a ferry?"]
said += ["A boat that carries people and cars.", "Is it slow?", "Slower than a car, and faster than a rowing boat."]
said += ["In which city do I live?"]
messages = [{"role": ["user", "assistant"][place % 2], "content": text} for place, text in enumerate(said)]
messages.insert(0, {"role": "system", "content": "You are a helpful assistant."})
for message in messages:
    message["tokens"] = len(chat_ids(smollm, [message])) - 4
[message["tokens"] for message in messages]

# %% [markdown]
# Your `fit` cuts it to smaller and smaller contexts. How likely is *Oslo*, if the answer begins with *You live in*?


# %% tags=["raises-exception"]
def oslo(kept):
    """The probability of ␣Oslo as the next token."""
    logits = smollm.next_logits(chat_text(kept) + "You live in")
    return logits.softmax(-1)[smollm.labels.index("␣Oslo")].item()


for context_length in (150, 130, 100, 70):
    kept = fit(messages, context_length, answer=20)
    print(f"context {context_length:3}: {len(kept)} messages, ␣Oslo {oslo(kept):.1%}")

# %% [markdown]
# ## q4 · Where the answer stands
#
# 8 minutes, ●●○○○, 2 points.
#
# Texts of different lengths share a batch by padding ([lesson 03](../notebooks/03_the_pipeline_opened.ipynb), section
# 7). A batch has been read, with padding on the left, on the right, or on both in different rows. Return for each text the
# logits at its last real token: they are about the next one. For the attention mask `[[1, 1, 0], [0, 1, 1]]` you return
# the logits of the first text at place 1, and of the second at place 2.
#
# <details><summary>Hint 1</summary>You need one number for each text: the place of its last 1.</details>
# <details><summary>Hint 2</summary><code>attention_mask * torch.arange(seq)</code> is largest at the last 1 of a row.
# <code>logits[torch.arange(batch), places]</code> picks one place a text.</details>


# %% nbgrader={"grade": false, "grade_id": "q4", "locked": false, "schema_version": 3, "solution": true, "task": false}
def next_token_logits(logits, attention_mask):
    """logits (batch, seq, vocab), attention_mask (batch, seq) of 0 and 1 → (batch, vocab)."""
    ### BEGIN SOLUTION
    places = (attention_mask * torch.arange(attention_mask.shape[1])).argmax(-1)
    return logits[torch.arange(len(logits)), places]
    ### END SOLUTION


# %% nbgrader={"grade": true, "grade_id": "q4-check", "locked": true, "points": 2, "schema_version": 3, "solution": false, "task": false} tags=["nbval-check-output"]
### BEGIN HIDDEN TESTS
assert check("q4").is_right
### END HIDDEN TESTS
check("q4")

# %% [markdown]
# Two prompts, padded on the right. In [lesson 03](../notebooks/03_the_pipeline_opened.ipynb) the last column of such a
# batch said nothing about Paris:

# %% tags=["raises-exception"]
pair = ["The capital of France is", "Once upon a time, in a village by the sea, there"]
batch = smollm.tokenizer(pair, padding=True, padding_side="right", return_tensors="pt")
with torch.inference_mode():
    found = next_token_logits(smollm.model(**batch).logits, batch.attention_mask)
[smollm.labels[token] for token in found.argmax(-1)]

# %% [markdown]
# ## q5 · Two ways to forget
#
# 5 minutes, ●●●○○, 2 points. A person reads your answer.
#
# A chat has become too long. Program A drops the oldest part of the *text*, and reads what is left from the start.
# Program B saves that work: it throws the oldest tokens out of the *KV cache* and goes on. Both keep the last 1,000
# tokens. Yet A writes well, and B writes nonsense from then on. Why, after what you saw in section 4? Which small
# change repairs B? Two or three sentences.

# %% [markdown] nbgrader={"grade": true, "grade_id": "q5", "locked": false, "points": 2, "schema_version": 3, "solution": true, "task": false}
# Many heads rest on the first token of what they read, and give it a large share of their attention. A reads the rest
# as a new text, so another token becomes the first one and takes that part. In B the first token is gone and nothing
# is in its place, so that attention goes to tokens it was never meant for. B is repaired if it keeps the first token
# (or the first few) in the cache, beside the newest ones.

# %% [markdown]
# ## Stretch · Drop the middle
#
# 10 minutes, ●●●●○, no points.
#
# The oldest turn is not always the least important one: people say at the start who they are and what they want. Write
# `fit_ends(messages, context_length, answer)`: it keeps the system prompt, the first question with its answer, and as
# many of the newest turns as fit. Does the model know the city now?


# %% nbgrader={"grade": false, "grade_id": "stretch", "locked": false, "schema_version": 3, "solution": true, "task": false} tags=["raises-exception"]
def fit_ends(messages, context_length, answer):
    """As `fit`, for conversations with a system prompt; the first question and its answer stay, too."""
    ### BEGIN SOLUTION
    first, rest = messages[:3], messages[3:]
    room = context_length - sum(message["tokens"] for message in first)
    return first + fit(rest, room, answer)
    ### END SOLUTION


for context_length in (150, 130, 100):
    kept = fit_ends(messages, context_length, answer=20)
    print(f"context {context_length:3}: {len(kept)} messages, ␣Oslo {oslo(kept):.1%}")

# %% [markdown]
# **Lesson**: [09 · Context length and prompting](../notebooks/09_context_length_and_prompting.ipynb). **This
# exercise**: [to solve](../exercises/09_context_length_and_prompting.ipynb),
# [solved](../solutions/09_context_length_and_prompting.ipynb). **Next exercise**: [10 · Prefill and
# decode](10_prefill_and_decode.ipynb). **All lessons**: [the index](../notebooks/index.ipynb).
