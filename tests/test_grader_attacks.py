"""What a submission may try: it gains no point, it stops nobody else, and the report says what happened in a sentence.

`python -m pytest -n 0 -s tests/test_grader_attacks.py` prints what was said.
"""

import ctypes
import importlib
import inspect
import json
import os
import platform
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
import zipfile
from dataclasses import replace
from pathlib import Path
from types import FunctionType

import psutil
import pytest
import torch

from course_utils.cli import main
from course_utils.errors import CourseError
from course_utils.exercises.calling import call, is_stub
from course_utils.exercises.sources import imports, module_file
from course_utils.exercises.task import Check, Mistake, Task, judge, load_tasks
from course_utils.grading import command, system_calls
from course_utils.grading import sandbox as sandbox_module
from course_utils.grading.command import checks_file, grade_all
from course_utils.grading.family import Family
from course_utils.grading.grade import GRADED, LOOK, UNREADABLE, Assignment, grade
from course_utils.grading.limits import Clock, Limits
from course_utils.grading.results import feedback_page
from course_utils.grading.sandbox import SCRATCH_BYTES, NoSandboxError, hide_checks, sandbox, try_sandbox
from course_utils.grading.session import Session
from course_utils.grading.submission import Submission, find_submissions, read_submission
from course_utils.grading.visible import needed_modules, visible_files
from course_utils.machine import ROOT
from course_utils.models import models_folder
from tests.conftest import need
from tests.submissions import DOUBLE, TOTAL, hand_in

CHECKS = ROOT / "tests" / "grading_checks.py"
# What comes to its end gets the time for it on any machine, so that the report says what happened, and not "too slow".
LIMITS = Limits(start_seconds=600, cells_seconds=600, call_seconds=600, submission_seconds=3600, memory=2**30)
ASSIGNMENT = Assignment(CHECKS, seed=11, limits=LIMITS)
SOON = replace(LIMITS, call_seconds=4)  # for functions that never answer


@pytest.fixture(scope="module", autouse=True)
def _needs_a_sandbox():
    try:
        try_sandbox()
    except NoSandboxError:
        need("bubblewrap", False)


def indented(body):
    return "\n".join(f"    {line}" for line in body.strip("\n").splitlines())


def double(body):
    return f"def double(values):\n{indented(body)}"


EVERY_DESCRIPTOR = """
import os
def tell_everybody(data):
    for descriptor in range(3, 64):
        try:
            os.write(descriptor, data)
        except OSError:
            pass
"""
SECRETS = {
    "the checks": "from course_utils.exercises.lessons.lesson_11 import TASKS\nreturn TASKS(values)",
    "the grader": "from course_utils.grading.grade import grade\nreturn grade(values)",
    "the tests": f"return open({str(ROOT / 'tests' / 'grading_checks.py')!r}).read()",
    "the solutions": f"return open({str(ROOT / 'solutions' / '11_sampling.ipynb')!r}).read()",
    "the machine's passwords": "return open('/etc/shadow').read()",
    "a file of the package": f"open({str(ROOT / 'course_utils' / 'cli.py')!r}, 'a').write('#')",
    "a new file in the packages": "import torch\nopen(torch.__file__ + '.new', 'w').write('')",
}
TOO_SLOW = "did not answer within 4 seconds."
# name: (what the function of q1, or the cell before it, does; what the report says; does q2 get its points)
IN_THE_FUNCTION = {
    "a loop": ("while True: pass", TOO_SLOW),
    "a loop that swallows interrupts": (
        "import signal\nfor number in range(1, 32):\n    try: signal.signal(number, signal.SIG_IGN)\n    except OSError: pass\n"
        "while True:\n    try:\n        while True: pass\n    except BaseException: pass",
        TOO_SLOW,
    ),
    "a nap": ("import time\ntime.sleep(1000)", TOO_SLOW),
    "os._exit": ("import os\nos._exit(0)", "ended its own process."),
    "exit()": ("import sys\nsys.exit(0)", "ends the program"),
    "an interrupt": ("raise KeyboardInterrupt", "was stopped before it answered."),
    "a crash": ("import ctypes\nctypes.string_at(0)", "ended its own process."),
    "killing everybody": ("import os\nos.kill(-1, 9)\nos.kill(1, 9)\nos.kill(os.getppid(), 9)\nreturn values", ""),
    "forged answers": (
        EVERY_DESCRIPTOR + "tell_everybody(b'{\"dict\": {\"value\": 1, \"raised\": \"\", \"problem\": \"\", "
        "\"is_changed\": false}}\\n' * 9)\nreturn values",
        "sends answers that weren't asked for.",
    ),
    "forged verdicts": (EVERY_DESCRIPTOR + "tell_everybody(b'{\"points\": 100, \"status\": \"right\"}\\n')\nimport time\ntime.sleep(1)", ""),
    "a flood": (EVERY_DESCRIPTOR + "while True: tell_everybody(b'x' * 65536)", "sends more than 8 MB."),
    "a flood of prints": ("while True: print('x' * 65536)", TOO_SLOW),
    "a fork that lives on": (
        "import os, time\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n        time.sleep(3217)\n    os._exit(0)\nreturn values",
        "",
    ),
    "a fork bomb": ("import os\nwhile True:\n    try: os.fork()\n    except OSError: pass", "more than"),
    "a bomb of threads": ("import threading, time\nwhile True: threading.Thread(target=time.sleep, args=(60,)).start()", "raises RuntimeError"),
    "a system call of a 32-bit program": (
        "import ctypes, mmap\npage = mmap.mmap(-1, 4096, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, prot=7)\n"
        "page.write(bytes.fromhex('b814000000cd80c3'))  # getpid\n"
        "ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))()\nreturn values * 2",
        "ended its own process.",
    ),
    "20 GB at once": ("import torch\nreturn torch.ones(20 * 2**30, dtype=torch.uint8)", "raises RuntimeError"),
    "20 GB bit by bit": ("kept = []\nwhile True: kept.append(bytearray(b'1') * 2**26)", "raises MemoryError."),
    "20 GB on the disk": ("with open('/tmp/x', 'wb') as file:\n    while True: file.write(b'x' * 2**20)", "raises OSError"),
    "many files": ("for number in range(10**9):\n    with open(f'/tmp/{number}', 'wb') as file: file.write(b'x' * 2**20)", "raises OSError"),
    "10 to the 6000": ("return 10**6000", "more than a thousand digits"),
    "lists 100,000 deep": ("deep = []\nfor _ in range(100_000): deep = [deep]\nreturn deep", "returns lists inside lists"),
    "10 to the 6000 past the worker's own look": (
        EVERY_DESCRIPTOR + "line = b'{\"dict\": {\"value\": ' + b'1' * 6000 + b', \"raised\": \"\", \"problem\": \"\", \"is_changed\": false}}\\n'\n"
        "tell_everybody(line)\nimport time\ntime.sleep(9)",
        "cannot be read",
    ),
    "deep lists past the worker's own look": (
        EVERY_DESCRIPTOR + "tell_everybody(b'[' * 100_000 + b']' * 100_000 + b'\\n')\nimport time\ntime.sleep(9)",
        "cannot be read",
    ),
    "an archive in place of an array": (
        EVERY_DESCRIPTOR + "import base64, json\nnpy = {'npy': base64.b64encode(b'PK\\x03\\x04 is no zip').decode()}\n"
        "line = {'dict': {'value': npy, 'raised': '', 'problem': '', 'is_changed': False}}\n"
        "tell_everybody(json.dumps(line).encode() + b'\\n')\nimport time\ntime.sleep(9)",
        "cannot be read",
    ),
    "no number": ("return values * float('nan')", "returns nan"),
    "an object that equals everything": (
        "class Equal:\n    def __eq__(self, other): return True\n    def __array__(self, *a, **k): return values.numpy() * 2\nreturn Equal()",
        "returns something of class Equal",
    ),
    "a tensor that equals everything": (
        "import torch\nclass Equal(torch.Tensor):\n    def __eq__(self, other): return torch.ones_like(self, dtype=bool)\n"
        "return torch.zeros(4).as_subclass(Equal)",
        "returns something of class Equal",
    ),
    "a number that equals everything": (
        "class Equal(float):\n    def __eq__(self, other): return True\nreturn Equal(1)", "returns something of class Equal"
    ),
    "an exception that bites": (
        "class Bites(Exception):\n    def __str__(self): raise SystemExit\nraise Bites", "raises Bites."
    ),
    "a pickle": (
        "import numpy\nclass Bites:\n    def __reduce__(self): return (print, ('bitten',))\nreturn numpy.array([Bites()])",
        "returns an array of object",
    ),
    "a pickle past the worker's own look": (
        EVERY_DESCRIPTOR + "import base64, io, json, numpy\nfile = io.BytesIO()\nnumpy.save(file, numpy.array([{1: 2}]), allow_pickle=True)\n"
        "npy = {'npy': base64.b64encode(file.getvalue()).decode()}\n"
        "line = {'dict': {'value': npy, 'raised': '', 'problem': '', 'is_changed': False}}\n"
        "tell_everybody(json.dumps(line).encode() + b'\\n')\nimport time\ntime.sleep(9)",
        "cannot be read",
    ),
    "a long text": ("return 'x' * 10**8", "more than a million letters"),
    "its own call": (
        "import course_utils.exercises.calling as calling, course_utils.exercises.task as task, course_utils.exercises.comparing as comparing\n"
        "comparing.difference = task.difference = lambda *anything: ''\ntask.judge = lambda *anything: True\nreturn values",
        "returns",
    ),
    "changing what it is given": ("values *= 2\nreturn values", "changes what it is given"),
    **{f"reading {what}": (body, "raises") for what, body in SECRETS.items()},
}  # fmt: skip
BEFORE_THE_FUNCTION = {
    "a loop": ("while True: pass", "The notebook did not run through its cells within 12 seconds."),
    "os._exit": ("import os\nos._exit(0)", "The notebook ended its own process."),
    "a fork bomb": ("import os\nwhile True: os.fork()", "The notebook"),
    "forged beginnings": (
        EVERY_DESCRIPTOR + "tell_everybody(b'[1]\\n')\nimport time\ntime.sleep(9)",
        "The notebook sends something else than answers.",
    ),
}
HARMLESS = {
    "exit()": "exit()",
    "an error": "1 / 0",
    "no Python": "this is no Python",
    "deep brackets": "(" * 5000,
    "an input transformer": "get_ipython().input_transformers_post.append(lambda lines: [l for l in lines if 'assert' not in l])",
    "patched builtins": "import builtins, json, numpy, torch\nbuiltins.abs = builtins.all = builtins.len = lambda *a, **k: True\n"
    "numpy.array_equal = torch.allclose = torch.equal = lambda *a, **k: True",
    "a patched exit code": "import atexit, os\natexit.register(lambda: os._exit(0))",
    "magics": "%matplotlib inline\n!rm -rf /\nx = 1",
}  # fmt: skip


