# ruff: noqa: UP006, UP032, UP035, UP045 -- runs on any Python 3.6 or later, before the right Python is there
"""From a bare clone to a running command: `python3 -m infra.local.bootstrap COMMAND`, which needs only Python and Node.

It checks Node and installs uv, Python 3.13 with the packages of uv.lock (`.venv`) and the packages of
package-lock.json (`node_modules`). Then it becomes `.venv/bin/python -m infra.local COMMAND`. A part that is up to date
costs no time.
"""

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Tuple

from infra.local.run_lock import AlreadyRunning, RunLock
from infra.local.uv_program import Remedy, find_uv

REPOSITORY = Path(__file__).resolve().parent.parent.parent
HOME = Path(os.environ.get("BOXOFFICE_HOME") or REPOSITORY / ".local").absolute()
TOOLS = REPOSITORY / ".local" / "tools"
PYTHON = REPOSITORY / ".venv" / "bin" / "python"
NODE_STAMP = REPOSITORY / "node_modules" / ".boxoffice-installed"
NODE_AT_LEAST = (20,)
NEED_NODE = ("dev", "test", "bench")
COMMANDS = {
    "dev": ["-m", "infra.local", "dev"],
    "test": ["-m", "infra.local", "verify", "all"],
    "check": ["-m", "infra.local", "verify", "check"],
    "format": ["-m", "infra.local", "verify", "format"],
    "lock": ["-m", "infra.local", "verify", "lock"],
    "settings": ["-m", "infra.local.settings_guide"],
    "bench": ["-m", "tests.bench"],
    "token": ["-m", "infra.local", "token"],
}
# Set for other projects, these would send uv or the new Python elsewhere.
NOT_PASSED_ON = (
    "CONDA_PREFIX",
    "PYTHONHOME",
    "PYTHONPATH",
    "UV_NO_DEV",
    "UV_PROJECT",
    "UV_PROJECT_ENVIRONMENT",
    "UV_PYTHON",
    "VIRTUAL_ENV",
)
NO_PYTHON = "No interpreter found|Failed to inspect Python interpreter"  # uv's messages when no Python runs
STILL_AT_IT_SECONDS = 15.0


def main(arguments: List[str]) -> int:
    """Set up what the command needs, then replace this process by it; return an exit code if the set-up fails."""
    if not arguments or arguments[0] not in COMMANDS:
        complain("usage: python3 -m infra.local.bootstrap {{{}}}".format("|".join(COMMANDS)))
        return 2
    started = time.time()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        lock = reserve() if arguments[0] == "dev" else None
        uv = set_up(with_node=arguments[0] in NEED_NODE, quiet=arguments[0] == "token")
    except (Remedy, AlreadyRunning) as problem:
        complain(str(problem))
        return 1
    except KeyboardInterrupt:
        return 130
    become(arguments, uv=uv, lock=lock, started=started)
    return 1


def become(arguments: List[str], uv: str, lock: Optional[RunLock], started: float) -> None:
    """Replace this process by the command, which keeps this process's lock."""
    environment = clean_environment()
    environment.update({"BOXOFFICE_STARTED": str(started), "BOXOFFICE_UV": uv})
    if lock:
        environment["BOXOFFICE_LOCK_FD"] = lock.hand_over()
    os.chdir(str(REPOSITORY))
    sys.stdout.flush()
    os.execve(str(PYTHON), [str(PYTHON)] + COMMANDS[arguments[0]] + arguments[1:], environment)  # noqa: S606


def reserve() -> RunLock:
    """Make sure that nothing runs in this folder and that the port is free, before anything is installed."""
    text = os.environ.get("PORT") or "7071"
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise Remedy("PORT={} is not a port: try `make dev PORT=7072`.".format(text))
    port = int(text)
    try:
        lock = RunLock(HOME / "run" / "lock")
    except OSError as error:
        raise Remedy("{} can't be written to ({}): make this user its owner.".format(HOME, error.strerror)) from None
    lock.take("http://localhost:{}".format(port))
    with socket.socket() as attempt:
        attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            attempt.bind(("127.0.0.1", port))
        except OSError as error:
            raise Remedy(
                "Port {} can't be used ({}). Stop what uses it, or choose another one: `make dev PORT={}`.".format(
                    port, error.strerror, port + 1 if port < 65535 else 7072
                )
            ) from None
    return lock


def set_up(with_node: bool, quiet: bool) -> str:  # noqa: FBT001 -- called once, by keyword
    """Install what is missing; returns the path of uv."""
    say = (lambda _: None) if quiet else print_line
    (HOME / "logs").mkdir(parents=True, exist_ok=True)
    with only_one_set_up():
        if with_node:
            say("  {}".format(check_node()))
        jobs = [Job("npm packages", install_node_packages)] if with_node else []
        uv = find_uv(TOOLS, say)
        jobs.append(Job("Python packages", lambda: install_python_packages(uv)))
        for job in jobs:
            job.start()
        for job in jobs:
            job.report(say)
    return uv


