"""`manage.py verify` finds what is broken on purpose, names it, and mends what can be."""

import json
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, models

from config.lib import clock
from config.lib.scope import workspace_scope
from contacts.models import Revision, RevisionSeal
from contacts.services import seals
from contacts.services.contacts import create_contact
from memory.models import DayCount, Memory, Passage, RowCount
from memory.services import counts
from memory.services.embedding import embed_pending
from memory.services.memories import update_memory
from memory.verify import expected
from memory.verify.rows import NUMBERED
from sessions.models import Project, Session, Thread, WorkerOutput
from sessions.services.events import NewEvent, append_events
from sessions.services.projects import create_project, delete_project
from sessions.services.tasks import create_task
from sessions.services.threads import NewMessage, append_messages, create_thread, delete_thread
from sessions.services.workers import spawn_worker
from tests import factories
from tests.conftest import log_in
from tests.factories import ALICE
from tests.search.conftest import HashEmbedder


@pytest.fixture
def as_owner(database_server, django_db_setup, django_db_blocker):
    """Before `db`: the whole test is one transaction of the owner's login, tables and all."""
    with django_db_blocker.unblock():
        log_in(database_server.owner)
    yield
    with django_db_blocker.unblock():
        log_in(database_server.runtime)


@pytest.fixture
def verify(capsys):
    """Runs the command: (exit code, check by name)."""

    def verify(**options):
        code = 0
        try:
            call_command("verify", json=True, **options)
        except CommandError as error:
            code = error.returncode
        found = json.loads(capsys.readouterr().out)
        assert bool(code) == bool(found["findings"])
        return code, {check["name"]: check for check in found["checks"]}

    return verify


def run(*statements):
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


@pytest.fixture
def sound(as_owner, db):
    """The tables as migrations leave them: tests alone grant TRUNCATE and MAINTAIN."""
    # Or autovacuum, at work on a table, waits for the end of who changed its rights, who then
    # wants the table for himself: a deadlock.
    run(
        "DO $$ BEGIN EXECUTE (SELECT 'LOCK TABLE ' || string_agg(format('%I', tablename), ', ')"
        " || ' IN SHARE UPDATE EXCLUSIVE MODE' FROM pg_tables WHERE schemaname = 'public'); END $$"
    )
    run("REVOKE TRUNCATE, MAINTAIN ON ALL TABLES IN SCHEMA public FROM app_rw")


@pytest.fixture(autouse=True)
def embedder(monkeypatch):
    made = HashEmbedder()
    monkeypatch.setattr("memory.verify.vectors.get_embedder", lambda: made)
    return made


def fill(workspace, embedder):
    """A little of everything, embedded and sealed."""
    with workspace_scope(workspace.id):
        session = factories.make_session(name="repotting")
        append_events(
            actor=ALICE,
            session_id=session.id,
            events=[NewEvent("tool_use", f"event {n}", {"is_error": n == 3}) for n in range(1, 6)],
        )
        thread = factories.make_thread(session)
        under = create_thread(actor=ALICE, session_id=session.id, parent_id=thread.id)
        for place in (thread, under):
            texts = [NewMessage("user", f"message {n}") for n in range(4)]
            append_messages(actor=ALICE, thread_id=place.id, messages=texts)
        project = create_project(actor=ALICE, title="The greenhouse")
        create_task(actor=ALICE, title="Water", project_id=project.id)
        create_contact(actor=ALICE, fields={"name": "Vera"})
        worker, _ = spawn_worker(actor=ALICE, primitive="chat", session_id=session.id)
        for seq in (1, 2, 3):
            WorkerOutput(worker=worker, seq=seq, attempt=1, text="x").save(force_insert=True)
        memory = factories.make_memory(session_id=session.id, tags=["plants"])
        update_memory(actor=ALICE, memory_id=memory.id, changes={"text": "At dusk."})
    embed_pending(workspace.id, seconds=20, embedder=embedder)
    seals.seal_settled(workspace.id)
    return session