def graded(tmp_path, *code, limits=LIMITS, **options):
    file = hand_in(tmp_path / "ada.ipynb", *code, **options)
    return grade(Submission("ada", file), replace(ASSIGNMENT, limits=limits))


def told(report):
    """Everything that a report says to a teacher about what happened."""
    lines = [detail["message"] for task in report["tasks"] for detail in task.get("details", [])]
    text = " ".join([*report["reasons"], *(task["incident"] for task in report["tasks"]), *lines])
    print(f"{report['status']}: {' '.join(dict.fromkeys(filter(None, [*report['reasons'], *lines])))}")
    assert "\n" not in text
    return text


@pytest.mark.parametrize("name", IN_THE_FUNCTION)
def test_a_function_gains_nothing(tmp_path, monkeypatch, name):
    body, sentence = IN_THE_FUNCTION[name]
    tasks, _ = ASSIGNMENT.tasks()
    monkeypatch.setattr(Assignment, "tasks", lambda self: (tasks[:1], ()))
    report = graded(tmp_path, double(body), limits=SOON if sentence == TOO_SLOW else LIMITS)
    assert report["points"] == 0
    assert sentence in told(report)


def test_the_other_tasks_keep_their_points(tmp_path):
    report = graded(tmp_path, double("import os\nos._exit(0)"), TOTAL)
    assert [task["points"] for task in report["tasks"]] == [0, 2]
    assert told(report).startswith("The function of q1 ended its own process.")


@pytest.mark.parametrize("name", BEFORE_THE_FUNCTION)
def test_a_cell_gains_nothing(tmp_path, name):
    cell, sentence = BEFORE_THE_FUNCTION[name]
    never_ends = name in ("a loop", "a fork bomb")
    report = graded(tmp_path, DOUBLE, cell, TOTAL, limits=replace(LIMITS, cells_seconds=12) if never_ends else LIMITS)
    assert (report["points"], report["status"]) == (0, LOOK)
    assert sentence in told(report)


@pytest.mark.parametrize("name", HARMLESS)
def test_what_only_spoils_its_own_cell_costs_nothing_and_gains_nothing(tmp_path, name):
    report = graded(tmp_path, HARMLESS[name], "def double(values):\n    return values", TOTAL)
    q1, q2 = report["tasks"]
    assert (q1["points"], q2["points"]) in ((0, 2), (0, 0) if name == "patched builtins" else ())
    assert told(report)


