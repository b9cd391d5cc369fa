"""Lesson 08 in JupyterLab: the attention explorer by keyboard and mouse, at 20, 60 and 200 tokens."""

import json

import pytest

from tests.browser.conftest import open_and_run

pytestmark = pytest.mark.browser

MILLISECONDS = {"page": 50, "kernel": 250, "open": 2000}
PRESSES = 24
TEXT = "The history of the railway began long before the first engine ran on iron rails. "
SIZES = [20, 60, 200]
SETUP = f"""
from course_utils.models import load_causal_lm
from course_utils.traces import record_attention
from course_utils.widgets import AttentionExplorer
smollm = load_causal_lm()
words = smollm.encode({TEXT!r} * 20)[0]
traces = {{size: record_attention(smollm, smollm.tokenizer.decode(words[:size])) for size in {SIZES}}}
[len(trace.key_tokens) for trace in traces.values()]
"""


@pytest.fixture(scope="module")
def page(browser, lab_server, outside_requests):
    """The lesson, opened and run from top to bottom."""
    drawn = "document.querySelectorAll('.attention-explorer[data-drawn]').length >= 2"
    return open_and_run(browser, lab_server, outside_requests, "08_attention", drawn, width=1300)


@pytest.fixture(scope="module")
def sizes(browser, lab_server, outside_requests):
    """A scratch notebook with real runs of SmolLM2 at 20, 60 and 200 tokens."""
    cells = [SETUP, *[f"AttentionExplorer(traces[{size}], layer=3)" for size in SIZES]]
    notebook = {
        "cells": [
            {"cell_type": "code", "id": f"c{i}", "metadata": {}, "source": cell, "outputs": [], "execution_count": None}
            for i, cell in enumerate(cells)
        ],
        "metadata": {"kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    path = lab_server["home"].parent / "notebooks" / "attention_sizes.ipynb"
    path.write_text(json.dumps(notebook))
    drawn = "document.querySelectorAll('.attention-explorer[data-drawn]').length === 3"
    page = open_and_run(browser, lab_server, outside_requests, path.stem, drawn, width=1300)
    # Each explorer gets a name to be found by.
    names = (
        "sizes => document.querySelectorAll('.attention-explorer').forEach((root, i) => root.id = 'size-' + sizes[i])"
    )
    page.evaluate(names, SIZES)
    page.wait_for_timeout(1_000)  # the short ones fetch all their layers in the background
    return page


def explorer_of(page, size):
    root = page.locator(f"#size-{size}")
    root.scroll_into_view_if_needed()
    return root
