"""The run that the speed lab shows beside yours: `python -m benchmarks.speed --record`, on a quiet machine.

Every number is measured in this run. Nothing else should run on the machine meanwhile.
"""

import argparse
import os
from pathlib import Path

import course_utils
from course_utils.models import CausalLM, load_causal_lm
from course_utils.traces import SpeedTrace, record_speed

PROMPT_LENGTHS = (16, 64, 256)
BATCHES = (1, 2, 4, 8)
NEW_TOKENS = 8
DTYPES = ("fp32", "bf16")
RECORD = Path(course_utils.__file__).parent / "traces" / "recorded_speed.json"


def main() -> None:
    """Measure, print, and with --record write `course_utils/traces/recorded_speed.json`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3, help="runs of each point (default 3)")
    parser.add_argument("--record", action="store_true", help=f"write {RECORD.name}")
    arguments = parser.parse_args()
    trace = measure(load_causal_lm(), arguments.repeats)
    print("\n".join(lines(trace)))
    if arguments.record:
        RECORD.write_text(trace.to_json(), encoding="utf-8")


def measure(smollm: CausalLM, repeats: int) -> SpeedTrace:
    """Measure every prompt length and every batch size, with one thread and with all, in both formats."""
    threads = sorted({1, os.cpu_count() or 1})
    return record_speed(smollm, PROMPT_LENGTHS, NEW_TOKENS, BATCHES, threads, DTYPES, repeats)


def lines(trace: SpeedTrace) -> list[str]:
    """The points as a table, with what the machine's rates alone predict."""
    where = trace.where
    made = [f"{where.processor}, {where.cores} cores, torch {where.torch}, {trace.model}"]
    made.append("prompt batch threads format |  TTFT ms predicted |  TPOT ms predicted | tokens/s predicted")
    for point in range(len(trace)):
        prompt, batch, threads, dtype = trace.key(point)
        cells = [f"{prompt:6,} {batch:5} {threads:7} {dtype:6}"]
        for what, unit in (("ttft", 1000), ("tpot", 1000), ("throughput", 1)):
            measured, predicted = trace.measured(point, what).median, trace.predicted(point, what)
            cells.append(f"{measured * unit:8.1f} {predicted * unit:8.1f}")
        made.append(" | ".join(cells))
    return made


if __name__ == "__main__":
    main()
