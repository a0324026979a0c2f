"""Settings: each is described, and a missing or bad one stops the start with its name and what is expected."""

import json

import pytest

from infra.local.home import REPOSITORY
from shared.domain.images.settings import ImageSettings
from shared.kit.settings import group
from shared.kit.settings.app import AppSettings
from shared.kit.settings.database import DatabaseSettings
from shared.kit.settings.group import SettingsError, is_secret, load, load_all, unresolved_references, variable_name
from shared.kit.settings.http import HttpSettings
from shared.kit.settings.mail import MailSettings
from shared.kit.settings.redis import RedisSettings
from shared.kit.settings.storage import StorageSettings
from shared.settings import GROUPS, read_settings
from tests.architecture import application

KEY = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
GOOD = {
    "ENVIRONMENT": "local",
    "PUBLIC_URL": "http://localhost:7071/",
    "DATABASE_URL": "postgresql://postgres@127.0.0.1:5432/boxoffice",
    "AzureWebJobsStorage": "UseDevelopmentStorage=true",
    "OIDC_ISSUER": "http://127.0.0.1:8090",
    "TICKET_SIGNING_KEY": KEY,
    "ORDER_LINK_KEY": KEY,
}
FIELDS = {variable_name(each, field): (each, field) for each in GROUPS for field in each.model_fields}
REQUIRED = ["PUBLIC_URL", "DATABASE_URL", "OIDC_ISSUER", "TICKET_SIGNING_KEY", "ORDER_LINK_KEY"]


def fault(environment: dict[str, str]) -> str:
    with pytest.raises(SettingsError) as caught:
        load_all(GROUPS, environment)
    return str(caught.value)


def test_every_setting_is_described():
    for name, (each, attribute) in FIELDS.items():
        field = each.model_fields[attribute]
        assert field.description, name
        assert field.description[0].isupper() or field.description.startswith("`"), name
        assert field.description.endswith("."), name


def test_the_example_for_core_tools_lists_every_setting():
    example = json.loads((REPOSITORY / "local.settings.example.json").read_text())["Values"]
    instead = "AzureWebJobsStorage__accountName"  # on Azure, instead of the connection string
    assert set(example) - {"FUNCTIONS_WORKER_RUNTIME"} == FIELDS.keys() - {instead}
    assert all(isinstance(value, str) for value in example.values())


def test_the_page_of_settings_names_each():
    page = (REPOSITORY / "docs" / "settings.md").read_text()
    for name in FIELDS:
        assert page.count(f"| `{name}` |") == 1
    assert all(f"\n## {each.heading}\n" in page for each in GROUPS)


def test_no_setting_is_in_two_groups_and_no_group_is_left_out(app_environment):
    assert len(FIELDS) == sum(len(each.model_fields) for each in GROUPS)
    application.load("functions.platform", app_environment)
    assert set(group.Group.__subclasses__()) == set(GROUPS)


def test_the_least_that_is_needed_is_enough():
    assert load_all(GROUPS, GOOD).keys() == set(GROUPS)
    app = load(AppSettings, GOOD)
    assert (app.is_local, app.public_url) == (True, "http://localhost:7071")
    assert load(HttpSettings, GOOD).oidc_audience == "boxoffice"
    assert (load(RedisSettings, GOOD).redis_url, load(MailSettings, GOOD).mail_url) == (None, None)
    assert load(DatabaseSettings, GOOD).database_pool_size >= 1


@pytest.mark.parametrize("text", ["* * * * *", "every minute", "0 0 * * * * *"])
def test_a_schedule_without_six_fields_is_refused_with_an_example(text):
    assert "six fields" in fault(GOOD | {"OUTBOX_SCHEDULE": text})
    assert "0 */5 * * * *" in fault(GOOD | {"OUTBOX_SCHEDULE": text})


@pytest.mark.parametrize("name", REQUIRED)
def test_a_missing_setting_is_named_with_what_is_expected(name):
    for environment in ({n: v for n, v in GOOD.items() if n != name}, GOOD | {name: ""}):
        said = fault(environment)
        assert f"{name}: is missing. Expected: " in said


