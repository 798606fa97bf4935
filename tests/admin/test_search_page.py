"""The search page as a person uses it: asking, filtering, reading why, judging, pinning."""

import re
from datetime import UTC, datetime, timedelta
from html import unescape

import pytest
from django.urls import reverse

from config.lib import clock
from config.lib.scope import in_scope, workspace_scope
from memory.models import GoldenQuery, Memory, Receipt, SearchFeedback
from memory.search import corpus, speakers, vectors
from memory.search.schemas import SearchQuery
from sessions.models import Session, SessionEvent, Task
from sessions.services.events import NewEvent, append_events
from sessions.services.projects import create_project
from sessions.services.tasks import create_task
from sessions.services.threads import NewMessage, append_messages
from tests.admin.conftest import person, signed_in
from tests.admin.pages import MAX_QUERIES, queries_of, url
from tests.admin.test_hostile_text import ALL, CORPUS, NAME, obeyed
from tests.factories import ALICE, make_agent, make_memory, make_session, make_thread
from tests.search.asking import embed_all
from tests.search.conftest import HashEmbedder, put_in_place

PAGE = "/admin/search/"


@pytest.fixture(autouse=True)
def _nothing_kept():
    """What processes keep between searches must not reach from one test into the next."""
    yield
    for kept in (vectors, corpus, speakers):
        kept.forget()


@pytest.fixture
def embedder(monkeypatch) -> HashEmbedder:
    return put_in_place(monkeypatch)


def shown(client, **asked):
    response = client.get(PAGE, asked)
    assert response.status_code == 200
    return response.content.decode()


def titles(page):
    """The hits' texts, without their marks, in order."""
    texts = re.findall(r'<p class="rm-hit-text">(.*?)</p>', page, re.DOTALL)
    return [unescape(re.sub("</?mark>", "", text)) for text in texts]


@pytest.fixture
def greenhouse(workspace):
    """A little of every kind."""
    with workspace_scope(workspace.id):
        agent = make_agent("gardener")
        project = create_project(actor=ALICE, title="Boiler house", description="Warm pipes.")
        session = make_session(agent=agent, name="Mend the boiler", project=project.id,
                               conversation_id="c-7")  # fmt: skip
        thread = make_thread(session, name="main")
        said = ["Is the valve open?", "The boiler hums at night.", "I will look at noon."]
        rows, _ = append_messages(
            actor=ALICE, thread_id=thread.id,
            messages=[NewMessage(role="user", content=text) for text in said],
        )  # fmt: skip
        (event,), _ = append_events(
            actor=ALICE, session_id=session.id,
            events=[NewEvent(event_type="tool_error", text="boiler.log: no such file")],
        )  # fmt: skip
        memory = make_memory("The boiler is drained in May.", kind="decision", tags=["heat"],
                             session_id=session.id, project_id=project.id)  # fmt: skip
        old = make_memory("The old boiler leaks.", state="archived")
        task, _ = create_task(actor=ALICE, title="Buy a boiler", project_id=project.id)
    return {"session": session, "message": rows[1], "event": event, "memory": memory, "old": old,
            "task": task, "project": project, "thread": thread, "agent": agent}  # fmt: skip


def test_every_kind_is_found_with_its_words_marked_and_leads_to_its_very_place(alice, greenhouse):
    page = shown(alice, q="boiler", mode="lexical")
    assert "The <mark>boiler</mark> hums at night." in page
    thread, event = greenhouse["thread"], greenhouse["event"]
    for place in (
        f"{reverse('admin:agent_sessions_thread_conversation', args=[thread.pk])}?at=1#m-1",
        f"{url(Session, 'events', greenhouse['session'].pk)}?after={event.seq - 1}#e-{event.seq}",
        url(Memory, "read", greenhouse["memory"].pk),
        url(Task, "change", greenhouse["task"].pk),
        url(Session, "conversation", greenhouse["session"].pk),
    ):
        assert place in page
    for word in ("gardener", "Boiler house", "Mend the boiler", "tool_error", "Buy a boiler"):
        assert word in page


def test_the_links_of_hits_open(alice, greenhouse):
    page = shown(alice, q="boiler", mode="lexical")
    links = re.findall(r'<h2><a href="([^"]+)">', page)
    assert len(links) == len(titles(page)) >= 6
    for link in links:
        assert alice.get(unescape(link)).status_code == 200


