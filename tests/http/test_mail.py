"""The confirmation (R-TKT-6): it arrives once, brings the tickets, and a failed delivery delays no other e-mail."""

import json
import re
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import httpx
import pytest

from infra.local.home import REPOSITORY, free_port
from infra.local.services.functions_host import FunctionsHost
from shared.kit.outbox.retrying import ATTEMPTS_AT_MOST
from shared.kit.settings.group import load as load_settings
from shared.kit.settings.mail import MailSettings
from tests.architecture.application import load
from tests.factories import bearer, new_email, new_key, open_evening, query, send_order
from tests.harness.fixtures import SERVICES
from tests.harness.running_host import RunningHost


@pytest.fixture
def evening(client, issuer):
    return open_evening(client, issuer, title="Gala & “Ball”")


@pytest.fixture
def outbox(app_environment):
    """The outbox's functions in this process, on the same database and mail server as the host."""
    yield load("functions.outbox", app_environment)
    load("shared.kit.db.engine", app_environment).engine().dispose()


def to(email: str) -> Any:
    return lambda message: email in message["X-Envelope-To"]


def text_of(message: EmailMessage) -> str:
    body = message.get_body(("plain",))
    assert body is not None
    return str(body.get_content())


def all_done(database_url: str, event_id: str) -> bool:
    rows = query(database_url, "SELECT done_at IS NOT NULL FROM outbox WHERE event_id = %s", event_id)
    return bool(rows) and all(done for (done,) in rows)


def test_a_confirmation_brings_the_tickets_and_the_link(client, evening, mail_box, host):
    email = new_email("ada")
    package = evening.package(name="<b>Table</b>", price_cents=12_345, seats_per_package=2)
    order = evening.order((package["id"], 1), customer={"name": "Ada <Lovelace>", "email": email})
    mail = mail_box.wait_for(to(email))
    assert mail["To"] == email
    assert mail["Subject"] == f"Your tickets for Gala & “Ball” ({order['number']})"
    assert mail["Auto-Submitted"] == "auto-generated"
    text = text_of(mail)
    assert "Hello Ada <Lovelace>," in text
    assert "1 × <b>Table</b>: 123.45 USD" in text
    for ticket in order["tickets"]:
        assert ticket["number"] in text
        assert ticket["code"] in text
    html = mail.get_body(("html",)).get_content()
    assert "<b>Table</b>" not in html
    assert "&lt;b&gt;Table&lt;/b&gt;" in html
    assert "Ada &lt;Lovelace&gt;" in html
    link, _, token = re.search(r"Your order: (\S+)", text)[1].partition("#")  # type: ignore[index]
    assert link.startswith(f"{host.url}/")
    assert httpx.get(link, trust_env=False).status_code == 200
    opened = client.get(f"/public/orders/{order['id']}", headers={"X-Order-Token": token})
    assert opened.json()["number"] == order["number"]


def test_a_confirmation_arrives_once_however_often_it_is_asked_for(
    client, evening, mail_box, database_url, outbox, poll, app_environment
):
    email, key, package = new_email("once"), new_key(), evening.package()
    buyer = {"name": "Once", "email": email}
    for _ in range(3):
        send_order(client, evening.id, [(package["id"], 1)], key=key, customer=buyer)
    mail = mail_box.wait_for(to(email))
    poll(lambda: all_done(database_url, evening.id))
    [(message_id,)] = query(database_url, "SELECT id FROM outbox WHERE event_id = %s", evening.id)
    assert mail["Message-ID"] == f"<{message_id}@demo.test>"
    with outbox.Mailer(load_settings(MailSettings, app_environment)) as mailer:
        for _ in range(2):  # the queue may bring a message again
            outbox.work_on((evening.event_id, message_id), mailer)
    assert len([found for found in mail_box.messages() if to(email)(found)]) == 1


def test_a_refused_order_sends_nothing(client, evening, database_url):
    package = evening.package(quantity_limit=1)
    send_order(client, evening.id, [(package["id"], 2)])
    assert query(database_url, "SELECT count(*) FROM outbox WHERE event_id = %s", evening.id) == [(0,)]


