"""How a language model generates, as code to read: torch in, torch out, equal to `transformers`.

Attention, the two architectures, the KV cache, sampling, penalties, stopping, beams. Nothing here draws, measures
time or knows about notebooks.
"""
