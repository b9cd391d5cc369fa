"""Imported before transformers, this keeps the Hugging Face hub's client off the network in the embedded profile.

The client reads `HF_HUB_OFFLINE` once, when it's imported. Where transformers came first, the client may ask the hub,
but doesn't for the course's own models: they load with `local_files_only`.

Lesson: none (this is about loading).
"""

import os
import sys

is_ours = False  # whether this module has set the variable, and not the user
if "huggingface_hub" not in sys.modules and os.environ.get("COURSE_MODELS") != "hub":
    is_ours = not os.environ.get("HF_HUB_OFFLINE")
    os.environ["HF_HUB_OFFLINE"] = os.environ.get("HF_HUB_OFFLINE") or "1"
