"""Settings that other libraries have and the course's `generate` doesn't: what to use instead.

Lesson: 15 · Capstone: your own generate()
"""

from course_utils.engine.arguments import plain

# They change nothing of what is generated here.
NO_EFFECT = ("bos_token_id", "transformers_version")

_PROCESSOR = "logits_processor=[{}(…)] of transformers"
_STREAM = "stream() and leave its loop when you have seen enough"
_RECORD = "record_generation(), which keeps the logits of every step"
_LIST = "what generate() returns: a list of Generated, one for each text"
_PLAIN = "model.generate() of transformers"

INSTEAD = {
    "max_tokens": "max_new_tokens",
    "max_completion_tokens": "max_new_tokens",
    "n_predict": "max_new_tokens",
    "temp": "temperature",
    "position_ids": "attention_mask: the positions follow from it",
    "num_predict": "max_new_tokens",
    "min_tokens": "min_new_tokens",
    "n": "num_return_sequences",
    "num_samples": "num_return_sequences",
    "best_of": "num_beams and num_return_sequences",
    "beam_size": "num_beams",
    "beam_width": "num_beams",
    "use_beam_search": "num_beams",
    "stop_sequences": "stop_strings",
    "stop_words": "stop_strings",
    "stop_token_ids": "eos_token_id",
    "stop_ids": "eos_token_id",
    "ignore_eos": "eos_token_id=None",
    "repeat_penalty": "repetition_penalty",
    "no_repeat_ngram": "no_repeat_ngram_size, or penalties=[('no_repeat_ngram', …)]",
    "random_seed": "seed",
    "random_state": "seed",
    "manual_seed": "seed",
    "logit_bias": _PROCESSOR.format("SequenceBiasLogitsProcessor"),
    "logprobs": _RECORD,
    "top_logprobs": _RECORD,
    "prompt": "ids, which a tokenizer makes",
    "text": "ids, which a tokenizer makes",
    "inputs_embeds": "ids: the course's generate() reads tokens",
    "decoder_input_ids": "decoder_start_token_id",
    "stream": "stream(), which yields every token",
    "streamer": "stream(), which yields every token",
    "stopping_criteria": f"stop_strings or eos_token_id, or {_STREAM}",
    "max_time": _STREAM,
    "assistant_model": _PLAIN,
    "custom_generate": _PLAIN,
    "synced_gpus": _PLAIN,
    "trust_remote_code": _PLAIN,
    "past_key_values": "prefill(), which takes a cache",
    "negative_prompt_ids": _PROCESSOR.format("UnbatchedClassifierFreeGuidanceLogitsProcessor"),
    "negative_prompt_attention_mask": _PROCESSOR.format("UnbatchedClassifierFreeGuidanceLogitsProcessor"),
    "guidance_scale": _PROCESSOR.format("UnbatchedClassifierFreeGuidanceLogitsProcessor"),
    "prefix_allowed_tokens_fn": _PROCESSOR.format("PrefixConstrainedLogitsProcessor"),
    "sequence_bias": _PROCESSOR.format("SequenceBiasLogitsProcessor"),
    "encoder_repetition_penalty": _PROCESSOR.format("EncoderRepetitionPenaltyLogitsProcessor"),
    "encoder_no_repeat_ngram_size": _PROCESSOR.format("EncoderNoRepeatNGramLogitsProcessor"),
    "exponential_decay_length_penalty": _PROCESSOR.format("ExponentialDecayLengthPenalty"),
    "remove_invalid_values": _PROCESSOR.format("InfNanRemoveLogitsProcessor"),
    "renormalize_logits": _PROCESSOR.format("LogitNormalization"),
    "watermarking_config": _PROCESSOR.format("WatermarkLogitsProcessor"),
    "typical_p": _PROCESSOR.format("TypicalLogitsWarper"),
    "top_h": _PROCESSOR.format("TopHLogitsWarper"),
    "epsilon_cutoff": _PROCESSOR.format("EpsilonLogitsWarper"),
    "eta_cutoff": _PROCESSOR.format("EtaLogitsWarper"),
    "output_scores": _RECORD,
    "output_logits": _RECORD,
    "output_attentions": "record_attention(), which keeps the attention of every head",
    "output_hidden_states": "the model itself: model(ids, output_hidden_states=True)",
    "return_dict_in_generate": _LIST,
    "return_dict": _LIST,
    "return_full_text": _LIST,
    "num_beam_groups": "num_beams",
    "diversity_penalty": "num_beams",
}

_OFF = {
    "typical_p": 1, "epsilon_cutoff": 0, "eta_cutoff": 0, "encoder_repetition_penalty": 1, "guidance_scale": 1,
    "encoder_no_repeat_ngram_size": 0, "num_beam_groups": 1, "diversity_penalty": 0, "n": 1, "best_of": 1,
}  # fmt: skip


def is_off(name: str, value: object) -> bool:
    """Tell whether a setting that the course doesn't have is switched off, so that it may be given all the same.

    >>> is_off("num_beam_groups", 1), is_off("output_scores", False), is_off("max_tokens", 30)
    (True, True, False)
    """
    number = plain(value)
    has_name = name in INSTEAD or name in _OFF
    return (has_name and (number is None or number is False)) or (
        name in _OFF and isinstance(number, int | float) and number == _OFF[name]
    )
