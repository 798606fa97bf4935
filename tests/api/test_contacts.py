"""Contacts and tags over REST."""

import json
import threading

import pytest
from django.db import connection

from config.lib.scope import workspace_scope
from contacts.models import Contact, Tag, Workspace
from contacts.services.workspaces import update_workspace
from tests.api.caller import Caller, all_items, made, problem, wrong_fields
from tests.factories import ALICE

ADA = {
    "name": "  Ada   Lovelace ",
    "company": "Analytical Engines",
    "role": "Programmer",
    "location": "London",
    "relationship": "client",
    "notes": "Prefers letters about Bernoulli numbers.",
    "emails": [{"email": " Ada@Example.COM ", "label": "work"}, "ada@home.example"],
    "phones": [{"number": "+41 44 668 18 00", "label": "work"}],
    "tags": ["Client", "client", " Claude_Direct "],
    "metadata": {"a": 1},
}


def ada(api: Caller, **fields):
    return made(api.post("/contacts", {**ADA, **fields}))


def set_region(workspace: Workspace, region: str) -> None:
    with workspace_scope(workspace.id):
        update_workspace(actor=ALICE, settings={"region": region})


def names(rows):
    return [row["name"] for row in rows]


def found(api: Caller, q: str) -> list[str]:
    answer = made(api.post("/search", {"q": q, "kinds": ["contact"], "mode": "lexical"}))
    return [hit["text"].split(",")[0] for hit in answer["hits"]]


def test_a_contact_is_created_with_its_addresses_in_their_one_spelling(api):
    answer = api.post("/contacts", ADA)
    contact = made(answer)
    assert answer.status_code == 201
    assert answer["Location"] == f"/api/v1/contacts/{contact['id']}"
    assert answer["ETag"] == '"1"'
    assert contact["name"] == "Ada Lovelace"
    assert contact["emails"] == [
        {"email": "ada@example.com", "label": "work"},
        {"email": "ada@home.example", "label": ""},
    ]
    assert contact["phones"] == [{"number": "+41446681800", "label": "work"}]
    assert contact["tags"] == ["claude_direct", "client"]
    assert contact["merged_into_id"] is None
    assert made(api.get(f"/contacts/{contact['short_id']}")) == contact


def test_a_change_covers_the_whole_contact(api):
    contact = ada(api)
    path = f"/contacts/{contact['id']}"
    problem(api.patch(path, {"pinned": True}), 428)
    changed = made(api.patch(path, {"emails": ["new@example.com"]}, if_match='"1"'))
    assert changed["version"] == 2
    assert changed["emails"] == [{"email": "new@example.com", "label": ""}]
    assert changed["phones"] == contact["phones"]
    problem(api.patch(path, {"tags": []}, if_match='"1"'), 412)
    same = api.patch(path, {"emails": ["NEW@example.com"], "name": "Ada Lovelace"}, if_match='"2"')
    assert made(same)["version"] == 2, "nothing differs, nothing is written"
    relabelled = {"emails": [{"email": "new@example.com", "label": "home"}]}
    assert made(api.patch(path, relabelled, if_match='"2"'))["version"] == 3
    history = made(api.get(f"{path}/history"))["items"]
    assert [one["action"] for one in history] == ["update", "update", "create"]
    assert history[0]["before"] == {"emails": ["new@example.com"]}
    assert history[0]["after"] == {"emails": ["new@example.com (home)"]}
    assert history[2]["after"]["tags"] == ["claude_direct", "client"]
    assert history[2]["after"]["phones"] == ["+41446681800 (work)"]


def test_a_deleted_contact_leaves_its_history(api):
    contact = ada(api)
    path = f"/contacts/{contact['id']}"
    problem(api.delete(path), 428)
    problem(api.delete(path, if_match='"7"'), 412)
    assert api.delete(path + "?reason=asked", if_match='"1"').status_code == 204
    problem(api.get(path), 404)
    last = made(api.get(f"{path}/history"))["items"][0]
    assert (last["action"], last["reason"]) == ("delete", "asked")
    assert last["before"]["emails"] == ["ada@example.com (work)", "ada@home.example"]
    assert made(api.get("/contacts", email="ada@example.com"))["items"] == []


