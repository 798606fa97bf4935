"""Agents and the keys they call with."""

import uuid
from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.defaultfilters import filesizeformat
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import AutocompleteSelectFilter, ChoicesDropdownFilter
from unfold.decorators import display
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from config.lib import clock
from config.lib.admin import show
from config.lib.errors import DomainError
from contacts.admin.access import actor_of, allows, require_role
from contacts.admin.actions import PageLink, RowAction, unlearn_links
from contacts.admin.base import ReadOnlyInline, WorkspaceAdmin, folded
from contacts.admin.filters import KeyStateFilter, key_state
from contacts.admin.forms import RowForm, posted_reason
from contacts.models import Agent, ApiKey
from contacts.models.workspace import Role
from contacts.scopes import AGENT_SCOPES, SCOPES
from contacts.services.agents import create_agent, update_agent
from contacts.services.allowances import limits_of
from contacts.services.keys import create_key, revoke_key, rotate_key

# For how long a rotated key goes on, beside what people read.
OVERLAPS = {
    "0": ("at once", timedelta(0)),
    "1h": ("in an hour", timedelta(hours=1)),
    "1d": ("in a day", timedelta(days=1)),
    "7d": ("in a week", timedelta(days=7)),
    "30d": ("in 30 days", timedelta(days=30)),
}


class KeyInline(ReadOnlyInline):
    model = ApiKey
    fields = readonly_fields = ("key", "state", "scopes", "expires", "last_used")
    verbose_name_plural = "keys"

    @display(description="Key")
    def key(self, obj: ApiKey) -> SafeString:
        return show.link(show.change_url("contacts.apikey", obj.pk) or "", str(obj))

    @display(description="State")
    def state(self, obj: ApiKey) -> SafeString:
        return show.badge(key_state(obj))

    @display(description="Expires")
    def expires(self, obj: ApiKey) -> SafeString:
        return show.when(obj.expires_at)

    @display(description="Last used")
    def last_used(self, obj: ApiKey) -> SafeString:
        return show.when(obj.last_used_at)


@admin.register(Agent)
class AgentAdmin(WorkspaceAdmin):
    when_empty = "An agent comes with its first key, by its hooks, or from an import."
    list_display = ("name", "kind", "state", "capability_tags", "seen", "made")
    list_filter = (("kind", ChoicesDropdownFilter), ("status", ChoicesDropdownFilter))
    search_fields = ("name",)
    search_help_text = "Name"
    ordering = ("name",)
    list_defer = ("metadata",)
    inlines = (KeyInline,)
    readonly_fields = ("state", "seen", "made", "ids")
    fieldsets = (
        (None, {"fields": ("name", "kind", "capabilities")}),
        ("Now", {"fields": (("state", "seen"),)}),
        folded("More", "metadata", "made", "ids"),
    )

    def create_row(self, request: HttpRequest, obj: Agent, form: RowForm) -> Agent:
        return create_agent(
            actor=actor_of(request),
            name=obj.name,
            kind=obj.kind,
            capabilities=obj.capabilities,
            metadata=obj.metadata,
        )

    def update_row(
        self, request: HttpRequest, pk: Any, changes: dict[str, Any], version: int | None
    ) -> Agent:
        return update_agent(
            actor=actor_of(request),
            agent_id=pk,
            changes=changes,
            expected_version=version,
            reason=posted_reason(request),
        )

    def row_links(self, request: HttpRequest, row: Agent) -> list[PageLink]:
        query = f"agent__id__exact={row.pk}"
        links = [
            PageLink("Sessions", show.changelist_url("agent_sessions.session", query), "forum"),
            PageLink("Memories", show.changelist_url("memory.memory", query), "neurology"),
        ]
        if allows(request, Role.OWNER):
            new_key = f"{reverse('admin:contacts_apikey_add')}?agent={row.pk}"
            links.append(PageLink("New key", new_key, "key"))
        return links

    @display(description="Status", ordering="status")
    def state(self, obj: Agent) -> SafeString:
        return show.badge(obj.status)

    @display(description="Capabilities")
    def capability_tags(self, obj: Agent) -> SafeString:
        return show.tags(obj.capabilities)

    @display(description="Last seen", ordering="last_seen_at")
    def seen(self, obj: Agent) -> SafeString:
        return show.when(obj.last_seen_at)


