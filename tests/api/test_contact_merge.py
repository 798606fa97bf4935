"""Duplicates are found, merged with a look before, and parted again exactly."""

import threading

import pytest
from django.db import connection

from config.lib.scope import workspace_scope
from contacts import selectors_duplicates
from contacts.models import Contact
from memory.models import MemoryAbout
from tests.api.caller import Caller, all_items, made, problem, wrong_fields

ADA = {
    "name": "Ada Lovelace",
    "company": "",
    "role": "Programmer",
    "notes": "Likes numbers.",
    "emails": [{"email": "ada@example.com", "label": "work"}],
    "phones": ["+41446681800"],
    "tags": ["client"],
    "metadata": {"a": 1},
    "last_contact_at": "2026-01-01T00:00:00Z",
}
COUNTESS = {
    "name": "Countess of Lovelace",
    "company": "Analytical Engines",
    "role": "Countess",
    "notes": "Daughter of Byron.",
    "description": "A long story.",
    "emails": ["ada@example.com", {"email": "ada@palace.example", "label": "home"}],
    "phones": [{"number": "+41446681800", "label": "home"}, "+442079460000"],
    "tags": ["royal", "client"],
    "metadata": {"a": 2, "b": 3},
    "last_contact_at": "2026-02-01T00:00:00Z",
    "pinned": True,
}


def contact(api: Caller, **fields):
    return made(api.post("/contacts", fields))


def read(api: Caller, row):
    return made(api.get(f"/contacts/{row['id']}"))


def merge(api: Caller, target, source, **body):
    return api.post(f"/contacts/{target['id']}/merge", {"source_id": source["id"], **body})


def unmerge(api: Caller, source):
    return api.post(f"/contacts/{source['id']}/unmerge", {})


def without_version(row):
    return {k: v for k, v in row.items() if k not in ("version", "updated_at")}


def groups(api: Caller):
    return [
        (
            [one["name"] for one in group["contacts"]],
            [(why["reason"], why["value"]) for why in group["reasons"]],
        )
        for group in all_items(api, "/contacts/duplicates", limit=2)
    ]


def memory(api: Caller, *about, text="She likes tea."):
    return made(api.post("/memories", {"text": text, "about": list(about)}))


def test_the_target_wins_and_nothing_is_lost(api):
    ada, countess = contact(api, **ADA), contact(api, **COUNTESS)
    preview = made(
        api.post(f"/contacts/{ada['id']}/merge?preview=true", {"source_id": countess["id"]})
    )
    assert preview["preview"] is True
    assert read(api, ada) == ada, "a preview writes nothing"
    assert read(api, countess) == countess
    answer = merge(api, ada, countess, version=1, source_version=1, reason="the same person")
    done = made(answer)
    assert answer["ETag"] == '"2"'
    assert without_version(preview["target"]) == without_version(done["target"])
    assert {c["field"] for c in preview["changes"]} == {c["field"] for c in done["changes"]}
    target = read(api, ada)
    assert target == done["target"]
    assert (target["name"], target["role"], target["company"], target["description"]) == (
        "Ada Lovelace", "Programmer", "Analytical Engines", "A long story.",
    )  # fmt: skip
    assert target["notes"] == "Likes numbers.\n\nDaughter of Byron."
    assert target["emails"] == [
        {"email": "ada@example.com", "label": "work"},
        {"email": "ada@palace.example", "label": "home"},
    ]
    assert target["phones"] == [
        {"number": "+41446681800", "label": "home"},
        {"number": "+442079460000", "label": ""},
    ]
    assert target["tags"] == ["client", "royal"]
    assert target["metadata"] == {"a": 1, "b": 3}
    assert target["last_contact_at"] == "2026-02-01T00:00:00Z"
    assert target["pinned"] is False
    source = read(api, countess)
    assert source["merged_into_id"] == ada["id"]
    assert (source["emails"], source["phones"], source["tags"]) == ([], [], [])
    assert source["notes"] == "Daughter of Byron."
    items = made(api.get("/contacts"))["items"]
    assert [row["id"] for row in items] == [ada["id"]]
    assert len(made(api.get("/contacts", email="ada@palace.example"))["items"]) == 1
    last = made(api.get(f"/contacts/{ada['id']}/history"))["items"][0]
    assert (last["action"], last["reason"]) == ("merge", "the same person")


