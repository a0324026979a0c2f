"""What the team reads about an order's e-mails (R-SALES-6)."""

from datetime import timedelta

import pytest

from shared.domain.orders.queries import get_order_for_team
from shared.domain.orders.team.timeline import with_history
from tests.harness.desk import NOW, Desk, know_settings


@pytest.fixture
def desk(fresh_database, app_environment):
    know_settings(app_environment)
    desk = Desk(fresh_database)
    yield desk
    desk.close()


@pytest.mark.parametrize(("attempts", "state"), [(0, "waiting"), (4, "waiting"), (5, "failed"), (6, "failed")])
def test_an_email_waits_until_it_was_tried_five_times_in_vain(desk, attempts, state):
    order = desk.place({desk.package(): 1}, by="test")
    desk.connection.execute("UPDATE outbox SET attempts = %s, last_error = 'refused'", [attempts])
    assert email(desk, order) == {
        "message": "order_confirmation",
        "state": state,
        "attempts": attempts,
        "error": "refused",
    }


def test_an_email_that_was_sent_at_its_last_attempt_has_not_failed(desk):
    order = desk.place({desk.package(): 1}, by="test")
    sent_at = NOW + timedelta(minutes=9)
    sent = "UPDATE outbox SET attempts = 5, last_error = 'refused', done_at = %s"
    desk.connection.execute(sent, [sent_at])
    assert email(desk, order) == {
        "message": "order_confirmation",
        "state": "sent",
        "sent_at": sent_at,
        "attempts": 5,
    }


def email(desk, order):
    """The timeline's entry for the order's only e-mail."""
    with desk.session() as session:
        found = with_history(session, get_order_for_team(session, desk.event_id, order.id))
    [entry] = [entry for entry in found.timeline if entry.kind == "email"]
    return entry.detail
