"""needs_attention: what a person must look at now, gathered from all apps.

Ten legs, each bounded and by an index that its docstring names, read in one statement; a second
counts, to a limit, those that have more than is shown. What waits for a person is shown longest
waiting first, what went wrong latest first; together they are sorted by severity, then age.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db.models import F, Q, QuerySet
from django.db.models.functions import Coalesce, Left
from django.urls import reverse

from config.lib import clock
from config.lib.admin.show import change_url
from config.lib.db.together import count_together, read_together
from contacts.preferences import preferences
from memory.models import ConsolidationRun, HookPayload, Memory
from memory.models.consolidation import ConsolidationState
from memory.models.memory import MemoryState
from memory.schemas_attention import AttentionItem, AttentionKind, AttentionMore
from memory.selectors_hooks import LEFT
from sessions.models import Mission, Ping, ScheduledMission, Session, Worker
from sessions.models.attention import Severity
from sessions.models.mission import MissionStatus
from sessions.models.worker import MISSION_KEY, WorkerStatus
from sessions.selectors_pings import waits_for_person

PER_KIND, MOST_PER_KIND = 20, 100
# Counting further tells nobody anything.
COUNT_LIMIT = 1000
# What went wrong longer ago is history, not attention: whoever moves in brings years of it along.
RECENT_WORKERS = timedelta(days=30)
RECENT_MISSIONS = timedelta(days=7)
RECENT_ORPHANS = timedelta(days=3)
TITLE = 200
_SEVERITIES = list(Severity)


@dataclass(frozen=True, slots=True)
class Leg:
    """One kind: its rows in the order in which they are shown, what is read of them beside their
    id (columns, and expressions by name), and how a row is told."""

    kind: AttentionKind
    rows: QuerySet[Any]
    columns: tuple[str, ...]
    computed: dict[str, Any]
    tell: Callable[[dict[str, Any]], "Told"]


@dataclass(frozen=True, slots=True)
class Told:
    severity: Severity
    title: str
    reason: str
    since: datetime
    link: str | None


@dataclass(frozen=True, slots=True)
class Attention:
    items: list[AttentionItem] = field(default_factory=list)
    more: list[AttentionMore] = field(default_factory=list)


def needs_attention(
    *, per_kind: int = PER_KIND, thresholds: Sequence[int] | None = None
) -> Attention:
    """The current workspace's, at most `per_kind` of each kind and how many more there are.

    `thresholds` of contexts are the workspace's own, read unless the caller has them at hand.
    """
    now = clock.now()
    found = Attention()
    if thresholds is None:
        thresholds = preferences().context_thresholds
    legs = {leg.kind: leg for leg in _legs(now, thresholds)}
    read = read_together(
        {
            kind: leg.rows.values("id", *leg.columns, **leg.computed)[: per_kind + 1]
            for kind, leg in legs.items()
        }
    )
    # In order, so that the index of the rows serves them too.
    limit = per_kind + COUNT_LIMIT
    totals = count_together(
        {
            kind: legs[AttentionKind(kind)].rows.values("id")[:limit]
            for kind, rows in read.items()
            if len(rows) > per_kind
        }
    )
    for kind, total in totals.items():
        found.more.append(
            AttentionMore(kind=AttentionKind(kind), more=total - per_kind, at_least=total == limit)
        )
    for kind, leg in legs.items():
        found.items.extend(_item(leg, row, now) for row in read[kind][:per_kind])
    found.items.sort(key=lambda item: (_SEVERITIES.index(item.severity), item.since, item.id))
    return found


def _item(leg: Leg, row: dict[str, Any], now: datetime) -> AttentionItem:
    told = leg.tell(row)
    return AttentionItem(
        id=row["id"],
        kind=leg.kind,
        severity=told.severity,
        title=" ".join(told.title.split())[:TITLE],
        reason=told.reason,
        since=told.since,
        age_seconds=max(0, int((now - told.since).total_seconds())),
        link=told.link or "/admin/",
        options=list(row.get("options") or ()),
        version=row.get("version"),
    )


def _legs(now: datetime, thresholds: Sequence[int]) -> list[Leg]:
    legs = [
        _pings(),
        _clarifications(),
        _paused_missions(),
        _failed_missions(now - RECENT_MISSIONS),
        _failed_workers(now - RECENT_WORKERS),
        _orphans(now - RECENT_ORPHANS),
        _reviews(),
        _payloads(),
        _held(),
    ]
    # None: the workspace has switched its warnings off.
    if thresholds:
        legs.append(_full_contexts(thresholds[-1]))
    return legs


def _pings() -> Leg:
    """Open ones, and acknowledged ones that still want one of their options. Longest first.

    Index ping_until.
    """
    rows = Ping.objects.filter(waits_for_person()).order_by("created_at", "id")
    columns = ("version", "severity", "created_at", "acknowledged_at", "options", "agent__name")
    computed = {"start": Left("message", TITLE)}
    return Leg(AttentionKind.PING, rows, columns, computed, _tell_ping)


def _tell_ping(row: dict[str, Any]) -> Told:
    who = row["agent__name"] or "Somebody"
    wants = "asks for an answer" if row["options"] else "asks for you"
    known = ", acknowledged" if row["acknowledged_at"] is not None else ""
    return Told(
        Severity(row["severity"]), row["start"], f"{who} {wants}{known}", row["created_at"],
        change_url(Ping._meta.label_lower, row["id"]),
    )  # fmt: skip


def _workers(status: WorkerStatus) -> QuerySet[Worker]:
    return Worker.objects.filter(status=status)


def _clarifications() -> Leg:
    """Workers that stand still until somebody answers, the first spawned first.

    Index worker_status.
    """
    rows = _workers(WorkerStatus.AWAITING_CLARIFICATION).order_by("created_at", "id")
    columns = ("version", "name", "primitive")
    computed = {
        "options": F("clarification_options"),
        "start": Left("clarification_question", TITLE),
        "since": Coalesce("clarification_asked_at", "created_at"),
    }
    return Leg(AttentionKind.CLARIFICATION, rows, columns, computed, _tell_clarification)


def _tell_clarification(row: dict[str, Any]) -> Told:
    worker = row["name"] or row["primitive"]
    return Told(
        Severity.HIGH, row["start"] or worker, f"Worker {worker} asks and stands still",
        row["since"], change_url(Worker._meta.label_lower, row["id"]),
    )  # fmt: skip


def _failed_workers(after: datetime) -> Leg:
    """Dead ones of the last weeks, the last spawned first, until somebody retries, cancels or
    deletes them; what a mission runs is told by the mission.

    Index worker_failed.
    """
    failed = _workers(WorkerStatus.FAILED).filter(created_at__gte=after)
    rows = failed.filter(~Q(dedupe_key__startswith=MISSION_KEY))
    rows = rows.order_by("-created_at", "-id")
    columns = ("version", "name", "primitive", "attempts")
    computed = {"start": Left("error", TITLE), "since": Coalesce("ended_at", "created_at")}
    return Leg(AttentionKind.FAILED_WORKER, rows, columns, computed, _tell_worker)


def _tell_worker(row: dict[str, Any]) -> Told:
    times = f"{row['attempts']} attempt{'' if row['attempts'] == 1 else 's'}"
    why = " ".join(row["start"].split()) or "no error was given"
    return Told(
        Severity.NORMAL, row["name"] or row["primitive"], f"Failed after {times}: {why}",
        row["since"], change_url(Worker._meta.label_lower, row["id"]),
    )  # fmt: skip


def _paused_missions() -> Leg:
    """Scheduled missions that were paused because they kept failing, the newest first.

    Index scheduledmission_enabled, or scheduledmission_list where most are disabled.
    """
    rows = ScheduledMission.objects.filter(
        ~Q(pause_reason=""),
        enabled=False,
        consecutive_failures__gte=F("pause_after_failures"),
        consecutive_failures__gt=0,
    )
    rows = rows.order_by("-created_at", "-id")
    columns = ("version", "name", "pause_reason")
    computed = {"since": Coalesce("last_run_at", "updated_at")}
    return Leg(AttentionKind.PAUSED_MISSION, rows, columns, computed, _tell_paused)


def _tell_paused(row: dict[str, Any]) -> Told:
    return Told(
        Severity.HIGH, row["name"], row["pause_reason"], row["since"],
        change_url(ScheduledMission._meta.label_lower, row["id"]),
    )  # fmt: skip


def _failed_missions(after: datetime) -> Leg:
    """Executions of the last days that failed or took too long, the latest first.

    Index mission_failed.
    """
    rows = Mission.objects.filter(
        status__in=[MissionStatus.FAILED, MissionStatus.TIMEOUT], scheduled_for__gte=after
    )
    rows = rows.order_by("-scheduled_for", "-id")
    columns = ("version", "status", "scheduled_mission__name")
    computed = {"start": Left("error", TITLE), "since": Coalesce("ended_at", "scheduled_for")}
    return Leg(AttentionKind.FAILED_MISSION, rows, columns, computed, _tell_mission)


def _tell_mission(row: dict[str, Any]) -> Told:
    how = "Took too long" if row["status"] == MissionStatus.TIMEOUT else "Failed"
    why = " ".join(row["start"].split()) or "no error was given"
    return Told(
        Severity.NORMAL, row["scheduled_mission__name"], f"{how}: {why}", row["since"],
        change_url(Mission._meta.label_lower, row["id"]),
    )  # fmt: skip


def _held() -> Leg:
    """Consolidations that would archive more than they may by themselves. Index
    consolidationrun_open."""
    rows = ConsolidationRun.objects.filter(state=ConsolidationState.HELD).order_by("created_at")
    columns = ("version", "held", "created_at")
    return Leg(AttentionKind.CONSOLIDATION, rows, columns, {}, _tell_held)


def _tell_held(row: dict[str, Any]) -> Told:
    return Told(
        Severity.NORMAL, "A consolidation is held", row["held"], row["created_at"],
        change_url(ConsolidationRun._meta.label_lower, row["id"]),
    )  # fmt: skip


def _full_contexts(threshold: int) -> Leg:
    """Live sessions that passed the last threshold of their context, the latest heard of first.

    Index session_active: the live ones are few.
    """
    rows = Session.objects.filter(ended_at=None, context_warning_level__gte=threshold)
    rows = rows.order_by("-last_seen_at", "-id")
    columns = (
        "version",
        "name",
        "context_used_percent",
        "context_warning_level",
        "last_seen_at",
        "agent__name",
    )
    computed = {"start": Left("prompt", TITLE)}
    return Leg(AttentionKind.FULL_CONTEXT, rows, columns, computed, _tell_full)


def _tell_full(row: dict[str, Any]) -> Told:
    used = row["context_used_percent"]
    percent = row["context_warning_level"] if used is None else round(used)
    return Told(
        Severity.NORMAL, _session_title(row), f"{row['agent__name']} has used {percent} % of "
        "its context; a handoff is due", row["last_seen_at"], _conversation(row),
    )  # fmt: skip


def _orphans(after: datetime) -> Leg:
    """Sessions that fell silent in the last days and were ended for it, the latest first.

    Index session_orphaned.
    """
    rows = Session.objects.filter(end_reason="orphaned", ended_at__gte=after)
    rows = rows.order_by("-ended_at", "-id")
    columns = ("version", "name", "ended_at", "agent__name")
    computed = {"start": Left("prompt", TITLE)}
    return Leg(AttentionKind.ORPHAN, rows, columns, computed, _tell_orphan)


def _tell_orphan(row: dict[str, Any]) -> Told:
    return Told(
        Severity.LOW, _session_title(row), f"{row['agent__name']} fell silent",
        row["ended_at"], _conversation(row),
    )  # fmt: skip


def _session_title(row: dict[str, Any]) -> str:
    return row["name"] or row["start"] or f"Session of {row['agent__name']}"


def _conversation(row: dict[str, Any]) -> str:
    return reverse("admin:agent_sessions_session_conversation", args=[row["id"]])


def _reviews() -> Leg:
    """Memories in quarantine, longest first. Index memory_state."""
    rows = Memory.objects.filter(state=MemoryState.QUARANTINED)
    rows = rows.order_by("recorded_at", "id")
    columns = ("version", "recorded_at", "trust", "method")
    computed = {"start": Left("text", TITLE)}
    return Leg(AttentionKind.REVIEW, rows, columns, computed, _tell_review)


def _tell_review(row: dict[str, Any]) -> Told:
    how = f", {row['method']}" if row["method"] else ""
    return Told(
        Severity.LOW, row["start"], f"In quarantine{how}; trust: {row['trust']}",
        row["recorded_at"],
        change_url(Memory._meta.label_lower, row["id"]),
    )  # fmt: skip


def _payloads() -> Leg:
    """What hooks have sent and nobody could map, the latest first. Index hookpayload_left."""
    rows = HookPayload.objects.filter(state__in=LEFT).order_by("-created_at", "-id")
    columns = ("dialect", "event", "state", "reason", "created_at")
    return Leg(AttentionKind.HOOK_PAYLOAD, rows, columns, {}, _tell_payload)


def _tell_payload(row: dict[str, Any]) -> Told:
    return Told(
        Severity.LOW, f"{row['dialect']}: {row['event'] or 'a payload without an event'}",
        f"{row['state'].capitalize()}: {row['reason']}", row["created_at"],
        change_url(HookPayload._meta.label_lower, row["id"]),
    )  # fmt: skip
