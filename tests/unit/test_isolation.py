"""Nothing crosses a workspace, whatever a query forgets."""

import threading
import uuid

import psycopg
import pytest
from django.apps import apps
from django.db import IntegrityError, OperationalError, connection, transaction
from django.test.utils import CaptureQueriesContext

from config.lib import clock
from config.lib.ids import new_id
from config.lib.scope import ScopeError, set_local, workspace_scope
from contacts.models import Agent, Membership, Revision
from contacts.selectors import memberships_of
from contacts.services.workspaces import add_member, create_user
from sessions.models import Session, Thread
from tests import factories
from tests.factories import ALICE, make_memory, make_session, make_thread


def workspace_tables() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid "
            "WHERE c.relkind IN ('r', 'p') AND a.attname = 'workspace_id' "
            "AND c.relnamespace = 'public'::regnamespace ORDER BY 1"
        )
        return [name for (name,) in cursor.fetchall()]


def fill(workspace):
    with workspace_scope(workspace.id):
        thread = make_thread()
        make_memory(session_id=thread.session_id)
        return thread


def test_tests_run_as_the_runtime_role(db):
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT rolname, rolsuper, rolbypassrls FROM pg_roles WHERE rolname = current_user"
        )
        assert cursor.fetchone() == ("app_rw", False, False)
        cursor.execute("SELECT tableowner FROM pg_tables WHERE tablename = 'memory_memory'")
        assert cursor.fetchone() == ("app_owner",)


def test_every_model_of_a_workspace_has_forced_row_level_security(db):
    ours = {
        model._meta.db_table
        for model in apps.get_models()
        if model.__module__.split(".")[0] in {"contacts", "sessions", "memory"}
        # Of every workspace, and of none.
        and model._meta.label not in {"contacts.Workspace", "memory.Backup"}
    }
    assert set(workspace_tables()) == ours
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname FROM pg_class WHERE relrowsecurity AND relforcerowsecurity "
            "AND relnamespace = 'public'::regnamespace"
        )
        assert {name for (name,) in cursor.fetchall()} == ours


def test_without_a_workspace_every_table_is_empty(workspace):
    fill(workspace)
    with connection.cursor() as cursor:
        for table in workspace_tables():
            cursor.execute(f'SELECT count(*) FROM "{table}"')
            assert cursor.fetchone() == (0,), table


def test_a_query_that_forgets_its_filter_sees_one_workspace(workspace, other_workspace):
    fill(workspace)
    with workspace_scope(other_workspace.id), connection.cursor() as cursor:
        for table in workspace_tables():
            cursor.execute(f'SELECT DISTINCT workspace_id FROM "{table}"')
            assert {row[0] for row in cursor.fetchall()} <= {other_workspace.id}, table


def test_a_row_cannot_be_written_into_another_workspace(workspace, other_workspace):
    with workspace_scope(workspace.id):
        with pytest.raises(Exception, match="row-level security") as caught, transaction.atomic():
            Agent.objects.create(workspace_id=other_workspace.id, name="spy")
    assert isinstance(caught.value.__cause__, psycopg.errors.InsufficientPrivilege)


def test_a_foreign_key_cannot_point_into_another_workspace(workspace, other_workspace):
    theirs = fill(other_workspace)
    with workspace_scope(workspace.id):
        session = make_session()
        with pytest.raises(IntegrityError, match="agent_sessions_thread_session_id_fk"):
            with transaction.atomic():
                Thread.objects.create(session_id=theirs.session_id)
        # The same raw, as a query that bypasses the ORM would write it.
        with pytest.raises(IntegrityError, match="agent_sessions_session_parent_id_fk"):
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(
                    "UPDATE agent_sessions_session SET parent_id = %s WHERE id = %s",
                    [theirs.session_id, session.id],
                )


def test_rows_outside_a_scope_fail_loudly_instead_of_being_absent(db):
    with pytest.raises(ScopeError):
        Session.objects.exists()
    with pytest.raises(ScopeError):
        Session()


def test_scopes_do_not_nest(workspace, other_workspace):
    with workspace_scope(workspace.id), pytest.raises(ScopeError):
        with workspace_scope(other_workspace.id):
            pytest.fail("a second scope was entered")


def test_a_scope_takes_a_uuid_only(db):
    with pytest.raises(ScopeError):
        with workspace_scope("'; DROP TABLE x; --"):  # type: ignore[arg-type]
            pytest.fail("a text was taken for a workspace")


