"""What holds of every source: run twice, tried dry, killed, taken back, and read from what is not
its own."""

import hashlib
import importlib
import json
import os
import sqlite3
import tempfile
import uuid
from collections import Counter
from copy import deepcopy
from dataclasses import dataclass
from datetime import timedelta

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db import connection

from config.lib.db.models import WorkspaceRow
from config.lib.ids import new_id
from config.lib.scope import workspace_scope
from contacts.models import Contact, Revision
from contacts.services import funnel
from contacts.services.funnel import many
from memory.backup.programs import BackupError
from memory.importers import run as frame
from memory.importers.claude_code import source as claude_code
from memory.importers.problems import SourceError
from memory.importers.registry import SOURCES, WITHOUT_SINCE
from memory.importers.report import ImportReport, TableCount
from memory.importers.scratch import scratch_folder
from memory.importers.source import Options
from memory.importers.undo import UndoReport, undo_import
from memory.importers.vcard import source as vcard
from memory.models import ImportRun, Memory, Passage, Unlearning
from memory.services.unlearning import undo_unlearning
from sessions.models import Session
from tests.factories import ALICE, ROOT, make_workspace
from tests.importers.sources import SAMPLES, Sample, take

pytestmark = pytest.mark.django_db
every_sample = pytest.mark.parametrize("sample", SAMPLES, ids=str)
# What a run leaves besides what it brings.
RECORDS = {"ImportRun", "Unlearning"}
# What is written with the row that it is of.
PARTS = {"ContactEmail", "ContactPhone", "ContactTag"}
# What follows from other rows.
MADE_AGAIN = {"Learning", "Passage", "Revision", "RowCount", "DayCount", "StorageCount", "UsageDay"}


def counts(workspace) -> Counter:
    """Rows of every table of a workspace."""
    found: Counter = Counter()
    with workspace_scope(workspace.id):
        for model in apps.get_models():
            if issubclass(model, WorkspaceRow) and model.__name__ not in RECORDS:
                found[model.__name__] = model.objects.count()
    return found


def contents() -> dict:
    """What every row says, but for what is made again or written by each change."""
    found = {}
    for model in apps.get_models():
        if not issubclass(model, WorkspaceRow) or model.__name__ in {*RECORDS, *MADE_AGAIN}:
            continue
        fields = [one.attname for one in model._meta.concrete_fields]
        names = [name for name in fields if name not in ("id", "version", "updated_at")]
        if model.__name__ in PARTS:
            names.remove("created_at")
        for row_id, *row in model.objects.values_list("id", *names):
            key = tuple(row) if model.__name__ in PARTS else row_id
            found[model.__name__, key] = dict(zip(names, row, strict=True))
    return found


def without(rows: Counter, *names: str) -> Counter:
    return Counter({name: n for name, n in rows.items() if name not in names})


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
    # An export has ids of its own, and its stories: test_remembrancer.py.
    assert {sample.source for sample in SAMPLES} == set(SOURCES) - {"remembrancer"}


def test_every_source_says_how_it_reads_times_and_has_a_page():
    for name, source in SOURCES.items():
        page = (ROOT / "docs" / "moving-in" / f"{name}.md").read_text(encoding="utf-8")
        assert " ".join(source.times.split()) in " ".join(page.split()), name
        assert f"import {name}" in page


@dataclass
class Story:
    """What became of one source in one workspace, step by step; `rows` are all tables' counts."""

    sample: Sample
    dry: ImportReport
    first: ImportReport
    second: ImportReport
    resumed: ImportReport
    again: ImportReport
    preview: UndoReport
    undone: UndoReport
    kept: UndoReport
    mine: WorkspaceRow
    rows: dict[str, Counter]
    files: list[dict]
    states: list[str]
    there: dict
    back: tuple[dict, list[str]]


@pytest.fixture(scope="module", params=SAMPLES, ids=str)
def story(request, module_rows, legacy):
    with module_rows():
        return tell(request.param, request.param.where(legacy))


def tell(sample, where) -> Story:
    workspace = make_workspace(f"story-{SAMPLES.index(sample)}")
    rows = {"before": counts(workspace)}
    files = [digests(where)]
    dry = take(workspace, sample, where, dry_run=True)
    rows["dry"] = counts(workspace)
    first = take(workspace, sample, where)
    rows["first"] = counts(workspace)
    second = take(workspace, sample, where)
    rows["second"] = counts(workspace)
    files.append(digests(where))
    run = {"workspace_id": workspace.id, "actor": ALICE}
    preview = undo_import(**run, run_id=uuid.UUID(first.run_id), preview=True)
    rows["preview"] = counts(workspace)
    undone = undo_import(**run, run_id=uuid.UUID(first.run_id))
    rows["undone"] = counts(workspace)
    kill(workspace, sample, where)
    resumed = take(workspace, sample, where)
    rows["resumed"] = counts(workspace)
    with workspace_scope(workspace.id):
        states = list(ImportRun.objects.order_by("id").values_list("state", flat=True))
        mine = mine_now()
    again = take(workspace, sample, where)
    with workspace_scope(workspace.id):
        killed, last = ImportRun.objects.order_by("id")[2:4]
        there = contents()
    undo_import(**run, run_id=last.id)
    kept = undo_import(**run, run_id=killed.id)
    rows["kept"] = counts(workspace)
    with workspace_scope(workspace.id):
        for unit in Unlearning.objects.filter(target_id__in=[last.id, killed.id]).order_by("-id"):
            undo_unlearning(actor=ALICE, unlearning_id=unit.id, most=None)
        back = contents(), list(ImportRun.objects.order_by("id").values_list("state", flat=True))
    return Story(
        sample, dry, first, second, resumed, again, preview, undone, kept, mine, rows, files,
        states, there, back,
    )  # fmt: skip


