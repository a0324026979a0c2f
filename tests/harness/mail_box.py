import email
import email.policy
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path

from tests.harness.polling import poll


class MailBox:
    """The mails that this worker's application has sent."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._read: dict[Path, EmailMessage] = {}

    def messages(self) -> list[EmailMessage]:
        """All mails so far, the oldest first; X-Envelope-To holds the recipients of the SMTP envelope."""
        paths = sorted(self.folder.glob("*.eml"))
        for path in paths:
            if path not in self._read:  # there are hundreds, so read each once
                message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
                assert isinstance(message, EmailMessage)
                self._read[path] = message
        return [self._read[path] for path in paths]

    def wait_for(self, wanted: Callable[[EmailMessage], bool]) -> EmailMessage:
        """The first mail that `wanted` accepts, as soon as it is there."""

        def arrived() -> EmailMessage | None:
            return next((message for message in self.messages() if wanted(message)), None)

        found = poll(arrived)
        assert found is not None
        return found

    def clear(self) -> None:
        """Forget all mails so far."""
        for path in self.folder.glob("*.eml"):
            path.unlink(missing_ok=True)
