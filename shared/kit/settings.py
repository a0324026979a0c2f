"""Every setting of the app, read once from the environment, typed and checked.

A missing or bad one stops the start with its name and what is expected. The descriptions here are what
`docs/settings.md` and `local.settings.example.json` say; a test holds them together.
"""

import base64
import binascii
import logging
import os
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PrivateAttr, ValidationError, model_validator

log = logging.getLogger(__name__)

_REFERENCE = "@Microsoft.KeyVault("


class SettingsError(RuntimeError):
    """A setting is missing or bad; the message names each one and what is expected."""


def _key_of_32_bytes(text: str) -> str:
    try:
        size = len(base64.b64decode(text, validate=True))
    except binascii.Error:
        size = 0
    if size != 32:
        raise ValueError("must be 32 bytes in base64; make one with: openssl rand -base64 32")
    return text


def _public_keys(text: str) -> str:
    keys = [_key_of_32_bytes(key) for key in _split(text)]
    if len(keys) > 16:
        raise ValueError("must be 16 keys at most")
    return text


def _split(text: str) -> list[str]:
    return [part for part in text.replace(" ", "").split(",") if part]


def _six_fields(text: str) -> str:
    if len(text.split()) != 6:
        raise ValueError("must have six fields (second minute hour day month weekday), such as 0 */5 * * * *")
    return text


def _http_url(text: str) -> str:
    if not text.startswith(("http://", "https://")):
        raise ValueError("must be an http or https address")
    return text.rstrip("/")


def _threads() -> int:
    """The size of the worker's thread pool, by the worker's own rule: the pool of connections is as large."""
    configured = os.environ.get("PYTHON_THREADPOOL_THREAD_COUNT", "")
    return int(configured) if configured.isdigit() else min(32, (os.cpu_count() or 1) + 4)


def _rate_limit(text: str) -> str:
    if not re.fullmatch(r"[1-9]\d{0,5} ?/ ?([1-9]\d{0,3} )?(second|minute|hour|day)s?", text):
        raise ValueError("must read like 30/minute or 5/10 seconds")
    return text


type Key = Annotated[str, AfterValidator(_key_of_32_bytes)]
type PublicKeys = Annotated[str, AfterValidator(_public_keys)]
type RateLimitText = Annotated[str, AfterValidator(_rate_limit)]
type Schedule = Annotated[str, AfterValidator(_six_fields)]
type Url = Annotated[str, AfterValidator(_http_url)]