def mine_now() -> WorkspaceRow:
    """A row that the import brought, changed by a person."""
    for model, changes in (
        (Session, {"name": "Mine now"}), (Memory, {"pinned": True}), (Contact, {"pinned": True}),
    ):  # fmt: skip
        row = model.objects.order_by("id").first()
        if row is not None:
            return funnel.update(row, changes, actor=ALICE)
    raise AssertionError("the import brought nothing")


def kill(workspace, sample, where):
    """A run that dies in the middle."""
    original, batches = frame._Run._store, []

    def killed(run, batch, row):
        batches.append(batch)
        if len(batches) > sample.batches:
            raise KeyboardInterrupt
        original(run, batch, row)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(frame, "BATCH_ROWS", 50)
        patched.setattr(vcard, "BATCH", 10)
        patched.setattr(claude_code, "BATCH_LINES", 1)
        patched.setattr(frame._Run, "_store", killed)
        with pytest.raises(KeyboardInterrupt):
            take(workspace, sample, where)


def test_all_of_it_goes_in_and_adds_up(story):
    first = story.first
    assert first.changed
    assert first.checked.ok, first.checked.differences
    # What a source writes itself is looked for, not compared by field.
    counted = ("claude-code", "codex", "vcard")
    assert first.checked.compared or story.sample.source in counted
    for table, count in first.tables.items():
        came = count.created + count.updated + count.unchanged + count.skipped + count.older
        assert count.total == count.read == came, table


def test_a_second_run_changes_nothing(story):
    assert story.rows["second"] == story.rows["first"]
    assert not story.second.changed
    assert not +story.second.rows
    assert story.second.checked.ok, story.second.checked.differences


def test_the_source_is_never_changed(story):
    assert story.files[0] == story.files[1]


def test_a_dry_run_writes_nothing_and_says_the_same(story):
    assert story.rows["dry"] == story.rows["before"]
    assert told(story.dry) == told(story.first)


def test_a_run_that_was_killed_is_gone_on_with(story):
    assert story.resumed.checked.ok, story.resumed.checked.differences
    # Where a reference was still to come, one Revision less or more was needed; those of what was
    # taken back before stay.
    ours, whole = story.rows["resumed"], story.rows["first"]
    assert without(ours, "Revision", "Learning") == without(whole, "Revision", "Learning")
    assert story.states == ["undone", "done", "failed", "done"]


def test_taking_a_run_back_leaves_what_was_there_before(story):
    assert story.rows["preview"] == story.rows["first"]
    assert (story.preview.removed, story.preview.kept) == (story.undone.removed, story.undone.kept)
    assert not +story.undone.staying, story.undone.kept
    before, after = story.rows["before"], story.rows["undone"]
    assert without(after, "Revision", "Tag") == without(before, "Revision", "Tag")


def test_what_somebody_changed_since_stays(story):
    assert story.again.checked.ok, story.again.checked.differences
    assert not story.again.changed
    mine = story.mine
    staying = story.kept.staying[str(mine._meta.verbose_name)]
    assert story.rows["kept"][type(mine).__name__] == staying == 1
    reasons = {one.row_id: one.why for one in story.kept.kept}
    assert reasons[mine.pk] == "it was changed since"


def test_what_was_taken_back_comes_back(story):
    now, states = story.back
    assert now.keys() == story.there.keys()
    assert now == story.there
    assert states == ["undone", "done", "failed", "done", "done"]


@every_sample
def test_a_file_of_another_kind_says_who_takes_it(workspace, legacy, sample, tmp_path):
    for other in SAMPLES:
        where = other.where(legacy)
        if where.is_dir():
            where = next(one for one in where.rglob("*.*") if one.suffix in (".jsonl", ".md"))
        if other.source == sample.source:
            continue
        with pytest.raises(SourceError, match=f"import {other.source}") as refused:
            take(workspace, sample, where)
        assert "\n" not in str(refused.value)
    empty = tmp_path / "empty.db"
    empty.touch()
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path, said in (
        (empty, "empty file"),
        (tmp_path / "missing", "No such file"),
        (pipe, "neither a file nor a folder"),
        ("mysql://ada:secret@host/shop", "^mysql://... is an address, and only archon reads one"),
    ):
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
def test_a_newer_version_is_read_as_far_as_it_is_known(workspace, copy, sample, tmp_path):
    path = copy(sample)
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE moods (id TEXT, mood TEXT)")
        db.execute("INSERT INTO moods VALUES ('m1', 'sunny')")
        with sample.importer.open(str(path), tmp_path, Options()) as reading:
            table = next(iter(reading.totals))
        db.execute(f"ALTER TABLE {table} ADD COLUMN colour TEXT DEFAULT 'green'")
    report = take(workspace, sample, path, dry_run=True, compare=0)
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
    with pytest.raises(SourceError, match=r"no space left for a copy.*TMPDIR"):
        take(workspace, sample, path)