LIVES_ON = """
import os, time
def leave():
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.execv("/usr/bin/sleep", ["sleep", "3217.5"])
        os._exit(0)
    os.wait()
    return 1
"""
# Some machine code for the first process, bubblewrap's: prctl(PR_SET_PDEATHSIG, 0), so that it outlives bubblewrap, and
# then a loop, so that it does not tidy up. It is written over all that the process might run next; the end of an orphan
# wakes it.
TAKES_OVER = """
import ctypes, os, time
library = ctypes.CDLL(None)
library.ptrace(16, 1, None, None)
library.ptrace(17, 1, None, None)
library.prctl(1, 0, 0, 0, 0)
code = bytes.fromhex("b89d000000bf0100000031f60f05ebfe")
with open("/proc/1/maps") as maps, open("/proc/1/mem", "r+b", buffering=0) as memory:
    for line in maps:
        start, end = (int(number, 16) for number in line.split()[0].split("-"))
        if " r-xp " in line and not line.endswith(("[vsyscall]\\n", "[vdso]\\n")):
            memory.seek(start)
            memory.write(b"\\x90" * (end - start - len(code)) + code)
if os.fork() == 0:
    if os.fork() == 0:
        time.sleep(0.2)
    os._exit(0)
os.wait()
time.sleep(1)
"""
PARTING = {"": "a fork", TAKES_OVER: "a fork after taking over the first process"}
KILLED = """
import sys, time
from course_utils.grading.session import Session
with Session([sys.argv[1]], "leave") as session:
    print(session.ask([]), flush=True)
    time.sleep(600)
"""


def sleepers():
    return [one for one in psutil.process_iter(["cmdline"]) if one.info["cmdline"] == ["sleep", "3217.5"]]


def wait_for(condition, seconds=300):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)
    return condition()


@pytest.fixture(params=PARTING, ids=PARTING.get)
def lives_on(request):
    if request.param and platform.machine() != "x86_64":
        pytest.skip("the machine code is for x86-64")
    return request.param + LIVES_ON


def test_nothing_lives_on(lives_on):
    with Session([lives_on], "leave", LIMITS) as session:
        assert session.ask([]).value == 1
        assert wait_for(sleepers), "it is there while its session is"
    assert not sleepers()


def test_nothing_lives_on_when_the_grader_is_killed(lives_on):
    with subprocess.Popen([sys.executable, "-P", "-c", KILLED, lives_on], stdout=subprocess.PIPE) as grader:
        assert b"value=1" in grader.stdout.readline()
        assert wait_for(sleepers)
        grader.kill()
    assert wait_for(lambda: not sleepers())