def test_every_fault_is_named_at_once():
    said = fault({"CLAMD_PORT": "0", "STRIPE_SECRET_KEY": "sk_test_x"})
    assert [name for name in REQUIRED if f"{name}: is missing" in said] == REQUIRED
    for each in ("CLAMD_PORT: ", "STRIPE_WEBHOOK_SECRET is missing", "AzureWebJobsStorage (or "):
        assert said.count(each) == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ENVIRONMENT", "staging"),
        ("PUBLIC_URL", "localhost:7071"),
        ("PUBLIC_URL", "ftp://example.com"),
        ("DATABASE_URL", "mysql://root@localhost/boxoffice"),
        ("DATABASE_POOL_SIZE", "0"),
        ("DATABASE_POOL_SIZE", "many"),
        ("DATABASE_LOCK_TIMEOUT_MS", "1"),
        ("DATABASE_PREPARED_STATEMENTS", "perhaps"),
        ("REDIS_URL", "localhost:6379"),
        ("REDIS_TIMEOUT_MS", "5"),
        ("OIDC_ISSUER", "issuer.example"),
        ("OIDC_SUPER_ADMIN_CLAIM", "super_admin"),
        ("TICKET_SIGNING_KEY", "short"),
        ("TICKET_SIGNING_KEY", KEY[:-4]),
        ("TICKET_SIGNING_KEY", KEY.replace("A", "€", 1)),
        ("ORDER_LINK_KEY", "A" * 64),
        ("MAIL_URL", "mail.example.com"),
        ("METRICS_KEY", "short"),
        ("SALES_EXPORT_MINUTES", "-1"),
        ("BLOB_TRIGGER_SOURCE", "Polling"),
        ("MALWARE_SCANNER", "perhaps"),
        ("CLAMD_PORT", "0"),
    ],
)
def test_a_bad_setting_is_named_with_what_is_expected(name, value):
    said = fault(GOOD | {name: value})
    assert f"{name}: " in said
    assert "Expected: " in said
    assert said.count("\n") == 1  # this one and no other


def test_the_message_shows_no_secret():
    said = fault(GOOD | {"TICKET_SIGNING_KEY": "hunter2-hunter2", "DATABASE_URL": "mysql://root:hunter2@db/x"})
    assert "hunter2" not in said


SECRETS = {
    "DATABASE_URL": "postgresql://box:hunter2@db/boxoffice",
    "REDIS_URL": "rediss://:hunter2@cache:6380/0",
    "AzureWebJobsStorage": "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=hunter2",
    "TICKET_SIGNING_KEY": "hunter2hunter2hunter2hunter2hunter2hunter2A=",
    "ORDER_LINK_KEY": "hunter2hunter2hunter2hunter2hunter2hunter2A=",
    "STRIPE_SECRET_KEY": "sk_test_hunter2",
    "STRIPE_WEBHOOK_SECRET": "whsec_hunter2",
    "MAIL_URL": "smtp://a:hunter2@b",
    "METRICS_KEY": "hunter2-hunter2-hunter2",
    "APPLICATIONINSIGHTS_CONNECTION_STRING": "InstrumentationKey=hunter2;IngestionEndpoint=https://a",
}


def test_what_is_secret_is_shown_in_no_way_in_which_settings_are_printed():
    """A new secret must be put on this list, and a setting with a name like a secret's must be one."""
    assert {name for name, (each, field) in FIELDS.items() if is_secret(each, field)} == set(SECRETS)
    public = {"STRIPE_PUBLISHABLE_KEY", "TICKET_VERIFYING_KEYS"}
    sounding = {name for name in FIELDS if "KEY" in name or "SECRET" in name}
    assert sounding - public <= set(SECRETS)
    assert load(MailSettings, SECRETS).mail_url == SECRETS["MAIL_URL"]
    for found in load_all(GROUPS, GOOD | SECRETS).values():
        for shown in (repr(found), str(found), f"{found}", found.model_dump_json(), str(found.model_dump())):
            assert "hunter2" not in shown


def test_no_secret_stands_in_what_is_said_of_a_bad_one():
    for name, value in SECRETS.items():
        said = fault(GOOD | SECRETS | {name: f" bad {value}", "METRICS_KEY": "hunter2", "PUBLIC_URL": "x"})
        assert "hunter2" not in said, name


# --- Key Vault ------------------------------------------------------------------------------------------------------

