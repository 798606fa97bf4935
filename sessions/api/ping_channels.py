"""Channels: where pings go besides the page. List, create, read, change, delete, test, log."""

from django.http import HttpRequest, HttpResponse
from ninja import Router

from config.lib.cursor import page
from config.lib.db.lookup import find_id
from contacts.api.auth import KeyAuth
from contacts.api.http import (
    IF_MATCH,
    Id,
    Page,
    PageQuery,
    Reason,
    actor_of,
    if_match,
    no_content,
    reply,
    reply_created,
    reply_page,
)
from sessions import selectors_pings as selectors
from sessions.models import PingChannel
from sessions.schemas_pings import ChannelIn, ChannelOut, ChannelPatch, DeliveryOut
from sessions.services import ping_channels as channels

# One scope for all of it: a channel's URL may itself be a secret.
SCOPE = "channels:write"
router = Router(tags=["Ping channels"])


@router.get(
    "/ping-channels",
    auth=KeyAuth(SCOPE),
    response=Page[ChannelOut],
    operation_id="list_ping_channels",
    summary="List channels",
)
def list_channels(request: HttpRequest, paging: PageQuery) -> HttpResponse:
    """By name. Never a secret."""
    found = page(selectors.list_channels(), order=["name"], **paging.model_dump())
    return reply_page(ChannelOut, found)


@router.post(
    "/ping-channels",
    auth=KeyAuth(SCOPE),
    response={201: ChannelOut},
    operation_id="create_ping_channel",
    summary="Create a channel",
)
def create_channel(request: HttpRequest, payload: ChannelIn) -> HttpResponse:
    """409 `name_taken`. 422 for a target where channels may not reach: private addresses, unless
    the operator of the server lets them."""
    row = channels.create_channel(actor=actor_of(request), **payload.model_dump())
    return reply_created(ChannelOut, row, new=True, location=f"/ping-channels/{row.id}")


@router.get(
    "/ping-channels/{channel_id}",
    auth=KeyAuth(SCOPE),
    response=ChannelOut,
    operation_id="get_ping_channel",
    summary="Read a channel",
)
def get_channel(request: HttpRequest, channel_id: Id) -> HttpResponse:
    """Without its secret."""
    return reply(ChannelOut, selectors.get_channel(channel_id))


@router.patch(
    "/ping-channels/{channel_id}",
    auth=KeyAuth(SCOPE),
    response=ChannelOut,
    operation_id="update_ping_channel",
    summary="Change a channel",
    openapi_extra=IF_MATCH,
)
def patch_channel(request: HttpRequest, channel_id: Id, payload: ChannelPatch) -> HttpResponse:
    """Fields that are not sent stay as they are; the kind always does."""
    changes = payload.sent()
    row = channels.update_channel(
        actor=actor_of(request),
        channel_id=find_id(PingChannel, channel_id, check=False),
        reason=changes.pop("reason", ""),
        changes=changes,
        expected_version=if_match(request),
    )
    return reply(ChannelOut, row)


@router.delete(
    "/ping-channels/{channel_id}",
    auth=KeyAuth(SCOPE),
    response={204: None},
    operation_id="delete_ping_channel",
    summary="Delete a channel",
    openapi_extra=IF_MATCH,
)
def delete_channel(request: HttpRequest, channel_id: Id, reason: Reason = None) -> HttpResponse:
    """With its delivery log; what it was to send is not sent."""
    channels.delete_channel(
        actor=actor_of(request),
        channel_id=find_id(PingChannel, channel_id, check=False),
        expected_version=if_match(request),
        reason=reason or "",
    )
    return no_content()


@router.post(
    "/ping-channels/{channel_id}/test",
    auth=KeyAuth(SCOPE),
    response={202: DeliveryOut},
    operation_id="test_ping_channel",
    summary="Send a test ping",
)
def test_channel(request: HttpRequest, channel_id: Id) -> HttpResponse:
    """On this channel alone, in the background: what came of it is in the channel's deliveries.
    409 `channel_off` where it is switched off."""
    row = channels.send_test_ping(
        actor=actor_of(request), channel_id=find_id(PingChannel, channel_id, check=False)
    )
    return reply(DeliveryOut, row, status=202)


@router.get(
    "/ping-channels/{channel_id}/deliveries",
    auth=KeyAuth(SCOPE),
    response=Page[DeliveryOut],
    operation_id="list_channel_deliveries",
    summary="Read a channel's delivery log",
)
def list_channel_deliveries(
    request: HttpRequest, channel_id: Id, paging: PageQuery
) -> HttpResponse:
    """Newest first."""
    rows = selectors.list_deliveries(channel_id=find_id(PingChannel, channel_id))
    found = page(rows, order=["-created_at", "-id"], **paging.model_dump())
    return reply_page(DeliveryOut, found)