@pytest.mark.parametrize("told", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_ends_soon_and_the_next_one_goes_on_from_there(tmp_path, told):
    for number in range(3):
        hand_in(tmp_path / "in" / f"learner{number}.ipynb", DOUBLE, TOTAL)
    command = [sys.executable, "-P", "-m", "course_utils.cli", "grade", str(tmp_path / "in"), "--checks", str(CHECKS)]
    command += ["--seed", "3", "--out", str(tmp_path / "out")]

    def reports():
        return {file: file.stat().st_mtime_ns for file in (tmp_path / "out" / "reports").glob("[!.]*.json")}

    # A terminal sends Ctrl+C to all processes of the group.
    with subprocess.Popen(
        command,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    ) as grader:
        assert wait_for(reports, 300)
        family = psutil.Process(grader.pid).children(recursive=True)
        os.killpg(grader.pid, told)
        said = grader.communicate(timeout=60)[1].decode()
    assert grader.returncode == (1 if told == signal.SIGINT else -told)
    assert "Traceback" not in said
    assert ("Stopped: run the same command again" in said) == (told == signal.SIGINT)
    assert not psutil.wait_procs(family, timeout=60)[1]
    kept = reports()
    assert 0 < len(kept) < 3
    assert subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0
    assert kept.items() < reports().items()


ATTEMPT = """
import ctypes, errno, mmap, os, socket
library = ctypes.CDLL(None, use_errno=True)

def do(name, *arguments):
    if getattr(library, name)(*arguments) == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

def attempt(code):
    try:
        exec(code)
    except OSError as error:
        return errno.errorcode[error.errno]
    except Exception as error:
        return repr(error)
    return "done"
"""


def system_call(name, *arguments):
    """The code of a system call; the C library has no function for some."""
    number = ctypes.CDLL(system_calls.LIBRARY).seccomp_syscall_resolve_name(name.encode())
    return f"do('syscall', {', '.join(map(repr, (number, *arguments)))})"


DENIED = {
    "another's memory": system_call("ptrace", 16, 1, None, None),
    "another's memory, read": system_call("process_vm_readv", 1, None, 0, None, 0, 0),
    "another's files": system_call("pidfd_getfd", 0, 0, 0),
    "the keyring of a login": system_call("keyctl", 0, -3, 0),
    "a new key": system_call("add_key", b"user", b"name", b"x", 1, -3),
    "the names of keys": "open('/proc/keys').read()",
    "a user namespace": system_call("unshare", 0x10000000),
    "a user namespace for a child": system_call("clone", 0x10000000 | 17, None, None, None, None),
    "a mount": system_call("mount", b"none", b"/tmp", b"tmpfs", 0, None),
    "memory in a file without a name": "os.memfd_create('name')",
    "shared memory": "mmap.mmap(-1, 4096)",
    "shared memory of System V": system_call("shmget", 0, 4096, 0o1600),
    "messages of System V": system_call("msgget", 0, 0o1600),
    "messages": system_call("mq_open", b"name", os.O_CREAT | os.O_RDWR, 0o600, None),
    "pages in a pipe": system_call("vmsplice", 1, None, 0, 0),
    "watched folders": system_call("inotify_init1", 0),
    "rules for the kernel": system_call("landlock_create_ruleset", None, 0, 1),
    "pages for a ring": system_call("io_uring_setup", 1, None),
    "a program for the kernel": system_call("bpf", 0, None, 0),
    "a counter of the processor": system_call("perf_event_open", None, 0, -1, -1, 0),
    "the kernel's log": system_call("syslog", 10, None, 0),
    "a device without an end": "mmap.mmap(os.open('/dev/zero', os.O_RDWR), 4096)",
    "a folder of the root": "os.mkdir('/new')",
    "a file beside the devices": "open('/dev/new', 'w')",
    "a file where the checks were": f"open({str(ROOT / 'course_utils' / 'exercises' / 'new')!r}, 'w')",
    **{f"a socket of family {family}": f"socket.socket({family}, 2, 0)" for family in (2, 10, 16, 17, 38, 40)},
}  # fmt: skip
ALLOWED = {
    "to ask for a life of its own, in vain": "number = ctypes.c_int()\n"
    + system_call("prctl", 1, 0, 0, 0, 0) + "\n" + system_call("prctl", 2**32 + 1, 0, 0, 0, 0).replace("4294967297", "ctypes.c_ulong(2**32 + 1)")
    + "\ndo('prctl', 2, ctypes.byref(number))\nassert number.value == 9",
    "a lock on a file, which is not kept": "import fcntl\nwith open('/tmp/lock', 'w') as file:\n"
    "    fcntl.lockf(file, fcntl.LOCK_EX)\n    assert not open('/proc/locks').read()",
    "a database": "import sqlite3\nbase = sqlite3.connect('/tmp/base')\nbase.execute('create table t (x)')\nbase.commit()",
    "processes that share": "import multiprocessing\nqueue = multiprocessing.Queue()\n"
    "child = multiprocessing.Process(target=queue.put, args=(5,))\nchild.start()\nassert queue.get() == 5\nchild.join()",
    "tensors that share": "import torch\ntorch.ones(9).share_memory_()",
    "batches of two processes": "from torch.utils.data import DataLoader\nassert len(list(DataLoader(range(8), num_workers=2))) == 8",
    "a loop of asyncio": "import asyncio\nasyncio.run(asyncio.sleep(0))",
    "another program": "import subprocess\nassert subprocess.run(['true']).returncode == 0",
    "threads": "import torch\ntorch.set_num_threads(2)\ntorch.ones(500, 500) @ torch.ones(500, 500)",
    "a model": "from course_utils.models import load_causal_lm\nload_causal_lm()",
}  # fmt: skip


def test_what_the_kernel_denies_and_what_it_allows():
    with Session([ATTEMPT], "attempt", LIMITS, given=("course_utils.models",)) as session:
        said = {name: session.ask([code]).value for name, code in (DENIED | ALLOWED).items()}
    assert {said[name] for name in DENIED} == {"EPERM", "EACCES", "EROFS", "ENOTSUP", "ENODEV"}, said
    assert {said[name] for name in ALLOWED} == {"done"}, said


def test_every_folder_that_one_can_write_to_has_a_size():
    with Session(["def mounts():\n    return open('/proc/mounts').read()"], "mounts", LIMITS) as session:
        mounts = [line.split()[1:4] for line in session.ask([]).value.splitlines()]
    open_ones = {
        place: options for place, kind, options in mounts if kind == "tmpfs" and "ro" not in options.split(",")
    }
    assert open_ones.keys() == {"/tmp", "/dev/shm"}
    assert all(f"size={SCRATCH_BYTES // 1024}k" in options for options in open_ones.values())


MEMORY = {
    "many processes": "import os, time\nfor _ in range(6):\n    if os.fork() == 0:\n        kept = b'1' * 2**27\n        time.sleep(600)\ntime.sleep(600)",
    "empty files": "import os\nfor number in range(10**9): os.mkdir(f'/tmp/{number}')",
    "messages that nobody reads": "import os, socket, time\nos.fork(), os.fork(), os.fork()\nkept = []\nwhile len(kept) < 100:\n"
    "    one, other = socket.socketpair()\n    one.setblocking(False)\n    kept.append((one, other))\n"
    "    try:\n        while True: one.send(b'x' * 2**16)\n    except BlockingIOError: pass\ntime.sleep(600)",
    "the stack of another program": "import os, resource\nmost = resource.getrlimit(resource.RLIMIT_STACK)[1]\n"
    "resource.setrlimit(resource.RLIMIT_STACK, (most, most))\nif os.fork() == 0:\n"
    "    os.execv('/usr/bin/perl', ['perl', '-e', 'sub f { f($_[0] + 1) } f(0)'])\nimport time\ntime.sleep(600)",
}  # fmt: skip


@pytest.mark.parametrize("name", MEMORY)
def test_memory_is_counted_however_it_is_taken(name):
    with Session([f"def take():\n{indented(MEMORY[name])}"], "take", replace(LIMITS, memory=400 * 2**20)) as session:
        assert session.ask([]).problem == "needs more than 400 MB of memory."


def test_one_process_gets_an_error_before_it_takes_too_much():
    with Session(
        ["def take():\n    return len(bytearray(500 * 2**20))"], "take", replace(LIMITS, memory=400 * 2**20)
    ) as session:
        assert session.ask([]).problem == "raises MemoryError."


def test_a_submission_has_a_limit_for_all_its_tasks(tmp_path):
    nap = "def total(numbers):\n    import time\n    time.sleep(3)\n    return sum(numbers)"
    limits = replace(LIMITS, submission_seconds=8)
    file = hand_in(tmp_path / "ada.ipynb", DOUBLE, nap)
    report = grade(Submission("ada", file), replace(ASSIGNMENT, limits=limits))
    assert told(report).startswith("The notebook needs more than 8 seconds for all its tasks together.")
    assert report["tasks"][1]["points"] == 0
    clock = Clock(2)
    for _ in range(2):  # what the first task used is not there for the second
        with Session(["import time\ntime.sleep(1.2)"], "x", LIMITS, clock=clock) as session:
            pass
    assert (session.stage, clock.left < 0.8) == ("over", True)


NAPS = "def nap(seconds):\n    import time\n    time.sleep(seconds)\n    return 1"


def test_the_time_in_which_the_machine_is_busy_does_not_count(monkeypatch):
    """Where a worker waits for a processor, it may take longer, up to three times as long."""
    monkeypatch.setattr(Family, "waited", lambda self: 0.9 * time.monotonic())
    with Session([NAPS], "nap", replace(LIMITS, call_seconds=3)) as session:
        assert session.ask([3.5]).value == 1
        assert session.ask([600]).problem == "did not answer within 3 seconds."


def test_how_long_a_worker_waits_for_a_processor():
    crowd = "import os, time\ndef crowd():\n    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
    crowd += "    end = time.monotonic() + 2\n    os.fork()\n    while time.monotonic() < end: pass\n    return os.getpid()\n"
    with Session([crowd.replace("return", "if os.getpid() != 2: os._exit(0)\n    return")], "crowd", LIMITS) as session:
        before = session._family.waited()
        assert session.ask([]).value == 2
        assert session._family.waited() - before > 0.3


def test_a_cell_that_fails_is_named_where_a_function_is_missing(tmp_path):
    report = graded(tmp_path, DOUBLE, f"1 / 0\n{TOTAL}")
    assert told(report).startswith("There is no function for q2 (cell 2 raises ZeroDivisionError).")


def test_no_worker_is_left():
    children = psutil.Process().children(recursive=True)
    assert not [child for child in children if "course_utils.exercises.worker" in " ".join(child.cmdline())]


def test_the_network_is_out_of_reach(tmp_path):
    came = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(60)

        def wait():
            try:
                came.append(server.accept())
            except OSError:
                return

        waiting = threading.Thread(target=wait, daemon=True)
        waiting.start()
        address = server.getsockname()
        report = graded(
            tmp_path, double(f"import socket\nsocket.create_connection({address!r}, 2)\nreturn values * 2"), TOTAL
        )
    assert report["tasks"][0]["points"] == 0
    assert "raises" in told(report)
    assert not came


def test_other_submissions_and_the_gradebook_are_out_of_reach(tmp_path):
    other = hand_in(tmp_path / "in" / "bob.ipynb", DOUBLE, TOTAL)
    out = tmp_path / "out"
    (out / "reports").mkdir(parents=True)
    (out / "grades.csv").write_text("bob,100\n")
    looks = f"import glob\nreturn open({str(other)!r}).read()"
    writes = f"open({str(out / 'grades.csv')!r}, 'a').write('ada,100')"
    for body in (looks, writes, f"import os\nreturn os.listdir({str(tmp_path)!r})"):
        report = graded(tmp_path, double(body), TOTAL)
        assert report["tasks"][0]["points"] == 0
        assert "raises FileNotFoundError" in told(report)
    assert (out / "grades.csv").read_text() == "bob,100\n"


LOOK_AROUND = """
import os
def look(folder, file):
    seen = {"processes": len([name for name in os.listdir("/proc") if name.isdecimal()])}
    seen["home"], seen["names"] = os.listdir(folder), sorted(os.environ)
    seen["there"] = os.path.exists(file)
    seen["root"] = sorted(os.listdir("/"))
    seen["interfaces"] = sorted(os.listdir("/sys/class/net")) if os.path.exists("/sys/class/net") else []
    seen["identity"] = [os.getuid(), os.getgid()]
    return seen
"""


def test_what_the_sandbox_shows():
    """No process of the machine, of the home only what lies on the way to the packages, and none of our settings."""
    os.environ["A_SECRET_OF_THE_TEACHER"] = "1"
    home = str(Path.home())
    with Session([LOOK_AROUND], "look", LIMITS) as session:
        seen = session.ask([home, str(ROOT / "README.md")]).value
    del os.environ["A_SECRET_OF_THE_TEACHER"]
    assert seen["processes"] <= 3
    needed = [Path(place).resolve() for place in (sys.base_prefix, sys.prefix, ROOT, models_folder())]
    assert {*seen["home"]} <= {place.relative_to(home).parts[0] for place in needed if place.is_relative_to(home)}
    assert "A_SECRET_OF_THE_TEACHER" not in seen["names"]
    assert not seen["there"]
    assert not ({"home", "srv", "var", "mnt", "opt"} - {place.parts[1] for place in needed}) & {*seen["root"]}
    assert seen["interfaces"] in ([], ["lo"])
    assert seen["identity"] == [65534, 65534]


def test_a_python_behind_links_is_found_in_the_sandbox(tmp_path, monkeypatch):
    """As ~/bin/python3, which leads to one that was built elsewhere."""
    (tmp_path / "one").symlink_to(os.path.realpath(sys.executable))
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python3").symlink_to("../one")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bin" / "python3"))
    try_sandbox()