@pytest.mark.parametrize(
    ("asked", "found", "missing"),
    [
        ({"kinds": ["memory"]}, "drained in May", "hums at night"),
        ({"kinds": ["message", "event"]}, "hums at night", "drained in May"),
        ({"memory_kinds": ["decision"]}, "drained in May", "hums at night"),
        ({"agent": "gardener", "kinds": ["message"]}, "hums at night", "drained in May"),
        ({"project": "Boiler house", "kinds": ["memory"]}, "drained in May", "leaks"),
        ({"conversation": "c-7", "kinds": ["message"]}, "hums at night", "leaks"),
        ({"tags": "heat"}, "drained in May", "hums at night"),
        ({"states": ["archived"]}, "leaks", "drained in May"),
        ({"from": "2001-01-01", "kinds": ["memory"]}, "drained in May", "leaks"),
    ],
)
def test_each_filter_narrows(alice, greenhouse, asked, found, missing):
    page = shown(alice, q="boiler", mode="lexical", **asked)
    assert any(found in text for text in titles(page))
    assert not any(missing in text for text in titles(page))
    assert "Narrowed to" in page


def test_a_session_by_its_id_and_a_time_that_is_over(alice, greenhouse):
    session = greenhouse["session"]
    assert len(titles(shown(alice, q="hums", session=session.short_id))) >= 1
    page = shown(alice, q="hums", to="2001-01-01")
    assert titles(page) == []
    assert "Nothing found" in page
    assert "Search without the filters" in page


def test_as_of_a_day_answers_what_was_known_then(alice, workspace):
    with workspace_scope(workspace.id):
        Memory.objects.filter(
            pk=make_memory("The boiler was red.").pk
        )  # recorded now, so not known last year
        make_memory("The boiler was blue.", recorded_at=clock.now() - timedelta(days=400))
    day = f"{clock.now() - timedelta(days=300):%Y-%m-%d}"
    assert titles(shown(alice, q="boiler", as_of=day)) == ["The boiler was blue."]
    today = f"{clock.now():%Y-%m-%d}"
    assert len(titles(shown(alice, q="boiler", as_of=today))) == 2


def test_a_day_is_one_of_the_workspaces_and_both_ends_count(alice, workspace):
    with workspace_scope(workspace.id):
        workspace.settings = {"timezone": "Pacific/Auckland"}
        workspace.save()
        # The second of March there, the first of March in London.
        make_memory("The boiler came.", recorded_at=datetime(2024, 3, 1, 13, tzinfo=UTC))
    assert titles(shown(alice, q="boiler", **{"from": "2024-03-02", "to": "2024-03-02"}))
    assert not titles(shown(alice, q="boiler", to="2024-03-01"))
    assert not titles(shown(alice, q="boiler", **{"from": "2024-03-03"}))


@pytest.mark.parametrize(
    ("asked", "wrong"),
    [
        ({"q": "boiler", "agent": "nobody"}, "No agent nobody in this workspace"),
        ({"q": "boiler", "from": "yesterday"}, "must be a day or a time"),
        ({"q": "boiler", "from": "2024-02-02", "to": "2024-01-01"}, "does not lie after"),
        ({"q": "boiler", "mode": "magic"}, "input should be"),
        ({"q": "boiler", "kinds": "dream"}, "input should be"),
        ({"q": "boiler", "as_of": "2999-01-01"}, "lies in the future"),
        ({"q": "boiler", "limit": "many"}, "valid integer"),
        ({"q": "boiler", "metadata": "{"}, "must be JSON"),
        ({"q": "boiler", "metadata": '{"a": {"like": 1}}'}, "like"),
        ({"q": "boiler", "session": "!"}, "string should match"),
        ({"q": "x" * 9000}, "at most 8,192"),
        ({"q": "boiler", "from": "9999-12-31T23:00-12:00"}, "must be a day or a time"),
        ({"q": "boiler", "clour": "red"}, "is nothing a search knows"),
    ],
)
def test_a_wrong_filter_is_said_and_nothing_is_searched(alice, workspace, asked, wrong):
    page = unescape(shown(alice, **asked))
    assert "Nothing was searched" in page
    assert wrong in page
    with workspace_scope(workspace.id):
        assert not Receipt.objects.exists()


def test_without_a_question_the_page_says_how_to_ask_and_what_one_asked_before(
    alice, otto, greenhouse
):
    assert "How to ask" in shown(alice)
    shown(alice, q="boiler", kinds="memory")
    shown(otto, q="valve")
    page = shown(alice)
    assert "q=boiler&amp;kinds=memory" in page
    assert "valve" not in page


