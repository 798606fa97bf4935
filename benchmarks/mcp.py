"""What a tool's call over MCP costs beside the same call over REST, as JSON.

`python -m benchmarks.mcp` makes each pair of calls in turn, with one client on one kept
connection, in the same run: REST, MCP 2026-07-28, MCP 2025-11-25. `overhead_p50_ms` is the
difference of the medians; the bar is 5 ms for every pair in both eras.
"""

import argparse
import json
from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Any

from benchmarks._server import Bench, Client, machine, running, summary, timed

MODERN, LEGACY = "2026-07-28", "2025-11-25"
ACCEPT = "application/json, text/event-stream"
META = "io.modelcontextprotocol/"
BAR_MS = 5.0
TEXT = "Zinnias in bed {0} need water at noon; the hose of bed {0} leaks, so use the can."
MEMORIES, TASKS = 200, 50


class Speaking:
    """A client of one era: the bytes of a message are made outside what is timed."""

    def __init__(self, client: Client, era: str) -> None:
        self.client, self.era = client, era

    def ask(self, method: str, **params: Any) -> Any:
        headers = {
            "MCP-Protocol-Version": self.era,
            "Accept": "application/json, text/event-stream",
        }
        if self.era == MODERN:
            headers |= {"Mcp-Method": method}
            if "name" in params:
                headers["Mcp-Name"] = params["name"]
            params["_meta"] = {f"{META}protocolVersion": MODERN, f"{META}clientCapabilities": {}}
        message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        status, body = self.client.post("/mcp/", message, **headers)
        answer = json.loads(body)
        if status != 200 or answer.get("result", {}).get("isError", "error" in answer):
            raise RuntimeError(f"{method} {params}: {status} {body.decode()[:500]}")
        return answer["result"]

    def call(self, name: str, /, **arguments: Any) -> Any:
        return self.ask("tools/call", name=name, arguments=arguments)["structuredContent"]


def rest(client: Client, method: str, path: str, body: Any = None) -> Any:
    answer = client.get(path) if method == "GET" else client.post(path, body)
    if answer[0] >= 300:
        raise RuntimeError(f"{path}: {answer[0]} {answer[1].decode()[:500]}")
    return json.loads(answer[1])


def pairs(client: Client) -> dict[str, tuple[Callable[[], Any], Callable[[Speaking], Any]]]:
    """Name -> the call over REST, and the same over MCP."""
    number = count()
    memory = ""
    for place in range(MEMORIES):
        memory = rest(client, "POST", "/api/v1/memories", {"text": TEXT.format(place)})["id"]
    for place in range(TASKS):
        rest(client, "POST", "/api/v1/tasks", {"title": TEXT.format(place)})
    search = {"q": "zinnias water", "limit": 10, "max_tokens": 1050}

    def text() -> str:
        return f"Bed {next(number)} of the new field was weeded, and its zinnias were watered."

    return {
        "memory_get": (
            lambda: rest(client, "GET", f"/api/v1/memories/{memory}"),
            lambda mcp: mcp.call("memory_get", id=memory),
        ),
        "memory_get_detailed": (
            lambda: rest(client, "GET", f"/api/v1/memories/{memory}"),
            lambda mcp: mcp.call("memory_get", id=memory, response_format="detailed"),
        ),
        "work_find": (
            lambda: rest(client, "GET", "/api/v1/tasks?limit=10"),
            lambda mcp: mcp.call("work_find"),
        ),
        "memory_search": (
            lambda: rest(client, "POST", "/api/v1/search", search),
            lambda mcp: mcp.call("memory_search", query="zinnias water"),
        ),
        "memory_save": (
            lambda: rest(client, "POST", "/api/v1/memories", {"text": text()}),
            lambda mcp: mcp.call("memory_save", text=text()),
        ),
    }


def in_turn(ways: dict[str, Callable[[], Any]], times: int) -> dict[str, list[float]]:
    """Milliseconds of each way, one call of each after the other, so that all meet the same."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for work in ways.values():
        timed(work, times=1, warmup=10)
    for _ in range(times):
        for name, work in ways.items():
            taken[name] += timed(work, times=1, warmup=0)
    return taken


def measure(bench: Bench, times: int) -> dict[str, Any]:
    client = bench.client()
    eras = {MODERN: Speaking(client, MODERN), LEGACY: Speaking(client, LEGACY)}
    told: dict[str, Any] = {}
    for name, (over_rest, over_mcp) in pairs(client).items():
        ways = {"rest": over_rest}
        ways |= {era: partial(over_mcp, mcp) for era, mcp in eras.items()}
        figures = {way: summary(taken) for way, taken in in_turn(ways, times).items()}
        overhead = {
            era: round(figures[era]["p50_ms"] - figures["rest"]["p50_ms"], 2) for era in eras
        }
        told[name] = {**figures, "overhead_p50_ms": overhead}
    protocol = {
        f"{method} {era}": summary(timed(partial(mcp.ask, method), times=times))
        for era, mcp in eras.items()
        for method in ("tools/list", "prompts/list")
    }
    worst = max(overhead for one in told.values() for overhead in one["overhead_p50_ms"].values())
    return {
        "calls": told,
        "protocol": protocol,
        "bars": {"overhead_p50_ms": {"is": worst, "bar": BAR_MS, "reached": worst <= BAR_MS}},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=200, help="calls of each kind")
    given = parser.parse_args()
    before = machine()
    with running() as bench:
        found = measure(bench, given.times)
    print(json.dumps({"machine": before, "times": given.times, **found}, indent=2))


if __name__ == "__main__":
    main()
