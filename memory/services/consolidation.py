"""Episodes become a narrative: a closed session's memories, or those of a day without a session.

A run is one unit. It is planned in one transaction, thought about in none (each draft is kept as it
comes, so that a run that died goes on), and written in one: the narratives with their links
`derived_from`, and `consolidated` on what they tell of. It is taken back in one as well. Nothing is
lost by it: sources stay in use, unless the workspace has them archived; then a run that would
archive more than its share waits for a person.

A narrative is trusted as its least trusted source, and in one project, as they are. What waits in
quarantine or came from outside is never told. Which sentences are taken: memory/summaries.
"""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from typing import Any

import structlog
from django.db.models import Count, Q, QuerySet
from django.db.models.functions import TruncDate

from config.lib import clock
from config.lib.actor import Actor
from config.lib.errors import Conflict
from config.lib.jobs import Job
from config.lib.redact import redact_text
from config.lib.scope import current_workspace_id, workspace_scope
from config.lib.wording import ERASED
from contacts.models import Revision
from contacts.preferences import preferences
from contacts.services import funnel
from memory.models import ConsolidationRun, Memory, MemoryLink
from memory.models.consolidation import ConsolidationState
from memory.models.links import Relation
from memory.models.memory import (
    CONSOLIDATED_METHOD,
    EPISODES,
    STANDING,
    UNVOUCHED,
    Kind,
    MemoryState,
    Trust,
)
from memory.services import queue
from memory.services.authority import least
from memory.services.lessons import METHOD
from memory.services.memories import NewMemory, create_memory
from memory.summaries import Draft, Material, SummaryError, get_summarizer
from memory.summaries.base import Said
from memory.summaries.extractive import ExtractiveSummarizer
from sessions.models import Session

log = structlog.get_logger()

TASK = "memory.consolidate"
PRIORITY = -40
# Fewer say as much by themselves as a text about them.
LEAST_SOURCES = 3
# One run is one transaction.
MOST_GROUPS, MOST_SOURCES = 50, 100
MOST_SOURCE_TEXT = 4_000
LOST = timedelta(minutes=5)
_FIXED = METHOD + "fixed"
_LISTS = ("sources", "told")
_OF_DRAFT = ("draft", "read", "memory")
_EVENT_TYPES = {
    Kind.DECISION: "decision",
    Kind.LEARNING_PATTERN: "pattern_identified",
    Kind.TASK_EXECUTION: "outcome",
}


