"""E-mail by SMTP."""

import smtplib
import ssl
from contextlib import suppress
from email.message import EmailMessage
from functools import lru_cache
from typing import Self
from urllib.parse import unquote, urlsplit

from shared.kit.settings.mail import MailSettings

_TIMEOUT_SECONDS = 15


class MailNotConfigured(RuntimeError):
    """MAIL_URL is missing, so no e-mail can be sent."""


class Mailer:
    """A connection to the server of `MAIL_URL`, opened for the first message and used for the next ones too."""

    def __init__(self, config: MailSettings) -> None:
        """Nothing is opened until a message is sent."""
        self._url = config.mail_url
        self._server: smtplib.SMTP | None = None

    def send(self, message: EmailMessage) -> None:
        """Hand the message to the server; returns once the server has accepted it, else raises."""
        if self._server is not None and not self._is_alive():
            self.close()
        if self._server is None:
            self._server = self._connect()
        try:
            self._server.send_message(message)
        except Exception:
            self.close()  # the connection may be in any state, so the next message opens a new one
            raise

    def close(self) -> None:
        """Close the connection, if it is still open."""
        if self._server is not None:
            with suppress(smtplib.SMTPException, OSError):
                self._server.quit()
            self._server = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _is_alive(self) -> bool:
        assert self._server is not None
        try:
            return self._server.noop()[0] == 250
        except (smtplib.SMTPException, OSError):
            return False

    def _connect(self) -> smtplib.SMTP:
        if self._url is None:
            raise MailNotConfigured("Set MAIL_URL to send e-mails.")
        url = urlsplit(self._url)
        host = url.hostname or "localhost"
        server: smtplib.SMTP
        if url.scheme == "smtps":
            server = smtplib.SMTP_SSL(host, url.port or 465, timeout=_TIMEOUT_SECONDS, context=_tls())
        else:
            server = smtplib.SMTP(host, url.port or 25, timeout=_TIMEOUT_SECONDS)
            server.ehlo()
            if server.has_extn("starttls"):
                server.starttls(context=_tls())
                server.ehlo()
        if url.username:
            server.login(unquote(url.username), unquote(url.password or ""))
        return server


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    """Return the TLS context, made once a process: reading the certificate authorities takes longer than sending."""
    return ssl.create_default_context()
