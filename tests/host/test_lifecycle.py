import contextlib
import signal
import threading
from pathlib import Path

import httpx
import psutil
import pytest

from infra.local.host.settings import GRACE_SECONDS
from tests.harness.polling import PATIENCE_SECONDS, poll
from tests.host.harness import RunningHost


def start_and_fail(app: str, folder: Path, *, port: int = 0) -> RunningHost:
    host = RunningHost(app, folder, port=port)
    assert host.process.wait(PATIENCE_SECONDS) == 1
    return host


def is_running(process: psutil.Process) -> bool:
    """Return whether the process still runs; a zombie only waits for its parent."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_an_app_without_functions_stops_the_host(tmp_path: Path):
    host = start_and_fail("empty", tmp_path)

    assert "0 functions found" in host.output
    assert "Listening" not in host.output


def test_a_failed_import_is_shown_with_its_cause_and_once(tmp_path: Path):
    host = start_and_fail("import_error", tmp_path)

    assert host.output.count("ModuleNotFoundError: No module named 'there_is_no_such_module'") == 1
    assert 'import_error/function_app.py", line 2' in host.output
    assert "azure_functions_runtime" not in host.output


def test_a_parameter_without_a_binding_stops_the_host(tmp_path: Path):
    host = start_and_fail("broken_binding", tmp_path)

    assert "cannot load the needs_more function" in host.output


def test_a_port_in_use_is_said(tmp_path: Path, start_host):
    port = int(start_host(workers=1).url.rpartition(":")[2])

    host = start_and_fail("everything", tmp_path, port=port)

    assert f"Port {port} cannot be used" in host.output


def test_stopping_lets_a_running_request_finish_and_leaves_no_process(start_host):
    host = start_host()
    poll(lambda: len(host.children()) == 2)
    children = host.children()
    answers: list[httpx.Response] = []
    request = threading.Thread(target=lambda: answers.append(host.get("/api/slow?seconds=4")))
    request.start()
    poll(lambda: any(len(child.net_connections()) > 1 for child in children))

    assert host.stop() == 0
    request.join()

    assert [answer.status_code for answer in answers] == [200]
    assert not any(is_running(child) for child in children)
    assert "Traceback" not in host.output


def test_a_second_signal_forces_the_end(start_host):
    host = start_host(workers=1)
    children = host.children()

    answers: list[httpx.Response] = []

    def ask() -> None:
        with contextlib.suppress(httpx.HTTPError):
            answers.append(host.get(f"/api/slow?seconds={GRACE_SECONDS - 1}"))

    request = threading.Thread(target=ask)
    request.start()
    poll(lambda: any(len(child.net_connections()) > 1 for child in children))

    host.process.send_signal(signal.SIGINT)
    poll(lambda: "Stopping" in host.output)
    assert host.stop(signal.SIGINT) != 0
    request.join()

    assert answers == [], "once asked to stop it would have let the request finish"
    assert not any(is_running(child) for child in children)


def test_a_worker_that_is_killed_is_replaced_and_requests_go_on(start_host):
    host = start_host()
    poll(lambda: len(host.children()) == 2)
    victim = host.children()[0]

    victim.kill()

    poll(lambda: f"The http worker {victim.pid} ended (SIGKILL) and is replaced" in host.output)
    assert [host.get("/api/hello").status_code for _ in range(20)] == [200] * 20
    poll(lambda: len(host.children()) == 2)
    assert victim.pid not in {child.pid for child in host.children()}


def test_no_process_outlives_a_killed_supervisor(start_host):
    host = start_host()
    poll(lambda: len(host.children()) == 2)
    children = host.children()

    host.process.kill()
    host.process.wait()

    poll(lambda: not any(is_running(child) for child in children))


def test_a_stop_while_the_app_is_still_loading_is_in_order(tmp_path: Path):
    host = RunningHost("everything", tmp_path)
    poll(host.keys_file.exists)

    assert host.stop() == 0


def test_a_function_finishes_even_when_its_client_hangs_up(start_host, tmp_path: Path):
    host = start_host(workers=1)

    with pytest.raises(httpx.ReadTimeout):
        httpx.get(f"{host.url}/api/slow?seconds=3&mark={tmp_path / 'done'}", timeout=1)

    poll((tmp_path / "done").exists)


def test_a_function_that_overruns_function_timeout_fails_and_its_worker_is_replaced(start_host):
    host = start_host("impatient", workers=1)

    assert host.get("/api/sleep?seconds=3").status_code == 500
    poll(lambda: "a function overran functionTimeout" in host.output)
    assert "sleep took longer than 1 s" in host.output
    assert host.get("/api/sleep?seconds=0").status_code == 200
