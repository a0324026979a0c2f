import shutil

from infra.local.console import say
from infra.local.home import Home
from infra.local.run_lock import RunLock

KEPT = ("tools", "run")  # kept: downloaded programs, and the lock, which other processes may be waiting for


def clear_data(home: Home) -> None:
    """Stop the system if it runs, then remove its data, mails, logs, keys and remembered ports."""
    lock_path = home.run / "lock"
    if pid := RunLock(lock_path).stop_owner():
        say(f"Stopped the running system (process {pid}).")
    lock = RunLock(lock_path)
    lock.take("being reset")
    for path in home.folder.iterdir():
        if path.name in KEPT:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    lock.close()
    say("All local data is cleared; `make dev` starts with new data.")
