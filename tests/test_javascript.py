"""The page's pure functions under Node.js, and that they say what Python says."""

import base64
import json
import os
import subprocess
from pathlib import Path

import pytest
import torch

from course_utils.engine import sampling
from course_utils.machine import ROOT
from course_utils.widgets import SamplingLab
from course_utils.widgets.base import page_module

HERE = Path(__file__).parent / "js"
LIVE = "live"  # no widget: the script of pages without a kernel
SCRIPT = ROOT / "course_utils" / "publishing" / "live" / "live.js"
TESTED = sorted(path.name.removesuffix(".test.mjs") for path in HERE.glob("*.test.mjs"))
WIDGETS = [name for name in TESTED if name != LIVE]


@pytest.fixture(scope="module")
def modules(tmp_path_factory):
    folder = tmp_path_factory.mktemp("modules")
    for name in WIDGETS:
        (folder / f"{name}.mjs").write_text(page_module(name), encoding="utf-8")
    return folder


def test_every_widget_has_javascript_tests():
    folder = Path(sampling.__file__).parents[1] / "widgets"
    assert sorted(path.stem for path in folder.glob("*.js") if not path.stem.startswith("_")) == WIDGETS


@pytest.mark.parametrize("name", TESTED)
def test_pure_functions(node, modules, name):
    environment = {**os.environ, "WIDGET_MODULES": str(modules), "LIVE_SCRIPT": str(SCRIPT)}
    run = subprocess.run(
        [node, "--test", str(HERE / f"{name}.test.mjs")], env=environment, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "# pass 0" not in run.stdout


PARITY = """
const page = await import(process.env.WIDGET_MODULES + "/sampling_lab.mjs");
const chunks = [];
for await (const chunk of process.stdin) chunks.push(chunk);
const { logits, cases } = JSON.parse(Buffer.concat(chunks));
const floats = new Float32Array(Uint8Array.from(Buffer.from(logits, "base64")).buffer);
const numbers = page.uniformNumbers(1000, 5);
const { ids, sorted } = page.rank(floats);
console.log(JSON.stringify(cases.map((settings) => {
  const stages = page.stagesOf(sorted, settings);
  const last = stages.at(-1), counts = page.drawCounts(ids, last, numbers, 1000);
  return {
    kept: stages.map((stage) => stage.kept),
    entropy: stages.map((stage) => stage.entropy),
    best: [...last.p.slice(0, 5)],
    drawn: [...counts].map(([rank, times]) => [ids[rank], times]),
  };
})));
"""

CASES = [
    {"temperature": t, "top_k": k, "top_p": p, "min_p": m, "order": order}
    for t, k, p, m in [(1, None, 1, 0), (0.7, 50, 0.9, 0.02), (2, None, 0.9, 0), (0, None, 1, 0), (1.3, 2000, 0.5, 0.1)]
    for order in (["temperature", "top_k", "top_p", "min_p"], ["min_p", "top_p", "top_k", "temperature"])
]


def test_page_and_python_agree(node, modules, random_trace):
    """Same logits, same settings: as many tokens kept, the same entropy, probabilities and draws."""
    message = {
        "logits": base64.b64encode(random_trace.logits.tobytes()).decode(),
        "cases": CASES,
    }
    environment = {**os.environ, "WIDGET_MODULES": str(modules)}
    command = [node, "--input-type=module", "-e", PARITY]
    run = subprocess.run(
        command, input=json.dumps(message), env=environment, capture_output=True, text=True, check=True
    )
    for settings, page in zip(CASES, json.loads(run.stdout), strict=True):
        lab = SamplingLab(random_trace, **settings, seed=5, draws=1000)
        logits = [stage for _, stage in lab.stages()]
        kept = [int(stage.isfinite().sum()) for stage in logits]
        # float32 sums in Python, float64 on the page: at the edge of a nucleus one token may differ.
        assert all(abs(ours - theirs) <= 1 for ours, theirs in zip(kept, page["kept"], strict=True)), settings
        entropies = torch.stack([sampling.entropy_bits(stage) for stage in logits])
        torch.testing.assert_close(entropies, torch.tensor(page["entropy"], dtype=torch.float32), atol=2e-3, rtol=0)
        best = lab.probabilities().topk(5).values
        torch.testing.assert_close(
            best[: len(page["best"])], torch.tensor(page["best"], dtype=torch.float32), atol=1e-5, rtol=1e-3
        )
        drawn = {int(token): int(lab.drawn()[token]) for token in lab.drawn().nonzero()[0]}
        differing = {token for token, times in page["drawn"] if drawn.get(token) != times}
        assert len(differing) <= 2, settings


def test_a_seed_draws_the_same_numbers_on_the_page(node, modules):
    """Bit by bit, past the first block of 624, and with the seeds at the edges."""
    seeds = [0, 1, 5, 2**31, 2**32 - 1, 2**32 + 7]
    code = (
        'const page = await import(process.env.WIDGET_MODULES + "/sampling_lab.mjs");'
        f"console.log(JSON.stringify({seeds}.map((seed) => [...page.uniformNumbers(1000, seed)])));"
    )
    environment = {**os.environ, "WIDGET_MODULES": str(modules)}
    command = [node, "--input-type=module", "-e", code]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert json.loads(run.stdout) == [sampling.uniform_numbers(1000, seed).tolist() for seed in seeds]