@contextlib.contextmanager
def only_one_set_up() -> Iterator[None]:
    """Let a second set-up of the same checkout wait for the first."""
    TOOLS.mkdir(parents=True, exist_ok=True)
    with (TOOLS / "setup.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


class Job(threading.Thread):
    """A part of the set-up that runs at the same time as the others."""

    def __init__(self, name: str, work: Any) -> None:
        super().__init__(name=name, daemon=True)
        self.work = work
        self.seconds = 0.0
        self.problem = None  # type: Optional[Exception]

    def run(self) -> None:
        """Do the work, and keep its duration and its error."""
        started = time.monotonic()
        try:
            self.work()
        except Exception as problem:  # noqa: BLE001 -- raised again by `report`
            self.problem = problem
        self.seconds = time.monotonic() - started

    def report(self, say: Any) -> None:
        """Wait for the end and print from time to time that the part still runs; raise its error, if any."""
        waited = 0.0
        while self.is_alive():
            self.join(STILL_AT_IT_SECONDS)
            waited += STILL_AT_IT_SECONDS
            if self.is_alive():
                say("  {:<34} {:6.0f} s so far".format(self.name, waited))
        if self.problem:
            raise self.problem
        say("  {:<34} {:6.1f} s".format(self.name, self.seconds))


def check_node() -> str:
    """The versions found; raises Remedy when Node or npm is missing or too old."""
    remedy = (
        "Install Node 20 or later (https://nodejs.org, `apt install nodejs npm`, `brew install node`) and run again."
    )
    if not shutil.which("node"):
        raise Remedy("Node is missing: the storage emulator runs on it. {}".format(remedy))
    found = output_of(["node", "--version"])
    if parse_version(found) < NODE_AT_LEAST:
        raise Remedy("Node {} is too old. {}".format(found.strip() or "(unknown)", remedy))
    if not shutil.which("npm"):
        raise Remedy("npm is missing: it comes with Node or as a separate package. {}".format(remedy))
    return "Node {}".format(found.strip().lstrip("v"))


def parse_version(text: str) -> Tuple[int, ...]:
    """The first dotted number in `text`: "v20.1.0" is (20, 1, 0); empty when there is none."""
    found = re.search(r"\d+(?:\.\d+)*", text)
    return tuple(int(part) for part in found.group().split(".")) if found else ()


def install_node_packages() -> None:
    """Run `npm ci` when package-lock.json has changed since the last time."""
    lock = (REPOSITORY / "package-lock.json").read_bytes()
    stamp = hashlib.sha256(lock).hexdigest()
    if NODE_STAMP.exists() and NODE_STAMP.read_text() == stamp:
        return
    # NODE_ENV=production would leave out the emulator, which is a development dependency.
    command = ["npm", "ci", "--include=dev", "--no-audit", "--no-fund"]
    log = run_logged("npm-ci", command)
    if log is not None:
        raise Remedy(
            "npm could not install the packages of package-lock.json. Is the registry reachable? npm said:\n" + log
        )
    NODE_STAMP.write_text(stamp)


def install_python_packages(uv: str) -> None:
    """Run `uv sync`: with this machine's Python 3.13, else with one that uv downloads."""
    log = run_logged("uv-sync", [uv, "sync", "--frozen", "--no-python-downloads"])
    if log is not None and re.search(NO_PYTHON, log):
        own_python = {"UV_PYTHON_INSTALL_DIR": str(TOOLS / "python"), "UV_PYTHON_PREFERENCE": "only-managed"}
        log = run_logged("uv-sync", [uv, "sync", "--frozen"], **own_python)
        if log is not None:
            raise Remedy(
                "Python 3.13 is missing, and uv could not download it. Install Python 3.13 "
                "(https://www.python.org, pyenv, your package manager) or run `{} python install 3.13` where the "
                "network allows it, then run again. uv said:\n{}".format(uv, log)
            )
    if log is not None:
        raise Remedy("uv could not install the packages of uv.lock. Is the registry reachable? uv said:\n" + log)


def run_logged(name: str, command: List[str], **environment: str) -> Optional[str]:
    """Run a command in the checkout; return None if it succeeds, else the end of its output."""
    path = HOME / "logs" / (name + ".log")
    with path.open("wb") as log:
        code = subprocess.call(
            command,
            cwd=str(REPOSITORY),
            env=dict(clean_environment(), **environment),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    if code == 0:
        return None
    return "\n".join("    " + line for line in path.read_text(errors="replace").splitlines()[-15:])


def output_of(command: List[str]) -> str:
    """Return what a command prints, or an empty text if it fails."""
    try:
        return subprocess.check_output(command, stderr=subprocess.DEVNULL, universal_newlines=True)
    except (OSError, subprocess.CalledProcessError):
        return ""


def clean_environment() -> Dict[str, str]:
    """Return this process's environment without the variables that are meant for other projects."""
    return {name: value for name, value in os.environ.items() if name not in NOT_PASSED_ON}


def print_line(line: str) -> None:
    """Print progress at once, even if the output does not go to a terminal."""
    with contextlib.suppress(OSError):
        print(line, flush=True)


def complain(line: str) -> None:
    """Print what is wrong and what to do about it."""
    with contextlib.suppress(OSError):
        print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