def test_an_undo_restores_both_exactly(api):
    ada, countess = contact(api, **ADA), contact(api, **COUNTESS)
    made(merge(api, ada, countess))
    made(unmerge(api, countess))
    assert without_version(read(api, ada)) == without_version(ada)
    assert without_version(read(api, countess)) == without_version(countess)
    assert problem(unmerge(api, countess), 409)["code"] == "not_merged"
    # and once more, to see that the second record is the one that is read
    made(merge(api, ada, countess))
    made(unmerge(api, countess))
    assert without_version(read(api, ada)) == without_version(ada)


def test_a_merge_that_changes_nothing_in_the_target_can_be_undone(api):
    ada, empty = contact(api, **ADA), contact(api, name="A. L.", phones=["+41446681800"])
    done = made(merge(api, ada, empty))
    assert done["changes"] == []
    assert read(api, ada)["version"] == 1
    made(unmerge(api, empty))
    assert read(api, ada) == ada
    assert without_version(read(api, empty)) == without_version(empty)


def test_an_undo_says_what_was_changed_since(api):
    ada, countess = contact(api, **ADA), contact(api, **COUNTESS)
    made(merge(api, ada, countess))
    path = f"/contacts/{ada['id']}"
    made(api.patch(path, {"pinned": True, "relationship": "friend"}, if_match="*"))
    made(api.patch(path, {"notes": "Rewritten.", "tags": ["vip"]}, if_match="*"))
    body = problem(unmerge(api, countess), 409)
    assert body["code"] == "changed_since"
    assert "notes, tags" in body["detail"]
    back = {"notes": "Likes numbers.\n\nDaughter of Byron.", "tags": ["royal", "client"]}
    made(api.patch(path, back, if_match="*"))
    made(unmerge(api, countess))
    after = read(api, ada)
    assert (after["notes"], after["tags"]) == (ADA["notes"], ["client"])
    assert (after["pinned"], after["relationship"]) == (True, "friend"), "not the merge's business"


def test_merges_of_merges_are_undone_from_the_last(api):
    a, b, c = contact(api, **ADA), contact(api, **COUNTESS), contact(api, name="Ada King")
    about = memory(api, {"contact": a["id"]})
    made(merge(api, b, a))
    before_c = read(api, b)
    made(merge(api, c, b))
    assert read(api, a)["merged_into_id"] == b["id"]
    assert [m["id"] for m in made(api.get(f"/contacts/{c['id']}/known"))["items"]] == [about["id"]]
    assert problem(unmerge(api, a), 409)["code"] == "merged_since"
    assert problem(merge(api, a, c), 409)["code"] == "merged"
    assert problem(merge(api, c, b), 409)["code"] == "merged"
    made(unmerge(api, b))
    assert without_version(read(api, b)) == without_version(before_c)
    made(unmerge(api, a))
    for row in (a, b, c):
        assert without_version(read(api, row)) == without_version(row)
    assert [m["id"] for m in made(api.get(f"/contacts/{a['id']}/known"))["items"]] == [about["id"]]


def test_what_was_added_since_a_merge_stays_when_it_is_undone(api):
    ada, countess = contact(api, **ADA), contact(api, **COUNTESS)
    merged = made(merge(api, ada, countess))["target"]
    more = {
        "tags": [*merged["tags"], "zoo"],
        "emails": [*merged["emails"], "new@example.com"],
        "phones": ["+33142685300", *merged["phones"]],
    }
    made(api.patch(f"/contacts/{ada['id']}", more, if_match="*"))
    made(unmerge(api, countess))
    now = read(api, ada)
    assert now["tags"] == [*ada["tags"], "zoo"]
    assert now["emails"] == [*ada["emails"], {"email": "new@example.com", "label": ""}]
    assert now["phones"] == [*ada["phones"], {"number": "+33142685300", "label": ""}]
    assert without_version(read(api, countess)) == without_version(countess)


