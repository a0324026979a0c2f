from typing import ClassVar

from pydantic import Field

from shared.kit.settings.group import Group, read


class MailSettings(Group):
    """The server that takes e-mails."""

    heading: ClassVar[str] = "Mail server"
    can_do_without: ClassVar[frozenset[str]] = frozenset({"mail_url"})

    mail_url: str | None = Field(
        None,
        pattern=r"^smtps?://",
        repr=False,
        exclude=True,
        description="SMTP server: `smtp://user:password@host:587` (STARTTLS where offered) or `smtps://…:465`. "
        "Without it e-mails wait in the queue's poison list.",
        examples=["smtp://127.0.0.1:1025"],
    )


def mail_settings() -> MailSettings:
    """Return the process's settings of this group."""
    return read(MailSettings)