SPOILT = {
    "empty": (b"", "The submission is an empty file."),
    "cut": (b'{"cells": [{"cell_type": "code", "sour', "is a notebook that was cut off or damaged"),
    "text": (b"my homework", "The submission is no notebook."),
    "bytes": (bytes(range(256)) * 40, "The submission is no notebook."),
    "other JSON": (b'{"a": 1}', "is JSON, but no notebook of format 4."),
    "a list": (b"[1, 2]", "is JSON, but no notebook of format 4."),
    "deep": (b"[" * 200_000, "The submission is no notebook."),
    "cells that are none": (b'{"cells": [1, null]}', "is JSON, but no notebook of format 4."),
}  # fmt: skip


@pytest.mark.parametrize("name", SPOILT)
def test_a_file_that_is_no_notebook(tmp_path, name):
    content, sentence = SPOILT[name]
    (tmp_path / "ada.ipynb").write_bytes(content)
    report = grade(Submission("ada", tmp_path / "ada.ipynb"), ASSIGNMENT)
    assert (report["status"], report["points"]) == (UNREADABLE, None)
    assert sentence in told(report)


def test_links_pipes_archives_and_large_files(tmp_path):
    folder = tmp_path / "in"
    honest = hand_in(tmp_path / "elsewhere.ipynb", DOUBLE, TOTAL)
    folder.mkdir()
    (folder / "link.ipynb").symlink_to(honest)
    (folder / "folderlink").symlink_to(tmp_path)
    os.mkfifo(folder / "pipe.ipynb")
    with zipfile.ZipFile(folder / "zip.ipynb", "w") as archive:
        archive.write(honest, "zip.ipynb")
    with (folder / "large.ipynb").open("wb") as file:
        file.truncate(30 * 2**20)
    (folder / "archive").mkdir()
    shutil.copy(folder / "zip.ipynb", folder / "archive" / "homework.zip")
    (folder / "secret.ipynb").write_text("{}")
    (folder / "secret.ipynb").chmod(0)
    found = {one.learner: grade(one, ASSIGNMENT) for one in find_submissions([folder], "00_x")}
    said = {learner: told(report) for learner, report in found.items()}
    assert {report["points"] for report in found.values()} == {None}
    assert "is a link" in said["link"]
    assert "is a link" in said["folderlink"]
    assert "is no ordinary file" in said["pipe"]
    assert "is a zip archive" in said["zip"]
    assert "has 30 MB, and 20 is the most" in said["large"]
    assert "has no notebook, only homework.zip" in said["archive"]
    assert stat.S_IMODE((folder / "secret.ipynb").stat().st_mode) == 0


def test_cells_duplicated_deleted_and_in_another_order(tmp_path):
    wrong = "def double(values):\n    return values"
    assert graded(tmp_path, TOTAL, DOUBLE)["points"] == 4
    assert graded(tmp_path, DOUBLE, DOUBLE, TOTAL, TOTAL)["points"] == 4
    assert graded(tmp_path, wrong, DOUBLE, TOTAL)["points"] == 4  # the last one counts, as in a notebook
    report = graded(tmp_path, DOUBLE)
    assert (report["points"], report["status"]) == (2, LOOK)
    assert told(report).startswith("There is no function for q2.")
    report = graded(tmp_path)
    assert (report["points"], report["status"]) == (0, LOOK)
    assert told(report).startswith("None of the functions is there.")


def test_cells_with_the_same_name_and_none(tmp_path):
    file = hand_in(tmp_path / "ada.ipynb", DOUBLE, TOTAL)
    notebook = json.loads(file.read_text())
    for cell in notebook["cells"]:
        cell["id"] = "same"
        cell["metadata"] = {"nbgrader": {"grade_id": "q1"}}
    file.write_text(json.dumps(notebook))
    report = grade(Submission("ada", file), ASSIGNMENT)
    assert report["points"] == 4


def test_stripped_metadata_costs_nothing(tmp_path):
    report = graded(tmp_path, DOUBLE, TOTAL, metadata=False)
    assert (report["points"], report["status"], report["prose"][0]["answer"]) == (4, GRADED, "Because.")


def test_an_untouched_submission_is_not_a_failed_one(tmp_path):
    stubs = [text.split("\n")[0] + "\n    raise NotImplementedError" for text in (DOUBLE, TOTAL)]
    untouched, failed = graded(tmp_path, *stubs), graded(tmp_path, double("return 1"), TOTAL.replace("sum", "max"))
    assert [task["status"] for task in untouched["tasks"]] == ["not started"] * 2
    assert [task["status"] for task in failed["tasks"]] == ["wrong"] * 2
    assert "You take the largest." in told(failed)
    assert untouched["points"] == failed["points"] == 0


