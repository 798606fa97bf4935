"""Erasures: proposed with a look at what would go, confirmed by its name, done by a job, lifted.

What is removed, and how, is in memory/erasing; here is who asked, and what state it is in.
"""

import traceback
import uuid
from datetime import timedelta
from typing import Any, cast

import structlog
from django.db import DatabaseError

from config.lib import clock
from config.lib.actor import Actor, Kind
from config.lib.db.again import again
from config.lib.errors import Conflict, DomainError, Invalid
from config.lib.ids import short_id
from config.lib.jobs import Job
from config.lib.scope import current_workspace_id, workspace_scope
from config.lib.wording import words_of
from contacts.models import Contact, Erasure, Tombstone
from contacts.models.erasure import ACTIVE, ErasureKind, ErasureState
from contacts.services import erasing, funnel
from memory.erasing import work
from memory.models import Memory
from memory.verify.report import patient_scope
from sessions.models import Session

log = structlog.get_logger()

TASK, QUEUE = "memory.work_erasure", "upkeep"
LOST = timedelta(minutes=1)
# Shorter ones stand everywhere; longer ones nobody types.
FEWEST_CHARACTERS, MOST_WORDS = 3, 20
TARGETS: dict[ErasureKind, Any] = {
    ErasureKind.MEMORY: Memory,
    ErasureKind.SESSION: Session,
    ErasureKind.CONTACT: Contact,
}
WAITING = (ErasureState.PROPOSED, ErasureState.FAILED)


def propose_erasure(
    *,
    actor: Actor,
    kind: ErasureKind,
    target_id: uuid.UUID | None = None,
    term: str = "",
    reason: str = "",
    job: bool = True,
) -> Erasure:
    """Have it looked at what an erasure would remove. Nothing goes before `begin_erasure`.

    Of a term `term`, of all others `target_id`. Without `job`, the caller looks (`look_now`).
    """
    if kind is ErasureKind.TERM:
        words = words_of(term)
        if target_id is not None or sum(map(len, words)) < FEWEST_CHARACTERS:
            raise Invalid({"term": f"needs at least {FEWEST_CHARACTERS} letters or digits"})
        if len(words) > MOST_WORDS:
            raise Invalid({"term": f"has {len(words)} words; at most {MOST_WORDS}"})
    elif target_id is None or term:
        raise Invalid({"target_id": f"name the {kind.label.lower()}, and no term"})
    else:
        funnel.get_row(TARGETS[kind], target_id)
    erasure = Erasure(
        kind=kind, target_id=target_id, wanted=term.strip(), reason=reason,
        actor_kind=actor.kind, actor_id=actor.id, actor_label=actor.label, beat_at=clock.now(),
    )  # fmt: skip
    funnel.create(erasure, actor=actor, action="propose")
    if job:
        job_of(erasure.pk).defer_on_commit()
    return erasure


def confirmation_of(erasure: Erasure) -> str:
    """What somebody types who means it: the term, or the end of the row's id."""
    if erasure.kind == ErasureKind.TERM:
        return str(erasure.wanted)
    return short_id(erasure.target_id) if erasure.target_id else ""


def begin_erasure(
    *,
    actor: Actor,
    erasure_id: uuid.UUID,
    confirm: str,
    expected_version: int | None = None,
    job: bool = True,
) -> Erasure:
    """Erase from now on, in the name of `actor`; it is not undone. Conflict from another state and
    where looking at it failed, Invalid where `confirm` is not what `confirmation_of` says."""
    erasure = funnel.get_row(Erasure, erasure_id, lock=True)
    _require(erasure, *WAITING)
    if not erasure.preview:
        raise Conflict("It was not seen what this would remove; ask anew.", code="wrong_state")
    if not confirm or confirm.strip() != confirmation_of(erasure):
        raise Invalid({"confirm": "is not the term, or the end of the row's id; nothing was done"})
    changes = {
        "state": ErasureState.RUNNING, "actor_kind": actor.kind, "actor_id": actor.id,
        "actor_label": actor.label,
    }  # fmt: skip
    funnel.update(erasure, changes, actor=actor, action="run", expected_version=expected_version)
    now = clock.now()
    funnel.touch(erasure, started_at=now, beat_at=now, ended_at=None, error="")
    if job:
        job_of(erasure.pk).defer_on_commit()
    return erasure


