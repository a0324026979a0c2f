"""Arrays as PostgreSQL writes them, for statements on the hot path."""

from collections.abc import Iterable
from uuid import UUID


def array(values: Iterable[UUID | int]) -> str:
    """Return ids or numbers as the text of an array; the statement says of which type (`%(ids)s::uuid[]`).

    psycopg looks at every element of a list to find the type, which for short lists costs more than all else of a
    statement. Only for what can hold no quote, comma or brace.
    """
    return f"{{{','.join(map(str, values))}}}"
