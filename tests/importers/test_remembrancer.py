"""Our own export: brought back as it was, byte for byte, or into another workspace; and refused."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from config.lib.scope import workspace_scope
from contacts.models import Revision, Workspace
from contacts.services import funnel
from contacts.services.workspaces import update_workspace
from memory.exports.kinds import fields, kinds
from memory.exports.ndjson import export_lines
from memory.exports.sql import export_sql
from memory.importers.asked import may_become
from memory.importers.problems import SourceError
from memory.importers.remembrancer import REMEMBRANCER
from memory.importers.run import run_import
from memory.importers.undo import undo_import
from memory.models import ImportRun, Memory, MemoryLink, Passage
from memory.models.imports import ImportState
from sessions.models import Session
from tests.admin.pages import fill
from tests.factories import ALICE, ROOT, make_agent, make_memory, make_session, make_workspace

pytestmark = pytest.mark.django_db


@pytest.fixture
def exported(workspace: Workspace, tmp_path: Path) -> Path:
    """A row of every kind, and what refers to what comes later."""
    fill(workspace)
    with workspace_scope(workspace.id):
        parent = make_session(name="Later made")
        first = Session.objects.order_by("id").first()
        Session.objects.filter(pk=first.pk).update(parent=parent)
        make_memory("Größe: 1.50 m, „quoted“ \u2028 and 🌱", metadata={"big": 2**70, "f": 1e16})
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('app.workspace', %s, true)", [str(workspace.id)])
    path = tmp_path / "export.ndjson"
    path.write_bytes(b"".join(export_lines(workspace)))
    return path


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def take(workspace: Workspace, path: Path, **options: Any) -> Any:
    return run_import(workspace_id=workspace.id, source=REMEMBRANCER, where=str(path), **options)


def empty_database() -> None:
    tables = ", ".join(f'"{model._meta.db_table}"' for model in kinds().values())
    with connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {tables}, contacts_workspace CASCADE")


def load(text: str) -> None:
    """As psql does, in the test's transaction: without the file's own."""
    text = text.replace("\nBEGIN;\n", "\n").replace("\nCOMMIT;\n", "\n")
    with connection.cursor() as cursor:
        cursor.connection.execute(text.encode())


def test_it_has_every_kind_and_no_secret(exported):
    head, *rows, last = lines_of(exported)
    assert head["version"] == 1
    found = {line["kind"] for line in rows}
    assert found <= set(kinds())
    assert len(found) > 20
    assert last["manifest"]["rows"].keys() == found
    assert sum(last["manifest"]["rows"].values()) == len(rows)
    names = {field.attname for model in kinds().values() for field in fields(model)}
    assert not names & {"lease_id", "secret", "repeat_key", "workspace_id"}


def test_the_page_names_every_kind():
    page = (ROOT / "docs" / "export.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([a-z_.]+)`", page))
    assert [kind for kind in kinds() if not named & {kind, kind.rsplit(".")[1]}] == []


def test_an_empty_database_has_it_again_byte_for_byte(exported, workspace, capsys):
    before = exported.read_bytes()
    empty_database()
    call_command("import", "remembrancer", str(exported), keep_ids=True)
    assert "adds up" in capsys.readouterr().out
    again = Workspace.objects.get()
    assert again.pk == workspace.pk
    after = b"".join(export_lines(again))
    assert after.splitlines() == before.splitlines()
    with workspace_scope(again.id):
        assert Passage.objects.filter(of_memory__isnull=False).count() == Memory.objects.count()
    call_command("import", "remembrancer", str(exported), keep_ids=True)
    assert "nothing was new" in capsys.readouterr().out


def test_what_would_be_redacted_now_comes_as_it_was_where_ids_are_kept(exported, workspace, capsys):
    """Its history is sealed as it was; elsewhere it is taken out, and counted."""
    with workspace_scope(workspace.id):
        asked = {"patterns": {"pump": "pump starts"}, "personal": ["email", "phone"]}
        update_workspace(actor=ALICE, settings={"redaction": asked})
    before = b"".join(export_lines(workspace))
    exported.write_bytes(before)
    there = make_workspace("there")
    with workspace_scope(there.id):
        update_workspace(actor=ALICE, settings={"redaction": asked})
    report = take(there, exported)
    assert report.checked.ok, report.checked.differences
    assert report.redacted >= report.problems.by_code["redacted"] > 0
    with workspace_scope(there.id):
        assert not Memory.objects.filter(text__contains="pump starts").exists()
    empty_database()
    call_command("import", "remembrancer", str(exported), keep_ids=True)
    assert "adds up" in capsys.readouterr().out
    assert b"".join(export_lines(Workspace.objects.get())) == before


def test_options_that_would_be_passed_over_are_refused(exported, workspace, capsys):
    empty_database()
    for options, said in (
        ({"keep_ids": True, "workspace": "lab"}, "no --workspace"),
        ({"keep_ids": True, "dry_run": True}, "without --dry-run"),
        ({"since": "2026-01-01"}, "is an option of `manage.py export`"),
        ({"undo": "1a2b"}, "no remembrancer"),
    ):
        with pytest.raises(CommandError, match=said):
            call_command("import", "remembrancer", str(exported), **options)
    for given in ({"since": "2026-01-01"}, {"keep_ids": True}, {"agent": "codex"}):
        with pytest.raises(CommandError, match="--undo: takes the id of a run, and no --"):
            call_command("import", undo="1a2b", **given)
    call_command("import", "remembrancer", str(exported), keep_ids=True)
    *_, last = capsys.readouterr().out.splitlines()
    assert last.endswith(f"of workspace {workspace.slug}, with its history")
    with pytest.raises(CommandError, match="it is not taken back"):
        call_command("import", undo=last.split()[1], workspace=workspace.slug)
    with workspace_scope(workspace.id):
        assert not may_become(ImportRun.objects.get(), ImportState.PREVIEWING)
    make_workspace("there")
    call_command("import", "remembrancer", str(exported), workspace="there")
    *_, last = capsys.readouterr().out.splitlines()
    assert last.endswith(" --workspace there")


def test_psql_loads_it_into_an_empty_database(exported, workspace, tmp_path, capsys):
    path = tmp_path / "export.sql"
    call_command("export", workspace=workspace.slug, format="sql", output=str(path))
    assert "rows" in capsys.readouterr().out
    *text, last = path.read_bytes().splitlines(keepends=True)
    manifest = json.loads(last.removeprefix(b"-- "))["manifest"]
    assert manifest["rows"] == lines_of(exported)[-1]["manifest"]["rows"]
    assert manifest["sha256"] == hashlib.sha256(b"".join(text)).hexdigest()
    empty_database()
    load(path.read_text())
    assert b"".join(export_lines(Workspace.objects.get())) == exported.read_bytes()


def test_part_of_it_as_sql_brings_a_copy_up_to_date(exported, workspace):
    with workspace_scope(workspace.id):
        first = Memory.objects.order_by("id").first()
        later = make_memory("Came later.", session_id=Session.objects.latest("id").pk)
        funnel.update(first, {"superseded_by_id": later.pk}, actor=ALICE)
    part = b"".join(export_sql(workspace, since=later.updated_at)).decode()
    assert "Came later." in part
    assert "Größe" not in part
    wanted = b"".join(export_lines(workspace))
    assert wanted != exported.read_bytes()
    empty_database()
    call_command("import", "remembrancer", str(exported), keep_ids=True)
    for _ in range(2):
        load(part)
        assert b"".join(export_lines(workspace)) == wanted


def test_part_of_it_as_sql_leaves_out_references_to_what_is_not_there(exported, workspace):
    with workspace_scope(workspace.id):
        make_memory("Of a session.", session_id=Session.objects.latest("id").pk)
        memories = Memory.objects.count()
    part = b"".join(export_sql(workspace, only={"memory.memory"})).decode()
    empty_database()
    load(part)
    with workspace_scope(workspace.id):
        assert Memory.objects.filter(session_id=None).count() == memories


def test_another_workspace_takes_all_of_it_and_gives_it_back(exported, workspace):
    there = make_workspace("there")
    with workspace_scope(there.id):
        # Of the same name, and so the same one.
        agent = make_agent()
    assert take(there, exported, dry_run=True).checked.ok
    with workspace_scope(there.id):
        assert not Memory.objects.exists()
    report = take(there, exported)
    assert report.checked.ok, report.checked.differences
    _, *rows, _ = lines_of(exported)
    history = {"contacts.revision", "contacts.revisionseal"}
    kept = [line for line in export_lines(there) if json.loads(line).get("kind") not in history]
    with workspace_scope(workspace.id):
        mine = str(Session.objects.order_by("id").first().agent_id).encode()
    assert [json.loads(line.replace(str(agent.pk).encode(), mine)) for line in kept[2:-1]] == [
        line for line in rows if line["kind"] not in history
    ][1:]
    with workspace_scope(there.id):
        assert Revision.objects.filter(actor_id=report.run_id).exists()
    again = take(there, exported)
    assert not again.changed
    assert set(again.problems.by_code) == {"not_carried"}
    undone = undo_import(workspace_id=there.id, run_id=report.run_id, actor=ALICE)
    assert undone.staying.total() == 0
    with workspace_scope(there.id):
        # Tags stay, as they may be anybody's by now.
        left = {kind for kind, model in kinds().items() if model.objects.exists()}
        assert left == {"contacts.agent", "contacts.tag", "contacts.revision"}


def test_markdown_is_for_people_and_their_tools(exported, workspace, tmp_path):
    folder = tmp_path / "notes"
    options = {"workspace": workspace.slug, "format": "markdown", "output": str(folder)}
    call_command("export", **options)
    (thread,) = [p for p in (folder / "threads").iterdir() if "-main-" in p.name]
    assert "## assistant" in thread.read_text()
    assert "At **noon**." in thread.read_text()
    notes = {path.stem: path.read_text() for path in (folder / "memories").iterdir()}
    with workspace_scope(workspace.id):
        assert len(notes) == Memory.objects.count()
        relation = MemoryLink.objects.first().relation
    (linked,) = [text for text in notes.values() if f"- {relation} [[" in text]
    target = linked.split(f"- {relation} [[")[1].split("]]")[0]
    assert f'title: "{target}"' in notes[target]
    assert (folder / "contacts.vcf").read_text().startswith("BEGIN:VCARD")
    with pytest.raises(CommandError, match="is not empty"):
        call_command("export", **options)


def damaged(path: Path, how: str) -> str:
    lines = path.read_bytes().splitlines(keepends=True)
    if how == "cut":
        path.write_bytes(b"".join(lines[:-1]))
    elif how == "changed":
        path.write_bytes(b"".join([*lines[:2], *lines[3:]]))
    elif how == "newer":
        path.write_bytes(b"".join([lines[0].replace(b'"version":1', b'"version":2'), *lines[1:]]))
    else:
        path.write_text(how)
    return str(path)


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("cut", "is cut off"),
        ("changed", "SHA-256 differs"),
        ("newer", "of version 2"),
        ("", "an empty file"),
        ('{"type": "user", "sessionId": "1"}', "try: import claude-code"),
    ],
)
def test_what_cannot_be_read_is_one_line(exported, workspace, how, words):
    where = damaged(exported, how)
    with pytest.raises(SourceError, match=words) as refused:
        take(workspace, Path(where))
    assert "\n" not in str(refused.value)


def test_what_is_missing_is_told_and_stops_nothing(workspace, tmp_path, capsys):
    with workspace_scope(workspace.id):
        session = make_session()
        make_memory("Kept.", session_id=session.pk)
    path = tmp_path / "export.ndjson"
    call_command("export", workspace=workspace.slug, kinds="memory", output=str(path))
    assert path.stat().st_mode & 0o777 == 0o600
    there = make_workspace("there")
    report = take(there, path)
    assert report.problems.by_code == {"dangling": 1}
    with workspace_scope(there.id):
        assert Memory.objects.get().session_id is None
    with pytest.raises(CommandError, match="--kinds nothing: unknown"):
        call_command("export", workspace=workspace.slug, kinds="nothing")
    with pytest.raises(CommandError, match="nothing was kept"):
        call_command("export", workspace=workspace.slug, output=str(tmp_path / "no" / "file"))
    path.write_bytes(b"".join(export_lines(workspace, since=session.updated_at.replace(year=2999))))
    assert lines_of(path)[-1]["manifest"]["rows"] == {}
