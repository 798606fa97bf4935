"""Notifications: what conversations were told, and what they have not acknowledged."""

from django.contrib import admin
from django.urls import reverse
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import FieldTextFilter
from unfold.decorators import display

from config.lib.admin import show
from contacts.admin.actions import RowAction
from contacts.admin.base import ReadOnlyAdmin
from contacts.admin.filters import DaysFilter
from contacts.models.workspace import Role
from sessions.models import Notification
from sessions.services.notifications import acknowledge_notifications


@admin.register(Notification)
class NotificationAdmin(ReadOnlyAdmin):
    when_empty = "What a conversation is to be told once stands here."
    list_display = ("about", "kind", "conversation", "state", "told", "session_link")
    list_filter = (
        ("notification_type", FieldTextFilter),
        ("conversation_id", FieldTextFilter),
        ("created_at", DaysFilter),
    )
    list_select_related = ("session",)
    list_defer = (
        "payload", "session__prompt", "session__context", "session__summary",
        "session__summary_data", "session__metadata",
    )  # fmt: skip
    search_fields = ("conversation_id", "entity_id")
    search_help_text = "Conversation or what it is about"
    ordering = ("-created_at", "-id")
    fields = readonly_fields = (
        "kind", "about", "conversation", "state", "session_link", "made", "told", "settled",
        "details", "ids",
    )  # fmt: skip
    change_form_outer_before_template = "admin/includes/buttons.html"
    row_actions = (
        RowAction(
            name="acknowledge",
            label="Acknowledge",
            done="The notification is acknowledged.",
            icon="done_all",
            role=Role.OPERATOR,
            run=lambda *, actor, row, reason: acknowledge_notifications(actor=actor, ids=[row.pk]),
            open_to=lambda row: row.acked_at is None,
        ),
    )

    @display(description="About", ordering="entity_id")
    def about(self, obj: Notification) -> str:
        return obj.entity_id

    @display(description="Type", ordering="notification_type")
    def kind(self, obj: Notification) -> SafeString:
        return show.badge(obj.notification_type, obj.notification_type.replace("_", " "))

    @display(description="Conversation", ordering="conversation_id")
    def conversation(self, obj: Notification) -> str:
        return obj.conversation_id

    @display(description="State")
    def state(self, obj: Notification) -> SafeString:
        if obj.acked_at is not None:
            return show.badge("acknowledged", tone="green")
        return show.badge("delivered" if obj.notified_at else "waiting", tone="amber")

    @display(description="Delivered", ordering="notified_at")
    def told(self, obj: Notification) -> SafeString:
        return show.when(obj.notified_at)

    @display(description="Acknowledged")
    def settled(self, obj: Notification) -> SafeString:
        return show.when(obj.acked_at)

    @display(description="Delivered to")
    def session_link(self, obj: Notification) -> SafeString | str:
        if obj.session is None:
            return show.EMPTY
        url = reverse("admin:agent_sessions_session_conversation", args=[obj.session_id])
        return show.link(url, obj.session.name or f"Session {obj.session.short_id}")

    @display(description="Payload")
    def details(self, obj: Notification) -> SafeString:
        return show.json_block(obj.payload)
