"""The audit chain (R-AUDIT-1): if any one entry is changed, removed or moved, the first broken link names it."""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from shared.domain.audit.chain import BEGINNING, FACTS, ChainBroken, ChainEnd, Link, Walk
from shared.domain.audit.rules import entry_hash
from tests.properties.strategies import texts

EVENT = UUID(int=7)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
WORDS = st.none() | texts
MOMENTS = st.datetimes(datetime(2001, 1, 1), datetime(2099, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


def facts():
    said = dict.fromkeys(FACTS, WORDS) | {"old_value": VALUES, "new_value": VALUES}
    return st.fixed_dictionaries(said)


def chained(said, event_id=EVENT):
    """Links over the given contents, as the trail makes them."""
    links, end = [], BEGINNING
    for seq, (at, what) in enumerate(said, 1):
        digest = entry_hash(end.hash, event_id=event_id, seq=seq, at=at, facts=what)
        links.append(Link(id=UUID(int=seq), seq=seq, at=at, facts=what, previous_hash=end.hash, hash=digest))
        end = ChainEnd(seq, digest)
    return links


@st.composite
def chains_and_places(draw, places=1, least=1):
    """A chain, and different places in it, in ascending order and counted from 0."""
    links = chained(draw(st.lists(st.tuples(MOMENTS, facts()), min_size=least, max_size=8)))
    indexes = st.lists(st.integers(0, len(links) - 1), min_size=places, max_size=places, unique=True).map(sorted)
    return links, *draw(indexes)


def end_of(links):
    return ChainEnd(links[-1].seq, links[-1].hash) if links else BEGINNING


def first_broken(links, *, end):
    """Where the check stops, and why; None if it reaches the end."""
    walk = Walk(EVENT, after=BEGINNING)
    try:
        for _ in walk.over(links):
            pass
        walk.must_end_at(end)
    except ChainBroken as broken:
        return broken.seq, broken.reason
    return None


@given(case=chains_and_places())
def test_a_chain_that_nobody_touched_is_whole_from_any_place_on(case):
    links, place = case
    assert first_broken(links, end=end_of(links)) is None
    walk = Walk(EVENT, after=end_of(links[:place]))
    assert list(walk.over(links[place:])) == links[place:]
    assert (walk.count, walk.end) == (len(links) - place, end_of(links))


@given(case=chains_and_places(), name=st.sampled_from(FACTS), value=VALUES)
def test_a_changed_fact_is_found_where_it_was_changed(case, name, value):
    links, place = case
    was = links[place]
    assume(was.facts[name] != value and not (was.facts[name] in (0, 1) and value in (0, 1)))
    tampered = [*links[:place], replace(was, facts=was.facts | {name: value}), *links[place + 1 :]]
    assert first_broken(tampered, end=end_of(links)) == (was.seq, "its content has been changed")


@given(case=chains_and_places(), at=MOMENTS)
def test_a_changed_time_is_found_where_it_was_changed(case, at):
    links, place = case
    assume(at != links[place].at)
    tampered = [*links[:place], replace(links[place], at=at), *links[place + 1 :]]
    assert first_broken(tampered, end=end_of(links)) == (place + 1, "its content has been changed")


@given(case=chains_and_places(), value=VALUES)
def test_an_entry_forged_with_its_hash_is_found_at_the_next_one_or_at_the_end(case, value):
    links, place = case
    was = links[place]
    forged_facts = was.facts | {"field": f"not {was.facts['field']}", "new_value": value}
    digest = entry_hash(was.previous_hash, event_id=EVENT, seq=was.seq, at=was.at, facts=forged_facts)
    tampered = [*links[:place], replace(was, facts=forged_facts, hash=digest), *links[place + 1 :]]
    expected = (
        (was.seq, "it is not the entry that the chain ends with")
        if was is links[-1]
        else (was.seq + 1, "it does not follow the entry before it")
    )
    assert first_broken(tampered, end=end_of(links)) == expected


@given(case=chains_and_places())
def test_a_removed_entry_is_missed_in_its_place(case):
    links, place = case
    expected = (
        (place + 1, "entries are missing at the end")
        if place == len(links) - 1
        else (place + 2, f"entry {place + 1} is missing")
    )
    assert first_broken(links[:place] + links[place + 1 :], end=end_of(links)) == expected


@given(case=chains_and_places(places=2, least=2))
def test_two_swapped_entries_are_found_at_the_first_of_them(case):
    links, first, second = case
    tampered = list(links)
    tampered[first], tampered[second] = tampered[second], tampered[first]
    assert first_broken(tampered, end=end_of(links)) == (second + 1, f"entry {first + 1} is missing")


@given(case=chains_and_places())
def test_an_entry_that_stands_there_twice_is_found(case):
    links, place = case
    tampered = [*links[: place + 1], links[place], *links[place + 1 :]]
    assert first_broken(tampered, end=end_of(links)) == (place + 1, "it stands in a place that is not its own")


@given(case=chains_and_places())
def test_an_entry_behind_the_end_is_found(case):
    links, place = case
    end = end_of(links[:place])
    assert first_broken(links, end=end) == (place + 1, "entries were added behind the end")


@given(said=st.tuples(MOMENTS, facts()))
def test_another_events_chain_is_not_this_ones(said):
    links = chained([said], event_id=UUID(int=8))
    assert first_broken(links, end=end_of(links)) == (1, "its content has been changed")


@pytest.mark.parametrize("kind", ["previous_hash", "hash"])
@given(case=chains_and_places())
def test_a_changed_hash_is_found_where_it_was_changed(kind, case):
    links, place = case
    tampered = [*links[:place], replace(links[place], **{kind: bytes(range(32))}), *links[place + 1 :]]
    found = first_broken(tampered, end=end_of(links))
    assert found is not None
    assert found[0] == place + 1