def test_two_merges_into_one_are_undone_from_the_last(api):
    ada, one, two = (
        contact(api, name=name, notes=name, emails=[f"{name}@example.com"])
        for name in ("ada", "one", "two")
    )
    made(merge(api, ada, one))
    made(merge(api, ada, two))
    assert problem(unmerge(api, one), 409)["code"] == "changed_since"
    made(unmerge(api, two))
    made(unmerge(api, one))
    assert without_version(read(api, ada)) == without_version(ada)


def test_memories_follow_and_come_back(api, workspace):
    ada, countess = contact(api, **ADA), contact(api, **COUNTESS)
    hers = memory(api, {"contact": countess["id"]})
    both = memory(api, {"contact": countess["id"]}, {"contact": ada["id"]}, text="Both of them.")
    preview = api.post(f"/contacts/{ada['id']}/merge?preview=1", {"source_id": countess["id"]})
    assert made(preview)["references"] == {"memories": 2}
    made(merge(api, ada, countess))
    known = f"/contacts/{ada['id']}/known"
    assert {m["id"] for m in made(api.get(known))["items"]} == {hers["id"], both["id"]}
    assert made(api.get(f"/memories/{both['id']}"))["about"] == [
        {"contact": ada["id"], "project": None, "task": None}
    ]
    later = memory(api, {"contact": countess["id"]}, text="Said to the old id.")
    assert later["about"][0]["contact"] == ada["id"], "who holds the old id speaks of the target"
    made(unmerge(api, countess))
    theirs = made(api.get(f"/contacts/{countess['id']}/known"))["items"]
    assert {m["id"] for m in theirs} == {hers["id"], both["id"]}
    ours = made(api.get(known))["items"]
    assert {m["id"] for m in ours} == {both["id"], later["id"]}
    with workspace_scope(workspace.id):
        assert MemoryAbout.objects.count() == 4


def test_what_was_deleted_meanwhile_stays_deleted(api):
    ada, countess = contact(api, **ADA), contact(api, **COUNTESS)
    gone = memory(api, {"contact": countess["id"]}, {"contact": ada["id"]})
    other = memory(api, {"contact": countess["id"]}, text="Another.")
    made(merge(api, ada, countess))
    for one in (gone, other):
        assert api.delete(f"/memories/{one['id']}", if_match="*").status_code == 204
    made(unmerge(api, countess))
    assert made(api.get(f"/contacts/{countess['id']}/known"))["items"] == []


def test_what_cannot_be_merged(api, stranger):
    ada, theirs = contact(api, **ADA), contact(stranger, name="Charlie")
    assert "source_id" in wrong_fields(merge(api, ada, ada))
    problem(merge(api, ada, theirs), 404)
    problem(merge(api, theirs, ada), 404)
    problem(unmerge(api, theirs), 404)
    other = contact(api, name="Other", notes="x" * 60_000)
    problem(merge(api, ada, other, version=9), 412)
    problem(merge(api, ada, other, source_version=9), 412)
    made(api.patch(f"/contacts/{ada['id']}", {"notes": "y" * 60_000}, if_match="*"))
    assert "notes" in wrong_fields(merge(api, ada, other)), "both notes have no room in one"
    preview = f"/contacts/{ada['id']}/merge?preview=true"
    assert "notes" in wrong_fields(api.post(preview, {"source_id": other["id"]}))
    assert read(api, other)["merged_into_id"] is None


