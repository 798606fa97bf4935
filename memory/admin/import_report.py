"""A report of an import as its page shows it: tables, and problems by what is wrong.

Not for writing one (memory/importers/report.py).
"""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from memory.importers.problems import Code, Level

EXAMPLES = 5
MAX_DIFFERENCES = 20
_OUTCOMES = ("read", "created", "updated", "unchanged", "skipped", "older")
_LEVELS = {
    Level.ERROR: ("left out", "red"),
    Level.WARNING: ("changed", "amber"),
    Level.NOTICE: ("to know", "grey"),
}


def told(report: Mapping[str, Any]) -> dict[str, Any]:
    """`report` has counts, problem_counts, problems, redacted and checked, as an ImportRun has."""
    counts: Mapping[str, Mapping[str, int]] = report.get("counts") or {}
    sums = {name: sum(one.get(name, 0) for one in counts.values()) for name in _OUTCOMES}
    checked = report.get("checked") or {}
    differences = checked.get("differences", [])
    return {
        "tables": [{"name": name, **counts[name]} for name in sorted(counts)],
        "sums": sums,
        "older": bool(sums["older"]),
        "redacted": report.get("redacted", 0),
        "problems": _problems(report),
        "checked": checked,
        "differences": differences[:MAX_DIFFERENCES],
        "more_differences": max(0, len(differences) - MAX_DIFFERENCES),
    }


def _problems(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    examples: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for one in report.get("problems") or []:
        if len(examples[one["code"]]) < EXAMPLES:
            examples[one["code"]].append(one)
    found = []
    for code, count in (report.get("problem_counts") or {}).items():
        # A later version may have kinds of its own.
        level = Code(code).level if code in list(Code) else Level.WARNING
        label, tone = _LEVELS[level]
        found.append(
            {
                "code": code, "count": count, "level": label, "tone": tone,
                "examples": examples[code], "place": list(Level).index(level),
                "more": count - len(examples[code]),
            }
        )  # fmt: skip
    return sorted(found, key=lambda one: (one["place"], -one["count"], one["code"]))


def share(counts: Mapping[str, Mapping[str, int]]) -> int:
    """How many percent of the rows are read."""
    read = sum(one.get("read", 0) for one in counts.values())
    total = sum(max(one.get("total", 0), one.get("read", 0)) for one in counts.values())
    return min(100, round(100 * read / total)) if total else 0
