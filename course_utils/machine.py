"""This machine: the course's folder, terminal, ports, browsers, what we may do here, and JupyterLab as we start it."""

import importlib.util
import os
import platform
import shutil
import socket
import subprocess
import sys
from pathlib import Path

from course_utils.errors import CourseError

ROOT = Path(__file__).resolve().parents[1]
# JupyterLab would ask the network for news, updates and extensions, and the learner whether it may.
QUIET_LAB = [
    "--LabApp.news_url=None",
    "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    "--LabApp.extension_manager=readonly",
    f"--LabApp.extra_labextensions_path={Path(__file__).with_name('lab_extensions')}",
    f"--LabApp.app_settings_dir={Path(__file__).with_name('lab_settings')}",
    # Else every kernel greets the terminal with a warning that what is typed crosses the machine in plain text.
    "--MappingKernelManager.transport_encryption=auto",
    "--KernelRestarter.time_to_dead=1",  # seconds until the server looks again whether a kernel is alive
    "--LanguageServerManager.autodetect=False",  # else the terminal lists twenty programs that are not installed
]
_BROWSERS_ON_PATH = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
    "msedge",
    "microsoft-edge",
)
_BROWSERS_ELSEWHERE = (
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
    r"%ProgramFiles%\Google\Chrome\Application\chrome.exe",
    r"%ProgramFiles(x86)%\Google\Chrome\Application\chrome.exe",
    r"%LocalAppData%\Google\Chrome\Application\chrome.exe",
    r"%ProgramFiles(x86)%\Microsoft\Edge\Application\msedge.exe",
    r"%ProgramFiles%\Microsoft\Edge\Application\msedge.exe",
)


def start_lab(options: list[str]) -> None:
    """Start JupyterLab with these options; return when it is shut down.

    JupyterLab refuses to serve root. In containers, on machines like Colab's and in CI there is often no other user,
    so here it serves root too, as long as nobody else can reach it.

    Raises:
        CourseError: We are root, and other machines could reach the server or it would ask for no token.
    """
    from jupyterlab.labapp import LabApp  # takes a second, and no other command needs it

    class Lab(LabApp):
        @classmethod
        def get_extension_package(cls) -> str:
            return LabApp.get_extension_package()

        @classmethod
        def initialize_server(cls, *arguments: object, **options: object) -> object:
            # The settings as they are in the end, from the command line, configuration files and the environment.
            server = super().initialize_server(*arguments, **options)
            if not server.allow_root and hasattr(os, "geteuid") and os.geteuid() == 0:
                _refuse_others(server.ip, server.identity_provider.auth_enabled)
                server.allow_root = True
            return server

    Lab.launch_instance(options)


def _refuse_others(ip: str, asks_who_it_is: bool) -> None:
    if ip not in ("localhost", "127.0.0.1", "::1"):
        raise CourseError(
            f"You are root, and other machines could reach JupyterLab at the address {ip or '0.0.0.0'}: leave --ip "
            "out, or add --allow-root if you mean it."
        )
    if not asks_who_it_is:
        raise CourseError(
            "You are root, and JupyterLab wouldn't ask for a token: leave the empty token out, or add "
            "--allow-root if you mean it."
        )
    print("You are root: JupyterLab answers on this machine only (127.0.0.1), and asks for its token.", flush=True)


def port_is_taken(port: int) -> bool:
    """Say whether another program listens on `port` of this machine."""
    with socket.socket() as probe:
        if os.name == "posix":  # a port that was freed a moment ago counts as free
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def say(text: str) -> None:
    """Print a text on any terminal at once; letters that its encoding lacks are written as their escapes."""
    encoding = sys.stdout.encoding or "utf-8"
    print(text.encode(encoding, errors="backslashreplace").decode(encoding), flush=True)


def processor_name() -> str:
    """Return what this machine calls its processor, such as `AMD EPYC 7B13`."""
    information = Path("/proc/cpuinfo")  # on Linux, platform.processor() only says "x86_64"
    lines = information.read_text().splitlines() if information.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def find_browser() -> str | None:
    """Return the path of a browser that the tests can drive, or None.

    `COURSE_BROWSER` names one; else Chromium, Chrome or Edge is looked for where they usually are, then the
    Chromium of `python -m playwright install chromium`.
    """
    named = os.environ.get("COURSE_BROWSER")
    if named:
        return shutil.which(os.path.expanduser(named))
    places = [*_BROWSERS_ON_PATH, *map(os.path.expandvars, _BROWSERS_ELSEWHERE)]
    return next(filter(None, map(shutil.which, places)), None) or _playwrights_browser()


def find_node() -> str | None:
    """Return the path of Node.js, or None."""
    return shutil.which("node") or shutil.which("nodejs")


def as_root() -> list[str] | None:
    """Return what goes before a command to run it as root; None when a password would be asked for."""
    if os.name != "posix":
        return None
    if os.geteuid() == 0:
        return []
    sudo = ["sudo", "-n"]
    allowed = shutil.which("sudo") and subprocess.run([*sudo, "true"], capture_output=True).returncode == 0
    return sudo if allowed else None


def _playwrights_browser() -> str | None:
    if importlib.util.find_spec("playwright") is None:
        return None
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        return shutil.which(playwright.chromium.executable_path)
