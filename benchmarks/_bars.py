"""What search must reach, by how much there is, and whether a run did."""

from typing import Any

SCALE = 100_000
LARGE = 1_000_000
LEAST_RECALL = 0.97
# A request beside seven others on two cores, of what one alone may take. Not of what it takes: a
# search is work from its first to its last millisecond, so eight on two cores take four times that,
# however fast they are.
AT_ONCE = 3.0


def bars(result: dict[str, Any], *, passages: int, workspaces: int, clients: int) -> list[Any]:
    """Each bar that the run's size has: its name, value, limit and whether it is met."""
    hybrid, found = result["hybrid"], []
    if passages >= LARGE:
        limits = {"p95_ms": 150.0}
    elif passages >= SCALE and workspaces > 1:
        limits = {"p95_ms": 25.0}
    elif passages >= SCALE:
        limits = {"p50_ms": 25.0, "p95_ms": 60.0}
    else:
        limits = {"p50_ms": 40.0}
    for name, most in limits.items():
        found.append(at_most(f"hybrid {name}, one client", hybrid[name], most))
    if "hybrid_largest" in result and "p95_ms" in limits:
        value = result["hybrid_largest"]["p95_ms"]
        found.append(at_most("hybrid p95_ms, the largest workspaces", value, limits["p95_ms"]))
    if clients > 1:
        for name, most in limits.items():
            value = result["hybrid_at_once"][name]
            found.append(at_most(f"hybrid {name}, {clients} clients", value, AT_ONCE * most))
    name, most = "p95_ms", limits.get("p95_ms", 60.0)
    for mode in ("hybrid", "lexical"):
        value = result["common_words"][mode][name]
        found.append(at_most(f"common words {mode} {name}", value, most))
    value = result["recall"]["recall_at_10"]
    found.append(
        {"bar": "recall at 10", "value": value, "least": LEAST_RECALL, "met": value >= LEAST_RECALL}
    )
    return found


def at_most(name: str, value: float, most: float) -> dict[str, Any]:
    return {"bar": name, "value": value, "most": most, "met": value <= most}
