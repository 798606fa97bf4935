"""What the rules of extraction find in prompts in four languages, and how fast, as JSON.

`python -m benchmarks.extraction` measures the held-out half (corpora/extraction_test.jsonl),
`--half dev` the one that the rules were made by, `--half hard` prompts made to mislead them;
`--misses` lists what was wrong. No database, no network.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks._server import machine
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--half", choices=list(HALVES), default="test")
    parser.add_argument("--misses", action="store_true", help="list what was wrong")
    options = parser.parse_args()
    found = measure(options.half)
    if not options.misses:
        del found["misses"]
    json.dump({**found, "machine": machine()}, sys.stdout, indent=2, ensure_ascii=False)
    print()


if __name__ == "__main__":
    main()
