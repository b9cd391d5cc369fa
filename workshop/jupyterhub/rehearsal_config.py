"""The same hub for a rehearsal on one machine, without accounts. `course hub` starts it, with its wishes in COURSE_HUB.

Not for a real class: all servers run as the user who started the hub, so a learner can read everybody's files.
"""

import json
import os
from pathlib import Path

c = get_config()  # noqa: F821 (JupyterHub puts it here)
load_subconfig(str(Path(__file__).resolve().with_name("jupyterhub_config.py")))  # noqa: F821
asked = json.loads(os.environ["COURSE_HUB"])
# By this variable all processes of the hub are found and ended, whatever happens to the hub.
mark = {"COURSE_HUB_FOLDER": asked["folder"]}

c.JupyterHub.bind_url = f"http://127.0.0.1:{asked['port']}"
c.JupyterHub.hub_port = asked["hub_port"]
c.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{asked['proxy_port']}"
c.ConfigurableHTTPProxy.command = asked["proxy"]

c.JupyterHub.authenticator_class = "shared-password"
c.SharedPasswordAuthenticator.user_password = asked["password"]
c.Authenticator.allowed_users = {f"learner{number}" for number in range(1, asked["users"] + 1)}

c.JupyterHub.spawner_class = "simple"
c.SimpleLocalProcessSpawner.home_dir_template = os.path.join(asked["folder"], "homes", "{username}")
if os.geteuid() == 0:  # in a container there is often no other user
    c.Spawner.args = ["--allow-root"]
c.Spawner.environment = {**c.Spawner.environment, **mark}
c.JupyterHub.services = [{**service, "environment": mark} for service in c.JupyterHub.services]
