"""Sessions of which a digest came before the transcript: one session, not two.

claude-mem keeps what it learned of an agent's session under the agent's own id of it, with the
prompts. Whoever brings the session itself goes on with the row that the digest made.
"""

from collections.abc import Collection, Mapping
from typing import Any

from config.lib.actor import Actor
from contacts.services import funnel
from sessions.models import Session
from sessions.models.session import State

# Who tells a session whole -> who keeps digests of it, by the same external_id.
DIGESTS: Mapping[str, tuple[str, ...]] = {"claude-code": ("claude-mem",)}


def adopt_digested(*, actor: Actor, source: str, names: Collection[str]) -> None:
    """Sessions of these names that a digest brought are `source`'s from now on. When they ended is
    its to say."""
    if not names or source not in DIGESTS:
        return
    rows = Session.objects.filter(source__in=DIGESTS[source], external_id__any_of=list(names))
    sessions = list(rows.order_by("pk").select_for_update(no_key=True))
    there = Session.objects.filter(source=source, external_id__any_of=list(names))
    taken = set(there.values_list("external_id", flat=True)) if sessions else set()
    # Of two by the same name both stay.
    sessions = [session for session in sessions if session.external_id not in taken]
    changes: dict[str, Any] = {
        "source": source, "ended_at": None, "end_reason": "", "current_state": State.IDLE,
    }  # fmt: skip
    funnel.update_many(
        sessions, {session.pk: changes for session in sessions}, actor=actor, action="import"
    )
