"""The review queue's addresses: one memory at a time, with why it waits and what it rests on,
beside the next ones (review_page.py); decided by keys or by buttons, one by one (review_decide.py)
or many at once (review_many.py), and taken back (review_back.py).

Who decides and what that means: services/review.py. What waits: selectors_review.py.
"""

from collections.abc import Callable
from typing import Any

from django.contrib.admin import AdminSite
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path

from contacts.admin.access import require_role
from contacts.models.workspace import Role
from memory.admin.review_back import back_view
from memory.admin.review_count import forget_count
from memory.admin.review_decide import decide_view
from memory.admin.review_many import many_view
from memory.admin.review_page import queue_view


def review_urls(site: AdminSite) -> list[URLPattern]:
    """The queue's addresses, below the site's."""

    def guarded(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
        def run(request: HttpRequest, **found: Any) -> HttpResponse:
            require_role(request, Role.VIEWER)
            request.current_app = site.name
            if request.method == "POST":
                forget_count()
            return view(site, request, **found)

        return site.admin_view(run)

    return [
        path("review/", guarded(queue_view), name="review"),
        path("review/many/", guarded(many_view), name="review_many"),
        path("review/back/", guarded(back_view), name="review_back"),
        path("review/<uuid:memory_id>/", guarded(decide_view), name="review_decide"),
    ]
