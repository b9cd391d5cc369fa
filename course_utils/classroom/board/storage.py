"""What the board keeps: rooms, who is in them, what is open, and every answer, in SQLite or PostgreSQL.

Answers are only ever added (until a question is reset); what counts is what a learner chose last in each round. So
nothing is lost when the board is killed, and an answer that is sent again is recognised by its message.

Lesson: none (this is for teachers).
"""

import hashlib
import os
import secrets
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import sqlalchemy as sa
from filelock import FileLock, Timeout

from course_utils.classroom.board.tables import CODE_LENGTH, TABLES
from course_utils.classroom.board.tables import answers as _answers
from course_utils.classroom.board.tables import asked as _asked
from course_utils.classroom.board.tables import people as _people
from course_utils.classroom.board.tables import rooms as _rooms
from course_utils.classroom.board.tables import rounds as _rounds
from course_utils.errors import CourseError

# No vowels, so no words; no letter that looks like another one or like a digit.
LETTERS = "BCDFGHJKMNPQRSTVWXYZ"
MOST_PEOPLE = 1_000  # in a room
MOST_ANSWERS = 2_000  # of one learner: ten times a whole course
BOARD_LOCK = 0x6C6C6D62  # a number of our own: "llmb"
CONNECTIONS = 15  # kept open: a new one costs more than an answer
LATE = 0  # the round of an answer that was chosen after its question was closed
ROUNDS = (1, 2)
ALWAYS = datetime.fromtimestamp(0, UTC)
ON_ITS_WAY = timedelta(seconds=10)  # at most, usually; by so much it's uncertain when an answer was chosen
ACTS = ("open", "close", "show", "hide", "second", "reveal", "reset", "leave", "names", "no names")


class Room(NamedTuple):
    """A room, as it is in the database."""

    code: str
    secret: str
    asks_names: bool
    current: str | None


class Answer(NamedTuple):
    """What someone chose, or what came of a check.

    Args:
        message: Its own name: the same answer, sent again, has the same.
        question: Which question or task.
        choice: The option; of a task "right" or "wrong".
        said: The sentence about what is wrong in a task.
    """

    message: str
    question: str
    choice: str
    said: str = ""


class Stage(NamedTuple):
    """How far a question is: its round, and what is open, shown and revealed."""

    round: int = 1
    is_open: bool = False
    is_shown: bool = False
    is_revealed: bool = False


class FullError(Exception):
    """There are too many learners in the room, or too many answers of one."""


