"""Reads of pings, channels and deliveries. Lists are values() rows; each names its index."""

import uuid
from typing import Any, TypedDict

from django.db.models import F, Q
from django.db.models.lookups import GreaterThan

from config.lib import clock
from config.lib.db.lookup import find_row
from sessions.models import Ping, PingChannel, PingDelivery
from sessions.models.attention import UNTIL, PingState
from sessions.schemas_pings import ChannelOut, DeliveryOut, PingOut
from sessions.selectors import Rows, columns


class PingFilter(TypedDict, total=False):
    """What a list of pings can be narrowed by; None and absent ask for nothing."""

    agent_id: uuid.UUID | None
    session_id: uuid.UUID | None
    conversation_id: str | None
    severity: str | None
    state: PingState | None


def list_pings(wanted: PingFilter) -> Rows:
    """In the order ["-created_at", "-id"]. Index ping_list, or ping_severity, ping_conversation,
    ping_session, ping_agent under that filter, ping_expiring for the expired, ping_open or
    ping_until (where more are expired than open) for the others that are not resolved."""
    given = {k: v for k, v in wanted.items() if v is not None and k != "state"}
    rows = Ping.objects.filter(**given)
    state = wanted.get("state")
    if state is not None:
        rows = rows.filter(in_state(state))
    return rows.values(*columns(Ping, PingOut), agent_name=F("agent__name"))


def in_state(state: PingState) -> Q:
    """The rows whose times say so; as models.attention.state_of."""
    if state is PingState.RESOLVED:
        return Q(resolved_at__isnull=False)
    if state is PingState.EXPIRED:
        return Q(resolved_at=None, expires_at__lte=clock.now())
    return is_live() & Q(acknowledged_at__isnull=state is PingState.OPEN)


def is_live() -> Q:
    """Neither resolved nor expired. Index ping_until."""
    return Q(resolved_at=None) & Q(GreaterThan(UNTIL, clock.now()))


def waits_for_person() -> Q:
    """Live ones, unless somebody knows of them and they want no option. Index ping_until."""
    return is_live() & (Q(acknowledged_at=None) | ~Q(options=[]))


def get_ping(text: str) -> Ping:
    """By a full or shortened id, with its agent. Or NotFound."""
    return find_row(Ping.objects.select_related("agent"), text)


def list_channels() -> Rows:
    """In the order ["name"]. Index pingchannel_name_unique."""
    return PingChannel.objects.values(*columns(PingChannel, ChannelOut), has_secret=~Q(secret=""))


def get_channel(text: str) -> PingChannel:
    """By a full or shortened id. Or NotFound."""
    return find_row(PingChannel.objects.all(), text)


def list_deliveries(
    *, ping_id: uuid.UUID | None = None, channel_id: uuid.UUID | None = None
) -> Rows:
    """Of a ping or a channel, in the order ["-created_at", "-id"]. Index pingdelivery_unique for a
    ping, which has one for each channel, and pingdelivery_channel for a channel."""
    given = {"ping_id": ping_id, "channel_id": channel_id}
    rows = PingDelivery.objects.filter(**{k: v for k, v in given.items() if v is not None})
    named: dict[str, Any] = {"channel_name": F("channel__name"), "channel_kind": F("channel__kind")}
    return rows.values(*columns(PingDelivery, DeliveryOut), **named)
