"""No list of missions or executions scans a table, also where one mission has half of them: the
plans of the very queries, as the runtime role."""

from typing import Any
from urllib.parse import urlsplit, urlunsplit

import orjson
import psycopg
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from config.lib.scope import workspace_scope
from sessions import tasks
from sessions.models import Mission, ScheduledMission, Task, Worker
from tests.api.caller import Caller, caller, made

ROWS = 40_000
SCHEDULED = 400
TABLES = (
    "agent_sessions_mission", "memory_memory", "memory_evidence", "agent_sessions_scheduledmission",
    "memory_memoryabout", "agent_sessions_worker",
)  # fmt: skip
# Of the runs half are those of the first mission, one in a thousand failed.
FILL = """
    SET LOCAL statement_timeout = 0;
    SET LOCAL app.workspace = '{workspace}';
    INSERT INTO agent_sessions_scheduledmission (id, workspace_id, created_at, updated_at, version,
        metadata, source, external_id, name, slug, description, prompt, primitive, params,
        conversation_id, workspace_path, priority, schedule_kind, schedule, timezone,
        overlap_policy, catchup_seconds, jitter_seconds, timeout_minutes, max_attempts,
        pause_after_failures, enabled, pause_reason, next_run_at, last_status,
        consecutive_failures)
    SELECT gen_random_uuid(), '{workspace}', now() + n * interval '1 second', now(), 1, '{{}}', '',
        '', 'Mission ' || n, 'mission-' || n, '', 'x', 'mission', '{{}}', '', '', 0, 'cron',
        '@daily', 'UTC', 'skip', 3600, 0, 60, 1, 5, n % 100 > 0, '', now() + n * interval '1 hour',
        '', 0 FROM generate_series(1, {scheduled}) n;
    INSERT INTO agent_sessions_mission (id, workspace_id, created_at, updated_at, version, metadata,
        scheduled_mission_id, scheduled_for, trigger, status, attempt, output_summary, error)
    SELECT gen_random_uuid(), m.workspace_id, now(), now(), 1, '{{}}', m.id,
        now() - n * interval '1 minute', 'schedule',
        CASE WHEN n % 1000 = 0 THEN 'failed' ELSE 'complete' END, 1, '', ''
      FROM generate_series(1, {rows}) n JOIN agent_sessions_scheduledmission m
        ON m.slug = 'mission-' || CASE WHEN n % 2 = 0 THEN 1 ELSE 1 + n % {scheduled} END;
    INSERT INTO memory_memory (id, workspace_id, created_at, updated_at, version, metadata, source,
        external_id, kind, text, data, tags, actor, method, confidence, confidence_method, affect,
        ownership, signature, salience, pinned, consolidated, trust, state, recorded_at,
        access_count, repeat_count, repeat_key, content_hash)
    SELECT id, workspace_id, now(), now(), 1, '{{}}', 'execution',
        left(encode(sha256(scheduled_mission_id::text::bytea), 'hex'), 32)
            || replace(id::text, '-', '') || '00000001',
        'task_execution', 'x', jsonb_build_object('status', status, 'stack_hash', 'a'), '{{}}',
        '', '', 1, '', '{{}}', 'user', '', 0.5, false, false, 'agent', 'active', scheduled_for, 0,
        0, '', 'x' FROM agent_sessions_mission;
"""
EVIDENCE = """
    SET LOCAL statement_timeout = 0;
    SET LOCAL app.workspace = '{workspace}';
    INSERT INTO memory_evidence (id, workspace_id, created_at, memory_id, mission_id, uri, quote,
        quote_hash)
    SELECT gen_random_uuid(), workspace_id, now(), id, id, '', '', '' FROM agent_sessions_mission;
"""


@pytest.fixture
def many(transactional_db: None, workspace: Any, database_server: Any) -> Caller:
    # One that saw the tables empty checks keys by reading them whole, for its whole life.
    connection.close()
    parts = urlsplit(database_server.owner)
    owner = urlunsplit(parts._replace(path=f"/{connection.settings_dict['NAME']}"))
    with psycopg.connect(owner, autocommit=True) as session:
        # So does one after autovacuum looked at rows before they were committed and counted none:
        # what keys are checked against is committed and counted first.
        for fill in (FILL, EVIDENCE):
            with workspace_scope(workspace.id), connection.cursor() as cursor:
                cursor.execute(fill.format(workspace=workspace.id, rows=ROWS, scheduled=SCHEDULED))
            for table in TABLES:
                session.execute(f"VACUUM ANALYZE {table}")
    return caller(workspace)


def nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return [plan, *(node for child in plan.get("Plans", []) for node in nodes(child))]


def too_much(workspace: Any, sql: str) -> list[str]:
    """Scans of whole tables, and rows read by far more than are answered."""
    with workspace_scope(workspace.id), connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}")
        found = cursor.fetchone()[0]
    plan = found if isinstance(found, list) else orjson.loads(found)
    problems = []
    for node in nodes(plan[0]["Plan"]):
        rows = node["Actual Rows"] * node["Actual Loops"] + node.get("Rows Removed by Filter", 0)
        if node["Node Type"] == "Seq Scan" and node.get("Relation Name") in TABLES[:3]:
            problems.append(f"Seq Scan on {node['Relation Name']}")
        elif rows > 5000:
            problems.append(f"{node['Node Type']} reads {rows:,.0f} rows")
    return problems


@pytest.mark.slow
def test_no_list_of_missions_or_executions_reads_a_whole_table(many, workspace):
    with workspace_scope(workspace.id):
        run = Mission.objects.filter(status="failed").first()
        busy = ScheduledMission.objects.get(slug="mission-1")
        quiet = ScheduledMission.objects.get(slug="mission-7")
        worker = Worker.objects.create(primitive="x", trace_id=str(busy.pk), attempts=1)
        task = Task.objects.create(title="x")
    runs, executions = made(many.get("/missions", limit=1)), made(many.get("/executions", limit=1))
    addresses = [
        "/scheduled-missions?enabled=false",
        "/missions",
        f"/missions?cursor={runs['next_cursor']}",
        "/missions?status=failed",
        "/missions?status=running",
        "/missions?scheduled_mission=mission-1",
        "/missions?scheduled_mission=mission-7",
        "/missions?since=2026-01-01T00:00:00Z",
        "/executions",
        f"/executions?cursor={executions['next_cursor']}",
        "/executions?status=failed",
        "/executions?status=complete",
        f"/executions?mission={run.pk}",
        f"/executions?trace={quiet.pk}",
        f"/executions?worker={worker.pk}",
        f"/executions?task={task.pk}",
        "/executions?scheduled_mission=mission-1",
        "/executions?scheduled_mission=mission-7",
        "/executions/failed?since=2020-01-01T00:00:00Z",
    ]
    bad = []
    with CaptureQueriesContext(connection) as captured:
        tasks.run_due_missions(workspace.id)
    taken = [("the job", query["sql"]) for query in captured]
    for address in addresses:
        with CaptureQueriesContext(connection) as captured:
            made(many.get(address))
        taken += [(address, query["sql"]) for query in captured]
    for address, sql in taken:
        if sql.startswith("SELECT") and any(f'"{table}"' in sql for table in TABLES):
            bad += [(address, found, sql) for found in too_much(workspace, sql)]
    assert not bad, [one[:2] for one in bad]
    scan = "SELECT id FROM agent_sessions_mission WHERE attempt = 7"
    assert too_much(workspace, scan) == ["Seq Scan on agent_sessions_mission"]