def test_the_same_external_id_is_the_same_contact(api):
    first = ada(api, external_id="c-1", source="amp")
    again = api.post("/contacts", {"name": "Other", "external_id": "c-1", "source": "amp"})
    assert (again.status_code, again.json()) == (200, first)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": " \t "}, "name"),
        ({"name": "x" * 301}, "name"),
        ({"emails": ["nobody"]}, "emails[0].email"),
        ({"emails": ["a@b", "a b@c"]}, "emails[1].email"),
        ({"emails": ["a@b@c"]}, "emails[0].email"),
        ({"emails": ["<a@b.c>"]}, "emails[0].email"),
        ({"emails": [{"mail": "a@b"}]}, "emails[0].email"),
        ({"emails": [f"{n}@b" for n in range(51)]}, "emails"),
        ({"phones": ["call me"]}, "phones[0].number"),
        ({"phones": ["+41 12"]}, "phones[0].number"),
        ({"phones": ["+999 44 668 18 00"]}, "phones[0].number"),
        ({"phones": ["+1" * 200]}, "phones[0].number"),
        ({"phones": [{"number": "+41446681800", "label": "x" * 61}]}, "phones[0].label"),
        ({"tags": ["a,b"]}, "tags[0]"),
        ({"tags": ["a\x00b"]}, "tags[0]"),
        ({"tags": [f"t{n}" for n in range(101)]}, "tags"),
        ({"notes": "\ud800"}, "notes"),
        ({"last_contact_at": "2026-01-01"}, "last_contact_at"),
        ({"sort_name": "x"}, "sort_name"),
    ],
)
def test_what_cannot_be_kept_names_its_field(api, body, field):
    answer = api.call("POST", "/contacts", raw=json.dumps({"name": "Ada", **body}).encode())
    assert field in wrong_fields(answer)
    assert made(api.get("/contacts"))["items"] == []


def test_a_number_without_a_country_needs_the_workspaces_region(api, workspace):
    answer = api.post("/contacts", {"name": "Ada", "phones": ["+41446681800", "044 668 18 00"]})
    message = wrong_fields(answer)["phones[1].number"]
    assert "region" in message
    assert "+41446681800" in message
    set_region(workspace, "ch")
    contact = ada(api, phones=["044 668 18 00", "(+41) 44/668.18.00", "+49 30 123456"])
    assert [one["number"] for one in contact["phones"]] == ["+41446681800", "+4930123456"]
    items = made(api.get("/contacts", phone="044 668 18 00"))["items"]
    assert names(items) == ["Ada Lovelace"]


def test_a_region_that_is_none_is_refused(api):
    answer = api.patch("/workspace", {"settings": {"region": "Switzerland"}}, if_match="*")
    assert "settings.region" in wrong_fields(answer)
    made(api.patch("/workspace", {"settings": {"region": "CH"}}, if_match="*"))


def test_an_extension_is_kept_in_the_label(api):
    contact = ada(api, phones=[{"number": "+41 44 668 18 00 ext. 12", "label": "work"}])
    assert contact["phones"] == [{"number": "+41446681800", "label": "work ext. 12"}]


def test_names_of_every_script_are_kept_and_sorted(api):
    for name in ("Zoë", "ángel", "王小明", "Ольга", "zoe", "José", "Jose\u0301"):
        made(api.post("/contacts", {"name": name}))
    rows = all_items(api, "/contacts", limit=2)
    assert len(rows) == 7
    assert names(rows)[:2] in (["José", "Jose\u0301"], ["Jose\u0301", "José"]), "one sort name"
    assert names(made(api.get("/contacts", q="ZOË"))["items"]) == ["Zoë"]


