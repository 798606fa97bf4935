"""What the rules of extraction find in prompts in four languages, and how fast, as JSON.

`python -m benchmarks.extraction` measures the held-out half (corpora/extraction_test.jsonl),
`--half dev` the one that the rules were made by, `--half hard` prompts made to mislead them;
`--misses` lists what was wrong. No database, no network. `--sessions 50` measures the job instead:
sessions of 100 messages and 60 calls of tools in a throwaway database, read, kept and summarised.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks._server import machine, running
from memory.learning.rules import Found, find

CORPORA = Path(__file__).parent / "corpora"
HALVES = {name: f"extraction_{name}.jsonl" for name in ("dev", "test", "hard")}
TIMED_MESSAGES = 5_000


def read(half: str) -> list[dict[str, Any]]:
    lines = (CORPORA / HALVES[half]).read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]


def folded(text: str) -> str:
    return " ".join(text.replace("’", "'").split()).casefold()


def judge(want: list[list[str]], found: list[Found]) -> dict[str, Any]:
    """Each found memory is right where it holds the words of a wanted one, each of them once."""
    left = list(want)
    wrong: list[str] = []
    right = kinds = active = active_right = 0
    for one in found:
        match = next((w for w in left if folded(w[1]) in folded(one.text)), None)
        active += not one.weak
        if match is None:
            wrong.append(one.text)
            continue
        left.remove(match)
        right += 1
        active_right += not one.weak
        kinds += one.kind in match[0].split("|")
    return {
        "right": right,
        "kinds": kinds,
        "active": active,
        "active_right": active_right,
        "wrong": wrong,
        "missed": [w[1] for w in left],
    }


def score(rows: list[dict[str, Any]]) -> dict[str, Any]:
    right = sum(row["right"] for row in rows)
    wrong = sum(len(row["wrong"]) for row in rows)
    missed = sum(len(row["missed"]) for row in rows)
    active = sum(row["active"] for row in rows)
    return {
        "prompts": len(rows),
        "wanted": right + missed,
        "found": right + wrong,
        "right": right,
        "precision": round(right / (right + wrong), 4) if right + wrong else None,
        # Of those that need no review first.
        "precision_active": round(sum(row["active_right"] for row in rows) / active, 4)
        if active
        else None,
        "recall": round(right / (right + missed), 4) if right + missed else None,
        "right_kind": round(sum(row["kinds"] for row in rows) / right, 4) if right else None,
    }


def milliseconds_per_thousand(texts: list[str]) -> float:
    began = time.perf_counter()
    for n in range(TIMED_MESSAGES):
        find(texts[n % len(texts)])
    return round((time.perf_counter() - began) / TIMED_MESSAGES * 1e6, 1)


def measure(half: str) -> dict[str, Any]:
    prompts = read(half)
    judged = [
        {"lang": one["lang"], "text": one["text"], **judge(one["want"], find(one["text"]))}
        for one in prompts
    ]
    languages = sorted({one["lang"] for one in prompts})
    return {
        "half": half,
        **score(judged),
        "languages": {
            name: score([row for row in judged if row["lang"] == name]) for name in languages
        },
        "ms_per_1000_messages": milliseconds_per_thousand([one["text"] for one in prompts]),
        "misses": [
            {name: row[name] for name in ("lang", "text", "wrong", "missed")}
            for row in judged
            if row["wrong"] or row["missed"]
        ],
    }


MESSAGES, CALLS = 100, 60


def measure_job(sessions: int) -> dict[str, Any]:
    """What the job takes for sessions that have ended, from their rows to its own."""
    with running(web=False, environment={"REMEMBRANCER_EMBEDDING_PROVIDER": "none"}) as bench:
        from config.lib.actor import Actor
        from config.lib.scope import workspace_scope
        from contacts.services.agents import ensure_agent
        from memory.models import Memory
        from memory.services.learning import learn_due
        from sessions.services.events import NewEvent, append_events
        from sessions.services.sessions import create_session, end_session
        from sessions.services.threads import NewMessage, append_messages, create_thread

        actor = Actor("system", "", "benchmark", "shell")
        prompts = [one["text"] for half in HALVES for one in read(half)]
        for number in range(sessions):
            said = [
                NewMessage("user", prompts[(number * 50 + n // 2) % len(prompts)])
                if n % 2 == 0
                else NewMessage("assistant", f"I looked at part {n}. It is mended and tested now.")
                for n in range(MESSAGES)
            ]
            calls = [_call(n) for n in range(CALLS)]
            with workspace_scope(bench.workspace_id):
                agent = ensure_agent(actor=actor, name="benchmark")
                session, _ = create_session(actor=actor, agent=agent, project=f"P{number}")
                thread = create_thread(actor=actor, session_id=session.pk)
                append_messages(actor=actor, thread_id=thread.pk, messages=said)
                events = [NewEvent(kind, text, data) for pair in calls for kind, text, data in pair]
                append_events(actor=actor, session_id=session.pk, events=events)
                end_session(actor=actor, session_id=session.pk)
        began = time.perf_counter()
        while learn_due(bench.workspace_id, seconds=60):
            pass
        seconds = time.perf_counter() - began
        with workspace_scope(bench.workspace_id):
            made = Memory.objects.count()
    return {
        "sessions": sessions,
        "messages": sessions * MESSAGES,
        "memories": made,
        "seconds": round(seconds, 2),
        "ms_per_session": round(seconds / sessions * 1e3, 1),
        "seconds_per_1000_messages": round(seconds / sessions / MESSAGES * 1e3, 3),
    }


def _call(n: int) -> list[tuple[str, str, dict[str, Any]]]:
    told = {"tool": "Bash", "tool_use_id": f"t{n}", "input": {"command": f"make part{n % 7}"}}
    return [
        ("tool_use", f"Bash: make part{n % 7}", told),
        ("tool_result", "error: no rule" * (n % 3), {**told, "is_error": n % 3 == 0}),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--half", choices=list(HALVES), default="test")
    parser.add_argument("--misses", action="store_true", help="list what was wrong")
    parser.add_argument("--sessions", type=int, help="measure the job on so many sessions")
    options = parser.parse_args()
    found = measure_job(options.sessions) if options.sessions else measure(options.half)
    if not options.misses:
        found.pop("misses", None)
    json.dump({**found, "machine": machine()}, sys.stdout, indent=2, ensure_ascii=False)
    print()


if __name__ == "__main__":
    main()
