"""The workspace one is in, its members, and the invitations into it."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet, Sum
from django.http import HttpRequest, HttpResponse
from django.template.defaultfilters import filesizeformat
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display

from config.lib import clock
from config.lib.admin import show
from contacts.admin.access import actor_of, require_entry
from contacts.admin.actions import RowAction
from contacts.admin.base import WorkspaceAdmin, folded
from contacts.admin.filters import invitation_state
from contacts.admin.forms import RowForm, posted_reason
from contacts.models import Invitation, Membership, StorageCount, UsageDay, Workspace
from contacts.models.workspace import Role
from contacts.preferences import BUDGETS, budget_in
from contacts.services.factors import is_asked, remove_of_member
from contacts.services.members import change_role, remove_member, revoke_invitation
from contacts.services.workspaces import invite_person, update_workspace


class WorkspaceForm(RowForm):
    # What is to be taken out of texts stands among the settings; the service looks at the others.
    secrets = frozenset({"settings"})


@admin.register(Workspace)
class WorkspacePage(WorkspaceAdmin):
    """One row: the workspace of the request. The others are other people's business."""

    form = WorkspaceForm
    add_role = delete_role = None
    change_role = Role.OWNER
    list_display = ("name", "slug", "time_zone", "made")
    readonly_fields = ("slug", "sent_today", "stored", "made", "ids")
    fieldsets = (
        (None, {"fields": ("name", "slug")}),
        (
            "Settings",
            {
                "fields": ("settings",),
                "description": "JSON: timezone, context_thresholds, orphan_minutes, region, "
                "redaction {patterns, personal}, retention {kind: days}, consolidation {enabled, "
                "hide, most_share}, decay {enabled, weight, half_life_days}, "
                "daily_rows, daily_bytes, stored_bytes. Others are yours.",
            },
        ),
        ("Use", {"fields": (("sent_today", "stored"),)}),
        folded("More", "made", "ids"),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Workspace]:
        return Workspace.objects.filter(pk=require_entry(request).workspace.pk)

    def update_row(
        self, request: HttpRequest, pk: Any, changes: dict[str, Any], version: int | None
    ) -> Workspace:
        settings = changes.get("settings")
        if settings is not None:
            # The service merges; a key that is gone from the form is to be removed.
            held = require_entry(request).workspace.settings
            settings = dict.fromkeys(held.keys() - settings.keys()) | settings
        return update_workspace(
            actor=actor_of(request),
            name=changes.get("name"),
            settings=settings,
            reason=posted_reason(request),
        )

    @display(description="Its keys wrote today (UTC)")
    def sent_today(self, obj: Workspace) -> str:
        days = UsageDay.objects.filter(day=clock.now().date())
        sums = days.aggregate(rows=Sum("rows"), size=Sum("bytes"))
        rows, size = sums["rows"] or 0, sums["size"] or 0
        most_rows, most_size = (budget_in(obj.settings, one) for one in BUDGETS[:2])
        return (
            f"{rows:,} rows{f' of {most_rows:,}' if most_rows else ''}, {filesizeformat(size)}"
            f"{f' of {filesizeformat(most_size)}' if most_size else ''}"
        )

    @display(description="Its rows take")
    def stored(self, obj: Workspace) -> SafeString | str:
        kept, most = StorageCount.objects.first(), budget_in(obj.settings, "stored_bytes")
        if kept is None:
            return "not measured yet"
        size = filesizeformat(kept.bytes + kept.added)
        return format_html(
            "{}{}, measured {}",
            size, f" of {filesizeformat(most)}" if most else "", show.when(kept.measured_at),
        )  # fmt: skip

    @display(description="Time zone")
    def time_zone(self, obj: Workspace) -> str:
        return str(obj.settings.get("timezone", "UTC"))


