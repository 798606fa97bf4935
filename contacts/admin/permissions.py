"""What a role may do with rows of a model, for Django's own questions about it."""

from typing import Any

from django.http import HttpRequest

from contacts.admin.access import allows
from contacts.models.workspace import Role


class Permissions:
    """What a role may do with rows of a model; None is what nobody does here."""

    view_role: Role | None = Role.VIEWER
    add_role: Role | None = Role.OPERATOR
    change_role: Role | None = Role.OPERATOR
    delete_role: Role | None = Role.OPERATOR
    # Where `change_role` is below an operator: the fields that it decides on.
    decided: frozenset[str] = frozenset()

    def has_module_permission(self, request: HttpRequest) -> bool:
        return allows(request, self.view_role)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return allows(request, self.view_role)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return allows(request, self.add_role)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return allows(request, self.change_role)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return allows(request, self.delete_role)
