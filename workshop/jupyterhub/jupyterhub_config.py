"""JupyterHub on one server, with the accounts of that server: `jupyterhub --config jupyterhub_config.py`.

README.md says what to install before, and how to use the accounts of a school or a learning platform instead.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from shared_settings import configure_servers, stop_idle_servers

c = get_config()  # noqa: F821 (JupyterHub puts it here)

configure_servers(c.Spawner, python=sys.executable)
stop_idle_servers(c.JupyterHub)

# The class board, at /services/board: take away the # in these lines, and put in your address and your names.
# from shared_settings import add_board
# add_board(c.JupyterHub, c.Spawner, "https://hub.example.org", teachers=["ada"])

# Who may come in: the members of this group of the server. JupyterHub asks for their password by PAM.
c.LocalAuthenticator.allowed_groups = {"learners"}
