"""The Import page: uploads, dry runs, imports and undo, each step begun by a person and done by a
job."""

import io
import os
import sqlite3
import tarfile
import zipfile

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db.models import F
from django.urls import reverse

from config.lib import clock
from config.lib.scope import workspace_scope
from contacts.models import Membership, Revision
from contacts.services import funnel
from memory.importers import asked, job, uploads
from memory.importers.registry import SOURCES
from memory.importers.run import run_import
from memory.models import ImportRun, Memory
from memory.tasks_imports import forget_uploads, sweep_imports
from tests.admin.conftest import person, signed_in
from tests.admin.pages import MAX_QUERIES, queries_of, url
from tests.importers.stores import experience_store
from tests.importers.transcripts import SESSION, encode, user

ADD = url(ImportRun, "add")
TEXTS = ["The pump starts at noon.", "Ferns want shade.", ""]


@pytest.fixture(autouse=True)
def alone(settings, tmp_path, monkeypatch):
    """Uploads have a folder of their own. The pulse has a connection of its own, which does not see
    what a test has not committed."""
    settings.DATA_DIR = tmp_path / "data"
    monkeypatch.setattr("memory.importers.pulse.SECONDS", 3600)


@pytest.fixture
def store(tmp_path):
    return experience_store(tmp_path / "raw_store.db", TEXTS).read_bytes()


def upload(client, *files):
    sent = [SimpleUploadedFile(name, content) for name, content in files]
    return client.post(ADD, {"files": sent})


def latest(workspace):
    with workspace_scope(workspace.id):
        return ImportRun.objects.order_by("-id").first()


def work(workspace, told_to_stop=lambda: False):
    job.work(workspace.id, latest(workspace).pk, told_to_stop)
    return latest(workspace)


def press(client, workspace, what):
    run = latest(workspace)
    return client.post(url(ImportRun, "do", run.pk, what), follow=True).content.decode()


def ask(client, workspace, **sent):
    run = latest(workspace)
    asking = {"source": run.source, "read": run.options.get("read", ""), **sent}
    page = client.post(url(ImportRun, "ask", run.pk), asking, follow=True)
    return page.content.decode()


def page_of(client, workspace):
    return client.get(url(ImportRun, "change", latest(workspace).pk)).content.decode()


def memories(workspace):
    with workspace_scope(workspace.id):
        return Memory.objects.count()


@pytest.fixture
def tried(otto, workspace, store):
    """A run whose dry run has ended."""
    upload(otto, ("raw_store.db", store))
    work(workspace)
    ask(otto, workspace)
    return work(workspace)


def test_an_upload_is_looked_at_and_its_source_proposed(otto, workspace, store):
    answer = upload(otto, ("raw_store.db", store))
    run = latest(workspace)
    assert answer.url == url(ImportRun, "change", run.pk)
    assert run.state == "unpacking"
    held = uploads.files_of(asked.folder_of(run)) / "raw_store.db"
    assert held.read_bytes() == store
    assert held.stat().st_mode & 0o777 == 0o600
    assert asked.folder_of(run).stat().st_mode & 0o777 == 0o700
    run = work(workspace)
    assert (run.state, run.source, run.options) == (
        "proposed", "experience-store", {"read": "raw_store.db"},
    )  # fmt: skip
    page = page_of(otto, workspace)
    assert "an experience store (SQLite)" in page
    assert '<option value="experience-store" selected>' in page
    assert len(queries_of(otto, url(ImportRun, "change", run.pk))) <= MAX_QUERIES


def test_a_dry_run_reports_and_writes_nothing(otto, workspace, tried):
    assert tried.state == "tried"
    assert memories(workspace) == 0
    counts = tried.tried["counts"]["experience"]
    assert (counts["read"], counts["created"], counts["skipped"]) == (3, 3, 0)
    page = page_of(otto, workspace)
    assert "this would happen; nothing was kept" in page
    assert "it has no text" in page
    assert "Dry run again" in page


