"""Limits are read once, count as their settings say, and cost nothing when they are off."""

import limits
import pytest

from shared.kit.settings.group import load as load_settings
from shared.kit.settings.http import HttpSettings
from shared.kit.settings.redis import RedisSettings
from shared.settings import GROUPS
from tests.architecture.application import load


@pytest.fixture
def limiter_of(app_environment):
    """A limiter that counts in this process alone, with these settings."""
    module = load("shared.kit.rate_limits", app_environment)
    redis_server = load("shared.kit.redis_server", app_environment)

    def make(**changes):
        config = load_settings(HttpSettings, app_environment | {"RATE_LIMITS": "production"} | changes)
        return module.RateLimiter(config, redis_server.RedisServer(load_settings(RedisSettings, {}), threads=1))

    return make


@pytest.fixture
def rate_limit(app_environment):
    return load("shared.kit.rate_limits", app_environment).RateLimit


@pytest.fixture
def previews(rate_limit):
    return rate_limit("promo_previews", lambda: "30/minute")


def test_a_limit_is_read_once_however_often_it_counts(limiter_of, rate_limit, monkeypatch):
    read: list[str] = []
    parse = limits.parse

    def count_and_parse(text: str) -> limits.RateLimitItem:
        read.append(text)
        return parse(text)

    monkeypatch.setattr(limits, "parse", count_and_parse)
    limiter, previews = limiter_of(), rate_limit("promo_previews", lambda: "3/hour")
    told = [limiter.hit(previews, "203.0.113.7") for _ in range(5)]
    assert [each is None for each in told] == [True, True, True, False, False]
    assert limiter.test(previews, "203.0.113.8") is None
    assert read == ["3/hour"]


def test_a_limit_that_is_off_counts_nothing_and_has_no_policy(limiter_of, rate_limit, previews):
    unlimited = rate_limit("orders", lambda: None)
    for limiter, limit in ((limiter_of(RATE_LIMITS="off"), previews), (limiter_of(), unlimited)):
        assert limiter.policy(limit) is None
        assert all(limiter.hit(limit, "203.0.113.7") is None for _ in range(2_000))


def test_generous_means_a_hundred_times_as_much(limiter_of, previews):
    assert limiter_of().policy(previews) == '"promo_previews";q=30;w=60'
    assert limiter_of(RATE_LIMITS="generous").policy(previews) == '"promo_previews";q=3000;w=60'


def test_every_limit_reads_the_setting_of_its_name_and_every_setting_has_a_limit(rate_limit, app_environment):
    settings = {
        field.removeprefix("rate_limit_"): getattr(load_settings(group, app_environment), field)
        for group in GROUPS
        for field in group.model_fields
        if field.startswith("rate_limit_")
    }
    modules = [
        "shared.kit.http.limiting",
        "functions.edge",
        "functions.public.orders",
        "functions.public.promo_codes",
        "functions.admin.images",
        "functions.admin.reports",
    ]
    used = {
        value.name: value.allows()
        for module in modules
        for value in vars(load(module, app_environment)).values()
        if isinstance(value, rate_limit)
    }
    assert used == settings
