"""What is peculiar to CLAUDE.md and auto memory: Markdown cut into memories, by file and line."""

import pytest

from config.lib.scope import workspace_scope
from memory.importers.claude_md import CLAUDE_MD
from memory.importers.markdown import MAX_FRONT, Note, read_note, units
from memory.importers.run import run_import
from memory.models import Evidence, Memory
from tests.importers.made import claude_md

TEXT = """\
---
modified: 2026-01-02T03:04:05Z
---
# Shop

A shop for tea.

It is small.

## Code style
- Four spaces
  and no tabs

  Not even in Makefiles.
- Short names
<!-- - not this
- nor this -->
Then more text:
```sh
# not a heading
- not a bullet
```
1. Prefer green tea
## Empty
"""


def cut(text, line=1):
    return [
        (one.headings, one.text, one.line, one.is_bullet)
        for one in units(Note(None, body=text.splitlines(), line=line))
    ]


def test_a_note_is_cut_by_bullets_and_sections():
    style = ("Shop", "Code style")
    assert cut(TEXT.split("---\n")[2], 4) == [
        (("Shop",), "A shop for tea.\n\nIt is small.", 6, False),
        (style, "Four spaces\n  and no tabs\n\n  Not even in Makefiles.", 11, True),
        (style, "Short names\nThen more text:\n```sh\n# not a heading\n- not a bullet\n```", 15,
         True),
        (style, "Prefer green tea", 23, True),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "front", ["a: [", "- a", "a: &x [1]\nb: *x", "a: " + "[" * 5000, "a: " + "x" * MAX_FRONT]
)
def test_broken_front_matter_is_left_out(tmp_path, front):
    path = tmp_path / "note.md"
    path.write_text(f"---\n{front}\n---\nBody\n", encoding="utf-8")
    note = read_note(path)
    assert (note.front, note.body[0]) == ({}, "Body")
    assert [str(one.code) for one in note.findings] == ["bad_value"]


@pytest.mark.django_db
def test_memories_with_file_and_line(workspace, tmp_path):
    shop = tmp_path / "shop"
    (shop / ".git").mkdir(parents=True)
    path = shop / "CLAUDE.md"
    path.write_bytes(TEXT.encode() + b"\n- Short names\n- \xff\x00\n")
    (shop / "sub").mkdir()
    (shop / "sub" / "CLAUDE.local.md").symlink_to("/etc/hostname")
    (shop / "README.md").write_text("# Not ours\n")

    def take(where):
        return run_import(workspace_id=workspace.id, source=CLAUDE_MD, where=str(where))

    report = take(shop)
    assert report.checked.ok, report.checked.differences
    codes = {str(code): n for code, n in report.problems.by_code.items()}
    assert codes == {"not_carried": 1, "text_changed": 1}
    with workspace_scope(workspace.id):
        spaces = Memory.objects.get(text__contains="Four spaces")
        assert spaces.text.startswith("Code style: Four spaces")
        assert (spaces.kind, spaces.project.title, spaces.actor) == ("preference", "shop", "user")
        assert spaces.recorded_at.isoformat() == "2026-01-02T03:04:05+00:00"
        quoted = spaces.evidence.get()
        assert quoted.uri == f"file://{path}#L11"
        assert quoted.quote.startswith("Four spaces")
        tea = Memory.objects.get(text="Code style: Prefer green tea")
        assert tea.metadata["line"] == 23
        assert Memory.objects.get(text__startswith="A shop").kind == "fact"
        before = Memory.objects.count(), Evidence.objects.count()
    assert not take(path).changed
    path.write_text(TEXT.replace("# Shop\n", "# Shop\n\n\n", 1), encoding="utf-8")
    again = take(path)
    assert again.tables["notes"].created == 0
    with workspace_scope(workspace.id):
        assert (Memory.objects.count(), Evidence.objects.count()) == before


@pytest.mark.django_db
def test_an_auto_memory(workspace, tmp_path):
    claude_md(tmp_path / "home")
    report = run_import(
        workspace_id=workspace.id, source=CLAUDE_MD,
        where=str(tmp_path / "home" / ".claude" / "projects"),
    )  # fmt: skip
    assert report.checked.ok, report.checked.differences
    with workspace_scope(workspace.id):
        owner, tea = Memory.objects.order_by("text")
        assert (owner.text, owner.kind) == ("Ada owns it", "fact")
        assert (tea.text, tea.kind) == ("Only green tea\n\nAda drinks green tea.", "procedure")
        assert (tea.project.title, tea.actor) == ("home-ada-shop", "agent")
        assert tea.data["front_matter"]["name"] == "tea"