def test_filters_alone_give_the_newest_rows_and_so_does_a_word_that_says_nothing(alice, greenhouse):
    page = shown(alice, kinds="memory")
    assert titles(page) == ["The boiler is drained in May."]
    assert "the newest rows" in page
    page = shown(alice, q="the of", kinds="memory", mode="lexical")
    assert "has no word to look for" in page


def test_what_has_no_vector_yet_and_which_legs_ran_is_said(alice, workspace, greenhouse, embedder):
    page = shown(alice, q="boiler")
    assert "By words alone: nothing is embedded yet" in page
    assert "have no vector yet" in page
    embed_all(workspace)
    page = shown(alice, q="boiler at night")
    assert "by words and by meaning" in page
    assert "By words alone" not in page
    assert "have no vector yet" not in page


def test_why_shows_each_legs_rank_and_the_parts_of_the_score(
    alice, workspace, greenhouse, embedder
):
    embed_all(workspace)
    page = shown(alice, q="boiler hums")
    for words in ("By words", "By meaning", "BM25", "cosine", "What the ranking added",
                  "Words of the query", "#1"):  # fmt: skip
        assert words in page
    assert "One leg alone decided" in shown(alice, q="boiler hums", mode="lexical")


def test_every_part_of_the_ranking_has_its_words():
    from memory.admin.why import LABELS
    from memory.search.ranking import WEIGHTS

    assert LABELS.keys() == WEIGHTS.keys()


def test_what_was_said_before_and_after_is_folded_beside_a_message(alice, greenhouse):
    page = shown(alice, q="hums", mode="lexical")
    assert "Is the valve open?" in page
    assert "I will look at noon." in page


def test_a_time_in_the_words_is_said_and_can_be_read_otherwise(alice, workspace):
    with workspace_scope(workspace.id):
        make_memory("The boiler is new.", recorded_at=clock.now() - timedelta(days=1))
        make_memory("The boiler is old.", recorded_at=clock.now() - timedelta(days=90))
    page = shown(alice, q="boiler yesterday")
    assert "“yesterday” is read as" in page
    assert "dates=filter" in page
    assert titles(shown(alice, q="boiler yesterday", dates="filter")) == ["The boiler is new."]
    assert "is read as" not in shown(alice, q="boiler yesterday", dates="ignore")


def test_more_hits_are_a_link_away(alice, workspace):
    with workspace_scope(workspace.id):
        for n in range(12):
            make_memory(f"The boiler number {n} differs: {'abcdefghijkl'[n] * 9}.")
    page = shown(alice, q="boiler")
    assert len(titles(page)) == 10
    assert "q=boiler&amp;limit=25" in page
    assert len(titles(shown(alice, q="boiler", limit="25"))) == 12


def test_the_query_is_embedded_outside_any_transaction(alice, workspace, embedder):
    seen = []
    embedder.before = lambda batch: seen.append(in_scope())
    shown(alice, q="valve")
    alice.get(reverse("admin:palette"), {"s": "another valve"})
    assert seen == [False, False]


def test_a_page_costs_a_bounded_number_of_queries_beside_its_search(
    alice, workspace, greenhouse, embedder
):
    embed_all(workspace)
    asked = f"{PAGE}?q=boiler"
    alice.get(asked)
    statements = queries_of(alice, asked)
    of_search = [s for s in statements if re.search(r"search_|memory_receipt\b.*VALUES", s)]
    assert len(statements) - len(of_search) <= MAX_QUERIES, statements
    assert len(queries_of(alice, PAGE)) <= MAX_QUERIES


# --- Receipts, verdicts, golden queries -------------------------------------------------------


def kept(workspace):
    with workspace_scope(workspace.id):
        return list(Receipt.objects.order_by("-created_at"))


def test_a_search_is_kept_as_its_person_asked_it(alice, workspace, greenhouse):
    page = shown(alice, q="boiler", kinds="memory")
    (receipt,) = kept(workspace)
    assert (receipt.q, receipt.asker, receipt.hit_count) == ("boiler", "alice", 1)
    assert url(Receipt, "change", receipt.pk) in page


