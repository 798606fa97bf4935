"""Every write is checked, versioned, recorded and announced."""

import pytest
from django.db import IntegrityError, transaction

from config.lib import signals
from config.lib.errors import Conflict, Invalid, NotFound, Stale
from contacts.models import Agent, Revision
from contacts.selectors import history
from contacts.services import funnel
from contacts.services.agents import create_agent
from memory.models import Memory
from sessions.models import Session
from sessions.services.sessions import beat, end_session, update_session
from tests.factories import ALICE, make_agent, make_memory, make_session, nowhere

pytestmark = pytest.mark.usefixtures("scoped")


def test_creation_leaves_one_revision_with_what_was_written():
    agent = create_agent(actor=ALICE, name="gardener", capabilities=["water"])
    (revision,) = history(agent.id)
    assert (revision.action, revision.actor_label, revision.channel) == ("create", "alice", "admin")
    assert revision.before == {}
    assert revision.after["name"] == "gardener"
    assert revision.after["capabilities"] == ["water"]


def test_a_change_records_only_what_differs_and_raises_the_version():
    session = make_session(name="before", role="chief")
    changed = update_session(
        actor=ALICE, session_id=session.id, changes={"name": "after", "role": "chief"}
    )
    assert changed.version == session.version + 1
    revision = history(session.id).first()
    assert (revision.before, revision.after) == ({"name": "before"}, {"name": "after"})


def test_a_change_that_changes_nothing_leaves_nothing():
    session = make_session(name="same")
    update_session(actor=ALICE, session_id=session.id, changes={"name": "same"})
    assert Session.objects.get(pk=session.id).version == 1
    assert history(session.id).count() == 1


def test_a_stale_version_is_refused():
    session = make_session()
    update_session(actor=ALICE, session_id=session.id, changes={"name": "first"})
    with pytest.raises(Stale) as caught:
        update_session(
            actor=ALICE, session_id=session.id, changes={"name": "second"}, expected_version=1
        )
    assert (caught.value.expected, caught.value.actual) == (1, 2)
    assert Session.objects.get(pk=session.id).name == "first"


def test_of_two_writers_that_read_the_same_row_one_wins():
    agent = make_agent()
    one, two = Agent.objects.get(pk=agent.pk), Agent.objects.get(pk=agent.pk)
    funnel.update(one, {"name": "one"}, actor=ALICE)
    with pytest.raises(Conflict):
        funnel.update(two, {"name": "two"}, actor=ALICE)
    assert Agent.objects.get(pk=agent.pk).name == "one"


def test_telemetry_raises_no_version_and_leaves_no_revision():
    session = make_session()
    beat(actor=ALICE, session_id=session.id, current_state="idle", status_text="waiting")
    session.refresh_from_db()
    assert (session.version, session.current_state) == (1, "idle")
    assert history(session.id).count() == 1


def test_ending_twice_keeps_the_first_end():
    session = make_session()
    first = end_session(actor=ALICE, session_id=session.id, reason="exit")
    second = end_session(actor=ALICE, session_id=session.id, reason="crash")
    assert (second.ended_at, second.end_reason) == (first.ended_at, "exit")
    assert history(session.id).count() == 2


def test_deletion_keeps_what_the_row_said():
    memory = make_memory("The pump is in the shed.")
    funnel.delete(memory, actor=ALICE, reason="wrong")
    assert not Memory.objects.filter(pk=memory.pk).exists()
    revision = history(memory.pk).first()
    assert (revision.action, revision.reason) == ("delete", "wrong")
    assert revision.before["text"] == "The pump is in the shed."


@pytest.mark.parametrize(
    ("field", "value", "why"),
    [
        ("name", "a\x00b", "NUL"),
        ("name", "a\ud800b", "surrogate"),
        ("name", "x" * 121, "at most 120"),
        ("kind", "robot", "must be one of"),
        ("metadata", {"a": ["\x00"]}, "NUL"),
        ("metadata", {"a": float("nan")}, "NaN"),
        ("capabilities", ["ok", "a\x00b"], "NUL"),
    ],
)
def test_what_cannot_be_stored_is_refused_by_field(field, value, why):
    agent = make_agent()
    with pytest.raises(Invalid, match=why) as caught:
        funnel.update(agent, {field: value}, actor=ALICE)
    assert all(name.startswith(field) for name in caught.value.errors)


