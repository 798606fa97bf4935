"""Accounts: shared by all workspaces, so only an installation's superusers see them.

An account is switched off, not deleted: memberships and the history name it.
"""

from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin
from unfold.decorators import display
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from config.lib.admin import show
from config.lib.errors import Conflict
from contacts.admin.access import actor_of, entry_of, page_of
from contacts.admin.forms import posted_reason
from contacts.admin.listing import BoundedPaginator
from contacts.admin.scope import outside
from contacts.services import factors

admin.site.unregister(User)
admin.site.unregister(Group)


@admin.register(User)
class AccountAdmin(DjangoUserAdmin, ModelAdmin):
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    paginator = BoundedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_fullwidth = True
    list_display = ("username", "email", "switched_on", "superuser", "seen")
    list_filter = ()
    search_fields = ("username", "email")
    search_help_text = "User name or email"
    ordering = ("username",)
    filter_horizontal = ()
    actions = None
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        ("Person", {"fields": (("first_name", "last_name"), "email")}),
        ("Access", {"fields": ("is_active", "is_staff", "is_superuser", "second_factor")}),
        ("More", {"fields": (("last_login", "date_joined"),)}),
    )
    add_fieldsets = (
        (None, {"fields": ("username", "usable_password", "password1", "password2", "is_staff")}),
    )
    readonly_fields = ("last_login", "date_joined", "second_factor")

    def get_urls(self) -> list[URLPattern]:
        return [
            path(
                "<int:user_id>/second-factor/", page_of(self, second_factor_page),
                name="auth_user_second_factor",
            ),
            *super().get_urls(),
        ]  # fmt: skip

    def _may(self, request: HttpRequest) -> bool:
        return entry_of(request) is not None and bool(request.user.is_superuser)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self._may(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may(request)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> None:  # type: ignore[override]
        """Accounts belong to no workspace and so have no Revision; the log file has the request."""

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> None:  # type: ignore[override]
        """See log_addition."""

    @display(description="Active", boolean=True)
    def switched_on(self, obj: User) -> bool:
        return obj.is_active

    @display(description="Superuser", boolean=True)
    def superuser(self, obj: User) -> bool:
        return obj.is_superuser

    @display(description="Second factor")
    def second_factor(self, obj: User) -> SafeString | str:
        factor = factors.factor_of(obj) if obj.pk else None
        if factor is None:
            return "None"
        address = reverse("admin:auth_user_second_factor", args=[obj.pk])
        return format_html(
            '{} · <a class="rm-link" href="{}">Remove it</a>', show.when(factor.created_at), address
        )

    @display(description="Last sign-in", ordering="last_login")
    def seen(self, obj: User) -> SafeString:
        return show.when(obj.last_login)


def second_factor_page(page: AccountAdmin, request: HttpRequest, user_id: int) -> HttpResponse:
    """Remove it for somebody whose phone is lost; the record is in each of their workspaces."""
    account = get_object_or_404(User, pk=user_id)
    if request.method != "POST":
        context = {
            **page.admin_site.each_context(request),
            "title": "Remove second factor",
            "opts": page.opts,
            "original": account,
            "account": account,
            "factor": factors.factor_of(account),
        }
        return TemplateResponse(request, "admin/contacts/remove_factor.html", context)
    if account == request.user:
        raise Conflict("Your own is removed on the page of your second factor, by your password.")
    actor, reason = actor_of(request), posted_reason(request)
    with outside(request):
        factors.remove(actor=actor, user=account, reason=reason)
    messages.success(request, f"{account} comes in by the password alone now.")
    return redirect("admin:auth_user_change", user_id)