def test_a_merged_contact_is_not_changed_and_goes_with_its_target(api):
    ada, countess = (
        contact(api, **ADA, external_id="e1"),
        contact(api, **COUNTESS, external_id="e2"),
    )
    made(merge(api, ada, countess))
    path = f"/contacts/{countess['id']}"
    body = problem(api.patch(path, {"name": "X"}, if_match="*"), 409)
    assert body["code"] == "merged"
    assert ada["id"] in body["detail"]
    again = api.post("/contacts", {"name": "X", "external_id": "e2"})
    assert (again.status_code, again.json()["id"]) == (200, ada["id"])
    assert api.delete(f"/contacts/{ada['id']}", if_match="*").status_code == 204
    problem(api.get(path), 404)
    assert made(api.get("/contacts"))["items"] == []
    assert made(api.get(f"{path}/history"))["items"][0]["action"] == "delete"


def test_a_merged_contact_leaves_the_search(api):
    ada, countess = contact(api, **ADA), contact(api, **COUNTESS)

    def found(q):
        answer = made(api.post("/search", {"q": q, "kinds": ["contact"], "mode": "lexical"}))
        return [hit["text"].split(",")[0] for hit in answer["hits"]]

    assert found("Byron") == ["Countess of Lovelace"]
    made(merge(api, ada, countess))
    assert found("Byron") == found("royal") == found("palace") == ["Ada Lovelace"]
    made(unmerge(api, countess))
    assert found("Byron") == found("palace") == ["Countess of Lovelace"]


def test_duplicates_are_grouped_with_their_reasons(api):
    for fields in (
        {"name": "Ada Lovelace", "emails": ["ada@example.com"]},
        {"name": "Countess", "emails": ["ada@example.com"], "phones": ["+442079460000"]},
        {"name": "Lady Byron", "phones": ["+442079460000"]},
        {"name": "John Smith"},
        {"name": "Jon Smith"},
        {"name": "Grace Hopper"},
        {"name": "GRACE  HOPPER"},
        {"name": "Nobody Else", "emails": ["nobody@example.com"], "phones": ["+41446681801"]},
    ):
        contact(api, **fields)
    assert groups(api) == [
        (
            ["Ada Lovelace", "Countess", "Lady Byron"],
            [("same_email", "ada@example.com"), ("same_phone", "+442079460000")],
        ),
        (["Grace Hopper", "GRACE HOPPER"], [("same_name", "grace hopper")]),
        (["John Smith", "Jon Smith"], [("similar_name", "John Smith / Jon Smith")]),
    ]


def test_each_group_is_on_one_page_only(api):
    for n in range(12):
        contact(api, name=f"{chr(97 + n)} first {n * 7919}", emails=[f"shared{n % 4}@example.com"])
    found = groups(api)
    assert [len(people) for people, _ in found] == [3, 3, 3, 3]
    assert len({why[0] for _, why in found}) == 4


def test_merged_contacts_are_no_duplicates(api):
    ada, countess = contact(api, **ADA), contact(api, **COUNTESS)
    assert len(groups(api)) == 1
    made(merge(api, ada, countess))
    assert groups(api) == []


def test_a_search_for_duplicates_ends_although_there_are_none(api, monkeypatch):
    monkeypatch.setattr(selectors_duplicates, "EXAMINED", 3)
    for name in ("Ada", "Bob", "Carl", "Dora", "Emil", "Emil"):
        contact(api, name=name)
    first = made(api.get("/contacts/duplicates"))
    assert first["items"] == []
    second = made(api.get("/contacts/duplicates", cursor=first["next_cursor"]))
    assert [c["name"] for c in second["items"][0]["contacts"]] == ["Emil", "Emil"]
    assert second["next_cursor"] is None


@pytest.mark.django_db(transaction=True)
def test_of_two_merges_at_once_one_happens(api, workspace):
    ada, countess = contact(api, **ADA), contact(api, **COUNTESS)
    answers = []
    ready = threading.Barrier(2)

    def run(target, source):
        try:
            ready.wait(10)
            answers.append(merge(api, target, source).status_code)
        finally:
            connection.close()

    threads = [
        threading.Thread(target=run, args=pair) for pair in ((ada, countess), (countess, ada))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(answers) == [200, 409]
    with workspace_scope(workspace.id):
        assert Contact.objects.filter(merged_into=None).count() == 1
