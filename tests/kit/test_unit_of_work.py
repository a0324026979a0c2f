"""Hooks after a commit belong to the unit of work under way, whichever code registers them."""

import threading

from shared.kit.db.unit_of_work import UnitOfWork, current_unit_of_work


def test_a_hook_runs_after_the_commit_and_only_then():
    ran: list[str] = []
    with UnitOfWork() as unit_of_work:
        unit_of_work.after_commit(lambda: ran.append("first"))
        assert ran == []
        unit_of_work.commit()
        assert ran == ["first"]
        unit_of_work.commit()
        assert ran == ["first"]
        unit_of_work.after_commit(lambda: ran.append("never"))
    assert ran == ["first"]


def test_a_hook_that_is_registered_twice_runs_once():
    ran: list[int] = []

    def hook() -> None:
        ran.append(len(ran))

    with UnitOfWork() as unit_of_work:
        for _ in range(3):
            unit_of_work.after_commit(hook)
        unit_of_work.commit()
        unit_of_work.after_commit(hook)
        unit_of_work.commit()
    assert ran == [0, 1]


def test_the_innermost_unit_of_work_is_the_current_one():
    assert current_unit_of_work() is None
    with UnitOfWork() as outer:
        assert current_unit_of_work() is outer
        with UnitOfWork(read_only=True) as inner:
            assert current_unit_of_work() is inner
        assert current_unit_of_work() is outer
    assert current_unit_of_work() is None


def test_a_unit_of_work_that_fails_is_current_no_more():
    try:
        with UnitOfWork():
            raise ValueError  # noqa: TRY301 - what any work may do
    except ValueError:
        assert current_unit_of_work() is None


def test_threads_do_not_share_a_unit_of_work():
    seen: list[UnitOfWork | None] = []
    with UnitOfWork():
        thread = threading.Thread(target=lambda: seen.append(current_unit_of_work()))
        thread.start()
        thread.join()
    assert seen == [None]
