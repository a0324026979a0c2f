"""How tickets are numbered. Pure."""


def ticket_numbers(word: str, count: int) -> list[str]:
    """Return the numbers of an order's tickets, the first one first: `TKT-20270417-XJMA2M-01`.

    `word` is the part of the order's number after `ORD-`, so any one of these numbers leads to the others.
    """
    width = max(2, len(str(count)))
    return [f"TKT-{word}-{place:0{width}d}" for place in range(1, count + 1)]
