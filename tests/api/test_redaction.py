"""Marks tell repeats within a workspace; what a workspace adds to what is a secret."""

import re

import pytest

from config.lib.redact import MARK, redact, redact_text
from config.lib.scope import workspace_scope
from contacts.models import Contact, Revision, Workspace
from contacts.services.redaction import forget_extra
from memory.models import Memory, Receipt
from sessions.models import PingChannel
from tests.api.caller import caller, made, wrong_fields
from tests.redaction import SECRETS

KEY = SECRETS["github-token"]


@pytest.fixture
def api(workspace):
    return caller(workspace)


def marks(text: str) -> list[str]:
    return MARK.findall(text)


def set_redaction(api, **settings):
    return api.patch("/workspace", {"settings": {"redaction": settings}})


def test_the_same_secret_has_the_same_mark_in_a_workspace_and_another_elsewhere(
    workspace, other_workspace, settings
):
    other = SECRETS["gitlab-token"]
    with workspace_scope(workspace.id):
        first, second, third = marks(redact_text(f"{KEY} and {KEY} and {other}"))
        assert redact({"password": KEY})["password"].endswith(first[-10:])
        kept = redact_text(f"{KEY} token=x")
        assert redact_text(kept) == kept
    assert first == second != third
    assert re.fullmatch(r"\[REDACTED:github-token:[0-9a-f]{8}\]", first)
    with workspace_scope(other_workspace.id):
        assert marks(redact_text(KEY)) not in ([], [first])
        # Somebody else's mark, brought by an import, stays what it is.
        assert redact({"password": first, "text": f"://a:{first}@b"}) == {
            "password": first,
            "text": f"://a:{first}@b",
        }
    settings.SECRET_KEY = "x" * 50
    with workspace_scope(workspace.id):
        assert marks(redact_text(KEY)) != [first]


def test_what_is_sent_twice_is_found_again_and_so_is_a_leaked_secret(api, rows):
    body = {"text": f"It opens with {KEY}.", "external_id": f"note-{KEY}"}
    first, second = made(api.post("/memories", body)), made(api.post("/memories", body))
    assert first["id"] == second["id"]
    again = {"text": f"Again {KEY}"}
    assert made(api.post("/memories", again))["id"] == made(api.post("/memories", again))["id"]
    key = {"idempotency_key": KEY}
    answers = [api.post("/tasks", {"title": KEY}, **key) for _ in range(2)]
    assert made(answers[0]) == made(answers[1])
    assert answers[1]["Idempotent-Replayed"] == "true"
    found = made(api.post("/search", {"q": KEY, "mode": "lexical"}))["hits"]
    assert first["id"] in {hit["id"] for hit in found}
    for row in [*rows(Memory), *rows(Receipt), *rows(Revision)]:
        assert KEY not in repr(vars(row))


def test_a_workspace_adds_patterns_of_its_own(api, rows, other_workspace):
    made(set_redaction(api, patterns={"badge": "BADGE-[0-9]{6}", "word": "tulip"}))
    assert MARK.fullmatch(
        made(api.post("/memories", {"text": "x", "data": {"a": "tulip"}}))["data"]["a"]
    )
    text = made(api.post("/memories", {"text": "BADGE-123456 likes a tulip"}))["text"]
    assert re.fullmatch(r"\[REDACTED:badge:\w{8}\] likes a \[REDACTED:word:\w{8}\]", text)
    body = made(api.post("/tasks", {"title": "t", "metadata": {"BADGE-123456": ["a tulip"]}}))
    assert "tulip" not in str(body["metadata"])
    # The pattern itself stays, though it matches its own text; what stands beside it does not.
    made(api.patch("/workspace", {"settings": {"mine": f"tulip {KEY}"}}))
    held = made(api.get("/workspace"))["settings"]
    assert held["redaction"]["patterns"]["word"] == "tulip"
    assert len(marks(held["mine"])) == 2
    assert made(caller(other_workspace).post("/memories", {"text": "a tulip"}))["text"] == "a tulip"
    made(api.patch("/workspace", {"settings": {"redaction": None}}))
    assert made(api.post("/memories", {"text": "one tulip"}))["text"] == "one tulip"


