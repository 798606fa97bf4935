"""Sessions that fell silent are ended, and revive when they speak."""

from datetime import timedelta

import pytest

from config.lib import clock
from config.lib.actor import Actor
from config.lib.errors import Conflict, Invalid
from config.lib.scope import workspace_scope
from contacts.models import Revision
from contacts.services.workspaces import update_workspace
from sessions.models import Session
from sessions.services import orphans
from sessions.services.events import NewEvent, append_events
from sessions.services.sessions import (
    beat,
    create_session,
    end_session,
    resume_session,
)
from sessions.services.threads import NewMessage, append_messages
from sessions.services.transcripts import END_REASON, Facts, note_facts
from sessions.tasks import end_orphans
from tests.api.test_concurrency import at_once
from tests.factories import ALICE, make_agent, make_session, make_thread, make_workspace

IMPORT = Actor("import", "run", "import", "import")
HOUR = timedelta(hours=1)


def silent(hours=3.0, **fields):
    """A session whose last sign of life was some hours ago."""
    then = clock.now() - hours * HOUR
    return make_session(started_at=then, last_seen_at=then, **fields)


def orphan(**fields):
    session = silent(**fields)
    assert orphans.end_orphans(actor=ALICE) == 1
    return Session.objects.get(pk=session.pk)


def now_of(session):
    return Session.objects.get(pk=session.pk)


def test_silence_of_two_hours_ends_a_session_when_it_was_last_heard(scoped):
    gone, quiet, ended = silent(2.1), silent(1.9), silent(5)
    end_session(actor=ALICE, session_id=ended.id, reason="exit")
    assert orphans.end_orphans(actor=ALICE) == 1
    found = now_of(gone)
    assert (found.end_reason, found.current_state) == ("orphaned", "ended")
    assert found.ended_at == gone.last_seen_at
    assert now_of(quiet).ended_at is None
    assert now_of(ended).end_reason == "exit"
    assert orphans.end_orphans(actor=ALICE) == 0
    last = Revision.objects.filter(object_id=gone.id).latest("id")
    assert (last.action, last.reason) == ("end", "no sign of life")


def test_the_job_goes_through_all_workspaces_in_batches(workspace, other_workspace, monkeypatch):
    monkeypatch.setattr(orphans, "BATCH", 2)
    monkeypatch.setattr(orphans.end_orphans, "__kwdefaults__", {"limit": 2})
    with workspace_scope(workspace.id):
        for _ in range(5):
            silent()
    with workspace_scope(other_workspace.id):
        silent()
    end_orphans(0)
    for one, count in ((workspace, 5), (other_workspace, 1)):
        with workspace_scope(one.id):
            assert Session.objects.filter(end_reason="orphaned").count() == count


def test_a_workspace_says_itself_how_long_it_waits(scoped):
    session = silent(1.5)
    update_workspace(actor=ALICE, settings={"orphan_minutes": 60})
    assert orphans.end_orphans(actor=ALICE) == 1
    assert now_of(session).end_reason == "orphaned"


@pytest.mark.parametrize("wrong", [4, 0, -1, 60.5, "60", True, [60], 10**9])
def test_a_wrong_time_is_refused(scoped, wrong):
    with pytest.raises(Invalid) as caught:
        update_workspace(actor=ALICE, settings={"orphan_minutes": wrong})
    assert "settings.orphan_minutes" in caught.value.errors


def test_the_products_own_time_is_a_setting(scoped, settings):
    settings.ORPHAN_MINUTES = 600
    silent(9)
    assert orphans.end_orphans(actor=ALICE) == 0


# --- Reviving ---------------------------------------------------------------------------------


def speak_by_beat(session):
    beat(actor=ALICE, session_id=session.id)


def speak_by_event(session):
    append_events(actor=ALICE, session_id=session.id, events=[NewEvent(event_type="note")])


def speak_by_message(session):
    thread = make_thread(session)
    said = [NewMessage(role="user", content="Still here.")]
    append_messages(actor=ALICE, thread_id=thread.id, messages=said)


def speak_by_beginning_again(session):
    create_session(
        actor=ALICE, agent=session.agent, source=session.source, external_id=session.external_id
    )


SPEAKING = [speak_by_beat, speak_by_event, speak_by_message, speak_by_beginning_again]