def test_then_it_is_imported_and_the_upload_is_gone(otto, workspace, tried):
    assert "The import has begun." in press(otto, workspace, "running")
    run = work(workspace)
    assert (run.state, run.counts["experience"]["created"]) == ("done", 3)
    assert run.checked["ok"]
    assert memories(workspace) == 3
    assert not asked.folder_of(run).exists()
    page = page_of(otto, workspace)
    assert "It adds up" in page
    with workspace_scope(workspace.id):
        changes = Revision.objects.filter(actor_id=str(run.pk), actor_kind="import")
        assert changes.count() == 3
        begun = Revision.objects.filter(object_id=run.pk, action="running").get()
    assert begun.actor_label == "otto"
    assert "raw_store.db" in otto.get(url(ImportRun, "changelist")).content.decode()


def test_it_is_taken_back_after_a_look_at_what_would_stay(otto, workspace, tried):
    press(otto, workspace, "running")
    work(workspace)
    with workspace_scope(workspace.id):
        memory = Memory.objects.get(external_id="exp_0")
    otto.post(url(Memory, "do", memory.pk, "archive"))
    # What is to be taken back is not taken back unseen.
    press(otto, workspace, "undoing")
    assert latest(workspace).state == "done"
    press(otto, workspace, "previewing")
    assert latest(workspace).state == "previewing"
    run = work(workspace)
    assert run.state == "done"
    assert run.preview["removed"]["memory"] == 2
    assert run.preview["staying"]["memory"] == 1
    assert memories(workspace) == 3
    page = page_of(otto, workspace)
    assert "Taking it back would do this" in page
    assert "it was changed since" in page
    press(otto, workspace, "undoing")
    run = work(workspace)
    assert run.state == "undone"
    assert memories(workspace) == 1
    with workspace_scope(workspace.id):
        gone = Revision.objects.filter(
            action="delete", request_id=run.undone["unlearning_id"]
        ).first()
    assert gone.actor_label == "otto"
    assert "What was taken back" in page_of(otto, workspace)


def test_an_import_of_the_command_is_in_the_list_and_taken_back_too(
    otto, workspace, store, tmp_path
):
    run_import(
        workspace_id=workspace.id,
        source=SOURCES["experience-store"],
        where=str(tmp_path / "raw_store.db"),
        started_by="somebody",
    )
    assert "somebody" in otto.get(url(ImportRun, "changelist")).content.decode()
    press(otto, workspace, "previewing")
    work(workspace)
    press(otto, workspace, "undoing")
    assert work(workspace).state == "undone"
    assert memories(workspace) == 0


def test_nothing_is_imported_that_was_not_tried(otto, workspace, store):
    upload(otto, ("raw_store.db", store))
    work(workspace)
    assert "Nothing was done" in press(otto, workspace, "running")
    assert latest(workspace).state == "proposed"


def test_a_wrong_choice_is_said_in_a_line(otto, workspace, store):
    upload(otto, ("raw_store.db", store))
    work(workspace)
    assert "choose what it is" in ask(otto, workspace, source="nonsense")
    assert "not a part of what was uploaded" in ask(otto, workspace, read="../../../etc/passwd")
    assert "is no date" in ask(otto, workspace, since="yesterday")
    assert "no times to go by" in ask(otto, workspace, source="vcard", since="2026-01-01")
    assert latest(workspace).state == "proposed"
    ask(otto, workspace, source="life-engine")
    run = work(workspace)
    assert run.state == "proposed"
    assert run.error.startswith("raw_store.db is no life-engine system.db")
    assert str(asked.folder_of(run)) not in page_of(otto, workspace)


