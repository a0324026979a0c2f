import asyncio
import email
import email.policy
import re
import threading
from datetime import UTC, datetime
from pathlib import Path

from aiosmtpd.smtp import SMTP, Envelope, Session

REFUSED_DOMAIN = "@bounce.test"


class SmtpSink:
    """A mail server on 127.0.0.1 that delivers nothing: each mail becomes an .eml file; bounce.test is refused."""

    name = "mail"

    def __init__(self, folder: Path, *, port: int = 0) -> None:
        self.folder = folder
        self.port = port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="smtp-sink", daemon=True)
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        """The address for MAIL_URL."""
        return f"smtp://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Listen; a port of 0 becomes a free one."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(timeout=10)
        self.port = self._server.sockets[0].getsockname()[1]

    def stop(self) -> None:
        """Stop listening."""
        if self._server is None:
            return
        asyncio.run_coroutine_threadsafe(self._close(self._server), self._loop).result(timeout=5)
        self._server = None
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=5)
        self._loop.close()

    async def _listen(self) -> asyncio.Server:
        return await self._loop.create_server(self._protocol, "127.0.0.1", self.port)

    async def _close(self, server: asyncio.Server) -> None:
        server.close()
        server.close_clients()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def _protocol(self) -> SMTP:
        return SMTP(_FolderHandler(self.folder), hostname="localhost", enable_SMTPUTF8=True, loop=self._loop)


class _FolderHandler:
    """Writes each accepted mail to the folder; the names of its methods are aiosmtpd's."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def handle_RCPT(  # noqa: N802 -- aiosmtpd looks for this name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Refuse addresses at bounce.test, so that one can try what happens to a mail that cannot be delivered."""
        del server, session, options
        if address.lower().endswith(REFUSED_DOMAIN):
            return "550 5.1.1 mailbox unavailable"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Write the mail; the file appears whole or not at all."""
        del server, session
        content = envelope.content or b""
        raw = content.encode() if isinstance(content, str) else content
        message = email.message_from_bytes(raw, policy=email.policy.default)
        slug = re.sub(r"[^A-Za-z0-9]+", "-", str(message.get("Message-ID", "without-id"))).strip("-")[:80]
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
        path = self._folder / f"{stamp}-{slug}.eml"
        unfinished = path.with_suffix(".part")
        header = f"X-Envelope-To: {', '.join(envelope.rcpt_tos)}\r\n".encode()
        unfinished.write_bytes(header + raw)
        unfinished.rename(path)
        return "250 OK"
