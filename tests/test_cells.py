"""What runs in Jupyter runs in the grader: the same cells in a real kernel and in the worker's shell."""

import os
import shutil
import sys
import textwrap

import pytest
from jupyter_client.manager import start_new_kernel

from course_utils.exercises.worker import run_cells
from course_utils.grading.grade import GRADED, LOOK, Assignment, grade
from course_utils.grading.sandbox import NoSandboxError, try_sandbox
from course_utils.grading.session import Limits
from course_utils.grading.submission import Submission
from course_utils.machine import ROOT
from tests.conftest import need
from tests.submissions import DOUBLE, TOTAL, hand_in

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="the cells call Linux's commands"),
    pytest.mark.usefixtures("new_interpreter"),
]
F = "def f(x):\n    return x\n"
CELLS = {
    "tabs": "\tdef f(x):\n\t\treturn x\n",
    "indented, with an empty line": textwrap.indent(F.replace("\n    return", "\n\n    return"), "  "),
    "prompts of Python": ">>> def f(x):\n...     return x\n...\n>>> f(1)\n",
    "prompts of IPython": "In [12]: def f(x):\n    ...:     return x\n    ...:\n",
    "empty lines first": f"\n\n   \n{F}",
    "old line ends": F.replace("\n", "\r\n"),
    "no line end": F.rstrip(),
    "output in a list": f"names = !echo a b\n{F}assert names == ['a b'] and names.n == 'a b'",
    "output with a name in it": f"word = 'hm'\nnames = !echo $word {{word}}\n{F}assert names == ['hm hm'], names",
    "a shell command in a block": f"if True:\n    !mkdir -p made\nimport os\nassert os.path.isdir('made')\n{F}",
    "an exit code": f"!exit 3\nassert _exit_code == 3\n{F}",
    "two exclamation marks": "!!ls\n",
    "timeit's value": f"spent = %timeit -o -n 2 -r 2 sum(range(9))\n{F}assert spent.best > 0 < spent.average",
    "time's assignment": f"%time y = 3\n{F}assert y == 3",
    "timeit of a cell": "%%timeit -n 1 -r 1\nx = 1\n",
    "capture": f"%%capture out\nprint('seen')\n{F}",
    "capture, and what it caught": f"{F}\nassert out.stdout == 'seen\\n', out.stdout",
    "prun": f"%%prun -q\n{F}",
    "time of a cell": f"%%time\nz = 5\n{F}",
    "and its names": f"assert z == 5\n{F}",
    "help before": f"?str.join\n{F}",
    "help behind, and the source": f"{F}f?\nf??\nstr.jo*?\n",
    "await": f"import asyncio\nfound = await asyncio.gather(asyncio.sleep(0, 1), asyncio.sleep(0, 2))\n{F}found[1] / 2",
    "async for": f"async def g():\n    yield 1\nasync for n in g():\n    pass\n{F}assert [n async for n in g()]",
    "a task": f"import asyncio\ntask = asyncio.create_task(asyncio.sleep(0, 7))\n{F}",
    "its result": f"assert await task == 7\n{F}",
    "a future import": f"from __future__ import annotations\n{F}",
    "and its effect later": f"def g(x: NotDefined): pass\n{F}",
    "display": f"from IPython.display import HTML, Markdown, clear_output, display\nclear_output(wait=True)\n"
    f"shown = display(HTML('<b>'), Markdown('x'), display_id='a')\nshown.update(3)\n{F}",
    "display without an import": f"display(3)\n{F}",
    "get_ipython": f"get_ipython().run_line_magic('matplotlib', 'inline')\nget_ipython().system('true')\n{F}",
    "get_ipython, imported": f"{F}from IPython import get_ipython\nassert get_ipython().user_ns['f'] is f",
    "its magics of old": f"get_ipython().run_cell_magic('time', '', 'w = 3')\nassert w == 3\n{F}",
    "a value": "7 * 6",
    "the value before": f"assert _ == 42 and 42 in Out.values() and In[-3] == '7 * 6' and _ii == In[-3]\n{F}",
    "a semicolon": f"{F}f(3);",
    "exit, in the middle": f"if False:\n    exit()\n{F}",
    "percents and marks that are none": f"%env A_NAME=1\nrest = (7\n    % 4)\ntext = '''\n!ls\n%time\nwhat?\n'''\n{F}"
    "assert rest == 3 and '?' in text",
    "an environment": f"import os\nassert os.environ['A_NAME'] == '1'\n{F}",
    "a configuration": f"%config InlineBackend.figure_format = 'retina'\n%load_ext autoreload\n%autoreload 2\n{F}",
    "forms of Colab": f"#@title A form\nn = 3 #@param {{type: 'integer'}}\n{F}",
    "a written file": "%%writefile helper.py\ndef helped():\n    return 5\n",
    "a written file, run": f"%run helper.py\nassert helped() == 5\n{F}",
    "a written file, imported": f"import sys\nsys.path.insert(0, '')\nimport helper\nassert helper.helped() == 5\n{F}",
    "bash": "%%bash\necho hello > from_bash\n",
    "bash, and its file": f"assert open('from_bash').read() == 'hello\\n'\n{F}",
    "html": "%%html\n<b>no Python</b>",
    "javascript": "%%javascript\nlet x = () => 3;",
    "a number of pi": f"%pylab inline\nassert round(pi, 2) == 3.14\n{F}",
    "its own source": f"import inspect\n{F}assert 'return x' in inspect.getsource(f)",
    "a pickle": f"import pickle\n{F}assert pickle.loads(pickle.dumps(f)) is f and f.__module__ == '__main__'",
    "widgets": f"from ipywidgets import IntSlider, interact\ninteract(lambda n: n, n=3)\nIntSlider()\n{F}",
    "a progress bar": f"from tqdm.auto import tqdm\nassert [*tqdm([1, 2])] == [1, 2]\n{F}",
    "a failing cell": f"{F}1 / 0\n",
    "a failing magic": f"{F}%time 1 / 0\n",
    "a syntax error": f"{F}this is no Python\n",
    "a late syntax error": f"{F}return 3\n",
    "a matrix product of prompts": f"import numpy\na = numpy.eye(2)\nb = (a\n@ a)\n{F}",
    "an alias": f"%pwd\n%ls\n%who\n{F}",
    "words": "just some words, no Python",
}  # fmt: skip


