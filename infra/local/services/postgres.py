import contextlib
import os
import shutil
import signal
import subprocess
from pathlib import Path

from infra.local.liveness import is_running
from infra.local.services.guard import Guard, stop_group
from infra.local.services.postgres_programs import Account, find_account, find_programs, major_version
from infra.local.services.process import START_SECONDS, ServiceFailed, ServiceProcess

READY = "ready"  # the last line that the server writes to postmaster.pid, as pg_ctl reads it


class PostgresServer:
    """A private PostgreSQL on 127.0.0.1 with its data in one folder; `durable=False` trades safety for speed."""

    name = "postgres"

    def __init__(
        self, data: Path, *, log: Path, guard: Guard, port: int, durable: bool = True, max_connections: int = 100
    ) -> None:
        self.data = data
        self.port = port
        self._durable = durable
        self._max_connections = max_connections
        # SIGINT is the fast shutdown: sessions are ended, nothing committed is lost.
        self.process = ServiceProcess(self.name, log=log, guard=guard, stop_signal=signal.SIGINT)

    def url(self, database: str = "postgres") -> str:
        """The connection URL of `database`, as its superuser."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Create the cluster when there is none, start the server and wait until it accepts connections."""
        programs = find_programs()
        account = find_account(programs)
        if not (self.data / "PG_VERSION").exists():
            self._create_cluster(programs, account)
        self._check_version(programs)
        _give_to(account.owner, self.data)
        self._clear_leftover()
        arguments = [part for name, value in self._settings().items() for part in ("-c", f"{name}={value}")]
        self.process.spawn([*account.prefix, programs / "postgres", "-D", self.data, *arguments])
        self.process.wait_ready(self._accepts_connections, timeout=START_SECONDS)

    def ensure_database(self, name: str) -> None:
        """Create the database `name` unless it exists."""
        import psycopg  # noqa: PLC0415 -- 0.1 s that only a start needs
        from psycopg import sql  # noqa: PLC0415

        with psycopg.connect(self.url(), autocommit=True) as connection:
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone():
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))

    def stop(self, *, timeout: float = 5.0) -> None:
        """End all sessions and stop; committed data is kept."""
        self.process.stop(timeout=timeout)

    def _settings(self) -> dict[str, str]:
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "max_connections": str(self._max_connections),
            "shared_buffers": "256MB",
            "max_wal_size": "2GB",
            "jit": "off",  # compiling costs more than it gains for short statements
            "log_checkpoints": "off",
        }
        if not self._durable:
            settings |= {
                "fsync": "off",
                "synchronous_commit": "off",
                "full_page_writes": "off",
                "shared_buffers": "128MB",
            }
        return settings

    def _create_cluster(self, programs: Path, account: Account) -> None:
        """Run initdb next to the final place, then move the result there, so that a half-made cluster is never used."""
        unfinished = self.data.with_name(f"{self.data.name}.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True, mode=0o700)
        os.chown(unfinished, account.owner, -1)
        locale = ["--locale=C.UTF-8"]
        if major_version(programs) >= 17:
            locale = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
        command = [*account.prefix, str(programs / "initdb"), "-D", str(unfinished), "-U", "postgres", "-A", "trust"]
        command += ["-E", "UTF8", "--data-checksums", *locale, *([] if self._durable else ["--no-sync"])]
        made = subprocess.run(command, capture_output=True, text=True, check=False)
        if made.returncode != 0:
            raise ServiceFailed(f"initdb failed\n{made.stdout}{made.stderr}")
        unfinished.rename(self.data)

    def _check_version(self, programs: Path) -> None:
        found = (self.data / "PG_VERSION").read_text().strip()
        if int(found) != major_version(programs):
            raise ServiceFailed(
                f"{self.data} was made by PostgreSQL {found}, this is {major_version(programs)}: "
                "`make reset` makes a new one (and clears the data)"
            )

    def _accepts_connections(self) -> bool:
        lines = self._pid_file_lines()
        return len(lines) >= 8 and lines[0] == str(self.process.pid) and lines[7].strip() == READY

    def _clear_leftover(self) -> None:
        """Stop a server that still runs on our data; delete a pid file whose id now belongs to another program."""
        lines = self._pid_file_lines()
        if not lines or not lines[0].isdigit():
            return
        pid = int(lines[0])
        with contextlib.suppress(OSError):
            if is_running(pid) and str(self.data) in Path(f"/proc/{pid}/cmdline").read_text():
                stop_group(pid, signal.SIGINT)
                return
        if Path("/proc/self").exists():  # elsewhere we can't tell the two apart: PostgreSQL decides
            (self.data / "postmaster.pid").unlink(missing_ok=True)

    def _pid_file_lines(self) -> list[str]:
        with contextlib.suppress(OSError):
            return (self.data / "postmaster.pid").read_text().splitlines()
        return []


def _give_to(owner: int, data: Path) -> None:
    """Make `owner` the owner of the cluster: it may have been made when root ran PostgreSQL in another way."""
    if os.geteuid() != 0 or data.stat().st_uid == owner:
        return
    for path in (data, *data.rglob("*")):
        os.chown(path, owner, -1, follow_symlinks=False)