@admin.register(Membership)
class MembershipAdmin(WorkspaceAdmin):
    """People come by invitation; here they get another role, or go."""

    when_empty = "People come by invitation."
    add_role = None
    change_role = delete_role = Role.OWNER
    list_display = ("person", "role_badge", "since")
    list_filter = (("role", ChoicesDropdownFilter),)
    list_select_related = ("user",)
    list_defer = ("metadata", "user__password")
    search_fields = ("user__username", "user__email")
    search_help_text = "User name or email"
    ordering = ("id",)
    readonly_fields = ("person", "email", "given", "since", "ids")
    fieldsets = (
        (None, {"fields": ("person", "email", "role", "given")}),
        folded("More", "since", "ids"),
    )

    row_actions = (
        RowAction(
            name="remove-factor",
            label="Remove second factor",
            done="They come in by their password alone, until they set up another.",
            icon="phonelink_erase",
            role=Role.OWNER,
            run=lambda *, actor, row, reason: remove_of_member(
                actor=actor, membership=row, reason=reason
            ),
            open_to=lambda row: is_asked(),
            tone="danger",
            bulk=False,
        ),
    )

    def update_row(
        self, request: HttpRequest, pk: Any, changes: dict[str, Any], version: int | None
    ) -> Membership:
        return change_role(
            actor=actor_of(request),
            membership_id=pk,
            role=changes["role"],
            expected_version=version,
            reason=posted_reason(request),
        )

    def delete_row(self, request: HttpRequest, obj: Membership) -> None:
        remove_member(actor=actor_of(request), membership_id=obj.pk, reason=posted_reason(request))

    @display(description="Person", ordering="user__username")
    def person(self, obj: Membership) -> str:
        return obj.user.get_username()

    @display(description="Email")
    def email(self, obj: Membership) -> str:
        return str(getattr(obj.user, "email", "")) or show.EMPTY

    @display(description="Role", ordering="role")
    def role_badge(self, obj: Membership) -> SafeString:
        return show.badge(obj.role)

    @display(description="Given by")
    def given(self, obj: Membership) -> str:
        if obj.by_group:
            return "A group of single sign-on; set anew whenever they sign in by it"
        return "A person"

    @display(description="Member since", ordering="created_at")
    def since(self, obj: Membership) -> SafeString:
        return show.when(obj.created_at)


@admin.register(Invitation)
class InvitationAdmin(WorkspaceAdmin):
    when_empty = "An invitation is a link that lets one person join this workspace, once."
    add_role = Role.OWNER
    change_role = delete_role = None
    list_display = ("email", "role_badge", "state", "expires", "made")
    list_filter = (("role", ChoicesDropdownFilter),)
    list_defer = ("metadata", "digest")
    search_fields = ("email",)
    search_help_text = "Email"
    ordering = ("-created_at", "-id")
    add_fieldsets = ((None, {"fields": ("email", "role")}),)
    fieldsets = ((None, {"fields": ("email", "role_badge", "state", "made", "expires", "ids")}),)
    readonly_fields = ("role_badge", "state", "made", "expires", "ids")
    row_actions = (
        RowAction(
            name="revoke",
            label="Revoke",
            done="The link opens nothing from now on.",
            icon="link_off",
            role=Role.OWNER,
            run=lambda *, actor, row, reason: revoke_invitation(
                actor=actor, invitation_id=row.pk, reason=reason
            ),
            open_to=lambda row: invitation_state(row) == "open",
            tone="danger",
        ),
    )

    def create_row(self, request: HttpRequest, obj: Invitation, form: RowForm) -> Invitation:
        invitation, secret = invite_person(actor=actor_of(request), email=obj.email, role=obj.role)
        request.shown_once = secret  # type: ignore[attr-defined]
        return invitation

    def response_add(
        self, request: HttpRequest, obj: Invitation, post_url_continue: str | None = None
    ) -> HttpResponse:
        """The link, in the answer itself: only its digest is kept."""
        secret = getattr(request, "shown_once", "")
        context = {
            **self.admin_site.each_context(request),
            "title": "New invitation",
            "opts": self.opts,
            "secret": request.build_absolute_uri(reverse("invitation", args=[secret])),
            "what": f"The link for {obj.email}",
            "how": f"Whoever opens it first sets a password and joins as {obj.role}. "
            f"It works once, until {show.exact(obj.expires_at)}.",
            "done_url": show.changelist_url("contacts.invitation"),
        }
        return TemplateResponse(request, "admin/shown_once.html", context)

    @display(description="Role", ordering="role")
    def role_badge(self, obj: Invitation) -> SafeString:
        return show.badge(obj.role)

    @display(description="State")
    def state(self, obj: Invitation) -> SafeString:
        return show.badge(invitation_state(obj))

    @display(description="Expires", ordering="expires_at")
    def expires(self, obj: Invitation) -> SafeString:
        return show.when(obj.expires_at)
