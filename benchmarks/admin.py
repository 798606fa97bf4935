"""Every page of the admin at many rows: its time over HTTP and its statements, as JSON.

`python -m benchmarks.admin` copies the demo's rows (_multiply.py) until there are a million
events, 200,000 messages, 100,000 memories and 20,000 sessions, signs in, and asks each page
(_admin_pages.py) through gunicorn. Statements are counted by a pass in this process, without those
of the transaction. Some lists are asked for by plain SQL as well. Exits with 1 where a bar is not
met.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from typing import Any

import psycopg

from benchmarks._admin_pages import Page, pages
from benchmarks._multiply import Wanted, multiply
from benchmarks._server import Bench, Client, machine, running, summary, timed

MOST_QUERIES, MOST_P95_MS = 12, 250.0
TIMES = 20
CONTROL = ("SAVEPOINT", "RELEASE", "ROLLBACK", "SET LOCAL", "BEGIN", "COMMIT")
# What a list costs at the least: fifty rows as it shows them.
PLAIN = {
    "sessions.session list": """
        SELECT s.id, s.name, left(s.prompt, 160), s.current_state, s.outcome, s.started_at,
               s.message_count, a.name, p.title
        FROM agent_sessions_session s
        JOIN contacts_agent a ON a.workspace_id = s.workspace_id AND a.id = s.agent_id
        LEFT JOIN agent_sessions_project p ON p.workspace_id = s.workspace_id
             AND p.id = s.project_id
        WHERE s.workspace_id = %(w)s ORDER BY s.started_at DESC, s.id DESC LIMIT 50""",
    "memory.memory list": """
        SELECT id, kind, left(text, 200), state, trust, confidence, recorded_at
        FROM memory_memory WHERE workspace_id = %(w)s
        ORDER BY recorded_at DESC, id DESC LIMIT 50""",
    "contacts.revision list": """
        SELECT id, created_at, actor_label, action, model, object_id
        FROM contacts_revision WHERE workspace_id = %(w)s ORDER BY id DESC LIMIT 50""",
}


def sign_in(workspace_id: Any) -> tuple[Any, str]:
    """(an owner of the workspace, the cookie of a browser in which they signed in)."""
    from django.conf import settings
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
    from django.contrib.sessions.backends.db import SessionStore

    from config.lib.actor import Actor
    from config.lib.scope import workspace_scope
    from contacts.services.workspaces import add_member, create_user

    user = create_user(username="admin", password="a long password")
    actor = Actor(kind="system", id="benchmark", label="benchmark", channel="shell")
    with workspace_scope(workspace_id):
        add_member(actor=actor, user=user, role="owner")
    browser = SessionStore()
    browser[SESSION_KEY] = str(user.pk)
    browser[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    browser[HASH_SESSION_KEY] = user.get_session_auth_hash()
    browser.save()
    return user, f"{settings.SESSION_COOKIE_NAME}={browser.session_key}"


def statements(client: Any, page: Page) -> tuple[int, list[str]]:
    """(the answer's status, what it cost). By the client of this process."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as captured:
        answer = client.get(page.address)
    made = [one["sql"].strip() for one in captured]
    return answer.status_code, [one for one in made if not one.startswith(CONTROL)]


def measure(bench: Bench, workspace_id: Any, times: int, only: str = "") -> dict[str, Any]:
    """Each page whose name has `only` in it."""
    from django.test import Client as Inside

    from config.lib.scope import workspace_scope

    user, cookie = sign_in(workspace_id)
    with workspace_scope(workspace_id):
        asked = [page for page in pages() if only in page.name]
    browser = Client(bench.port, "")
    browser.headers = {"Cookie": cookie}
    inside = Inside(SERVER_NAME="localhost")
    inside.force_login(user)
    inside.get("/admin/")
    told: dict[str, Any] = {}
    for page in asked:
        status, made = statements(inside, page)
        if status != 200:
            told[page.name] = {"status": status, "queries": len(made), "p95_ms": float("inf")}
            continue
        # What three visits cannot do in time, twenty need not try.
        first = _seconds(browser, page)
        runs = timed(
            lambda page=page: _seconds(browser, page),  # type: ignore[misc]
            times=times if first < 1 else 3, warmup=1,
        )  # fmt: skip
        told[page.name] = {"status": status, "queries": len(made), **summary(runs)}
    return told


def _seconds(browser: Client, page: Page) -> float:
    if time.monotonic() - browser.used > 1.0:
        browser.renew()
    begun = time.perf_counter()
    status, body = browser.get(page.address)
    browser.used = time.monotonic()
    if status != 200:
        raise RuntimeError(f"{page.name} {page.address}: {status} {body[:200].decode()}")
    return time.perf_counter() - begun


def plain(bench: Bench, workspace_id: Any, times: int) -> dict[str, Any]:
    with psycopg.connect(bench.urls.runtime) as connection:
        connection.execute("SELECT set_config('app.workspace', %s, false)", [str(workspace_id)])
        return {
            name: summary(
                timed(
                    lambda text=text: connection.execute(text, {"w": workspace_id}).fetchall(),  # type: ignore[misc]
                    times=times,
                )
            )
            for name, text in PLAIN.items()
        }


def bars(told: dict[str, Any]) -> list[dict[str, Any]]:
    """The pages that are over a bar, and both bars with the worst page of each."""
    most_queries = max(told.items(), key=lambda one: one[1]["queries"])
    slowest = max(told.items(), key=lambda one: one[1]["p95_ms"])
    return [
        {"bar": "statements of a page", "page": most_queries[0],
         "value": most_queries[1]["queries"], "most": MOST_QUERIES,
         "met": most_queries[1]["queries"] <= MOST_QUERIES,
         "over": _over(told, "queries", MOST_QUERIES)},
        {"bar": "p95_ms of a page", "page": slowest[0], "value": slowest[1]["p95_ms"],
         "most": MOST_P95_MS, "met": slowest[1]["p95_ms"] <= MOST_P95_MS,
         "over": _over(told, "p95_ms", MOST_P95_MS)},
    ]  # fmt: skip


def _over(told: dict[str, Any], name: str, most: float) -> dict[str, float]:
    return {page: one[name] for page, one in told.items() if one[name] > most}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--messages", type=int, default=200_000)
    parser.add_argument("--memories", type=int, default=100_000)
    parser.add_argument("--sessions", type=int, default=20_000)
    parser.add_argument("--scale", type=float, default=1.0, help="of all four")
    parser.add_argument("--times", type=int, default=TIMES, help="of a page")
    parser.add_argument("--only", default="", help="pages with this in their names")
    options = parser.parse_args(arguments)
    wanted = Wanted(
        sessions=options.sessions, messages=options.messages, events=options.events,
        memories=options.memories,
    ).times(options.scale)  # fmt: skip
    report: dict[str, Any] = {"benchmark": "admin", "machine": machine()}
    with running(environment={"REMEMBRANCER_LOG_LEVEL": "ERROR"}) as bench:
        from config.lib import clock
        from config.lib.actor import Actor
        from memory.demo.seed import seed_demo
        from memory.services.counts import refresh_counts

        actor = Actor(kind="system", id="benchmark", label="benchmark", channel="shell")
        done = seed_demo(actor=actor, slug="demo", seed=1, now=clock.now())
        report["filled"] = multiply(bench, done.workspace_id, wanted)
        # As the job does every other minute.
        refresh_counts(done.workspace_id)
        report["pages"] = measure(bench, done.workspace_id, options.times, options.only)
        report["plain_sql"] = plain(bench, done.workspace_id, options.times)
    report["bars"] = bars(report["pages"])
    json.dump(report, sys.stdout, indent=2)
    print()
    sys.exit(not all(bar["met"] for bar in report["bars"]))


if __name__ == "__main__":
    main()
