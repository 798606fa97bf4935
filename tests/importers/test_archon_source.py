"""Archon by its address, and what is no Archon, cut off, newer or hostile."""

import gzip
import socket
import sqlite3
from pathlib import Path

import psycopg
import pytest
from django.core.management import CommandError, call_command
from psycopg import sql

from config.lib.scope import workspace_scope
from memory.importers.archon.stage import Stage
from memory.importers.problems import SourceError
from memory.importers.registry import SOURCES
from memory.importers.run import run_import
from memory.models import ImportRun, Memory
from sessions.models import Project, Session, SessionEvent, Task
from tests.importers.postgres import restored, scratch_database
from tests.importers.sources import Sample, take

pytestmark = pytest.mark.django_db
EXPORT = Sample("archon", "archon/archon_export.sql.gz")


@pytest.fixture(scope="module")
def live(database_server, legacy):
    """The address of a running Archon, as the one who owns it."""
    where = EXPORT.where(legacy)
    with scratch_database(database_server) as url:
        with gzip.open(where) as stream:
            restored(url, where.with_name("restore_prelude.sql"), stream.read())
        yield url


def read(workspace, where, **options):
    return run_import(
        workspace_id=workspace.id, source=SOURCES["archon"], where=str(where), **options
    )


def contents(url):
    with psycopg.connect(url) as connection:
        return [
            connection.execute(
                sql.SQL("SELECT count(*), max(xmin::text::bigint) FROM {}").format(
                    sql.Identifier(table)
                )
            ).fetchone()
            for table in ("archon_projects", "archon_tasks", "archon_sessions", "archon_settings")
        ]


def told(report):
    return sorted(str(problem) for problem in report.problems)


def test_an_address_gives_what_its_dump_gives(live, legacy, workspace):
    before = contents(live)
    report = read(workspace, live)
    assert report.checked.ok, report.checked.differences
    assert contents(live) == before
    where = EXPORT.where(legacy)
    again = take(workspace, EXPORT, where)
    assert not again.changed
    assert told(again) == told(report)
    assert {n: c.total for n, c in again.tables.items()} == {
        n: c.total for n, c in report.tables.items()
    }
    with workspace_scope(workspace.id):
        run = ImportRun.objects.order_by("id").first()
    password = psycopg.conninfo.conninfo_to_dict(live)["password"]
    assert password not in f"{run.path} {report.as_dict()}"


def test_an_address_that_refuses_is_one_line(live, database_server, workspace, port_of_nobody):
    def said(url):
        with pytest.raises(SourceError) as refused:
            read(workspace, url)
        assert "\n" not in str(refused.value)
        return str(refused.value)

    with_bad_password = live.replace(":" + live.split(":")[2].split("@")[0], ":wrong-word")
    assert "check user and password" in said(with_bad_password)
    assert "wrong-word" not in said(with_bad_password)
    name = live.split("/scratch_")[1].split("?")[0]
    assert "name of the database" in said(live.replace(name, "nothing"))
    assert "check that it runs" in said(f"postgresql://a:b@127.0.0.1:{port_of_nobody}/x")
    assert "should look like" in said("postgresql://a:b@h:port/x")
    assert "should look like" in said("postgresql://h/x?colour=green")
    with scratch_database(database_server) as empty:
        assert "is no Archon database" in said(empty)
    # Somebody who is shown a part of the rows, or none, is refused rather than given these.
    with psycopg.connect(live, autocommit=True) as owner:
        owner.execute("CREATE ROLE archon_reader LOGIN PASSWORD 'a word'")
        owner.execute("GRANT USAGE ON SCHEMA public TO archon_reader")
        user = live.replace("//postgres:", "//archon_reader:").replace(
            live.split(":")[2].split("@")[0], "a%20word"
        )
        try:
            assert "may read all rows" in said(user)
            owner.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO archon_reader")
            assert "may read all rows" in said(user)
            owner.execute("ALTER ROLE archon_reader BYPASSRLS")
            assert read(workspace, user, dry_run=True, compare=0).checked.ok
        finally:
            owner.execute("DROP OWNED BY archon_reader")
            owner.execute("DROP ROLE archon_reader")
    with workspace_scope(workspace.id):
        assert not ImportRun.objects.exists()


@pytest.fixture
def port_of_nobody():
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


# --- Dumps that are none ------------------------------------------------------------------------