def test_pieces_come_one_after_the_other(otto, workspace, store):
    began = otto.post(reverse("admin:memory_importrun_begin"),
                      {"name": ["C:\\data\\raw_store.db", "raw_store.db-wal"],
                       "size": [len(store), 0]})  # fmt: skip
    piece = began.json()["piece"]

    def send(part, offset, file=0):
        return otto.post(f"{piece}?file={file}&offset={offset}", part,
                         content_type="application/octet-stream")  # fmt: skip

    assert send(store[:1000], 0).json() == {"size": 1000, "done": False}
    again = send(store[:1000], 0)
    assert (again.status_code, again.json()["size"]) == (409, 1000)
    assert send(store[1000:] + b"more", 1000).status_code == 400
    size = uploads.sizes(asked.folder_of(latest(workspace)))["raw_store.db"]
    last = send(store[size:], size)
    assert last.json() == {"size": len(store), "done": True}
    assert latest(workspace).state == "unpacking"
    assert send(b"", 0, 1).status_code == 409
    assert work(workspace).source == "experience-store"


@pytest.mark.parametrize(
    ("names", "sizes", "why"),
    [
        ([], [], "choose at least one"),
        (["a"], [3 * 1024**3], "at most 2,048 MiB"),
        (["a", "x/a"], [1, 1], "two of them have one name"),
        ([".."], [1], "has no name"),
        (["a"], [-1], "at most"),
        (["a"] * 201, [1] * 201, "at most 200 at once"),
    ],
)
def test_what_cannot_be_taken_is_refused_before_it_is_sent(
    otto, workspace, names, sizes, why, settings
):
    answer = otto.post(reverse("admin:memory_importrun_begin"), {"name": names, "size": sizes})
    assert answer.status_code == 400
    assert why in answer.json()["problem"]
    assert latest(workspace) is None


def zipped(store):
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("folder/raw_store.db", store)
        archive.writestr("folder/notes.txt", "x")
    return target.getvalue()