@pytest.fixture
def filled(sound, embedder, monkeypatch):
    monkeypatch.setattr(seals, "SETTLED", timedelta(seconds=-1))
    workspace = factories.make_workspace("greenhouse")
    fill(workspace, embedder)
    return workspace


def damage(workspace, *statements):
    with workspace_scope(workspace.id):
        run(*statements)


def wrong(checks):
    return {name: check["problems"] for name, check in checks.items() if check["findings"]}


# --- What a database is made of -------------------------------------------------------------------


def test_a_migrated_database_is_as_it_should_be(sound, verify):
    code, checks = verify(structure=True)
    assert wrong(checks) == {}
    assert code == 0
    assert all(check["expected"] == check["found"] for check in checks.values())
    assert checks["indexes"]["expected"] > 150
    assert {"views", "functions", "policies", "grants", "triggers"} <= checks.keys()


def test_nothing_that_migrations_make_goes_unchecked(sound):
    """What is expected is read from models and migrations; this is what the database says."""
    own = tuple(expected.OURS)
    with connection.cursor() as cursor:
        cursor.execute("SELECT viewname FROM pg_views WHERE schemaname = 'public'")
        assert {name for (name,) in cursor.fetchall()} == expected.views()
        cursor.execute(
            "SELECT proname FROM pg_proc p WHERE pronamespace = 'public'::regnamespace "
            "AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND deptype = 'e') "
            "AND proname NOT LIKE 'procrastinate%'"
        )
        assert {name for (name,) in cursor.fetchall()} == {
            signature.partition("(")[0] for signature in expected.functions()
        }
        cursor.execute("SELECT tablename, policyname FROM pg_policies")
        assert set(cursor.fetchall()) == expected.policies()
        cursor.execute("SELECT indexname, tablename FROM pg_indexes WHERE schemaname = 'public'")
        names = {name for name, table in cursor.fetchall() if table.startswith(own)}
    unnamed = names - expected.indexes().keys() - expected.constraints().keys()
    # Backups are of no workspace.
    unnamed -= {"memory_backup_pkey"}
    assert all("workspace" in name for name in unnamed), unnamed
    assert len(unnamed) <= 3


