"""No value of any field or parameter is our failure: each operation is sent what nobody expects."""

import re
from typing import Any

import orjson
import pytest
from django.test import Client

from contacts.models import Workspace
from tests.api.caller import Caller, caller
from tests.api.test_route_table import BODIES, OPERATIONS, make_rows
from tests.conftest import Making
from tests.factories import make_workspace

pytestmark = pytest.mark.django_db

# As they stand in a body. Text first, then what is none.
VALUES = [
    b'""', b'"\\u0000"', b'"\\ud800"', b'"%s"' % (b"x" * 3000), b'"2026-02-30T00:00:00Z"',
    b"-1", b"1e300", b"99999999999999999999", b"true", b"null", b"[]", b"[[{}]]",
    b'{"a":"\\u0000"}',
]  # fmt: skip
WORDS = ["", "\x00", "x" * 3000, "-1", "9" * 30, "null", "2026-02-30T00:00:00Z", "'; --", "%", "{}"]
LEAST: dict[str, dict[str, Any]] = {
    **BODIES,
    "create_memory": {"text": "t"},
    "create_memories": {"memories": [{"text": "t"}]},
    "create_agent": {"name": "a"},
    "create_project": {"title": "t"},
    "create_key": {"agent": "claude-code"},
    "create_invitation": {"email": "a@example.org"},
    "search": {"q": "seedlings"},
    "create_notification": {"conversation_id": "c", "notification_type": "t", "entity_id": "e"},
    "create_handoff": {"from_session_id": "01990000-0000-7000-8000-00000000abcd", "content": "c"},
    "find_threads": {"text": "t"},
}


@pytest.fixture(scope="module")
def workspace(module_rows: Making) -> Workspace:
    with module_rows():
        return make_workspace("greenhouse")


@pytest.fixture(scope="module")
def api(module_rows: Making, workspace: Workspace) -> Caller:
    with module_rows():
        return caller(workspace)


@pytest.fixture(scope="module")
def rows(module_rows: Making, api: Caller, workspace: Workspace) -> dict[str, str]:
    with module_rows():
        return make_rows(api, workspace)


@pytest.fixture(scope="module")
def described() -> dict[str, Any]:
    document = orjson.loads(Client().get("/api/v1/openapi.json").content)
    schemas = document["components"]["schemas"]
    operations = {}
    for methods in document["paths"].values():
        for one in methods.values():
            body = one.get("requestBody", {}).get("content", {}).get("application/json", {})
            operations[one["operationId"]] = {
                "fields": fields_of(body.get("schema", {}), schemas),
                "parameters": [p["name"] for p in one["parameters"] if p["in"] == "query"],
            }
    return operations


def fields_of(schema: dict[str, Any], schemas: dict[str, Any]) -> set[str]:
    """The names of a body's fields, through references and alternatives."""
    if "$ref" in schema:
        return fields_of(schemas[schema["$ref"].rsplit("/", 1)[-1]], schemas)
    found = set(schema.get("properties", {}))
    for part in ("anyOf", "oneOf", "allOf"):
        for one in schema.get(part, []):
            found |= fields_of(one, schemas)
    return found


def place(path: str, rows: dict[str, str]) -> str:
    return re.sub(r"{(\w+)}", lambda match: rows[match[1]], path)


@pytest.mark.parametrize(
    ("name", "method", "path"),
    [case[:3] for case in OPERATIONS if case[1] in ("POST", "PATCH")],
    ids=[case[0] for case in OPERATIONS if case[1] in ("POST", "PATCH")],
)
def test_no_value_of_a_field_is_our_failure(api: Caller, rows, described, name, method, path):
    for field in sorted(described[name]["fields"]):
        for value in VALUES:
            body = {**LEAST.get(name, {}), field: "MARK"}
            raw = orjson.dumps(body).replace(b'"MARK"', value)
            answer = api.call(method, place(path, rows), raw=raw, if_match="*")
            assert answer.status_code < 500, (field, value[:40], answer.content)


@pytest.mark.parametrize(
    ("name", "path"),
    [(case[0], case[2]) for case in OPERATIONS if case[1] == "GET"],
    ids=[case[0] for case in OPERATIONS if case[1] == "GET"],
)
def test_no_value_of_a_parameter_is_our_failure(api: Caller, rows, described, name, path):
    for parameter in described[name]["parameters"]:
        for word in WORDS:
            answer = api.get(place(path, rows), **{parameter: word})
            assert answer.status_code < 500, (parameter, word[:40], answer.content)
    assert api.get(place(path, rows), nothing="x").status_code == 422
