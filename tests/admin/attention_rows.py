"""One row of each model of attention, for the admin's tests."""

from typing import Any

from sessions.models import PingDelivery, Session
from sessions.services.ping_channels import create_channel
from sessions.services.pings import create_ping
from sessions.services.staged_content import stage_content
from tests.factories import ALICE


def fill_attention(session: Session) -> list[Any]:
    """A channel, a ping that goes to it, its delivery, and something on the board."""
    channel = create_channel(
        actor=ALICE, name="on call", kind="webhook", target="https://hooks.example.org/secret-path",
        secret="a secret of many characters",
    )  # fmt: skip
    ping, _ = create_ping(
        actor=ALICE, message="May the pump start?", severity="urgent", options=["yes", "no"],
        session_id=session.id,
    )  # fmt: skip
    staged, _ = stage_content(
        actor=ALICE, content_type="plan", title="Water the ferns", body="At dawn.",
        session_id=session.id,
    )  # fmt: skip
    return [channel, ping, PingDelivery.objects.get(ping=ping), staged]
