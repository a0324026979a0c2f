import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from infra.local.services.guard import Guard
from infra.local.services.waiting import wait_until

LOG_LIMIT_BYTES = 5_000_000
START_SECONDS = 120.0
"""How long a program may take to become ready; slow machines need this. A program that ends is noticed at once."""


class ServiceFailed(Exception):
    """A program of the local environment did not start or has ended."""


class ServiceProcess:
    """One program: it has its own session, its log is a file, the guard watches it, and its own signal stops it."""

    def __init__(self, name: str, *, log: Path, guard: Guard, stop_signal: signal.Signals = signal.SIGTERM) -> None:
        self.name = name
        self.log = log
        self._guard = guard
        self._stop_signal = stop_signal
        self._process: subprocess.Popen[bytes] | None = None
        self._echo: threading.Thread | None = None
        self._ended = threading.Event()
        self._echoed = 0
        self._log_start = 0

    @property
    def popen(self) -> subprocess.Popen[bytes] | None:
        """The process itself, None when not started or stopped."""
        return self._process

    @property
    def pid(self) -> int | None:
        """The process id, None when not started."""
        return self._process.pid if self._process else None

    @property
    def exit_code(self) -> int | None:
        """The exit code of a program that was started and has ended without being stopped, else None."""
        return self._process.poll() if self._process else None

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def spawn(
        self,
        command: Sequence[str | Path],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        echo: Callable[[str], None] | None = None,
    ) -> None:
        """Start `command`; its output goes to the log and, line by line, to `echo` if given."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        if self.log.exists() and self.log.stat().st_size > LOG_LIMIT_BYTES:
            self.log.replace(self.log.with_suffix(".old.log"))
        with self.log.open("ab") as log:
            self._log_start = log.tell()
            self._process = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=None if env is None else dict(env),
                cwd=cwd,
                start_new_session=True,  # Ctrl-C reaches only the supervisor, which stops all in order
            )
        self._guard.watch(self._process.pid, self._stop_signal)
        if echo:
            self._ended.clear()
            self._echo = threading.Thread(target=self._follow_log, args=(echo,), daemon=True)
            self._echo.start()

    def wait_ready(self, ready: Callable[[], bool], *, timeout: float) -> None:
        """Wait for `ready`; raise ServiceFailed with the log's tail when the program ends or takes too long."""

        def ready_or_dead() -> bool:
            return not self.running or ready()

        try:
            wait_until(ready_or_dead, timeout=timeout, what=self.name)
        except TimeoutError as error:
            raise ServiceFailed(f"{error}\n{self.tail()}") from None
        if not self.running:
            raise ServiceFailed(f"{self.name} ended with code {self.exit_code}.\n{self.tail()}".rstrip())

        if self._echo is not None:
            self._await_echo(self.log.stat().st_size)

    def _await_echo(self, size: int) -> None:
        """Wait until the program's output so far is shown, so that it comes before our next line."""
        with contextlib.suppress(TimeoutError):
            wait_until(lambda: self._echoed >= size, timeout=1.0, what="echo")

    def run_to_end(self, command: Sequence[str | Path], *, env: Mapping[str, str] | None, cwd: Path) -> None:
        """Run a program that does its work and ends; raise ServiceFailed unless it succeeds."""
        self.spawn(command, env=env, cwd=cwd)
        while self.running:
            with contextlib.suppress(subprocess.TimeoutExpired, AttributeError):  # None when stopped meanwhile
                self._process.wait(0.1)  # type: ignore[union-attr]
        code = self.exit_code
        tail = self.tail()
        self.stop()
        if code != 0:
            raise ServiceFailed(f"{self.name} failed\n{tail}")

    def output(self) -> str:
        """What the program has written to its log since its last start."""
        with contextlib.suppress(OSError), self.log.open("rb") as log:
            log.seek(self._log_start)
            return log.read().decode(errors="replace")
        return ""

    def tail(self, lines: int = 20) -> str:
        """The last lines of this start's log, indented; empty if `echo` has shown them already."""
        if self._echo is not None:
            return ""
        return "\n".join(f"    {line}" for line in self.output().splitlines()[-lines:])

    def stop(self, *, timeout: float = 5.0) -> None:
        """Ask the program to stop, and kill its process group if it runs on after `timeout` seconds; idempotent."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(self._stop_signal)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(timeout, 0.0))
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)  # also children that outlived their parent
        process.wait()
        self._guard.forget(process.pid)
        if self._echo:
            self._ended.set()
            self._echo.join(1.0)

    def _follow_log(self, echo: Callable[[str], None]) -> None:
        """Pass on the lines of the log. A pipe instead of the log would break when the program's starter dies."""
        with self.log.open("rb") as log:
            log.seek(self._log_start)
            ended = False
            while True:
                if line := log.readline():
                    echo(line.decode(errors="replace").rstrip("\n"))
                    self._echoed = log.tell()
                elif ended:
                    return
                else:
                    ended = self._ended.wait(0.05)