def tarred(store):
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz") as archive:
        entry = tarfile.TarInfo("folder/raw_store.db")
        entry.size = len(store)
        archive.addfile(entry, io.BytesIO(store))
        link = tarfile.TarInfo("folder/link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    return target.getvalue()


@pytest.mark.parametrize(("name", "pack"), [("a.zip", zipped), ("a.tar.gz", tarred)])
def test_archives_are_taken_apart(otto, workspace, store, name, pack):
    upload(otto, (name, pack(store)))
    run = work(workspace)
    assert (run.state, run.source) == ("proposed", "experience-store")
    assert run.options == {"read": f"{name}/folder/raw_store.db"}
    assert ("1 links or devices" in run.error) is (pack is tarred)
    inside = uploads.files_of(asked.folder_of(run)) / name / "folder"
    assert not (inside / "link").exists()
    ask(otto, workspace)
    assert work(workspace).tried["counts"]["experience"]["created"] == 3


def test_a_folder_of_transcripts_is_read_as_one(otto, workspace):
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for n in "12":
            session = SESSION[:-1] + n
            line = user(f"u{n}", "Water the ferns.", sessionId=session)
            archive.writestr(f"projects/-code/{session}.jsonl", encode(line))
    upload(otto, ("claude.zip", target.getvalue()))
    run = work(workspace)
    assert (run.source, run.options) == ("claude-code", {"read": "claude.zip/projects/-code"})
    ask(otto, workspace)
    work(workspace)
    press(otto, workspace, "running")
    run = work(workspace)
    assert (run.state, run.counts["sessions"]["created"]) == ("done", 2)
    assert run.counts["lines"]["created"] == 2


def test_a_database_comes_with_its_wal(otto, workspace, tmp_path):
    path = experience_store(tmp_path / "raw_store.db", TEXTS)
    writer = sqlite3.connect(path)
    writer.execute("PRAGMA journal_mode = WAL")
    writer.execute("INSERT INTO experience SELECT 'exp_new', type, created_at, content, provenance,"
                   " evidence_ptrs, confidence, embeddings, affect, parents, causes, sign,"
                   " ownership, session_id, consolidated FROM experience LIMIT 1")  # fmt: skip
    writer.commit()
    wal = path.with_name("raw_store.db-wal").read_bytes()
    upload(otto, ("raw_store.db", path.read_bytes()), ("raw_store.db-wal", wal))
    writer.close()
    run = work(workspace)
    assert run.options == {"read": "raw_store.db"}
    ask(otto, workspace)
    assert work(workspace).tried["counts"]["experience"]["created"] == 4


def test_a_hostile_archive_fails_in_a_line_and_leaves_nothing(otto, workspace, store):
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("../../evil", store)
    upload(otto, ("a.zip", target.getvalue()))
    run = work(workspace)
    assert (run.state, run.error) == (
        "failed", "a.zip holds a path that leads out of it; it was not taken",
    )  # fmt: skip
    assert not asked.folder_of(run).exists()
    assert "Upload it again" in page_of(otto, workspace)


def test_a_run_whose_job_died_is_found_and_goes_on_where_it_was(
    otto, workspace, tried, monkeypatch
):
    monkeypatch.setattr("memory.importers.run.BATCH_ROWS", 1)
    press(otto, workspace, "running")
    calls = iter([False, True])
    # The server stops after two batches.
    run = work(workspace, told_to_stop=lambda: next(calls))
    assert (run.state, run.job, memories(workspace)) == ("running", "", 2)
    with workspace_scope(workspace.id):
        ImportRun.objects.update(beat_at=F("beat_at") - asked.LOST)
    sweep_imports(0)
    run = work(workspace)
    assert run.state == "done"
    counts = run.counts["experience"]
    # What it brought before it died is its own.
    assert (counts["read"], counts["created"], counts["unchanged"]) == (3, 3, 0)
    assert memories(workspace) == 3


def test_without_room_it_waits_and_goes_on_when_there_is(otto, workspace, tried, full, monkeypatch):
    monkeypatch.setattr("memory.importers.run.BATCH_ROWS", 1)
    press(otto, workspace, "running")
    calls = iter([lambda: None, full])
    # The disk fills up after two batches.
    run = work(workspace, told_to_stop=lambda: next(calls)())
    assert (run.state, run.job, memories(workspace)) == ("running", "", 2)
    assert "room" in run.progress
    # The sweep's next look, and the next.
    assert work(workspace).state == "running"
    full(False)
    assert work(workspace).state == "done"
    assert memories(workspace) == 3


def test_of_two_jobs_the_second_leaves_it_to_the_first(otto, workspace, tried):
    press(otto, workspace, "running")
    with workspace_scope(workspace.id):
        ImportRun.objects.update(job="another", beat_at=clock.now())
    assert work(workspace).state == "running"
    assert memories(workspace) == 0


def test_who_may_not_any_more_imports_nothing(otto, workspace, tried):
    press(otto, workspace, "running")
    with workspace_scope(workspace.id):
        Membership.objects.filter(user__username="otto").update(role="viewer")
    run = work(workspace)
    assert (run.state, run.error) == (
        "failed", "otto may not import into this workspace any more.",
    )  # fmt: skip
    assert memories(workspace) == 0


def test_one_that_is_stopped_stays_where_it_is(otto, workspace, tried):
    press(otto, workspace, "running")
    press(otto, workspace, "stop")
    assert latest(workspace).state == "interrupted"
    assert work(workspace).state == "interrupted"
    press(otto, workspace, "running")
    assert work(workspace).state == "done"


def test_a_dry_run_that_fails_or_is_stopped_says_nothing_of_rows(
    otto, workspace, tried, monkeypatch
):
    """Whatever it had read was rolled back: nothing was written that could be taken back."""
    ask(otto, workspace)
    half = latest(workspace)
    with workspace_scope(workspace.id):
        funnel.touch(half, counts=tried.tried["counts"])
    with monkeypatch.context() as patched:
        patched.setattr(job, "run_import", lambda **asked: 1 / 0)
        assert work(workspace).state == "proposed"
    page = page_of(otto, workspace)
    assert "An unexpected error" in page
    assert "What it wrote" not in page
    ask(otto, workspace)
    half = latest(workspace)
    with workspace_scope(workspace.id):
        funnel.touch(half, counts=tried.tried["counts"])
    press(otto, workspace, "stop")
    assert "What it wrote" not in page_of(otto, workspace)


def test_uploads_are_deleted_on_demand_and_after_a_day(otto, workspace, tried, store):
    folder = asked.folder_of(tried)
    forget_uploads(0)
    assert folder.exists()
    for path in (folder, uploads.files_of(folder)):
        os.utime(path, (0, 0))
    forget_uploads(0)
    assert not folder.exists()
    page = page_of(otto, workspace)
    assert "happens after a day" in page
    assert "Dry run again" not in page
    upload(otto, ("raw_store.db", store))
    run = work(workspace)
    press(otto, workspace, "discard")
    assert not asked.folder_of(run).exists()


def test_paths_are_superusers_and_below_the_named_folders(
    otto, workspace, store, tmp_path, settings
):
    root = signed_in(person("root", (workspace, "operator"), superuser=True))
    (tmp_path / "allowed").mkdir()
    inside = experience_store(tmp_path / "allowed" / "core.db", TEXTS)
    outside = tmp_path / "raw_store.db"
    (tmp_path / "allowed" / "way-out").symlink_to(outside)
    assert 'name="address"' not in root.get(ADD).content.decode()
    assert "superusers" in root.post(ADD, {"address": str(inside)}).content.decode()
    settings.IMPORT_FOLDERS = [tmp_path / "allowed"]
    assert 'name="address"' in root.get(ADD).content.decode()
    assert 'name="address"' not in otto.get(ADD).content.decode()
    assert "superusers" in otto.post(ADD, {"address": str(inside)}).content.decode()
    for name in ("raw_store.db", "allowed/way-out", "allowed/../raw_store.db", "allowed/nothing"):
        wrong = tmp_path / name
        answer = root.post(ADD, {"address": str(wrong)})
        assert answer.status_code == 200, wrong
        assert "is not there, or not below" in answer.content.decode(), wrong
    assert "is not there" in root.post(ADD, {"address": "/etc/passwd"}).content.decode()
    assert "URLs" in root.post(ADD, {"address": "postgresql://u:p@h/d"}).content.decode()
    assert latest(workspace) is None
    assert root.post(ADD, {"address": str(inside)}).status_code == 302
    assert latest(workspace).source == "experience-store"
    ask(root, workspace)
    assert work(workspace).tried["counts"]["experience"]["created"] == 3
    # It is asked again when it is done.
    settings.IMPORT_FOLDERS = []
    press(root, workspace, "running")
    assert work(workspace).state == "failed"
    assert memories(workspace) == 0
    assert inside.exists()


def test_a_urls_password_is_in_no_row(workspace, settings):
    settings.IMPORT_URLS = True
    root = signed_in(person("root", (workspace, "operator"), superuser=True))
    root.post(ADD, {"address": "postgresql://u:hush-hush@db/archon"})
    run = latest(workspace)
    with workspace_scope(workspace.id):
        held = str(ImportRun.objects.values().get(pk=run.pk))
        held += str(list(Revision.objects.filter(object_id=run.pk).values()))
    assert "hush" not in held
    assert "hush" not in page_of(root, workspace)
    assert "hush" in uploads.read_address(asked.folder_of(run))


def test_another_workspace_has_no_such_run(charlie, otto, workspace, tried):
    for page in ("progress", "ask", "piece"):
        assert charlie.post(url(ImportRun, page, tried.pk), {"x": "1"}).status_code == 404
    assert charlie.post(url(ImportRun, "do", tried.pk, "running")).status_code == 404