PROBE = "globals().pop('f', None) is not None"
UNDEFINED = {  # these define no function in a notebook either
    "two exclamation marks", "timeit of a cell", "a value", "a written file", "bash", "html", "javascript",
    "a syntax error", "words",
}  # fmt: skip


def test_a_kernel_and_the_worker_define_the_same(in_a_folder):
    """Cell by cell: did it come to its end, and is its function there?"""
    kernel, client = start_new_kernel(
        startup_timeout=300, cwd=str(in_a_folder), env={**os.environ, "IPYTHONDIR": str(in_a_folder)}
    )
    in_kernel, files = {}, {*in_a_folder.iterdir()}
    try:
        for name, source in CELLS.items():
            reply = client.execute_interactive(source, output_hook=lambda _: None, timeout=600)["content"]
            probed = client.execute_interactive(
                f"_probed = {PROBE}", user_expressions={"f": "_probed"}, output_hook=lambda _: None, timeout=600
            )
            there = probed["content"]["user_expressions"]["f"]["data"]["text/plain"]
            in_kernel[name] = (reply["status"] == "ok", there == "True")
    finally:
        client.stop_channels()
        kernel.shutdown_kernel(now=True)
    for file in {*in_a_folder.iterdir()} - files:
        shutil.rmtree(file) if file.is_dir() else file.unlink()
    left_out = []
    both = [
        cell for source in CELLS.values() for cell in (source, f"_probed = [*globals().get('_probed', []), {PROBE}]")
    ]
    namespace, failures = run_cells(both, left_out)
    here = {
        name: (str(2 * number + 1) not in failures, there)
        for (number, name), there in zip(enumerate(CELLS), namespace["_probed"], strict=True)
    }
    assert here == in_kernel
    assert {name for name, (_, there) in here.items() if not there} == UNDEFINED
    assert left_out == []


