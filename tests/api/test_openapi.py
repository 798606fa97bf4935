"""The OpenAPI document and the page that shows it."""

import re
from pathlib import Path

import orjson
import pytest
from django.core.management import call_command
from django.test import Client

from tests.api.caller import made

KEPT = Path(__file__).resolve().parents[2] / "docs" / "openapi.json"
REFRESH = "python manage.py export_openapi_schema --indent 2 --output docs/openapi.json"


@pytest.fixture(scope="module")
def document():
    return orjson.loads(Client().get("/api/v1/openapi.json").content)


def operations(document):
    return [
        (method, path, described)
        for path, methods in document["paths"].items()
        for method, described in methods.items()
    ]


def test_the_document_in_the_repository_is_the_one_served(document):
    assert KEPT.exists(), REFRESH
    assert orjson.loads(KEPT.read_bytes()) == document, REFRESH


def test_the_command_writes_what_is_served(document, tmp_path):
    place = tmp_path / "openapi.json"
    call_command("export_openapi_schema", api="config.api.api", output=str(place), indent=2)
    assert orjson.loads(place.read_bytes()) == document


def test_it_is_openapi_3_1_without_a_key(document):
    assert document["openapi"].startswith("3.1")
    assert document["info"]["title"] == "Remembrancer"


def test_operation_ids_are_unique_and_read_verb_noun(document):
    ids = [described["operationId"] for _, _, described in operations(document)]
    assert len(ids) == len(set(ids))
    # Search is a verb that needs no noun.
    assert [name for name in ids if not re.fullmatch(r"[a-z]+(_[a-z]+)+", name)] in ([], ["search"])


def test_every_operation_is_described_tagged_and_names_its_scope(document):
    for method, path, described in operations(document):
        assert described["tags"], (method, path)
        assert described["summary"], (method, path)
        assert "Scope: `" in described["description"] or "Any key." in described["description"]
        assert described["security"] == [{"KeyAuth": []}]


def test_every_operation_documents_its_problems(document):
    for method, path, described in operations(document):
        expected = {"401", "403", "422", "429", "500", "503"}
        if "{" in path:
            expected |= {"404"}
        if "requestBody" in described:
            expected |= {"400", "413"}
        if any(one["in"] == "query" for one in described["parameters"]):
            expected |= {"414"}
        if method == "delete" and not re.search("/(links|tags)/", path):
            expected |= {"412", "428"}
        assert expected <= described["responses"].keys(), (method, path)
        for status, response in described["responses"].items():
            if status >= "400":
                assert response == {"$ref": f"#/components/responses/{status}"}
    for status, response in document["components"]["responses"].items():
        # Before a request is one of ours, the web server answers.
        wanted = "text/html" if status == "414" else "application/problem+json"
        assert list(response["content"]) == [wanted]


def test_what_can_be_asked_for_as_markdown_says_so(document):
    asked = [
        described["responses"]["200"]["content"].keys()
        for _, _, described in operations(document)
        for parameter in described.get("parameters", ())
        if "markdown" in parameter["schema"].get("enum", ())
    ]
    assert len(asked) >= 2
    assert all({"application/json", "text/markdown"} <= kinds for kinds in asked), asked


def test_every_reference_leads_somewhere(document):
    text = orjson.dumps(document).decode()
    for kind, name in set(re.findall(r"#/components/(\w+)/([^\"]+)", text)):
        assert name in document["components"][kind], name


def test_the_docs_page_needs_no_other_server(db):
    page = Client().get("/api/v1/docs").content.decode()
    assert "/api/v1/openapi.json" in page
    places = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert places
    assert all(place.startswith("/static/") for place in places)
    for place in places:
        answer = Client().get(place)
        assert answer.status_code == 200, place
        answer.close()


def test_hot_lists_answer_what_they_document(api, document):
    """Lists are written straight from their schema; the schema is what the document shows."""
    session = made(api.post("/sessions", {"project": "greenhouse", "cost_usd": "1.5"}))
    path = f"/sessions/{session['id']}"
    thread = made(api.post(path + "/threads", {}))
    made(api.post(f"/threads/{thread['id']}/messages", {"role": "user", "content": "hello"}))
    made(api.post(path + "/events", {"event_type": "note"}))
    made(api.post("/memories", {"text": "t", "tags": ["a"]}))
    task = made(api.post("/tasks", {"title": "t"}))
    made(api.post("/priorities", {"content": "p"}))
    lists = {
        "/tasks": "/tasks",
        f"/tasks/{task['id']}/history": "/tasks/{task_id}/history",
        "/projects/task-counts": "/projects/task-counts",
        "/priorities": "/priorities",
        "/priorities/today": "/priorities/today",
        "/sessions": "/sessions",
        "/sessions/active": "/sessions/active",
        "/sessions/recent": "/sessions/recent",
        path + "/events": "/sessions/{session_id}/events",
        path + "/threads": "/sessions/{session_id}/threads",
        f"/threads/{thread['id']}/messages": "/threads/{thread_id}/messages",
        "/memories": "/memories",
        "/projects": "/projects",
        "/agents": "/agents",
        "/keys": "/keys",
        path + "/history": "/sessions/{session_id}/history",
    }
    schemas = document["components"]["schemas"]
    for place, documented in lists.items():
        answer = document["paths"]["/api/v1" + documented]["get"]["responses"]["200"]
        shape = follow(schemas, answer["content"]["application/json"]["schema"])
        row_shape = follow(schemas, shape["properties"]["items"]["items"])
        page = made(api.get(place))
        assert page.keys() == shape["properties"].keys()
        assert page["items"][0].keys() == row_shape["properties"].keys(), place


def follow(schemas, schema):
    return schemas[schema["$ref"].rsplit("/", 1)[-1]] if "$ref" in schema else schema
