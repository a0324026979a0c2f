"""A missing Redis costs one attempt and one warning a minute for all callers; when it is back, it is used again."""

import logging
import signal
import threading
import time

import pytest
import redis

from infra.local.home import free_port
from infra.local.services.valkey import ValkeyServer
from shared.kit.settings.group import load as load_settings
from shared.kit.settings.redis import RedisSettings
from tests.architecture.application import load


@pytest.fixture
def server_at(app_environment):
    """A client of our own for the Redis at that address."""
    module = load("shared.kit.redis_server", app_environment)

    def make(url, **changes):
        config = load_settings(RedisSettings, app_environment | {"REDIS_URL": url} | changes)
        return module.RedisServer(config, threads=6)

    return make


def test_a_redis_that_is_away_is_asked_once_and_warned_of_once(server_at, caplog, app_environment):
    server = server_at(f"redis://127.0.0.1:{free_port()}/0")
    asked: list[int] = []

    def get(client: redis.Redis) -> object:
        asked.append(1)
        return client.get("key")

    with caplog.at_level(logging.WARNING):
        for _ in range(1_000):
            server.attempt(get)
    server._breaker._open = False  # as if Redis had answered in between
    server.attempt(get)

    assert len(asked) == 2
    assert [record.getMessage() for record in caplog.records if record.name == "shared.kit.breaker"] == [
        "The redis does not answer (ConnectionError) and is left alone until it does"
    ]


@pytest.fixture
def valkey(tmp_path, guard):
    server = ValkeyServer(log=tmp_path / "valkey.log", guard=guard, port=free_port())
    server.start()
    yield server
    server.stop()


def count_asking(breaker) -> list[int]:
    """How often the breaker asks without success from now on."""
    in_vain: list[int] = []
    ask = breaker._ask

    def ask_and_count() -> None:
        try:
            ask()
        except redis.RedisError:
            in_vain.append(1)
            raise

    breaker._ask = ask_and_count
    return in_vain


def test_a_stuck_redis_holds_up_each_thread_once_and_is_used_again_when_it_answers(server_at, valkey, poll):
    """A time-out is two seconds here, so that another delay is not mistaken for one."""
    server = server_at(valkey.url(), REDIS_TIMEOUT_MS="2000")
    assert server.call("set", "key", "value")
    process = valkey.process.popen
    assert process is not None
    process.send_signal(signal.SIGSTOP)
    try:
        asking: list[int] = []
        held_up: list[float] = []

        def get(client: redis.Redis) -> object:
            asking.append(threading.get_ident())
            began = time.monotonic()
            try:
                return client.get("key")
            finally:
                held_up.append(time.monotonic() - began)

        def ask() -> None:
            for _ in range(200):
                assert server.attempt(get) is None

        threads = [threading.Thread(target=ask) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert 1 <= len(asking) == len(set(asking)) <= 6
        assert max(held_up) < 2 * 2.0, "one time-out, and no second try"
        # While it stays stuck, only the breaker's own thread waits for it.
        held_up_alone = count_asking(server._breaker)

        def has_waited_again() -> bool:
            assert server.attempt(get) is None
            return len(held_up_alone) >= 2

        poll(has_waited_again)
        assert len(asking) <= 6
    finally:
        process.send_signal(signal.SIGCONT)
    poll(lambda: server.call("get", "key") == b"value")
