"""The tables of the board's database.

Lesson: none (this is for teachers).
"""

import sqlalchemy as sa

CODE_LENGTH = 6

TABLES = sa.MetaData()
rooms = sa.Table(
    "rooms",
    TABLES,
    sa.Column("code", sa.String(CODE_LENGTH), primary_key=True),
    sa.Column("secret", sa.String(64), nullable=False, unique=True),
    sa.Column("asks_names", sa.Boolean, nullable=False, default=False),
    sa.Column("current", sa.String(80)),
    sa.Column("made", sa.DateTime(timezone=True), nullable=False),
)
people = sa.Table(
    "people",
    TABLES,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("room", sa.ForeignKey("rooms.code"), nullable=False),
    sa.Column("key", sa.String(64), nullable=False),  # a hash of what the learner's machine or the hub says
    sa.Column("name", sa.String(40)),
    sa.UniqueConstraint("room", "key"),
)
asked = sa.Table(
    "asked",
    TABLES,
    sa.Column("room", sa.ForeignKey("rooms.code"), primary_key=True),
    sa.Column("question", sa.String(80), primary_key=True),
    sa.Column("round", sa.Integer, nullable=False),
    sa.Column("is_open", sa.Boolean, nullable=False),
    sa.Column("is_shown", sa.Boolean, nullable=False),
    sa.Column("is_revealed", sa.Boolean, nullable=False),
)
# Since when answers to a question count in which round; before the first of its rows they count in round 1.
rounds = sa.Table(
    "rounds",
    TABLES,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("room", sa.ForeignKey("rooms.code"), nullable=False),
    sa.Column("question", sa.String(80), nullable=False),
    sa.Column("round", sa.Integer, nullable=False),
    sa.Column("since", sa.DateTime(timezone=True), nullable=False),
    sa.Index("rounds_of_a_question", "room", "question"),
)
answers = sa.Table(
    "answers",
    TABLES,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("room", sa.ForeignKey("rooms.code"), nullable=False),
    sa.Column("person", sa.ForeignKey("people.id"), nullable=False),
    sa.Column("message", sa.String(64), nullable=False),
    sa.Column("question", sa.String(80), nullable=False),
    sa.Column("round", sa.Integer, nullable=False),
    sa.Column("choice", sa.String(500), nullable=False),
    sa.Column("said", sa.String(500), nullable=False),
    sa.Column("at", sa.DateTime(timezone=True), nullable=False),  # when it was chosen, which may be long before it came
    sa.UniqueConstraint("person", "message"),
    sa.Index("of_a_question", "room", "question"),
)
