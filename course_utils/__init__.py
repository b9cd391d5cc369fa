"""The helper library of the course: real models, the ideas as code to read, pictures, widgets.

Rooms, in the direction that data flows: `models` (where weights come from), `engine` (how a model generates),
`tokenizers`, `measuring` and `experiments` (what the lessons count and try), `traces` (a real run, recorded), `figures`
(arrays in, picture out), `widgets` (an interactive picture), `learner` (predictions, quizzes, progress). `cli` is the
`course` command. CONTRIBUTING.md has the whole map.
"""

import course_utils.models.offline  # noqa: F401 - before any room can import transformers

__version__ = "0.1.0"
