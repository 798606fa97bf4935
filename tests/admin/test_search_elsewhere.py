"""The product's search in the palette, in the lists, and asked again on its receipt's page."""

import re
from html import unescape

import pytest
from django.urls import reverse

from config.lib.scope import workspace_scope
from contacts.models import Contact
from contacts.services.addresses import Labelled
from contacts.services.contacts import create_contact
from memory.models import Memory, Passage, Receipt
from memory.search import corpus, speakers, vectors
from memory.services.memories import delete_memory
from sessions.models import Message, Project, Session, SessionEvent, Task
from sessions.services.events import NewEvent, append_events
from sessions.services.projects import create_project
from sessions.services.tasks import create_task
from sessions.services.threads import NewMessage, append_messages
from tests.admin.pages import MAX_QUERIES, queries_of, url
from tests.admin.test_hostile_text import ALL, NAME, obeyed
from tests.factories import ALICE, make_memory, make_session, make_thread


@pytest.fixture(autouse=True)
def _nothing_kept():
    """What processes keep between searches must not reach from one test into the next."""
    yield
    for kept in (vectors, corpus, speakers):
        kept.forget()


# --- The palette --------------------------------------------------------------------------------


def palette(client, term):
    response = client.get(reverse("admin:palette"), {"s": term})
    assert response.status_code == 200
    page = response.content.decode()
    return [
        (unescape(url), unescape(re.sub("<[^>]+>", "", title)).strip())
        for url, title in re.findall(
            r'<a href="([^"]+)" class="rm-palette".*?class="rm-palette-title">(.*?)</span>',
            page,
            re.DOTALL,
        )
    ]


def test_the_palette_finds_pages_names_and_words_and_ends_with_all_of_it(alice, workspace):
    with workspace_scope(workspace.id):
        session = make_session(name="Memories of the boiler")
        memory = make_memory("On memories: the boiler keeps none.")
    found = palette(alice, "memor")
    assert (url(Memory, "changelist"), "Memories") in found
    assert (url(Session, "conversation", session.pk), "Memories of the boiler") in found
    found = palette(alice, "keeps boiler")
    assert (url(Memory, "read", memory.pk), "On memories: the boiler keeps none.") in found
    assert found[-1] == (
        f"{reverse('admin:search')}?q=keeps+boiler", "Search everything for “keeps boiler”",
    )  # fmt: skip
    with workspace_scope(workspace.id):
        assert not Receipt.objects.exists()


def test_the_palette_names_no_row_twice(alice, workspace):
    with workspace_scope(workspace.id):
        session = make_session(name="The boiler")
    pages = [page for page, _ in palette(alice, "boiler")]
    assert pages.count(url(Session, "conversation", session.pk)) == 1


def test_the_palette_offers_what_ones_role_allows(otto, vera, alice):
    begin = [(url(Task, "add"), "New task")]
    assert begin[0] in palette(otto, "new")
    assert begin[0] in palette(otto, "")
    assert begin[0] not in palette(vera, "new")
    key = reverse("admin:contacts_apikey_add")
    assert key in dict(palette(alice, "new"))
    assert key not in dict(palette(otto, "new"))
    assert (reverse("admin:index"), "At a glance") in palette(vera, "")


def test_the_palette_costs_a_bounded_number_of_queries(alice, rows):
    address = f"{reverse('admin:palette')}?s=pump"
    alice.get(address)
    statements = queries_of(alice, address)
    of_search = [s for s in statements if re.search("search_|memory_(passage|evidence)", s)]
    assert len(statements) - len(of_search) <= MAX_QUERIES, statements


@pytest.mark.parametrize("term", ['"', "%", "\\", "-x", "İ", "a" * 300, "'; --", "\udfff", "()|&!"])
def test_no_term_breaks_the_palette(alice, workspace, term):
    response = alice.get(reverse("admin:palette"), {"s": term.encode("utf-8", "replace").decode()})
    assert response.status_code == 200


# --- Lists --------------------------------------------------------------------------------------


def listed(client, model, **asked):
    """The ids of the list's rows, in order."""
    response = client.get(url(model, "changelist"), asked)
    assert response.status_code == 200
    return [row.pk for row in response.context["cl"].result_list]


