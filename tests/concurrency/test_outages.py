"""A dependency goes away and comes back: answers are clear meanwhile, nothing is half done, and all recovers."""

import signal

import httpx
import pytest

from infra.local.home import free_port
from infra.local.services.azurite import AzuritePorts, AzuriteServer
from infra.local.services.postgres import PostgresServer
from tests.concurrency.crowd import order
from tests.concurrency.ledger import counts
from tests.concurrency.sale import open_sale
from tests.harness import databases
from tests.harness.polling import PATIENCE_SECONDS
from tests.harness.shared_services import AZURITE_PROGRAM


@pytest.fixture
def admin(issuer):
    return {"Authorization": f"Bearer {issuer.token('admin@demo.test', roles=['super_admin'])}"}


@pytest.fixture
def connect():
    clients = []

    def connect(host):
        clients.append(httpx.Client(base_url=f"{host.url}/api/v1", timeout=30, trust_env=False))
        return clients[-1]

    yield connect
    for client in clients:
        client.close()


def kill(server):
    assert server.process.popen is not None
    server.process.popen.send_signal(signal.SIGKILL)
    server.process.popen.wait(PATIENCE_SECONDS)


def buy(client, event_id, package_id, key):
    return client.post(
        f"/public/events/{event_id}/orders", json=order((package_id, 1)), headers={"Idempotency-Key": key}
    )


@pytest.fixture(scope="module")
def postgres(tmp_path_factory, guard, template_url):
    folder = tmp_path_factory.mktemp("postgres")
    folder.chmod(0o755)
    server = PostgresServer(folder / "data", log=folder / "postgres.log", guard=guard, port=free_port())
    server.start()
    server.ensure_database("boxoffice")
    databases.copy(template_url, server.url("boxoffice"))
    yield server
    server.stop()


@pytest.fixture(scope="module")
def host(postgres, start_module_host):
    """A host on that server."""
    return start_module_host(http_only=True, DATABASE_URL=postgres.url("boxoffice"))


def test_without_the_database_the_answer_is_a_clear_503_and_the_app_recovers(postgres, host, connect, admin):
    database_url = postgres.url("boxoffice")
    client = connect(host)
    event_id, (package_id,) = open_sale(client, admin, {"quantity_limit": 9})
    assert buy(client, event_id, package_id, "before").status_code == 201

    kill(postgres)
    refused = buy(client, event_id, package_id, "meanwhile")
    read = client.get(f"/public/events/{event_id}/ticket-packages")
    health = client.get("/health/ready")

    assert (refused.status_code, refused.json()["code"], refused.headers["retry-after"]) == (
        503,
        "dependency_down",
        "3",
    )
    assert refused.json()["dependency"] == "database"
    assert (read.status_code, read.json()["code"]) == (503, "dependency_down")
    assert (health.status_code, health.json()["status"]) == (503, "down")
    assert client.get("/health/live").status_code == 200

    postgres.start()
    answers = [buy(client, event_id, package_id, f"after-{number}").status_code for number in range(8)]

    assert answers == [201] * 8
    assert buy(client, event_id, package_id, "meanwhile").json()["code"] == "sold_out"
    assert counts(database_url, event_id) == {"sold": 9, "held": 0, "orders": 9, "packages": 9, "tickets": 9}


def test_connections_that_died_while_they_rested_refuse_nobody(postgres, host, connect, admin):
    client = connect(host)
    event_id, (package_id,) = open_sale(client, admin, {})
    assert [buy(client, event_id, package_id, f"a-{n}").status_code for n in range(3)] == [201] * 3

    postgres.stop()
    postgres.start()

    assert [client.get(f"/public/events/{event_id}/ticket-packages").status_code for _ in range(10)] == [200] * 10
    assert [buy(client, event_id, package_id, f"b-{n}").status_code for n in range(3)] == [201] * 3


def test_without_the_storage_selling_works_and_the_mail_comes_later(
    start_host, connect, admin, fresh_database, tmp_path, guard, mail_box
):
    ports = AzuritePorts(*(free_port() for _ in range(3)))
    azurite = AzuriteServer(None, program=AZURITE_PROGRAM, log=tmp_path / "azurite.log", guard=guard, ports=ports)
    client = connect(start_host(AzureWebJobsStorage=azurite.url(), DATABASE_URL=fresh_database))
    event_id, (package_id,) = open_sale(client, admin, {})

    bought = buy(client, event_id, package_id, "no-storage")
    image = client.post(
        f"/admin/events/{event_id}/ticket-packages/{package_id}/image",
        headers=admin,
        files={"image": ("a.jpg", b"\xff\xd8\xff", "image/jpeg")},
    )
    assert bought.status_code == 201
    assert (image.status_code, image.json()["code"], image.json()["dependency"]) == (503, "dependency_down", "storage")
    health = client.get("/health/ready")
    assert (health.status_code, health.json()["status"]) == (200, "degraded")

    azurite.start()
    try:
        number = bought.json()["number"]
        mail = mail_box.wait_for(lambda message: number in message["Subject"])
        assert mail["To"] == bought.json()["customer"]["email"]
    finally:
        azurite.stop()
