"""What holds of every source: run twice, tried dry, killed, taken back, and read from what is not
its own."""

import hashlib
import json
import sqlite3
import uuid
from collections import Counter

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db import connection

from config.lib.db.models import WorkspaceRow
from config.lib.scope import workspace_scope
from contacts.models import Contact, Revision
from contacts.services import funnel
from memory.importers import run as frame
from memory.importers.problems import SourceError
from memory.importers.registry import SOURCES
from memory.importers.undo import undo_import
from memory.models import ImportRun, Memory, Passage
from sessions.models import Session
from tests.factories import ALICE, ROOT, make_workspace
from tests.importers.sources import SAMPLES, take

SHELL = ALICE
every_sample = pytest.mark.parametrize("sample", SAMPLES, ids=str)
# What a run leaves besides what it brings.
RECORDS = {"ImportRun"}


def counts(workspace) -> Counter:
    """Rows of every table of a workspace."""
    found: Counter = Counter()
    with workspace_scope(workspace.id):
        for model in apps.get_models():
            if issubclass(model, WorkspaceRow) and model.__name__ not in RECORDS:
                found[model.__name__] = model.objects.count()
    return found


def told(report) -> dict:
    """A report without what differs from run to run."""
    return {
        name: value
        for name, value in report.as_dict().items()
        if name not in ("run_id", "seconds", "dry_run")
    }


def digests(path) -> dict:
    files = sorted(path.parent.iterdir()) if path.is_file() else sorted(path.rglob("*"))
    return {
        str(file): (file.stat().st_mtime_ns, hashlib.sha256(file.read_bytes()).hexdigest())
        for file in files
        if file.is_file()
    }


def test_every_source_has_a_sample():
    assert {sample.source for sample in SAMPLES} == set(SOURCES)


def test_every_source_says_how_it_reads_times_and_has_a_page():
    for name, source in SOURCES.items():
        page = (ROOT / "docs" / "moving-in" / f"{name}.md").read_text(encoding="utf-8")
        assert " ".join(source.times.split()) in " ".join(page.split()), name
        assert f"import {name}" in page


@every_sample
def test_a_second_run_changes_nothing_and_the_source_neither(workspace, legacy, sample):
    where = sample.where(legacy)
    files = digests(where)
    first = take(workspace, sample, where)
    assert first.checked.ok, first.checked.differences
    assert first.changed
    assert first.checked.compared or sample.source == "claude-code"
    here = counts(workspace)
    second = take(workspace, sample, where)
    assert counts(workspace) == here
    assert not second.changed
    assert second.checked.ok, second.checked.differences
    assert not +second.rows
    assert digests(where) == files
    assert {t: c.total for t, c in first.tables.items()} == {
        t: c.read for t, c in second.tables.items()
    }
    with workspace_scope(workspace.id):
        states = list(ImportRun.objects.values_list("state", flat=True))
    assert states == ["done", "done"]


@every_sample
def test_a_dry_run_writes_nothing_and_says_the_same(workspace, legacy, sample):
    where = sample.where(legacy)
    before = counts(workspace)
    dry = take(workspace, sample, where, dry_run=True)
    assert counts(workspace) == before
    with workspace_scope(workspace.id):
        assert not ImportRun.objects.exists()
    assert told(dry) == told(take(workspace, sample, where))


@every_sample
def test_a_run_that_was_killed_is_gone_on_with(workspace, legacy, sample, monkeypatch):
    where = sample.where(legacy)
    whole = make_workspace("whole")
    take(whole, sample, where)
    monkeypatch.setattr(frame, "BATCH_ROWS", 50)
    original, batches = frame._Run._store, []

    def killed(run, batch, row):
        batches.append(batch)
        if len(batches) == 5:
            raise KeyboardInterrupt
        original(run, batch, row)

    with monkeypatch.context() as patched:
        patched.setattr(frame._Run, "_store", killed)
        with pytest.raises(KeyboardInterrupt):
            take(workspace, sample, where)
    report = take(workspace, sample, where)
    assert report.checked.ok, report.checked.differences
    # Where a reference was still to come, one Revision less or more was needed.
    ours, theirs = counts(workspace), counts(whole)
    for uneven in ("Revision", "Learning"):
        ours.pop(uneven)
        theirs.pop(uneven)
    assert ours == theirs


@every_sample
def test_taking_a_run_back_leaves_what_was_there_before(workspace, legacy, sample):
    where = sample.where(legacy)
    before = counts(workspace)
    report = take(workspace, sample, where)
    run_id = uuid.UUID(report.run_id)
    here = counts(workspace)
    preview = undo_import(workspace_id=workspace.id, run_id=run_id, actor=SHELL, preview=True)
    assert counts(workspace) == here
    done = undo_import(workspace_id=workspace.id, run_id=run_id, actor=SHELL)
    assert (preview.removed, preview.kept) == (done.removed, done.kept)
    assert not +done.staying, done.kept
    after = counts(workspace)
    for record in ("Revision", "Tag"):
        after.pop(record)
        before.pop(record)
    assert after == before
    with workspace_scope(workspace.id):
        assert ImportRun.objects.get().state == "undone"
    assert take(workspace, sample, where).changed