@pytest.mark.parametrize("part", [0.02, 0.5, 0.999])
def test_a_dump_that_is_cut_off_is_one_line(workspace, legacy, tmp_path, part):
    raw = EXPORT.where(legacy).read_bytes()
    plain = gzip.decompress(raw)
    for name, whole in (("cut.sql.gz", raw), ("cut.sql", plain[: len(plain) * 9 // 10])):
        path = tmp_path / name
        path.write_bytes(whole[: int(len(whole) * part)])
        with pytest.raises(SourceError, match=r"is cut off .*make the dump again") as refused:
            read(workspace, path)
        assert "\n" not in str(refused.value)
    with workspace_scope(workspace.id):
        assert not ImportRun.objects.exists()


HEAD = "--\n-- PostgreSQL database dump\n--\n"
TAIL = "--\n-- PostgreSQL database dump complete\n--\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"{HEAD}CREATE TABLE public.users (id int);\nCREATE TABLE shop.orders (id int);\n{TAIL}",
         "dump of something else, with the tables users"),
        (f"{HEAD}SELECT 1;\n{TAIL}", "no dump of an Archon database"),
        ("PGDMP\x01\x10", "custom format"),
        ("{\"type\": 1}", "JSON"),
        ("plain words", "text that is not JSON"),
        (f"{HEAD}COPY public.archon_tasks (id) FROM stdin WITH (FORMAT csv);\n{TAIL}",
         "format that pg_dump does not write"),
    ],
)  # fmt: skip
def test_what_is_no_dump_of_archon_says_what_it_looks_like(workspace, tmp_path, text, said):
    path = tmp_path / "dump.sql"
    path.write_text(text)
    with pytest.raises(SourceError, match=said) as refused:
        read(workspace, path)
    assert "\n" not in str(refused.value)
    with pytest.raises(SourceError, match="name the dump file"):
        read(workspace, tmp_path)


def test_no_space_for_the_copy_is_one_line(workspace, legacy, monkeypatch):
    def full(*args):
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(Stage, "add", full)
    with pytest.raises(SourceError, match=r"no space left.*TMPDIR"):
        take(workspace, EXPORT, EXPORT.where(legacy))


# --- Rows -----------------------------------------------------------------------------------------

S1, S2, P1, P2, T1, T2, T3, T4 = (f"{n:08}-0000-4000-8000-000000000000" for n in range(8))
NOW = "2026-02-01 10:00:00+00"


def dump(tmp_path: Path, *statements: str) -> Path:
    path = tmp_path / "rows.sql"
    path.write_text(HEAD + "".join(f"{one};\n" for one in statements) + TAIL)
    return path


def insert(table: str, **values) -> str:
    def literal(value):
        return "NULL" if value is None else "'" + str(value).replace("'", "''") + "'"

    names = ", ".join(f'"{name}"' for name in values)
    return f"INSERT INTO public.archon_{table} ({names}) VALUES ({', '.join(map(literal, values.values()))})"  # fmt: skip  # noqa: E501


def test_a_newer_version_is_read_as_far_as_it_is_known(workspace, tmp_path):
    path = dump(
        tmp_path,
        insert("sessions", id=S1, agent="claude", mood="sunny"),
        insert("sessions", id=S2, agent="claude"),
        insert("feelings", id=1, what="joy"),
        "INSERT INTO auth.users (id) VALUES (1), (2)",
        "INSERT INTO backup.archon_sessions (id) VALUES ('x')",
    )
    report = read(workspace, path)
    assert report.checked.ok, report.checked.differences
    found = "\n".join(told(report))
    for said in (
        "archon_sessions: unknown columns mood",
        "archon_feelings: unknown table with 1 rows",
        "auth.users: unknown table with 2 rows",
        "backup.archon_sessions: unknown table with 1 rows",
    ):
        assert said in found
    with workspace_scope(workspace.id):
        assert Session.objects.filter(source="archon").count() == 2


def test_parents_are_kept_where_they_can_be(workspace, tmp_path):
    def task(key, parent, project=P1):
        return insert("tasks", id=key, title=key, project_id=project, parent_task_id=parent)

    path = dump(
        tmp_path,
        *(insert("projects", id=one, title="The same") for one in (P1, P2)),
        task(T1, T3), task(T2, T1), task(T3, T2),
        task(T4, T1, P2), task(S1, S1), task(S2, "gone"),
    )  # fmt: skip
    report = read(workspace, path)
    with workspace_scope(workspace.id):
        parents = {
            row.external_id: row.parent.external_id if row.parent else None
            for row in Task.objects.select_related("parent")
        }
        assert Project.objects.count() == 2
        lost = Task.objects.get(external_id=S2)
    assert parents == {T1: None, T2: T1, T3: T2, T4: None, S1: None, S2: None}
    assert lost.metadata["dangling"] == {"parent": ["gone"]}
    assert [p.key for p in report.problems if "ring of 3 tasks" in p.reason] == [T1]


