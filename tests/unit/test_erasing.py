"""What is erased is nowhere in the database any more, by whichever way, and does not come back."""

import hashlib
from datetime import timedelta
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from django.core.management import call_command
from django.db import connection

from config.lib.errors import Conflict, Invalid
from config.lib.scope import workspace_scope
from config.lib.wording import ERASED, Phrases
from contacts.models import Contact, Erasure, Revision, Tombstone
from contacts.models.erasure import ErasureKind, ErasureState
from contacts.services import idempotency, seals, undo
from contacts.services.addresses import Labelled
from contacts.services.contacts import create_contact, dismiss_unreadable
from contacts.services.workspaces import update_workspace
from memory import verify
from memory.erasing import work
from memory.importers.registry import SOURCES
from memory.importers.run import run_import
from memory.models import (
    Evidence,
    HookPayload,
    HookStream,
    ImportRun,
    Lesson,
    Memory,
    Passage,
    Receipt,
)
from memory.search.funnel import search
from memory.search.schemas import SearchQuery
from memory.services import consolidation, erasures, lessons
from memory.services.about import About
from memory.services.consolidation import working
from memory.services.golden import pin_receipt
from memory.services.hook_streams import is_erased
from memory.services.lessons import Finding
from memory.services.memories import (
    NewEvidence,
    NewMemory,
    create_memory,
    delete_memory,
    link_memories,
    update_memory,
)
from memory.services.receipts import give_feedback, keep
from memory.verify.report import Options
from sessions.models import Message, RawLine, Session
from sessions.services.events import NewEvent, append_events
from sessions.services.handoffs import create_handoff
from sessions.services.pings import create_ping, delete_ping
from sessions.services.sessions import end_session
from sessions.services.tasks import create_task
from sessions.services.threads import NewMessage, append_messages
from sessions.services.workers import spawn_worker
from tests.factories import ALICE, make_agent, make_key, make_memory, make_session, make_thread
from tests.importers.transcripts import SESSION, user, write


@pytest.fixture
def owner_url(transactional_db, settings, database_server):
    name = connection.settings_dict["NAME"]
    settings.OWNER_URL = urlunsplit(urlsplit(database_server.owner)._replace(path=f"/{name}"))
    return settings.OWNER_URL


@pytest.fixture
def dumped(owner_url, database_server):
    """Every row of every table there is, as a dump has it: in lower case."""
    name = connection.settings_dict["NAME"]
    url = urlunsplit(urlsplit(database_server.superuser)._replace(path=f"/{name}"))

    def _dumped() -> str:
        parts = []
        with psycopg.connect(url) as admin:
            tables = admin.execute(
                "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables "
                "WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
            ).fetchall()
            for (table,) in tables:
                with admin.cursor().copy(f"COPY {table} TO STDOUT") as rows:
                    parts += [bytes(part).decode() for part in rows]
            # Bytes are hex in it.
            for (body,) in admin.execute("SELECT body FROM contacts_idempotencykey").fetchall():
                parts.append(bytes(body).decode())
        return "".join(parts).lower()

    return _dumped


def erase(workspace, kind, target=None, term=""):
    """As the API does it, with its two jobs at once."""
    with workspace_scope(workspace.id):
        row = erasures.propose_erasure(
            actor=ALICE, kind=kind, target_id=target, term=term, job=False, reason="asked for it"
        )
    erasures.work_erasure(workspace.id, row.pk)
    with workspace_scope(workspace.id):
        row = Erasure.objects.get(pk=row.pk)
        assert row.state == ErasureState.PROPOSED, row.error
        confirm = erasures.confirmation_of(row)
        erasures.begin_erasure(actor=ALICE, erasure_id=row.pk, confirm=confirm, job=False)
    erasures.work_erasure(workspace.id, row.pk)
    with workspace_scope(workspace.id):
        row = Erasure.objects.get(pk=row.pk)
    assert row.state == ErasureState.DONE, row.error
    return row