@pytest.mark.parametrize("speak", SPEAKING)
def test_an_orphan_revives_when_it_speaks(scoped, speak):
    session = orphan(source="api", external_id="run-1")
    speak(session)
    found = now_of(session)
    assert (found.ended_at, found.end_reason, found.current_state) == (None, "", "active")
    assert clock.now() - found.last_seen_at < HOUR
    assert Revision.objects.filter(object_id=session.id, action="revive").count() == 1
    assert orphans.end_orphans(actor=ALICE) == 0


@pytest.mark.parametrize("speak", SPEAKING[1:])
def test_what_comes_late_opens_no_session_that_was_ended(scoped, speak):
    session = make_session(source="api", external_id="run-1")
    ended = end_session(actor=ALICE, session_id=session.id, reason="exit")
    speak(session)
    assert now_of(session).ended_at == ended.ended_at
    with pytest.raises(Conflict):
        beat(actor=ALICE, session_id=session.id)


def test_the_same_event_again_is_no_word_of_an_orphan(scoped):
    session = silent()
    event = NewEvent(event_type="note", dedupe_key="k", occurred_at=session.last_seen_at)
    append_events(actor=IMPORT, session_id=session.id, events=[event])
    assert orphans.end_orphans(actor=ALICE) == 1
    append_events(actor=ALICE, session_id=session.id, events=[event])
    assert now_of(session).end_reason == "orphaned"


def test_what_an_orphan_says_of_its_end_is_taken_and_its_end_stays(scoped):
    session = orphan()
    found = end_session(actor=ALICE, session_id=session.id, reason="exit", outcome="success")
    assert (found.ended_at, found.end_reason, found.outcome) == (
        session.ended_at,
        "exit",
        "success",
    )
    again = end_session(actor=ALICE, session_id=session.id, reason="crash", outcome="failure")
    assert (again.end_reason, again.outcome, again.version) == ("exit", "success", found.version)


def test_any_ended_session_can_be_resumed(scoped):
    session = make_session()
    end_session(actor=ALICE, session_id=session.id)
    found = resume_session(actor=ALICE, session_id=session.id)
    assert (found.ended_at, found.end_reason, found.current_state) == (None, "", "active")
    assert resume_session(actor=ALICE, session_id=session.id).version == found.version


# --- Imports ----------------------------------------------------------------------------------


def import_again(session, *, last_at, ended):
    facts = Facts(session.id, {"last_seen_at": last_at}, {}, {}, last_at, ended)
    note_facts(actor=IMPORT, facts=[facts])
    return Session.objects.get(pk=session.id)


def test_an_imported_session_that_grew_ends_later_or_is_open_again(scoped):
    session = orphan()
    later = session.ended_at + HOUR
    found = import_again(session, last_at=later, ended=True)
    assert (found.ended_at, found.end_reason, found.current_state) == (later, END_REASON, "ended")
    session = orphan()
    found = import_again(session, last_at=clock.now(), ended=False)
    assert (found.ended_at, found.end_reason, found.current_state) == (None, "", "idle")


def test_importing_the_same_again_leaves_an_orphan_as_it_is(scoped):
    session = orphan()
    found = import_again(session, last_at=session.ended_at, ended=True)
    assert (found.version, found.end_reason) == (session.version, "orphaned")


def test_an_imports_lines_are_no_sign_of_life(scoped):
    session = orphan()
    then = session.started_at
    event = NewEvent(event_type="note", occurred_at=then)
    append_events(actor=IMPORT, session_id=session.id, events=[event])
    thread = make_thread(session)
    said = [NewMessage(role="user", content="Hello.", occurred_at=then)]
    append_messages(actor=IMPORT, thread_id=thread.id, messages=said)
    found = now_of(session)
    assert (found.end_reason, found.last_seen_at) == ("orphaned", session.last_seen_at)


# --- At once ----------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_two_jobs_at_once_end_each_session_once():
    workspace = make_workspace("greenhouse")
    with workspace_scope(workspace.id):
        make_agent()
        for _ in range(40):
            silent()
    at_once([lambda: end_orphans(0)] * 4)
    # Whoever skipped a locked row leaves it to the next run.
    end_orphans(0)
    with workspace_scope(workspace.id):
        assert Session.objects.filter(end_reason="orphaned").count() == 40
        assert Revision.objects.filter(action="end").count() == 40