LEFT_OUT = {
    "%pip install": (f"%pip install -q numpy \\\n    pandas\n{F}", ["%pip"]),
    "pip without a sign": ("pip install numpy", ["%pip"]),
    "!pip": (f"!pip install -q numpy \\\n    pandas\n{F}", ["!pip install"]),
    "!python -m pip": (f"import sys\n!{{sys.executable}} -m pip install --upgrade torch\n{F}", ["!pip install"]),
    "others": (f"!apt-get -y install cowsay\n!conda install x\n%mamba install y\n!uv add z\n{F}",
               ["!apt-get install", "!conda install", "%mamba", "!uv add"]),
    "output of an installation": (f"said = !pip3 install x\n{F}assert said == []", ["!pip3 install"]),
    "a magic that only Colab has": (f"%tensorflow_version 2.x\n{F}", ["%tensorflow_version"]),
    "extensions": (f"%load_ext lab_black\n%load_ext tensorboard\n%tensorboard --logdir x\n{F}",
                   ["%load_ext", "%tensorboard"]),
    "an unknown magic over Python": (f"%%memit\n{F}", ["%%memit"]),
    "an unknown magic over words": ("%%ai chatgpt\nwrite me a poem, please", ["%%ai"]),
    "a file that is not here": (f"%run helpers.ipynb\n%load other.py\n{F}", ["%run", "%load"]),
    "a cell's magic that stands too low": (f"# a comment\n%%time\n{F}", ["%%time"]),
    "a command that fails": ("%%bash\nexit 3", ["%%bash"]),
    "the same a hundred times": ("%nothing\n" * 100, ["%nothing"]),
    "a hundred others": ("\n".join(f"%nothing{n}" for n in range(100)), [f"%nothing{n}" for n in range(20)]),
}  # fmt: skip


@pytest.mark.parametrize("name", LEFT_OUT)
def test_a_command_that_cannot_work_is_left_out_and_named(in_a_folder, name):
    source, names = LEFT_OUT[name]
    left_out = []
    namespace, failures = run_cells([source], left_out)
    assert (failures, left_out) == ({}, names)
    assert callable(namespace.get("f")) == (F in source)


def test_timeit_costs_one_run(in_a_folder):
    slow = "%timeit -n 9 -r 9 runs.append(time.sleep(0.3))\nx = %timeit -o -q time.sleep(0.3)"
    namespace, failures = run_cells(["import time\nruns = []", slow])
    assert not failures
    assert len(namespace["runs"]) == 1
    assert namespace["x"].best >= 0.3


def test_one_cell_does_not_stop_the_next(in_a_folder):
    broken = [
        "(" * 5000, "x = = 1", "raise SystemExit", "exit()", "quit", "raise KeyboardInterrupt", "1 / 0",
        "await nothing()",
        "import asyncio\nasyncio.create_task(asyncio.sleep(0)).cancel()\nraise asyncio.CancelledError", "\x00",
        "'" + "\\N{no such letter}'", "def g():\n  return\n return", "%%time\nx = = 1", "%%capture\n1 / 0",
        "raise GeneratorExit",
    ]  # fmt: skip
    namespace, failures = run_cells([*broken, F])
    assert callable(namespace["f"])
    assert str(len(broken) + 1) not in failures
    assert failures["1"] in ("SyntaxError", "MemoryError", "RecursionError")
    assert (failures["3"], failures["6"], failures["7"], failures["8"]) == (
        "SystemExit", "KeyboardInterrupt", "ZeroDivisionError", "NameError",
    )  # fmt: skip


def test_in_the_sandbox(tmp_path):
    try:
        try_sandbox()
    except NoSandboxError:
        need("bubblewrap", False)
    noted = "%matplotlib inline\n!pip install -q torch\nspent = %timeit -o 1 + 1\n!python --version > version\n"
    noted += "assert 'Python 3' in open('version').read()\nimport asyncio\nawait asyncio.sleep(0)\n"
    noted += f"print('\ud83d')\n{DOUBLE}\ndouble?"
    typed = "from typing import get_type_hints\nclass Row:\n    width: 'Row'\n"
    typed += f"{TOTAL.replace('return', 'assert get_type_hints(Row) and display(1) is None; return')}"
    warns = "if 0:\n" + " 1 is 1\n" * 20_000
    file = hand_in(tmp_path / "ada.ipynb", noted.replace("\ud83d", "\\ud83d"), typed, warns, *["1 / 0"] * 500)
    report = grade(Submission("ada", file), Assignment(ROOT / "tests" / "grading_checks.py", 3, Limits()))
    assert report["reasons"] == ["Left out, because it can't work in the sandbox: !pip install."]
    assert (report["points"], report["status"]) == (4, GRADED)


def test_three_of_many_failures_are_named(tmp_path):
    try:
        try_sandbox()
    except NoSandboxError:
        need("bubblewrap", False)
    file = hand_in(tmp_path / "ada.ipynb", *["raise ValueError"] * 500, DOUBLE)
    report = grade(Submission("ada", file), Assignment(ROOT / "tests" / "grading_checks.py", 3, Limits()))
    assert report["status"] == LOOK
    assert report["reasons"] == [
        "There is no function for q2 (cell 1 raises ValueError, cell 2 raises ValueError, cell 3 raises ValueError, "
        "and others)."
    ]
    assert len(str(report)) < 9000