# What is done, the check that finds it, and what it says. Every third goes together.
DAMAGED = [
    ("DROP TABLE memory_evidence", "tables", "memory_evidence is missing"),
    ("ALTER TABLE memory_memory DROP COLUMN affect", "columns", "memory_memory.affect"),
    (
        "ALTER TABLE memory_memory ALTER COLUMN kind TYPE varchar(31)",
        "columns",
        "character varying(31)",
    ),
    ("DROP INDEX memory_kind", "indexes", "memory_kind on memory_memory is missing"),
    ("DROP INDEX passage_vectors", "indexes", "passage_vectors on memory_passage is missing"),
    (
        "DROP INDEX memory_kind; CREATE INDEX memory_kind ON memory_memory (kind)",
        "indexes",
        "memory_kind is on memory_memory (kind), not on memory_memory (workspace_id, kind",
    ),
    (
        "ALTER TABLE contacts_workspace DROP CONSTRAINT contacts_workspace_slug_key",
        "indexes",
        "contacts_workspace.slug has no unique index",
    ),
    (
        "ALTER TABLE memory_memory DROP CONSTRAINT memory_memory_session_id_fk",
        "constraints",
        "memory_memory_session_id_fk on memory_memory is missing",
    ),
    (
        "ALTER TABLE agent_sessions_session DROP CONSTRAINT "
        "agent_sessions_session_event_count_check",
        "constraints",
        "agent_sessions_session.event_count has no check",
    ),
    (
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';"
        "CREATE TRIGGER sly BEFORE INSERT ON memory_memory EXECUTE FUNCTION f()",
        "triggers",
        "sly on memory_memory is not of any migration",
    ),
    (
        "ALTER TABLE memory_memory DISABLE ROW LEVEL SECURITY",
        "row security",
        "memory_memory: row-level security is not enabled",
    ),
    (
        "ALTER TABLE memory_memory NO FORCE ROW LEVEL SECURITY",
        "row security",
        "memory_memory: row-level security is not forced",
    ),
    (
        "DROP POLICY workspace_rows ON memory_memory",
        "policies",
        "workspace_rows on memory_memory is missing",
    ),
    ("DROP POLICY sealed_once ON contacts_revision", "policies", "sealed_once"),
    (
        "ALTER POLICY workspace_rows ON memory_memory USING (true)",
        "policies",
        "workspace_rows on memory_memory is not the workspace's",
    ),
    (
        "CREATE POLICY all_rows ON memory_memory USING (true)",
        "policies",
        "all_rows on memory_memory is not of any migration",
    ),
    (
        "GRANT UPDATE ON agent_sessions_message TO app_rw",
        "grants",
        "agent_sessions_message: app_rw has UPDATE too",
    ),
    (
        "REVOKE UPDATE (digest) ON contacts_revision FROM app_rw",
        "grants",
        "contacts_revision, UPDATE of columns: app_rw lacks digest",
    ),
    ("GRANT SELECT ON memory_memory TO PUBLIC", "grants", "everybody has SELECT"),
    ("DROP VIEW v_recent_sessions", "views", "v_recent_sessions is missing"),
    (
        "ALTER VIEW v_recent_sessions SET (security_invoker = false)",
        "views",
        "v_recent_sessions reads as its owner",
    ),
    (
        "DROP FUNCTION get_last_session(text)",
        "functions",
        "get_last_session(text) is missing",
    ),
    (
        "ALTER FUNCTION get_last_session(text) SECURITY DEFINER",
        "functions",
        "get_last_session(text) runs as app_owner",
    ),
    (
        "SET ROLE app_search; GRANT EXECUTE ON FUNCTION search_nearest TO PUBLIC; RESET ROLE",
        "functions",
        "runs as app_search for every login of the server",
    ),
    (
        "DELETE FROM django_migrations WHERE app = 'memory' AND name LIKE '0006%'",
        "migrations",
        "memory.0006_counts is not applied",
    ),
]


@pytest.mark.parametrize("start", [0, 1, 2])
def test_what_a_database_lost_is_named(sound, verify, start):
    damages = DAMAGED[start::3]
    run(*(statement for statement, _, _ in damages))
    code, checks = verify(structure=True)
    assert code == 1
    for _, category, named in damages:
        problems = wrong(checks)[category]
        assert any(named in problem for problem in problems), (named, problems)
    # A lost table is missed in other places too.
    if "tables" not in wrong(checks):
        assert wrong(checks).keys() == {category for _, category, _ in damages}


def test_rows_are_not_looked_at_in_tables_that_are_not_there(sound, verify, capsys):
    factories.make_workspace("greenhouse")
    run("DROP TABLE memory_evidence")
    code, checks = verify()
    assert code == 1
    assert "event numbers" not in {name.removeprefix("session ") for name in checks}
    with pytest.raises(CommandError, match="findings"):
        call_command("verify")
    printed = capsys.readouterr().out
    assert "structure  tables" in printed
    assert "memory_evidence is missing" in printed
    assert "The rows were not looked at" in printed


# --- What is in it --------------------------------------------------------------------------------


def test_a_workspace_as_services_leave_it_is_whole(filled, verify):
    code, checks = verify()
    assert wrong(checks) == {}
    assert code == 0
    seen = {name: check["found"] for name, check in checks.items() if check["workspace"]}
    empty = ("raw lines", "kept counts", "kept storage", "vectors of a second space")
    assert all(seen[name] for name in seen if name not in empty), seen
    assert checks["seals"]["notes"][0].startswith("the chain ends with seal 1 of ")


