"""What a list shows, as a file: CSV, JSON and NDJSON."""

import csv
import io

import orjson
import pytest

from config.lib.scope import workspace_scope
from contacts.models import ApiKey
from contacts.services import row_exports
from sessions.models import Session, Task
from sessions.services.tasks import create_task
from tests.admin.pages import WORKSPACE_MODELS, url
from tests.factories import ALICE

HEADERS = {"csv": "text/csv", "json": "application/json", "ndjson": "application/x-ndjson"}


@pytest.fixture
def tasks(workspace):
    with workspace_scope(workspace.id):
        return [create_task(actor=ALICE, title=f"Dig {n}", feature="Beds")[0] for n in range(5)]


def download(client, model, ending, **query):
    answer = client.get(url(model, "download", ending), query)
    assert answer.status_code == 200, answer.status_code
    assert answer["Content-Type"].startswith(HEADERS[ending])
    assert f'.{ending}"' in answer["Content-Disposition"]
    return b"".join(answer.streaming_content).decode()


def test_each_format_has_every_row_over_several_batches(alice, tasks, monkeypatch):
    monkeypatch.setattr(row_exports, "BATCH", 2)
    titles = [row.title for row in tasks]
    rows = list(csv.DictReader(io.StringIO(download(alice, Task, "csv").removeprefix("\ufeff"))))
    assert [row["title"] for row in rows] == titles
    assert [row["title"] for row in orjson.loads(download(alice, Task, "json"))] == titles
    lines = [orjson.loads(line) for line in download(alice, Task, "ndjson").splitlines()]
    assert [line["title"] for line in lines] == titles
    assert lines[0]["id"] == str(tasks[0].pk)
    assert lines[0]["created_at"] == tasks[0].created_at.isoformat()


def test_an_export_has_the_lists_filters(alice, workspace, tasks):
    with workspace_scope(workspace.id):
        create_task(actor=ALICE, title="Sow", assignee="Ada")
    for query in ({"assignee": "Ada"}, {"q": "Sow"}, {"assignee": "Ada", "p": "7"}):
        found = orjson.loads(download(alice, Task, "json", **query))
        assert [row["title"] for row in found] == ["Sow"], query
    assert orjson.loads(download(alice, Task, "json", q="nothing at all")) == []
    page = alice.get(url(Task, "changelist"), {"assignee": "Ada"}).content.decode()
    assert 'href="download/csv/?assignee=Ada"' in page


@pytest.mark.parametrize("text", ["=1+1", "@SUM(A1)", "-2+3", "\t=1", "'=1"])
def test_a_formula_is_made_a_text(alice, workspace, text):
    with workspace_scope(workspace.id):
        create_task(actor=ALICE, title="Dig", feature=text)
    (row,) = csv.DictReader(io.StringIO(download(alice, Task, "csv").removeprefix("\ufeff")))
    assert row["feature"] == f"'{text}"
    (found,) = orjson.loads(download(alice, Task, "json"))
    assert found["feature"] == text


@pytest.mark.parametrize("model", WORKSPACE_MODELS, ids=lambda m: m._meta.model_name)
def test_every_list_is_exported_without_secrets(alice, rows, model):
    address = url(model, "changelist") + "download/ndjson/"
    answer = alice.get(address)
    if not hasattr(model, "workspace"):
        assert answer.status_code in (302, 404)
        return
    lines = [orjson.loads(line) for line in b"".join(answer.streaming_content).splitlines()]
    assert str(rows[model].pk) in {line["id"] for line in lines}
    for name in ("digest", "secret", "salt", "lease_id", "embedding", "tsv"):
        assert name not in lines[0], name


def test_a_key_is_exported_without_what_it_opens(alice, rows):
    (line,) = orjson.loads(download(alice, ApiKey, "json"))
    assert line["name"] == "nightly"
    assert "digest" not in line


def test_who_may_not_look_gets_no_file(client, charlie, alice, rows):
    assert client.get(url(Task, "download", "csv")).status_code == 302
    assert orjson.loads(download(charlie, Session, "json")) == []
    assert alice.get(url(Task, "download", "xml")).status_code == 404
    assert alice.get(url(Task, "download", "csv"), {"created_at_from": "x"}).status_code == 404
