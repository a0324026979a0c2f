"""The orders in which the team's list can be read, as SQL (decision 19). Pure."""

from dataclasses import dataclass

_KEY_OF_LAST = "SELECT {key} FROM orders l WHERE l.event_id = %(event_id)s AND l.id = %(last_id)s"


@dataclass(frozen=True, slots=True)
class Sort:
    """An order of the list; `key` stands before the id, which makes it one without ties.

    `key` is SQL in which `{0}` is the alias of the orders. `by_time` says whether many orders in a row are in the order
    of ids, so that bounds of ids lead to a part of it.
    """

    key: str | None
    descending: bool
    by_time: bool = True

    @property
    def direction(self) -> str:
        """Which way it goes."""
        return "DESC" if self.descending else "ASC"

    def order(self, alias: str = "o") -> str:
        """What to order by."""
        keys = [self.key.format(alias), f"{alias}.id"] if self.key else [f"{alias}.id"]
        return ", ".join(f"{key} {self.direction}" for key in keys)

    def after(self, id_: str = "o.id") -> str:
        """What comes after the order with which the page before ended; `id_` is the SQL of an order's id."""
        sign = "<" if self.descending else ">"
        if self.key is None:
            return f"{id_} {sign} %(last_id)s::uuid"
        its = _KEY_OF_LAST.format(key=self.key.format("l"))
        return f"({self.key.format('o')}, {id_}) {sign} (({its}), %(last_id)s::uuid)"


SORTS = {
    "newest": Sort(None, descending=True),
    "oldest": Sort(None, descending=False),
    "total": Sort("{0}.total_cents", descending=True),
    "name": Sort("lower({0}.customer_name)", descending=False, by_time=False),
}
