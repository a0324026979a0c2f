"""When a test run ends, in any way, its servers end too."""

import os
import signal
import subprocess
import sys

import pytest

from infra.local.home import REPOSITORY
from tests.harness.polling import PATIENCE_SECONDS, poll
from tests.local.running_system import processes_with

ENDLESS_TEST = """
from pathlib import Path
import time

def test_it_waits(postgres_url, redis_url):
    Path(__file__).with_name("started").touch()
    while True:
        time.sleep(0.1)
"""


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_nothing_is_left_of_an_interrupted_run(end, tmp_path_factory):
    folder = tmp_path_factory.mktemp("end")
    (folder / "test_endless.py").write_text(ENDLESS_TEST)
    options = ["-q", "-c", os.devnull, f"--rootdir={folder}", "-p", "tests.harness.fixtures"]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    run = subprocess.Popen(
        [sys.executable, "-m", "pytest", *options, folder / "test_endless.py"],
        cwd=REPOSITORY,
        env=inherited | {"HARNESS_RUN": str(folder), "TMPDIR": str(folder)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        poll((folder / "started").exists)
        assert len(processes_with("HARNESS_RUN", folder)) > 4  # the run, its guard, its servers
    finally:
        run.send_signal(end)
        try:
            run.wait(PATIENCE_SECONDS)
        finally:
            run.kill()  # a run that hangs must not go on after its test
            run.wait()
    poll(lambda: processes_with("HARNESS_RUN", folder) == [])
