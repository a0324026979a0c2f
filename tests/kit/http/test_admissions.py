"""One check admits polls for half a minute: only with the same token, for the same permission and event."""

from uuid import uuid4

from shared.kit.actor import Actor
from shared.kit.http.admissions import SECONDS, Admissions

KEY = ("token", "sales:read", "event")


def an_actor() -> Actor:
    return Actor(user_id=uuid4(), email="cora@example.org", name="Cora", is_super_admin=False)


def test_an_admission_ends_after_half_a_minute():
    now = [1000.0]
    admissions = Admissions(clock=lambda: now[0])
    actor = an_actor()
    admissions.put(KEY, actor)

    now[0] += SECONDS - 0.1
    assert admissions.get(KEY) is actor
    now[0] += 0.1
    assert SECONDS == 30
    assert admissions.get(KEY) is None


def test_an_admission_is_for_one_token_one_permission_and_one_event():
    admissions = Admissions()
    admissions.put(KEY, an_actor())

    for position in range(3):
        other = list(KEY)
        other[position] = "another"
        assert admissions.get((other[0], other[1], other[2])) is None


def test_it_never_remembers_more_than_it_may():
    admissions = Admissions()
    for number in range(12_000):
        admissions.put((f"token-{number}", "sales:read", "event"), an_actor())

    assert len(admissions._known) <= 5_000
    assert admissions.get(("token-11999", "sales:read", "event")) is not None
