"""How many bytes of JavaScript a widget may bring: 15 KiB of its own, and the part that all of them share."""

from importlib.resources import files

SHARED_BYTES = len((files("course_utils.widgets") / "_common.js").read_bytes())
MOST_ESM_BYTES = 15 * 1024 + SHARED_BYTES
