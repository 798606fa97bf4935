"""What the model that proposes was asked for, by day: what it costs, and what came to nothing."""

from django.conf import settings
from django.contrib import admin
from unfold.decorators import display

from config.lib.admin import show
from contacts.admin.base import ReadOnlyAdmin
from memory.models import ModelUse


@admin.register(ModelUse)
class ModelUseAdmin(ReadOnlyAdmin):
    when_empty = (
        "What the model that proposes memories was asked stands here, by day, where one is "
        "configured."
    )
    list_display = ("day", "calls", "spent", "share", "failures")
    ordering = ("-day",)
    fields = readonly_fields = (
        "day", "calls", "spent", "share", "failures", "problem", "made", "ids",
    )  # fmt: skip

    @display(description="Tokens", ordering="tokens")
    def spent(self, obj: ModelUse) -> str:
        return f"{obj.tokens:,}"

    @display(description="Of a day's budget")
    def share(self, obj: ModelUse) -> str:
        """Of REMEMBRANCER_EXTRACT_TOKENS as it is now."""
        budget = settings.EXTRACT_TOKENS
        return f"{obj.tokens / budget:.0%}" if budget else show.EMPTY
