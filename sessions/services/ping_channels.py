"""Channels: where pings go besides the page. Set up, changed, tested, removed."""

import uuid
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.conf import settings

from config.lib import clock
from config.lib.actor import Actor
from config.lib.errors import Conflict, Invalid
from contacts.services import funnel
from sessions.channels.addresses import check_target
from sessions.models import Ping, PingChannel, PingDelivery
from sessions.models.attention import Severity
from sessions.services.ping_deliveries import plan_on

EDITABLE = frozenset({"name", "target", "secret", "min_severity", "enabled", "metadata"})
# Every ping of an agent goes to each of them.
MAX_CHANNELS = 50
TEST_LIFETIME = timedelta(minutes=15)


def create_channel(
    *,
    actor: Actor,
    name: str,
    kind: str,
    target: str = "",
    secret: str = "",
    min_severity: str = Severity.HIGH,
    enabled: bool = True,
    metadata: dict[str, Any] | None = None,
) -> PingChannel:
    """A new channel. Invalid for a target that is none, or where channels may not reach; Conflict
    where the name is taken or there are MAX_CHANNELS."""
    if PingChannel.objects.filter(name=name).exists():
        raise Conflict(f"There is a channel named {name!r} already.", code="name_taken")
    if PingChannel.objects.count() >= MAX_CHANNELS:
        raise Conflict(f"There are {MAX_CHANNELS} channels already.", code="too_many_channels")
    channel = PingChannel(
        name=name,
        kind=kind,
        target=target,
        secret=secret,
        min_severity=min_severity,
        enabled=enabled,
        metadata=metadata or {},
    )
    funnel.check(channel)
    check_target(kind, target, secret, private=settings.CHANNELS_PRIVATE)
    return funnel.create(channel, actor=actor)


def update_channel(
    *,
    actor: Actor,
    channel_id: uuid.UUID,
    changes: Mapping[str, Any],
    expected_version: int | None = None,
    reason: str = "",
) -> PingChannel:
    """Change a channel; its kind stays. A new target needs its secret anew: the old one was given
    for the old target, and must not be handed to another."""
    unknown = changes.keys() - EDITABLE
    if unknown:
        raise Invalid(dict.fromkeys(sorted(unknown), "cannot be changed on a channel"))
    channel = funnel.get_row(PingChannel, channel_id, lock=True)
    name = changes.get("name", channel.name)
    if PingChannel.objects.filter(name=name).exclude(pk=channel.pk).exists():
        raise Conflict(f"There is a channel named {name!r} already.", code="name_taken")
    target = changes.get("target", channel.target)
    if target != channel.target and channel.secret and "secret" not in changes:
        raise Invalid({"secret": "must be sent with a new target: the old one's is not reused"})
    secret = changes.get("secret", channel.secret)
    check_target(channel.kind, target, secret, private=settings.CHANNELS_PRIVATE)
    return funnel.update(
        channel, changes, actor=actor, expected_version=expected_version, reason=reason
    )


def delete_channel(
    *, actor: Actor, channel_id: uuid.UUID, expected_version: int | None = None, reason: str = ""
) -> None:
    """Remove a channel and its delivery log."""
    channel = funnel.get_row(PingChannel, channel_id, lock=True)
    funnel.delete(channel, actor=actor, expected_version=expected_version, reason=reason)


def send_test_ping(*, actor: Actor, channel_id: uuid.UUID) -> PingDelivery:
    """Send a ping of its own on this channel alone, whatever its severity, by the way of all
    others: what comes of it is in the delivery log. Conflict where the channel is off."""
    channel = funnel.get_row(PingChannel, channel_id)
    if not channel.enabled:
        raise Conflict("The channel is switched off; switch it on first.", code="channel_off")
    ping = Ping(
        agent_id=actor.agent_id,
        message=f"This is a test of the channel “{channel.name}”. There is nothing to do.",
        severity=Severity.LOW,
        expires_at=clock.now() + TEST_LIFETIME,
        metadata={"test": True},
    )
    funnel.create(ping, actor=actor)
    (delivery,) = plan_on(ping, [channel], actor=actor)
    return delivery
