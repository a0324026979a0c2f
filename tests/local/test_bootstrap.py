"""The first step of every command: it names what is missing, and it runs on old Pythons."""

import ast
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from infra.local.bootstrap import parse_version
from infra.local.home import REPOSITORY
from tests.harness.polling import PATIENCE_SECONDS

OLD_PYTHON_MODULES = ("bootstrap", "uv_program", "run_lock", "liveness")


@pytest.mark.parametrize(
    ("text", "version"),
    [("v20.1.0\n", (20, 1, 0)), ("uv 0.13.8 (abc 2026-11-01)", (0, 13, 8)), ("22", (22,)), ("", ()), ("none", ())],
)
def test_versions_are_read_from_what_programs_print(text, version):
    assert parse_version(text) == version


@pytest.mark.parametrize("module", OLD_PYTHON_MODULES)
def test_the_set_up_keeps_to_the_syntax_of_python_3_6(module):
    source = (REPOSITORY / "infra" / "local" / f"{module}.py").read_text()
    ast.parse(source, feature_version=(3, 6))
    assert "from __future__" not in source


def test_a_busy_port_is_named_with_the_remedy(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        answer = bootstrap("dev", tmp_path, PORT=str(port))
    assert answer.returncode == 1
    assert f"Port {port} can't be used" in answer.stderr
    assert "make dev PORT=" in answer.stderr


def test_a_port_that_is_none_is_refused(tmp_path):
    answer = bootstrap("dev", tmp_path, PORT="http")
    assert (answer.returncode, answer.stderr) == (1, "PORT=http is not a port: try `make dev PORT=7072`.\n")


def test_a_missing_node_is_named_with_the_remedy(tmp_path):
    answer = bootstrap("test", tmp_path, PATH=str(tmp_path))
    assert answer.returncode == 1
    assert "Node is missing" in answer.stderr
    assert "Install Node 20 or later" in answer.stderr


def test_an_old_node_is_named_with_the_remedy(tmp_path):
    node = tmp_path / "node"
    node.write_text("#!/bin/sh\necho v18.19.0\n")
    node.chmod(0o755)
    answer = bootstrap("test", tmp_path, PATH=str(tmp_path))
    assert answer.returncode == 1
    assert "Node v18.19.0 is too old. Install Node 20 or later" in answer.stderr


def test_an_unknown_command_shows_what_there_is(tmp_path):
    answer = bootstrap("frobnicate", tmp_path)
    assert answer.returncode == 2
    assert "usage:" in answer.stderr


def bootstrap(command: str, home: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "infra.local.bootstrap", command],
        cwd=REPOSITORY,
        env=os.environ | {"BOXOFFICE_HOME": str(home)} | environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
