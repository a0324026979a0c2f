import argparse
import asyncio
import os
import sys
from pathlib import Path

from infra.local.host.settings import BadConfiguration, apply_local_settings, read_config
from infra.local.host.supervisor import CannotStart, Supervisor


def main() -> int:
    """Start the host for the app in a directory and run it until it is asked to stop."""
    parser = argparse.ArgumentParser(prog="python -m infra.local.host", description="A local Azure Functions host.")
    parser.add_argument("--app", type=Path, default=Path.cwd(), help="the directory of function_app.py and host.json")
    parser.add_argument("--port", type=int, help="default: PORT or 7071; 0 takes a free one")
    parser.add_argument("--workers", type=int, help="HTTP worker processes; default: WORKERS or 2")
    parser.add_argument("--http-only", action="store_true", help="leave all other triggers to another host")
    options = parser.parse_args()
    try:
        app_dir = options.app.resolve()
        apply_local_settings(app_dir)
        port = int(os.environ.get("PORT", "7071")) if options.port is None else options.port
        workers = int(os.environ.get("WORKERS", "2")) if options.workers is None else options.workers
        supervisor = Supervisor(read_config(app_dir), port=port, workers=max(1, workers), http_only=options.http_only)
        return asyncio.run(supervisor.run())
    except (BadConfiguration, CannotStart) as error:
        print(f"The functions host cannot start.\n{error}", file=sys.stderr, flush=True)
        return 1


if __name__ == "__main__":
    sys.exit(main())
