"""A Redis that is away costs one attempt every five seconds and one warning a minute, however many ask."""

import logging
import time

import redis

from infra.local.home import free_port
from tests.architecture.application import load


def test_a_redis_that_is_away_is_asked_once_and_warned_of_once(app_environment, caplog):
    module = load("shared.kit.redis_server", app_environment)
    settings = load("shared.kit.settings", app_environment)
    away = app_environment | {"REDIS_URL": f"redis://127.0.0.1:{free_port()}/0"}
    server = module.RedisServer(settings.load_settings(away))
    asked: list[int] = []

    def ask() -> None:
        def get(client: redis.Redis) -> object:
            asked.append(1)
            return client.get("key")

        server.attempt(get)

    with caplog.at_level(logging.WARNING):
        began = time.monotonic()
        for _ in range(1_000):
            ask()
        assert time.monotonic() - began < 1
        server._shut_until = 0.0  # as if the five seconds were over
        ask()

    assert len(asked) == 2
    assert [record.getMessage() for record in caplog.records if record.name == module.__name__] == [
        "Redis does not answer (ConnectionError); going on without it"
    ]
