"""Every page of every model answers, shows its rows, and costs a bounded number of queries."""

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.urls import reverse

from config.lib.scope import workspace_scope
from contacts.admin import listing
from contacts.models import Workspace
from memory.models import ConsolidationRun, Memory, ModelUse
from sessions.models import Session, Thread
from sessions.services.threads import NewMessage, append_messages
from tests.admin.pages import (
    MAX_QUERIES,
    READ_ONLY,
    WORKSPACE_MODELS,
    queries_of,
    registered,
    url,
)
from tests.factories import ALICE, make_memory, make_session


def test_the_admin_shows_what_it_should_and_nothing_else():
    assert registered() == set(WORKSPACE_MODELS)


@pytest.mark.parametrize("model", WORKSPACE_MODELS, ids=lambda m: m._meta.model_name)
def test_a_list_and_its_rows_page_answer_within_the_bound(alice, rows, model):
    row = rows[model]
    for page, args in (("changelist", ()), ("change", (row.pk,)), ("history", (row.pk,))):
        statements = queries_of(alice, url(model, page, *args))
        assert len(statements) <= MAX_QUERIES, (page, len(statements), statements)


@pytest.mark.parametrize("model", WORKSPACE_MODELS, ids=lambda m: m._meta.model_name)
def test_a_list_reads_no_bodies_and_no_vectors(alice, rows, model):
    statements = queries_of(alice, url(model, "changelist"))
    for column in ('"blocks"', '"embedding"', '"tsv"', '"lexical"', '"raw"', '"digest"'):
        selected = [s.split(" FROM ")[0] for s in statements]
        assert not [s for s in selected if f".{column}" in s and "LEFT(" not in s.upper()], column


def test_more_rows_cost_no_more_queries(alice, workspace, rows):
    pages = [url(Session, "changelist"), reverse("admin:index")]
    alice.get(pages[0])  # the first visit also remembers the workspace
    few = [len(queries_of(alice, page)) for page in pages]
    with workspace_scope(workspace.id):
        for n in range(12):
            make_session(name=f"Session {n}")
    assert [len(queries_of(alice, page)) for page in pages] == few


@pytest.mark.parametrize("page", ["conversation", "events", "memories", "raw"])
def test_a_sessions_reading_pages_answer_within_the_bound(alice, rows, page):
    session = rows[Session]
    statements = queries_of(alice, url(Session, page, session.pk))
    assert len(statements) <= MAX_QUERIES, statements


def test_a_list_never_counts_past_its_limit(alice, workspace, monkeypatch):
    monkeypatch.setattr(listing.bounded_count, "__defaults__", (5,))
    with workspace_scope(workspace.id):
        for n in range(8):
            make_memory(f"Memory {n}")
    page = alice.get("/admin/memory/memory/").content.decode()
    assert "5+ memories" in page
    counts = [s for s in queries_of(alice, "/admin/memory/memory/") if "COUNT(" in s.upper()]
    # The sidebar's own count has a limit of its own.
    of_the_list = [s for s in counts if "UNION" not in s]
    assert of_the_list
    assert all("LIMIT 6" in s for s in of_the_list)
    assert all("LIMIT 100" in s for s in counts if "UNION" in s)


def test_lists_are_searched_and_filtered(alice, workspace, rows):
    with workspace_scope(workspace.id):
        make_session(name="Repot the fern")
    found = alice.get(url(Session, "changelist"), {"q": "fern"}).content.decode()
    assert "Repot the fern" in found
    assert "Water the seedlings" not in found
    ended = alice.get(url(Session, "changelist"), {"current_state__exact": "ended"})
    assert "Water the seedlings" not in ended.content.decode()


def test_an_empty_list_says_where_rows_come_from_and_a_filtered_one_that_nothing_passes(alice):
    empty = alice.get(url(ConsolidationRun, "changelist")).content.decode()
    assert "No consolidations yet" in empty
    assert "the episodes of closed sessions" in empty
    assert "Reset filters" not in empty
    for narrowed in ({"q": "fern"}, {"state__exact": "stopped"}):
        filtered = alice.get(url(Memory, "changelist"), narrowed).content.decode()
        assert "No memories found" in filtered
        assert "Reset filters" in filtered
    for model in WORKSPACE_MODELS:
        assert admin.site.get_model_admin(model).when_empty or model is Workspace, model