def check_whole(workspace):
    """`manage.py verify` finds nothing: the chain holds, before and after the rest is sealed."""
    for found in verify.check_workspace(workspace, Options()):
        assert not found.problems, (found.name, found.problems)


def say(workspace, words):
    """`words` in every kind of place that somebody's words come to; (the session, the memory)."""
    key, _ = make_key(workspace)
    with workspace_scope(workspace.id):
        session = make_session(agent=make_agent(), name="The cellar", prompt=f"Ask: {words}")
        thread = make_thread(session)
        (message,), _ = append_messages(
            actor=ALICE, thread_id=thread.id,
            messages=[NewMessage(role="user", content=words, blocks=[{"text": f"So: {words}"}])],
        )  # fmt: skip
        append_events(
            actor=ALICE, session_id=session.id,
            events=[NewEvent(event_type="note", text=words, data={"said": {"it": words}})],
        )  # fmt: skip
        raw = f'{{"type": "user", "text": "A line\\\\n{words}"}}'
        RawLine(
            session=session, file="f", line_no=1, byte_offset=0, line_key="k", raw=raw,
            digest=hashlib.sha256(raw.encode()).digest(),
        ).save(force_insert=True)  # fmt: skip
        HookPayload(
            dialect="claude-code", session_name="s", event="e", dedupe_key="d", session=session,
            payload={"prompt": words},
        ).save(force_insert=True)  # fmt: skip
        memory, _ = create_memory(
            actor=ALICE,
            new=NewMemory(
                text=words, evidence=[NewEvidence(message_id=message.id, quote=words)],
                fields={"session_id": session.id, "source": "api", "external_id": "m-1"},
            ),
        )  # fmt: skip
        derived = make_memory(f"It follows: {words}", session_id=session.id)
        link_memories(
            actor=ALICE, source_id=derived.id, target_id=memory.id, relation="derived_from"
        )
        update_memory(actor=ALICE, memory_id=memory.id, changes={"tags": ["x"]}, reason=words)
        gone = make_memory(f"Once: {words}", session_id=session.id)
        delete_memory(actor=ALICE, memory_id=gone.id)
        create_ping(actor=ALICE, message=f"Look: {words}", session_id=session.id)
        create_handoff(actor=ALICE, content=f"Go on: {words}", from_session_id=session.id)
        spawn_worker(actor=ALICE, primitive="p", instructions=words, session_id=session.id)
        query = SearchQuery(q=words, mode="lexical")
        answer = search(query=query)
        kept = keep(query=query, answer=answer, took_ms=1.0, actor=ALICE)
        give_feedback(
            actor=ALICE, receipt=str(kept), hit_id=str(memory.id), verdict="useful", note=words
        )
        pin_receipt(actor=ALICE, receipt=Receipt.objects.get(pk=kept), name=words)
        idempotency.begin(api_key_id=key.pk, key="one", digest=b"x" * 32)
        idempotency.finish(
            api_key_id=key.pk, key="one", status=201, headers={},
            body=f'{{"id": "{memory.id}", "text": "{words}"}}'.encode(),
        )  # fmt: skip
    return session, memory


SECRET = "The zorblatt key lies under the copper pot."


def known_of_zara(words):
    """A contact, a memory about her, a task that names her; others of her name stay out of it."""
    person = create_contact(
        actor=ALICE,
        fields={
            "name": "Zara Zorblatt", "emails": [Labelled("zara@zorblatt.example")], "notes": words,
        },
    )  # fmt: skip
    create_memory(
        actor=ALICE,
        new=NewMemory(text=f"She said: {words}", about=[About(contact_id=person.id)]),
    )
    create_task(actor=ALICE, title="Ask Zara  ZORBLATT about the lock")
    return person


