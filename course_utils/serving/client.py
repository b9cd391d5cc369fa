"""A client for OpenAI-compatible servers: ask, read the answer piece by piece, note when each piece came.

Plain HTTP from the standard library, so that every line of the protocol can be seen.

Lesson: 14 · Speed and memory in practice
"""

import http.client
import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass

from course_utils.engine.arguments import check_number, check_whole

LOOPBACK = ("127.0.0.1", "localhost", "::1")


class ServerError(RuntimeError):
    """A server did not answer as it should; one sentence that says what to do.

    >>> raise ServerError("nothing answers at http://127.0.0.1:9")
    Traceback (most recent call last):
    course_utils.serving.client.ServerError: nothing answers at http://127.0.0.1:9
    """


@dataclass(frozen=True)
class ServerAnswer:
    """What a server wrote, and when.

    Args:
        seconds: From the request to each piece of text, `(pieces,)`.
        counted: Whether the server said how many; if not, every piece is taken for a token.

    >>> answer = ServerAnswer("It is Paris.", (0.5, 0.7, 0.9), tokens=5, counted=True)
    >>> answer.ttft, round(answer.tpot, 3)
    (0.5, 0.1)
    """

    text: str
    seconds: tuple[float, ...]
    tokens: int
    counted: bool

    @property
    def ttft(self) -> float:
        """Seconds to the first piece: the way there and back, waiting for other users, prefill."""
        return self.seconds[0]

    @property
    def tpot(self) -> float:
        """Seconds per token after the first.

        Raises:
            ValueError: The answer has only one token.
        """
        if self.tokens < 2:
            raise ValueError(f"tokens must be at least 2 for a time per output token, got {self.tokens}")
        return (self.seconds[-1] - self.seconds[0]) / (self.tokens - 1)


def ask(
    url: str, question: str, model: str, max_tokens: int = 20, key: str | None = None, timeout: float = 60
) -> ServerAnswer:
    """Send one question to an OpenAI-compatible server, greedy, and read the whole answer as a stream.

    Args:
        url: The server, as `http://127.0.0.1:8000`; with or without `/v1` at the end.
        model: The name of the model on that server.
        key: What the server wants as a password, if it wants one.
        timeout: Seconds of silence after which to give up.

    Raises:
        ValueError: A setting is out of its range, or `url` is not one of a server.
        ServerError: The server is not there, refuses, is busy, falls silent, breaks off or sends no text.

    >>> ask("127.0.0.1:8000", "Hello?", model="SmolLM2")
    Traceback (most recent call last):
    ValueError: url must begin with http:// or https://, got '127.0.0.1:8000'
    """
    max_tokens = check_whole("max_tokens", max_tokens, 1)
    timeout = check_number("timeout", timeout, "a number of seconds above 0", lambda value: value > 0)
    request = _request(url, question, model, max_tokens, key)
    texts, seconds, tokens, start = [], [], None, time.perf_counter()
    for event in _read(request, timeout):
        text = _text(event)
        if text:
            seconds.append(time.perf_counter() - start)
            texts.append(text)
        tokens = (event.get("usage") or {}).get("completion_tokens", tokens)
    if not texts:
        raise ServerError(f"{url} answered without any text")
    # A token can be half a character, and then it has no text of its own: the server's count is the right one.
    return ServerAnswer("".join(texts), tuple(seconds), tokens or len(texts), tokens is not None)


def _request(url: str, question: str, model: str, max_tokens: int, key: str | None) -> urllib.request.Request:
    """Return the request for a streamed chat answer, as OpenAI's API documents it."""
    parts = urllib.parse.urlsplit(url if isinstance(url, str) else "")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"url must begin with http:// or https://, got {url!r}")
    body = {
        "model": model,
        "messages": [{"role": "user", "content": question}],
        "max_tokens": max_tokens,
        "temperature": 0,
        "stream": True,
        "stream_options": {"include_usage": True},  # without it, most servers do not count the tokens
    }
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
    address = url.rstrip("/").removesuffix("/v1") + "/v1/chat/completions"
    return urllib.request.Request(address, json.dumps(body).encode(), headers)


def _read(request: urllib.request.Request, timeout: float) -> Iterator[dict]:
    """Send a request and yield the events of its answer, one `data: {…}` line each."""
    server = f"{request.type}://{request.host}"
    finished = False
    try:
        with _opener(request).open(request, timeout=timeout) as stream:
            for event in _events(stream, server):
                finished = finished or any(choice.get("finish_reason") for choice in event.get("choices") or [])
                yield event
    except urllib.error.HTTPError as error:
        raise ServerError(_refusal(server, error)) from None
    except TimeoutError:
        raise ServerError(f"{server} was silent for {timeout:g} seconds") from None
    except urllib.error.URLError as error:
        if isinstance(error.reason, TimeoutError):
            raise ServerError(f"{server} was silent for {timeout:g} seconds") from None
        raise ServerError(f"nothing answers at {server}: is the server running?") from None
    except (ConnectionError, http.client.HTTPException):
        raise ServerError(f"{server} broke off in the middle of its answer") from None
    if not finished:
        raise ServerError(f"{server} broke off in the middle of its answer")


def _events(stream, server: str) -> Iterator[dict]:
    for line in stream:
        kind, _, data = line.decode(errors="replace").strip().partition(":")
        data = data.strip()
        if kind != "data" or data == "[DONE]":  # other lines keep the connection alive, or say nothing we need
            continue
        try:
            event = json.loads(data)
        except json.JSONDecodeError:
            raise ServerError(f"{server} sent something that is not JSON: {data[:60]!r}") from None
        if not isinstance(event, dict):
            raise ServerError(f"{server} sent something that is not an event: {data[:60]!r}")
        if "error" in event:
            raise ServerError(f"{server} failed while it answered: {_short(event['error'])}")
        yield event


def _text(event: dict) -> str:
    choices = event.get("choices") or [{}]
    return (choices[0].get("delta") or {}).get("content") or ""


def _refusal(server: str, error: urllib.error.HTTPError) -> str:
    if error.code == 429:
        wait = error.headers.get("Retry-After")
        return f"{server} is busy (429 Too Many Requests): try again {f'in {wait} seconds' if wait else 'later'}"
    said = _short(error.read(500).decode(errors="replace"))
    return f"{server} refused the request ({error.code} {error.reason}){f': {said}' if said else ''}"


def _short(said: object) -> str:
    return " ".join(str(said).split())[:200]


def _opener(request: urllib.request.Request) -> urllib.request.OpenerDirector:
    # A proxy is for the world outside; it does not know what runs on this machine.
    host = urllib.parse.urlsplit(request.full_url).hostname
    return urllib.request.build_opener(*([urllib.request.ProxyHandler({})] if host in LOOPBACK else []))