@pytest.fixture
def greenhouse(workspace):
    with workspace_scope(workspace.id):
        project = create_project(actor=ALICE, title="Cellar", description="Where boilers stand.")
        session = make_session(name="Night", project=project.id)
        other = make_session(name="Day")
        found = {"project": project, "session": session, "other": other}
        for name, at in (("first", session), ("second", other)):
            thread = make_thread(at, name="main")
            (found[name], *_), _ = append_messages(
                actor=ALICE, thread_id=thread.id,
                messages=[NewMessage(role="user", content=f"The boilers hum ({name}).")],
            )  # fmt: skip
        (found["event"],), _ = append_events(
            actor=ALICE, session_id=session.id,
            events=[NewEvent(event_type="note", text="humming boiler")],
        )  # fmt: skip
        found["task"], _ = create_task(actor=ALICE, title="Repair", description="boiler")
        found["contact"] = create_contact(
            actor=ALICE,
            fields={"name": "Ada Lovelace", "notes": "Knows boilers.",
                    "emails": [Labelled("ada@example.com"), Labelled("ada@example.org")]},
        )  # fmt: skip
        found["memory"] = make_memory("A boiler.")
        found["quarantined"] = make_memory(
            "The boiler hums: boiler, hums.", state="quarantined", project_id=project.id
        )
    return found


@pytest.mark.parametrize(
    ("model", "name"),
    [(Message, "first"), (SessionEvent, "event"), (Memory, "memory"), (Task, "task"),
     (Project, "project"), (Contact, "contact")],
)  # fmt: skip
def test_a_lists_box_finds_by_words_as_the_search_does(alice, greenhouse, model, name):
    row = greenhouse[name]
    # Another form of the word than the text has: no part of it is looked for.
    assert row.pk in listed(alice, model, q="boiler")
    assert row.pk in listed(alice, model, q="boilers")
    assert listed(alice, model, q="zeppelin") == []
    # By the whole id and by the end of it.
    assert listed(alice, model, q=str(row.pk)) == [row.pk]
    assert listed(alice, model, q=row.short_id) == [row.pk]
    assert len(queries_of(alice, f"{url(model, 'changelist')}?q=boiler")) <= MAX_QUERIES


@pytest.mark.parametrize(("model", "name"), [(Message, "first"), (Memory, "memory")])
def test_what_no_word_finds_is_looked_for_in_new_rows(alice, greenhouse, monkeypatch, model, name):
    """A part of a word, and words that say as little as "a"."""
    assert greenhouse[name].pk in listed(alice, model, q="oile")
    assert greenhouse["memory"].pk in listed(alice, Memory, q="A")
    shown = alice.get(url(model, "changelist")).content.decode()
    assert "a part of a word in the newest" in shown
    monkeypatch.setattr("contacts.admin.listing.LOOKED_THROUGH", 1)
    assert greenhouse[name].pk not in listed(alice, model, q="oile")


def test_passages_are_found_by_their_words(alice, greenhouse):
    found = listed(alice, Passage, q="boilers")
    assert found
    assert listed(alice, Passage, q="boilers", kind__exact="memory") == [
        one for one in found if one in listed(alice, Passage, kind__exact="memory")
    ]
    assert listed(alice, Passage, q="zeppelin") == []


def test_the_best_comes_first_unless_a_column_is_chosen(alice, greenhouse):
    best = greenhouse["quarantined"].pk
    assert listed(alice, Memory, q="boiler hums")[0] == best
    by_kind = listed(alice, Memory, q="boiler hums", o="7")
    assert set(by_kind) == {best, greenhouse["memory"].pk}
    assert by_kind[0] == greenhouse["memory"].pk


def test_a_lists_filters_hold_for_what_was_found(alice, greenhouse):
    quarantined = greenhouse["quarantined"].pk
    assert listed(alice, Memory, q="boiler", state__exact="quarantined") == [quarantined]
    project = str(greenhouse["project"].pk)
    assert listed(alice, Memory, q="boiler", project__id__exact=project) == [quarantined]
    session = str(greenhouse["other"].pk)
    assert listed(alice, Message, q="boiler", session__id__exact=session) == [
        greenhouse["second"].pk
    ]
    assert listed(alice, Message, q="boiler", role__exact="assistant") == []


def test_a_session_filter_is_asked_of_the_search_itself(alice, greenhouse, monkeypatch):
    """So that more rows with the word elsewhere hide none of the session's."""
    monkeypatch.setattr("memory.admin.lists.MOST", 1)
    for name, session in (("first", "session"), ("second", "other")):
        chosen = str(greenhouse[session].pk)
        assert listed(alice, Message, q="boiler", session__id__exact=chosen) == [
            greenhouse[name].pk
        ]


def test_a_session_is_found_by_what_was_said_in_it(alice, greenhouse):
    assert listed(alice, Session, q="hum first") == [
        greenhouse["session"].pk, greenhouse["other"].pk,
    ]  # fmt: skip
    assert listed(alice, Session, q="day boilers")[0] == greenhouse["other"].pk


def test_names_are_found_by_a_part_of_them(alice, greenhouse):
    contact = [greenhouse["contact"].pk]
    for part in ("lovel", "example", "ada@"):
        assert listed(alice, Contact, q=part) == contact
    assert listed(alice, Task, q="epai") == [greenhouse["task"].pk]
    assert listed(alice, Session, q="Nig") == [greenhouse["session"].pk]
    assert listed(alice, Project, q="ella") == [greenhouse["project"].pk]