def test_times_are_read_as_the_source_wrote_them(workspace, tmp_path):
    """Those of projects, tasks and versions without their zone, where it is named."""
    path = dump(
        tmp_path,
        insert("projects", id=P1, title="Berlin", created_at=NOW, archived="f"),
        insert("tasks", id=T1, title="x", project_id=P1, created_at=NOW, archived="f",
               archived_at=NOW),
        insert("sessions", id=S1, agent="a", started_at=NOW, ended_at="infinity"),
        insert("session_events", id=T2, session_id=S1, event_type="task_created",
               event_data="{}", timestamp="2026-02-01 12:00:00+02"),
    )  # fmt: skip
    report = read(workspace, path)
    assert any(problem.code == "no_time_zone" for problem in report.problems)

    def times():
        with workspace_scope(workspace.id):
            task, session = Task.objects.get(), Session.objects.get(source="archon")
            made = Project.objects.get().created_at, task.created_at
            assert session.ended_at is None
            assert task.archived_at is None
            seen = SessionEvent.objects.get().occurred_at, session.started_at
        return [one.strftime("%H") for one in (*made, *seen)]

    assert times() == ["10", "10", "10", "10"]
    call_command("import", "archon", str(path), workspace=workspace.slug, time_zone="Europe/Berlin")
    assert times() == ["09", "09", "10", "10"]
    with pytest.raises(CommandError, match="no time zone"):
        call_command("import", "archon", str(path), workspace=workspace.slug, time_zone="Mars")


def test_a_session_that_was_open_may_end_here_and_there(workspace, tmp_path):
    rows = {"id": S1, "agent": "a", "started_at": NOW, "metadata": "{}"}
    read(workspace, dump(tmp_path, insert("sessions", **rows, ended_at=None)))
    ended = dump(tmp_path, insert("sessions", **rows, ended_at="2026-02-01 11:00:00+00"))
    assert read(workspace, ended).tables["archon_sessions"].updated == 1
    with workspace_scope(workspace.id):
        session = Session.objects.get(source="archon")
        assert session.ended_at is not None
    reopened = dump(tmp_path, insert("sessions", **rows, ended_at=None))
    assert not read(workspace, reopened).changed


def test_events_of_a_dump_without_sessions_go_to_those_that_are_here(workspace, tmp_path):
    read(workspace, dump(tmp_path, insert("sessions", id=S1, agent="a")))
    event = {"event_type": "decision_made", "event_data": '{"decision": "So be it"}'}
    path = dump(
        tmp_path,
        insert("session_events", id=T1, session_id=S1, timestamp=NOW, **event),
        insert("session_events", id=T2, session_id=S2, timestamp=NOW, **event),
        insert("session_events", id=T3, session_id=None, timestamp=NOW, **event),
    )
    report = read(workspace, path)
    assert report.checked.ok, report.checked.differences
    with workspace_scope(workspace.id):
        assert SessionEvent.objects.get().text == "So be it"
        assert Memory.objects.get().external_id == f"event:{T3}"
    assert report.tables["archon_session_events"].skipped == 1


def test_rows_that_cannot_be_read_are_counted_and_named(workspace, tmp_path):
    path = dump(
        tmp_path,
        insert("projects", id=P1, title="One"),
        "INSERT INTO public.archon_projects (id, title) VALUES ('x')",
    )
    report = read(workspace, path)
    assert report.checked.ok, report.checked.differences
    assert report.tables["archon_projects"].total == 2
    assert any("1 values for 2 columns" in one for one in told(report))


def test_bytes_that_are_not_utf8_do_not_stop_it(workspace, tmp_path):
    path = dump(tmp_path, insert("projects", id=P1, title="caf?", description="ok"))
    path.write_bytes(path.read_bytes().replace(b"caf?", b"caf\xe9"))
    report = read(workspace, path)
    assert report.checked.ok, report.checked.differences
    with workspace_scope(workspace.id):
        assert Project.objects.get().title == "caf\ufffd"


def test_rows_that_no_database_of_theirs_holds_are_brought_or_reported(workspace, tmp_path):
    path = dump(
        tmp_path,
        insert("tasks", id=T1, title="One"),
        insert("tasks", id="", title="Of nobody"),
        insert("sessions", id="s?", agent="claude", started_at=NOW),
        insert("session_events", id="e?", session_id="s?", event_type="note", timestamp="t?"),
        insert("document_versions", id=T2, task_id="gone", field_name="docs", created_at=NOW),
    )
    path.write_bytes(path.read_bytes().replace(b"?", b"\xe9"))
    report, again = read(workspace, path), read(workspace, path)
    assert report.checked.ok, report.checked.differences
    assert not again.changed
    found = "\n".join(told(report))
    for said in (
        "archon_tasks: it has no id; skipped",
        "archon_session_events e\ufffd: timestamp is no time: t\ufffd",
        f"archon_document_versions {T2}: task_id names 'gone', which is not there",
    ):
        assert said in found
    with workspace_scope(workspace.id):
        assert SessionEvent.objects.get().session.source == "archon"
