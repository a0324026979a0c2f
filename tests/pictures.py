"""Pictures for tests, and their state after the upload."""

import io
from typing import Any

import httpx
from azure.storage.blob import BlobServiceClient
from PIL import Image

from tests.factories import Evening


def photo(width: int = 2000, height: int = 1500, kind: str = "JPEG", **options: Any) -> bytes:
    out = io.BytesIO()
    Image.linear_gradient("L").resize((width, height)).convert("RGB").save(out, kind, **options)
    return out.getvalue()


def upload(evening: Evening, package: dict[str, Any], data: bytes, name: str = "stage.jpg") -> httpx.Response:
    path = f"{evening.packages}/{package['id']}/image"
    return evening.client.post(path, files={"image": (name, data, "image/jpeg")}, headers=evening.headers)


def upload_state(evening: Evening, package: dict[str, Any], upload_id: str) -> dict[str, Any]:
    """The present state of the upload."""
    path = f"{evening.packages}/{package['id']}/image/uploads/{upload_id}"
    answer = evening.client.get(path, headers=evening.headers)
    assert answer.status_code == 200, answer.text
    state: dict[str, Any] = answer.json()
    return state


def outcome(evening: Evening, package: dict[str, Any], upload_id: str, poll: Any) -> dict[str, Any]:
    """The final state of the upload, once it has ended."""

    def finished() -> Any:
        state = upload_state(evening, package, upload_id)
        return state if state["status"] in {"valid", "refused"} else None

    ended: dict[str, Any] = poll(finished)
    return ended


def checked(evening: Evening, package: dict[str, Any], data: bytes, poll: Any, name: str = "a.jpg") -> dict[str, Any]:
    answer = upload(evening, package, data, name)
    assert answer.status_code == 202, answer.text
    assert (answer.json()["status"], answer.json()["reason"]) == ("received", None)
    return outcome(evening, package, answer.json()["upload_id"], poll)


def blobs(storage: str, container: str, package: dict[str, Any]) -> list[str]:
    with BlobServiceClient.from_connection_string(storage) as service:
        client = service.get_container_client(container)
        found = client.list_blobs() if client.exists() else []
        return [blob.name for blob in found if package["id"] in blob.name]