@pytest.mark.parametrize("query", ["q=%00", "current_state__exact=%00", "e=%ff", "p=99999",
                                   "agent__id__exact=nonsense", "started_at_from=yesterday",
                                   "nonsense=1", "o=99"])  # fmt: skip
def test_a_wrong_filter_is_no_server_error(alice, rows, query):
    assert alice.get(f"{url(Session, 'changelist')}?{query}").status_code < 500


@pytest.mark.parametrize("model", READ_ONLY, ids=lambda m: m._meta.model_name)
def test_append_only_rows_are_to_look_at(alice, rows, model):
    row = rows[model]
    assert alice.get(url(model, "add")).status_code == 403
    assert alice.get(url(model, "delete", row.pk)).status_code == 403
    assert alice.post(url(model, "change", row.pk), {}).status_code == 403


def test_what_the_model_took_is_told_with_its_share_of_the_budget(alice, rows, settings):
    for budget, share in ((200_000, True), (0, False)):
        settings.EXTRACT_TOKENS = budget
        page = alice.get(url(ModelUse, "changelist")).content.decode()
        assert "50,000" in page
        assert ("25%<" in page) is share


def test_home_leads_from_each_number_to_its_rows(alice, workspace, rows):
    with workspace_scope(workspace.id):
        make_memory("Perhaps the moon waters them.", state="quarantined")
    response = alice.get(reverse("admin:index"))
    page = response.content.decode()
    assert "Water the seedlings" in page
    assert "Perhaps the moon waters them." in page
    for number in response.context["numbers"]:
        assert alice.get(number.url).status_code == 200
    review = next(n for n in response.context["numbers"] if n.label == "To review")
    assert review.value == 1
    assert "Perhaps the moon" in alice.get(review.url).content.decode()
    assert "The pump starts" not in alice.get(review.url).content.decode()


def test_an_empty_workspace_says_what_to_do(alice):
    page = alice.get(reverse("admin:index")).content.decode()
    assert "Begin here" in page
    assert "Nothing needs you" in page


def test_an_unknown_page_and_a_wrong_id_are_not_found(alice, rows):
    assert alice.get("/admin/nothing/here/").status_code == 404
    assert alice.get("/admin/memory/memory/not-an-id/change/").status_code == 302
    assert alice.get("/admin/memory/memory/%00/change/").status_code == 302


def test_looking_around_writes_no_log(alice, rows):
    for model in WORKSPACE_MODELS:
        alice.get(url(model, "change", rows[model].pk))
    assert LogEntry.objects.count() == 0


def test_a_long_conversation_comes_in_pages(alice, workspace, rows):
    with workspace_scope(workspace.id):
        said = [NewMessage(role="user", content=f"Line {n}.") for n in range(250)]
        append_messages(actor=ALICE, thread_id=rows[Thread].id, messages=said)
    address = url(Session, "conversation", rows[Session].pk)
    first = alice.get(address).content.decode()
    assert 'id="m-99"' in first
    assert 'id="m-100"' not in first
    assert "from=100" in first
    part = alice.get(address, {"from": "100", "part": "1"}).content.decode()
    assert "<html" not in part
    assert 'id="m-100"' in part
    assert 'id="m-199"' in part
    middle = alice.get(address, {"at": "240"}).content.decode()
    assert 'id="m-240"' in middle
    assert "Earlier messages" in middle


def test_a_page_has_the_scripts_of_its_own_widgets_only(alice, rows):
    """Unfold keeps the last list's request on the class, and its scripts with it."""
    session = rows[Session]
    assert "calendar.js" in alice.get(url(Session, "changelist")).content.decode()
    assert "calendar.js" not in alice.get(url(Session, "delete", session.pk)).content.decode()