def test_none_of_them_stops_the_batch(tmp_path, capsys):
    folder = tmp_path / "in"
    hand_in(folder / "a.ipynb", double("import os\nos._exit(1)"), TOTAL)
    (folder / "b.ipynb").write_bytes(b"\x00")
    hand_in(folder / "c.ipynb", "while True: pass", DOUBLE, TOTAL)
    hand_in(folder / "d" / "anything.ipynb", DOUBLE, TOTAL)
    assignment = replace(ASSIGNMENT, limits=replace(LIMITS, cells_seconds=20))  # c never ends
    assert grade_all([folder], assignment, tmp_path / "out", roster=["d", "eve"]) == 1
    said = capsys.readouterr().out
    assert "1 graded, 2 needs a look, 1 unreadable, 1 not submitted." in said
    assert "a: needs a look. The function of q1 ended its own process." in said


def test_without_a_sandbox_nothing_is_graded(tmp_path, monkeypatch):
    hand_in(tmp_path / "in" / "ada.ipynb", DOUBLE, TOTAL)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NoSandboxError, match="There is no sandbox for the submissions: install bubblewrap"):
        grade_all([tmp_path / "in"], ASSIGNMENT, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    with pytest.raises(NoSandboxError):
        sandbox()


ADVICE = {
    "bwrap: setting up uid map: Permission denied": "kernel.apparmor_restrict_unprivileged_userns",
    "bwrap: loopback: Failed RTM_NEWADDR: Operation not permitted": "the profile in grading/README.md",
    "bwrap: Can't mount proc on /newroot/proc: Operation not permitted": "systempaths=unconfined",
    "bwrap: Failed to make / slave: Permission denied": "--security-opt apparmor=unconfined",
    "bwrap: Creating new namespace failed: nesting depth or /proc/sys/user/max_*_namespaces exceeded (ENOSPC)": "user.max_user_namespaces",
    "bwrap: No permissions to create new namespace, likely because the kernel does not allow non-privileged user "
    "namespaces.": "kernel.unprivileged_userns_clone",
    "bwrap: Unknown option --disable-userns": "bubblewrap is too old",
    "bwrap: something else": "install bubblewrap",
}  # fmt: skip


def bubblewrap_that_says(folder, text):
    program = folder / "bwrap"
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "{text}" >&2\nexit 1\n')
    program.chmod(0o755)


@pytest.mark.parametrize("says", ADVICE)
def test_a_sandbox_that_does_not_start_says_what_helps(tmp_path, monkeypatch, says):
    bubblewrap_that_says(tmp_path, says)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(sandbox_module, "_is_container", lambda: False)
    with pytest.raises(NoSandboxError) as error:
        try_sandbox()
    assert ADVICE[says] in str(error.value).replace(says, "")
    assert "\n" not in str(error.value)


def test_in_a_container_the_advice_is_for_the_container(tmp_path, monkeypatch):
    bubblewrap_that_says(tmp_path, "bwrap: No permissions to create new namespace")
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    with pytest.raises(NoSandboxError, match="--security-opt seccomp=unconfined"):
        try_sandbox()


def test_what_a_machine_cannot_hold_is_said_before_it_starts(tmp_path, monkeypatch, capsys):
    def missing(name):
        raise OSError(f"{name}: cannot open shared object file")

    system_calls.system_call_filter.cache_clear()
    monkeypatch.setattr(ctypes, "CDLL", missing)
    (tmp_path / "in").mkdir()
    assert grade_all([tmp_path / "in"], ASSIGNMENT, tmp_path / "out") == 0
    assert "This machine has no libseccomp.so.2" in capsys.readouterr().err
    monkeypatch.undo()
    assert try_sandbox() == ""


def test_without_a_sandbox_when_that_is_said(tmp_path):
    open_door = replace(ASSIGNMENT, limits=SOON, is_sandboxed=False)
    file = hand_in(tmp_path / "ada.ipynb", DOUBLE, "def total(numbers):\n    while True: pass")
    report = grade(Submission("ada", file), open_door)
    assert [task["points"] for task in report["tasks"]] == [2, 0]


# Points only for solving: what is asked for cannot be had from the course, and feedback makes no table of answers.

SAMPLING = "course_utils.engine.sampling"
READ_THE_COURSE = f"""
import builtins, contextlib, glob, importlib, importlib.util, inspect, io, os, pkgutil, runpy, sys, zipimport
import course_utils
HERE = os.path.dirname(course_utils.__file__)

def everything():
    for folder in {{HERE, *sys.path, *glob.glob(sys.prefix + "/lib/python*/site-packages")}}:
        for place, _, files in os.walk(os.path.join(folder, "" if folder == HERE else "course_utils")):
            yield from (os.path.join(place, file) for file in files)

def imported(module, name):
    return getattr(importlib.import_module(module), name)(1, 2)

WAYS = [
    lambda: imported("{SAMPLING}", "apply_top_k"),
    lambda: imported("course_utils.engine", "sampling").apply_top_k(1, 2),
    lambda: __import__("{SAMPLING}", fromlist=["x"]).apply_top_k(1, 2),
    lambda: eval("__import__('course_' + 'utils.inference.sampling', fromlist=['x']).FILTERS")["top_k"](1, 2),
    lambda: inspect.getsource(importlib.import_module("{SAMPLING}")),
    lambda: runpy.run_module("{SAMPLING}")["apply_top_k"](1, 2),
    lambda: importlib.util.find_spec("{SAMPLING}").loader.get_source("{SAMPLING}"),
    lambda: pkgutil.get_data("course_utils", "engine/sampling.py"),
    lambda: imported("course_utils.traces", "record_next_token"),
    lambda: imported("course_utils.engine.own_filter", "compare_filter"),
    lambda: imported("course_utils.learner.capstone", "check_part"),
    lambda: imported("course_utils.exercises.lessons.lesson_11", "top_p_unsorted"),
    lambda: imported("course_utils.tokenizers.byte_pairs", "merge_pair"),
    lambda: imported("course_utils.models.question_answering", "_best_spans"),
    lambda: sys.modules["{SAMPLING}"].apply_top_k(1, 2),
]

def attempt():
    told = []
    for way in WAYS:
        try:
            told.append(repr(way())[:40])
        except BaseException as error:
            told.append("")
    return told

def answers():
    names = ["def apply_top_" + letter for letter in "kp"] + ["def " + "apply_min_p", "def merge_pair", "def beam_search"]
    found = []
    for file in everything():
        with contextlib.suppress(OSError), open(file, "rb") as opened:
            found += [file] * any(name.encode()[4:] in opened.read() for name in names)
    return found
"""


def test_nothing_of_what_is_asked_is_in_the_sandbox():
    with Session([READ_THE_COURSE], "attempt", LIMITS) as session:
        assert session.ask([]).value == [""] * 15
    with Session([READ_THE_COURSE], "answers", LIMITS) as session:
        assert session.ask([]).value == []


def asked_by(lesson, task):
    """The functions of the course that the right answer to a task calls, or the one written with the course does."""
    answers = importlib.import_module(f"tests.exercise_answers.{lesson}").RIGHT[task.name]
    found, waiting = set(), [task.right, *(one for one in answers if one.__name__.endswith("_by_the_course"))]
    while waiting:
        function = inspect.unwrap(waiting.pop())
        if function in found or not isinstance(function, FunctionType):
            continue
        found.add(function)
        called = [function.__globals__.get(name) for name in function.__code__.co_names]
        cells = [cell.cell_contents for cell in function.__closure__ or ()]
        if not function.__module__.startswith("course_utils."):  # of the checks: what does it call?
            waiting += [one for one in (*called, *cells) if callable(one)]
    return {function for function in found if function.__module__.startswith("course_utils.")}


LESSONS = sorted((ROOT / "course_utils" / "exercises" / "lessons").glob("lesson_*.py"))
# Given in the exercise, and said in it: "Take `prefill` and `decode_step` of the lesson."
GIVEN = {"prefill", "decode_step", "next_logits"}


@pytest.mark.parametrize("file", LESSONS, ids=lambda file: file.stem)
def test_no_right_answer_is_in_the_sandbox_of_its_task(file):
    for task in load_tasks(file)[0]:
        there = {*visible_files(needed_modules(task, 1))}
        for function in asked_by(file.stem, task):
            home = Path(inspect.getsourcefile(function))
            flagged = function.__name__ in {*task.ready_made, *GIVEN}
            assert flagged or home not in there or ".models" in function.__module__, f"{task.name}: {function}"


@pytest.mark.parametrize("file", LESSONS, ids=lambda file: file.stem)
def test_what_an_exercise_imports_is_in_the_sandbox(file):
    notebook = next((ROOT / "exercises").glob(f"{file.stem[-2:]}_*.ipynb"))
    cells = read_submission(Submission("ada", notebook)).cells
    wanted = {name for cell in cells for name in imports(cell.encode()) if name.startswith("course_utils")}
    files = {module_file(name) for name in wanted} - {None}
    for task in load_tasks(file)[0]:
        is_to_do_without = (file.stem, task.name) == ("lesson_10", "q2")  # "without `prefill` and `decode_step`"
        missing = files - {*visible_files(needed_modules(task, 1))}
        assert {file.stem for file in missing} == ({"prefill_decode"} if is_to_do_without else set())


def in_lesson_11(tmp_path, monkeypatch, *cells, count=1):
    """Grade cells by the first tasks of exercise 11."""
    tasks, _ = load_tasks(ROOT / "course_utils" / "exercises" / "lessons" / "lesson_11.py")
    monkeypatch.setattr(Assignment, "tasks", lambda self: (tasks[:count], ()))
    return graded(tmp_path, *cells)


def test_one_import_line_gives_no_points_and_is_said(tmp_path, monkeypatch):
    cell = f"from {SAMPLING} import apply_temperature as with_temperature, apply_top_k as top_k"
    report = in_lesson_11(tmp_path, monkeypatch, cell, count=2)
    assert (report["points"], report["status"]) == (0, LOOK)
    assert report["reasons"] == ["What q1, q2 needs of the course isn't there for submissions."]
    assert f"{SAMPLING}.apply_temperature isn't there while a submission is graded" in told(report)


RIGHT_TEMPERATURE = """
from course_utils.figures import curves
from course_utils.learner import checker, progress_report
import course_utils.widgets.sampling_lab, math
check = checker("11", globals())
def with_temperature(logits, temperature):
    if temperature == 0:
        return logits.masked_fill(logits < logits.amax(-1, keepdim=True), -math.inf)
    return logits / temperature
check("q1")
"""


def test_an_import_too_many_costs_nothing(tmp_path, monkeypatch):
    report = in_lesson_11(tmp_path, monkeypatch, RIGHT_TEMPERATURE)
    assert (report["points"], report["status"]) == (2, GRADED)


def test_a_right_answer_by_a_library_is_for_a_person(tmp_path, monkeypatch):
    cell = "from transformers import TemperatureLogitsWarper"
    report = in_lesson_11(tmp_path, monkeypatch, RIGHT_TEMPERATURE, cell)
    assert (report["points"], report["status"]) == (2, LOOK)
    assert told(report).startswith("q1 is right, and the notebook uses TemperatureLogitsWarper, which does by itself")


# Each sends its input out, in a way of its own; `{values}` is the input as digits.
LEAKS = {
    "an exception's text": "raise LookupError({values})",
    "an exception's name": "raise type('IN' + {values}, (Exception,), {{}})",
    "an exception of many lines": "raise ValueError('x\\n' + {values})",
    "a class": "return type('IN' + {values}, (), {{}})()",
    "a text": "return {values}",
    "a list": "return [int({values}), int({values})]",
    "a number": "return int({values})",
    "a length": "return [0] * numbers[0]",
    "a shape": "import torch\nreturn torch.zeros(numbers[0], 1)",
    "keys": "return {{{values}: 1}}",
    "deep inside": "return [[{{'a': [{values}]}}]]",
    "a print": "print({values})\nreturn None",
    "an exit": "raise SystemExit({values})",
    "a group": "raise ExceptionGroup({values}, [ValueError({values})])",
    "an assertion": "assert False, {values}",
    "a forged problem": (
        EVERY_DESCRIPTOR + "import json, time\ntold = {{'value': None, 'raised': {values}, 'problem': {values}, "
        "'is_changed': False, 'printed': {values}}}\n"
        "tell_everybody(json.dumps({{'dict': told}}).encode() + b'\\n')\ntime.sleep(9)"
    ),
}  # fmt: skip


def secret(numbers):
    return sum((place + 3) * number for place, number in enumerate(numbers))


SECRET = Task(
    name="q1", title="Secret", function="secret", right=secret, hint="-", mistakes=(Mistake("You add.", sum),),
    checks=(Check("mixes", lambda random: [(random.integers(1000, 9999, 3).tolist(),)]),),
)  # fmt: skip


def leaking(name):
    # In a text of its own, or Python would put the digits of the source where those of the input are looked for.
    body = LEAKS[name].format(values="''.join(map(str, numbers))")
    return f"def secret(numbers):\n{indented(body)}"


def is_told(page, numbers):
    """Whether a page says a number of the input, or the right answer."""
    return any(str(number) in page for number in (*numbers, secret(numbers)))


@pytest.mark.parametrize("name", [name for name in LEAKS if name != "a forged problem"])
def test_feedback_on_a_hidden_input_says_neither_it_nor_what_is_right(name):
    namespace = {}
    exec(leaking(name), namespace)
    for seed in range(5):
        ((numbers,),) = SECRET.arguments(seed)[0]
        result = judge(SECRET, lambda arguments: call(namespace["secret"], arguments), seed)
        (line,) = result.lines
        assert line.told.startswith("Your function ")
        assert not is_told(line.told, numbers)
        assert str(secret(numbers)) in line.seen.expected  # in a notebook, where nothing is hidden


def test_the_page_of_a_function_that_sends_its_input_out(tmp_path, monkeypatch):
    monkeypatch.setattr(Assignment, "tasks", lambda self: ((SECRET,), ()))
    ((numbers,),) = SECRET.arguments(ASSIGNMENT.seed)[0]
    for name in ("an exception's name", "a forged problem"):
        report = graded(tmp_path, leaking(name))
        page = feedback_page(report, {})
        assert report["points"] == 0
        assert not is_told(page + str(report["reasons"]), numbers)
        assert is_told(json.dumps(report["tasks"][0]["details"]), numbers)  # the teacher sees it


def test_what_is_told_still_helps():
    wanted = {
        "return None": "returns nothing: it needs a `return`.",
        "return [1]": "returns a list, and a number is right.",
        "return 1": "returns a number, but not the right one.",
        "return undefined": "raises NameError.",
        "numbers.clear()\nreturn 0": "changes what it is given: work on a copy (`tensor.clone()`, `list(values)`).",
        "exit()": "ends the program: take out exit() and quit().",
    }
    for body, sentence in wanted.items():
        namespace = {}
        exec(f"def secret(numbers):\n{indented(body)}", namespace)
        (line,) = judge(SECRET, lambda arguments, namespace=namespace: call(namespace["secret"], arguments), 1).lines
        assert line.told == f"Your function {sentence}"
    (line,) = judge(SECRET, lambda arguments: call(sum, arguments), 1).lines
    assert line.told == line.message == "You add."


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("raise NotImplementedError", "not started"),
        ('"""Twice."""\nraise NotImplementedError', "not started"),
        ("return values.long().softmax(-1)", "wrong"),
        ("values = values * 2\nraise NotImplementedError", "wrong"),
        ("raise NotImplementedError('TODO')", "wrong"),
    ],
)
def test_only_an_untouched_stub_is_not_started(tmp_path, monkeypatch, body, status):
    tasks, _ = ASSIGNMENT.tasks()
    monkeypatch.setattr(Assignment, "tasks", lambda self: (tasks[:1], ()))
    report = graded(tmp_path, double(body))
    assert (report["tasks"][0]["status"], report["points"]) == (status, 0)