def test_the_runtime_login_finds_the_same(embedder, db, verify, monkeypatch):
    """Under row-level security, with another workspace beside; tests alone grant more."""
    monkeypatch.setattr(seals, "SETTLED", timedelta(seconds=-1))
    for slug in ("elsewhere", "greenhouse"):
        fill(factories.make_workspace(slug), embedder)
    _, checks = verify(workspace="greenhouse")
    assert set(wrong(checks)) == {"grants"}
    assert {c["workspace"] for c in checks.values()} == {None, "greenhouse"}
    assert checks["session event numbers"]["expected"] == 5
    verify(workspace="greenhouse", fix=True)


def test_deleting_by_services_leaves_nothing_to_find(filled, verify):
    with workspace_scope(filled.id):
        delete_project(actor=ALICE, project_id=Project.objects.get().id)
        for thread in Thread.objects.order_by("-id"):
            delete_thread(actor=ALICE, thread_id=thread.id)
    code, checks = verify()
    assert wrong(checks) == {}
    assert code == 0


@pytest.mark.parametrize(
    ("statement", "name", "named"),
    [
        (
            "DELETE FROM agent_sessions_sessionevent WHERE seq IN (2, 3)",
            "session event numbers",
            "seq 2 to 3 missing",
        ),
        ("DELETE FROM agent_sessions_message WHERE idx = 0", "message numbers", "idx 0 missing"),
        ("DELETE FROM agent_sessions_workeroutput WHERE seq = 2", "worker output numbers", "seq 2"),
        (
            "UPDATE agent_sessions_message SET session_id = (SELECT id FROM agent_sessions_session "
            "ORDER BY id DESC LIMIT 1)",
            "sessions of threads",
            "is in another session than its thread",
        ),
        (
            "ALTER TABLE memory_memory DROP CONSTRAINT memory_memory_session_id_fk;"
            "UPDATE memory_memory SET session_id = gen_random_uuid()",
            "references",
            "session_id points at nothing in agent_sessions_session",
        ),
        (
            "UPDATE agent_sessions_rawline SET raw = raw || ' '",
            "raw lines",
            "is not what was read from the file",
        ),
        (
            "DELETE FROM contacts_revision WHERE model = 'memory.memory'",
            "rows on record",
            "is not on record",
        ),
    ],
)
def test_what_is_lost_is_named_and_stays_a_finding(filled, verify, statement, name, named):
    with workspace_scope(filled.id):
        factories.make_session(name="another")
        run(
            "INSERT INTO agent_sessions_rawline (id, workspace_id, created_at, session_id, file, "
            "line_no, byte_offset, line_key, digest, raw) SELECT gen_random_uuid(), workspace_id, "
            "now(), id, 'f', 1, 0, 'k', sha256('{\"ü\": 1}'), '{\"ü\": 1}' "
            "FROM agent_sessions_session LIMIT 1"
        )
        # One from which a secret was taken is no finding, and none when it is damaged.
        run(
            "INSERT INTO agent_sessions_rawline (id, workspace_id, created_at, session_id, file, "
            "line_no, byte_offset, line_key, digest, raw) SELECT gen_random_uuid(), workspace_id, "
            "now(), id, 'f', 2, 9, 'l', sha256('sk-1'), '[REDACTED:anthropic-key]' "
            "FROM agent_sessions_session LIMIT 1"
        )
    if name == "raw lines":
        assert verify()[0] == 0
    damage(filled, statement)
    code, checks = verify()
    assert code == 1
    assert any(named in problem for problem in checks[name]["problems"]), checks[name]
    assert checks[name]["found"] < checks[name]["expected"]
    code, checks = verify(fix=True)
    assert code == 1
    assert name in wrong(checks)