def test_an_exception_leaves_no_context_behind(workspace):
    with pytest.raises(ZeroDivisionError), workspace_scope(workspace.id):
        _ = 1 / 0
    with connection.cursor() as cursor:
        cursor.execute("SELECT nullif(current_setting('app.workspace', true), '')")
        assert cursor.fetchone() == (None,)


def test_joins_compare_the_workspace(scoped):
    sql = str(Session.objects.select_related("agent", "project").query)
    assert sql.count('"workspace_id" = (') + sql.count('."workspace_id")') >= 2


def test_updates_and_deletes_are_filtered_by_workspace(scoped):
    thread = make_thread()
    with CaptureQueriesContext(connection) as captured:
        thread.save(update_fields=["name"])
        thread.delete()
    statements = [query["sql"] for query in captured if "SAVEPOINT" not in query["sql"]]
    assert len(statements) >= 2
    for statement in statements:
        assert scoped.id.hex in statement, statement


def test_revisions_are_append_only_for_the_runtime_role(scoped):
    make_session()
    for statement in ("UPDATE contacts_revision SET reason = 'x'", "DELETE FROM contacts_revision"):
        with pytest.raises(Exception, match="permission denied"), transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute(statement)
    assert Revision.objects.exists()


def test_a_person_sees_their_own_memberships_only(workspace, other_workspace):
    alice = create_user(username="alice", password="a long password")
    charlie = create_user(username="charlie", password="a long password")
    with workspace_scope(workspace.id):
        add_member(actor=ALICE, user=alice, role="owner")
    with workspace_scope(other_workspace.id):
        add_member(actor=ALICE, user=charlie, role="viewer")
    assert [m.workspace.slug for m in memberships_of(alice.pk)] == ["greenhouse"]
    assert [m.workspace.slug for m in memberships_of(charlie.pk)] == ["elsewhere"]
    with pytest.raises(ScopeError):
        Membership.objects.count()


@pytest.mark.django_db(transaction=True)
def test_fifty_threads_of_two_workspaces_never_see_each_other():
    here, there = factories.make_workspace("here"), factories.make_workspace("there")
    for workspace in (here, there):
        fill(workspace)
    foreign: list[uuid.UUID] = []

    def look(workspace_id: uuid.UUID) -> None:
        try:
            for _ in range(5):
                with workspace_scope(workspace_id), connection.cursor() as cursor:
                    cursor.execute("SELECT workspace_id FROM agent_sessions_session")
                    foreign.extend(row[0] for row in cursor.fetchall() if row[0] != workspace_id)
        finally:
            connection.close()

    threads = [threading.Thread(target=look, args=((here, there)[n % 2].id,)) for n in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert foreign == []


@pytest.mark.django_db(transaction=True)
def test_a_connection_used_again_has_no_workspace():
    workspace = factories.make_workspace("greenhouse")
    fill(workspace)
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM agent_sessions_session")
        assert cursor.fetchone() == (0,)
        # A workspace set for a session instead of a transaction would leak; ours is local.
        with transaction.atomic():
            set_local("app.workspace", str(workspace.id))
        cursor.execute("SELECT count(*) FROM agent_sessions_session")
        assert cursor.fetchone() == (0,)


@pytest.mark.django_db(transaction=True)
def test_a_scope_on_a_connection_that_was_lost_says_so(workspace):
    connection.ensure_connection()
    pid = connection.connection.info.backend_pid

    def end():
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s, 10000)", [pid])
        connection.close()

    thread = threading.Thread(target=end)
    thread.start()
    thread.join()
    with pytest.raises(OperationalError, match=r"terminat|closed"), workspace_scope(workspace.id):
        pytest.fail("there is no connection")
    connection.close()
    with workspace_scope(workspace.id):
        assert Session.objects.count() == 0


@pytest.mark.django_db(transaction=True)
def test_a_scope_begins_with_one_message_and_ends_without_its_workspace(workspace):
    with CaptureQueriesContext(connection) as asked, workspace_scope(workspace.id):
        assert Session.objects.count() == 0
    assert not [query for query in asked if "SET LOCAL" in query["sql"]]
    with connection.cursor() as cursor:
        cursor.execute("SELECT nullif(current_setting('app.workspace', true), '')")
        assert cursor.fetchone() == (None,)


def test_upserts_name_the_composite_key(scoped):
    agent = factories.make_agent()
    again = Agent(id=agent.id, name="renamed", created_at=clock.now())
    Agent.objects.bulk_create(
        [again],
        update_conflicts=True,
        unique_fields=["workspace", "id"],
        update_fields=["name"],
    )
    assert Agent.objects.get(pk=agent.id).name == "renamed"
    assert Agent.objects.filter(pk=new_id()).count() == 0
