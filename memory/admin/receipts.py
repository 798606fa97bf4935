"""Searches that were made, and what askers said of hits: to look at, ask again and pin."""

import uuid
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import (
    AutocompleteSelectFilter,
    ChoicesDropdownFilter,
    DropdownFilter,
)
from unfold.decorators import display

from config.lib.actor import Actor
from config.lib.admin import show
from contacts.admin.access import page_of
from contacts.admin.actions import PageLink, RowAction
from contacts.admin.base import ReadOnlyAdmin
from contacts.admin.filters import DaysFilter
from contacts.models.workspace import Role
from memory.admin.again import ask_again
from memory.admin.asking import address_of
from memory.admin.found import row_link
from memory.models import GoldenQuery, Receipt, SearchFeedback
from memory.search.schemas import SearchMode
from memory.services.golden import pin_receipt

VERDICTS = {"useful": "green", "wrong": "red", "outdated": "amber"}
FIGURES = ("bm25", "cosine", "rerank_score")
MOST_FEEDBACK = 200


def _pin(*, actor: Actor, row: Receipt, reason: str) -> GoldenQuery:
    return pin_receipt(actor=actor, receipt=row, reason=reason)


class ModeFilter(DropdownFilter):
    title = "mode"
    parameter_name = "mode"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(mode.value, mode.value) for mode in SearchMode]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(mode=self.value()) if self.value() else queryset


class FoundFilter(DropdownFilter):
    title = "hits"
    parameter_name = "found"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("none", "None"), ("some", "Some")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """None by index receipt_empty."""
        match self.value():
            case "none":
                return queryset.filter(hit_count=0)
            case "some":
                return queryset.filter(hit_count__gt=0)
        return queryset


@admin.register(Receipt)
class ReceiptAdmin(ReadOnlyAdmin):
    when_empty = "Each search is kept for some weeks: what was asked, what was found, and why."
    list_display = ("query", "mode", "hit_count", "took", "asker", "made")
    list_filter = (
        ModeFilter,
        FoundFilter,
        ("agent", AutocompleteSelectFilter),
        ("created_at", DaysFilter),
    )
    list_defer = ("hits", "request", "filters")
    search_fields = ("q",)
    search_help_text = "Words of the query"
    ordering = ("-created_at", "-id")
    change_form_outer_before_template = "admin/includes/conflict.html"
    fields = readonly_fields = (
        "query_text", "hits_shown", "mode", "ran", "asked", "narrowed", "took", "asker", "agent",
        "space", "weights", "made", "ids",
    )  # fmt: skip
    row_actions = (
        RowAction("pin", "Pin as golden query", "Pinned: it is asked after the index has changed.",
                  "push_pin", Role.OPERATOR, _pin, bulk=False, tone="primary",
                  open_to=lambda row: bool(row.hits)),
    )  # fmt: skip

    def get_urls(self) -> list[URLPattern]:
        view = page_of(self, ReceiptAdmin.again_view)
        name = "memory_receipt_again"
        return [path("<uuid:object_id>/again/", view, name=name), *super().get_urls()]

    def again_view(self, request: HttpRequest, object_id: uuid.UUID) -> HttpResponse:
        """The search asked again, with what differs."""
        context = {**self.admin_site.each_context(request), "opts": self.opts}
        return ask_again(request, object_id, context)

    def row_links(self, request: HttpRequest, row: Receipt) -> list[PageLink]:
        again = reverse("admin:memory_receipt_again", args=[row.pk])
        search = f"{reverse('admin:search')}?{address_of(row.request)}"
        return [
            PageLink("Ask again", again, "replay"),
            PageLink("Open on the search page", search, "search"),
        ]

    @display(description="Query", ordering="q")
    def query(self, obj: Receipt) -> SafeString:
        return show.preview(obj.q or "(no words)")

    @display(description="Query")
    def query_text(self, obj: Receipt) -> SafeString:
        return show.long_text(obj.q)

    @display(description="Took", ordering="took_ms")
    def took(self, obj: Receipt) -> str:
        return f"{obj.took_ms:,.1f} ms"

    @display(description="Legs")
    def ran(self, obj: Receipt) -> str:
        return ", ".join(obj.legs) or show.EMPTY

    @display(description="Asked")
    def asked(self, obj: Receipt) -> SafeString:
        return show.json_block(obj.request)

    @display(description="Filters")
    def narrowed(self, obj: Receipt) -> SafeString:
        return show.json_block(obj.filters)

    @display(description="Hits")
    def hits_shown(self, obj: Receipt) -> SafeString:
        said: dict[tuple[str, str], list[SafeString]] = {}
        for one in obj.feedback.order_by("id")[:MOST_FEEDBACK]:
            badge = show.badge(one.verdict, tone=VERDICTS[one.verdict])
            said.setdefault((one.kind, str(one.hit_id)), []).append(badge)
        if not obj.hits:
            return format_html("{}", show.EMPTY)
        return format_html_join(
            "\n",
            "<div>{}. {} <span class='rm-faint'>{}</span> {}</div>",
            (
                (
                    hit["rank"],
                    row_link(hit["kind"], hit["id"]),
                    _figures(hit),
                    format_html_join(" ", "{}", ((b,) for b in said.get(_key(hit), ()))),
                )
                for hit in obj.hits
            ),
        )


def _key(hit: dict[str, Any]) -> tuple[str, str]:
    return hit["kind"], hit["id"]


def _figures(hit: dict[str, Any]) -> str:
    legs = [f"{name} {hit[name]:.3f}" for name in FIGURES if hit.get(name) is not None]
    return ", ".join([f"score {hit['score']:.3f}", *legs])


@admin.register(SearchFeedback)
class SearchFeedbackAdmin(ReadOnlyAdmin):
    when_empty = "What askers say of hits stands here: useful, wrong, outdated."
    list_display = ("verdict_badge", "hit", "search", "beginning", "asker_label", "made")
    list_filter = (("verdict", ChoicesDropdownFilter), ("created_at", DaysFilter))
    list_select_related = ("receipt",)
    list_defer = ("receipt__hits", "receipt__request", "receipt__filters")
    search_fields = ("note",)
    search_help_text = "Words of the note"
    ordering = ("-id",)
    fields = readonly_fields = (
        "verdict_badge", "hit", "search", "said", "asker_label", "made", "changed", "ids",
    )  # fmt: skip

    @display(description="Verdict", ordering="verdict")
    def verdict_badge(self, obj: SearchFeedback) -> SafeString:
        return show.badge(obj.verdict, tone=VERDICTS[obj.verdict])

    @display(description="Hit")
    def hit(self, obj: SearchFeedback) -> SafeString:
        return row_link(obj.kind, obj.hit_id)

    @display(description="Search")
    def search(self, obj: SearchFeedback) -> SafeString:
        url = show.change_url("memory.receipt", obj.receipt_id)
        return show.link(url or "", str(obj.receipt))

    @display(description="Note")
    def beginning(self, obj: SearchFeedback) -> SafeString:
        return show.preview(obj.note)

    @display(description="Note")
    def said(self, obj: SearchFeedback) -> SafeString:
        return show.long_text(obj.note)
