"""A workspace filled by SQL with as many rows of every model as a list must cope with."""

from typing import Any

from django.apps import apps
from django.contrib.postgres.fields import ArrayField
from django.db import connection, models

from config.lib.db.fields import ScopedForeignKey
from config.lib.db.models import WorkspaceRow
from config.lib.scope import current_workspace_id

ROWS = 9_000
# Together a little more than 200,000.
OTHERWISE = {
    "agent_sessions.Message": 30_000,
    "agent_sessions.SessionEvent": 30_000,
    "contacts.Revision": 20_000,
    "contacts.Agent": 40,
    "contacts.ApiKey": 80,
    "contacts.Tag": 300,
    "agent_sessions.PingChannel": 20,
}
# What lists do not read: the index has its own tests, the rest is not listed.
LEFT_OUT = {"Passage", "EmbeddingSpace", "IdempotencyKey", "Membership", "Invitation", "RawLine"}
# Where the name of a column says more than its type. `g` numbers the rows from 1.
COLUMNS = {
    "MemoryAbout.project_id": "NULL",
    "MemoryAbout.task_id": "NULL",
    "Receipt.mode": "(ARRAY['hybrid', 'lexical', 'semantic'])[1 + g % 3]",
    "Receipt.hit_count": "g % 20",
    "SearchFeedback.kind": "'memory'",
    "MemoryDuplicate.kept": "'older'",
    "Revision.object_id": "md5((g % 100)::text)::uuid",
    "Revision.model": "'memory.memory'",
    "ScheduledMission.last_status": "'failed'",
    "Session.conversation_id": "'chief-' || g / 4",
}
# Words of which there are few: twenty of each here.
FEW_WORDS = {
    "assignee", "company", "content_type", "event_type", "feature", "notification_type", "pool",
    "primitive", "role",
}  # fmt: skip
# How many rows share one target: a thread has many messages.
SHARED = {
    "Thread.session_id": 3,
    "Message.thread_id": 60,
    "Message.session_id": 180,
    "SessionEvent.session_id": 60,
    "Task.project_id": 60,
    "Session.project_id": 60,
    "Mission.scheduled_mission_id": 60,
    "WorkerOutput.worker_id": 60,
    "Memory.session_id": 20,
}
NULLED = {"parent_id", "merged_into_id", "superseded_by_id"}
EMPTY = {"external_id", "dedupe_key", "native_uuid", "vcard_uid", "claude_session_id", "source"}


def fill() -> int:
    """Fill every table of the current workspace; how many rows there are now."""
    total = 0
    known: dict[type[models.Model], str] = {}
    for model in _in_order():
        rows = OTHERWISE.get(model._meta.label, ROWS)
        fields = [
            f for f in model._meta.concrete_fields if not isinstance(f, models.GeneratedField)
        ]
        values = [_value(model, field, known) for field in fields]
        table = model._meta.db_table
        columns = ", ".join(f'"{field.column}"' for field in fields)
        with connection.cursor() as cursor:
            cursor.execute(
                f"INSERT INTO {table} ({columns}) SELECT {', '.join(values)} "
                f"FROM generate_series(1, {rows}) g ON CONFLICT DO NOTHING"
            )
            total += cursor.rowcount
            # Their ids as a temporary array, for the tables that point here.
            kept = f"ids_{table}"
            cursor.execute(
                f"CREATE TEMP TABLE {kept} ON COMMIT DROP AS "
                f"SELECT row_number() OVER (ORDER BY id) AS n, id FROM {table}"
            )
            cursor.execute(f"CREATE INDEX ON {kept} (n)")
            cursor.execute(f"ANALYZE {kept}")
            cursor.execute(f"SELECT count(*) FROM {kept}")
            (count,) = cursor.fetchone()
        known[model] = f"(SELECT id FROM {kept} WHERE n = 1 + ({{}}) % {count})"
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    return total


def _in_order() -> list[type[models.Model]]:
    """Targets before what points at them."""
    waiting = [
        model
        for model in apps.get_models()
        if issubclass(model, WorkspaceRow) and model.__name__ not in LEFT_OUT
    ]
    done: list[type[models.Model]] = []
    while waiting:
        ready = [m for m in waiting if all(t in done for t in _targets(m, waiting))]
        assert ready, f"in a circle: {waiting}"
        done += ready
        waiting = [model for model in waiting if model not in ready]
    return done


def _targets(model: type[models.Model], among: list[type[models.Model]]) -> list[Any]:
    keys = [f for f in model._meta.concrete_fields if isinstance(f, ScopedForeignKey)]
    return [
        f.related_model
        for f in keys
        if f.related_model is not model and f.related_model in among and f.column not in NULLED
    ]


def _value(model: type[models.Model], field: Any, known: dict[Any, str]) -> str:
    """An SQL expression for a column of row `g`."""
    name = f"{model.__name__}.{field.column}"
    if name in COLUMNS:
        return COLUMNS[name]
    if field.column == "workspace_id":
        return f"'{current_workspace_id()}'"
    if field.primary_key:
        return "gen_random_uuid()"
    if field.column in NULLED:
        return "NULL"
    if field.column in EMPTY:
        return "''"
    if isinstance(field, ScopedForeignKey):
        target = known.get(field.related_model)
        return "NULL" if target is None else target.format(f"g / {SHARED.get(name, 1)}")
    if isinstance(field, models.ForeignKey):
        return "NULL"
    sometimes = "CASE WHEN g % 20 = 0 THEN {} END" if field.null else "{}"
    return sometimes.format(_of_type(field))


def _of_type(field: Any) -> str:
    if field.flatchoices:
        options = ", ".join(f"'{value}'" for value, _ in field.flatchoices)
        kind = "int" if isinstance(field, models.IntegerField) else "text"
        return f"((ARRAY[{options}])[1 + g % {len(field.flatchoices)}])::{kind}"
    match field:
        case ArrayField():
            return "'{}'"
        case models.JSONField():
            return "'[]'" if field.default is list else "'{}'"
        case models.DateTimeField():
            return "now() - g * interval '1 minute'"
        case models.DateField():
            return "current_date - g / 20"
        case models.BooleanField():
            return "g % 20 = 0"
        case models.FloatField():
            return "0.5"
        case models.DecimalField():
            return "1"
        case models.UUIDField():
            return "gen_random_uuid()"
        case models.BinaryField():
            return "decode(repeat('00', 32), 'hex')"
        case models.IntegerField():
            return "g % 30000" if "Small" in type(field).__name__ else "g"
    if field.column in FEW_WORDS:
        return f"'{field.column} ' || g % 20"
    # What a constraint wants to be one of its kind ends in the row's number.
    return f"left('{field.column} ' || g, {field.max_length or 100})"