def drop_erasure(*, actor: Actor, erasure_id: uuid.UUID) -> Erasure:
    """Leave it. What it was about is forgotten here too."""
    erasure = funnel.get_row(Erasure, erasure_id, lock=True)
    _require(erasure, *WAITING)
    changes = {"state": ErasureState.DROPPED, "wanted": ""}
    return funnel.update(erasure, changes, actor=actor, action="drop")


def lift_erasure(*, actor: Actor, erasure_id: uuid.UUID, reason: str = "") -> Erasure:
    """Let what was erased be stored again, should it come; nothing comes back by this."""
    erasure = funnel.get_row(Erasure, erasure_id, lock=True)
    _require(erasure, ErasureState.DONE)
    if erasure.lifted_at is not None:
        raise Conflict("This erasure was lifted already.", code="wrong_state")
    Tombstone.objects.filter(erasure=erasure).delete()
    return funnel.update(
        erasure, {"lifted_at": clock.now()}, actor=actor, action="lift", reason=reason
    )


def _require(erasure: Erasure, *states: ErasureState) -> None:
    if erasure.state not in states:
        raise Conflict(
            f"This erasure is {ErasureState(erasure.state).label.lower()}.", code="wrong_state"
        )


# --- The job ----------------------------------------------------------------------------------


def job_of(erasure_id: uuid.UUID) -> Job:
    return Job(
        task=TASK,
        queue=QUEUE,
        lock=f"erasure:{erasure_id}",
        arguments={"workspace_id": str(current_workspace_id()), "erasure_id": str(erasure_id)},
        alone=True,
    )


def lost_erasures() -> list[uuid.UUID]:
    """Those whose job died. Index erasure_active."""
    rows = Erasure.objects.filter(state__in=ACTIVE, beat_at__lt=clock.now() - LOST)
    return list(rows.values_list("pk", flat=True)[:100])


def work_erasure(workspace_id: uuid.UUID, erasure_id: uuid.UUID) -> None:
    """The step that an erasure waits for, all of it. Outside any scope; what fails is written on
    it, without a word of what it is about."""
    with workspace_scope(workspace_id):
        erasure = Erasure.objects.filter(pk=erasure_id, state__in=ACTIVE).first()
    if erasure is None:
        return
    try:
        if erasure.state == ErasureState.LOOKING:
            look_now(workspace_id, erasure_id)
        else:
            run_now(workspace_id, erasure)
    except DomainError as error:
        _fail(workspace_id, erasure_id, error.detail)
    except Exception as error:
        # Its message may quote a row.
        kind, lines = type(error).__name__, traceback.format_tb(error.__traceback__)
        log.error("erasure_failed", erasure=str(erasure_id), error=kind, where=lines[-3:])
        refused = isinstance(error, DatabaseError)
        said = "The database refused it" if refused else f"A fault ended it ({kind})"
        _fail(workspace_id, erasure_id, f"{said}; nothing was removed.")


def look_now(workspace_id: uuid.UUID, erasure_id: uuid.UUID) -> dict[str, Any]:
    """Work out what it would do, and put it on the erasure."""
    with patient_scope(workspace_id):
        preview = work.look(Erasure.objects.get(pk=erasure_id))
        erasure = funnel.get_row(Erasure, erasure_id, lock=True)
        if erasure.state == ErasureState.LOOKING:
            funnel.touch(erasure, preview=preview, beat_at=clock.now())
            changes = {"state": ErasureState.PROPOSED}
            funnel.update(erasure, changes, actor=_actor(erasure), action="look")
    return preview


def run_now(workspace_id: uuid.UUID, erasure: Erasure) -> dict[str, Any]:
    """Carry out one that was begun; the report."""
    return again(lambda: work.carry_out(workspace_id, erasure.pk, actor=_actor(erasure)))


def _actor(erasure: Erasure) -> Actor:
    kind = cast(Kind, erasure.actor_kind)
    return Actor(kind, erasure.actor_id, erasure.actor_label, "job", str(erasure.pk))


def _fail(workspace_id: uuid.UUID, erasure_id: uuid.UUID, why: str) -> None:
    with workspace_scope(workspace_id):
        if not erasing.keep_off(erasure_id):
            return  # another process is removing what it is about
        erasure = funnel.get_row(Erasure, erasure_id, lock=True)
        if erasure.state in ACTIVE:
            # What is there still may be written again.
            Tombstone.objects.filter(erasure=erasure).delete()
            funnel.touch(erasure, error=why[:1000], ended_at=clock.now())
            changes = {"state": ErasureState.FAILED}
            funnel.update(erasure, changes, actor=_actor(erasure), action="fail")