@pytest.mark.parametrize(
    ("statement", "name", "named"),
    [
        (
            "UPDATE agent_sessions_session SET event_count = 9",
            "session event_count",
            "event_count 9, not 5",
        ),
        (
            "UPDATE agent_sessions_thread SET message_count = 1",
            "thread message_count",
            "message_count 1, not 4",
        ),
        (
            "UPDATE agent_sessions_session SET message_count = 0",
            "session message_count",
            "message_count 0, not 8",
        ),
        ("UPDATE agent_sessions_session SET tool_count = 0", "session tool_count", "not 5"),
        ("UPDATE agent_sessions_session SET error_count = 7", "session error_count", "7, not 1"),
        (
            "ALTER TABLE memory_passage DROP CONSTRAINT memory_passage_of_memory_id_fk;"
            "UPDATE memory_passage SET of_memory_id = gen_random_uuid() WHERE kind = 'memory'",
            "passages with a source",
            "is of no memory",
        ),
        (
            "ALTER TABLE memory_passage DROP CONSTRAINT passage_one_source;"
            "UPDATE memory_passage SET of_event_id = NULL WHERE kind = 'event'",
            "passages with a source",
            "is of no event",
        ),
        (
            "UPDATE memory_passage SET kind = 'task' WHERE kind = 'message'",
            "passages with a source",
            "is of no task",
        ),
        ("DELETE FROM memory_passage", "sources with passages", "has no passages"),
        (
            "UPDATE memory_passage SET text = 'Something else.' WHERE kind = 'memory'",
            "passages as their source",
            "is not what its passages say",
        ),
        (
            "UPDATE memory_memory SET state = 'quarantined'",
            "passages as their source",
            "is not what its passages say",
        ),
        (
            "UPDATE memory_memory SET state = 'erased'",
            "passages as their source",
            "is not what its passages say",
        ),
        (
            "UPDATE memory_passage SET metadata = '{\"=key\": 1}' WHERE kind = 'event'",
            "passages as their source",
            "is not what its passages say",
        ),
        (
            "UPDATE memory_passage SET recorded_at = '2020-01-01' WHERE kind = 'message'",
            "passages as their source",
            "is not what its passages say",
        ),
        (
            "UPDATE memory_passage SET idx = 40 + idx WHERE kind = 'message'",
            "passages as their source",
            "is not what its passages say",
        ),
        ("UPDATE memory_passage SET embedding = NULL", "vectors", "has no vector"),
        (
            "UPDATE memory_passage SET space_id = NULL",
            "vectors",
            "has a vector of another space or length",
        ),
        (
            "UPDATE memory_passage SET embedding = '[1, 2, 3]'",
            "vectors",
            "has a vector of another space or length",
        ),
        ("UPDATE memory_embeddingspace SET state = 'retired'", "embedding space", "no space"),
    ],
)
def test_what_follows_from_other_rows_is_mended(filled, verify, embedder, statement, name, named):
    damage(filled, statement)
    code, checks = verify(waiting=0)
    assert code == 1
    assert any(named in problem for problem in checks[name]["problems"]), checks[name]
    _, checks = verify(fix=True, waiting=0)
    assert checks[name]["findings"] == 0
    assert checks[name]["fixed"]
    assert any(named in note for note in checks[name]["notes"]) or name == "embedding space"
    embed_pending(filled.id, seconds=20, embedder=embedder)
    # What was dropped on the way is the structure's, and stays.
    _, checks = verify(waiting=0)
    assert set(wrong(checks)) <= {"constraints"}
    with workspace_scope(filled.id):
        assert not Passage.objects.filter(embedding=None).exists()


def test_a_queued_vector_is_made_by_a_job(filled, verify):
    damage(filled, "UPDATE memory_passage SET embedding = NULL, lane = 1")
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM procrastinate_jobs")
    verify(fix=True, waiting=0)
    with connection.cursor() as cursor:
        cursor.execute("SELECT task_name, args->>'workspace_id' FROM procrastinate_jobs")
        assert cursor.fetchall() == [("memory.embed_passages", str(filled.id))]