@pytest.mark.parametrize(
    ("kind", "gone"),
    [
        ("memory", [SECRET, "it follows", "yes."]),
        ("session", [SECRET, "it follows", "the cellar"]),
        ("contact", [SECRET, "zara"]),
        ("term", ["zorblatt"]),
    ],
)
def test_nothing_of_it_is_left_in_the_database(
    kind, gone, workspace, owner_url, dumped, monkeypatch
):
    monkeypatch.setattr(seals, "SETTLED", timedelta(seconds=-1))
    session, memory = say(workspace, SECRET)
    with workspace_scope(workspace.id):
        stays = make_memory("The seedlings need water at noon.")
        person = known_of_zara("Likes figs." if kind == "session" else SECRET)
    seals.seal_settled(workspace.id)
    with workspace_scope(workspace.id):
        # Not sealed yet when it is erased.
        update_memory(actor=ALICE, memory_id=memory.id, changes={"text": f"{SECRET} Yes."})
    before = dumped()
    assert all(text.lower() in before for text in gone)
    target = {"memory": memory.id, "session": session.id, "contact": person.id}.get(kind)
    row = erase(workspace, ErasureKind(kind), target, term="zorblatt" if kind == "term" else "")
    left = dumped()
    assert [text for text in gone if text.lower() in left] == []
    assert row.wanted == ""
    assert row.report["removed"] == row.preview["removed"]
    assert row.report["struck"] == row.preview["struck"]
    assert row.report["revisions"] == row.preview["revisions"] > 0
    assert row.report["removed"]["memory"] >= 2
    assert row.report["tombstones"] > 0
    with workspace_scope(workspace.id):
        assert Memory.objects.filter(pk=stays.pk).exists()
        assert Revision.objects.filter(action="erase", actor_label="alice").exists()
        # Sentences that anybody may say are left where others said them.
        assert Session.objects.filter(pk=session.pk).exists() == (kind != "session")
    check_whole(workspace)
    seals.seal_settled(workspace.id)
    check_whole(workspace)


def test_a_struck_message_keeps_its_place_and_is_found_no_more(workspace, owner_url):
    with workspace_scope(workspace.id):
        thread = make_thread()
        said = [NewMessage(role="user", content=text) for text in ("One.", SECRET, "Three.")]
        append_messages(actor=ALICE, thread_id=thread.id, messages=said)
    erase(workspace, ErasureKind.TERM, term="zorblatt")
    with workspace_scope(workspace.id):
        rows = Message.objects.filter(thread=thread).order_by("idx")
        assert [row.content for row in rows] == ["One.", "[erased]", "Three."]
        assert not search(query=SearchQuery(q="zorblatt copper", mode="lexical")).hits
        assert not Passage.objects.filter(text__contains="copper").exists()


def test_a_term_is_found_however_it_is_written_and_does_not_come_back_so(
    workspace, owner_url, dumped
):
    written = (
        "Zara\u00a0Zorblatt", "Za\u00adra Zor\u200bblatt", "Ｚａｒａ Ｚｏｒｂｌａｔｔ",
        r"Zara\nZorblatt", "?q=Zara%20Zorblatt", "Zara&nbsp;Zorblatt", r"Z\u0061ra\u0020Zorblatt",
    )  # fmt: skip
    with workspace_scope(workspace.id):
        for text in written:
            make_memory(f"Of {text}.")
        create_contact(actor=ALICE, fields={"name": "Ada", "tags": ["friends of zara zorblatt"]})
        kept = create_contact(actor=ALICE, fields={"name": "Eve", "notes": "Straße 7"})
    erase(workspace, ErasureKind.TERM, term="zara zorblatt")
    # The tag stood in the passage of whoever has it, too.
    said = dumped()
    assert not any(word in said for word in ("zorblatt", "blatt", "ｚｏｒｂｌａｔｔ"))
    with workspace_scope(workspace.id):
        for fields in [*({"text": f"Of {text}."} for text in written), {"tags": ["zara zorblatt"]}]:
            with pytest.raises(Conflict, match="erased"):
                create_memory(actor=ALICE, new=NewMemory(fields.pop("text", "Else."), fields))
    # What has other letters is looked at, though the database could not tell.
    erase(workspace, ErasureKind.TERM, term="strasse 7")
    with workspace_scope(workspace.id):
        assert Contact.objects.get(pk=kept.pk).notes == ERASED
    check_whole(workspace)


