"""Pictures: arrays in, a matplotlib `Figure` with alt text out.

No model, no tensor and no widget may live here: what is drawn was computed before.
"""

from course_utils.figures.abilities import model_sizes, parameter_parts, shots_curves
from course_utils.figures.architectures import changed_positions_map, choice_grids, mask_grids
from course_utils.figures.attention import attention_map, head_explorer, head_map
from course_utils.figures.base import PALETTE, CourseFigure, png_bytes
from course_utils.figures.beams import beam_tree, length_penalty_lines, shares_by_method
from course_utils.figures.comparisons import bars_against_first, changes_with_intervals, layer_curves
from course_utils.figures.context import dots_by_group, head_spans, means_with_intervals
from course_utils.figures.failures import confidence_against_truth, counted_shares, diverging_bars
from course_utils.figures.next_token import next_token_bars, written_tokens
from course_utils.figures.pipeline import pipeline_steps
from course_utils.figures.prefill_decode import cache_steps, roofline, run_timeline, total_work
from course_utils.figures.prompts import explored_prompts, masked_batch
from course_utils.figures.repetition import end_of_text, logit_changes, loop_rounds, repetition_steps
from course_utils.figures.sampling import sampling_stages
from course_utils.figures.sampling_curves import diversity_and_surprisal, kept_by_order, probability_mass
from course_utils.figures.serving import batch_tradeoff, growth_lines, slot_schedules
from course_utils.figures.tokens import token_chips, token_counts
from course_utils.figures.training import accuracy_intervals, loss_curves
from course_utils.figures.vectors import curves, word_map

__all__ = [
    "PALETTE",
    "CourseFigure",
    "accuracy_intervals",
    "attention_map",
    "bars_against_first",
    "batch_tradeoff",
    "beam_tree",
    "cache_steps",
    "changed_positions_map",
    "changes_with_intervals",
    "choice_grids",
    "confidence_against_truth",
    "counted_shares",
    "curves",
    "diverging_bars",
    "diversity_and_surprisal",
    "dots_by_group",
    "end_of_text",
    "explored_prompts",
    "growth_lines",
    "head_explorer",
    "head_map",
    "head_spans",
    "kept_by_order",
    "layer_curves",
    "length_penalty_lines",
    "logit_changes",
    "loop_rounds",
    "loss_curves",
    "mask_grids",
    "masked_batch",
    "means_with_intervals",
    "model_sizes",
    "next_token_bars",
    "parameter_parts",
    "pipeline_steps",
    "png_bytes",
    "probability_mass",
    "repetition_steps",
    "roofline",
    "run_timeline",
    "sampling_stages",
    "shares_by_method",
    "shots_curves",
    "slot_schedules",
    "token_chips",
    "token_counts",
    "total_work",
    "word_map",
    "written_tokens",
]
