# Runs on any Python 3.6 or later: the set-up uses it before the right Python is there.
import os
from pathlib import Path


def is_running(pid: int) -> bool:
    """Whether `pid` is alive; a zombie process that no parent has waited for counts as gone."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return True