def test_looking_again_goes_on_with_the_same_search_and_shows_what_one_said(
    alice, otto, workspace, greenhouse
):
    shown(alice, q="boiler", kinds="memory")
    (receipt,) = kept(workspace)
    again = {"q": "boiler", "kinds": "memory", "receipt": str(receipt.pk)}
    sent = {"search": str(receipt.pk), "hit": str(greenhouse["memory"].pk), "kind": "memory",
            "verdict": "outdated", "note": "Replaced.", "next": f"{PAGE}?q=boiler"}  # fmt: skip
    answer = alice.post(reverse("admin:search_feedback"), sent)
    assert (answer.status_code, answer["Location"]) == (302, f"{PAGE}?q=boiler")
    page = shown(alice, **again)
    assert re.search(r'value="outdated" aria-pressed="true"', page)
    assert 'name="note" maxlength="2000" value="Replaced."' in page
    assert len(kept(workspace)) == 1
    # Another question, or another person, makes a search of its own.
    shown(alice, **{**again, "q": "boilers"})
    assert 'aria-pressed="true"' not in shown(otto, **again)
    assert [one.asker for one in kept(workspace)] == ["otto", "alice", "alice"]


def test_a_hit_that_came_later_is_not_judged_in_the_old_search(alice, workspace, greenhouse):
    shown(alice, q="boiler", kinds="memory")
    (receipt,) = kept(workspace)
    with workspace_scope(workspace.id):
        make_memory("A boiler from tomorrow.")
    page = shown(alice, q="boiler", kinds="memory", receipt=str(receipt.pk))
    assert "New since this search was made" in page
    assert page.count("data-note") == 1


def test_a_verdict_by_script_is_answered_with_it(alice, workspace, greenhouse):
    shown(alice, q="boiler", kinds="memory")
    (receipt,) = kept(workspace)
    sent = {"search": str(receipt.pk), "hit": str(greenhouse["memory"].pk), "verdict": "useful"}
    where = reverse("admin:search_feedback")
    answer = alice.post(where, sent, headers={"accept": "application/json"})
    assert answer.json() == {"verdict": "useful"}
    alice.post(where, {**sent, "verdict": "wrong"}, headers={"accept": "application/json"})
    with workspace_scope(workspace.id):
        (said,) = SearchFeedback.objects.all()
    assert (said.verdict, said.asker_label) == ("wrong", "alice")
    for wrong in ({"verdict": "great"}, {"hit": str(greenhouse["old"].pk)}, {"search": "x"}):
        answer = alice.post(where, {**sent, **wrong}, headers={"accept": "application/json"})
        assert answer.status_code == 422, wrong
        assert answer.json()["detail"]
    assert alice.get(where).status_code == 405


def test_a_verdict_leads_nowhere_else(alice, workspace, greenhouse):
    shown(alice, q="boiler", kinds="memory")
    (receipt,) = kept(workspace)
    sent = {"search": str(receipt.pk), "hit": str(greenhouse["memory"].pk), "verdict": "useful",
            "next": "https://evil.example/"}  # fmt: skip
    assert alice.post(reverse("admin:search_feedback"), sent)["Location"] == PAGE


def test_a_search_is_pinned_from_its_page(otto, vera, workspace, greenhouse):
    page = shown(otto, q="boiler", kinds="memory")
    (receipt,) = kept(workspace)
    pin = url(Receipt, "do", receipt.pk, "pin")
    assert pin in page
    back = f"{PAGE}?q=boiler"
    assert otto.post(pin, {"next": back})["Location"] == back
    with workspace_scope(workspace.id):
        assert GoldenQuery.objects.get().expected == [str(greenhouse["memory"].pk)]
    assert "Pin as golden" not in shown(vera, q="boiler", kinds="memory")
    assert "Pin as golden" not in shown(otto, q="zeppelin")


def test_a_viewer_searches_and_judges_and_a_stranger_does_neither(
    vera, client, workspace, greenhouse
):
    shown(vera, q="boiler", kinds="memory")
    (receipt,) = kept(workspace)
    sent = {"search": str(receipt.pk), "hit": str(greenhouse["memory"].pk), "verdict": "useful"}
    assert vera.post(reverse("admin:search_feedback"), sent).status_code == 302
    with workspace_scope(workspace.id):
        assert SearchFeedback.objects.get().asker_label == "vera"
    assert client.get(PAGE, {"q": "boiler"})["Location"].startswith("/admin/login/")
    assert client.post(reverse("admin:search_feedback"), sent)["Location"].startswith(
        "/admin/login/"
    )