def test_a_contacts_number_goes_however_it_is_grouped(workspace, owner_url):
    grouped = ("+41 44 668-18-00", "044 668 18 00", "+41 (0)44 6681800", "0041.44")
    with workspace_scope(workspace.id):
        person = create_contact(
            actor=ALICE, fields={"name": "Eve", "phones": [Labelled("+41446681800")]}
        )
        for number in grouped:
            make_memory(f"Call {number} at noon.")
    erase(workspace, ErasureKind.CONTACT, person.pk)
    with workspace_scope(workspace.id):
        assert [row.text for row in Memory.objects.all()] == ["Call 0041.44 at noon."]
        for number in grouped[:3]:
            with pytest.raises(Conflict, match="erased"):
                make_memory(f"Ring {number}.")


@pytest.mark.parametrize("dismissed", [False, True])
def test_a_number_that_could_not_be_read_goes_from_reports_too(
    workspace, owner_url, tmp_path, dumped, dismissed
):
    lines = "FN:Eve", "TEL:044 668 18 00", "EMAIL:eve@zorblatt@example.org", "EMAIL:at home"
    text = "\n".join(["BEGIN:VCARD", "VERSION:3.0", *lines, "END:VCARD", ""])
    (tmp_path / "people.vcf").write_text(text)
    where = str(tmp_path / "people.vcf")
    run_import(workspace_id=workspace.id, source=SOURCES["vcard"], where=where)
    with workspace_scope(workspace.id):
        person = Contact.objects.get()
        if dismissed:
            dismiss_unreadable(actor=ALICE, contact_id=person.pk)
        make_memory("Nobody is at home.")
    assert "668 18 00" in dumped()
    erase(workspace, ErasureKind.CONTACT, person.pk)
    assert "668 18 00" not in dumped()
    assert "zorblatt" not in dumped()
    with workspace_scope(workspace.id):
        assert Memory.objects.get().text == "Nobody is at home."


def test_an_import_again_brings_no_name_place_or_branch_back(
    workspace, owner_url, tmp_path, dumped
):
    words = {"cwd": "/w/zara-zorblatt", "gitBranch": "feat/zara-zorblatt"}
    write(tmp_path / "-code" / f"{SESSION}.jsonl", user("u1", "Ask zara zorblatt.", **words))
    source = SOURCES["claude-code"]
    for _ in range(2):
        assert run_import(workspace_id=workspace.id, source=source, where=str(tmp_path)).checked.ok
        erase(workspace, ErasureKind.TERM, term="zara zorblatt")
    # As it left the last one: nothing is there for it any more.
    report = run_import(workspace_id=workspace.id, source=source, where=str(tmp_path))
    assert report.checked.ok
    assert "zorblatt" not in dumped().replace(str(tmp_path).lower(), "")


def test_a_memory_with_another_source_stays_and_loses_the_one(workspace, owner_url):
    with workspace_scope(workspace.id):
        session = make_session()
        (message,), _ = append_messages(
            actor=ALICE, thread_id=make_thread(session).id,
            messages=[NewMessage(role="user", content=SECRET)],
        )  # fmt: skip
        rests = [NewEvidence(message_id=message.id, quote=SECRET), NewEvidence(uri="https://a.b")]
        both, _ = create_memory(actor=ALICE, new=NewMemory(text="Pots hide keys.", evidence=rests))
        one, _ = create_memory(
            actor=ALICE, new=NewMemory(text="Look under pots.", evidence=rests[:1])
        )
        after = make_memory("Keys lie low.")
        link_memories(actor=ALICE, source_id=after.id, target_id=one.id, relation="derived_from")
        more = make_memory("Keys lie anywhere.")
        for target in (one, both):
            link_memories(
                actor=ALICE, source_id=more.id, target_id=target.id, relation="derived_from"
            )
    row = erase(workspace, ErasureKind.SESSION, session.id)
    with workspace_scope(workspace.id):
        left = set(Memory.objects.values_list("pk", flat=True))
        assert left == {both.id, more.id}
        assert [one.uri for one in Evidence.objects.filter(memory=both)] == ["https://a.b"]
    assert row.preview["losing"] == row.report["losing"] == 2


