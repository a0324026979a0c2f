"""Which membership of an event counts for a user who signs in (R-ROLE-1)."""

import uuid
from typing import Any

import pytest

from shared.domain.access.commands import admit, put_member, remove_member
from shared.domain.access.errors import LastCoordinator, NoSuchEvent, NoSuchMember, PermissionMissing
from shared.domain.access.permissions import Permission, Role
from shared.kit.actor import Identity
from tests.harness.desk import NOW, Desk, know_settings


@pytest.fixture
def desk(fresh_database, app_environment):
    know_settings(app_environment)
    desk = Desk(fresh_database)
    yield desk
    desk.close()


def person(email: str, *, subject: str = "somebody", verified: bool = True) -> Identity:
    return Identity("i", subject, email, email_verified=verified, name="Somebody", is_super_admin=False)


def let_in(desk: Desk, identity: Identity, permission: Permission = Permission.EVENTS_READ) -> Any:
    with desk.session() as session:
        return admit(session, identity, permission, desk.event_id)


def promise(desk: Desk, email: str, role: str, *, to: uuid.UUID | None = None) -> None:
    """Put an address on the team, whether or not it is bound to a user already."""
    desk.connection.execute(
        "INSERT INTO event_members (event_id, id, email, user_id, role, created_at) VALUES (%s, %s, %s, %s, %s, %s)",
        [desk.event_id, uuid.uuid4(), email, to, role, NOW],
    )


def members(desk: Desk) -> dict[str, uuid.UUID | None]:
    return dict(desk.rows("SELECT email, user_id FROM event_members WHERE email LIKE '%%@team.test'"))


@pytest.mark.parametrize("promised_first", [True, False])
def test_a_membership_that_is_somebodys_counts_before_one_that_was_promised_to_their_new_address(desk, promised_first):
    with desk.session() as session:
        somebody = admit(session, person("new@team.test"), Permission.PUBLIC, None).user_id
    promises: list[tuple[str, str, uuid.UUID | None]] = [
        ("new@team.test", "staff", None),
        ("old@team.test", "coordinator", somebody),
    ]
    for email, role, user in promises if promised_first else promises[::-1]:
        promise(desk, email, role, to=user)

    actor = let_in(desk, person("new@team.test"), Permission.EVENTS_WRITE)

    assert actor.user_id == somebody
    assert members(desk) == {"old@team.test": somebody, "new@team.test": None}


def test_a_membership_is_bound_to_the_first_who_signs_in_with_its_address(desk):
    promise(desk, "staff@team.test", "staff")
    first = let_in(desk, person("staff@team.test", subject="first"))
    assert members(desk) == {"staff@team.test": first.user_id}
    with pytest.raises(NoSuchEvent):
        let_in(desk, person("staff@team.test", subject="second"))
    assert let_in(desk, person("other@team.test", subject="first")).user_id == first.user_id


def test_an_address_that_nobody_has_confirmed_opens_nothing(desk):
    promise(desk, "staff@team.test", "staff")
    with pytest.raises(NoSuchEvent):
        let_in(desk, person("staff@team.test", verified=False))
    assert members(desk) == {"staff@team.test": None}


def test_a_member_without_the_permission_is_told_so_and_a_stranger_is_told_nothing(desk):
    promise(desk, "staff@team.test", "staff")
    with pytest.raises(PermissionMissing, match="events:write"):
        let_in(desk, person("staff@team.test", subject="first"), Permission.EVENTS_WRITE)
    with pytest.raises(NoSuchEvent):
        let_in(desk, person("stranger@team.test", subject="second"), Permission.EVENTS_WRITE)


def test_an_event_keeps_a_coordinator(desk):
    me, other = desk.coordinator.email, "other@team.test"

    def put(email: str, role: Role) -> None:
        with desk.session() as session:
            put_member(session, desk.event_id, email, role, actor=desk.coordinator, now=NOW)

    def remove(email: str) -> None:
        with desk.session() as session:
            remove_member(session, desk.event_id, email, actor=desk.coordinator, now=NOW)

    put(other, Role.STAFF)
    put(me, Role.COORDINATOR)  # as before
    with pytest.raises(LastCoordinator):
        put(me, Role.STAFF)
    with pytest.raises(LastCoordinator):
        remove(me)
    put(other, Role.COORDINATOR)
    remove(me)
    with pytest.raises(NoSuchMember):
        remove(me)
    assert desk.rows("SELECT email, role FROM event_members") == [(other, "coordinator")]
