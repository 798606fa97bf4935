"""Everything stored is untrusted: whatever a text holds, a page shows it and never obeys it."""

import re
from html.parser import HTMLParser

import pytest
from django.urls import reverse

from config.lib.scope import workspace_scope
from contacts.models import Agent, Revision
from contacts.services.agents import create_agent
from memory.models import Memory
from memory.services.memories import NewEvidence, NewMemory, create_memory
from sessions.admin.markdown import render
from sessions.models import Message, Project, Session, SessionEvent, Thread
from sessions.services.events import NewEvent, append_events
from sessions.services.projects import create_project
from sessions.services.threads import NewMessage, append_messages
from tests.admin.pages import url
from tests.factories import ALICE, make_session, make_thread

CORPUS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    "\"><script src='https://evil.example/x.js'></script>",
    "' onmouseover='alert(1)",
    '<a href="javascript:alert(1)">click</a>',
    "[click](javascript:alert(1))",
    "[click](JaVaScRiPt:alert(1))",
    "[click](data:text/html;base64,PHNjcmlwdD4=)",
    "[click](vbscript:msgbox)",
    "<javascript:alert(1)>",
    "[a]: javascript:alert(1)\n[a]",
    "![pixel](https://evil.example/pixel.png)",
    "![pixel][p]\n\n[p]: https://evil.example/pixel.png",
    "<img src=https://evil.example/pixel.png>",
    "<style>body{background:url(https://evil.example/)}</style>",
    "<link rel=stylesheet href=https://evil.example/x.css>",
    "<iframe src=https://evil.example></iframe>",
    '<div x-data="alert(1)" x-init="alert(1)" @click="alert(1)" hx-get="/admin/">x</div>',
    '```x onload=alert(1)"><script>alert(1)</script>\ncode\n```',
    "{{ request.session }} {% load static %}",
    "</textarea></pre></details><script>alert(1)</script>",
    "<form action=/admin/logout/ method=post><button>win</button></form>",
    "<base href=https://evil.example/>",
    "<meta http-equiv=refresh content='0;url=https://evil.example'>",
]
ALL = "\n\n".join(CORPUS)
NAME = CORPUS[0] + CORPUS[3] + CORPUS[18]