def test_what_was_deleted_before_is_in_no_history_either(workspace, owner_url, dumped):
    with workspace_scope(workspace.id):
        session, other = make_session(name="Pots"), make_session(name="Keys")
        contact = create_contact(actor=ALICE, fields={"name": "Ada"})
        plain = make_memory("The gardener hid it.", session_id=session.id)
        derived = make_memory("Gardeners hide things.")
        link_memories(
            actor=ALICE, source_id=derived.id, target_id=plain.id, relation="derived_from"
        )
        about, _ = create_memory(
            actor=ALICE, new=NewMemory(text="She owns a gander.", about=[About(contact.id)])
        )
        stays = make_memory("The goose is elsewhere.", session_id=other.id)
        ping, _ = create_ping(actor=ALICE, message="Where is the gardenia?", session_id=session.id)
        for memory in (derived, plain, about, stays):
            delete_memory(actor=ALICE, memory_id=memory.id)
        delete_ping(actor=ALICE, ping_id=ping.id)
        deleted = Revision.objects.get(object_id=plain.id, action="delete")
    erase(workspace, ErasureKind.SESSION, session.id)
    erase(workspace, ErasureKind.CONTACT, contact.id)
    said = dumped()
    assert not [word for word in ("gardener", "gardenia", "gander") if word in said]
    assert "the goose is" in said
    with workspace_scope(workspace.id), pytest.raises(Conflict):
        undo.undo(actor=ALICE, revision_id=deleted.pk)


def test_of_what_was_deleted_twice_the_last_time_tells_whose_it_was(workspace, owner_url, dumped):
    with workspace_scope(workspace.id):
        gone, stays = make_session(), make_session()
        memory = make_memory("The gosling sleeps in the barn", session_id=gone.id)
        delete_memory(actor=ALICE, memory_id=memory.id)
        undo.undo(actor=ALICE, revision_id=Revision.objects.get(action="delete").pk)
        update_memory(actor=ALICE, memory_id=memory.id, changes={"session_id": stays.id})
        delete_memory(actor=ALICE, memory_id=memory.id)
    erase(workspace, ErasureKind.SESSION, gone.id)
    assert "gosling sleeps" in dumped()


TOLD = (
    "Zorblatt lost the pot. The gardener was told of it at noon.",
    "We decided to lock the greenhouse at night.",
    "The lock was changed by the caretaker on Tuesday.",
    "The caretaker keeps the second key in the office.",
)


def closed_session(name):
    """(a session that ended, what was remembered in it)."""
    session = make_session(name=name)
    episodes = [
        make_memory(text, kind="observation", trust="agent", session_id=session.id) for text in TOLD
    ]
    end_session(actor=ALICE, session_id=session.id)
    return session, episodes


@pytest.mark.parametrize("kind", [ErasureKind.MEMORY, ErasureKind.SESSION])
def test_a_narrative_goes_and_the_rest_is_untold(workspace, owner_url, dumped, kind):
    """A part of a memory's sentences stands in it, which nobody would find by the whole text."""
    with workspace_scope(workspace.id):
        session, episodes = closed_session("The zorblatt affair")
        update_workspace(actor=ALICE, settings={"consolidation": {"most_share": 1}})
        consolidation.begin(actor=ALICE, hides=True)
    run = consolidation.work(workspace.id)
    assert run is not None
    assert "gardener" not in str(run.groups)
    with workspace_scope(workspace.id):
        assert Memory.objects.get(method="consolidated")
    erase(workspace, kind, session.id if kind == ErasureKind.SESSION else episodes[0].id)
    said = dumped()
    assert "the gardener was told" not in said
    with workspace_scope(workspace.id):
        left = {one.text: (one.state, one.consolidated) for one in Memory.objects.all()}
    if kind == ErasureKind.SESSION:
        assert "zorblatt" not in said
        assert "second key" not in said
        assert left == {}
    else:
        assert left == dict.fromkeys(TOLD[1:], ("active", False))


