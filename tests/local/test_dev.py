"""`make dev` after its set-up: it starts, keeps running, stops, and never leaves anything behind."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import jwt
import psycopg
import pytest
import redis
from azure.storage.blob import BlobServiceClient

from infra.local.services.azurite import ACCOUNT, ACCOUNT_KEY
from tests.harness.polling import PATIENCE_SECONDS, poll
from tests.local.running_system import RunningSystem

pytestmark = pytest.mark.skipif(not Path("/proc/self").exists(), reason="finds processes in /proc")


@pytest.fixture
def system(tmp_path):
    system = RunningSystem(tmp_path / "home")
    yield system
    system.end()


def test_it_runs_once_in_a_folder_and_sigterm_lets_it_finish_what_is_in_work(system):
    system.start()
    assert httpx.get(f"{system.url}/api/v1/health/ready").text == "ready"

    second = system.run("dev")
    assert second.returncode == 1
    assert f"already running in this folder: http://localhost:{system.port} (process {system.process.pid})" in (
        second.stderr
    )

    token = system.run("token", "coordinator@demo.test").stdout.strip()
    issuer = f"http://127.0.0.1:{system.ports()['issuer']}"
    assert claims_checked_by_jwks(token, issuer)["name"] == "Cora Coordinator"

    with ThreadPoolExecutor() as pool:
        answer = pool.submit(httpx.get, f"{system.url}/api/v1/slow", timeout=PATIENCE_SECONDS)
        poll(lambda: in_work(system.port))
        system.process.send_signal(signal.SIGTERM)
        assert system.process.wait(PATIENCE_SECONDS) == 0
        assert answer.result().text == "done"
    assert system.process_ids() == []
    assert system.run("stop").stdout == "Nothing runs in this folder.\n"


def test_data_survives_a_kill_which_leaves_no_process(system):
    system.start()
    ports = system.ports()
    with psycopg.connect(database_url(ports), autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    with storage(ports) as client:
        client.create_container("kept").upload_blob("file.txt", b"content")
    poll(lambda: (system.home.azurite / "__azurite_db_blob__.json").stat().st_size > 1000)

    system.process.kill()
    system.process.wait()
    system.start()  # at once: it waits for the guard of the killed one

    assert system.ports() == ports
    with psycopg.connect(database_url(ports)) as connection:
        assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)
    with storage(ports) as client:
        assert client.get_blob_client("kept", "file.txt").download_blob().readall() == b"content"

    system.process.kill()
    system.process.wait()
    poll(lambda: system.process_ids() == [])


def test_a_service_that_dies_is_restarted_on_its_port_and_stop_waits_for_the_end(system):
    system.start()
    url = f"redis://127.0.0.1:{system.ports()['redis']}"
    with redis.Redis.from_url(url) as connection:
        os.kill(connection.info("server")["process_id"], signal.SIGKILL)
    poll(lambda: "valkey runs again" in system.said())
    with redis.Redis.from_url(url) as connection:
        assert connection.ping()

    stopped = system.run("stop")
    assert stopped.stdout == f"Stopped (process {system.process.pid}).\n"
    assert system.process.wait(PATIENCE_SECONDS) == 0
    assert system.process_ids() == []

    assert system.run("reset").returncode == 0
    assert sorted(path.name for path in system.home.folder.iterdir()) == ["run"]


def database_url(ports: dict[str, int]) -> str:
    return f"postgresql://postgres@127.0.0.1:{ports['postgres']}/boxoffice"


def storage(ports: dict[str, int]) -> BlobServiceClient:
    address = f"http://127.0.0.1:{ports['azurite-blob']}/{ACCOUNT}"
    return BlobServiceClient(address, credential={"account_name": ACCOUNT, "account_key": ACCOUNT_KEY})


def claims_checked_by_jwks(token: str, issuer: str) -> dict[str, object]:
    discovery = httpx.get(f"{issuer}/.well-known/openid-configuration").json()
    key = jwt.PyJWKClient(discovery["jwks_uri"]).get_signing_key_from_jwt(token)
    claims: dict[str, object] = jwt.decode(token, key, algorithms=["ES256"], audience="boxoffice", issuer=issuer)
    return claims


def in_work(port: int) -> bool:
    """Whether a client is connected to the port (state 01 of /proc/net/tcp is an established connection)."""
    connections = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()]
    return any(local.endswith(f":{port:04X}") and state == "01" for _, local, _, state, *_ in connections)
