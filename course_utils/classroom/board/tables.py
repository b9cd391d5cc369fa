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
answers = sa.Table(
    "answers",
    TABLES,
    sa.Column("id", sa.Integer, primary_key=True),  # their order
    sa.Column("room", sa.ForeignKey("rooms.code"), nullable=False),
    sa.Column("person", sa.ForeignKey("people.id"), nullable=False),
    sa.Column("message", sa.String(64), nullable=False),
    sa.Column("question", sa.String(80), nullable=False),
    sa.Column("round", sa.Integer, nullable=False),
    sa.Column("choice", sa.String(500), nullable=False),
    sa.Column("said", sa.String(500), nullable=False),
    sa.Column("at", sa.DateTime(timezone=True), nullable=False),
    sa.UniqueConstraint("person", "message"),
    sa.Index("of_a_question", "room", "question"),
)