def test_without_receipts_there_is_nothing_to_judge(alice, workspace, greenhouse, settings):
    settings.RECEIPT_DAYS = 0
    page = shown(alice, q="boiler", kinds="memory")
    assert "Searches are not kept here" in page
    assert "data-feedback" not in page
    assert kept(workspace) == []


# --- What must never be ------------------------------------------------------------------------


def test_nothing_of_another_workspace_shows(charlie, workspace, greenhouse):
    page = shown(charlie, q="boiler")
    assert titles(page) == []
    assert "Boiler house" not in page
    assert "gardener" not in page
    for name, value in (
        ("agent", "gardener"),
        ("project", str(greenhouse["project"].pk)),
        ("session", str(greenhouse["session"].pk)),
    ):
        assert "Nothing was searched" in shown(charlie, q="boiler", **{name: value})
    with workspace_scope(workspace.id):
        make_memory("Secret boiler.")
    assert "Secret" not in charlie.get(reverse("admin:palette"), {"s": "boiler"}).content.decode()


def test_a_search_of_another_workspace_is_not_gone_on_with(workspace, other_workspace, greenhouse):
    dora = person("dora", (workspace, "owner"))
    shown(signed_in(dora), q="boiler")
    (receipt,) = kept(workspace)
    charlie = signed_in(person("charlie", (other_workspace, "owner")))
    shown(charlie, q="boiler", receipt=str(receipt.pk))
    assert len(kept(other_workspace)) == 1
    sent = {"search": str(receipt.pk), "hit": str(greenhouse["memory"].pk), "verdict": "useful"}
    charlie.post(reverse("admin:search_feedback"), sent)
    with workspace_scope(workspace.id):
        assert not SearchFeedback.objects.exists()


@pytest.mark.parametrize("text", [*CORPUS, ALL])
def test_no_hit_and_no_question_is_obeyed(alice, workspace, text):
    with workspace_scope(workspace.id):
        agent = make_agent(NAME[:120])
        session = make_session(agent=agent, name=NAME, prompt=text)
        thread = make_thread(session, name=NAME)
        append_messages(
            actor=ALICE,
            thread_id=thread.id,
            messages=[NewMessage(role="user", content=f"alert boiler {text}")] * 2,
        )
        make_memory(f"boiler {text}", tags=[text[:80]], session_id=session.id)
        create_task(actor=ALICE, title=NAME[:200], description=f"boiler {text}")
        append_events(
            actor=ALICE,
            session_id=session.id,
            events=[NewEvent(event_type=text[:40] or "x", text=f"boiler {text}")],
        )
    for asked in ({"q": "boiler alert script"}, {"q": text[:4000], "tags": text[:90]},
                  {"q": "boiler", "agent": text[:200], "from": text[:50]}):  # fmt: skip
        page = alice.get(PAGE, asked).content.decode()
        assert obeyed(page) == [], asked
    assert titles(shown(alice, q="boiler alert script"))
    page = alice.get(reverse("admin:palette"), {"s": "boiler alert"}).content.decode()
    assert obeyed(page) == []
    page = alice.get(reverse("admin:palette"), {"s": text[:150]}).content.decode()
    assert obeyed(page) == []


def test_the_address_of_a_kept_search_asks_the_same(alice, workspace, greenhouse):
    asked = {"q": "boiler hums", "mode": "lexical", "kinds": ["memory", "message"],
             "metadata": '{"a": 1}', "from": "2020-01-01"}  # fmt: skip
    shown(alice, **asked)
    (first,) = kept(workspace)
    address = re.search(r'<a class="rm-row" href="\?([^"]+)"', shown(alice)).group(1)
    alice.get(f"{PAGE}?{unescape(address)}")
    second = kept(workspace)[0]
    assert second.pk != first.pk
    assert SearchQuery.model_validate(second.request) == SearchQuery.model_validate(first.request)


def test_an_event_of_a_long_session_is_shown_at_its_place(alice, workspace, greenhouse):
    with workspace_scope(workspace.id):
        session = greenhouse["session"]
        events = [NewEvent(event_type="tool_use", text=f"step {n}") for n in range(150)]
        events.append(NewEvent(event_type="tool_use", text="the zeppelin lands"))
        append_events(actor=ALICE, session_id=session.id, events=events)
        seq = SessionEvent.objects.get(text="the zeppelin lands").seq
    link = re.search(r'<h2><a href="([^"]+)">', shown(alice, q="zeppelin", kinds="event")).group(1)
    page = alice.get(unescape(link)).content.decode()
    assert f'id="e-{seq}"' in page
