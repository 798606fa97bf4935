"""No list reads a table to answer a page: each, under each of its filters, has its index.

Every list of the API is asked as it is and with each filter alone, in a workspace of 200,000 rows,
and what PostgreSQL did is read from EXPLAIN ANALYZE.
"""

from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from django.apps import apps
from django.db import connection
from django.test.utils import CaptureQueriesContext

from config.api import api as ninja_api
from config.lib.db.models import WorkspaceRow
from config.lib.scope import workspace_scope
from contacts.models import Workspace
from sessions.models import Session
from tests.api.caller import ROOT, Caller, caller
from tests.api.many_rows import FEW_WORDS, fill

pytestmark = pytest.mark.slow

# A page of 50 of which one row in twenty fits, and what is looked up beside it.
MOST_READ = 2_500
# What a parameter names, where it is not the model itself.
NAMED = {
    "from_session": "session",
    "to_session": "session",
    "key": "apikey",
    "key_id": "apikey",
    "claimed_by": "agent",
    "channel_id": "pingchannel",
    "staged_id": "stagedcontent",
    "golden_id": "goldenquery",
}
# A value that some rows have, for filters whose type does not say one.
SAMPLES = {
    "agent": "name 7",
    "conversation_id": "chief-7",
    # md5 of "7", as many_rows.py has objects of Revisions
    "object_id": "8f14e45f-ceea-167a-5a36-dedd4bea2543",
    "claude_session_id": "none",
    "external_id": "none",
    "source": "none",
    "session_name": "session_name 7",
    "tag": "name 7",
    "entity_id": "entity_id 7",
    "trace_id": "trace_id 7",
    "trace": "trace_id 7",
    "q": "name 7",
    "email": "ada@example.org",
    "phone": "+41446681800",
}
# Parameters that mean nothing without others, and those they are asked with.
NOT_ALONE = {"sort", "source"}
TOGETHER = {
    "/tasks": (("sort", "project", "status"), ("sort", "parent")),
    "/threads": (("external_id", "source"),),
}


def test_every_list_and_filter_is_served_by_an_index(workspace):
    api = caller(workspace)
    with workspace_scope(workspace.id):
        assert fill() > 200_000
        session = Session.objects.exclude(project=None).order_by("id")[7]
        place = {
            "session": str(session.pk),
            "project": str(session.project_id),
            "conversation": session.conversation_id,
        }
        cases = [*lists(), ("/attention", {}, {}), ("/briefing", {}, place)]
    slow = []
    asked = 0
    for path, ids, filters in cases:
        together = [{one: filters[one] for one in names} for names in TOGETHER.get(path, ())]
        alone = [{name: filters[name]} for name in filters if name not in NOT_ALONE]
        for query in ({}, *alone, *together):
            asked += 1
            filled = path.format(**ids)
            slow += [
                f"GET {filled} {query}: {why}"
                for why in reads_too_much(api, workspace, filled, query)
            ]
    assert asked > 30
    assert not slow, "\n".join(slow)


def lists() -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Each operation with a cursor: its path, the ids in it, and a value for each filter."""
    schema = ninja_api.get_openapi_schema()
    for path, operations in schema["paths"].items():
        parameters = operations.get("get", {}).get("parameters", [])
        if any(one["name"] == "cursor" for one in parameters):
            values = {one["name"]: sample(one, schema, path) for one in parameters
                      if one["name"] not in ("cursor", "limit", "wait")}  # fmt: skip
            ids = {one["name"]: values.pop(one["name"]) for one in parameters
                   if one["in"] == "path"}  # fmt: skip
            yield path.removeprefix(ROOT), ids, values


def sample(parameter: dict[str, Any], schema: dict[str, Any], path: str) -> Any:
    """A value that some rows have, for a parameter of this path."""
    name = parameter["name"]
    if name in SAMPLES:
        return SAMPLES[name]
    if name in FEW_WORDS:
        return f"{name} 7"
    value = by_type(parameter["schema"], schema)
    # A parent is of the listed rows' own kind.
    model = model_of(path.rpartition("/")[2].removesuffix("s") if name == "parent" else name)
    if value is None and model is not None:
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT id FROM {model._meta.db_table} ORDER BY id LIMIT 1 OFFSET 7")
            value = str(cursor.fetchone()[0])
    assert value is not None, f"give a value for the filter {name}"
    return value


def by_type(kind: dict[str, Any], schema: dict[str, Any]) -> Any:
    """A value that the type itself names, or None."""
    if "$ref" in kind:
        return by_type(schema["components"]["schemas"][kind["$ref"].rpartition("/")[2]], schema)
    if "enum" in kind:
        return kind["enum"][-1]
    if kind.get("type") in ("boolean", "integer"):
        return {"boolean": "true", "integer": 7}[kind["type"]]
    times = {"date-time": "2026-01-31T12:00:00Z", "date": "2026-01-31"}
    if kind.get("format") in times:
        return times[kind["format"]]
    inner = [kind["items"]] if "items" in kind else kind.get("anyOf", ())
    return next((found for one in inner if (found := by_type(one, schema)) is not None), None)


def model_of(parameter: str) -> Any:
    """The model whose ids a parameter takes, or None."""
    name = parameter.removesuffix("_id").removeprefix("about_")
    wanted = NAMED.get(parameter, name.replace("_", ""))
    return next(
        (
            model
            for model in apps.get_models()
            if model._meta.model_name == wanted and issubclass(model, WorkspaceRow)
        ),
        None,
    )


def reads_too_much(
    api: Caller, workspace: Workspace, path: str, query: dict[str, Any]
) -> Iterator[str]:
    with CaptureQueriesContext(connection) as captured:
        answer = api.get(path, **query)
    assert answer.status_code == 200, (path, query, answer.content)
    for one in captured.captured_queries:
        if not one["sql"].startswith("SELECT") or "FOR UPDATE" in one["sql"]:
            continue
        with workspace_scope(workspace.id), connection.cursor() as cursor:
            cursor.execute("EXPLAIN (ANALYZE, FORMAT JSON) " + one["sql"])
            plan = cursor.fetchone()[0]
        plan = orjson.loads(plan) if isinstance(plan, str) else plan
        yield from problems(plan[0]["Plan"])


def problems(node: dict[str, Any]) -> Iterator[str]:
    """What a node of a plan, and those below it, read too much."""
    read = node["Actual Loops"] * (node["Actual Rows"] + node.get("Rows Removed by Filter", 0))
    if "Relation Name" in node and read > MOST_READ:
        by = node.get("Index Name", "no index")
        yield f"{node['Node Type']} of {node['Relation Name']} by {by} read {read:,.0f} rows"
    for child in node.get("Plans", ()):
        yield from problems(child)
