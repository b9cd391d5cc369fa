"""Write a file whole or not at all: a reader sees the old one or the new one, whenever the writer is killed."""

import os
import tempfile
from pathlib import Path


def write_whole(file: Path, content: str | bytes) -> None:
    r"""Write `content` to `file` in one step, in a folder that is made if it is not there. Line ends stay as they are.

    Raises:
        OSError: The file cannot be written; then what was there before is still there.

    >>> folder = tempfile.TemporaryDirectory()
    >>> write_whole(Path(folder.name) / "new" / "a.txt", "text\n")
    >>> [file.name for file in (Path(folder.name) / "new").iterdir()]
    ['a.txt']
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=file.parent, prefix=".unfinished-", delete=False) as unfinished:
        try:
            unfinished.write(content.encode() if isinstance(content, str) else content)
            unfinished.flush()
            os.fsync(unfinished.fileno())
        except OSError:
            os.unlink(unfinished.name)
            raise
    os.chmod(unfinished.name, 0o644)  # a temporary file is its owner's alone
    os.replace(unfinished.name, file)