class Settings(BaseModel):
    """What the app needs to know of its surroundings. Field names in capitals are the environment's names."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    _unresolved_references: tuple[str, ...] = PrivateAttr(())

    environment: Literal["local", "production"] = Field(
        "production", description="`local` allows the test payment provider; it is refused on Azure."
    )
    public_url: Url = Field(
        description="Where buyers reach the app, for links in e-mails.", examples=["http://localhost:7071"]
    )

    database_url: str = Field(
        repr=False,
        exclude=True,
        pattern=r"^postgres(ql)?://",
        description="PostgreSQL 15 or later: `postgresql://user:password@host:5432/boxoffice`.",
        examples=["postgresql://postgres@127.0.0.1:5432/boxoffice"],
    )
    database_pool_size: int = Field(
        default_factory=_threads,
        ge=1,
        le=100,
        description="Connections a worker process may hold; by default as many as it has threads. "
        "Instances × workers × this must fit the server's `max_connections`.",
        examples=["6"],
    )
    database_pool_timeout_seconds: float = Field(
        10, gt=0, le=60, description="How long a request waits for a connection before it answers 503."
    )
    database_connect_timeout_seconds: int = Field(5, ge=1, le=60, description="How long connecting may take.")
    database_statement_timeout_ms: int = Field(
        15_000, ge=100, le=600_000, description="The server ends a statement that runs longer."
    )
    database_lock_timeout_ms: int = Field(
        5_000, ge=100, le=600_000, description="The server ends a statement that waits longer for a lock."
    )
    database_prepared_statements: bool = Field(
        default=True,
        description="Set to `false` behind a PgBouncer in transaction mode that does not track prepared statements.",
    )

    redis_url: str | None = Field(
        None,
        repr=False,
        exclude=True,
        pattern=r"^(rediss?|unix)://",
        description="The cache. Without it, or while it is down, everything works from the database, slower.",
        examples=["redis://127.0.0.1:6379/0"],
    )
    redis_timeout_ms: int = Field(
        100, ge=10, le=5_000, description="The longest that a call to Redis may hold up a request."
    )

    rate_limits: Literal["production", "generous", "off"] = Field(
        "production",
        description="`generous` allows a hundred times as much, for development; `off` counts nothing.",
        examples=["generous"],
    )
    rate_limit_user_requests: RateLimitText = Field("100/minute", description="Requests of one signed-in user.")
    rate_limit_event_writes: RateLimitText = Field(
        "1000/minute", description="Changes of one event by its whole team; sales at the box office do not count."
    )
    rate_limit_promo_previews: RateLimitText = Field(
        "30/minute", description="Previews of promo codes, per address and event."
    )
    rate_limit_promo_guesses: RateLimitText = Field(
        "10/minute", description="Unknown promo codes in orders, per address and event."
    )
    rate_limit_order_links: RateLimitText = Field(
        "60/minute",
        description="Wrong links of orders (`X-Order-Token`), per address; a right one may always be paid with.",
    )
    rate_limit_uploads: RateLimitText = Field("60/minute", description="Uploads of images, per event.")
    rate_limit_reports: RateLimitText = Field("20/minute", description="Sales reports made by hand, per event.")
    rate_limit_orders: RateLimitText | None = Field(
        None,
        description="Orders of one address for one event. Without it they are not limited, for many buyers may share "
        "an address; set it while somebody orders without ever paying.",
        examples=["600/minute"],
    )
    trusted_proxy_hops: int = Field(
        1,
        ge=0,
        le=5,
        description="How many proxies of your own append to `X-Forwarded-For`: 1 on Azure Functions, 2 behind Front "
        "Door. Rate limits take the client's address from there; with 0 all clients count as one.",
    )

    storage_connection: str | None = Field(
        None,
        repr=False,
        exclude=True,
        alias="AzureWebJobsStorage",
        description="Connection string of the storage account (images, reports, queues, tables).",
        examples=["UseDevelopmentStorage=true"],
    )
    storage_account: str | None = Field(
        None,
        alias="AzureWebJobsStorage__accountName",
        description="On Azure instead of the connection string: the account's name; access is by managed identity.",
    )

    oidc_issuer: Url = Field(
        description="The OpenID Connect issuer whose bearer tokens are accepted; its keys are found by discovery.",
        examples=["http://127.0.0.1:8090"],
    )
    oidc_audience: str = Field("boxoffice", min_length=1, description="The `aud` that a token must carry.")
    oidc_algorithms: str = Field("RS256,ES256", description="The signature algorithms accepted, asymmetric ones only.")
    oidc_super_admin_claim: str | None = Field(
        None,
        pattern=r"^[^=]+=[^=]+$",
        description="`claim=value` that makes a user super admin; without it, only the database does.",
        examples=["roles=super_admin"],
    )

    ticket_signing_key: Key = Field(
        description="Ed25519 seed that signs ticket codes: 32 bytes in base64.",
        repr=False,
        exclude=True,
        examples=["<openssl rand -base64 32>"],
    )
    ticket_verifying_keys: PublicKeys = Field(
        "",
        description="Ed25519 public keys that ticket codes are checked with beside the signing key's own, separated by "
        "commas: earlier ones, and the next one before it signs. `python -m shared.domain.tickets` makes keys.",
        examples=[""],
    )
    order_link_key: Key = Field(
        description="Key from which the secret links of orders are made, and by which guests are counted: 32 bytes in "
        "base64.",
        repr=False,
        exclude=True,
        examples=["<openssl rand -base64 32>"],
    )

    stripe_secret_key: str | None = Field(
        None,
        pattern=r"^(sk|rk)_",
        repr=False,
        exclude=True,
        description="Stripe's secret key; with it buyers pay online by Stripe. A test key (`sk_test_…`) works as well.",
        examples=["sk_test_..."],
    )
    stripe_publishable_key: str | None = Field(
        None, pattern=r"^pk_", description="Stripe's key for browsers.", examples=["pk_test_..."]
    )
    stripe_webhook_secret: str | None = Field(
        None,
        pattern=r"^whsec_",
        repr=False,
        exclude=True,
        description="What Stripe signs its messages with; required with the secret key.",
        examples=["whsec_..."],
    )
    stripe_api_url: Url = Field("https://api.stripe.com", description="Where Stripe is asked; another one for tests.")
    stripe_timeout_seconds: float = Field(
        10, gt=0, le=60, description="How long an answer of Stripe's is waited for; then buyers are told to try again."
    )

    mail_url: str | None = Field(
        None,
        pattern=r"^smtps?://",
        repr=False,
        exclude=True,
        description="SMTP server: `smtp://user:password@host:587` (STARTTLS where offered) or `smtps://…:465`. "
        "Without it e-mails wait in the queue's poison list.",
        examples=["smtp://127.0.0.1:1025"],
    )
    mail_from: str = Field("Boxoffice <tickets@localhost>", description="Sender of all e-mails.")

    log_format: Literal["json", "text"] = Field(
        "json",
        description="`json` writes one object a line, in which errors tell where they happened and nothing personal; "
        "`text` is for reading along, and on a developer's machine errors tell all.",
        examples=["text"],
    )
    access_log: bool = Field(
        default=True, description="Whether each request is logged: function, route, status and time, no query."
    )
    applicationinsights_connection_string: str | None = Field(
        None,
        pattern=r"^InstrumentationKey=",
        repr=False,
        exclude=True,
        description="Application Insights; with it traces go to Azure Monitor by OpenTelemetry. Set "
        "`PYTHON_ENABLE_OPENTELEMETRY=true` as well, so that they continue those of the Functions host.",
        examples=[""],
    )
    metrics_key: str | None = Field(
        None,
        min_length=16,
        repr=False,
        exclude=True,
        description="What Prometheus must send as `Authorization: Bearer …`. Required in production.",
        examples=["<openssl rand -hex 16>"],
    )
    outbox_schedule: Schedule = Field(
        "15 * * * * *",
        alias="OUTBOX_SCHEDULE",
        description="When e-mails and refunds go on that could not be sent right after their order; all others do not "
        "wait for it.",
    )
    release_schedule: Schedule = Field(
        "30 * * * * *",
        alias="RELEASE_SCHEDULE",
        description="When expired orders give their tickets back; whoever wants these sooner gets them anyway.",
    )
    uploads_schedule: Schedule = Field(
        "45 */5 * * * *",
        alias="UPLOADS_SCHEDULE",
        description="When images are looked at again that wait for the malware scanner, or whose event was lost. With "
        "Defender `*/10 * * * * *` shows them sooner.",
    )
    order_search_schedule: Schedule = Field(
        "50 * * * * *",
        alias="ORDER_SEARCH_SCHEDULE",
        description="When new orders' words are learnt, so that misspelt searches find them; others find them at once.",
    )
    sales_refresh_schedule: Schedule = Field(
        "0 * * * * *",
        alias="SALES_REFRESH_SCHEDULE",
        description="When summaries are refreshed, due reports written and outdated ones removed.",
    )
    sales_export_minutes: int = Field(
        15,
        ge=0,
        le=10_080,
        description="Events without report schedules get a sales report after new sales, at most this often.",
    )
    report_keep_days: int = Field(
        90,
        ge=1,
        le=3_650,
        description="How long report files are kept that no schedule asked for; schedules say it themselves.",
    )
    audit_archive_schedule: Schedule = Field(
        "0 30 3 * * *",
        alias="AUDIT_ARCHIVE_SCHEDULE",
        description="When closed months of audit trails are archived, and proven ones of more than seven years ago "
        "pruned.",
    )
    reconcile_schedule: Schedule = Field(
        "0 23 * * * *",
        alias="RECONCILE_SCHEDULE",
        description="When orders, stock, books and payments are checked against each other.",
    )
    personal_data_days: int = Field(
        0,
        ge=0,
        le=36_500,
        description="So many days after an event's end the personal data of its orders is erased by itself; 0 keeps "
        "it. Leave time for refunds and disputes: 120 or more.",
    )
    provider_message_days: int = Field(
        90, ge=0, le=36_500, description="So many days the payment provider's messages are kept; 0 keeps them."
    )
    outbox_days: int = Field(
        90, ge=0, le=36_500, description="So many days it is kept that a message was delivered; 0 keeps it."
    )
    retention_schedule: Schedule = Field(
        "0 47 * * * *",
        alias="RETENTION_SCHEDULE",
        description="When what is older than the days above goes.",
    )
    blob_trigger_source: Literal["EventGrid", "LogsAndContainerScan"] = Field(
        "EventGrid",
        alias="BLOB_TRIGGER_SOURCE",
        description="`EventGrid` on Azure (Flex Consumption knows no other); `LogsAndContainerScan` locally.",
    )

    malware_scanner: Literal["none", "defender", "clamd"] = Field(
        "none",
        description="Who scans uploaded images for malware: `defender` (Defender for Storage, by its blob index tags), "
        "`clamd` (a ClamAV daemon), or `none`. With a scanner nothing is shown before it has found it clean.",
    )
    clamd_host: str | None = Field(
        None,
        min_length=1,
        description="Where clamd listens, for `MALWARE_SCANNER=clamd`; in a private network, for it has no sign-in.",
        examples=["127.0.0.1"],
    )
    clamd_port: int = Field(3310, ge=1, le=65_535, description="The TCP port of clamd.")

    @model_validator(mode="after")
    def _scanner_is_reachable(self) -> Self:
        if self.malware_scanner == "clamd" and not self.clamd_host:
            raise ValueError("CLAMD_HOST is missing: MALWARE_SCANNER=clamd needs it")
        return self

    @model_validator(mode="after")
    def _safe_in_production(self) -> Self:
        if not (self.storage_connection or self.storage_account):
            raise ValueError(
                "AzureWebJobsStorage (or AzureWebJobsStorage__accountName) is missing: the storage account"
            )
        if self.environment == "local" and "WEBSITE_INSTANCE_ID" in os.environ:
            raise ValueError("ENVIRONMENT=local is refused on Azure: it would let anybody pay with the test provider")
        if self.stripe_secret_key and not self.stripe_webhook_secret:
            raise ValueError("STRIPE_WEBHOOK_SECRET is missing: without it payments would not be heard of")
        if self.environment == "production" and not self.metrics_key:
            raise ValueError("METRICS_KEY is missing: in production the metrics are not public")
        return self

    @property
    def unresolved_references(self) -> tuple[str, ...]:
        """The names of settings that the app runs without, for their Key Vault references were not resolved."""
        return self._unresolved_references

    @property
    def other_ticket_keys(self) -> list[str]:
        """The public keys of `ticket_verifying_keys`, in base64."""
        return _split(self.ticket_verifying_keys)

    @property
    def is_local(self) -> bool:
        """Whether this is a developer's machine, where the test payment provider works."""
        return self.environment == "local"


