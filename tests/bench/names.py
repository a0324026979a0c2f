"""Names of invented buyers: as different from each other, and as unevenly distributed, as real names."""

import random

_SYLLABLES = (
    *("an", "be", "ca", "do", "el", "fa", "gi", "ho", "in", "jo", "ka", "lo", "ma", "ni", "ol", "pe", "qui", "ro"),
    *("sa", "te", "ul", "vi", "wa", "xe", "yo", "za", "smi", "th", "ber", "son", "mann", "ley", "ford", "ton"),
    *("ski", "ova", "ez", "ko", "ham", "wood"),
)
_FIRST = ["Anna", "John", "Maria", "James", "Linda", "Bo", "Ada", "Peter", "Sarah", "Tom"]
_LAST = ["Smith", "Jones", "Brown", "Lovelace", "Miller", "Garcia"]


def first_names() -> list[str]:
    """A thousand names, the same in every run; the first ones are to be used most often."""
    return _names(_FIRST, 1_000, (2, 2, 3))


def last_names() -> list[str]:
    """Twenty thousand names."""
    return _names(_LAST, 20_000, (2, 3, 3, 4))


def _names(known: list[str], count: int, lengths: tuple[int, ...]) -> list[str]:
    chance = random.Random(1)
    made = ("".join(chance.choices(_SYLLABLES, k=chance.choice(lengths))).capitalize() for _ in range(count))
    return [*known, *made][:count]
