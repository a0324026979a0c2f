"""Lists in pages: `?page=1&page_size=20` → `{items, page, page_size, total}`."""

from typing import Any

from pydantic import Field
from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from shared.kit.fields import Input, Output


class PageQuery(Input):
    """Which page of a list."""

    page: int = Field(1, ge=1, le=1_000_000, description="Counted from 1.")
    page_size: int = Field(20, ge=1, le=100)


class Page[Item](Output):
    """One page of a list, and how many items the whole list has."""

    items: list[Item]
    page: int
    page_size: int
    total: int


def total_of(session: Session, statement: Select[*tuple[Any, ...]], query: PageQuery, *, shown: int) -> int:
    """Return how many rows `statement` has; ask the database only if the page that was read does not show it."""
    if 0 < shown < query.page_size or (shown == 0 and query.page == 1):
        return (query.page - 1) * query.page_size + shown
    return session.scalar(select(func.count()).select_from(statement.order_by(None).subquery())) or 0


def cut[*Columns](statement: Select[*Columns], query: PageQuery) -> Select[*Columns]:
    """Return `statement` limited to the page."""
    return statement.limit(query.page_size).offset((query.page - 1) * query.page_size)
