"""Pings: what agents ask of people, answered here; and where each of them went."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.db.models.functions import Left
from django.http import HttpRequest
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import (
    AutocompleteSelectFilter,
    ChoicesDropdownFilter,
    DropdownFilter,
    FieldTextFilter,
)
from unfold.decorators import display
from unfold.widgets import UnfoldAdminRadioSelectWidget

from config.lib.admin import show
from contacts.admin.access import actor_of
from contacts.admin.actions import RowAction
from contacts.admin.base import ReadOnlyAdmin, ReadOnlyInline, WorkspaceAdmin, folded
from contacts.admin.filters import DaysFilter
from contacts.admin.forms import RowForm, posted_reason
from contacts.models.workspace import Role
from sessions.models import Ping, PingDelivery
from sessions.models.attention import PingState
from sessions.selectors_pings import in_state, waits_for_person
from sessions.services.pings import (
    acknowledge_ping,
    answer_ping,
    create_ping,
    delete_ping,
    mark_ping_seen,
    resolve_ping,
)

TITLE = 200
# Not one state: those that a person is asked for.
WAITING = "waiting"
LIVE = (PingState.OPEN, PingState.ACKNOWLEDGED)


class PingStateFilter(DropdownFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(WAITING, "Waits for a person"), *PingState.choices]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() == WAITING:
            return queryset.filter(waits_for_person())
        if self.value() in PingState.values:
            return queryset.filter(in_state(PingState(self.value())))
        return queryset


class AnswerForm(RowForm):
    """A click on one of the ping's options, or words of one's own; the words go before."""

    option = forms.ChoiceField(required=False, widget=UnfoldAdminRadioSelectWidget)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        offered = self.instance.options or []
        if "option" in self.fields:
            if offered and self.instance.state in LIVE:
                self.fields["option"].choices = [(one, one) for one in offered]  # type: ignore[attr-defined]
            else:
                del self.fields["option"]

    def changes(self) -> dict[str, Any]:
        found = super().changes()
        option = self.cleaned_data.get("option")
        return {"answer": option, **found} if option else found


class DeliveryInline(ReadOnlyInline):
    model = PingDelivery
    related = ("channel",)
    fields = readonly_fields = ("to", "state", "attempts", "sent", "next_try", "error")
    verbose_name_plural = "deliveries"

    @display(description="Channel")
    def to(self, obj: PingDelivery) -> str:
        return obj.channel.name

    @display(description="State")
    def state(self, obj: PingDelivery) -> SafeString:
        return show.badge(obj.status)

    @display(description="Sent")
    def sent(self, obj: PingDelivery) -> SafeString:
        return show.when(obj.sent_at)

    @display(description="Next attempt")
    def next_try(self, obj: PingDelivery) -> SafeString:
        return show.when(obj.next_attempt_at)


@admin.register(Ping)
class PingAdmin(WorkspaceAdmin):
    when_empty = "Agents ask a person to look, or to answer, by a ping."
    form = AnswerForm
    # Who reviews what agents write answers them too.
    change_role = Role.REVIEWER
    list_display = ("heading", "level", "state", "asker", "reply", "made")
    list_filter = (
        PingStateFilter,
        ("severity", ChoicesDropdownFilter),
        ("agent", AutocompleteSelectFilter),
        ("session", AutocompleteSelectFilter),
        ("conversation_id", FieldTextFilter),
        ("created_at", DaysFilter),
    )
    list_select_related = ("agent",)
    list_defer = ("message", "answer", "options", "metadata", "agent__metadata")
    list_annotate = {"beginning": Left("message", TITLE), "said": Left("answer", TITLE)}
    search_fields = ("message", "answer")
    search_help_text = "Question or answer"
    ordering = ("-created_at", "-id")
    inlines = (DeliveryInline,)
    fixed = (
        "asked", "level", "state", "asker", "session", "conversation_id", "offered", "delivered",
        "seen", "acknowledged", "resolved", "expires", "answered_by", "metadata_shown",
        "known_as", "made", "changed", "ids",
    )  # fmt: skip
    fieldsets = (
        (None, {"fields": ("asked", ("level", "state"), "option", "answer", "answered_by")}),
        ("Who asks", {"fields": (("asker", "session"), "conversation_id")}),
        ("When", {"fields": (("made", "expires"), ("delivered", "seen"),
                             ("acknowledged", "resolved"))}),
        folded("More", "offered", "metadata_shown", "known_as", "changed", "ids"),
    )  # fmt: skip
    add_fieldsets = (
        (None, {"fields": ("message", "severity", "options", "conversation_id", "expires_at")}),
    )
    row_actions = (
        RowAction(
            name="acknowledge",
            label="Acknowledge",
            done="The ping is acknowledged.",
            icon="visibility",
            role=Role.REVIEWER,
            run=lambda *, actor, row, reason: acknowledge_ping(
                actor=actor, ping_id=row.pk, reason=reason
            ),
            open_to=lambda row: row.state is PingState.OPEN,
        ),
        RowAction(
            name="resolve",
            label="Settle without an answer",
            done="The ping is settled.",
            icon="task_alt",
            role=Role.REVIEWER,
            run=lambda *, actor, row, reason: resolve_ping(
                actor=actor, ping_id=row.pk, reason=reason
            ),
            open_to=lambda row: row.state in LIVE,
        ),
        RowAction(
            name="answer",
            label="Answer",
            done="Answered: the agent is told.",
            icon="reply",
            role=Role.REVIEWER,
            run=lambda *, actor, row, reason, text: answer_ping(
                actor=actor, ping_id=row.pk, answer=text, reason=reason
            ),
            open_to=lambda row: row.state in LIVE,
            takes_text=True,
        ),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """What was asked is what happened; only the answer is given here, and once."""
        if obj is None:
            return ("made", "changed", "ids")
        return self.fixed if obj.state in LIVE else (*self.fixed, "answer")

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Options are to choose from only while there is something to choose."""
        shown = super().get_fieldsets(request, obj)
        chooses = obj is not None and obj.state in LIVE and obj.options
        if obj is None or (chooses and self.has_change_permission(request, obj)):
            return shown
        (name, first), *rest = shown
        kept = tuple(one for one in first["fields"] if one != "option")
        return ((name, {**first, "fields": kept}), *rest)

    def page_context(
        self, request: HttpRequest, object_id: str | None, context: dict[str, Any]
    ) -> dict[str, Any]:
        """Who opens it and could answer has seen it."""
        ping = self.get_object(request, object_id) if object_id else None
        if (
            request.method == "GET"
            and ping is not None
            and ping.seen_at is None
            and ping.state in LIVE
            and self.has_change_permission(request, ping)
        ):
            mark_ping_seen(ping_id=ping.pk)
        return super().page_context(request, object_id, context)

    def create_row(self, request: HttpRequest, obj: Ping, form: RowForm) -> Ping:
        ping, _ = create_ping(
            actor=actor_of(request),
            message=obj.message,
            severity=obj.severity,
            options=obj.options,
            conversation_id=obj.conversation_id,
            expires_at=obj.expires_at,
        )
        return ping

    def update_row(
        self, request: HttpRequest, pk: Any, changes: dict[str, Any], version: int | None
    ) -> Ping:
        return answer_ping(
            actor=actor_of(request),
            ping_id=pk,
            answer=changes.get("answer") or "",
            reason=posted_reason(request),
        )

    def delete_row(self, request: HttpRequest, obj: Ping) -> None:
        delete_ping(actor=actor_of(request), ping_id=obj.pk, reason=posted_reason(request))

    # --- Columns ------------------------------------------------------------------------------

    @display(description="Ping")
    def heading(self, obj: Ping) -> SafeString:
        return show.preview(getattr(obj, "beginning", ""))

    @display(description="Severity", ordering="severity")
    def level(self, obj: Ping) -> SafeString:
        return show.badge(obj.severity)

    @display(description="State")
    def state(self, obj: Ping) -> SafeString:
        return show.badge(obj.state.value)

    @display(description="From")
    def asker(self, obj: Ping) -> str:
        return obj.agent.name if obj.agent is not None else show.EMPTY

    @display(description="Answer")
    def reply(self, obj: Ping) -> SafeString:
        return show.preview(getattr(obj, "said", ""))

    @display(description="Message")
    def asked(self, obj: Ping) -> SafeString:
        return show.long_text(obj.message)

    @display(description="Options")
    def offered(self, obj: Ping) -> SafeString:
        return show.tags(obj.options)

    @display(description="Delivered")
    def delivered(self, obj: Ping) -> SafeString:
        return show.when(obj.delivered_at)

    @display(description="Seen")
    def seen(self, obj: Ping) -> SafeString:
        return show.when(obj.seen_at)

    @display(description="Acknowledged")
    def acknowledged(self, obj: Ping) -> SafeString:
        return show.when(obj.acknowledged_at)

    @display(description="Resolved")
    def resolved(self, obj: Ping) -> SafeString:
        return show.when(obj.resolved_at)

    @display(description="Expires")
    def expires(self, obj: Ping) -> SafeString:
        return show.when(obj.expires_at)

    @display(description="Metadata")
    def metadata_shown(self, obj: Ping) -> SafeString:
        return show.json_block(obj.metadata)

    @display(description="Known elsewhere as")
    def known_as(self, obj: Ping) -> str:
        return f"{obj.source} {obj.external_id}".strip() or show.EMPTY


