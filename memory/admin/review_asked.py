"""What a review address says: which part of the queue, and where in it."""

import uuid
from dataclasses import dataclass
from urllib.parse import urlencode

from django.http import HttpRequest
from django.urls import reverse

from memory.models.memory import Kind
from memory.selectors_review import ReviewFilter, Why

FILTERS = ("agent", "key", "session", "source", "kind")
# Without one of these a bulk decision would be about everything.
BULK_NEEDS = ("agent", "key", "session", "source")
LABELS = {
    Why.PROPOSED: "Proposed",
    Why.QUARANTINED: "Quarantined",
    Why.CONTRADICTING: "Contradicting",
    Why.UNSURE: "Low confidence",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What the address says: which part of the queue, and where in it."""

    wanted: ReviewFilter
    why: Why | None
    at: uuid.UUID | None

    @property
    def filters(self) -> dict[str, str]:
        found = {name: getattr(self.wanted, name) for name in FILTERS}
        values = {name: str(value) for name, value in found.items() if value}
        return {**values, **({"why": self.why.value} if self.why else {})}

    def url(self, at: object = None, **changed: str) -> str:
        """The queue with these filters, `changed` ones changed (empty ones left out)."""
        values = {**self.filters, **changed, **({"at": str(at)} if at else {})}
        query = urlencode({name: value for name, value in values.items() if value})
        address = reverse("admin:review")
        return f"{address}?{query}" if query else address


def asked(request: HttpRequest) -> Asked:
    """Out of the address; what is no id, kind or reason asks for nothing."""
    values = {name: request.GET.get(name, "").replace("\x00", "").strip() for name in FILTERS}
    why = request.GET.get("why", "")
    return Asked(
        wanted=ReviewFilter(
            agent=read_id(values["agent"]),
            key=read_id(values["key"]),
            session=read_id(values["session"]),
            source=values["source"][:60],
            kind=values["kind"] if values["kind"] in Kind.values else "",
        ),
        why=Why(why) if why in set(Why) else None,
        at=read_id(request.GET.get("at", "")),
    )


def read_id(value: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(value)
    except ValueError:
        return None