def test_what_waits_or_was_refused_is_no_finding(filled, verify):
    damage(filled, "UPDATE memory_passage SET embedding = NULL WHERE kind = 'memory'")
    code, checks = verify()
    assert code == 0
    assert checks["vectors"]["notes"] == ["1 wait for their vectors"]
    damage(filled, "UPDATE memory_passage SET lane = 2 WHERE kind = 'memory'")
    code, checks = verify(waiting=0)
    assert code == 0
    assert "1 refused by the provider" in checks["vectors"]["notes"][0]


def test_vectors_of_another_model_are_told_and_left(filled, verify, monkeypatch):
    """To make them anew is a decision: `reembed`."""
    other = HashEmbedder()
    monkeypatch.setattr(other, "model", "other", raising=False)
    monkeypatch.setattr("memory.verify.vectors.get_embedder", lambda: other)
    code, checks = verify(fix=True)
    assert code == 1
    (problem,) = checks["embedding space"]["problems"]
    assert "vectors of test hash (384): no setting says where the model" in problem
    with workspace_scope(filled.id):
        assert not Passage.objects.filter(embedding=None).exists()


def test_without_a_provider_no_vector_is_missing(filled, verify, monkeypatch):
    monkeypatch.setattr("memory.verify.vectors.get_embedder", lambda: None)
    damage(filled, "UPDATE memory_passage SET embedding = NULL")
    code, checks = verify(waiting=0)
    assert code == 0
    assert "no embedding provider is set" in checks["vectors"]["notes"][0]


def test_an_empty_text_needs_no_passage(filled, verify):
    with workspace_scope(filled.id):
        session = Session.objects.get()
        append_events(
            actor=ALICE,
            session_id=session.id,
            events=[
                NewEvent("note"),
                NewEvent("note", " \u00a0\n"),
                NewEvent("text", "told", {"message_uuid": "m"}),
            ],
        )
    code, checks = verify()
    assert wrong(checks) == {}
    assert code == 0


@pytest.mark.parametrize("model", [RowCount, DayCount])
def test_kept_counts_are_counted_again(filled, verify, monkeypatch, model):
    monkeypatch.setattr(counts, "SMALL", 1)
    monkeypatch.setattr(counts, "SETTLED", timedelta(seconds=-5))
    counts.refresh_counts(filled.id)
    code, checks = verify()
    assert (code, wrong(checks)) == (0, {})
    assert checks["kept counts"]["expected"] > 5
    with workspace_scope(filled.id):
        if model is RowCount:
            RowCount.objects.filter(what="events").update(counts={"": 77})
        else:
            DayCount.objects.filter(what="events").update(count=77)
    # As after rows were deleted: the job's next run may not have been yet.
    code, checks = verify()
    assert code == 0
    assert "77" in checks["kept counts"]["notes"][0]
    with workspace_scope(filled.id):
        RowCount.objects.update(recounted_at=clock.now() - timedelta(hours=1))
    code, checks = verify()
    assert code == 1
    assert "77" in checks["kept counts"]["problems"][0]
    assert verify(fix=True)[0] == 0
    assert verify()[0] == 0


