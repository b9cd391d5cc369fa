"""The helper library of the course: real models, the ideas as code to read, pictures, widgets.

Rooms, in the direction that data flows: `models` (where weights come from), `inference` (the ideas
themselves), `traces` (a real run, recorded), `figures` (arrays in, picture out), `widgets` (a picture you
can touch), `learning` (predictions, quizzes, progress). `cli` is the `course` command.
"""

__version__ = "0.1.0"
