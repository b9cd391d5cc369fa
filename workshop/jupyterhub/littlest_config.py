"""For The Littlest JupyterHub, which reads it from /opt/tljh/config/jupyterhub_config.d; littlest.md says how."""

import sys

sys.path.insert(0, "/opt/llms-by-hand/workshop/jupyterhub")
from shared_settings import configure_servers

c = get_config()  # noqa: F821 (JupyterHub puts it here)

# The section of the class, because it counts more than what tljh-config writes to c.Spawner.
configure_servers(c.SystemdSpawner, python="/opt/tljh/user/bin/python")
