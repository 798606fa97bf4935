"""Revisions are chained by seals, whoever commits when; erased bodies leave the chain whole."""

import threading
from datetime import timedelta

import pytest
from django.db import connection, transaction

from config.lib import clock
from config.lib.ids import new_id
from config.lib.scope import workspace_scope
from contacts.models import Revision, RevisionSeal
from contacts.services import funnel, seals
from contacts.services.digests import FIRST, canonical, revision_digest, seal_digest
from contacts.tasks import seal_revisions
from memory.services.memories import update_memory
from tests import factories
from tests.conftest import log_in
from tests.factories import ALICE, make_agent, make_memory, make_session


@pytest.fixture
def at_once(monkeypatch):
    """What was just written counts as settled."""
    monkeypatch.setattr(seals, "SETTLED", timedelta(seconds=-1))


def chain():
    return list(RevisionSeal.objects.order_by("position"))


def holds(seal, previous=None):
    """Whether a seal is what its members and the one before it make it."""
    members = list(Revision.objects.filter(seal=seal).order_by("id"))
    expected = bytes(previous.digest) if previous else FIRST
    return (
        seal.count == len(members)
        and bytes(seal.previous) == expected
        and bytes(seal.digest) == seal_digest(seal, [bytes(m.digest) for m in members])
        and all(
            m.erased_at or bytes(m.digest) == revision_digest(m, bytes(m.salt)) for m in members
        )
    )


@pytest.mark.parametrize(
    ("value", "as_stored"),
    [(1e16, 10**16), (100.0, 100), (1e23, 10**23), (-0.0, 0), (0.1, 0.1), (1e-7, 0.0000001),
     (1.5e300, 15 * 10**299), ((1, 2), [1, 2]), ({1: "a"}, {"1": "a"})],
)  # fmt: skip
def test_a_value_has_one_spelling_before_and_after_it_was_stored(value, as_stored):
    assert canonical({"v": value}) == canonical({"v": as_stored})


@pytest.mark.parametrize(
    ("one", "other"),
    [(1, "1"), (1, True), (0, False), (None, "None"), ([], {}), ([["a", 1]], {"a": 1}),
     ("1e0", 1), ({"number": "1e0"}, 1), ({"list": [1]}, [1]), (1, 10), (-1, 1)],
)  # fmt: skip
def test_different_values_are_spelled_differently(one, other):
    assert canonical(one) != canonical(other)


def test_a_digest_made_at_writing_is_that_of_the_stored_row(scoped):
    memory = make_memory(
        "t", data={"a": [1e16, 1e-7, -0.0, 3, None, True], "ü": {"x": "ß"}}, confidence=0.3
    )
    update_memory(actor=ALICE, memory_id=memory.id, changes={"text": "u"}, reason="why")
    rows = list(Revision.objects.filter(object_id=memory.id))
    assert len(rows) == 2
    for row in rows:
        assert bytes(row.digest) == revision_digest(row, bytes(row.salt))
    assert len({bytes(row.salt) for row in rows}) == 2


def test_batches_have_digests_too(scoped):
    agents = [make_agent("a"), make_agent("b")]
    funnel.record_many(agents, "adopt", actor=ALICE)
    rows = list(Revision.objects.filter(action="adopt"))
    assert len(rows) == 2
    assert all(bytes(r.digest) == revision_digest(r, bytes(r.salt)) for r in rows)


def test_what_is_fresh_is_left_for_the_next_time(workspace):
    with workspace_scope(workspace.id):
        make_session()
    assert seals.seal_settled(workspace.id) == 0
    with workspace_scope(workspace.id):
        assert chain() == []


def test_seals_follow_one_another_and_each_revision_has_one(workspace, at_once, monkeypatch):
    monkeypatch.setattr(seals, "MOST_MEMBERS", 2)
    with workspace_scope(workspace.id):
        make_session()
        for n in range(3):
            make_memory(f"Memory {n}")
        count = Revision.objects.count()
    assert seals.seal_settled(workspace.id) == count
    assert seals.seal_settled(workspace.id) == 0
    with workspace_scope(workspace.id):
        found = chain()
        assert [seal.position for seal in found] == list(range(1, len(found) + 1))
        assert len(found) == (count + 1) // 2
        for previous, seal in zip([None, *found], found, strict=False):
            assert holds(seal, previous)
        assert not Revision.objects.filter(seal=None).exists()


def test_the_job_seals_every_workspace_in_a_chain_of_its_own(workspace, other_workspace, at_once):
    for place in (workspace, other_workspace):
        with workspace_scope(place.id):
            make_session()
    seal_revisions(0)
    for place in (workspace, other_workspace):
        with workspace_scope(place.id):
            (seal,) = chain()
            assert seal.position == 1
            assert holds(seal)