def test_a_list_finds_memories_that_a_search_leaves_out(alice, workspace):
    """Expired, archived and superseded ones are in the list, so its box finds them."""
    with workspace_scope(workspace.id):
        memory = make_memory("The boiler of old.", state="archived")
        Memory.objects.filter(pk=memory.pk).update(expires_at="2001-01-01T00:00Z")
    assert listed(alice, Memory, q="boiler") == [memory.pk]


@pytest.mark.parametrize("term", ["the", '"', "-boiler", '"no such phrase"', "\x00", "!!!",
                                  "deadbeef", "'; drop", "x" * 9000])  # fmt: skip
def test_a_strange_term_is_no_error(alice, greenhouse, term):
    for model in (Message, Memory, Contact):
        assert alice.get(url(model, "changelist"), {"q": term}).status_code < 500


def test_another_workspaces_rows_are_in_no_list(charlie, greenhouse):
    for model, name in ((Message, "first"), (Memory, "memory"), (Contact, "contact")):
        assert listed(charlie, model, q="boiler") == []
        assert listed(charlie, model, q=str(greenhouse[name].pk)) == []


def test_autocomplete_finds_by_words_and_by_a_part_of_the_name(alice, greenhouse):
    field = {"app_label": "agent_sessions", "model_name": "task", "field_name": "project"}
    for term in ("boiler", "ella", greenhouse["project"].short_id):
        found = alice.get(reverse("admin:autocomplete"), field | {"term": term}).json()["results"]
        assert [one["text"] for one in found] == ["Cellar"], term


# --- Asking again -------------------------------------------------------------------------------


def made(client, workspace, **asked):
    client.get(reverse("admin:search"), asked)
    with workspace_scope(workspace.id):
        return Receipt.objects.order_by("-created_at").first()


def test_asking_again_says_that_nothing_moved(alice, workspace):
    with workspace_scope(workspace.id):
        make_memory("The boiler hums.")
    receipt = made(alice, workspace, q="boiler")
    again = url(Receipt, "again", receipt.pk)
    assert again in alice.get(url(Receipt, "change", receipt.pk)).content.decode()
    page = alice.get(again).content.decode()
    assert "the same as then" in page
    assert "The <mark>boiler</mark> hums." in page
    with workspace_scope(workspace.id):
        assert Receipt.objects.count() == 1


def test_asking_again_shows_what_came_went_and_moved(alice, workspace):
    with workspace_scope(workspace.id):
        short = make_memory("boiler boiler")
        gone = make_memory("The boiler that goes away.")
        make_memory("The boiler of the house by the river hums in the night.")
    receipt = made(alice, workspace, q="boiler", mode="lexical")
    with workspace_scope(workspace.id):
        delete_memory(actor=ALICE, memory_id=gone.pk)
        make_memory("boiler")
        Memory.objects.get(pk=short.pk)
    address = url(Receipt, "again", receipt.pk)
    page = alice.get(address).content.decode()
    assert "1 new" in page
    assert "1 not found now" in page
    assert ">deleted<" in page
    assert "that goes away" not in page
    assert len(queries_of(alice, address)) <= 2 * MAX_QUERIES


def test_what_cannot_be_asked_again_says_why(alice, workspace):
    with workspace_scope(workspace.id):
        project = create_project(actor=ALICE, title="Cellar")
        make_memory("The boiler hums.", project_id=project.id)
    receipt = made(alice, workspace, q="boiler", project="Cellar")
    with workspace_scope(workspace.id):
        Project.objects.filter(pk=project.pk).update(title="Attic")
    page = alice.get(url(Receipt, "again", receipt.pk)).content.decode()
    assert "It cannot be asked again" in page
    assert "No project Cellar" in page


def test_asking_again_is_for_ones_own_workspace_and_obeys_nothing(alice, charlie, workspace):
    with workspace_scope(workspace.id):
        make_memory(f"boiler {ALL}")
        make_session(name=f"boiler {NAME}"[:200])
    receipt = made(alice, workspace, q="boiler alert")
    page = alice.get(url(Receipt, "again", receipt.pk)).content.decode()
    assert "alert(1)" in page
    assert obeyed(page) == []
    assert charlie.get(url(Receipt, "again", receipt.pk)).status_code == 404


def test_a_receipt_leads_back_to_the_search_page(alice, workspace):
    receipt = made(alice, workspace, q="boiler", kinds="memory", mode="lexical")
    page = unescape(alice.get(url(Receipt, "change", receipt.pk)).content.decode())
    assert f"{reverse('admin:search')}?q=boiler&mode=lexical&kinds=memory" in page


def test_home_has_the_box_and_the_sidebar_the_page(alice, workspace):
    page = alice.get("/admin/").content.decode()
    assert 'action="/admin/search/"' in page
    assert 'href="/admin/search/"' in page