@pytest.mark.parametrize(
    ("setting", "path", "why"),
    [
        ({"patterns": {"a": "(a"}}, ".patterns.a", "RE2"),
        ({"patterns": {"a": r"(a)\1"}}, ".patterns.a", "RE2"),
        ({"patterns": {"a": "(?=b)a"}}, ".patterns.a", "RE2"),
        ({"patterns": {"a": "x*"}}, ".patterns.a", "empty"),
        ({"patterns": {"a": "x" * 201}}, ".patterns.a", "200"),
        ({"patterns": {"a": "((x{1,99}){1,9}){1,9}y"}}, ".patterns.a", "RE2"),
        ({"patterns": {"A b": "x"}}, ".patterns.A b", "name"),
        ({"patterns": {"a": 1}}, ".patterns.a", "text"),
        ({"patterns": {f"a{n}": "x" for n in range(21)}}, ".patterns", "20"),
        ({"patterns": {"a": "."}}, ".patterns.a", "ordinary"),
        ({"patterns": {"a": "[A-Z]{2,3}"}}, ".patterns.a", "'UTC'"),
        ({"personal": ["name"]}, ".personal", "email"),
        ({"other": 1}, "", "patterns"),
    ],
)
def test_a_setting_that_cannot_be_gone_by_is_refused(api, setting, path, why):
    assert why in wrong_fields(set_redaction(api, **setting))[f"settings.redaction{path}"]


def test_a_pattern_never_takes_what_the_workspace_goes_by(api):
    """Its name and its settings are written again with each change of one of them."""
    made(api.patch("/workspace", {"name": "Tulips", "settings": {"timezone": "Europe/Vienna"}}))
    made(set_redaction(api, patterns={"city": "Vienna", "flower": "Tulips?"}))
    held = made(
        api.patch("/workspace", {"settings": {"retention": {"receipts": 3}, "mine": "Vienna"}})
    )
    assert held["name"] == "Tulips"
    assert held["settings"]["timezone"] == "Europe/Vienna"
    assert held["settings"]["retention"] == {"receipts": 3}
    assert len(marks(held["settings"]["mine"])) == 1


def test_a_pattern_of_before_that_takes_everything_can_be_taken_back(api, rows, workspace):
    with workspace_scope(workspace.id):
        settings = {"timezone": "UTC", "redaction": {"patterns": {"all": "."}}}
        Workspace.objects.filter(pk=workspace.id).update(settings=settings)
    forget_extra(workspace.id)
    assert "[REDACTED:all" in made(api.post("/tasks", {"title": "anything"}))["title"]
    made(api.patch("/workspace", {"settings": {"redaction": None}}))
    assert made(api.post("/tasks", {"title": "tulip"}))["title"] == "tulip"


def test_no_pattern_takes_more_than_its_time(api):
    """In `re` this one takes longer than the universe has been."""
    made(set_redaction(api, patterns={"a": "(x+x+)+y"}))
    assert made(api.post("/memories", {"text": "x" * 50_000}))["text"] == "x" * 50_000


def test_personal_data_goes_where_it_is_asked_for_and_not_from_contacts(api, rows):
    text = "Write to ada@example.org or call +41 44 668 18 00 by 2026-11-22 10:00."
    assert made(api.post("/memories", {"text": text}))["text"] == text
    made(set_redaction(api, personal=["email", "phone"]))
    said = made(api.post("/memories", {"text": text + " Soon."}))["text"]
    assert re.fullmatch(
        r"Write to \[REDACTED:email:\w{8}\] or call \[REDACTED:phone:\w{8}\] by "
        r"2026-11-22 10:00. Soon\.",
        said,
    )
    person = {"name": "Ada", "emails": [{"email": "ada@example.org"}],
              "phones": [{"number": "+41446681800"}], "notes": text}  # fmt: skip
    contact = made(api.post("/contacts", person))
    assert contact["emails"][0]["email"] == "ada@example.org"
    assert contact["phones"][0]["number"] == "+41446681800"
    (row,) = rows(Contact)
    assert "ada@" not in row.notes
    revision = next(one for one in rows(Revision) if one.object_id == row.pk)
    assert "ada@example.org" in str(revision.after["emails"])
    assert "ada@" not in revision.after["notes"]
    # A name that somebody is looked up by stays one.
    named = {"title": "t", "external_id": "ada@example.org"}
    assert made(api.post("/tasks", named))["id"] == made(api.post("/tasks", named))["id"]


def test_what_is_meant_to_hold_a_secret_keeps_it(api, rows):
    target, secret = SECRETS["slack-webhook"], "whsec_" + "a1B2" * 8
    for name, kind, at, held in (("s", "slack", target, ""),
                                 ("w", "webhook", "https://example.org/h", secret)):  # fmt: skip
        made(api.post("/ping-channels", {"name": name, "kind": kind, "target": at, "secret": held}))
    kept = {(row.target, row.secret) for row in rows(PingChannel)}
    assert kept == {(target, ""), ("https://example.org/h", secret)}
    for row in rows(Revision):
        assert not {target, secret} & set(re.findall(r"[^\s'\"]+", repr(vars(row))))