@every_sample
def test_what_somebody_changed_since_stays(workspace, legacy, sample):
    where = sample.where(legacy)
    report = take(workspace, sample, where)
    with workspace_scope(workspace.id):
        session = Session.objects.order_by("id").first()
        funnel.update(session, {"name": "Mine now"}, actor=ALICE)
    again = take(workspace, sample, where)
    assert again.checked.ok, again.checked.differences
    with workspace_scope(workspace.id):
        assert Session.objects.get(pk=session.pk).name == "Mine now"
    undo_import(workspace_id=workspace.id, run_id=uuid.UUID(again.run_id), actor=SHELL)
    done = undo_import(workspace_id=workspace.id, run_id=uuid.UUID(report.run_id), actor=SHELL)
    assert [one.row_id for one in done.kept if one.model == "session"] == [session.pk]
    with workspace_scope(workspace.id):
        assert Session.objects.get().pk == session.pk


@every_sample
def test_a_file_of_another_kind_says_who_takes_it(workspace, legacy, sample, tmp_path):
    for other in SAMPLES:
        where = other.where(legacy)
        if where.is_dir():
            where = next(where.rglob("*.jsonl"))
        if other.source == sample.source:
            continue
        with pytest.raises(SourceError, match=f"import {other.source}") as refused:
            take(workspace, sample, where)
        assert "\n" not in str(refused.value)
    empty = tmp_path / "empty.db"
    empty.touch()
    for path, said in ((empty, "empty file"), (tmp_path / "missing", "No such file")):
        with pytest.raises(SourceError, match=said) as refused:
            take(workspace, sample, path)
        assert "\n" not in str(refused.value)
    with workspace_scope(workspace.id):
        assert not ImportRun.objects.exists()


# --- SQLite sources -----------------------------------------------------------------------------

sqlite_samples = pytest.mark.parametrize(
    "sample", [one for one in SAMPLES if one.path.endswith((".db", ".sqlite"))], ids=str
)


@pytest.fixture
def copy(tmp_path, legacy):
    def make(sample):
        source = sample.where(legacy)
        target = tmp_path / "copy.db"
        with sqlite3.connect(f"file:{source}?mode=ro&immutable=1", uri=True) as theirs:
            with sqlite3.connect(target) as ours:
                theirs.backup(ours)
        return target

    return make


@sqlite_samples
def test_a_newer_version_is_read_as_far_as_it_is_known(workspace, copy, sample):
    path = copy(sample)
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE moods (id TEXT, mood TEXT)")
        db.execute("INSERT INTO moods VALUES ('m1', 'sunny')")
        table = next(iter(take(workspace, sample, path, dry_run=True).tables))
        db.execute(f"ALTER TABLE {table} ADD COLUMN colour TEXT DEFAULT 'green'")
    report = take(workspace, sample, path)
    assert report.checked.ok, report.checked.differences
    found = [str(problem) for problem in report.problems]
    assert any("moods" in one and "unknown table with 1 rows" in one for one in found)
    assert any(table in one and "unknown columns colour" in one for one in found)


@sqlite_samples
def test_a_database_that_is_cut_off_is_one_line(workspace, copy, sample):
    path = copy(sample)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(SourceError, match="damaged SQLite database") as refused:
        take(workspace, sample, path)
    assert "\n" not in str(refused.value)


@sqlite_samples
def test_no_space_for_the_copy_is_one_line(workspace, copy, sample, monkeypatch):
    path = copy(sample)

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("memory.importers.sqlite.shutil.copyfile", full)
    with pytest.raises(SourceError, match="no space left for a copy.*TMPDIR"):
        take(workspace, sample, path)


@sqlite_samples
def test_a_database_that_somebody_writes_is_read_as_it_stands(workspace, copy, sample):
    """What is not committed yet is not there."""
    path = copy(sample)
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("CREATE TABLE half (id)")
    report = take(workspace, sample, path)
    writer.execute("ROLLBACK")
    writer.close()
    assert report.checked.ok, report.checked.differences


# --- The frame ----------------------------------------------------------------------------------

STORE = next(one for one in SAMPLES if one.source == "experience-store")


def test_what_is_missing_afterwards_does_not_add_up(workspace, legacy, monkeypatch, capsys):
    where = STORE.where(legacy)
    original = frame.check

    def lossy(*args):
        with workspace_scope(workspace.id):
            Memory.objects.filter(external_id__startswith="obs").first().delete()
            Memory.objects.filter(external_id__startswith="exp").update(confidence=0.123)
        return original(*args)

    monkeypatch.setattr(frame, "check", lossy)
    with pytest.raises(CommandError, match="does not add up"):
        call_command("import", STORE.source, str(where), workspace=workspace.slug)
    printed = capsys.readouterr().out
    assert "difference: experience: 397 rows should be here, 396 are" in printed
    assert "confidence is 0.123, not 0.5" in printed