@admin.register(PingDelivery)
class PingDeliveryAdmin(ReadOnlyAdmin):
    """The delivery log."""

    when_empty = "Each ping that a channel was given stands here, with what came of it."
    list_display = ("of", "to", "state", "attempts", "sent", "next_try", "error", "made")
    list_filter = (("channel", AutocompleteSelectFilter), ("status", ChoicesDropdownFilter),
                   ("created_at", DaysFilter))  # fmt: skip
    list_select_related = ("ping", "channel")
    list_defer = ("ping__message", "ping__answer", "ping__options", "ping__metadata",
                  "channel__metadata", "channel__secret", "channel__target")  # fmt: skip
    list_annotate = {"beginning": Left("ping__message", 80)}
    # The key's order, which is that of time too.
    ordering = ("-id",)
    readonly_fields = ("of", "to", "state", "sent", "next_try", "made", "ids")
    fieldsets = (
        (None, {"fields": (("of", "to"), ("state", "attempts"), ("sent", "next_try"), "error",
                           "made", "ids")}),
    )  # fmt: skip

    @display(description="Ping")
    def of(self, obj: PingDelivery) -> SafeString:
        label = " ".join(getattr(obj, "beginning", "").split()) or "Show the ping"
        return show.link(show.change_url("agent_sessions.ping", obj.ping_id) or "", label)

    @display(description="Channel")
    def to(self, obj: PingDelivery) -> str:
        return f"{obj.channel.name} ({obj.channel.get_kind_display()})"

    @display(description="State", ordering="status")
    def state(self, obj: PingDelivery) -> SafeString:
        return show.badge(obj.status)

    @display(description="Sent")
    def sent(self, obj: PingDelivery) -> SafeString:
        return show.when(obj.sent_at)

    @display(description="Next attempt")
    def next_try(self, obj: PingDelivery) -> SafeString:
        return show.when(obj.next_attempt_at)
