"""What is peculiar to mem0: exports of several shapes."""

import json

import pytest

from config.lib.scope import workspace_scope
from memory.importers.mem0 import MEM0
from memory.importers.run import run_import
from memory.models import Memory

pytestmark = pytest.mark.django_db


@pytest.fixture
def taken(workspace, tmp_path):
    def take(document):
        path = tmp_path / "mem0.json"
        path.write_text(json.dumps(document), encoding="utf-8")
        return run_import(workspace_id=workspace.id, source=MEM0, where=str(path))

    return take


def test_memories_with_whose_they_are(workspace, taken):
    report = taken(
        [
            {"id": "a", "memory": "Likes tea", "user_id": "ada", "agent_id": "butler",
             "run_id": "r1", "categories": ["preferences", "food"], "hash": "h", "role": "user",
             "created_at": "2025-05-01T10:00:00-07:00", "updated_at": "2025-05-02T10:00:00",
             "metadata": {"source": "chat"}, "mood": "sunny"},
            {"id": "b", "memory": "No time", "created_at": "soon", "expiration_date": "2099-01-01"},
            {"id": "a", "memory": "Again", "user_id": "ada"},
            {"user_id": "ada", "memory": "  "},
            {"user_id": "ada", "text": "Of an own schema"},
        ]
    )  # fmt: skip
    assert report.checked.ok, report.checked.differences
    codes = {str(code): n for code, n in report.problems.by_code.items()}
    assert codes == {"unknown_column": 1, "bad_timestamp": 1, "duplicate": 1, "empty": 1}
    with workspace_scope(workspace.id):
        tea = Memory.objects.get(external_id="a")
        assert (tea.kind, tea.tags, tea.actor) == ("preference", ["preferences", "food"], "user")
        assert tea.agent.name == "butler"
        assert tea.recorded_at.isoformat() == "2025-05-01T17:00:00+00:00"
        assert tea.metadata == {
            "user_id": "ada", "agent_id": "butler", "run_id": "r1", "hash": "h",
            "updated_at": "2025-05-02T10:00:00+00:00",
        }  # fmt: skip
        assert tea.data == {"metadata": {"source": "chat"}, "mood": "sunny"}
        assert Memory.objects.get(external_id="b").expires_at.year == 2099
        assert Memory.objects.filter(text="Of an own schema").exists()


def test_an_object_with_results_and_a_graph(workspace, taken):
    document = {
        "results": [{"id": "a", "memory": "Lives in London", "user_id": "ada"}],
        "relations": [
            {"source": "ada", "relationship": "lives_in", "destination": "london"},
            {"source": "ada"},
        ],
    }
    report = taken(document)
    assert report.checked.ok, report.checked.differences
    assert {n: (c.total, c.created) for n, c in report.tables.items()} == {
        "memories": (1, 1), "relations": (2, 1),
    }  # fmt: skip
    with workspace_scope(workspace.id):
        assert Memory.objects.filter(text="ada lives in london").exists()
    assert not taken(document).changed
