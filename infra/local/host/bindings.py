import json
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from infra.local.host.expressions import Names, expand
from infra.local.host.functions import Function, FunctionFailed
from infra.local.host.protocol import ParameterBinding, TypedData
from infra.local.host.settings import BadConfiguration
from infra.local.host.storage import NotThere, Storage


class Bindings:
    """Reads the blob inputs of functions, and writes their blob and queue outputs."""

    def __init__(self, storage: Storage, *, base64: bool) -> None:
        self._storage = storage
        self._base64 = base64

    async def read_inputs(self, function: Function, names: Names) -> list[ParameterBinding]:
        """Return the inputs besides the trigger; a blob that does not exist is None.

        Raises StorageError when storage fails, FunctionFailed when a binding cannot be resolved.
        """
        inputs: list[ParameterBinding] = []
        for binding in function.inputs:
            if binding["type"] != "blob":
                raise FunctionFailed(f"input bindings of type {binding['type']} are not supported here")
            container, name = _blob_path(binding, names)
            try:
                data = await self.blob(function, binding, container, name)
            except NotThere:
                data = TypedData()
            inputs.append(ParameterBinding(name=binding["name"], data=data))
        return inputs

    async def blob(self, function: Function, binding: Mapping[str, Any], container: str, name: str) -> TypedData:
        """Return a blob in the form that the parameter needs: bytes, text, or (for SDK types) only its address.

        Raises NotThere when there is none.
        """
        connection = str(binding.get("connection", ""))
        if str(binding.get("properties", {}).get("supportsDeferredBinding", "")).lower() == "true":
            address = {"Connection": connection, "ContainerName": container, "BlobName": name}
            return TypedData(
                model_binding_data=SimpleNamespace(
                    version="1.0",
                    source="AzureStorageBlobs",
                    content_type="application/json",
                    content=json.dumps(address),
                )
            )
        content = await self._storage.download(connection, container, name)
        wants_text = binding["name"] in function.text_inputs or str(binding.get("dataType", "")).lower() == "string"
        return TypedData(string=content.decode("utf-8", "replace")) if wants_text else TypedData(bytes=content)

    async def write_outputs(self, function: Function, response: Any, names: Names) -> None:
        """Write what the function put into its outputs or returned.

        Raises StorageError when storage fails, FunctionFailed when a binding cannot be resolved.
        """
        values = [(function.outputs[output.name], output.data) for output in response.output_data]
        returned = function.outputs.get("$return")
        if returned is not None and response.return_value is not None:
            values.append((returned, response.return_value))
        for binding, value in values:
            kind = value.WhichOneof("data")
            if binding["type"] != "http" and kind is not None:
                await self._write(binding, kind, getattr(value, kind), names)

    async def _write(self, binding: Mapping[str, Any], kind: str, value: Any, names: Names) -> None:
        connection = str(binding.get("connection", ""))
        if binding["type"] == "blob":
            container, name = _blob_path(binding, names)
            await self._storage.upload(connection, container, name, value if kind == "bytes" else str(value))
        elif binding["type"] == "queue":
            queue = _expanded(str(binding["queueName"]), names)
            for message in _messages(kind, value):
                await self._storage.send(connection, queue, message, encode=self._base64)
        else:
            raise FunctionFailed(f"output bindings of type {binding['type']} are not supported here")


def _blob_path(binding: Mapping[str, Any], names: Names) -> tuple[str, str]:
    container, _, name = _expanded(str(binding["path"]), names).strip("/").partition("/")
    return container, name


def _expanded(text: str, names: Names) -> str:
    try:
        return expand(text, names)
    except BadConfiguration as error:
        raise FunctionFailed(str(error)) from error


def _messages(kind: str, value: Any) -> list[str | bytes]:
    """Return the bodies of one or several messages; the runtime wraps QueueMessage as `{"id", "body"}`."""
    if kind != "json":
        return [value if isinstance(value, bytes) else str(value)]
    content = json.loads(value)
    items = content if isinstance(content, list) else [content]
    bodies = [item["body"] if isinstance(item, dict) and item.keys() == {"id", "body"} else item for item in items]
    return [body if isinstance(body, str) else json.dumps(body) for body in bodies]
