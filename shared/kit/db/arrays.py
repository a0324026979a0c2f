"""Arrays as PostgreSQL writes them, for statements on the hot path."""

from collections.abc import Iterable
from uuid import UUID


def array(values: Iterable[UUID | int]) -> str:
    """Return ids or numbers as the text of an array; the statement names its type (`%(ids)s::uuid[]`).

    psycopg would look at every element of a list to find the type. For short lists that costs more than the rest of
    the statement. Use this only for values that can hold no quote, comma or brace.
    """
    return f"{{{','.join(map(str, values))}}}"