class Obeyed(HTMLParser):
    """What a browser would do for a page beyond showing it."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            text = (value or "").strip().lower()
            if name.startswith("on") or ("alert(" in text and name.startswith(("x-", "@", ":"))):
                self.found.append(f"{tag} {name}={value}")
            if name in ("src", "action", "formaction") and "evil.example" in text:
                self.found.append(f"{tag} {name}={value}")
            if name == "href" and text.startswith(("javascript:", "data:", "vbscript:")):
                self.found.append(f"{tag} {name}={value}")
            if name.startswith("hx-") and "evil" in text:
                self.found.append(f"{tag} {name}={value}")
        where = dict(attrs)
        if tag in ("iframe", "base", "object", "embed"):
            self.found.append(tag)
        if tag == "meta" and where.get("http-equiv", "").lower() == "refresh":
            self.found.append("meta refresh")
        if tag == "script" and not (where.get("src") or "").startswith(("/static/", "/admin/")):
            self.found.append("script without a source of ours")
        if tag == "link" and not (where.get("href") or "").startswith("/static/"):
            self.found.append("link elsewhere")
        if tag == "img" and not (where.get("src") or "").startswith("/static/"):
            self.found.append("image elsewhere")


def obeyed(page: str) -> list[str]:
    reader = Obeyed()
    reader.feed(page)
    return reader.found


@pytest.mark.parametrize("text", CORPUS)
def test_markdown_keeps_the_text_and_nothing_that_acts(text):
    page = str(render(text))
    assert obeyed(page) == []
    assert "<img" not in page


def test_markdown_still_is_markdown():
    page = str(
        render("# Title\n\n**bold** `code`\n\n- [x] done\n\n| a |\n|---|\n| 1 |\n\n~~gone~~")
    )
    for part in ("<h1>Title</h1>", "<strong>bold</strong>", "<code>code</code>", "checkbox",
                 "<td>1</td>", "<del>gone</del>"):  # fmt: skip
        assert part in page
    link = str(render("[docs](https://example.com/a?b=1&c=2)"))
    assert 'href="https://example.com/a?b=1&amp;c=2"' in link
    assert 'rel="noopener noreferrer nofollow"' in link
    assert str(render("[ours](/admin/logout/)")) == "<p>ours (/admin/logout/)</p>\n"
    assert "[image: plan]" in str(render("![plan](https://example.com/p.png)"))


def test_a_very_long_text_is_shown_plain():
    page = str(render("<b>" * 50_000))
    assert page.startswith('<pre class="rm-plain">&lt;b&gt;')


def hostile_messages() -> list[NewMessage]:
    """Every kind of block, and blocks of no kind."""
    blocks = [
        {"type": "text", "text": ALL},
        {"type": "thinking", "thinking": ALL},
        {"type": "tool_use", "id": "t1", "name": CORPUS[0], "input": {CORPUS[1]: ALL}},
        {"type": "image", "source": {"type": "url", "url": "https://evil.example/x.png"}},
        {"type": CORPUS[0], "x": ALL},
        "not an object",
        {"type": "tool_result", "tool_use_id": "none", "content": ALL},
    ]
    result = [{"type": "tool_result", "tool_use_id": "t1", "content": ALL, "is_error": True}]
    return [
        NewMessage(role="user", content=ALL),
        NewMessage(role="assistant", content=ALL, blocks=blocks, model=CORPUS[1]),  # type: ignore[arg-type]
        NewMessage(role="tool", content=ALL, blocks=result),
        NewMessage(role="system", content=ALL, metadata={"kind": "meta"}),
        NewMessage(role="user", content=f"<command-name>/{ALL}</command-name>"),
    ]


@pytest.fixture
def hostile(workspace):
    """A row of each model, every text of it from the corpus."""
    with workspace_scope(workspace.id):
        agent = create_agent(actor=ALICE, name=NAME[:120], capabilities=[CORPUS[1]])
        project = create_project(
            actor=ALICE, title=NAME, description=ALL, repo_url="javascript:alert(1)"
        )
        session = make_session(
            agent=agent, project=project.id, name=NAME, prompt=ALL, status_text=CORPUS[1],
            branch=CORPUS[2], host=CORPUS[1], cwd=CORPUS[0], model=CORPUS[2],
            conversation_id=CORPUS[1],
        )  # fmt: skip
        thread = make_thread(session, name=NAME, metadata={"agent_type": CORPUS[1]})
        messages = hostile_messages()
        rows, _ = append_messages(actor=ALICE, thread_id=thread.id, messages=messages[:1])
        for message in messages[1:]:
            row = Message(
                session=session, thread=thread, idx=len(rows), role=message.role,
                content=message.content, blocks=message.blocks, model=message.model,
                metadata=dict(message.metadata),
            )  # fmt: skip
            row.save(force_insert=True)
            rows.append(row)
        Thread.objects.filter(pk=thread.pk).update(message_count=len(rows))
        (event,), _ = append_events(
            actor=ALICE,
            session_id=session.id,
            events=[NewEvent(event_type=CORPUS[0], text=ALL, data={CORPUS[1]: ALL})],
        )
        memory, _ = create_memory(
            actor=ALICE,
            new=NewMemory(
                text=ALL,
                fields={"tags": [CORPUS[1]], "session_id": session.id, "data": {CORPUS[0]: ALL},
                        "state": "quarantined", "method": CORPUS[1][:60]},
                evidence=[NewEvidence(uri="javascript:alert(1)", quote=ALL)],
            ),
        )  # fmt: skip
        return {type(r): r for r in (agent, project, session, thread, rows[1], event, memory)}


@pytest.mark.parametrize("model", [Agent, Project, Session, Thread, Message, SessionEvent, Memory])
def test_no_page_of_a_row_obeys_it(alice, hostile, model):
    row = hostile[model]
    pages = [url(model, "changelist"), url(model, "change", row.pk), url(model, "history", row.pk)]
    if model not in (Message, SessionEvent):
        pages.append(url(model, "delete", row.pk))
    for page in pages:
        response = alice.get(page)
        assert response.status_code == 200, page
        assert obeyed(response.content.decode()) == [], page


def test_no_reading_page_and_no_overview_obeys_what_is_stored(alice, hostile):
    session, thread = hostile[Session], hostile[Thread]
    pages = [url(Session, name, session.pk) for name in ("conversation", "events", "memories")]
    pages += [url(Thread, "conversation", thread.pk), reverse("admin:index"),
              url(Revision, "changelist"), reverse("admin:palette") + "?s=alert",
              ]  # fmt: skip
    for page in pages:
        response = alice.get(page)
        assert response.status_code == 200, page
        assert "alert(1)" in response.content.decode(), page
        assert obeyed(response.content.decode()) == [], page


def test_a_heading_is_not_turned_by_what_it_says(alice, workspace):
    name = "invoice\u202efdp.exe\u2066\u200bx"
    with workspace_scope(workspace.id):
        session = make_session(name=name)
    page = alice.get(url(Session, "change", session.pk)).content.decode()
    heads = [text for _, text in re.findall(r"<(h[1-6]|title)\b(.*?)</\1>", page, re.S)]
    assert sum("invoice fdp.exe" in head for head in heads) >= 2
    assert not set("".join(heads)) & set("\u202e\u2066\u200b")


def test_a_stale_form_shows_both_texts_harmless(alice, hostile):
    memory = hostile[Memory]
    sent = {"text": ALL + "!", "_version": "0"}
    response = alice.post(url(Memory, "change", memory.pk), sent)
    assert response.status_code == 409
    assert obeyed(response.content.decode()) == []
