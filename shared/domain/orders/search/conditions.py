"""What the team types into the search, as conditions on orders (R-SALES-6). Pure.

The index `ix_orders_search` holds the trigrams of `TEXT`. Each word that was typed must be in it: anywhere, or at the
beginning of a name where the word has no trigram of its own (no three letters or digits together). Numbers are found as
they are printed.
"""

import re
import unicodedata
from collections.abc import Sequence
from typing import Any

TEXT = "(' ' || o.customer_name || ' ' || o.customer_email || ' ' || right(o.number, 6))"
WORDS_AT_MOST = 6

# As orders and tickets are numbered: both end in the same six letters, a ticket in its own number after them.
_NUMBER = re.compile(r"(ORD|TKT)-(\d{8})(?:-([0-9A-Z]{1,6}))?(?:-(\d*))?")
_LETTERS = 6
_TRIGRAM = re.compile(r"[^\W_]{3}")
_RUN = re.compile(r"[^\W\d_]{3,}")
_RUN_AT_MOST = 40

type Conditions = list[tuple[str, dict[str, Any]]]


def says_anything(q: str) -> bool:
    """Whether there is a letter or a digit in it; signs alone are in no index, and find nothing."""
    return any(character.isalnum() for character in q)


def conditions_of(q: str) -> tuple[Conditions, Conditions]:
    """The conditions under which an order is what `q` looks for: those that name one order, and all others."""
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
    # What stands behind the @ is in so many addresses that the index is slower with it than without.
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
    # The letters again as text: those have trigrams, for a database whose order of letters can't tell prefixes.
    known = {name: f"ORD-{day}-{letters or ''}%", f"{name}_letters": f"% {letters or ''}%"}
    return f"o.number LIKE %({name})s AND {TEXT} ILIKE %({name}_letters)s", known


_OF_TICKET = (
    "o.id = (SELECT i.order_id FROM tickets t JOIN order_items i ON i.event_id = t.event_id AND i.id = t.order_item_id"
    " WHERE t.event_id = %(event_id)s AND t.number = %({name})s)"
)


def pattern(word: str) -> str:
    """A pattern of LIKE for a word, its own signs as they stand; without a trigram, only where a word begins."""
    return f"%{literal(word)}%" if _TRIGRAM.search(word) else f"% {literal(word)}%"


def literal(text: str) -> str:
    """The text as a part of a LIKE pattern: its own signs stand for themselves."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def runs_of(text: str) -> list[str]:
    """The runs of three letters and more of a text in lower case, each once: what is learnt, and what is corrected."""
    runs = _RUN.findall(unicodedata.normalize("NFC", text).lower())
    return list(dict.fromkeys(run[:_RUN_AT_MOST] for run in runs))


def corrected_conditions(q: str, words: Sequence[Sequence[str]]) -> Conditions:
    """The conditions under which an order has, for each misspelt word, one of those that may have been meant.

    What has no three letters together is not corrected, and must be there as it is.
    """
    as_it_is = " ".join(word for word in q.split() if not runs_of(word))
    return [
        (f"{TEXT} ILIKE ANY (%(meant_{number})s)", {f"meant_{number}": [pattern(word) for word in meant]})
        for number, meant in enumerate(words)
    ] + conditions_of(as_it_is)[1]


def nearest(typed: str, known: Sequence[str]) -> list[str]:
    """Those of the known words that somebody may have meant: one slip in a short word, two in a longer one.

    A word that is known is meant as it is.
    """
    if typed in known:
        return [typed]
    slips = {word: slips_between(typed, word) for word in known}
    best = min(slips.values(), default=99)
    return [word for word, count in slips.items() if count == best][:5] if best <= (1 if len(typed) < 6 else 2) else []


def slips_between(one: str, other: str) -> int:
    """How many letters are wrong, missing, too many, or changed places with their neighbour.

    The optimal string alignment distance.
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
