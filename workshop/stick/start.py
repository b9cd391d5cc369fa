#!/usr/bin/env python3
"""Install the course from the folder of this file, without a network, and open it.

usage: python3 start.py [FOLDER [COMMAND ...]]

FOLDER is for your own copy of the course (default: llms-by-hand in your home folder). What is in it already stays as
it is. COMMAND is one of course.py's, with its options (default: lab).
"""
# Python 3.6 must be able to read this file, so that an old Python says what is wrong with its version.

import filecmp
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

STICK = Path(__file__).resolve().parent
SYSTEM = "{}-{}-Python-{}.{}".format(platform.system(), platform.machine(), *sys.version_info[:2])


def main(arguments: list) -> int:
    """Copy the course, install it, copy the models, hand over."""
    if arguments[:1] in (["-h"], ["--help"]):
        print(__doc__.strip())
        return 0
    folder = Path(os.path.expanduser(arguments[0] if arguments else "~/llms-by-hand")).resolve()
    wheels = STICK / "wheels" / SYSTEM
    if not wheels.is_dir():
        there = sorted(place.name for place in (STICK / "wheels").glob("[!.]*"))
        return say("This folder has packages for {}, not for {}: use one of these Pythons.", ", ".join(there), SYSTEM)
    if not copy_course(folder):
        return say("{} holds something else, or another version of the course: name another folder.", folder)
    front_door = [sys.executable, str(folder / "course.py")]
    # pip would cut a path at its spaces; a URI has none.
    offline = dict(os.environ, PIP_NO_INDEX="1", PIP_FIND_LINKS=wheels.as_uri())
    failed = subprocess.call([*front_door, "models", "fetch", "--from", str(STICK / "models")], env=offline)
    if failed:
        return failed
    sys.dont_write_bytecode = True
    sys.path.insert(0, str(folder))
    from course import hand_over  # the copy's

    return hand_over([*front_door, *(arguments[1:] or ["lab"])])


def copy_course(folder: Path) -> bool:
    """Copy the course to `folder` in one step; touch nothing that is there, and say whether it is this course."""
    source = STICK / "course"
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        pins = ["pyproject.toml", "constraints.txt"]
        return filecmp.cmpfiles(str(source), str(folder), pins, shallow=False)[0] == pins
    print(f"Copying the course to {folder} ...", flush=True)
    unfinished = folder.with_name("." + folder.name + "-unfinished")
    if unfinished.exists():  # of a run that was stopped
        shutil.rmtree(str(unfinished))
    for place, _, names in os.walk(str(source)):  # without the rights of the files, which a read-only disk takes away
        target = unfinished / Path(place).relative_to(source)
        target.mkdir(parents=True)
        for name in names:
            shutil.copyfile(os.path.join(place, name), str(target / name))
    if folder.exists():
        folder.rmdir()
    unfinished.rename(folder)
    return True


def say(sentence: str, *facts: object) -> int:
    """Print what is wrong; return the exit code."""
    print(sentence.format(*facts), file=sys.stderr)
    return 1


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit("Stopped: run the same command again to continue from here.")
    except OSError as error:
        reason = "{} cannot be used ({}): free 4 GB there, or name another folder after start.py."
        sys.exit(say(reason, error.filename or "The disk", error.strerror))
