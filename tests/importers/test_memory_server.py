"""What is peculiar to the memory server: a graph without ids and times."""

import json

import pytest

from config.lib.scope import workspace_scope
from contacts.models import Contact
from memory.importers.memory_server import MEMORY_SERVER
from memory.importers.run import run_import
from memory.models import Memory, MemoryAbout, MemoryLink


@pytest.mark.django_db
def test_a_graph_becomes_memories_links_and_contacts(workspace, tmp_path):
    rows = [
        {"type": "relation", "from": "Ada", "to": "Engine", "relationType": "designed"},
        {"type": "entity", "name": "Ada", "entityType": "Person",
         "observations": ["Ada likes tea", "Was born in 1815", "Was born in 1815", " "]},
        {"type": "entity", "name": "Engine", "entityType": "machine", "observations": "one"},
        {"type": "entity", "name": "Ada", "entityType": "poet", "observations": ["Wrote"]},
        {"type": "relation", "from": "Ada", "to": "Nobody", "relationType": "met"},
        {"type": "mood", "name": "sunny"},
        {"type": "entity", "name": "x" * 1000 + "\x00", "entityType": "thing", "score": 1},
    ]  # fmt: skip
    path = tmp_path / "memory.jsonl"
    lines = [json.dumps(row) for row in rows]
    lines.insert(2, '{"type": "entity", oops')
    path.write_text("\n".join(lines), encoding="utf-8")
    report = run_import(workspace_id=workspace.id, source=MEMORY_SERVER, where=str(path))
    assert report.checked.ok, report.checked.differences
    assert {name: (c.total, c.skipped) for name, c in report.tables.items()} == {
        "entities": (4, 1), "observations": (6, 2), "relations": (2, 0), "other lines": (2, 2),
    }  # fmt: skip
    codes = {str(code): n for code, n in report.problems.by_code.items()}
    assert codes == {
        "duplicate": 2, "empty": 1, "not_json": 1, "unknown_type": 1, "dangling": 1,
        "unknown_column": 1, "text_changed": 1,
    }  # fmt: skip
    with workspace_scope(workspace.id):
        ada = Contact.objects.get()
        assert ada.name == "Ada"
        known = MemoryAbout.objects.filter(contact=ada).values_list("memory__text", flat=True)
        assert sorted(known) == [
            "Ada (Person)", "Ada designed Engine", "Ada likes tea", "Ada met Nobody",
            "Ada: Was born in 1815", "Ada: Wrote",
        ]  # fmt: skip
        designed = Memory.objects.get(text="Ada designed Engine")
        links = MemoryLink.objects.filter(source=designed)
        assert {link.metadata["role"]: link.target.text for link in links} == {
            "from": "Ada (Person)", "to": "Engine (machine)",
        }  # fmt: skip
        met = Memory.objects.get(text="Ada met Nobody")
        assert met.metadata["dangling"] == {"to": ["entity/Nobody"]}
        born = Memory.objects.get(text="Ada: Was born in 1815")
        assert born.links_out.get().target.text == "Ada (Person)"


@pytest.mark.django_db
def test_a_file_that_is_written_meanwhile_is_why_it_does_not_add_up(workspace, tmp_path):
    path = tmp_path / "memory.jsonl"
    entities = [{"type": "entity", "name": f"Thing {n}", "entityType": "x"} for n in range(2000)]
    path.write_text("\n".join(json.dumps(one) for one in entities) + "\n", encoding="utf-8")
    late = json.dumps({"type": "entity", "name": "Late", "entityType": "x"})

    def append(report, line):
        if late not in path.read_text():
            with path.open("a") as file:
                file.write(late + "\n")

    wanted = {"workspace_id": workspace.id, "source": MEMORY_SERVER, "where": str(path)}
    report = run_import(**wanted, progress=append)
    assert not report.checked.ok
    assert "changed while it was read" in report.checked.differences[-1]
    assert run_import(**wanted).checked.ok
