"""What all traces have in common: they are saved as plain arrays and JSON, so that opening one runs no code."""

import io
import json
import zipfile
from dataclasses import fields
from pathlib import Path
from typing import Self

import numpy as np

from course_utils.files import write_whole


class Trace:
    """A frozen dataclass whose fields are arrays, texts, numbers, or tuples of these."""

    def check_rows(self, what: str, count: int, names: tuple[str, ...]) -> None:
        """Raise a ValueError in one sentence unless each field in `names` has `count` rows, one for each `what`."""
        for name in names:
            if len(getattr(self, name)) != count:
                raise ValueError(f"{name} must have {count} rows, one per {what}, got {len(getattr(self, name))}")

    def save(self, path: str | Path) -> None:
        """Write the trace to `path` (.npz, no pickle inside); an older file is replaced only when all is written.

        Raises:
            OSError: The file cannot be written.
        """
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        arrays = {name: value for name, value in values.items() if isinstance(value, np.ndarray)}
        rest = {name: value for name, value in values.items() if name not in arrays}
        texts = json.dumps({"trace": type(self).__name__} | rest).encode()
        archive = io.BytesIO()
        np.savez_compressed(archive, texts=np.frombuffer(texts, np.uint8), **arrays)
        write_whole(Path(path), archive.getvalue())

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a trace that `save` wrote.

        Raises:
            ValueError: The file holds no trace of this kind.
            OSError: The file cannot be read.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                values = dict(file)
                texts = json.loads(values.pop("texts").tobytes())
        except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise ValueError(f"path must be a file that {cls.__name__}.save wrote, got {path}") from error
        kind = texts.pop("trace")
        if kind != cls.__name__:
            raise ValueError(f"path must hold a {cls.__name__}, got a {kind}: {path}")
        return cls(**values, **{name: _tuples(value) for name, value in texts.items()})


def _tuples(value: object) -> object:
    """JSON knows only lists; a frozen trace holds tuples."""
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
