"""Runs every check and test, and prints one table at the end."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from infra.local.console import say
from infra.local.home import REPOSITORY
from infra.local.schema import has_migrations

REQUIREMENTS = REPOSITORY / "requirements.txt"
REQUIREMENTS_HEADER = "# What Azure installs: exported from uv.lock by `make lock`; `make check` compares.\n"
TYPED = ("functions", "shared", "infra", "tests", "function_app.py")
PYTHON = sys.executable
EXPORT = ("export", "--frozen", "--no-dev", "--no-hashes", "--no-header", "--no-annotate", "--no-emit-project")


@dataclass(frozen=True)
class Outcome:
    """How a step went: `passed` is None for a step that had nothing to do, `output` is shown on failure."""

    name: str
    passed: bool | None
    seconds: float
    output: str


Step = tuple[str, Callable[[], tuple[bool | None, str]]]


def run(what: str) -> int:
    """Run `check` (the quick part), `format`, `lock` or `all`; returns the exit code."""
    if what == "format":
        return run_format()
    if what == "lock":
        REQUIREMENTS.write_text(exported_requirements())
        say("requirements.txt agrees with uv.lock.")
        return 0
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    os.environ.update(bytecode_kept())
    try:
        outcomes = run_checks(with_migrations=what == "all")
        if what == "all":
            outcomes.append(timed("tests", run_tests))
    except KeyboardInterrupt:
        say("\nInterrupted.")
        return 130
    say(summary(outcomes))
    return 0 if all(outcome.passed is not False for outcome in outcomes) else 1


def bytecode_kept() -> dict[str, str]:
    """What lets Python keep its bytecode, in `.local`, where the environment forbids it beside the sources.

    The tests start a hundred Python processes, each of which would compile again all that it imports.
    """
    if not os.environ.get("PYTHONDONTWRITEBYTECODE"):
        return {}
    return {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(REPOSITORY / ".local" / "bytecode")}


def run_format() -> int:
    """Format the code and apply the safe fixes."""
    codes = [
        subprocess.run([PYTHON, "-m", "ruff", *arguments], cwd=REPOSITORY, check=False).returncode
        for arguments in (("check", "--fix", "."), ("format", "."))
    ]
    return max(codes)


def run_checks(*, with_migrations: bool) -> list[Outcome]:
    """Run the checks at the same time, then show the output of the failed ones."""
    typed = [path for path in TYPED if (REPOSITORY / path).exists()]
    steps: list[Step] = [
        ("format", lambda: command_step(PYTHON, "-m", "ruff", "format", "--check", ".")),
        ("lint", lambda: command_step(PYTHON, "-m", "ruff", "check", ".")),
        ("types", lambda: command_step(PYTHON, "-m", "mypy", *typed)),
        ("imports", lambda: command_step(PYTHON, "-c", "from importlinter.cli import lint_imports_command as c; c()")),
        ("requirements.txt", check_requirements),
    ]
    if with_migrations:
        steps.append(("migrations", check_migrations))
    with ThreadPoolExecutor(max_workers=len(steps)) as pool:
        running = [pool.submit(timed, name, step) for name, step in steps]
        outcomes = [future.result() for future in running]
    for outcome in outcomes:
        show_failure(outcome)
    return outcomes


def run_tests() -> tuple[bool | None, str]:
    """Run pytest with TEST_WORKERS processes; its output is shown at once."""
    workers = os.environ.get("TEST_WORKERS") or "2"
    # One worker runs all tests of a file, so that the servers that they share are started once.
    arguments = [PYTHON, "-m", "pytest", "-n", workers, "--dist", "loadfile", "--durations=10", "--durations-min=1"]
    return subprocess.run(arguments, cwd=REPOSITORY, check=False).returncode == 0, ""


def check_requirements() -> tuple[bool | None, str]:
    """Compare requirements.txt with the lock."""
    if REQUIREMENTS.exists() and REQUIREMENTS.read_text() == exported_requirements():
        return True, ""
    return False, "requirements.txt differs from uv.lock: run `make lock`"


def exported_requirements() -> str:
    """The pinned runtime dependencies of the lock, in pip's format."""
    uv = os.environ.get("BOXOFFICE_UV") or shutil.which("uv") or str(find_private_uv())
    exported = subprocess.run([uv, *EXPORT], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    return REQUIREMENTS_HEADER + exported.stdout


def find_private_uv() -> Path:
    """The uv that the set-up installed for this checkout."""
    found = sorted((REPOSITORY / ".local" / "tools").glob("uv-*/bin/uv"))
    if not found:
        raise FileNotFoundError("uv is not installed: run this through make")
    return found[-1]


def check_migrations() -> tuple[bool | None, str]:
    """Upgrade an empty temporary database, compare it with the models, then downgrade and upgrade it again."""
    if not has_migrations():
        return None, ""
    from infra.local.throwaway_database import throwaway_database  # noqa: PLC0415 -- the checks need no servers

    with throwaway_database() as url:
        return command_step(PYTHON, "-m", "infra.local.migrations", DATABASE_URL=url)


def command_step(*command: str, **environment: str) -> tuple[bool | None, str]:
    """Run a command and keep its output."""
    env = os.environ | environment
    done = subprocess.run(command, cwd=REPOSITORY, env=env, capture_output=True, text=True, check=False)
    return done.returncode == 0, done.stdout + done.stderr


def timed(name: str, step: Callable[[], tuple[bool | None, str]]) -> Outcome:
    """Run a step; a step that raises has failed."""
    started = time.monotonic()
    try:
        passed, output = step()
    except Exception as error:  # noqa: BLE001 -- the other steps still run, and the table shows it
        passed, output = False, f"{type(error).__name__}: {error}"
    return Outcome(name, passed, time.monotonic() - started, output)


def show_failure(outcome: Outcome) -> None:
    """Show the output of a failed step."""
    if outcome.passed is False:
        say(f"\n--- {outcome.name} ---\n{outcome.output.rstrip()}")


def summary(outcomes: list[Outcome]) -> str:
    """Print the table, and a last line that gives the result in words."""
    words = {True: "passed", False: "FAILED", None: "skipped"}
    lines = ["", f"{'step':<20} {'result':<8} {'seconds':>7}"]
    lines += [f"{one.name:<20} {words[one.passed]:<8} {one.seconds:>7.1f}" for one in outcomes]
    failed = [one.name for one in outcomes if one.passed is False]
    lines += ["", f"Failed: {', '.join(failed)}." if failed else "Everything passed."]
    return "\n".join(lines)