class Storage:
    """The database of the board.

    Args:
        url: As SQLAlchemy takes it: `sqlite:///board.sqlite`, `postgresql+psycopg://teacher@localhost/board`.

    Raises:
        CourseError: It can't be opened.
    """

    def __init__(self, url: str) -> None:
        try:
            where = sa.make_url(url)
            if where.drivername == "postgresql":
                where = where.set(drivername="postgresql+psycopg")
            # As many as Starlette has threads would be more than one writer and its readers can use.
            kept = {} if where.database in (None, "", ":memory:") else {"pool_size": CONNECTIONS, "max_overflow": 0}
            self.engine = sa.create_engine(where, pool_pre_ping=True, **kept)
            if where.get_backend_name() == "sqlite":
                _make_durable(self.engine)
                if where.database:
                    Path(where.database).parent.mkdir(parents=True, exist_ok=True)
                    os.close(os.open(where.database, os.O_CREAT | os.O_RDWR, 0o600))  # ours alone
            self._reader = self.engine.execution_options(reads=True)
            self._writing = threading.Lock()  # one board writes into a database, one answer after the other
            TABLES.create_all(self.engine)
            self._add_rounds()
        except (sa.exc.SQLAlchemyError, KeyError, OSError, ModuleNotFoundError) as error:
            reason = str(getattr(error, "orig", None) or error).strip().partition("\n")[0]
            raise CourseError(f"The board's database {_without_password(url)} cannot be opened: {reason}") from error

    def keep_others_out(self) -> None:
        """Be a database's only board for as long as this process lives: of two, neither hears of the other's answers.

        Raises:
            CourseError: Another board has this database.
        """
        where = self.engine.url.database
        if not where:  # in memory
            return
        if self.engine.url.get_backend_name() == "sqlite":
            self._alone = FileLock(f"{where}.lock", timeout=0)
            try:
                self._alone.acquire()
                is_alone = True
            except Timeout:
                is_alone = False
            except (OSError, NotImplementedError):  # a disk without locks
                return
        else:  # PostgreSQL has locks that end with their connection
            self._alone = self.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            # One whose machine lost its power is let go within half a minute, not two hours.
            for setting in ("idle = 10", "interval = 5", "count = 3"):
                self._alone.exec_driver_sql(f"SET tcp_keepalives_{setting}")
            is_alone = self._alone.scalar(sa.select(sa.func.pg_try_advisory_lock(BOARD_LOCK)))
        if not is_alone:
            raise CourseError(f"Another board uses {where}: stop it, or choose another database with --db.")

    def room(self, code: str) -> Room | None:
        """Return the room of this code."""
        return self._room_where(_rooms.c.code == code)

    def room_of_teacher(self, secret: str) -> Room | None:
        """Return the room whose teacher has this secret."""
        return self._room_where(_rooms.c.secret == secret)

    def latest_room(self) -> Room | None:
        """Return the room that was made last."""
        with self._reader.begin() as connection:
            return _room(connection.execute(sa.select(_rooms).order_by(_rooms.c.made.desc()).limit(1)).first())

    def make_room(self, code: str | None = None) -> Room:
        """Make a room, of a random code unless there is one."""
        code = code or "".join(secrets.choice(LETTERS) for _ in range(CODE_LENGTH))
        made = {"code": code, "secret": secrets.token_urlsafe(32), "asks_names": False, "made": datetime.now(UTC)}
        with self._write() as connection:
            connection.execute(_rooms.insert(), made)
        return self.room(code)

    def add_person(self, room: str, key: str, name: str | None = None) -> None:
        """Note that someone is in a room; a name is kept only while the room asks for names.

        Raises:
            FullError: There are `MOST_PEOPLE` already.
        """
        with self._write() as connection:
            person = self._person(connection, room, key)
            asks = connection.scalar(sa.select(_rooms.c.asks_names).where(_rooms.c.code == room))
            if name and asks:
                connection.execute(_people.update().where(_people.c.id == person).values(name=name))

    def take(self, room: str, key: str, answer: Answer, chosen: datetime | None = None) -> int:
        """Keep an answer, once; return its round, 0 if its question was closed. When this returns, it is on the disk.

        Args:
            room: The code of the room.
            key: What the learner's machine or the hub says about who it is; only a hash is kept.
            answer: The answer.
            chosen: When the learner chose it, which decides its round; by default now.

        Raises:
            FullError: There are too many learners, or too many answers of this one.
        """
        with self._write() as connection:
            person = self._person(connection, room, key)
            earlier = sa.select(_answers.c.round).where(_answers.c.person == person)
            before = connection.scalar(earlier.where(_answers.c.message == answer.message))
            if before is not None:
                return before
            if connection.scalar(sa.select(sa.func.count()).select_from(earlier.subquery())) >= MOST_ANSWERS:
                raise FullError("too many answers")
            now = datetime.now(UTC)
            chosen = chosen or now
            # What is in the future was before this machine's clock was put back.
            then = sa.or_(_rounds.c.since <= chosen, _rounds.c.since > now)
            rounds = sa.select(_rounds.c.round).where(
                _rounds.c.room == room, _rounds.c.question == answer.question, then
            )
            round_ = connection.scalar(rounds.order_by(_rounds.c.id.desc()).limit(1))
            round_ = 1 if round_ is None else round_
            # A learner's machine sends in order: times that are too close to tell which was first don't change that.
            later = _answers.c.at > chosen, sa.or_(_answers.c.at <= chosen + ON_ITS_WAY, _answers.c.at > now)
            of_it = _answers.c.person == person, _answers.c.question == answer.question
            at = connection.scalar(sa.select(sa.func.max(_answers.c.at)).where(*of_it, *later)) or chosen
            values = answer._asdict() | {"room": room, "person": person, "round": round_, "at": at}
            connection.execute(_answers.insert(), values)
            return round_

    def act(self, room: str, act: str, question: str = "") -> None:
        """Do one of `ACTS` that a teacher has a button for; what makes no sense now changes nothing.

        Args:
            room: The code of the room.
            act: "open" makes the question the one on the projector and takes answers; after the reveal it only brings
                it back. "second" opens the second round and hides the first. "reveal" closes, and shows what is right.
                "reset" forgets its answers, and those on their way. "leave" takes it from the projector, and it stays
                open or closed as it is.
            question: Which question.
        """
        with self._write() as connection:
            if act in ("names", "no names"):
                connection.execute(_rooms.update().where(_rooms.c.code == room).values(asks_names=act == "names"))
                if act == "no names":
                    connection.execute(_people.update().where(_people.c.room == room).values(name=None))
                return
            before = _counting(connection, room)
            self._act(connection, room, act, question)
            now = datetime.now(UTC)
            for name, round_ in _counting(connection, room).items():
                if before.get(name) != round_:
                    _count_since(connection, room, name, round_, now)
            if act == "reset":
                _count_since(connection, room, question, LATE, ALWAYS)
                _count_since(connection, room, question, 1, now)

    def _act(self, connection: sa.Connection, room: str, act: str, question: str) -> None:
        here = sa.and_(_asked.c.room == room, _asked.c.question == question)
        row = connection.execute(sa.select(_asked).where(here)).first()
        if act == "reset":
            for table in (_answers, _rounds, _asked):
                connection.execute(table.delete().where(table.c.room == room, table.c.question == question))
        if act in ("reset", "leave"):
            is_current = _rooms.c.code == room, _rooms.c.current == question
            connection.execute(_rooms.update().where(*is_current).values(current=None))
            return
        if row is None:
            if act != "open":
                return
            connection.execute(_asked.insert(), Stage()._asdict() | {"room": room, "question": question})
        if act in ("open", "second"):  # only one question takes answers
            connection.execute(_asked.update().where(_asked.c.room == room).values(is_open=False))
            connection.execute(_rooms.update().where(_rooms.c.code == room).values(current=question))
        before = Stage() if row is None else _stage(row)
        connection.execute(_asked.update().where(here).values(**_next(before, act)._asdict()))

    def stages(self, room: str) -> dict[str, Stage]:
        """Return how far each question is that was ever opened."""
        with self._reader.begin() as connection:
            rows = connection.execute(sa.select(_asked).where(_asked.c.room == room))
            return {row.question: _stage(row) for row in rows}

    def counts(self, room: str, question: str) -> dict[int, Counter]:
        """Return how many chose what, by round; `LATE` is one of them."""
        rows = self._newest(sa.and_(_answers.c.room == room, _answers.c.question == question))
        counted = {round_: Counter() for round_ in (LATE, *ROUNDS)}
        for row in rows:
            counted[row.round][row.choice] += 1
        return counted

    def answered(self, room: str) -> dict[str, int]:
        """Return how many learners have answered each question or tried each task."""
        number = sa.func.count(sa.distinct(_answers.c.person))
        wanted = sa.select(_answers.c.question, number).where(_answers.c.room == room).group_by(_answers.c.question)
        with self._reader.begin() as connection:
            return {question: count for question, count in connection.execute(wanted)}

    def people(self, room: str) -> int:
        """Return how many learners have joined."""
        with self._reader.begin() as connection:
            return connection.scalar(sa.select(sa.func.count()).where(_people.c.room == room))

    def stuck(self, room: str, tasks: Mapping[str, str]) -> list[dict]:
        """Return, for each task that someone tried, how many solved it and which sentences were said to how many.

        Args:
            room: The code of the room.
            tasks: The titles of all tasks by their names.

        Returns:
            `task`, `title`, `tried`, `solved`, and `sentences`: `said`, `learners` to whom it was said, `now` those for
            whom it was the last word. The sentence that most learners have now comes first.
        """
        wanted = sa.select(_answers).where(_answers.c.room == room, _answers.c.question.in_(tasks))
        with self._reader.begin() as connection:
            rows = connection.execute(wanted.order_by(_answers.c.at, _answers.c.id)).all()
        solved, last, said = set(), {}, set()
        for row in rows:
            who = row.question, row.person
            last[who] = row.said
            said |= {(*who, row.said)} if row.said else set()
            solved |= {who} if row.choice == "right" else set()
        ever = Counter((task, text) for task, _, text in said)
        now = Counter((task, text) for (task, person), text in last.items() if (task, person) not in solved)
        tried, done = (Counter(task for task, _ in group) for group in (last, solved))
        found = []
        for task in sorted(tried):
            sentences = [
                {"said": text, "learners": count, "now": now[task, text]}
                for (name, text), count in ever.items()
                if name == task
            ]
            sentences.sort(key=lambda one: (-one["now"], -one["learners"], one["said"]))
            found.append(
                {"task": task, "title": tasks[task], "tried": tried[task], "solved": done[task], "sentences": sentences}
            )
        return found

    def table(self, room: str) -> list[tuple[str, str, str, str, str]]:
        """Return what counts as rows: question, round, learner, choice, sentence. A learner is a name or a number."""
        rows = self._newest(_answers.c.room == room)
        with self._reader.begin() as connection:
            people = connection.execute(sa.select(_people).where(_people.c.room == room).order_by(_people.c.id)).all()
        names = {one.id: one.name or f"learner {number}" for number, one in enumerate(people, 1)}
        return [(row.question, str(row.round or "late"), names[row.person], row.choice, row.said) for row in rows]

    def _add_rounds(self) -> None:
        """Have the questions of a database that is older than the table of rounds count as they did."""
        is_known = sa.exists().where(_rounds.c.room == _asked.c.room, _rounds.c.question == _asked.c.question)
        with self._write() as connection:
            for row in connection.execute(sa.select(_asked).where(~is_known)).all():
                _count_since(connection, row.room, row.question, _counts_in(row), ALWAYS)

    @contextmanager
    def _write(self) -> Iterator[sa.Connection]:
        with self._writing, self.engine.begin() as connection:
            yield connection

    def _newest(self, where: sa.ColumnElement) -> list[sa.Row]:
        group = (_answers.c.question, _answers.c.person, _answers.c.round)
        newest_first = {"partition_by": group, "order_by": (_answers.c.at.desc(), _answers.c.id.desc())}
        ranked = sa.select(_answers, sa.func.row_number().over(**newest_first).label("place")).where(where).subquery()
        wanted = sa.select(ranked).where(ranked.c.place == 1).order_by(ranked.c.question, ranked.c.id)
        with self._reader.begin() as connection:
            return list(connection.execute(wanted))

    def _person(self, connection: sa.Connection, room: str, key: str) -> int:
        hashed = hashlib.sha256(f"{room} {key}".encode()).hexdigest()
        wanted = sa.select(_people.c.id).where(_people.c.room == room, _people.c.key == hashed)
        known = connection.scalar(wanted)
        if known is not None:
            return known
        if connection.scalar(sa.select(sa.func.count()).where(_people.c.room == room)) >= MOST_PEOPLE:
            raise FullError("the room is full")
        return connection.execute(_people.insert(), {"room": room, "key": hashed}).inserted_primary_key[0]

    def _room_where(self, condition: sa.ColumnElement) -> Room | None:
        with self._reader.begin() as connection:
            return _room(connection.execute(sa.select(_rooms).where(condition)).first())