@sqlite_samples
def test_a_database_that_somebody_writes_is_read_as_it_stands(workspace, copy, sample):
    """What is not committed yet is not there."""
    path = copy(sample)
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("CREATE TABLE half (id)")
    report = take(workspace, sample, path, dry_run=True, compare=0)
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


@pytest.mark.parametrize(
    "sample", [one for one in SAMPLES if one.make or one.source in WITHOUT_SINCE], ids=str
)
def test_age_leaves_out_rows_or_is_refused(workspace, legacy, sample):
    where = sample.where(legacy)
    if sample.source in WITHOUT_SINCE:
        with pytest.raises(CommandError, match="--since: is not for"):
            call_command("import", sample.source, str(where), since="2999-01-01")
        return
    later = frame.clock.now() + timedelta(days=400)
    report = take(workspace, sample, where, dry_run=True, compare=0, since=later)
    assert report.checked.ok, report.checked.differences
    assert report.sum("older") > 1
    assert report.sum("created") <= report.tables.get("relations", TableCount()).total


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
    done = undo_import(workspace_id=workspace.id, run_id=uuid.UUID(report.run_id), actor=ALICE)
    assert done.reverted["memory"] == 1
    with workspace_scope(workspace.id):
        assert not Memory.objects.filter(text="It was said anew.").exists()


def test_a_row_that_cannot_be_stored_does_not_stop_the_rest(workspace, copy, monkeypatch):
    path = copy(STORE)
    with workspace_scope(workspace.id):
        Contact.objects.create(name="nobody", sort_name="nobody")
    original = many.insert_rows

    def refusing(rows):
        if any(getattr(row, "external_id", "") == "sess_bad_1" for row in rows):
            with connection.cursor() as cursor:
                cursor.execute("INSERT INTO contacts_contact SELECT * FROM contacts_contact")
        original(rows)

    monkeypatch.setattr(many, "insert_rows", refusing)
    report = take(workspace, STORE, path)
    assert report.checked.ok, report.checked.differences
    assert report.tables["session"].skipped == 1
    assert report.tables["session"].created == report.tables["session"].total - 1
    assert [p.code for p in report.problems if p.key == "sess_bad_1"][-1] == "refused"


def test_a_row_that_another_run_writes_meanwhile_is_taken_for_the_same(
    workspace, copy, monkeypatch
):
    fill = frame.Writer._fill
    theirs = []

    def beaten(self, model, one):
        fits = fill(self, model, one)
        if model is Session and fits and not theirs:
            twin = deepcopy(one.row)
            twin.id = new_id()
            theirs.append(funnel.create(twin, actor=ALICE))
        return fits

    monkeypatch.setattr(frame.Writer, "_fill", beaten)
    report = take(workspace, STORE, copy(STORE))
    assert report.checked.ok, report.checked.differences
    assert report.tables["session"].skipped == 0
    assert report.tables["session"].created == report.tables["session"].total - 1
    with workspace_scope(workspace.id):
        assert Memory.objects.filter(session=theirs[0]).exists()


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


def test_what_a_killed_run_left_is_removed_and_what_runs_is_not(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / "remembrancer-import-left").mkdir()
    (tmp_path / "remembrancer-import-left" / "source.db").touch()
    (tmp_path / "remembrancer-import-file").touch()
    with scratch_folder() as first, scratch_folder() as second:
        there = {path.name for path in tmp_path.iterdir()}
        assert there == {first.name, second.name, "remembrancer-import-file"}
    assert [path.name for path in tmp_path.iterdir()] == ["remembrancer-import-file"]


def test_the_command_reports_and_takes_back(workspace, legacy, capsys, tmp_path, monkeypatch):
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

    def full() -> None:
        raise BackupError("no space")

    command = importlib.import_module("memory.management.commands.import")
    monkeypatch.setattr(command, "make_backup", full)
    with pytest.raises(CommandError, match="no space"):
        call_command("import", STORE.source, where, workspace=slug, backup=True)
    with workspace_scope(workspace.id):
        assert not Memory.objects.exists()
    with pytest.raises(CommandError, match="name a source and a path"):
        call_command("import", workspace=slug)
    with pytest.raises(CommandError, match="--since soon"):
        call_command("import", STORE.source, where, workspace=slug, since="soon")
