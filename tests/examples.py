"""How many examples hypothesis draws for a test: a third in an ordinary run, all of them in a thorough one.

The draws differ from run to run, in CI too, so what one run leaves out, another has. `COURSE_THOROUGH_TESTS=1` asks
for all; a failure prints the line that draws its example again.
"""

import os

from hypothesis import HealthCheck, settings

# How long an example takes says something about the machine, and nothing about what is tested.
settings.register_profile(
    "thorough", deadline=None, derandomize=False, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("fast", settings.get_profile("thorough"), max_examples=34)
PROFILE = "thorough" if os.environ.get("COURSE_THOROUGH_TESTS") == "1" else "fast"
settings.load_profile(PROFILE)


def examples(number: int) -> settings:
    """Return the settings of a test that draws `number` examples in a thorough run."""
    return settings(max_examples=number if PROFILE == "thorough" else max(10, number // 3))