def test_a_narrative_that_is_being_written_does_not_tell_of_it(
    workspace, owner_url, dumped, monkeypatch
):
    """The draft was made of it, and is stored after it is gone."""
    with workspace_scope(workspace.id):
        _, episodes = closed_session("Greenhouse")
        consolidation.begin(actor=ALICE)
    drafting, erased = working.draft_of, []

    def drafted(*args):
        made = drafting(*args)
        if not erased:
            erased.append(episodes[0].id)
            erase(workspace, ErasureKind.MEMORY, episodes[0].id)
        return made

    monkeypatch.setattr(working, "draft_of", drafted)
    consolidation.work(workspace.id)
    assert erased
    assert "gardener" not in dumped()
    with workspace_scope(workspace.id):
        narrative = Memory.objects.get(method="consolidated")
    assert "second key" in narrative.text


def test_what_was_erased_is_not_restored_nor_sent_again(workspace, owner_url):
    with workspace_scope(workspace.id):
        agent = make_agent()
        session = make_session(agent=agent, source="api", external_id="s-1")
        stream = HookStream(dialect="claude-code", session_name="abc", session=session)
        stream.save(force_insert=True)
        memory = make_memory(SECRET, session_id=session.id)
        delete_memory(actor=ALICE, memory_id=memory.id)
        deleted = Revision.objects.get(object_id=memory.id, action="delete")
        again = make_memory(SECRET, session_id=session.id)
    erase(workspace, ErasureKind.SESSION, session.id)
    with workspace_scope(workspace.id):
        with pytest.raises(Conflict) as refusal:
            make_memory(f"  {SECRET} ")
        assert refusal.value.code == "erased"
        with pytest.raises(Conflict):
            make_session(agent=agent, source="api", external_id="s-1")
        assert not undo.plan(Revision.objects.get(object_id=again.id, action="create")).changes
        # The one deleted before said the same; only by its words is it known to.
        with pytest.raises(Conflict):
            undo.undo(actor=ALICE, revision_id=deleted.id)
        assert is_erased("claude-code", "abc")
        assert not is_erased("claude-code", "abd")


def test_it_is_meant_and_can_be_lifted(workspace, owner_url, settings):
    with workspace_scope(workspace.id):
        memory = make_memory(SECRET)
        for wrong in ({"term": "a."}, {"term": "x y"}, {"target_id": None}, {"term": "a " * 30}):
            kind = ErasureKind.TERM if "term" in wrong else ErasureKind.MEMORY
            with pytest.raises(Invalid):
                erasures.propose_erasure(actor=ALICE, kind=kind, job=False, **wrong)
        row = erasures.propose_erasure(
            actor=ALICE, kind=ErasureKind.TERM, term="Zorblatt key", job=False
        )
        with pytest.raises(Conflict):
            erasures.begin_erasure(actor=ALICE, erasure_id=row.pk, confirm="Zorblatt key")
        assert "Zorblatt" not in str(Revision.objects.get(object_id=row.pk).after)
    erasures.work_erasure(workspace.id, row.pk)
    with workspace_scope(workspace.id):
        with pytest.raises(Invalid):
            erasures.begin_erasure(actor=ALICE, erasure_id=row.pk, confirm="zorblatt")
        erasures.begin_erasure(actor=ALICE, erasure_id=row.pk, confirm="Zorblatt key", job=False)
    url, settings.OWNER_URL = settings.OWNER_URL, None
    erasures.work_erasure(workspace.id, row.pk)
    with workspace_scope(workspace.id):
        row = Erasure.objects.get(pk=row.pk)
        assert row.state == ErasureState.FAILED
        assert "DATABASE_OWNER_URL" in row.error
        assert Memory.objects.filter(pk=memory.pk).exists()
        erasures.begin_erasure(actor=ALICE, erasure_id=row.pk, confirm="Zorblatt key", job=False)
    settings.OWNER_URL = url
    erasures.work_erasure(workspace.id, row.pk)
    with workspace_scope(workspace.id):
        assert not Memory.objects.exists()
        with pytest.raises(Conflict):
            make_memory("A zorblatt KEY, again.")
        make_memory("Zorblatt makes keys.")
        erasures.lift_erasure(actor=ALICE, erasure_id=row.pk)
        assert not Tombstone.objects.exists()
        make_memory("A zorblatt KEY, again.")