@admin.register(ApiKey)
class ApiKeyAdmin(WorkspaceAdmin):
    """Keys are made here, limited and revoked; what they may do is fixed when they are made."""

    when_empty = "An agent signs in with a key, which is shown once, when it is made."
    add_role = change_role = Role.OWNER
    # A deleted key would take its name out of the history; revoking is what ends it.
    delete_role = None
    list_display = ("title", "agent", "state", "scope_count", "expires", "last_used", "made")
    list_filter = (("agent", AutocompleteSelectFilter), KeyStateFilter)
    list_select_related = ("agent",)
    list_defer = ("metadata", "digest", "agent__metadata")
    search_fields = ("name", "agent__name")
    search_help_text = "Name or agent"
    ordering = ("-id",)
    readonly_fields = ("state", "last_used", "made", "revoked", "used_today", "goes_by", "ids")
    add_fieldsets = ((None, {"fields": ("agent", "name", "scopes", "expires_at")}),)
    fieldsets = (
        (None, {"fields": ("name", "agent", "scopes")}),
        ("Life", {"fields": (("state", "last_used"), ("made", "expires_at"), "revoked")}),
        (
            "Limits",
            {
                "fields": (
                    ("rate_limit", "burst_limit"),
                    ("daily_rows", "daily_bytes"),
                    ("goes_by", "used_today"),
                ),
                "description": "Empty: the settings'. 0: no limit.",
            },
        ),
        folded("More", "ids"),
    )
    row_actions = (
        RowAction(
            name="revoke",
            label="Revoke",
            done="The key opens nothing from now on.",
            icon="key_off",
            role=Role.OWNER,
            run=lambda *, actor, row, reason: revoke_key(actor=actor, key_id=row.pk, reason=reason),
            open_to=lambda row: row.revoked_at is None,
            tone="danger",
            confirm="Whoever calls with this key is refused from the next request on.",
        ),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        fixed = ("agent", "scopes", "expires_at") if obj is not None else ()
        return (*self.readonly_fields, *fixed)

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "scopes":
            return forms.MultipleChoiceField(
                choices=[(name, f"{name}: {text}") for name, text in SCOPES.items()],
                initial=AGENT_SCOPES,
                widget=UnfoldAdminCheckboxSelectMultipleWidget,
                help_text="An agent's usual work needs what is chosen here.",
            )
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def create_row(self, request: HttpRequest, obj: ApiKey, form: RowForm) -> ApiKey:
        key, token = create_key(
            actor=actor_of(request),
            agent=obj.agent,
            name=obj.name,
            scopes=obj.scopes,
            expires_at=obj.expires_at,
        )
        request.shown_once = token  # type: ignore[attr-defined]
        return key

    def response_add(
        self, request: HttpRequest, obj: ApiKey, post_url_continue: str | None = None
    ) -> HttpResponse:
        return self._show_once(request, obj, getattr(request, "shown_once", ""))

    def _show_once(
        self, request: HttpRequest, key: ApiKey, token: str, more: str = ""
    ) -> HttpResponse:
        """The token, in the answer itself: a redirect would have to keep it somewhere."""
        context = {
            **self.admin_site.each_context(request),
            "title": "New API key",
            "opts": self.opts,
            "secret": token,
            "what": f"Key “{key}” of {key.agent}",
            "how": f"The agent sends it in the header Authorization: Bearer. {more}".strip(),
            "done_url": show.changelist_url("contacts.apikey"),
        }
        return TemplateResponse(request, "admin/shown_once.html", context)

    # --- Rotation -----------------------------------------------------------------------------

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.rotate_view)
        name = "contacts_apikey_rotate"
        return [path("<uuid:object_id>/rotate/", view, name=name), *super().get_urls()]

    def row_links(self, request: HttpRequest, row: ApiKey) -> list[PageLink]:
        back = unlearn_links(request, "key", row)
        if not allows(request, Role.OWNER) or key_state(row) != "live":
            return back
        rotate = reverse("admin:contacts_apikey_rotate", args=[row.pk])
        return [PageLink("Rotate", rotate, "autorenew"), *back]

    def rotate_view(self, request: HttpRequest, object_id: uuid.UUID) -> HttpResponse:
        """For how long both work; POST shows the new key's token, once."""
        require_role(request, Role.OWNER)
        key = ApiKey.objects.select_related("agent").filter(pk=object_id).first()
        if key is None:
            raise Http404
        chosen = request.POST.get("overlap", "")
        if request.method == "POST" and chosen in OVERLAPS:
            try:
                with transaction.atomic():
                    made, token = rotate_key(
                        actor=actor_of(request),
                        key_id=key.pk,
                        overlap=OVERLAPS[chosen][1],
                        reason=posted_reason(request),
                    )
            except DomainError as error:
                messages.error(request, error.detail)
                return HttpResponseRedirect(show.changelist_url("contacts.apikey"))
            return self._show_once(request, made, token, f"The old one ends {OVERLAPS[chosen][0]}.")
        context = {
            **self.admin_site.each_context(request),
            "title": f"Rotate {key}",
            "opts": self.opts,
            "original": key,
            "overlaps": [(name, text) for name, (text, _) in OVERLAPS.items()],
        }
        return TemplateResponse(request, "admin/contacts/rotate.html", context)

    @display(description="Key", ordering="name")
    def title(self, obj: ApiKey) -> str:
        return str(obj)

    @display(description="State")
    def state(self, obj: ApiKey) -> SafeString:
        return show.badge(key_state(obj))

    @display(description="May")
    def scope_count(self, obj: ApiKey) -> SafeString:
        return show.tags(obj.scopes[:3] + ([f"+{len(obj.scopes) - 3}"] if obj.scopes[3:] else []))

    @display(description="Expires", ordering="expires_at")
    def expires(self, obj: ApiKey) -> SafeString:
        return show.when(obj.expires_at)

    @display(description="Last used", ordering="last_used_at")
    def last_used(self, obj: ApiKey) -> SafeString:
        return show.when(obj.last_used_at)

    @display(description="Goes by")
    def goes_by(self, obj: ApiKey) -> str:
        limits = limits_of(obj)
        rate = f"{limits.rate:g} requests a second, {limits.burst:,} at once" if limits.rate else ""
        rows = f"{limits.daily_rows:,} rows a day" if limits.daily_rows else ""
        sent = f"{filesizeformat(limits.daily_bytes)} a day" if limits.daily_bytes else ""
        return ", ".join(filter(None, (rate, rows, sent))) or "no limit"

    @display(description="Today (UTC)")
    def used_today(self, obj: ApiKey) -> str:
        day = obj.usage.filter(day=clock.now().date()).first()
        if day is None:
            return show.EMPTY
        sent = filesizeformat(day.bytes)
        return f"{day.requests:,} requests, {day.rows:,} rows, {sent}"

    @display(description="Revoked")
    def revoked(self, obj: ApiKey) -> SafeString:
        return show.when(obj.revoked_at)
