"""The hub profile: the famous models instead of the course's own, from the Hugging Face hub or what is cached of it.

`COURSE_MODELS=hub` switches it on. Every model is pinned to a revision, so what is fetched today is fetched tomorrow.

Lesson: 04 · The pipeline tasks
"""

import errno
import os
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TookTooLong
from functools import cache
from pathlib import Path
from typing import NamedTuple

from huggingface_hub import constants, snapshot_download
from huggingface_hub.errors import (
    HTTPError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from course_utils.models import offline
from course_utils.models.store import ModelStoreError

PROFILES = ("embedded", "hub")
SECONDS_TO_ANSWER = 3
_ON = ("1", "ON", "YES", "TRUE")  # as huggingface_hub reads its settings
# A repository may hold the same weights in five formats; one of them, and what is read beside it, is enough.
_FILES = ["*.safetensors", "*.json", "*.txt", "*.model"]


class HubModel(NamedTuple):
    """A model of the hub: its repository, and the commit that the course was made with.

    Lesson: 04 · The pipeline tasks

    >>> HUB_MODELS["translation"].repository
    'google-t5/t5-small'
    """

    repository: str
    revision: str


# The models that transformers takes, or took, when no model is named. The revisions are the ones it pins, in full.
HUB_MODELS = {
    "sentiment-analysis": HubModel(
        "distilbert/distilbert-base-uncased-finetuned-sst-2-english", "714eb0fa89d2f80546fda750413ed43d93601a13"
    ),
    "zero-shot-classification": HubModel("facebook/bart-large-mnli", "d7645e127eaf1aefc7862fd59a17a5aa8558b8ce"),
    "text-generation": HubModel("openai-community/gpt2", "607a30d783dfa663caf39e06633721c8d4cfcd7e"),
    "fill-mask": HubModel("distilbert/distilroberta-base", "fb53ab8802853c8e4fbdbcd0529f21fc6f459b2b"),
    "ner": HubModel("dbmdz/bert-large-cased-finetuned-conll03-english", "4c534963167c08d4b8ff1f88733cf2930f86add0"),
    "question-answering": HubModel(
        "distilbert/distilbert-base-cased-distilled-squad", "564e9b582944a57a3e586bbb98fd6f0a4118db7f"
    ),
    "translation": HubModel("google-t5/t5-small", "df1b051c49625cf57a3d0d8d3863ed4d13564fe4"),
    "feature-extraction": HubModel("distilbert/distilbert-base-cased", "6ea81172465e8b0ad3fddeed32b986cdcdcffcf0"),
}
for _task in ("summarization", "text2text-generation"):  # T5 is told what to do in words
    HUB_MODELS[_task] = HUB_MODELS["translation"]
HUB_MODELS["text-classification"] = HUB_MODELS["sentiment-analysis"]
HUB_MODELS["token-classification"] = HUB_MODELS["ner"]


def profile() -> str:
    """Return which models the course runs on: "embedded", or "hub" with `COURSE_MODELS=hub`.

    Raises:
        ValueError: `COURSE_MODELS` is something else.

    Lesson: 04 · The pipeline tasks

    >>> profile()
    'embedded'
    """
    chosen = os.environ.get("COURSE_MODELS") or "embedded"
    if chosen not in PROFILES:
        raise ValueError(f"COURSE_MODELS must be one of {PROFILES}, got {chosen!r}")
    return chosen


def is_hub_asked() -> bool:
    """Say whether the hub may be asked: in the embedded profile only with `HF_HUB_OFFLINE=0`.

    Lesson: 04 · The pipeline tasks

    >>> is_hub_asked()
    False
    """
    return profile() == "hub" or (os.environ.get("HF_HUB_OFFLINE") or "1").upper() not in _ON


def ask_again() -> None:
    """Let the hub be asked if only the course itself has switched that off.

    Lesson: 04 · The pipeline tasks
    """
    if offline.is_ours:
        os.environ.pop("HF_HUB_OFFLINE", None)
        offline.is_ours = constants.HF_HUB_OFFLINE = False


def fetch_from_hub(model: HubModel) -> Path:
    """Return the folder of a model of the hub; what is already in the hub's cache needs no network.

    Raises:
        ModelStoreError: It cannot be had; the message says why and what to do. A hub that does not answer is
            noticed in `SECONDS_TO_ANSWER` seconds.

    Lesson: 04 · The pipeline tasks
    """
    wanted = {"repo_id": model.repository, "revision": model.revision, "allow_patterns": _FILES}
    try:
        return Path(snapshot_download(**wanted, local_files_only=True))
    except LocalEntryNotFoundError:
        check_reachable()
    ask_again()
    if constants.is_offline_mode():
        raise ModelStoreError(
            f"{model.repository} could not be fetched: this process is offline; call use_course_models() again, or "
            "start Python without HF_HUB_OFFLINE."
        )
    try:
        return Path(snapshot_download(**wanted))
    except (OSError, HTTPError) as error:
        raise ModelStoreError(f"{model.repository} could not be fetched: {_advice(model, error)}.") from error


def _advice(model: HubModel, error: Exception) -> str:
    if isinstance(error, RevisionNotFoundError):
        return f"the hub has no revision {model.revision} of it; update the course, or set COURSE_MODELS=embedded"
    if isinstance(error, RepositoryNotFoundError):
        return "the hub has no such repository; update the course, or set COURSE_MODELS=embedded"
    # The client hides what the hub said behind "not in the cache".
    answers = [getattr(one, "response", None) for one in (error, error.__cause__)]
    status = next((answer.status_code for answer in answers if answer is not None), None)
    if status == 429:
        return "the hub says that this address asked too often; wait some minutes, or log in with `hf auth login`"
    if status is not None:
        return f"the hub answered with status {status}; try again later, or set COURSE_MODELS=embedded"
    if getattr(error, "errno", None) == errno.ENOSPC:
        return f"there is not enough free space in {constants.HF_HUB_CACHE}; free some, or set HF_HOME to a larger disk"
    if any(words in str(error) for words in ("onsistency check failed", "incomplete", "without sending complete")):
        return "a file arrived cut short; run it again, it continues from there"
    return f"{str(error).splitlines()[0]}; try again, or set COURSE_MODELS=embedded"


@cache
def check_reachable() -> None:
    """Ask once whether the hub answers: its client would try for 23 seconds, for every file.

    Raises:
        ModelStoreError: It doesn't, in `SECONDS_TO_ANSWER` seconds; the message says what to do.

    Lesson: 04 · The pipeline tasks
    """
    # Looking up a name cannot be given a time limit, so a thread does it while we look at the clock.
    helper = ThreadPoolExecutor(1)
    try:
        helper.submit(_ask).result(timeout=SECONDS_TO_ANSWER)
    except (OSError, TookTooLong) as error:
        raise ModelStoreError(
            f"The hub at {constants.ENDPOINT} does not answer; connect to a network, or set COURSE_MODELS=embedded "
            "to use the course's own models."
        ) from error
    finally:
        helper.shutdown(wait=False)


def _ask() -> None:
    request = urllib.request.Request(constants.ENDPOINT, method="HEAD")
    try:
        urllib.request.urlopen(request, timeout=SECONDS_TO_ANSWER).close()
    except urllib.error.HTTPError:
        return  # an answer, whatever it says
