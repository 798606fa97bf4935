"""Channels: where pings go besides the page. Kept by owners; a secret goes in and never out."""

from typing import Any
from urllib.parse import urlsplit

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import BooleanRadioFilter, ChoicesDropdownFilter
from unfold.decorators import display
from unfold.widgets import UnfoldAdminPasswordWidget

from config.lib.admin import show
from contacts.admin.access import actor_of, allows
from contacts.admin.actions import PageLink, RowAction
from contacts.admin.base import WorkspaceAdmin, folded
from contacts.admin.forms import RowForm, posted_reason
from contacts.models.workspace import Role
from sessions.channels.addresses import HTTP_KINDS
from sessions.models import PingChannel
from sessions.services.ping_channels import (
    create_channel,
    delete_channel,
    send_test_ping,
    update_channel,
)


class ChannelForm(RowForm):
    """The secret is typed into a field of its own, which shows nothing and, empty, keeps it."""

    secrets = frozenset({"new_secret", "target"})
    new_secret = forms.CharField(
        label="Secret",
        required=False,
        max_length=200,
        strip=False,
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}),
        help_text="webhook: signs the body, 16 characters or more. ntfy: an access token. "
        "Left empty, it stays as it is.",
    )

    def changes(self) -> dict[str, Any]:
        found = super().changes()
        secret = self.cleaned_data.get("new_secret")
        return {**found, "secret": secret} if secret else found


@admin.register(PingChannel)
class PingChannelAdmin(WorkspaceAdmin):
    when_empty = (
        "Pings are on their page; a channel takes them to an address, a webhook or the "
        "browser as well."
    )
    form = ChannelForm
    # What leaves the house, and to whom.
    add_role = change_role = delete_role = Role.OWNER
    list_display = ("name", "kind", "where", "from_severity", "state", "made")
    list_filter = (("kind", ChoicesDropdownFilter), ("enabled", BooleanRadioFilter))
    list_defer = ("metadata", "secret")
    search_fields = ("name",)
    search_help_text = "Name"
    ordering = ("name",)
    readonly_fields = ("where", "from_severity", "state", "secret_state", "made", "changed", "ids")
    row_actions = (
        RowAction(
            name="test",
            label="Send a test ping",
            done="A test ping is on its way; the delivery log says what came of it.",
            icon="send",
            role=Role.OWNER,
            run=lambda *, actor, row, reason: send_test_ping(actor=actor, channel_id=row.pk),
            open_to=lambda row: row.enabled,
            bulk=False,
        ),
    )
    add_fieldsets = (
        (None, {"fields": ("name", ("kind", "min_severity"), "target", "new_secret", "enabled")}),
    )

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """A URL may be a secret itself (Slack's are), so only owners see it whole."""
        if obj is None:
            return self.add_fieldsets
        if not allows(request, Role.OWNER):
            return ((None, {"fields": ("name", "kind", "where", "from_severity", "state", "made",
                                       "ids")}),)  # fmt: skip
        return (
            (None, {"fields": ("name", ("kind", "min_severity"), "target",
                               ("secret_state", "new_secret"), "enabled")}),
            folded("More", "metadata", ("made", "changed"), "ids"),
        )  # fmt: skip

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """The kind says what the target is, and stays."""
        return self.readonly_fields if obj is None else (*self.readonly_fields, "kind")

    def create_row(self, request: HttpRequest, obj: PingChannel, form: RowForm) -> PingChannel:
        return create_channel(
            actor=actor_of(request),
            name=obj.name,
            kind=obj.kind,
            target=obj.target,
            secret=form.cleaned_data.get("new_secret") or "",
            min_severity=obj.min_severity,
            enabled=obj.enabled,
        )

    def update_row(
        self, request: HttpRequest, pk: Any, changes: dict[str, Any], version: int | None
    ) -> PingChannel:
        return update_channel(
            actor=actor_of(request),
            channel_id=pk,
            changes=changes,
            expected_version=version,
            reason=posted_reason(request),
        )

    def delete_row(self, request: HttpRequest, obj: PingChannel) -> None:
        delete_channel(actor=actor_of(request), channel_id=obj.pk, reason=posted_reason(request))

    def row_links(self, request: HttpRequest, row: PingChannel) -> list[PageLink]:
        log = show.changelist_url("agent_sessions.pingdelivery", f"channel__id__exact={row.pk}")
        return [PageLink("Delivery log", log, "receipt_long")]

    @display(description="Where")
    def where(self, obj: PingChannel) -> str:
        if obj.kind in HTTP_KINDS:
            return urlsplit(obj.target).hostname or show.EMPTY
        return obj.target or "open pages of the admin"

    @display(description="From", ordering="min_severity")
    def from_severity(self, obj: PingChannel) -> SafeString:
        return show.badge(obj.min_severity)

    @display(description="State", ordering="enabled")
    def state(self, obj: PingChannel) -> SafeString:
        return show.badge("on" if obj.enabled else "off", tone="green" if obj.enabled else "grey")

    @display(description="Secret kept")
    def secret_state(self, obj: PingChannel) -> str:
        return "yes" if obj.has_secret else "no"
