"""Accounts: shared by all workspaces, so only an installation's superusers see them.

An account is switched off, not deleted: memberships and the history name it.
"""

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, User
from django.http import HttpRequest
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin
from unfold.decorators import display
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from config.lib.admin import show
from contacts.admin.access import entry_of
from contacts.admin.listing import BoundedPaginator

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
        ("Access", {"fields": ("is_active", "is_staff", "is_superuser")}),
        ("More", {"fields": (("last_login", "date_joined"),)}),
    )
    add_fieldsets = (
        (None, {"fields": ("username", "usable_password", "password1", "password2", "is_staff")}),
    )
    readonly_fields = ("last_login", "date_joined")

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

    @display(description="Last sign-in", ordering="last_login")
    def seen(self, obj: User) -> SafeString:
        return show.when(obj.last_login)