def test_contacts_are_listed_and_filtered(api):
    ada(api, pinned=True, last_contact_at="2026-03-01T00:00:00Z")
    bob = {"name": "Bob Babbage", "company": "Analytical Engines", "tags": ["client"]}
    made(api.post("/contacts", {**bob, "last_contact_at": "2026-05-01T00:00:00Z"}))
    made(api.post("/contacts", {"name": "carl", "phones": ["+41446681800", "+4930123456"]}))
    assert names(all_items(api, "/contacts", limit=1)) == ["Ada Lovelace", "Bob Babbage", "carl"]
    wanted = {
        "tag=client": ["Ada Lovelace", "Bob Babbage"],
        "tag=CLIENT&tag=claude_direct": ["Ada Lovelace"],
        "tag=nobody": [],
        "company=Analytical Engines": ["Ada Lovelace", "Bob Babbage"],
        "pinned=true": ["Ada Lovelace"],
        "pinned=false&tag=client": ["Bob Babbage"],
        "email=ADA@example.com": ["Ada Lovelace"],
        "phone=%2B41446681800": ["Ada Lovelace", "carl"],
        "spoken_since=2026-02-01T00:00:00Z": ["Bob Babbage", "Ada Lovelace"],
        "spoken_since=2026-04-01T00:00:00Z": ["Bob Babbage"],
        "q=bob": ["Bob Babbage"],
        "q=analytical": ["Ada Lovelace", "Bob Babbage"],
        "q=ada@": ["Ada Lovelace"],
        "q=%2B4930": ["carl"],
        "q=49 30": ["carl"],
        "q=babbage": [],
    }
    for query, expected in wanted.items():
        assert names(made(api.get(f"/contacts?{query}"))["items"]) == expected, query
    pages = all_items(api, "/contacts", limit=1, spoken_since="2026-02-01T00:00:00Z")
    assert names(pages) == ["Bob Babbage", "Ada Lovelace"]
    assert "q" in wrong_fields(api.get("/contacts", q="  "))
    assert "phone" in wrong_fields(api.get("/contacts", phone="nonsense"))
    assert "email" in wrong_fields(api.get("/contacts", email="nonsense"))
    assert "colour" in wrong_fields(api.get("/contacts", colour="red"))


@pytest.mark.parametrize(
    "q",
    [
        "ada@example.com",
        "+41446681800",
        "41446681800",
        "0446681800",
        "claude_direct",
        "Analytical",
        "Bernoulli",
    ],
)
def test_the_search_finds_a_contact_by_what_it_has(api, q):
    ada(api)
    made(api.post("/contacts", {"name": "Bob Babbage", "emails": ["bob@other.test"]}))
    assert found(api, q) == ["Ada Lovelace"]


def test_the_search_follows_when_only_addresses_change(api):
    contact = ada(api)
    path = f"/contacts/{contact['id']}"
    made(api.patch(path, {"emails": ["countess@palace.test"]}, if_match="*"))
    assert found(api, "countess@palace.test") == ["Ada Lovelace"]
    assert found(api, "home") == [], "of ada@home.example"
    made(api.patch(path, {"tags": ["royal"]}, if_match="*"))
    assert found(api, "royal") == ["Ada Lovelace"]


