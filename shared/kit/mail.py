"""E-mail by SMTP."""

import smtplib
import ssl
from email.message import EmailMessage
from urllib.parse import unquote, urlsplit

from shared.kit.settings import Settings

_TIMEOUT_SECONDS = 15


class MailNotConfigured(RuntimeError):
    """MAIL_URL is missing, so no e-mail can be sent."""


def send_mail(message: EmailMessage, config: Settings) -> None:
    """Hand the message to the server of `MAIL_URL`; returns once the server has taken it over."""
    if config.mail_url is None:
        raise MailNotConfigured("Set MAIL_URL to send e-mails.")
    url = urlsplit(config.mail_url)
    host, context = url.hostname or "localhost", ssl.create_default_context()
    server: smtplib.SMTP
    if url.scheme == "smtps":
        server = smtplib.SMTP_SSL(host, url.port or 465, timeout=_TIMEOUT_SECONDS, context=context)
    else:
        server = smtplib.SMTP(host, url.port or 25, timeout=_TIMEOUT_SECONDS)
    with server:
        if url.scheme == "smtp":
            server.ehlo()
            if server.has_extn("starttls"):
                server.starttls(context=context)
                server.ehlo()
        if url.username:
            server.login(unquote(url.username), unquote(url.password or ""))
        server.send_message(message)
