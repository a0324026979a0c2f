"""The commands behind the Makefile: `python -m infra.local COMMAND`."""

import os
import sys

from infra.local.console import complain, say


def main(arguments: list[str]) -> int:
    """Run one command; the imports are inside, because `token` has to be quick."""
    command, *rest = arguments or ["help"]
    commands = {"dev": _dev, "stop": _stop, "reset": _reset, "token": _token, "verify": _verify}
    if command not in commands:
        complain(f"usage: python -m infra.local {{{'|'.join(commands)}}}")
        return 2
    return commands[command](rest)


def _dev(_: list[str]) -> int:
    from infra.local.dev import run_dev  # noqa: PLC0415

    return run_dev()


def _stop(_: list[str]) -> int:
    from infra.local.home import Home  # noqa: PLC0415
    from infra.local.run_lock import RunLock  # noqa: PLC0415

    pid = RunLock(Home.of_this_checkout().run / "lock").stop_owner()
    say("Nothing runs in this folder." if pid is None else f"Stopped (process {pid}).")
    return 0


def _reset(_: list[str]) -> int:
    from infra.local.home import Home  # noqa: PLC0415
    from infra.local.reset import clear_data  # noqa: PLC0415

    clear_data(Home.of_this_checkout())
    return 0


def _token(rest: list[str]) -> int:
    from infra.local.tokens import DEMO_NAMES  # noqa: PLC0415

    address = rest[0] if rest else ""
    name, at, domain = address.strip().partition("@")
    if not (name and at and domain):
        complain(f"For whom? Run: make -s token AS=coordinator@demo.test\nDemo users: {', '.join(DEMO_NAMES)}")
        return 2
    from infra.local.home import Home  # noqa: PLC0415
    from infra.local.services.issuer import Issuer, SigningKey  # noqa: PLC0415

    home = Home.of_this_checkout()
    say(Issuer(key=SigningKey.kept_in(home.issuer_key), port=home.ports.get("issuer")).token(address))
    return 0


def _verify(rest: list[str]) -> int:
    from infra.local.verify import run  # noqa: PLC0415

    return run(rest[0] if rest else "all")


if __name__ == "__main__":
    # An activated environment elsewhere, or a PYTHONPATH, must not reach the programs that are started.
    for name in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"):
        os.environ.pop(name, None)
    sys.exit(main(sys.argv[1:]))
