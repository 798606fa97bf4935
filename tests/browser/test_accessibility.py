"""axe-core finds no serious fault on any kind of page, by day and by night.

One sign-in, each page loaded once: all rules in light, then the colours alone in dark.
"""

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.urls import reverse
from playwright.sync_api import Page

from config.lib.scope import workspace_scope
from contacts.models import BulkRun, Contact, Membership, Revision
from contacts.services.addresses import Labelled
from contacts.services.contacts import create_contact
from memory.models import ImportRun, Memory
from sessions.models import Priority, ScheduledMission, Session, StagedContent, Task, Worker
from tests import factories
from tests.admin.conftest import person
from tests.admin.pages import fill, url
from tests.browser.conftest import Visit, open_palette, sign_in
from tests.browser.test_second_factor import code_of, give_password, leave
from tests.factories import ALICE

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

PASSWORD = "a long password"
GRAVE = ("serious", "critical")
STILL = "*, *::before, *::after { transition: none !important; animation: none !important; }"


def faults(axe: Axe, page: Page, where: str, **options: Any) -> list[str]:
    # Sidebar, and what lies under the palette: as on the first page, which is looked at whole.
    context: Any = None if where.startswith("home") else {"exclude": [["#nav-sidebar"]]}
    if where.startswith("palette"):
        context = {"include": [["[role=dialog]"]]}
    wanted = {"resultTypes": ["violations"], **options}
    found = axe.run(page, context=context, options=wanted).response
    return [
        f"{where}: {one['id']} ({one['impact']}) {node['target'][-1]}: {node['html'][:160]} "
        f"{' '.join(check['message'] for check in node['any'] + node['all'] + node['none'])[:300]}"
        for one in found["violations"]
        if one["impact"] in GRAVE
        for node in one["nodes"]
    ]


def look(page: Page, where: str) -> list[str]:
    """The faults of the page that is open; what is folded is looked at too."""
    page.add_style_tag(content=STILL)
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    found = faults(Axe(), page, f"{where} light")
    page.evaluate("document.documentElement.classList.add('dark')")
    only = {"type": "rule", "values": ["color-contrast"]}
    # The script is in the page already.
    found += faults(Axe(axe_script=""), page, f"{where} dark", runOnly=only)
    page.evaluate("document.documentElement.classList.remove('dark')")
    return found


def test_no_page_has_a_serious_fault(visit: Visit, transactional_db: None, settings: Any) -> None:
    settings.SECOND_FACTOR = "optional"
    workspace = factories.make_workspace("greenhouse")
    person("alice", (workspace, "owner"))
    rows = fill(workspace)
    with workspace_scope(workspace.id):
        twin = {"name": "Ada Lovelace", "emails": [Labelled("ada@example.com", "home")]}
        twin = create_contact(actor=ALICE, fields=twin)
        change = Revision.objects.filter(object_id=rows[Contact].pk).latest("id")
    session, memory, contact = rows[Session], rows[Memory], rows[Contact]
    page = visit.page
    visit.open("/admin/login/")
    found = look(page, "login")
    sign_in(visit, "alice", PASSWORD)
    found += look(page, "home")
    open_palette(page)
    page.keyboard.type("pump")
    page.locator("#command-results-list a").first.wait_for()
    found += look(page, "palette")
    pages = {
        "search": reverse("admin:search") + "?q=pump&mode=lexical",
        "sessions": url(Session, "changelist"),
        "conversation": url(Session, "conversation", session.pk),
        "timeline": url(Session, "timeline", session.pk),
        "memory": reverse("admin:memory_memory_read", args=[memory.pk]),
        "memories": url(Memory, "changelist"),
        "review": reverse("admin:review"),
        "board": url(Task, "board"),
        "priorities": url(Priority, "days"),
        "schedules": url(ScheduledMission, "timeline"),
        "staged": url(StagedContent, "board"),
        "worker": url(Worker, "change", rows[Worker].pk),
        "form": url(Contact, "change", contact.pk),
        "change to take back": url(Revision, "change", change.pk),
        "history": url(Contact, "history", contact.pk),
        "duplicates": reverse("admin:contacts_contact_duplicates"),
        "merge": reverse("admin:contacts_contact_merge", args=[contact.pk]) + f"?source={twin.pk}",
        "bulk run": url(BulkRun, "change", rows[BulkRun].pk),
        "imports": url(ImportRun, "changelist"),
        "import": url(ImportRun, "add"),
        "import run": url(ImportRun, "change", rows[ImportRun].pk),
        "members": url(Membership, "changelist"),
        "sign-ins": reverse("admin:sign_ins"),
        "second factor": reverse("admin:second_factor"),
    }
    for name, address in pages.items():
        answer = page.goto(visit.base + address)
        assert answer is not None
        assert answer.status == 200, (name, answer.status)
        found += look(page, name)
    settings.SECOND_FACTOR = "required"
    page.reload()
    found += look(page, "second factor required")
    page.get_by_label("The code that it shows").fill(
        code_of(page.locator("#factor-secret").inner_text().replace(" ", ""))
    )
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Your recovery codes").wait_for()
    found += look(page, "recovery codes")
    visit.open(reverse("admin:second_factor"))
    found += look(page, "second factor set up")
    leave(page)
    give_password(visit)
    found += look(page, "code")
    assert found == []
