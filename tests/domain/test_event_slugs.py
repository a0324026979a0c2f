"""An event without a chosen slug gets a slug of its own, whatever the other slugs are."""

from datetime import UTC, datetime, timedelta
from itertools import chain, repeat
from types import SimpleNamespace

from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from tests.architecture.application import load

NOW = datetime(2026, 11, 20, 18, tzinfo=UTC)


def test_a_made_slug_that_is_taken_is_made_anew(fresh_database, app_environment, monkeypatch):
    commands = load("shared.domain.catalog.commands", app_environment)
    access = load("shared.domain.access.commands", app_environment)
    words = chain(repeat("SAMEAA", 3), repeat("FRESHB"))
    monkeypatch.setattr(commands, "random_word", lambda length: next(words))
    person = SimpleNamespace(
        issuer="i", subject="s", email="a@example.test", email_verified=True, name="A", is_super_admin=True
    )
    body = commands.EventCreate(title="Gala", starts_at=NOW, ends_at=NOW + timedelta(hours=3))
    engine = create_engine(fresh_database.replace("postgresql://", "postgresql+psycopg://", 1))
    try:
        with Session(engine) as session:
            actor = access.admit(session, person, "public", None)
            slugs = [commands.create_event(session, body, actor=actor, now=NOW).slug for _ in range(2)]
    finally:
        engine.dispose()
    assert slugs == ["gala-sameaa", "gala-freshb"]
