"""Two OpenAI-compatible servers on this machine: one of fifty lines to read, and `transformers serve`.

Both answer at 127.0.0.1 only, and stop when their `with` block ends.

Lesson: 14 · Speed and memory in practice
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread
from typing import IO

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils.import_utils import is_serve_available

from course_utils.engine.arguments import check_number
from course_utils.engine.chats import chat_ids
from course_utils.engine.generate import stream
from course_utils.serving.client import ServerError


@contextmanager
def own_server(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> Iterator[str]:
    """Serve the course's own `stream()` in the format of OpenAI's chat API; yield the server's URL.

    It answers one request at a time, greedy; a second one waits. Real servers batch.

    Args:
        model: A causal LM of `transformers`.
        tokenizer: Its tokenizer, with a chat template.

    Raises:
        ValueError: The tokenizer has no chat template.

    >>> from course_utils.serving.client import ask
    >>> from course_utils.models import load_causal_lm
    >>> smollm = load_causal_lm()
    >>> with own_server(smollm.model, smollm.tokenizer) as url:
    ...     ask(url, "What is the capital of France?", model="SmolLM2", max_tokens=6).text
    'The capital of France is Paris'
    """
    if tokenizer.chat_template is None:
        raise ValueError("tokenizer must have a chat template to serve a chat, got none: set tokenizer.chat_template")
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(model, tokenizer))
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(model, tokenizer) -> type[BaseHTTPRequestHandler]:
    one_at_a_time = Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.end_headers()
            with one_at_a_time:
                try:
                    for event in _answer(model, tokenizer, request):
                        self.wfile.write(f"data: {json.dumps(event)}\n\n".encode())
                except ConnectionError:
                    return  # the client is gone: stop generating
                self.wfile.write(b"data: [DONE]\n\n")

        def log_message(self, *arguments: object) -> None:
            """Say nothing: a notebook is no log file."""

    return Handler


def _answer(model, tokenizer, request: dict) -> Iterator[dict]:
    ids = torch.tensor([chat_ids(tokenizer, request["messages"])])
    count = 0
    for token in stream(model, ids, tokenizer, max_new_tokens=request.get("max_tokens", 20)):
        count += 1
        yield {"choices": [{"index": 0, "delta": {"content": token.text}, "finish_reason": None}]}
    reason = "length" if token.reason == "max_new_tokens" else "stop"
    usage = {"prompt_tokens": ids.shape[1], "completion_tokens": count, "total_tokens": ids.shape[1] + count}
    yield {"choices": [{"index": 0, "delta": {}, "finish_reason": reason}], "usage": usage}


def serving_installed() -> bool:
    """Tell whether everything that `transformers serve` needs is installed here.

    >>> serving_installed() in (True, False)
    True
    """
    return is_serve_available()


@contextmanager
def transformers_server(folder: str, options: tuple[str, ...] = (), patience: float = 120) -> Iterator[str]:
    """Start `transformers serve` for the model in `folder`, in a process of its own; yield the server's URL.

    Args:
        folder: Where the model is; also its name on the server.
        options: More of the command's options, as `("--continuous-batching",)`.
        patience: Seconds that the start may take.

    Raises:
        ValueError: `patience` is not above 0.
        ServerError: It cannot be started, or not in time.

    >>> with transformers_server("no such folder", patience=0):
    ...     pass
    Traceback (most recent call last):
    ValueError: patience must be a number of seconds above 0, got 0
    """
    patience = check_number("patience", patience, "a number of seconds above 0", lambda value: value > 0)
    if not serving_installed():
        raise ServerError("transformers serve needs more packages: pip install 'llms-by-hand[serving]'")
    port = _free_port()
    url = f"http://127.0.0.1:{port}"
    # Called without the console script, which asks the network for a newer version first.
    start = [sys.executable, "-c", "from transformers.cli.transformers import app; app()", "serve", folder]
    place = ["--host", "127.0.0.1", "--port", str(port), "--device", "cpu"]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [*start, *place, *options], stdout=log, stderr=log, env=os.environ | {"HF_HUB_OFFLINE": "1"}
        )
        try:
            _wait_for(url, process, log, patience)
            yield url
        finally:
            _stop(process)


def _wait_for(url: str, process: subprocess.Popen, log: IO[bytes], patience: float) -> None:
    end = time.monotonic() + patience
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while time.monotonic() < end:
        if process.poll() is not None:
            log.seek(0)
            lines = log.read().decode(errors="replace").strip().splitlines() or ["it said nothing"]
            raise ServerError(f"transformers serve ended at once: {lines[-1][:200]}")
        try:
            with opener.open(f"{url}/health", timeout=5):
                return
        except OSError:
            time.sleep(0.1)
    raise ServerError(f"transformers serve did not answer within {patience:g} seconds")


def _stop(process: subprocess.Popen) -> None:
    process.terminate()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _free_port() -> int:
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        return door.getsockname()[1]


def model_folder(model: PreTrainedModel) -> str:
    """Return the folder that `model` was loaded from.

    Raises:
        ValueError: It was not loaded from a folder.

    >>> from course_utils.models import load_causal_lm
    >>> Path(model_folder(load_causal_lm().model)).name
    'SmolLM2-135M-Instruct'
    """
    folder = model.config.name_or_path
    if not folder or not Path(folder).is_dir():  # an empty name would be the folder we are in
        raise ValueError(f"model must have been loaded from a folder, got {folder!r}")
    return folder