def test_tags_are_counted_renamed_and_deleted_everywhere(api):
    contact = ada(api)
    made(api.post("/contacts", {"name": "Bob", "tags": ["client"]}))
    tags = all_items(api, "/tags", limit=1)
    counts = {one["name"]: one["contact_count"] for one in tags}
    assert counts == {"claude_direct": 1, "client": 2}
    assert wrong_fields(api.patch("/tags/client", {"name": "a;b"}))["name"]
    assert problem(api.patch("/tags/client", {"name": "Claude_Direct"}), 409)["code"] == (
        "name_taken"
    )
    renamed = made(api.patch("/tags/Client", {"name": "Customer"}))
    assert (renamed["name"], renamed["contact_count"]) == ("customer", 2)
    after = made(api.get(f"/contacts/{contact['id']}"))
    assert after["tags"] == ["claude_direct", "customer"]
    assert after["version"] == 2, "who read the old tag must read again"
    assert sorted(found(api, "customer")) == ["Ada Lovelace", "Bob"]
    assert api.delete(f"/tags/{renamed['id']}").status_code == 204
    problem(api.delete("/tags/customer"), 404)
    path = f"/contacts/{contact['id']}"
    assert made(api.get(path))["tags"] == ["claude_direct"]
    assert found(api, "customer") == []
    gone, named = made(api.get(f"{path}/history"))["items"][:2]
    assert (named["before"], named["after"]) == (
        {"tags": ["claude_direct", "client"]},
        {"tags": ["claude_direct", "customer"]},
    )
    assert gone["after"] == {"tags": ["claude_direct"]}
    assert gone["reason"] == "the tag customer was deleted"
    made(api.post(f"/revisions/{gone['id']}/undo", {}))
    assert made(api.get(path))["tags"] == ["claude_direct", "customer"]
    assert [tag["name"] for tag in all_items(api, "/tags")] == ["claude_direct", "customer"]


def test_nobody_sees_another_workspaces_contacts(api, stranger):
    contact = ada(api)
    problem(stranger.get(f"/contacts/{contact['id']}"), 404)
    problem(stranger.patch("/tags/client", {"name": "mine"}), 404)
    assert made(stranger.get("/contacts"))["items"] == []
    assert made(stranger.get("/contacts", email="ada@example.com"))["items"] == []
    assert made(stranger.get("/tags"))["items"] == []


def test_the_beginning_of_a_number_as_it_is_dialled_at_home(api, workspace):
    made(api.post("/contacts", {"name": "Ada", "phones": ["+41795556677"]}))

    def found(q):
        return [one["name"] for one in made(api.get("/contacts", q=q))["items"]]

    assert (found("079 555"), found("+41 79 5")) == ([], ["Ada"])
    set_region(workspace, "CH")
    assert (found("079 555"), found("(079) 555"), found("079 556")) == (["Ada"], ["Ada"], [])


def test_a_name_of_spaces_is_one_wrong_field(api):
    answer = api.post("/contacts", {"name": "  "})
    assert list(wrong_fields(answer)) == ["name"]


@pytest.mark.django_db(transaction=True)
def test_writers_of_the_same_new_tags_all_succeed(api, workspace):
    tags = [f"tag-{n}" for n in range(10)]
    answers = []
    ready = threading.Barrier(6)

    def write(number: int) -> None:
        try:
            ready.wait(10)
            order = tags if number % 2 else tags[::-1]
            answers.append(api.post("/contacts", {"name": f"C{number}", "tags": order}).status_code)
        finally:
            connection.close()

    threads = [threading.Thread(target=write, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert answers == [201] * 6
    with workspace_scope(workspace.id):
        assert Tag.objects.count() == 10
        assert all(c.contact_tags.count() == 10 for c in Contact.objects.all())


@pytest.mark.django_db(transaction=True)
def test_of_two_writers_with_one_version_one_wins(api):
    contact = ada(api)
    answers = []
    ready = threading.Barrier(2)

    def write(email: str) -> None:
        try:
            ready.wait(10)
            body = {"emails": [email]}
            path = f"/contacts/{contact['id']}"
            answers.append(api.patch(path, body, if_match='"1"').status_code)
        finally:
            connection.close()

    threads = [threading.Thread(target=write, args=(e,)) for e in ("a@b.example", "c@d.example")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(answers) == [200, 412]
    after = made(api.get(f"/contacts/{contact['id']}"))
    assert (after["version"], len(after["emails"])) == (2, 1)
