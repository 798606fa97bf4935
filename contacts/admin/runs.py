"""Pages of runs: work that a job does for a person, on a page that brings itself up to date."""

import uuid
from datetime import datetime, timedelta
from typing import Any, ClassVar

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.safestring import SafeString
from unfold.decorators import display

from config.lib import clock
from config.lib.admin import show
from config.lib.text import visible
from contacts.admin.access import page_of
from contacts.admin.base import ReadOnlyAdmin

# Jobs are heard of every few seconds; who was silent for longer may be gone.
QUIET = timedelta(seconds=15)


def silence(beat_at: datetime | None, lost: timedelta) -> dict[str, Any] | None:
    """Of a run that a job should be working on, and nothing is heard of: {since, again}, the time
    at which the sweep, at each full minute, gives it to another; None where that has passed."""
    now = clock.now()
    if beat_at is None or now - beat_at < QUIET:
        return None
    again = (beat_at + lost).replace(second=0, microsecond=0) + timedelta(minutes=1)
    return {"since": beat_at, "again": again if again > now else None}


class RunAdmin(ReadOnlyAdmin):
    """`page` shows a run, `part` what of it changes; both get `progress_of`. `tones` are of its
    states."""

    page: str
    part: str
    tones: ClassVar[dict[Any, str]]
    ordering = ("-created_at", "-id")

    def title_of(self, row: Any) -> str:
        raise NotImplementedError

    def progress_of(self, request: HttpRequest, row: Any) -> dict[str, Any]:
        """How far it is, and what it did."""
        raise NotImplementedError

    def state_of(self, row: Any) -> Any:
        return row.state

    def page_url(self, row: Any) -> str:
        return show.change_url(self.opts.label_lower, row.pk) or ""

    def find(self, object_id: uuid.UUID) -> Any:
        row = self.model.objects.filter(pk=object_id).first()
        if row is None:
            raise Http404
        return row

    def get_urls(self) -> list[URLPattern]:
        view = page_of(self, type(self).progress_view)
        name = f"{self.opts.app_label}_{self.opts.model_name}_progress"
        return [path("<uuid:object_id>/progress/", view, name=name), *super().get_urls()]

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        if request.method != "GET":
            raise PermissionDenied
        row = self.get_object(request, object_id)
        if row is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)
        request.current_app = self.admin_site.name
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "original": row,
            "title": visible(self.title_of(row)),
            **self._context(request, row),
        }
        return TemplateResponse(request, self.page, context)

    def progress_view(self, request: HttpRequest, object_id: uuid.UUID) -> HttpResponse:
        """What of the page changes, alone."""
        row = self.find(object_id)
        return TemplateResponse(request, self.part, self._context(request, row))

    def _context(self, request: HttpRequest, row: Any) -> dict[str, Any]:
        if not self.has_view_permission(request):
            raise PermissionDenied
        return {
            "run": row,
            "state": self.state_badge(row),
            "page": self.page_url(row),
            "buttons": self.buttons(request, row),
            "links": self.row_links(request, row),
            **self.progress_of(request, row),
        }

    @display(description="State", ordering="state")
    def state_badge(self, obj: Any) -> SafeString:
        state = self.state_of(obj)
        return show.badge(str(state), tone=self.tones[state])

    @display(description="By", ordering="actor_label")
    def by(self, obj: Any) -> str:
        return str(obj.actor_label)
