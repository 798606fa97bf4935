"""No list of contacts scans a table, on 200,000 of them: the plans of the very queries."""

from typing import Any
from urllib.parse import urlsplit, urlunsplit

import orjson
import psycopg
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from config.lib.scope import workspace_scope
from tests.api.caller import Caller, caller, made

ROWS = 200_000
TABLES = (
    "contacts_contact", "contacts_contactemail", "contacts_contactphone", "contacts_contacttag",
    "memory_memoryabout", "memory_memory",
)  # fmt: skip

FILL = """
    SET LOCAL app.workspace = '{workspace}';
    INSERT INTO contacts_contact (id, workspace_id, created_at, updated_at, version, metadata,
        source, external_id, name, sort_name, company, role, location, description, relationship,
        notes, last_contact_at, pinned, vcard_uid, vcard)
    SELECT gen_random_uuid(), '{workspace}', now(), now(), 1, '{{}}', '', '', 'Name ' || n,
        'name ' || lpad(n::text, 6, '0'), 'Company ' || n % 5000, '', '', '', '', '',
        CASE WHEN n % 3 = 0 THEN now() - n * interval '1 minute' END, n % 1000 = 0, 'uid-' || n, ''
      FROM generate_series(1, {rows}) n;
    INSERT INTO contacts_contactemail (id, workspace_id, created_at, contact_id, email, label,
        position)
    SELECT gen_random_uuid(), workspace_id, now(), id, replace(sort_name, ' ', '.') || '@x.example',
        '', 0 FROM contacts_contact;
    INSERT INTO contacts_contactphone (id, workspace_id, created_at, contact_id, number, label,
        position)
    SELECT gen_random_uuid(), workspace_id, now(), id, '+41' || (440000000 + substr(sort_name, 6)
        ::int), '', 0 FROM contacts_contact;
    INSERT INTO contacts_tag (id, workspace_id, created_at, name)
    SELECT gen_random_uuid(), '{workspace}', now(), word
      FROM unnest('{{common,rare}}'::text[]) word;
    INSERT INTO contacts_contacttag (id, workspace_id, created_at, contact_id, tag_id)
    SELECT gen_random_uuid(), c.workspace_id, now(), c.id, t.id FROM contacts_contact c
      JOIN contacts_tag t ON t.name = CASE WHEN c.pinned THEN 'rare' ELSE 'common' END;
"""


@pytest.fixture
def many(transactional_db: None, workspace: Any, database_server: Any) -> Caller:
    with workspace_scope(workspace.id), connection.cursor() as cursor:
        cursor.execute(FILL.format(workspace=workspace.id, rows=ROWS))
    parts = urlsplit(database_server.owner)
    owner = urlunsplit(parts._replace(path=f"/{connection.settings_dict['NAME']}"))
    with psycopg.connect(owner, autocommit=True) as session:
        for table in (*TABLES, "contacts_tag"):
            session.execute(f"ANALYZE {table}")
    return caller(workspace)


def nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return [plan, *(node for child in plan.get("Plans", []) for node in nodes(child))]


@pytest.mark.slow
def test_no_list_of_contacts_scans_a_table(many, workspace):
    last = made(many.get("/contacts", limit=1))
    addresses = [
        "/contacts",
        f"/contacts?cursor={last['next_cursor']}",
        "/contacts?pinned=true",
        "/contacts?company=Company 17",
        "/contacts?tag=common",
        "/contacts?tag=rare",
        "/contacts?email=name.001234@x.example",
        "/contacts?phone=%2B41440001234",
        "/contacts?q=name 0012",
        "/contacts?q=Company 17",
        "/contacts?q=name.0012",
        "/contacts?q=%2B414400012",
        "/contacts?q=n",
        "/contacts?spoken_since=2020-01-01T00:00:00Z",
        "/contacts/duplicates",
        "/tags",
        f"/contacts/{last['items'][0]['id']}/known",
        f"/memories?about_contact={last['items'][0]['id']}",
    ]
    bad = []
    for address in addresses:
        with CaptureQueriesContext(connection) as captured:
            made(many.get(address))
        for query in captured:
            if query["sql"].startswith("SELECT") and any(f'"{t}"' in query["sql"] for t in TABLES):
                bad += [
                    (address, found, query["sql"]) for found in too_much(workspace, query["sql"])
                ]
    assert not bad, bad[:3]
    scan = "SELECT id FROM contacts_contact WHERE role = 'nobody'"
    assert too_much(workspace, scan) == ["Seq Scan on contacts_contact"], "or nothing was proved"


def too_much(workspace: Any, sql: str) -> list[str]:
    """What a query does that grows with the table: scans of all of it, and rows read by far more
    than are answered."""
    with workspace_scope(workspace.id), connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}")
        found = cursor.fetchone()[0]
    plan = found if isinstance(found, list) else orjson.loads(found)
    problems = []
    for node in nodes(plan[0]["Plan"]):
        rows = node["Actual Rows"] * node["Actual Loops"] + node.get("Rows Removed by Filter", 0)
        if node["Node Type"] == "Seq Scan" and node.get("Relation Name") in TABLES[:4]:
            problems.append(f"Seq Scan on {node['Relation Name']}")
        elif rows > 20_000:
            problems.append(f"{node['Node Type']} reads {rows:,.0f} rows")
    return problems