def test_a_message_that_only_a_newer_version_knows_waits_for_that_version(
    evening, database_url, outbox, poll, mail_box
):
    order = evening.order((evening.package()["id"], 1))
    [(message_id,)] = query(
        database_url,
        "INSERT INTO outbox (event_id, id, kind, payload, created_at, attempts)"
        " VALUES (%s, gen_random_uuid(), 'order_haiku', jsonb_build_object('order_id', %s::text), now(), 0)"
        " RETURNING id",
        evening.id,
        order["id"],
    )
    # The newer version has put it on the queue, and this version takes it.
    outbox.put_on_queue("email", [(evening.event_id, message_id)])
    noted = "SELECT last_error FROM outbox WHERE id = %s AND last_error IS NOT NULL"
    unknown = "This version of the app does not know the kind."
    assert poll(lambda: query(database_url, noted, message_id)) == [(unknown,)]
    state = "SELECT attempts, done_at, leased_until, published_at < now() FROM outbox WHERE id = %s"
    assert query(database_url, state, message_id) == [(0, None, None, True)]
    # A minute later the version that knows the kind publishes it; here it is this version, under a name that it knows.
    query(
        database_url,
        "UPDATE outbox SET kind = 'order_confirmation', published_at = published_at - interval '1 minute'"
        " WHERE id = %s RETURNING 1",
        message_id,
    )
    mail_box.wait_for(lambda mail: str(mail["Message-ID"]).startswith(f"<{message_id}@"))
    done = "SELECT attempts, last_error FROM outbox WHERE id = %s AND done_at IS NOT NULL"
    assert poll(lambda: query(database_url, done, message_id)) == [(1, None)]


def impatient_app(folder: Path) -> Path:
    """This repository's application with a host.json whose queue messages come back at once after a failure."""
    folder.mkdir()
    for name in ("function_app.py", "functions", "shared"):
        (folder / name).symlink_to(REPOSITORY / name)
    settings = json.loads((REPOSITORY / "host.json").read_text())
    assert settings["extensions"]["queues"]["maxDequeueCount"] == ATTEMPTS_AT_MOST
    settings["extensions"]["queues"]["visibilityTimeout"] = "00:00:00"
    (folder / "host.json").write_text(json.dumps(settings))
    return folder


@pytest.fixture
def impatient_host(pytestconfig, worker_name, app_environment, fresh_database, guard, tmp_path):
    """A host of its own with a database and a storage account that no other host looks at."""
    number = 63 if worker_name == "main" else 62 - int(worker_name.removeprefix("gw"))
    port = free_port()
    environment = app_environment | {
        "DATABASE_URL": fresh_database,
        "AzureWebJobsStorage": pytestconfig.stash[SERVICES].ask("storage", f"gw{number}"),
        "PUBLIC_URL": f"http://127.0.0.1:{port}",
    }
    host = FunctionsHost(
        impatient_app(tmp_path / "app"),
        log=tmp_path / "host.log",
        guard=guard,
        port=port,
        environment=environment,
        keys_file=tmp_path / "keys.json",
    )
    try:
        host.start()
        yield RunningHost(host)
    finally:
        host.stop()


def test_an_address_that_refuses_mail_ends_in_the_poison_queue_and_holds_up_nobody(
    impatient_host, issuer, mail_box, fresh_database, poll
):
    with httpx.Client(base_url=f"{impatient_host.url}/api/v1", timeout=30, trust_env=False) as client:
        evening = open_evening(client, issuer)
        package = evening.package()
        good = [new_email("good") for _ in range(3)]
        bad = f"{new_key()}@bounce.test"
        for email in (good[0], bad, *good[1:]):
            evening.order((package["id"], 1), customer={"name": "Buyer", "email": email})
        for email in good:
            mail_box.wait_for(to(email))

        def metrics() -> str:
            return client.get("/metrics").text

        poll(lambda: 'boxoffice_poison_messages{queue="email-poison"} 1.0' in metrics())
        assert 'boxoffice_outbox_messages{state="failing"} 1.0' in metrics()
        assert 'boxoffice_outbox_messages{state="waiting"} 0.0' in metrics()
        rows = query(
            fresh_database,
            "SELECT o.customer_email = %s, m.done_at IS NULL, m.last_error FROM outbox m"
            " JOIN orders o ON o.event_id = m.event_id AND o.id::text = m.payload->>'order_id' ORDER BY 1, 2",
            bad,
        )
        assert rows[:3] == [(False, False, None)] * 3
        assert rows[3][:2] == (True, True)
        assert "550" in rows[3][2]
        assert not [mail for mail in mail_box.messages() if to(bad)(mail)]
        # The order itself is complete: it can be read, and its tickets are valid.
        assert evening.read_package(package["id"])["sold_count"] == 4
        assert client.get(evening.path, headers=bearer(evening.token)).status_code == 200
