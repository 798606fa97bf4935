"""What a ping looks like in each kind of channel: a mail, a webhook's JSON, ntfy, Slack.

Pure: a Letter in, text and headers out.
"""

import base64
import binascii
import hashlib
import hmac
import uuid
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit, urlunsplit

import orjson

from sessions.models.attention import Severity

TITLE = 120
# ntfy turns a longer message into an attachment.
NTFY_BYTES = 3500
SLACK_TEXT = 3000
NTFY_PRIORITY = {Severity.URGENT: 5, Severity.HIGH: 4, Severity.NORMAL: 3, Severity.LOW: 2}
NTFY_TAGS = {Severity.URGENT: ["rotating_light"], Severity.HIGH: ["warning"]}
# Standard Webhooks: the secret's own form, whose rest is base64.
SECRET_PREFIX = "whsec_"  # noqa: S105  (a prefix)


@dataclass(frozen=True, slots=True)
class Letter:
    """One ping on its way to one channel, with all that its shape needs."""

    delivery_id: uuid.UUID
    attempt: int
    kind: str
    target: str
    secret: str
    workspace: str
    agent: str
    ping_id: uuid.UUID
    message: str
    severity: str
    options: list[str]
    session_id: uuid.UUID | None
    conversation_id: str
    created_at: datetime
    expires_at: datetime | None
    link: str

    @property
    def title(self) -> str:
        """One line: who asks, and how it begins."""
        who = self.agent or self.workspace
        first = " ".join("".join(c if c.isprintable() else " " for c in self.message).split())
        text = f"{who}: {first}"
        return text if len(text) <= TITLE else text[: TITLE - 1] + "…"


@dataclass(frozen=True, slots=True)
class Posting:
    """One POST."""

    url: str
    body: bytes
    headers: dict[str, str]


def webhook(letter: Letter, *, at: datetime) -> Posting:
    """JSON, signed as Standard Webhooks 1.0 says: HMAC-SHA256 over `id.timestamp.body`.

    `webhook-id` is the delivery's and the same in every attempt, so that a receiver can tell a
    repeated one.
    """
    data = {
        "id": letter.ping_id,
        "workspace": letter.workspace,
        "agent": letter.agent,
        "message": letter.message,
        "severity": letter.severity,
        "options": letter.options,
        "session_id": letter.session_id,
        "conversation_id": letter.conversation_id,
        "created_at": letter.created_at,
        "expires_at": letter.expires_at,
        "url": letter.link,
    }
    body = orjson.dumps(
        {"type": "ping.created", "timestamp": letter.created_at, "data": data},
        option=orjson.OPT_UTC_Z,
    )
    timestamp = str(int(at.timestamp()))
    return Posting(
        url=letter.target,
        body=body,
        headers={
            "Content-Type": "application/json",
            "webhook-id": str(letter.delivery_id),
            "webhook-timestamp": timestamp,
            "webhook-signature": sign(letter.secret, str(letter.delivery_id), timestamp, body),
        },
    )


def sign(secret: str, message_id: str, timestamp: str, body: bytes) -> str:
    """`v1,` and the signature in base64, as https://www.standardwebhooks.com says."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    digest = hmac.new(signing_key(secret), signed, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


def signing_key(secret: str) -> bytes:
    """`whsec_` is followed by base64 (empty where it is none); other secrets are their bytes."""
    if not secret.startswith(SECRET_PREFIX):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except binascii.Error:
        return b""


def ntfy(letter: Letter) -> Posting:
    """ntfy's publishing as JSON: to the server's root, with the topic from the URL's end."""
    parts = urlsplit(letter.target)
    root, _, topic = parts.path.rpartition("/")
    said = {
        "topic": topic,
        "title": letter.title,
        "message": _cut(letter.message, NTFY_BYTES),
        "priority": NTFY_PRIORITY[Severity(letter.severity)],
        "tags": NTFY_TAGS.get(Severity(letter.severity), []),
        "click": letter.link,
    }
    headers = {"Content-Type": "application/json"}
    if letter.secret:
        headers["Authorization"] = f"Bearer {letter.secret}"
    url = urlunsplit((parts.scheme, parts.netloc, f"{root}/", parts.query, ""))
    return Posting(url=url, body=orjson.dumps(said), headers=headers)


def _cut(text: str, most: int) -> str:
    encoded = text.encode()
    if len(encoded) <= most:
        return text
    return encoded[: most - 3].decode(errors="ignore") + "…"


def slack(letter: Letter) -> Posting:
    """`{"text": ...}`. & < > are escaped, so that a message can neither link nor call @channel."""
    lines = [f"*{_escaped(letter.severity)}* {_escaped(letter.agent or letter.workspace)}"]
    lines.append(_escaped(letter.message[:SLACK_TEXT]))
    if letter.options:
        lines.append(_escaped(" / ".join(letter.options)[:SLACK_TEXT]))
    lines.append(f"<{_escaped(letter.link)}|Open>")
    body = orjson.dumps({"text": "\n".join(lines)})
    return Posting(letter.target, body, {"Content-Type": "application/json"})


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def mail_text(letter: Letter) -> str:
    """The body of the mail, plain text."""
    parts = [letter.message]
    if letter.options:
        parts.append("\n".join(f"- {option}" for option in letter.options))
    if letter.expires_at is not None:
        parts.append(f"It expires at {letter.expires_at:%Y-%m-%d %H:%M} UTC.")
    parts.append(f"Answer: {letter.link}")
    return "\n\n".join(parts) + "\n"