def test_what_could_not_be_looked_at_is_not_erased(workspace, owner_url):
    with workspace_scope(workspace.id):
        memory = make_memory(SECRET)
        row = erasures.propose_erasure(
            actor=ALICE, kind=ErasureKind.MEMORY, target_id=memory.id, job=False
        )
        delete_memory(actor=ALICE, memory_id=memory.id)
    erasures.work_erasure(workspace.id, row.pk)
    with workspace_scope(workspace.id):
        row.refresh_from_db()
        assert row.state == ErasureState.FAILED
        confirm = erasures.confirmation_of(row)
        with pytest.raises(Conflict):
            erasures.begin_erasure(actor=ALICE, erasure_id=row.pk, confirm=confirm, job=False)
        erasures.drop_erasure(actor=ALICE, erasure_id=row.pk)


def test_a_failure_removes_nothing(workspace, owner_url, monkeypatch):
    session, _ = say(workspace, SECRET)
    monkeypatch.setattr(work, "_strike", lambda found, actor: 1 / 0)
    with workspace_scope(workspace.id):
        had = {model: model.objects.count() for model in (Memory, Message, Receipt, Revision)}
        row = erasures.propose_erasure(
            actor=ALICE, kind=ErasureKind.SESSION, target_id=session.id, job=False
        )
    erasures.work_erasure(workspace.id, row.pk)
    with workspace_scope(workspace.id):
        confirm = erasures.confirmation_of(row)
        erasures.begin_erasure(actor=ALICE, erasure_id=row.pk, confirm=confirm, job=False)
    erasures.work_erasure(workspace.id, row.pk)
    with workspace_scope(workspace.id):
        row.refresh_from_db()
        assert (row.state, "ZeroDivisionError" in row.error) == (ErasureState.FAILED, True)
        assert not Tombstone.objects.exists()
        assert Revision.objects.filter(erased_at__isnull=False).count() == 0
        had[Revision] += 4  # of the erasure itself
        assert {model: model.objects.count() for model in had} == had


def test_the_shell_says_what_would_go_and_asks(workspace, owner_url, capsys, monkeypatch):
    with workspace_scope(workspace.id):
        memory = make_memory(SECRET)
    asked = iter(["no", "erase"])
    monkeypatch.setattr("builtins.input", lambda prompt: next(asked))
    wanted = ["--workspace", workspace.slug, "--memory", str(memory.id)]
    call_command("erase", *wanted, "--preview")
    call_command("erase", *wanted)
    assert capsys.readouterr().out.count("nothing was removed") == 2
    with workspace_scope(workspace.id):
        assert Memory.objects.filter(pk=memory.pk).exists()
    call_command("erase", *wanted)
    assert "was removed: 1 memory" in capsys.readouterr().out
    with workspace_scope(workspace.id):
        assert not Memory.objects.filter(pk=memory.pk).exists()