@pytest.mark.parametrize("stem", [file.stem for file in LESSONS])
def test_every_stub_of_every_exercise_is_known_as_one(stem):
    """Compiled as in a notebook, with the decorators that stand above some of them."""
    notebook = json.loads(next((ROOT / "exercises").glob(f"{stem[-2:]}_*.ipynb")).read_text(encoding="utf-8"))
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    for task in load_tasks(ROOT / "course_utils" / "exercises" / "lessons" / f"{stem}.py")[0]:
        (cell,) = [cell for cell in cells if f"def {task.function}(" in cell]
        namespace = {"torch": torch}
        exec(cell, namespace)
        assert is_stub(namespace[task.function])


@pytest.mark.parametrize("place", ["package", "environment", "models", "link", "system"])
def test_checks_in_view_of_the_sandbox_are_refused(tmp_path, monkeypatch, capsys, place):
    folder = tmp_path / place
    folder.mkdir()
    checks = folder / "my_exam.py"
    shutil.copy(CHECKS, checks)
    named = checks
    if place == "link":
        named = tmp_path / "link.py"
        named.symlink_to(checks)
    monkeypatch.setattr(sandbox_module, "PACKAGE", folder) if place in ("package", "link") else None
    monkeypatch.setattr(sys, "prefix", str(folder)) if place == "environment" else None
    monkeypatch.setattr(sandbox_module, "_SYSTEM", (str(folder),)) if place == "system" else None
    monkeypatch.setattr(sandbox_module, "models_folder", lambda: folder) if place == "models" else None
    with pytest.raises(
        CourseError, match=r"^--checks must not be in .*, where submissions can read it: move my_exam\.py"
    ):
        hide_checks(named)