# What the app can do without: no cache, no mails for now, no payments online, no traces. All else stops the start.
_CAN_DO_WITHOUT = frozenset(
    {"redis_url", "mail_url", "stripe_secret_key", "stripe_publishable_key", "applicationinsights_connection_string"}
)
_NOT_RESOLVED = (
    "is a Key Vault reference that was not resolved. May the app's identity read the secret, and is the address right?"
)


def is_secret(field: str) -> bool:
    """Whether a field of `Settings` is never shown; it belongs in a vault."""
    return not Settings.model_fields[field].repr


def variable_name(field: str) -> str:
    """Return the environment variable of a field of `Settings`."""
    return Settings.model_fields[field].alias or field.upper()


def load_settings(environment: Mapping[str, str]) -> Settings:
    """Read the settings from `environment`; raises `SettingsError` that names every missing or bad one."""
    given: dict[str, str] = {}
    unresolved: list[str] = []
    for field, info in Settings.model_fields.items():
        value = environment.get(variable_name(field))
        # Azure passes a reference on as it stands where it can't resolve it: no secret, and nothing to work with.
        if value and value.strip().startswith(_REFERENCE):
            unresolved.append(field)
        elif value:
            given[info.alias or field] = value
    try:
        if not _CAN_DO_WITHOUT.issuperset(unresolved):
            raise SettingsError(_list([f"{variable_name(field)}: {_NOT_RESOLVED}" for field in unresolved]))
        found = Settings.model_validate(given)
    except ValidationError as error:
        raise SettingsError(_explain(error)) from None
    found._unresolved_references = tuple(map(variable_name, unresolved))  # noqa: SLF001 - no setting of its own
    return found


def _explain(error: ValidationError) -> str:
    lines = []
    for fault in error.errors(include_url=False, include_input=False):
        told = str(fault["loc"][0]) if fault["loc"] else ""
        field = next((field for field, info in Settings.model_fields.items() if told in {field, info.alias}), None)
        info = Settings.model_fields[field] if field else None
        name = variable_name(field) if field else told
        problem = "is missing" if fault["type"] == "missing" else fault["msg"].removeprefix("Value error, ")
        expected = f" Expected: {info.description}" if info and info.description else ""
        lines.append(f"{name}: {problem}.{expected}" if name else problem)
    return _list(lines)


def _list(faults: list[str]) -> str:
    return "Boxoffice can't start; these settings need attention:\n  " + "\n  ".join(faults)


@lru_cache(maxsize=1)
def settings() -> Settings:
    """Return the process's settings, read at the first call; says which of them are wanting."""
    found = load_settings(os.environ)
    for name in found.unresolved_references:
        log.error("%s %s The app runs without it.", name, _NOT_RESOLVED)
    return found