REFERENCE = "@Microsoft.KeyVault(SecretUri=https://hunter2.vault.azure.net/secrets/hunter2/)"


@pytest.mark.parametrize("name", sorted({*SECRETS, "TICKET_VERIFYING_KEYS", "OIDC_ISSUER", "RATE_LIMITS", "MAIL_FROM"}))
def test_a_reference_that_was_not_resolved_is_named_and_not_taken_for_a_value(name):
    environment = GOOD | {"METRICS_KEY": "k" * 16, name: REFERENCE}
    if name in {
        "REDIS_URL",
        "MAIL_URL",
        "STRIPE_SECRET_KEY",
        "APPLICATIONINSIGHTS_CONNECTION_STRING",
    }:  # the app can run without this one
        found = load_all(GROUPS, environment)
        assert [unresolved for each in found.values() for unresolved in each.unresolved_references] == [name]
        group_of_it, field = FIELDS[name]
        assert getattr(found[group_of_it], field) is None
    else:
        said = fault(environment)
        assert f"{name}: is a Key Vault reference that was not resolved" in said
        assert said.count("\n") == 1
        assert "hunter2" not in said


def test_all_that_were_not_resolved_are_named_at_once():
    said = fault(GOOD | {"DATABASE_URL": f" {REFERENCE}", "MAIL_URL": REFERENCE, "ORDER_LINK_KEY": REFERENCE})
    assert [line.split(":")[0].strip() for line in said.splitlines()[1:]] == [
        "DATABASE_URL",
        "ORDER_LINK_KEY",
        "MAIL_URL",
    ]


def test_what_the_app_runs_without_is_said_at_the_start(monkeypatch, caplog):
    for name, value in (GOOD | {"MAIL_URL": REFERENCE}).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(group, "_read", {})  # as in a process that has just begun
    read_settings()
    assert unresolved_references() == ["MAIL_URL"]
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert caplog.records[0].getMessage().startswith("MAIL_URL is a Key Vault reference that was not resolved.")
    assert "hunter2" not in caplog.text


def test_health_says_what_the_app_runs_without(app_environment, monkeypatch):
    platform = application.load("functions.platform", app_environment)
    assert platform.health_ready(None).body.status == "ok"
    monkeypatch.setattr(group, "_read", group._read | {MailSettings: load(MailSettings, {"MAIL_URL": REFERENCE})})
    answer = platform.health_ready(None)
    assert (answer.status, answer.body.status, answer.body.unresolved_settings) == (200, "degraded", ["MAIL_URL"])


def test_the_test_provider_is_refused_on_azure(monkeypatch):
    monkeypatch.setenv("WEBSITE_INSTANCE_ID", "0")
    assert "ENVIRONMENT=local is refused on Azure" in fault(GOOD)
    production = GOOD | {"ENVIRONMENT": "production", "METRICS_KEY": "k" * 16}
    assert not load(AppSettings, production).is_local


def test_production_is_meant_unless_it_is_said_otherwise_and_its_metrics_need_a_key():
    environment = {name: value for name, value in GOOD.items() if name != "ENVIRONMENT"}
    assert "METRICS_KEY is missing" in fault(environment)
    assert load(AppSettings, environment | {"METRICS_KEY": "k" * 16}).environment == "production"


def test_the_storage_is_named_by_connection_string_or_by_account():
    environment = {name: value for name, value in GOOD.items() if name != "AzureWebJobsStorage"}
    assert "AzureWebJobsStorage" in fault(environment)
    found = load(StorageSettings, {"AzureWebJobsStorage__accountName": "boxoffice"})
    assert (found.storage_connection, found.storage_account) == (None, "boxoffice")


def test_clamd_has_to_be_somewhere():
    assert "CLAMD_HOST is missing" in fault(GOOD | {"MALWARE_SCANNER": "clamd"})
    found = load(ImageSettings, {"MALWARE_SCANNER": "clamd", "CLAMD_HOST": "scanner"})
    assert (found.clamd_host, found.clamd_port) == ("scanner", 3310)


def test_other_variables_of_the_environment_do_not_matter():
    assert load(AppSettings, GOOD | {"PATH": "/bin", "DATABASE_URLS": "x"}).is_local
