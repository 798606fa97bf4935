"""What is peculiar to basic-memory: observations and relations among prose."""

import pytest

from config.lib.scope import workspace_scope
from contacts.models import Contact
from memory.importers.basic_memory import BASIC_MEMORY
from memory.importers.basic_memory.parse import Observation, Relation, parse
from memory.importers.run import run_import
from memory.models import Memory, MemoryAbout

BODY = """\
# Coffee

Prose with [[Beans]] in it.

## Observations
- [method] Pour over (slowly) is best #brewing #slow (of f(x))
- [ ] a task
- [a link](https://example.org) stays prose
- [tip] call f(x)
## Relations
- pairs_with [[Cake|a cake]] (on Sundays)
- [[Nowhere]]
```
- [code] not one
- is [[no relation]]
```
"""


def test_what_stands_in_a_note():
    found = parse(BODY.splitlines(), 10)
    assert found.observations == [
        Observation(15, "method", "Pour over (slowly) is best #brewing #slow",
                    ("brewing", "slow"), "of f(x)"),
        Observation(18, "tip", "call f(x)"),
    ]  # fmt: skip
    assert found.relations == [
        Relation(12, "links_to", "Beans"),
        Relation(20, "pairs_with", "Cake", "on Sundays"),
        Relation(21, "links_to", "Nowhere"),
    ]
    prose = "\n".join(found.prose)
    assert "- [ ] a task\n- [a link](https://example.org) stays prose" in prose
    assert "not one" in prose
    assert "Observations" not in prose


@pytest.mark.django_db
def test_notes_become_memories_with_links(workspace, tmp_path):
    notes = {
        "Coffee.md": f"---\ntitle: Coffee\npermalink: coffee\ntags: '#hot, drink'\n"
        f"created: 2026-01-02\n---\n{BODY}- likes [[ada]]\n- knows [[Ada]] (well)\n",
        "sub/beans.md": "# Beans\n\n- [fact] Green at first\n- [fact] Green at first\n",
        "people/Ada.md": "---\ntype: Person\npermalink: people/ada\n---\n- [preference] No sugar\n",
        "people/Other.md": "---\npermalink: people/ada\n---\nThe same address\n",
        ".hidden/x.md": "no",
    }
    for name, text in notes.items():
        path = tmp_path / "notes" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def take():
        where = str(tmp_path / "notes")
        return run_import(workspace_id=workspace.id, source=BASIC_MEMORY, where=where)

    report = take()
    assert report.checked.ok, report.checked.differences
    assert {n: (c.total, c.created, c.skipped) for n, c in report.tables.items()} == {
        "notes": (4, 4, 0), "observations": (5, 4, 1), "relations": (5, 5, 0),
    }  # fmt: skip
    codes = {str(code): n for code, n in report.problems.by_code.items()}
    assert codes == {"duplicate": 2, "dangling": 2}
    with workspace_scope(workspace.id):
        coffee = Memory.objects.get(external_id="coffee")
        assert coffee.tags == ["hot", "drink"]
        assert coffee.recorded_at.isoformat() == "2026-01-02T00:00:00+00:00"
        assert coffee.metadata["dangling"] == {"relations": ["Cake", "Nowhere"]}
        links = {one.target.external_id: one.metadata["relations"] for one in
                 coffee.links_out.all()}  # fmt: skip
        assert links == {
            "sub/beans.md": [{"type": "links_to"}],
            "people/ada": [{"type": "likes"}, {"type": "knows", "context": "well"}],
        }
        over = Memory.objects.get(text__startswith="Coffee: Pour over")
        assert (over.kind, over.tags) == ("procedure", ["brewing", "slow"])
        assert over.links_out.get().target == coffee
        assert over.metadata == {"file": "Coffee.md", "line": 12}
        ada = Contact.objects.get()
        known = MemoryAbout.objects.filter(contact=ada).values_list("memory__text", flat=True)
        assert sorted(known) == ["# Ada", "Ada: No sugar"]
    assert not take().changed
