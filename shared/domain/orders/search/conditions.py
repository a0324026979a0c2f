"""Turns what the team types into the search into conditions on orders (R-SALES-6). Pure.

The index `ix_orders_search` holds the trigrams of `TEXT`. Each typed word must occur in `TEXT`: anywhere, or only at
the beginning of a word there if the typed word has no trigram of its own (no three letters or digits together). Orders'
and tickets' numbers are found as they are printed.
"""

import re
import unicodedata
from collections.abc import Sequence
from typing import Any

TEXT = "(' ' || o.customer_name || ' ' || o.customer_email || ' ' || right(o.number, 6))"
WORDS_AT_MOST = 6

# How orders and tickets are numbered: both have the same six letters, and a ticket has its own number after them.
_NUMBER = re.compile(r"(ORD|TKT)-(\d{8})(?:-([0-9A-Z]{1,6}))?(?:-(\d*))?")
_LETTERS = 6
_TRIGRAM = re.compile(r"[^\W_]{3}")
_RUN = re.compile(r"[^\W\d_]{3,}")
_RUN_AT_MOST = 40

type Conditions = list[tuple[str, dict[str, Any]]]


def says_anything(q: str) -> bool:
    """Whether the text has a letter or a digit; punctuation alone is in no index and finds nothing."""
    return any(character.isalnum() for character in q)


def conditions_of(q: str) -> tuple[Conditions, Conditions]:
    """Return the conditions that orders must meet to match `q`: those that name one order, and all others."""
    words = unicodedata.normalize("NFC", q).split()
    *few, last = [*words[: WORDS_AT_MOST - 1], " ".join(words[WORDS_AT_MOST - 1 :])]
    exact: Conditions = []
    texts: Conditions = []
    for number, word in enumerate(word for word in [*few, last] if word):
        printed = _NUMBER.fullmatch(word.upper())
        if printed is None:
            texts += _of_text(word, f"word_{number}")
        else:
            (exact if len(printed[3] or "") == _LETTERS else texts).append(_of_number(printed, f"word_{number}"))
    return exact, texts


def _of_text(word: str, name: str) -> Conditions:
    box, at, _ = word.partition("@")
    if len(box) < 3 or not at:
        return [(f"{TEXT} ILIKE %({name})s", {name: pattern(word)})]
    # The part after the @ is in so many addresses that the index is slower with it than without it.
    return [
        (f"{TEXT} ILIKE %({name})s", {name: pattern(box + at)}),
        (f"o.customer_email ILIKE %({name}_whole)s", {f"{name}_whole": pattern(word)}),
    ]


def _of_number(printed: re.Match[str], name: str) -> tuple[str, dict[str, Any]]:
    kind, day, letters, suffix = printed.groups()
    if kind == "TKT" and suffix:
        return _OF_TICKET.format(name=name), {name: f"TKT-{day}-{letters}-{suffix}"}
    if letters and len(letters) == _LETTERS:
        return f"o.number = %({name})s", {name: f"ORD-{day}-{letters}"}
    # The letters are also searched as text, by their trigrams: not every database's collation lets an index find
    # prefixes.
    known = {name: f"ORD-{day}-{letters or ''}%", f"{name}_letters": f"% {letters or ''}%"}
    return f"o.number LIKE %({name})s AND {TEXT} ILIKE %({name}_letters)s", known


_OF_TICKET = (
    "o.id = (SELECT i.order_id FROM tickets t JOIN order_items i ON i.event_id = t.event_id AND i.id = t.order_item_id"
    " WHERE t.event_id = %(event_id)s AND t.number = %({name})s)"
)


def pattern(word: str) -> str:
    """Return a LIKE pattern for a word, special signs escaped; without a trigram it finds only beginnings of words."""
    return f"%{literal(word)}%" if _TRIGRAM.search(word) else f"% {literal(word)}%"


def literal(text: str) -> str:
    """Return the text for use in a LIKE pattern, with the pattern's special signs escaped."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def runs_of(text: str) -> list[str]:
    """Return the runs of three or more letters in a text, in lower case, each once: they are learnt and corrected."""
    runs = _RUN.findall(unicodedata.normalize("NFC", text).lower())
    return list(dict.fromkeys(run[:_RUN_AT_MOST] for run in runs))


def corrected_conditions(q: str, words: Sequence[Sequence[str]]) -> Conditions:
    """Return the conditions that an order has, for each misspelt word, one of the words that may have been meant.

    A word without three letters together is not corrected and must occur as it was typed.
    """
    as_it_is = " ".join(word for word in q.split() if not runs_of(word))
    return [
        (f"{TEXT} ILIKE ANY (%(meant_{number})s)", {f"meant_{number}": [pattern(word) for word in meant]})
        for number, meant in enumerate(words)
    ] + conditions_of(as_it_is)[1]


def nearest(typed: str, known: Sequence[str]) -> list[str]:
    """Return the known words that may have been meant: one slip in a short word, two in a longer one.

    A word that is itself known is not corrected.
    """
    if typed in known:
        return [typed]
    slips = {word: slips_between(typed, word) for word in known}
    best = min(slips.values(), default=99)
    return [word for word, count in slips.items() if count == best][:5] if best <= (1 if len(typed) < 6 else 2) else []


def slips_between(one: str, other: str) -> int:
    """Return how many letters are wrong, missing, too many, or have changed places with their neighbour.

    This is the optimal string alignment distance.
    """
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, start=1):
        before_that, before, row = before, row, [i] + [0] * len(other)
        for j, its in enumerate(other, start=1):
            row[j] = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != its))
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == its:
                row[j] = min(row[j], before_that[j - 2] + 1)
    return row[-1]
