"""Limits are read once, count what they say, and cost nothing where they are off."""

import limits
import pytest

from tests.architecture.application import load

PREVIEWS = "promo_previews"


@pytest.fixture
def limiter_of(app_environment):
    """A limiter that counts in this process alone, with these settings."""
    module = load("shared.kit.rate_limits", app_environment)
    settings = load("shared.kit.settings", app_environment)
    redis_server = load("shared.kit.redis_server", app_environment)

    def make(**changes):
        here = {name: value for name, value in app_environment.items() if name != "REDIS_URL"}
        config = settings.load_settings(here | {"RATE_LIMITS": "production"} | changes)
        return module.RateLimiter(config, redis_server.RedisServer(config))

    return make


@pytest.fixture
def rate_limit(app_environment):
    return load("shared.kit.rate_limits", app_environment).RateLimit


def test_a_limit_is_read_once_however_often_it_counts(limiter_of, rate_limit, monkeypatch):
    read: list[str] = []
    parse = limits.parse

    def count_and_parse(text: str) -> limits.RateLimitItem:
        read.append(text)
        return parse(text)

    monkeypatch.setattr(limits, "parse", count_and_parse)
    limiter = limiter_of(RATE_LIMIT_PROMO_PREVIEWS="3/hour")
    told = [limiter.hit(rate_limit(PREVIEWS), "203.0.113.7") for _ in range(5)]
    assert [each is None for each in told] == [True, True, True, False, False]
    assert limiter.test(rate_limit(PREVIEWS), "203.0.113.8") is None
    assert read == ["3/hour"]


def test_a_limit_that_is_off_counts_nothing_and_has_no_policy(limiter_of, rate_limit):
    for limiter, name in ((limiter_of(RATE_LIMITS="off"), PREVIEWS), (limiter_of(), "orders")):
        assert limiter.policy(rate_limit(name)) is None
        assert all(limiter.hit(rate_limit(name), "203.0.113.7") is None for _ in range(2_000))


def test_generous_means_a_hundred_times_as_much(limiter_of, rate_limit):
    assert limiter_of().policy(rate_limit(PREVIEWS)) == '"promo_previews";q=30;w=60'
    assert limiter_of(RATE_LIMITS="generous").policy(rate_limit(PREVIEWS)) == '"promo_previews";q=3000;w=60'


def test_every_limit_has_a_setting_and_every_setting_a_limit(limiter_of, rate_limit, app_environment):
    settings = load("shared.kit.settings", app_environment).Settings
    named = {name.removeprefix("rate_limit_") for name in settings.model_fields if name.startswith("rate_limit_")}
    modules = [
        "shared.kit.http.limiting",
        "functions.edge",
        "functions.public.orders",
        "functions.public.promo_codes",
        "functions.admin.images",
        "functions.admin.reports",
    ]
    used = {
        value.name
        for module in modules
        for value in vars(load(module, app_environment)).values()
        if isinstance(value, rate_limit)
    }
    assert used == named