def is_code(text: str) -> bool:
    """Say whether a text is the code of a room.

    >>> is_code("KXWPHT"), is_code("APPLES")
    (True, False)
    """
    return len(text) == CODE_LENGTH and set(text) <= set(LETTERS)


def _room(row: sa.Row | None) -> Room | None:
    return None if row is None else Room(row.code, row.secret, row.asks_names, row.current)


def _counting(connection: sa.Connection, room: str) -> dict[str, int]:
    """Return the round in which answers to each question count that was opened."""
    rows = connection.execute(sa.select(_asked).where(_asked.c.room == room))
    return {row.question: _counts_in(row) for row in rows}


def _counts_in(row: sa.Row) -> int:
    return row.round if row.is_open else LATE


def _count_since(connection: sa.Connection, room: str, question: str, round_: int, since: datetime) -> None:
    connection.execute(_rounds.insert(), {"room": room, "question": question, "round": round_, "since": since})


def _stage(row: sa.Row) -> Stage:
    return Stage(row.round, row.is_open, row.is_shown, row.is_revealed)


def _next(stage: Stage, act: str) -> Stage:
    if act == "open":
        return stage if stage.is_revealed else stage._replace(is_open=True)
    if act == "second":
        return Stage(2, True, False, False)
    if act == "reveal":
        return Stage(stage.round, False, True, True)
    change = {"close": {"is_open": False}, "show": {"is_shown": True}, "hide": {"is_shown": stage.is_revealed}}
    return stage._replace(**change.get(act, {}))


def _make_durable(engine: sa.Engine) -> None:
    """Have SQLite write each answer to the disk, and let one writer wait for another instead of failing."""

    @sa.event.listens_for(engine, "connect")
    def connected(connection: object, _: object) -> None:
        connection.isolation_level = None  # Python would begin too late: a reader that then writes can fail
        for setting in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=30000", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {setting}")

    @sa.event.listens_for(engine, "begin")
    def begun(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN" if connection.get_execution_options().get("reads") else "BEGIN IMMEDIATE")


def _without_password(url: str) -> str:
    try:
        return sa.make_url(url).render_as_string(hide_password=True)
    except sa.exc.ArgumentError:
        return repr(url)