def test_json_problems_name_the_path():
    agent = make_agent()
    with pytest.raises(Invalid) as caught:
        funnel.update(agent, {"metadata": {"a": [{"b": "\x00"}]}}, actor=ALICE)
    assert list(caught.value.errors) == ["metadata.a[0].b"]


def test_a_null_in_json_hides_nothing_else():
    """Of both nothing but `null` is left in what is written quickest."""
    agent = make_agent()
    with pytest.raises(Invalid, match=r"metadata\.b: is NaN"):
        funnel.update(agent, {"metadata": {"a": None, "b": float("nan")}}, actor=ALICE)
    funnel.update(make_agent("b"), {"metadata": {"a": None, "b": 2**70}}, actor=ALICE)


def test_json_too_deep_is_refused():
    deep: object = 1
    for _ in range(200):
        deep = [deep]
    with pytest.raises(Invalid, match="nested deeper than 64"):
        funnel.update(make_agent(), {"metadata": {"deep": deep}}, actor=ALICE)


def test_a_row_that_is_not_there_is_not_found():
    with pytest.raises(NotFound):
        funnel.get_row(Session, nowhere())


def test_writes_are_announced_in_their_transaction():
    heard: list[object] = []

    def listen(rows, actor):
        heard.extend((row.pk, actor.label) for row in rows)

    signals.on_changed(Agent, listen)
    try:
        agent = create_agent(actor=ALICE, name="heard")
    finally:
        signals._changed[Agent].remove(listen)
    assert heard == [(agent.pk, "alice")]


def test_a_secrets_digest_is_not_in_the_record():
    from contacts.services.keys import create_key

    key, token = create_key(actor=ALICE, agent=make_agent())
    recorded = str([(r.before, r.after) for r in Revision.objects.filter(object_id=key.id)])
    assert bytes(key.digest).hex() not in recorded
    assert token not in recorded


def test_changes_of_many_rows_leave_a_revision_each_and_what_is_the_same_none():
    rows = [make_memory("one"), make_memory("two"), make_memory("three")]
    changes = {
        rows[0].pk: {"metadata": {"n": 1}},
        rows[1].pk: {"metadata": {"n": 2}, "text": "two!"},
        rows[2].pk: {"metadata": {}},
    }
    funnel.update_many(rows, changes, actor=ALICE, action="settle")
    assert [row.version for row in rows] == [2, 2, 1]
    there = Memory.objects.in_bulk([row.pk for row in rows])
    assert [(there[r.pk].version, there[r.pk].text, there[r.pk].metadata) for r in rows] == [
        (2, "one", {"n": 1}), (2, "two!", {"n": 2}), (1, "three", {}),
    ]  # fmt: skip
    assert [history(row.id).first().action for row in rows] == ["settle", "settle", "create"]
    assert history(rows[1].id).first().before == {"metadata": {}, "text": "two"}
    assert list(there[rows[1].pk].passages.values_list("text", flat=True)) == ["two!"]


def test_changes_of_many_rows_are_refused_where_one_was_changed_meanwhile():
    rows = [make_memory("one"), make_memory("two")]
    Memory.objects.filter(pk=rows[1].pk).update(version=7)
    with pytest.raises(Conflict), transaction.atomic():
        funnel.update_many(rows, {r.pk: {"metadata": {"n": 1}} for r in rows}, actor=ALICE)
    assert not Memory.objects.filter(metadata__n=1).exists()
    assert not Revision.objects.filter(action="update").exists()


def test_many_rows_of_which_one_is_there_leave_nothing():
    agent = make_agent("gardener")
    rows = [Agent(name="cook"), Agent(name=agent.name)]
    with pytest.raises(IntegrityError), transaction.atomic():
        funnel.create_many(rows, actor=ALICE)
    assert not Agent.objects.filter(name="cook").exists()
    assert not Revision.objects.filter(object_id=rows[0].pk).exists()