@dataclass(frozen=True, slots=True)
class Group:
    """What one narrative tells of: a session, or a day without one."""

    sources: list[str]
    title: str
    session: str = ""
    day: str = ""
    project: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run would read, make and change, and how many it would archive of how many in use."""

    groups: list[Group]
    would_hide: int
    of: int

    @property
    def read(self) -> int:
        return sum(len(group.sources) for group in self.groups)


def consolidate_job(workspace_id: uuid.UUID) -> Job:
    return Job(
        task=TASK,
        queue=queue.QUEUE,
        lock=f"consolidate:{workspace_id}",
        arguments={"workspace_id": str(workspace_id)},
        priority=PRIORITY,
        alone=True,
    )


# --- Planning -------------------------------------------------------------------------------------


def plan(*, hides: bool, again: bool = True) -> Plan:
    """What there is to tell, oldest first, at most MOST_GROUPS of it; without `again` nothing that
    a person did not want told. In a scope. Index memory_unconsolidated."""
    untold = _untold() if again else _untold().exclude(pk__in=_unwanted())
    groups = [*_of_sessions(untold, MOST_GROUPS)]
    groups += _of_days(untold, MOST_GROUPS - len(groups))
    would_hide = of = 0
    if hides and groups:
        ids = [pk for group in groups for pk in group.sources]
        would_hide = _hidden(Memory.objects.filter(pk__in=ids)).count()
        of = Memory.objects.filter(state=MemoryState.ACTIVE).count()
    return Plan(groups, would_hide, of)


def _untold() -> QuerySet[Memory]:
    return Memory.objects.filter(
        ~Q(trust=Trust.EXTERNAL),
        ~Q(method=CONSOLIDATED_METHOD),
        state=MemoryState.ACTIVE,
        consolidated=False,
        kind__in=EPISODES,
    )


def _unwanted() -> set[str]:
    """What runs told that were taken back, or would have told that were dismissed."""
    states = (ConsolidationState.REVERTED, ConsolidationState.DISMISSED)
    runs = ConsolidationRun.objects.filter(state__in=states).values_list("groups", flat=True)
    return {pk for groups in runs for group in groups for pk in group["sources"]}


def _hidden(rows: QuerySet[Memory]) -> QuerySet[Memory]:
    """What a run may archive: nothing that a person vouched for or pinned, nothing that holds."""
    return rows.filter(trust__in=UNVOUCHED, pinned=False).exclude(kind__in=STANDING)


def _of_sessions(untold: QuerySet[Memory], most: int) -> Iterable[Group]:
    told = (
        untold.filter(session__ended_at__isnull=False)
        .values("session_id", "project_id")
        .annotate(rows=Count("id"))
        .filter(rows__gte=LEAST_SOURCES)
        .order_by("session_id", "project_id")[:most]
    )
    for one in told:
        rows = untold.filter(session_id=one["session_id"], project_id=one["project_id"])
        session = Session.objects.get(pk=one["session_id"])
        yield Group(
            sources=_ids(rows),
            title=session.name or f"Session of {session.created_at:%Y-%m-%d}",
            session=str(session.pk),
            project=str(one["project_id"] or ""),
        )


def _of_days(untold: QuerySet[Memory], most: int) -> list[Group]:
    zone = preferences().timezone
    today = clock.now().astimezone(zone).date()
    told = (
        untold.filter(session=None)
        .annotate(day=TruncDate("recorded_at", tzinfo=zone))
        .values("day", "project_id")
        .annotate(rows=Count("id"))
        .filter(rows__gte=LEAST_SOURCES, day__lt=today)
        .order_by("day", "project_id")[: max(0, most)]
    )
    return [
        Group(
            sources=_ids(
                untold.filter(session=None, project_id=one["project_id"], **_on(one["day"], zone))
            ),
            title=f"{one['day']:%Y-%m-%d}",
            day=f"{one['day']:%Y-%m-%d}",
            project=str(one["project_id"] or ""),
        )
        for one in told
    ]


def _on(day: date, zone: Any) -> dict[str, datetime]:
    start = datetime(day.year, day.month, day.day, tzinfo=zone)
    after = day + timedelta(days=1)
    end = datetime(after.year, after.month, after.day, tzinfo=zone)
    return {"recorded_at__gte": start, "recorded_at__lt": end}


def _ids(rows: QuerySet[Memory]) -> list[str]:
    return [str(pk) for pk in rows.order_by("id").values_list("id", flat=True)[:MOST_SOURCES]]


# --- Running --------------------------------------------------------------------------------------


def begin(
    *, actor: Actor, hides: bool | None = None, again: bool = True
) -> ConsolidationRun | None:
    """A planned run, for the job to do; None where there is nothing to tell, without `again`
    nothing but what a person did not want told. Held where it would archive more than the
    workspace lets it. Conflict (`running`) beside another one. In a scope."""
    if ConsolidationRun.objects.filter(
        state__in=(ConsolidationState.RUNNING, ConsolidationState.HELD)
    ).exists():
        raise Conflict("A consolidation runs or waits for a person already.", code="running")
    wanted = preferences().consolidation
    hides = wanted.hide if hides is None else hides
    planned = plan(hides=hides, again=again)
    if not planned.groups:
        return None
    held = ""
    if planned.would_hide > wanted.most_share * planned.of:
        held = (
            f"It would archive {planned.would_hide:,} of {planned.of:,} memories in use, more than "
            f"the {wanted.most_share:.0%} that it may by itself."
        )
    run = ConsolidationRun(
        actor_id=actor.id,
        actor_label=actor.label,
        hides=hides,
        state=ConsolidationState.HELD if held else ConsolidationState.RUNNING,
        held=held,
        groups=[asdict(group) for group in planned.groups],
        read=planned.read,
        would_hide=planned.would_hide,
        of=planned.of,
    )
    if not held:
        consolidate_job(current_workspace_id()).defer_on_commit()
    return funnel.create(run, actor=actor)


def release(*, actor: Actor, run_id: uuid.UUID, reason: str = "") -> ConsolidationRun:
    """A person lets a held run go on. Conflict (`not_held`)."""
    run = _decide(actor, run_id, ConsolidationState.RUNNING, reason)
    consolidate_job(current_workspace_id()).defer_on_commit()
    return run


def dismiss(*, actor: Actor, run_id: uuid.UUID, reason: str = "") -> ConsolidationRun:
    """A person wants none of a held run. Conflict (`not_held`)."""
    return _decide(actor, run_id, ConsolidationState.DISMISSED, reason)


def _decide(
    actor: Actor, run_id: uuid.UUID, state: ConsolidationState, reason: str
) -> ConsolidationRun:
    run = _locked(run_id)
    if run.state != ConsolidationState.HELD:
        raise Conflict(f"This consolidation is {run.state}.", code="not_held")
    return funnel.update(run, {"state": state}, actor=actor, reason=reason)


def work(workspace_id: uuid.UUID) -> ConsolidationRun | None:
    """Do the run that goes on in a workspace, from where it stopped. Outside any scope."""
    while True:
        with workspace_scope(workspace_id):
            run = ConsolidationRun.objects.filter(state=ConsolidationState.RUNNING).first()
            if run is None:
                return None
            place = next((at for at, one in enumerate(run.groups) if "draft" not in one), None)
            if place is None:
                run = _write(run.pk)
                if run.state == ConsolidationState.RUNNING:
                    continue  # of something that was told there are other sources now
                return run
            group = run.groups[place]
            rows = list(_still_to_tell(run, group))
        told = len(rows) >= LEAST_SOURCES
        draft, method = _draft(_material(group, rows), run.pk) if told else (None, run.method)
        with workspace_scope(workspace_id):
            run = _locked(run.pk)
            if run.state != ConsolidationState.RUNNING:
                return run
            if run.groups[place] != group:
                continue  # some of it was erased meanwhile, and is in the draft
            drafted = {
                "draft": asdict(draft) if draft else {},
                "read": [str(one.pk) for one in rows],
            }
            run.groups[place] = group | drafted
            funnel.touch(run, groups=run.groups, beat_at=clock.now(), method=method[:60])


def _still_to_tell(run: ConsolidationRun, group: Mapping[str, Any]) -> QuerySet[Memory]:
    """Its sources without what was changed, told or taken away since the run was planned."""
    rows = _untold().filter(pk__in=group["sources"], updated_at__lte=run.started_at)
    return rows.order_by("recorded_at", "id")


def _material(group: Mapping[str, Any], rows: Sequence[Memory]) -> Material:
    said = [
        Said(
            at=row.recorded_at,
            who="event" if _event_type(row) else "assistant",
            text=redact_text(row.text[:MOST_SOURCE_TEXT]),
            event_type=_event_type(row),
        )
        for row in rows
    ]
    return Material(name=group["title"], said=said, total=len(said))


def _event_type(row: Memory) -> str:
    if row.kind == Kind.TASK_EXECUTION and row.data.get("status") == "failed":
        return "error_encountered"
    return "outcome" if row.method == _FIXED else _EVENT_TYPES.get(Kind(row.kind), "")


def _draft(material: Material, run_id: uuid.UUID) -> tuple[Draft, str]:
    """By the configured way; by arithmetic where that fails: a run must not wait for a model."""
    try:
        summarizer = get_summarizer()
        return summarizer.summarize(material), summarizer.method
    except SummaryError as error:
        log.warning("consolidated_without_model", run=str(run_id), error=str(error))
        return ExtractiveSummarizer(None).summarize(material), ExtractiveSummarizer.method


# --- Writing --------------------------------------------------------------------------------------


def _write(run_id: uuid.UUID) -> ConsolidationRun:
    """All of it, or nothing. What was changed, told or taken away since is left out, also of what
    is said: where something was since it was drafted, that is to be drafted again, and the run goes
    on."""
    run = _locked(run_id)
    if run.state != ConsolidationState.RUNNING:
        return run
    actor = _actor(run)
    found = []
    for group in run.groups:
        rows = list(_still_to_tell(run, group).order_by("id").select_for_update(no_key=True))
        if {str(row.pk) for row in rows} != set(group.get("read", ())):
            group.pop("draft", None)
        found.append((group, rows))
    if any("draft" not in group for group in run.groups):
        funnel.touch(run, groups=run.groups)
        return run
    made = changed = 0
    for group, rows in found:
        if len(rows) >= LEAST_SOURCES:
            memory = _narrative(run, group, rows, actor)
            group |= {"memory": str(memory.pk), "told": [str(row.pk) for row in rows]}
            _mark(run, rows, actor)
            made += 1
            changed += len(rows)
        # Its words are the narrative's now, and go with it.
        del group["draft"]
        group.pop("read", None)
    funnel.touch(run, groups=run.groups, made=made, changed=changed, ended_at=clock.now())
    return funnel.update(run, {"state": ConsolidationState.DONE}, actor=actor)


def _actor(run: ConsolidationRun) -> Actor:
    return Actor("system", str(run.pk), "consolidation", "job")


def _narrative(
    run: ConsolidationRun, group: Mapping[str, Any], rows: Sequence[Memory], actor: Actor
) -> Memory:
    draft = Draft(**group["draft"])
    agents = {row.agent_id for row in rows}
    fields: dict[str, Any] = {
        "kind": Kind.OBSERVATION,
        "method": CONSOLIDATED_METHOD,
        "trust": least([row.trust for row in rows]),
        "confidence": min(row.confidence for row in rows),
        "confidence_method": "least of its sources",
        "valid_from": min(row.valid_from or row.recorded_at for row in rows),
        "session_id": uuid.UUID(group["session"]) if group["session"] else None,
        "project_id": uuid.UUID(group["project"]) if group["project"] else None,
        "agent_id": agents.pop() if len(agents) == 1 else None,
        "data": {
            "type": "consolidated_narrative",
            "run": str(run.pk),
            "day": group["day"],
            "summary": {name: value for name, value in asdict(draft).items() if name != "summary"},
        },
    }
    text = narrative_text(group["title"], draft, [row for row in rows if row.method == _FIXED])
    memory, _ = create_memory(actor=actor, new=NewMemory(text=text, fields=fields))
    links = [
        MemoryLink(source=memory, target=row, relation=Relation.DERIVED_FROM, metadata={})
        for row in rows
    ]
    funnel.create_many(links, actor=actor)
    return memory


def narrative_text(title: str, draft: Draft, fixed: Sequence[Memory]) -> str:
    """Markdown: the title, the summary, and a list of each kind of what was told."""
    errors = [" ".join(row.text.split())[:500] for row in fixed]
    lists = (
        ("Decided", draft.decisions),
        ("Came of it", [one for one in draft.outcomes if one not in errors]),
        ("Errors fixed", errors),
        ("What happened", draft.key_events),
        ("Open", draft.next_steps),
    )
    parts = [title, draft.summary.strip()]
    parts += [f"{name}:\n" + "\n".join(f"- {one}" for one in said) for name, said in lists if said]
    return "\n\n".join(part for part in parts if part)


def _mark(run: ConsolidationRun, rows: Sequence[Memory], actor: Actor) -> None:
    hidden = set()
    if run.hides:
        ids = [row.pk for row in rows]
        hidden = set(_hidden(Memory.objects.filter(pk__in=ids)).values_list("pk", flat=True))
    changes: dict[uuid.UUID, dict[str, Any]] = {
        row.pk: {"consolidated": True}
        | ({"state": MemoryState.ARCHIVED} if row.pk in hidden else {})
        for row in rows
    }
    funnel.update_many(rows, changes, actor=actor, action="consolidate")
    funnel.touch_all([row for row in rows if row.pk in hidden], repeat_key="")


# --- Taking back ----------------------------------------------------------------------------------


def revert(*, actor: Actor, run_id: uuid.UUID, reason: str = "") -> ConsolidationRun:
    """Take a run back, all of it in one transaction: its narratives go, its sources are as they
    were. What somebody changed since stays, and the report says so. Conflict (`not_done`)."""
    run = _locked(run_id)
    if run.state != ConsolidationState.DONE:
        raise Conflict(f"This consolidation is {run.state}.", code="not_done")
    reason = reason or f"{run} was taken back"
    report: dict[str, Any] = {"removed": 0, "reverted": 0, "kept": []}
    written = [group for group in run.groups if "memory" in group]
    ids = [uuid.UUID(pk) for group in written for pk in [group["memory"], *group["told"]]]
    touched = _touched(run, ids)
    for group in written:
        _remove(group["memory"], touched, report, actor, reason)
        told = [uuid.UUID(pk) for pk in group["told"]]
        report["reverted"] += _untell(run, told, touched, actor)
    funnel.touch(run, reverted=report)
    return funnel.update(run, {"state": ConsolidationState.REVERTED}, actor=actor, reason=reason)


def _untell(
    run: ConsolidationRun, told: Sequence[uuid.UUID], touched: set[uuid.UUID], actor: Actor
) -> int:
    """How many of the sources of one narrative are as they were."""
    rows = Memory.objects.filter(pk__in=told).select_for_update(no_key=True).order_by("id")
    back: dict[uuid.UUID, dict[str, Any]] = {}
    for row in rows:
        back[row.pk] = {"consolidated": False}
        if run.hides and row.state == MemoryState.ARCHIVED and row.pk not in touched:
            back[row.pk]["state"] = MemoryState.ACTIVE
    funnel.update_many(list(rows), back, actor=actor, action="unconsolidate")
    return len(back)


def hold() -> None:
    """Until this transaction is over no run writes what it has drafted."""
    running = ConsolidationRun.objects.filter(state=ConsolidationState.RUNNING)
    list(running.select_for_update(no_key=True).values_list("pk"))


def forget(gone: set[str], *, actor: Actor) -> set[uuid.UUID]:
    """Of rows with these ids runs keep no word, and what a narrative that goes told beside them is
    as it was. The runs of which that is so: the caller empties their history. For the owner's
    login, as an erasure has it."""
    forgetting = set()
    for run in ConsolidationRun.objects.select_for_update(no_key=True).order_by("id"):
        groups = [_without(group, gone) for group in run.groups]
        if groups == run.groups:
            continue
        for group in run.groups if run.state == ConsolidationState.DONE else ():
            if group.get("memory") in gone:
                told = [uuid.UUID(pk) for pk in group["told"] if pk not in gone]
                _untell(run, told, _touched(run, told), actor)
        forgetting.add(run.pk)
        funnel.strike([run], {"groups": groups}, actor=actor)
    return forgetting


def _without(group: Mapping[str, Any], gone: set[str]) -> dict[str, Any]:
    """A group of a run without these rows, what was drafted of them, and the name of their
    session."""
    lists = {key: [pk for pk in group[key] if pk not in gone] for key in _LISTS if key in group}
    named = [key for key in ("session", "memory") if group.get(key) in gone]
    if not named and all(group[key] == left for key, left in lists.items()):
        return dict(group)
    kept = {key: value for key, value in group.items() if key not in _OF_DRAFT} | lists
    if "memory" in group and "memory" not in named:
        kept["memory"] = group["memory"]
    return kept | ({"session": "", "title": ERASED} if "session" in named else {})


def _remove(
    memory_id: str, touched: set[uuid.UUID], report: dict[str, Any], actor: Actor, reason: str
) -> None:
    memory = Memory.objects.filter(pk=memory_id).select_for_update(no_key=True).first()
    if memory is None:
        return
    if memory.pk in touched:
        report["kept"].append({"id": memory_id, "why": "it was changed since"})
        return
    funnel.delete(memory, actor=actor, reason=reason)
    report["removed"] += 1


def _touched(run: ConsolidationRun, ids: Sequence[uuid.UUID]) -> set[uuid.UUID]:
    """Those that somebody else changed since. Index revision_object."""
    others = Revision.objects.filter(object_id__any_of=list(ids), created_at__gt=run.started_at)
    return set(others.exclude(actor_id=str(run.pk)).values_list("object_id", flat=True))


def _locked(run_id: uuid.UUID) -> ConsolidationRun:
    return funnel.get_row(ConsolidationRun, run_id, lock=True, what="consolidation")