def test_an_import_leaves_out_what_was_erased_and_says_so(workspace, owner_url, tmp_path):
    with workspace_scope(workspace.id):
        make_memory(SECRET)
        make_memory("The seedlings need water at noon.")
    exported = tmp_path / "all.ndjson"
    call_command("export", "--workspace", workspace.slug, "--output", str(exported))
    erase(workspace, ErasureKind.TERM, term="zorblatt")
    with workspace_scope(workspace.id):
        Memory.objects.all().delete()
    call_command("import", "remembrancer", str(exported), "--workspace", workspace.slug)
    with workspace_scope(workspace.id):
        assert [row.text for row in Memory.objects.all()] == ["The seedlings need water at noon."]
        (run,) = ImportRun.objects.all()
    assert "erased here" in str(run.problems)


def test_of_many_sessions_and_cards_only_the_erased_one_is_left_out(workspace, owner_url, tmp_path):
    names = [f"{n}1111111-2222-4333-8444-555555555555" for n in range(3)]
    for name in names:
        write(tmp_path / "claude" / "-code" / f"{name}.jsonl", user("u1") | {"sessionId": name})
    cards = tmp_path / "people.vcf"
    cards.write_text(
        "".join(f"BEGIN:VCARD\nVERSION:4.0\nFN:Person {n}\nUID:{n}\nEND:VCARD\n" for n in range(3))
    )
    take = [("claude-code", tmp_path / "claude"), ("vcard", cards)]
    for source, path in take:
        assert run_import(
            workspace_id=workspace.id, source=SOURCES[source], where=str(path)
        ).checked.ok
    with workspace_scope(workspace.id):
        session = Session.objects.get(claude_session_id=names[1])
        contact = Contact.objects.get(name="Person 1")
    erase(workspace, ErasureKind.SESSION, session.id)
    erase(workspace, ErasureKind.CONTACT, contact.id)
    with workspace_scope(workspace.id):
        Session.objects.all().delete()
        Contact.objects.all().delete()
    for source, path in take:
        report = run_import(workspace_id=workspace.id, source=SOURCES[source], where=str(path))
        assert (report.sum("created"), report.sum("skipped")) in ((4, 2), (2, 1)), report.counts()
        assert "erased here" in str([problem.reason for problem in report.problems])
    with workspace_scope(workspace.id):
        kept = Session.objects.values_list("claude_session_id", flat=True)
        assert sorted(kept) == [names[0], names[2]]
        assert sorted(Contact.objects.values_list("name", flat=True)) == ["Person 0", "Person 2"]


def test_what_is_learned_again_is_left_out_and_counted(workspace, owner_url):
    with workspace_scope(workspace.id):
        thread = make_thread()
        said = [NewMessage(role="user", content="Remember that the pump starts at noon daily.")]
        (message,), _ = append_messages(actor=ALICE, thread_id=thread.id, messages=said)
        found = Finding(
            rule="remember", kind="fact", text="The pump starts at noon daily.",
            quote="the pump starts at noon daily", message_id=message.id,
        )  # fmt: skip
        made = lessons.keep(thread.session, found)
    row = erase(workspace, ErasureKind.MEMORY, made.id)
    with workspace_scope(workspace.id):
        assert lessons.keep(thread.session, found) is None
        assert Erasure.objects.get(pk=row.pk).kept_away == 1
        assert not Lesson.objects.exists()


def test_of_two_phrases_of_which_one_says_the_other_the_shorter_is_looked_for():
    said = [
        ("the", "copper", "pot"),
        ("copper",),
        ("under", "the", "copper", "pot"),
        ("tea", "pot"),
    ]
    found = Phrases(said)
    assert set(found) == {("copper",), ("tea", "pot")}
    assert found.needles() == ["copper", "tea"]
    for text in ("Under the COPPER pot.", r"A line\ncopper", "copper", "tea-pot"):
        assert found.are_in(text)
        assert any(Phrases([one]).are_in(text) for one in said)
    assert not found.are_in("A coppery teapot.")
