"""Secrets that were stored before their form was known: counted, and taken out everywhere."""

import json
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from config.lib.scope import workspace_scope
from contacts.models import Contact, IdempotencyKey, Revision, Workspace
from contacts.services import seals
from contacts.services.contacts import create_contact
from contacts.services.workspaces import update_workspace
from memory.erasing.redacting import redact_stored
from memory.models import Memory, Passage
from memory.search.funnel import search
from memory.search.schemas import SearchQuery
from memory.services.memories import update_memory
from sessions.models import Message, RawLine, SessionEvent
from tests.factories import ALICE, make_memory, make_workspace
from tests.redaction import BADGE, BADGES
from tests.unit.test_erasing import check_whole, dumped, owner_url, say

__all__ = ["dumped", "owner_url"]

WORDS = f"The {BADGE} opens the cellar of the greenhouse."


@pytest.fixture
def stored(workspace, owner_url, monkeypatch):
    """The words in every place there is, most of it sealed; then an owner adds the pattern."""
    monkeypatch.setattr(seals, "SETTLED", timedelta(seconds=-1))
    _, memory = say(workspace, WORDS)
    with workspace_scope(workspace.id):
        create_contact(actor=ALICE, fields={"name": "Ada", "notes": WORDS})
        told = {"door": f"opens by {BADGE}", "timezone": "UTC"}
        update_workspace(actor=ALICE, name=f"Greenhouse {BADGE}", settings=told)
        make_memory("The seedlings need water at noon.")
    seals.seal_settled(workspace.id)
    with workspace_scope(workspace.id):
        update_memory(actor=ALICE, memory_id=memory.id, changes={"text": f"{WORDS} Yes."})
        update_workspace(actor=ALICE, settings={"redaction": {"patterns": {"badge": BADGES}}})
        return Memory.objects.get(pk=memory.pk)


def test_it_is_counted_first_and_nothing_changes(workspace, stored, dumped, settings):
    settings.OWNER_URL = None
    before = dumped()
    report = redact_stored(workspace.id, actor=ALICE, dry_run=True)
    assert dumped() == before
    for table in ("memory", "message", "session event", "raw line", "contact", "revision"):
        assert report.rows[table] > 0, (table, report.rows)
        assert report.kinds[table]["badge"] >= report.rows[table]
    assert report.answers == 1
    with pytest.raises(CommandError, match="DATABASE_OWNER_URL"):
        call_command("redact", "--yes")


def test_nothing_of_it_is_left_in_the_database(workspace, stored, dumped):
    assert BADGE.lower() in dumped()
    counted = redact_stored(workspace.id, actor=ALICE, dry_run=True)
    done = redact_stored(workspace.id, actor=ALICE, dry_run=False)
    assert BADGE.lower() not in dumped()
    assert {**done.as_dict(), "dry_run": True} == counted.as_dict()
    with workspace_scope(workspace.id):
        memory = Memory.objects.get(pk=stored.pk)
        assert memory.text.startswith("The [REDACTED:badge:")
        assert memory.version == stored.version + 1
        told = Revision.objects.filter(object_id=memory.pk).latest("id")
        names = ["content_hash", "repeat_key", "text"]
        assert (told.action, told.after) == ("redact", {"erased": names})
        assert not IdempotencyKey.objects.exists()
        assert Passage.objects.filter(of_memory=memory, text=memory.text).count() == 1
        found = search(query=SearchQuery(q="opens the cellar", mode="lexical")).hits
        assert {"memory", "message", "event"} <= {hit.kind.value for hit in found}
        assert all("[REDACTED:badge:" in hit.text for hit in found if "opens" in hit.text)
        assert "[REDACTED:badge:" in SessionEvent.objects.get().data["said"]["it"]
        assert "[REDACTED:badge:" in Message.objects.get().blocks[0]["text"]
        assert json.loads(RawLine.objects.get().raw)["type"] == "user"
        assert Contact.objects.get().notes.startswith("The [REDACTED:badge:")
        own = Workspace.objects.get(pk=workspace.id)
        assert own.name.startswith("Greenhouse [REDACTED:badge:")
        assert own.settings["door"].startswith("opens by [REDACTED:badge:")
        assert own.settings["redaction"] == {"patterns": {"badge": BADGES}}
    # The chain holds, before and after the rest is sealed.
    check_whole(workspace)
    seals.seal_settled(workspace.id)
    check_whole(workspace)
    again = redact_stored(workspace.id, actor=ALICE, dry_run=False)
    assert (again.rows, again.changes, again.answers) == ({}, 0, 0)


def test_the_command_asks_and_leaves_others_alone(workspace, stored, capsys, monkeypatch):
    other = make_workspace("orangery")
    with workspace_scope(other.id):
        theirs = make_memory(WORDS)
    monkeypatch.setattr("builtins.input", lambda asked: "no")
    call_command("redact", "--workspace", workspace.slug)
    assert "would be redacted (" in capsys.readouterr().out
    call_command("redact", "--dry-run", "--json")
    told = json.loads(capsys.readouterr().out)["workspaces"]
    assert told["orangery"]["tables"] == {}
    assert told[workspace.slug]["tables"]["message"]["kinds"]["badge"] >= 1
    monkeypatch.setattr("builtins.input", lambda asked: "redact")
    call_command("redact")
    assert "remains: " in capsys.readouterr().out
    with workspace_scope(workspace.id):
        assert BADGE not in Memory.objects.get(pk=stored.pk).text
    with workspace_scope(other.id):
        assert Memory.objects.get(pk=theirs.pk).text == WORDS