def test_checks_beside_the_others_or_elsewhere_are_fine(tmp_path):
    hide_checks(shutil.copy(CHECKS, tmp_path / "my_exam.py"))
    hide_checks(checks_file("11"))
    hide_checks(CHECKS)


def test_the_command_refuses_checks_that_can_be_read(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(command, "try_sandbox", lambda: None)
    arguments = [
        "--checks",
        str(ROOT / "course_utils" / "exercises" / "assignments.py"),
        "--seed",
        "1",
        "--out",
        str(tmp_path / "out"),
    ]
    assert main(["grade", str(tmp_path), *arguments]) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"--checks must not be in {ROOT / 'course_utils'}, where submissions can read it")
    assert said.count("\n") == 1


KEY = """
import sys
from pathlib import Path
from course_utils.grading import visible
from course_utils.grading.grade import Assignment
from course_utils.grading.submission import Handed
exec(sys.argv[2])
print(Assignment(Path(sys.argv[1]), seed=7).key(Handed("digest")))
"""


@pytest.fixture(scope="module")
def copied_course(tmp_path_factory):
    """A copy of the package, with checks and a helper of their own beside it; and how to ask it for a key."""
    folder = tmp_path_factory.mktemp("copy")
    ignored = shutil.ignore_patterns("__pycache__", "*.js", "*.css")
    shutil.copytree(ROOT / "course_utils", folder / "course_utils", ignore=ignored)
    (folder / "exam_helpers.py").write_text("FACTOR = 2\n")
    (folder / "exam.py").write_text(
        CHECKS.read_text() + "\nimport exam_helpers\nfrom course_utils.engine import sampling\n"
    )

    def key(more=""):
        environment = os.environ | {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
        run = [sys.executable, "-P", "-c", KEY, str(folder / "exam.py"), more]
        return subprocess.run(run, env=environment, capture_output=True, text=True, check=True).stdout

    return folder, key


CHANGES = {
    "the checks": "exam.py",
    "a module of theirs": "exam_helpers.py",
    "the reference": "course_utils/engine/sampling.py",
    "what the reference calls": "course_utils/engine/arguments.py",
    "how answers are judged": "course_utils/exercises/task.py",
    "how answers are compared": "course_utils/exercises/comparing.py",
    "how a function is called": "course_utils/exercises/calling.py",
    "what reads submissions": "course_utils/grading/submission.py",
    "a model of the cases": "course_utils/models/practice.py",
    "a text": "course_utils/experiments/texts/food_or_sport.json",
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_report_does_not_outlive_what_judged_it(copied_course, what):
    folder, key = copied_course
    file = folder / CHANGES[what]
    before, first = file.read_bytes(), key()
    file.write_bytes(before + b"\n# mended\n" if file.suffix == ".py" else before + b"\n")
    try:
        assert key() != first
    finally:
        file.write_bytes(before)


def test_a_report_outlives_what_judges_nothing(copied_course):
    folder, key = copied_course
    first = key()
    (folder / "course_utils" / "figures" / "base.py").write_text("# another picture\n")
    assert key() == first
    assert key("visible.version = lambda name: '99'") != first
    assert key("visible.platform.python_version = lambda: '3.99'") != first
