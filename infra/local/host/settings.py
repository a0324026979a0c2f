import hashlib
import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

GRACE_SECONDS = 8.0
"""How long running requests and triggers may take to finish after the host is asked to stop."""

REPLACE_ME = 75
"""The exit code of a process that must be replaced because a function in it took longer than functionTimeout."""

DEVELOPMENT_STORAGE = (
    "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;"
    "AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==;"
    "BlobEndpoint=http://127.0.0.1:10000/devstoreaccount1;QueueEndpoint=http://127.0.0.1:10001/devstoreaccount1;"
    "TableEndpoint=http://127.0.0.1:10002/devstoreaccount1;"
)


class BadConfiguration(Exception):
    """host.json, local.settings.json or a setting is not valid."""


@dataclass(frozen=True)
class QueueOptions:
    """`extensions.queues` of host.json, times in seconds."""

    batch_size: int = 16
    new_batch_threshold: int = 8
    max_dequeue_count: int = 5
    visibility_timeout: float = 0.0
    max_polling_interval: float = 2.0
    base64: bool = True


@dataclass(frozen=True)
class BlobOptions:
    """`extensions.blobs` of host.json, and how often containers are scanned (`FUNCTIONS_BLOB_POLL_SECONDS`)."""

    parallelism: int = 8
    max_tries: int = 5
    poll_seconds: float = 0.5


@dataclass(frozen=True)
class HostConfig:
    """What the app directory and the environment say about how to run the app."""

    app_dir: Path
    host_id: str
    route_prefix: str = "api"
    function_timeout: float | None = 1800.0
    body_limit: int = 104_857_600
    queues: QueueOptions = field(default_factory=QueueOptions)
    blobs: BlobOptions = field(default_factory=BlobOptions)

    @property
    def keys_file(self) -> Path:
        """Where the function keys are kept: `FUNCTIONS_KEYS_FILE`, else `.local/functions-keys.json` in the app."""
        return self.app_dir / os.environ.get("FUNCTIONS_KEYS_FILE", ".local/functions-keys.json")


def seconds(text: str) -> float:
    """Return the seconds of a .NET time span: `hh:mm:ss`, `d.hh:mm:ss`, with or without fractions."""
    match = re.fullmatch(r"(?:(\d+)\.)?(\d+):(\d+):(\d+(?:\.\d+)?)", text.strip())
    if match is None:
        raise BadConfiguration(f"not a time span like 00:05:00: {text!r}")
    days, hours, minutes, rest = match.groups()
    return int(days or 0) * 86_400 + int(hours) * 3600 + int(minutes) * 60 + float(rest)


def apply_local_settings(app_dir: Path) -> None:
    """Put the `Values` of local.settings.json into the environment; variables that are set already stay."""
    values = _read_json(app_dir / "local.settings.json").get("Values", {})
    for name, value in values.items():
        os.environ.setdefault(name, value if isinstance(value, str) else json.dumps(value))


def read_config(app_dir: Path) -> HostConfig:
    """Read host.json and the settings that concern the host.

    Raises BadConfiguration with the file and the place in it.
    """
    host = _read_json(app_dir / "host.json")
    extensions = host.get("extensions", {})
    timeout = str(host.get("functionTimeout", "00:30:00"))
    own_id = hashlib.sha256(str(app_dir).encode()).hexdigest()[:16]
    return HostConfig(
        app_dir=app_dir,
        host_id=os.environ.get("AzureFunctionsWebHost__hostid") or host.get("id") or own_id,  # noqa: SIM112 - Azure's name
        route_prefix=extensions.get("http", {}).get("routePrefix", "api").strip("/"),
        function_timeout=None if timeout == "-1" else seconds(timeout),
        body_limit=int(os.environ.get("FUNCTIONS_REQUEST_BODY_SIZE_LIMIT", "104857600")),
        queues=_queue_options(extensions.get("queues", {})),
        blobs=_blob_options(extensions.get("blobs", {})),
    )


def _queue_options(options: dict[str, Any]) -> QueueOptions:
    default = QueueOptions()
    batch_size = min(32, int(options.get("batchSize", default.batch_size)))
    return QueueOptions(
        batch_size=batch_size,
        new_batch_threshold=int(options.get("newBatchThreshold", batch_size // 2)),
        max_dequeue_count=int(options.get("maxDequeueCount", default.max_dequeue_count)),
        visibility_timeout=seconds(options.get("visibilityTimeout", "00:00:00")),
        max_polling_interval=seconds(options.get("maxPollingInterval", "00:00:02")),
        base64=str(options.get("messageEncoding", "base64")).lower() == "base64",
    )


def _blob_options(options: dict[str, Any]) -> BlobOptions:
    default = BlobOptions()
    return BlobOptions(
        parallelism=int(options.get("maxDegreeOfParallelism", default.parallelism)),
        max_tries=int(options.get("poisonBlobThreshold", default.max_tries)),
        poll_seconds=float(os.environ.get("FUNCTIONS_BLOB_POLL_SECONDS", default.poll_seconds)),
    )


def connection_string(connection: str) -> str | None:
    """Return the storage connection string that a binding's `connection` names, or None if it is not set.

    As in Azure, `AzureWebJobs<name>` comes before `<name>`.
    """
    name = connection or "AzureWebJobsStorage"
    text = os.environ.get(f"AzureWebJobs{name}") or os.environ.get(name)
    if text and text.replace(" ", "").rstrip(";").lower() == "usedevelopmentstorage=true":
        return DEVELOPMENT_STORAGE  # the Python SDK does not know the short form
    return text or None


def is_disabled(function_name: str) -> bool:
    """Tell whether the setting `AzureWebJobs.<function>.Disabled` (or with underscores) turns the function off."""
    names = (f"AzureWebJobs.{function_name}.Disabled", f"AzureWebJobs_{function_name}_Disabled")
    return any(os.environ.get(name, "").lower() in {"1", "true"} for name in names)


def _read_json(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        content = json.loads(path.read_text("utf-8-sig"))
    except ValueError as error:
        raise BadConfiguration(f"{path} is not valid JSON: {error}") from error
    if not isinstance(content, dict):
        raise BadConfiguration(f"{path} must hold a JSON object")
    return content