def test_memories_of_an_import_are_found_at_once(workspace, legacy):
    take(workspace, STORE, STORE.where(legacy))
    with workspace_scope(workspace.id):
        without = Memory.objects.exclude(
            pk__in=Passage.objects.exclude(of_memory=None).values("of_memory")
        )
        assert not without.exclude(text__regex=r"^\W*$").exists()
        made = Revision.objects.filter(model="memory.memory", action="import", before={})
        assert made.count() == Memory.objects.count()


def test_older_rows_are_left_out(workspace, legacy):
    report = take(workspace, STORE, STORE.where(legacy), since=frame.clock.now())
    assert report.sum("older") > 400
    assert report.checked.ok, report.checked.differences
    with workspace_scope(workspace.id):
        assert not Memory.objects.exclude(state="quarantined").exists()


def test_a_changed_source_changes_what_it_brought(workspace, copy):
    path = copy(STORE)
    take(workspace, STORE, path)
    with sqlite3.connect(path) as db:
        db.execute(
            "UPDATE experience SET content = ? WHERE id = (SELECT id FROM experience LIMIT 1)",
            (json.dumps({"text": "It was said anew.", "structured": {}}),),
        )
    report = take(workspace, STORE, path)
    assert report.tables["experience"].updated == 1
    with workspace_scope(workspace.id):
        memory = Memory.objects.get(text="It was said anew.")
        assert memory.version == 2
        assert Passage.objects.get(of_memory=memory).text == "It was said anew."
    done = undo_import(workspace_id=workspace.id, run_id=uuid.UUID(report.run_id), actor=SHELL)
    assert done.reverted["memory"] == 1
    with workspace_scope(workspace.id):
        assert not Memory.objects.filter(text="It was said anew.").exists()


def test_a_row_that_cannot_be_stored_does_not_stop_the_rest(workspace, copy, monkeypatch):
    path = copy(STORE)
    with workspace_scope(workspace.id):
        Contact.objects.create(name="nobody", sort_name="nobody")
    original = funnel.insert_rows

    def refusing(rows):
        if any(getattr(row, "external_id", "") == "sess_bad_1" for row in rows):
            with connection.cursor() as cursor:
                cursor.execute("INSERT INTO contacts_contact SELECT * FROM contacts_contact")
        original(rows)

    monkeypatch.setattr(funnel, "insert_rows", refusing)
    report = take(workspace, STORE, path)
    assert report.checked.ok, report.checked.differences
    assert report.tables["session"].skipped == 1
    assert report.tables["session"].created == report.tables["session"].total - 1
    assert [p.code for p in report.problems if p.key == "sess_bad_1"][-1] == "refused"


def test_no_space_in_the_database_is_one_line(workspace, copy, monkeypatch):
    from django.db import OperationalError
    from psycopg.errors import DiskFull

    def full(*args, **kwargs):
        raise OperationalError("could not extend file") from DiskFull("could not extend file")

    monkeypatch.setattr(frame.Writer, "write", full)
    with pytest.raises(SourceError, match="no space left on the database's disk"):
        take(workspace, STORE, copy(STORE))
    with workspace_scope(workspace.id):
        run = ImportRun.objects.get()
    assert run.state == "failed"
    assert run.error.startswith("no space left")


def test_the_command_reports_and_takes_back(workspace, legacy, capsys, tmp_path):
    where, slug = str(STORE.where(legacy)), workspace.slug
    written = tmp_path / "report.json"
    call_command("import", STORE.source, where, workspace=slug, report=written)
    printed = capsys.readouterr().out
    report = json.loads(written.read_text())
    assert f"import --undo {report['run_id']}" in printed
    assert "secrets redacted" in printed
    assert {"table", "id", "code", "level", "reason", "action"} == report["problems"][0].keys()
    call_command("import", STORE.source, where, workspace=slug)
    assert "nothing was new" in capsys.readouterr().out
    call_command("import", undo=report["run_id"], workspace=slug, dry_run=True)
    assert "would be removed" in capsys.readouterr().out
    call_command("import", undo=report["run_id"][:18], workspace=slug)
    assert "staying: nothing" in capsys.readouterr().out
    with workspace_scope(workspace.id):
        assert not Memory.objects.exists()
    with pytest.raises(CommandError, match="cannot make backups"):
        call_command("import", STORE.source, where, workspace=slug, backup=True)
    with pytest.raises(CommandError, match="name a source and a path"):
        call_command("import", workspace=slug)
    with pytest.raises(CommandError, match="--since soon"):
        call_command("import", STORE.source, where, workspace=slug, since="soon")