def test_rows_of_a_release_without_digests_are_sealed_from_what_they_say(workspace, at_once):
    with workspace_scope(workspace.id):
        make_session()
        old = Revision.objects.first()
        old.id, old.salt, old.digest = new_id(), None, None
        old.save(force_insert=True)
    seals.seal_settled(workspace.id)
    with workspace_scope(workspace.id):
        row = Revision.objects.get(pk=old.id)
        assert bytes(row.digest) == revision_digest(row, bytes(row.salt))
        assert holds(*chain())


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE contacts_revision SET before = '{}'",
        "UPDATE contacts_revision SET erased_at = now()",
        "DELETE FROM contacts_revision",
        "UPDATE contacts_revisionseal SET digest = ''",
        "DELETE FROM contacts_revisionseal",
    ],
)
def test_the_runtime_role_cannot_change_the_record(workspace, at_once, statement):
    with workspace_scope(workspace.id):
        make_session()
    seals.seal_settled(workspace.id)
    with workspace_scope(workspace.id):
        with pytest.raises(Exception, match="permission denied"), transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute(statement)


def test_a_sealed_revision_is_out_of_the_runtime_roles_reach(workspace, at_once):
    with workspace_scope(workspace.id):
        make_session()
    seals.seal_settled(workspace.id)
    with workspace_scope(workspace.id):
        make_memory()
        with connection.cursor() as cursor:
            # Only the new ones are there to be updated, and only towards a seal.
            unsealed = Revision.objects.filter(seal=None).count()
            cursor.execute("UPDATE contacts_revision SET digest = digest WHERE seal_id IS NOT NULL")
            assert cursor.rowcount == 0
            assert unsealed
            with pytest.raises(Exception, match="row-level security"), transaction.atomic():
                cursor.execute("UPDATE contacts_revision SET digest = ''")


@pytest.mark.django_db(transaction=True)
def test_a_revision_that_becomes_visible_late_takes_the_next_seal(at_once):
    workspace = factories.make_workspace("greenhouse")
    written, may_commit = threading.Event(), threading.Event()

    def slow() -> None:
        try:
            with workspace_scope(workspace.id):
                make_agent("slow")
                written.set()
                may_commit.wait(20)
        finally:
            connection.close()

    thread = threading.Thread(target=slow)
    thread.start()
    assert written.wait(20)
    with workspace_scope(workspace.id):
        make_agent("quick")
    first = seals.seal_settled(workspace.id)
    may_commit.set()
    thread.join()
    assert seals.seal_settled(workspace.id) == 1
    with workspace_scope(workspace.id):
        one, two = chain()
        assert (one.count, two.count) == (first, 1)
        late = Revision.objects.get(seal=two)
        assert late.after["name"] == "slow"
        assert late.id < max(Revision.objects.filter(seal=one).values_list("id", flat=True))
        assert holds(one)
        assert holds(two, one)


@pytest.mark.django_db(transaction=True)
def test_many_jobs_at_once_make_one_chain(at_once, monkeypatch):
    monkeypatch.setattr(seals, "MOST_MEMBERS", 5)
    workspace = factories.make_workspace("greenhouse")
    with workspace_scope(workspace.id):
        for n in range(30):
            make_agent(f"agent {n}")
        count = Revision.objects.count()
    sealed: list[int] = []
    errors: list[BaseException] = []
    start = threading.Barrier(4)

    def work() -> None:
        try:
            start.wait()
            sealed.append(seals.seal_settled(workspace.id))
        except BaseException as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sealed.append(seals.seal_settled(workspace.id))
    assert errors == []
    assert sum(sealed) == count
    with workspace_scope(workspace.id):
        found = chain()
        for previous, seal in zip([None, *found], found, strict=False):
            assert holds(seal, previous)
        assert sum(seal.count for seal in found) == count


@pytest.fixture
def as_owner(database_server, django_db_setup, django_db_blocker):
    """The whole test in one transaction of the owner's login."""
    with django_db_blocker.unblock():
        log_in(database_server.owner)
    yield
    with django_db_blocker.unblock():
        log_in(database_server.runtime)


def test_an_erased_body_is_gone_and_the_chain_still_holds(as_owner, db, at_once):
    workspace = factories.make_workspace("greenhouse")
    with workspace_scope(workspace.id):
        secret = make_memory("The key is under the pot.")
        update_memory(actor=ALICE, memory_id=secret.id, changes={"text": "x"}, reason="moved")
    seals.seal_settled(workspace.id)
    with workspace_scope(workspace.id):
        assert seals.erase_bodies([secret.id]) == 2
        assert seals.erase_bodies([secret.id]) == 0
        for row in Revision.objects.filter(object_id=secret.id):
            assert (row.before, row.after, row.reason, row.actor_label) == ({}, {}, "", "")
            assert row.salt is None
            assert row.erased_at <= clock.now()
        assert holds(*chain())
