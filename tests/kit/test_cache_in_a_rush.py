"""When hundreds of sales make entries stale, a few commands forget them, and the last sale is not left out."""

import redis

from shared.kit.settings.group import load as load_settings
from shared.kit.settings.redis import RedisSettings
from tests.architecture.application import load
from tests.harness.polling import poll

KEYS = ("rush:one", "rush:two")


def deletions(server: redis.Redis) -> int:
    counted = server.info("commandstats").get("cmdstat_del", {"calls": 0})
    return int(counted["calls"])


def test_five_hundred_sales_cost_few_commands_and_the_last_of_them_is_not_left_out(app_environment):
    module = load("shared.kit.cache", app_environment)
    redis_server = load("shared.kit.redis_server", app_environment)
    config = load_settings(RedisSettings, app_environment)
    cache = module.Cache(redis_server.RedisServer(config, threads=6))
    assert config.redis_url is not None
    with redis.Redis.from_url(config.redis_url) as server:
        before = deletions(server)
        for _ in range(500):
            cache.put(KEYS[0], b"stale", seconds=60)
            cache.drop_in_a_rush(*KEYS)
        cache.put(KEYS[0], b"stale", seconds=60)
        cache.drop_in_a_rush(*KEYS)
        poll(lambda: cache.get(KEYS[0]) is None)

        assert deletions(server) - before < 50


def test_one_sale_is_forgotten_at_once(app_environment):
    module = load("shared.kit.cache", app_environment)
    redis_server = load("shared.kit.redis_server", app_environment)
    config = load_settings(RedisSettings, app_environment)
    cache = module.Cache(redis_server.RedisServer(config, threads=6))
    cache.put(KEYS[0], b"stale", seconds=60)
    cache.put("another", b"kept", seconds=60)

    cache.drop_in_a_rush(*KEYS)

    assert cache.get(KEYS[0]) is None
    assert cache.get("another") == b"kept"
    cache.drop("another")
