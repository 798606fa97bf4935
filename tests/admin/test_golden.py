"""A person pins a search, runs the golden queries, and reads what changed."""

from procrastinate.contrib.django.models import ProcrastinateJob

from config.lib.scope import workspace_scope
from memory.models import GoldenQuery, Memory, Receipt
from memory.search.funnel import search
from memory.search.schemas import SearchQuery
from memory.services.golden import CHECK_TASK, check_golden, create_golden
from memory.services.receipts import give_feedback, keep
from tests.admin.pages import form_of, url
from tests.factories import ALICE, make_memory


def searched(workspace, q="boiler"):
    with workspace_scope(workspace.id):
        memory = make_memory("The boiler hums.")
        query = SearchQuery(q=q, mode="lexical")
        kept = keep(query=query, answer=search(query=query), took_ms=1.0, actor=ALICE)
        return memory, Receipt.objects.get(pk=kept)


def test_a_searchs_page_links_its_hits_and_shows_no_text_of_them(alice, workspace):
    memory, receipt = searched(workspace)
    with workspace_scope(workspace.id):
        give_feedback(
            actor=ALICE, receipt=str(receipt.pk), hit_id=str(memory.pk), verdict="outdated"
        )
    page = alice.get(url(Receipt, "change", receipt.pk)).content.decode()
    assert url(Memory, "read", memory.pk) in page
    assert "outdated" in page
    assert "hums" not in page


def test_searches_are_called_so_everywhere(alice, workspace):
    _, receipt = searched(workspace)
    for page in (url(Receipt, "changelist"), url(Receipt, "change", receipt.pk)):
        text = alice.get(page).content.decode()
        assert "Searches" in text
        assert "eceipt<" not in text
        assert "eceipts<" not in text
        assert "Receipts" not in text


def test_a_search_is_pinned_by_a_button(alice, workspace):
    memory, receipt = searched(workspace)
    do = url(Receipt, "do", receipt.pk, "pin")
    assert do in alice.get(url(Receipt, "change", receipt.pk)).content.decode()
    answer = alice.post(do)
    assert answer.status_code == 302
    with workspace_scope(workspace.id):
        golden = GoldenQuery.objects.get()
        assert (golden.name, golden.expected) == ("boiler", [str(memory.pk)])


def test_a_search_without_hits_has_nothing_to_pin(alice, workspace):
    _, receipt = searched(workspace, q="zeppelin")
    do = url(Receipt, "do", receipt.pk, "pin")
    assert do not in alice.get(url(Receipt, "change", receipt.pk)).content.decode()


def test_run_now_has_them_asked_and_the_page_shows_what_was_lost(
    alice, workspace, django_capture_on_commit_callbacks
):
    memory, _ = searched(workspace)
    with workspace_scope(workspace.id):
        golden = create_golden(
            actor=ALICE, name="b", request={"q": "boiler"}, expected=[memory.pk], within=1
        )
    with django_capture_on_commit_callbacks(execute=True):
        alice.post(url(GoldenQuery, "do", golden.pk, "run"))
    assert ProcrastinateJob.objects.filter(task_name=CHECK_TASK, status="todo").count() == 1
    check_golden(workspace.id, reason="by hand")
    with workspace_scope(workspace.id):
        make_memory("boiler")
    check_golden(workspace.id, reason="by hand")
    page = alice.get(url(GoldenQuery, "change", golden.pk)).content.decode()
    assert "1 lost" in page
    assert "100%" in page


def test_one_is_added_and_changed_by_its_form(alice, workspace):
    memory, _ = searched(workspace)
    form = {
        "name": "Boiler", "request": '{"q": "boiler"}', "expected": str(memory.pk), "within": "3",
        "enabled": "on",
    }  # fmt: skip
    refused = alice.post(url(GoldenQuery, "add"), {**form, "expected": "no id"})
    assert "must be the full id of a row" in refused.content.decode()
    assert alice.post(url(GoldenQuery, "add"), form).status_code == 302
    with workspace_scope(workspace.id):
        golden = GoldenQuery.objects.get()
    page = url(GoldenQuery, "change", golden.pk)
    assert alice.post(page, {**form_of(alice, page), "within": "5"}).status_code == 302
    refused = alice.post(page, {**form_of(alice, page), "request": '{"q": ""}'})
    assert "say what you look for" in refused.content.decode()
    with workspace_scope(workspace.id):
        golden.refresh_from_db()
        assert (golden.within, golden.version) == (5, 2)
