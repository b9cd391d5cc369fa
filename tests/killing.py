"""Stop a piece of code at each of its system calls, one after the other: killed, interrupted, or with a full disk."""

import os
import sys
from itertools import count

import pytest

_WRITING = {"fsync", "mkdir", "rename", "replace", "chmod", "link"}  # of `os`

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="a process that can be killed is forked")


def _is_system_call(function, only_writing):
    """Whether a built-in function asks the system for something: those of `os`, and those of files."""
    of_files = "_io" in (function.__module__, type(getattr(function, "__self__", None)).__module__)
    return of_files or (function.__module__ == "posix" and (not only_writing or function.__name__ in _WRITING))


def _stop_at(number, stop, only_writing=False):
    """Let `stop` run in the place of the system call with this number; return a list that has the calls so far."""
    calls = []

    def profile(frame, event, function):
        if event == "c_call" and _is_system_call(function, only_writing):
            calls.append(function.__name__)
            if len(calls) == number:
                stop()

    sys.setprofile(profile)
    return calls


def killed_at_every_call(prepare, work):
    """Kill `work` before its first system call, then, from the start again, before its second, until it ends.

    Yields what `prepare` returned, after each kill.
    """
    for number in count(1):
        place = prepare()
        child = os.fork()
        if child == 0:
            try:
                _stop_at(number, lambda: os._exit(9))  # as SIGKILL: no handler, no buffer, no finally
                work(place)
            finally:
                os._exit(0)
        ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        yield place
        if ended == 0:
            assert number > 5, "nothing was killed"
            return


def raised_at_every_call(prepare, work, error, only_writing=False):
    """Raise `error` in place of each system call, as above; with `only_writing`, of those that can find a full disk."""
    for number in count(1):
        place = prepare()

        def stop():
            raise error

        calls = _stop_at(number, stop, only_writing)
        raised = None
        try:
            work(place)
        except BaseException as one:  # noqa: BLE001 - KeyboardInterrupt, too
            raised = one
        finally:
            sys.setprofile(None)
        if len(calls) < number:
            assert number > 3, "nothing was stopped"
            return
        yield place, raised