# --- The chain of changes -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statement", "name", "named"),
    [
        (
            'UPDATE contacts_revision SET after = after || \'{"text": "forged"}\' '
            "WHERE action = 'update'",
            "revisions",
            "was changed after it was written",
        ),
        (
            "UPDATE contacts_revision SET actor_label = 'nobody' WHERE model = 'memory.memory'",
            "revisions",
            "was changed after it was written",
        ),
        (
            "UPDATE contacts_revision SET salt = NULL WHERE action = 'update'",
            "revisions",
            "has lost its salt",
        ),
        (
            "UPDATE contacts_revision SET erased_at = now() WHERE action = 'update'",
            "revisions",
            "is marked as erased and says something",
        ),
        (
            "DELETE FROM contacts_revision WHERE action = 'update'",
            "revisions",
            "1 of the",
        ),
        (
            "UPDATE contacts_revision SET digest = sha256('x'), salt = sha256('y'), "
            "erased_at = now(), before = '{}', after = '{}', reason = '', actor_label = '' "
            "WHERE action = 'update'",
            "seals",
            "is not what its members make it",
        ),
        (
            "UPDATE contacts_revisionseal SET previous = sha256('x') WHERE position = 2",
            "seals",
            "seal 2 of",
        ),
        (
            "ALTER TABLE contacts_revision DROP CONSTRAINT contacts_revision_seal_id_fk;"
            "DELETE FROM contacts_revisionseal WHERE position = 1",
            "seals",
            "seal 1 is missing",
        ),
    ],
)
def test_a_change_of_the_record_is_found_and_never_mended(filled, verify, statement, name, named):
    with workspace_scope(filled.id):
        factories.make_memory("Another.")
    seals.seal_settled(filled.id)
    with workspace_scope(filled.id):
        assert RevisionSeal.objects.count() == 2
        revision = Revision.objects.filter(action="update").get()
    damage(filled, statement)
    for fix in (False, True):
        code, checks = verify(fix=fix)
        assert code == 1
        assert any(named in problem for problem in checks[name]["problems"]), checks[name]
    if "action = 'update'" in statement and name == "revisions" and "DELETE" not in statement:
        assert str(revision.id) in checks[name]["problems"][0]
        assert str(revision.object_id) in checks[name]["problems"][0]


def test_an_erased_body_and_an_unsealed_change_are_in_order(filled, verify):
    with workspace_scope(filled.id):
        memory = Memory.objects.get()
        assert seals.erase_bodies([memory.id]) == 2
        update_memory(actor=ALICE, memory_id=memory.id, changes={"text": "Later."})
    code, checks = verify()
    assert wrong(checks) == {}
    assert code == 0
    assert "1 not sealed yet" in checks["revisions"]["notes"][0]
    damage(filled, "UPDATE contacts_revision SET reason = 'x' WHERE seal_id IS NULL")
    assert verify()[0] == 1


# --- How it is called -----------------------------------------------------------------------------


def test_only_one_workspace_is_looked_at_if_asked(filled, verify, embedder):
    other = factories.make_workspace("elsewhere")
    fill(other, embedder)
    damage(other, "DELETE FROM agent_sessions_sessionevent WHERE seq = 2")
    assert verify(workspace="greenhouse")[0] == 0
    assert verify(workspace="elsewhere")[0] == 1
    assert verify()[0] == 1
    with pytest.raises(CommandError, match="nowhere"):
        call_command("verify", workspace="nowhere")


def test_many_findings_are_counted_and_the_first_are_named(filled, verify, capsys):
    with workspace_scope(filled.id):
        for n in range(30):
            factories.make_session(name=f"session {n}")
    damage(filled, "UPDATE agent_sessions_session SET event_count = 99")
    _, checks = verify()
    assert checks["session event_count"]["findings"] == 31
    assert len(checks["session event_count"]["problems"]) == 20
    with pytest.raises(CommandError, match=r"31 findings"):
        call_command("verify")
    printed = capsys.readouterr().out
    assert "greenhouse, session event_count: and 11 more" in printed
    code, checks = verify(fix=True)
    assert (code, checks["session event_count"]["fixed"]) == (0, 31)


def test_every_column_that_numbers_rows_is_checked():
    """A new table with a gapless number must be added to verify."""
    numbering = {
        (model, name)
        for model in expected.scoped_models()
        for constraint in model._meta.constraints
        if isinstance(constraint, models.UniqueConstraint) and len(constraint.fields) == 3
        for name in constraint.fields[-1:]
        if isinstance(model._meta.get_field(name), models.PositiveIntegerField)
    }
    assert numbering == {(each.model, each.number) for each in NUMBERED}
