"""What a class needs, whatever starts it: JupyterHub on one server, The Littlest JupyterHub, Kubernetes.

The first two read this file. `zero-to-jupyterhub.yaml` and `Dockerfile` cannot, and say the same once more;
`tests/test_hub.py` compares. It needs nothing but Python, because a hub's Python need not be the one of the learners.
"""

import os
import sys

# One copy for all; it may be read-only.
MODELS = os.path.abspath(os.path.expanduser(os.environ.get("COURSE_MODELS_DIR") or "/opt/llms-by-hand-models"))
ENVIRONMENT = {
    "COURSE_MODELS_DIR": MODELS,
    "HF_HUB_OFFLINE": "1",
    # One thread for each kernel: else every kernel takes all processors, and everybody waits for everybody.
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
}
SERVER = [
    "-P",
    "-m",
    "course_utils.classroom.learner_server",
]  # -P: no file of the learner's is a module of ours
DEFAULT_URL = "/lab/tree/llms-by-hand/notebooks/00_start_here.ipynb"
MEMORY_LIMIT = "3G"  # for a learner's server and all their kernels; lesson 02 takes 2.5 GB for a moment
MEMORY_GUARANTEE = "512M"
CPU_LIMIT = 1.0
START_SECONDS = 300  # when the whole class comes in at once, the last server takes minutes
IDLE_SECONDS = 2 * 60 * 60  # a lunch break is shorter; what is saved stays, only variables are lost
LOOK_EVERY_SECONDS = 5 * 60

BOARD_PORT = 8011  # of this machine only; browsers come through the hub
BOARD_ROOM = "BRDRMS"  # no secret: the hub knows who comes in
TEACHERS = "teachers"  # the group of the hub whose members have the board's teacher page


def configure_servers(spawner: object, python: str) -> None:
    """Set up the learners' servers.

    Args:
        spawner: A section of the configuration: `c.Spawner`, or the one of a class, such as `c.SystemdSpawner`.
        python: The Python in which the course is installed.
    """
    spawner.cmd = [python, *SERVER]
    spawner.environment = dict(ENVIRONMENT)
    spawner.default_url = DEFAULT_URL
    spawner.mem_limit = MEMORY_LIMIT
    spawner.mem_guarantee = MEMORY_GUARANTEE
    spawner.cpu_limit = CPU_LIMIT
    spawner.start_timeout = spawner.http_timeout = START_SECONDS


def stop_idle_servers(hub: object) -> None:
    """Let jupyterhub-idle-culler stop servers that nobody uses; `hub` is `c.JupyterHub`."""
    times = [f"--timeout={IDLE_SECONDS}", f"--cull-every={LOOK_EVERY_SECONDS}"]
    hub.services = [{"name": "idle-culler", "command": [sys.executable, "-P", "-m", "jupyterhub_idle_culler", *times]}]
    scopes = ["list:users", "read:users:activity", "read:servers", "delete:servers"]
    hub.load_roles = [{"name": "idle-culler", "scopes": scopes, "services": ["idle-culler"]}]


def add_board(hub: object, spawner: object, address: str, teachers: list[str]) -> None:
    """Add the class board as a service of the hub, after `configure_servers` and `stop_idle_servers`.

    Args:
        hub: `c.JupyterHub`.
        spawner: The section of the servers, as `configure_servers` got it.
        address: What browsers type to reach the hub, such as "https://hub.example.org".
        teachers: Names of users who have the teacher's page, `address` + "/services/board/teacher".
    """
    python, place = spawner.cmd[0], "/services/board"
    command = [python, "-P", "-m", "course_utils.cli", "board", f"--room={BOARD_ROOM}", f"--address={address}{place}"]
    board = {"name": "board", "url": f"http://127.0.0.1:{BOARD_PORT}", "command": command, "oauth_no_confirm": True}
    hub.services.extend([board])
    may_come_in = "access:services!service=board"
    own_server = ["users:activity!user", "access:servers!server", may_come_in]
    hub.load_roles.extend([{"name": "user", "scopes": ["self", may_come_in]}, {"name": "server", "scopes": own_server}])
    hub.load_groups.update({TEACHERS: {"users": list(teachers)}})
    inside = f"http://127.0.0.1:{BOARD_PORT}{place}"
    spawner.environment.update({"COURSE_BOARD": inside, "COURSE_BOARD_ROOM": BOARD_ROOM})
