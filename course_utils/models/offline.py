"""Keeps the Hugging Face hub's client off the network in the embedded profile; the package itself imports it first.

The client reads `HF_HUB_OFFLINE` once, when it's imported, so the course imports it here, before anything else can, and
sets its switch; the variable stays as it is, for the programs that a notebook starts. Where transformers came first,
the client may ask the hub, but doesn't for the course's own models: they load with `local_files_only`.

Lesson: none (this is about loading).
"""

import os
import sys

is_ours = False  # whether the switch was set here, and not by the user
if "huggingface_hub" not in sys.modules and os.environ.get("COURSE_MODELS") != "hub":
    from huggingface_hub import constants

    is_ours = not os.environ.get("HF_HUB_OFFLINE")
    if is_ours:
        constants.HF_HUB_OFFLINE = True
