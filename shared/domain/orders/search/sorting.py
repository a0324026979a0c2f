"""The ways in which the team's list can be sorted, as SQL (decision 19). Pure."""

from dataclasses import dataclass

_KEY_OF_LAST = "SELECT {key} FROM orders l WHERE l.event_id = %(event_id)s AND l.id = %(last_id)s"


@dataclass(frozen=True, slots=True)
class Sort:
    """A way to sort the list: by `key`, if there is one, and then by the id, so that there are no ties.

    `key` is SQL in which `{0}` is the alias of the orders. `by_time` says whether long stretches of the sorted list are
    in the order of ids, so that bounds on ids select a part of it.
    """

    key: str | None
    descending: bool
    by_time: bool = True

    @property
    def direction(self) -> str:
        """The direction, in SQL."""
        return "DESC" if self.descending else "ASC"

    def order(self, alias: str = "o") -> str:
        """The columns to sort by, in SQL; `alias` is that of the orders."""
        keys = [self.key.format(alias), f"{alias}.id"] if self.key else [f"{alias}.id"]
        return ", ".join(f"{key} {self.direction}" for key in keys)

    def after(self, id_: str = "o.id") -> str:
        """The condition for orders that come after the last one of the previous page; `id_` is the SQL of the id."""
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
