from typing import ClassVar, Self

from pydantic import Field, model_validator

from shared.kit.settings.group import Group, read


class StorageSettings(Group):
    """The storage account."""

    heading: ClassVar[str] = "Storage"

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

    @model_validator(mode="after")
    def _is_named(self) -> Self:
        if not (self.storage_connection or self.storage_account):
            raise ValueError(
                "AzureWebJobsStorage (or AzureWebJobsStorage__accountName) is missing: the storage account"
            )
        return self


def storage_settings() -> StorageSettings:
    """Return the process's settings of this group."""
    return read(StorageSettings)
