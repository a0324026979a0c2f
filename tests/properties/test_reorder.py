"""Any permutation of packages or options becomes their order; any other list changes nothing (R-PKG-7, R-OPT)."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, create_engine, select, text
from sqlalchemy.orm import Session

from shared.domain.access.models import User
from shared.domain.catalog.commands import create_event, create_package, reorder_packages
from shared.domain.catalog.errors import ReorderMismatch
from shared.domain.catalog.models import CustomOption, TicketPackage
from shared.domain.catalog.options import create_option, reorder_options, update_option
from shared.domain.catalog.schemas import EventCreate, OptionCreate, OptionPatch, PackageCreate
from shared.kit.actor import Actor
from shared.kit.ids import new_id
from tests.factories import event_fields
from tests.harness import databases
from tests.harness.fixtures import AskFor

NOW = datetime(2027, 4, 17, 18, tzinfo=UTC)
SIZES = (1, 2, 3, 7, 50)
OPTIONS = 6  # four of them are active, and two are retired


@dataclass(frozen=True)
class Shelf:
    """Things that have an order, and a function that requests another order."""

    ids: Callable[[Session], list[UUID]]
    reorder: Callable[[Session, list[UUID]], None]


@dataclass(frozen=True)
class Catalogue:
    """Shelves on their own database: events with different numbers of packages, and a package with options."""

    engine: Engine
    shelves: dict[str, Shelf]
    foreign: list[UUID]

    @contextmanager
    def session(self) -> Iterator[Session]:
        with Session(self.engine) as session, session.begin():
            yield session

    def everything(self) -> list[Any]:
        """Everything that a reorder could have changed, including the audit trail."""
        with self.session() as session:
            return [
                session.execute(text(f"SELECT to_jsonb(t) FROM {table} t ORDER BY to_jsonb(t)::text")).all()
                for table in ("ticket_packages", "stock", "custom_options", "audit_log", "audit_heads")
            ]


def packages_of(event_id: UUID, actor: Actor) -> Shelf:
    def ids(session: Session) -> list[UUID]:
        places = session.execute(
            select(TicketPackage.display_order, TicketPackage.id).where(TicketPackage.event_id == event_id)
        ).all()
        return in_order(places)

    return Shelf(ids, lambda session, wanted: reorder_packages(session, event_id, wanted, actor=actor, now=NOW))


def options_of(event_id: UUID, package_id: UUID, actor: Actor) -> Shelf:
    def ids(session: Session) -> list[UUID]:
        places = session.execute(
            select(CustomOption.display_order, CustomOption.id).where(CustomOption.package_id == package_id)
        ).all()
        return in_order(places)

    def reorder(session: Session, wanted: list[UUID]) -> None:
        reorder_options(session, event_id, package_id, wanted, actor=actor, now=NOW)

    return Shelf(ids, reorder)


def in_order(places: Sequence[Any]) -> list[UUID]:
    """The ids by their places, which must be 0, 1, 2 and so on."""
    assert sorted(place for place, _ in places) == list(range(len(places)))
    return [shown for _, shown in sorted(places)]


@pytest.fixture(scope="module")
def catalogue(shared_service: AskFor) -> Iterator[Catalogue]:
    database = databases.clone(shared_service("template"), f"test_{new_id().hex}")
    engine = create_engine(database.replace("postgresql://", "postgresql+psycopg://", 1))
    with Session(engine) as session, session.begin():
        user = User(id=new_id(), issuer="i", subject="s", email="c@x.test", name="C", is_super_admin=False)
        user.created_at = NOW
        session.add(user)
        session.flush()
        actor = Actor(user_id=user.id, email=user.email, name=user.name)
        shelves, foreign = {}, [new_id()]
        for size in SIZES:
            event = create_event(session, EventCreate.model_validate(event_fields()), actor=actor, now=NOW)
            body = PackageCreate(name="Seat", description="A seat.", price_cents=100)
            made = [create_package(session, event.id, body, actor=actor, now=NOW)[0].id for _ in range(size)]
            shelves[f"{size} packages"] = packages_of(event.id, actor)
            foreign.append(made[0])
        question = OptionCreate(label="Name", option_type="text_input")
        for number in range(OPTIONS):
            option = create_option(session, event.id, made[0], question, actor=actor, now=NOW)
            if number < OPTIONS - 4:
                retired = OptionPatch.model_validate({"is_active": False})
                update_option(session, event.id, made[0], option.id, retired, actor=actor, now=NOW)
        foreign.append(option.id)
        shelves["options"] = options_of(event.id, made[0], actor)
    yield Catalogue(engine, shelves, foreign)
    engine.dispose()
    databases.drop(database)


SHELVES = st.sampled_from([*(f"{size} packages" for size in SIZES), "options"])
on_the_database = settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])


@on_the_database
@given(shelf=SHELVES, data=st.data())
def test_the_order_afterwards_is_the_one_that_was_asked_for(catalogue, shelf, data):
    shelf = catalogue.shelves[shelf]
    with catalogue.session() as session:
        present = shelf.ids(session)
    wanted = data.draw(st.permutations(present))
    with catalogue.session() as session:
        shelf.reorder(session, wanted)
    with catalogue.session() as session:
        assert shelf.ids(session) == wanted


@on_the_database
@given(shelf=SHELVES, data=st.data())
def test_a_list_that_does_not_name_each_once_changes_nothing(catalogue, shelf, data):
    shelf = catalogue.shelves[shelf]
    with catalogue.session() as session:
        present = shelf.ids(session)
    strangers = [stranger for stranger in catalogue.foreign if stranger not in present]
    wrong = data.draw(st.permutations(present))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(wrong) - 1))
        other = data.draw(st.sampled_from([*present, *strangers]))
        fault = data.draw(st.sampled_from(["missing", "doubled", "foreign", "replaced"]))
        if fault == "missing" and len(wrong) > 1:
            del wrong[at]
        elif fault == "doubled":
            wrong.insert(at, wrong[-1])
        elif fault == "foreign":
            wrong.insert(at, data.draw(st.sampled_from(strangers)))
        else:
            wrong[at] = other
    if sorted(wrong) == sorted(present):
        return
    before = catalogue.everything()
    with pytest.raises(ReorderMismatch), catalogue.session() as session:
        shelf.reorder(session, wrong)
    assert catalogue.everything() == before
