"""A conversation's tree, cut into threads: every message is in exactly one of them.

The path from the root to `current_node` is the first thread. Every other path to a leaf is a thread
of its own from where it leaves a thread that is there, under that one.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Path:
    """`nodes` are keys in their order. `fork` is the message that `parent` and it have last in
    common; both are empty for the first."""

    key: str
    nodes: list[str] = field(default_factory=list)
    parent: str = ""
    fork: str = ""


def paths(mapping: Mapping[str, Any], current: str) -> Iterator[Path]:
    """The threads, the current one first. Knots (loops, nodes that name no parent that is there)
    are cut: each node comes once, whatever the tree says of itself."""
    parents = {key: _parent(node, mapping) for key, node in mapping.items()}
    has_child = {parent for parent in parents.values() if parent}
    leaves = [key for key in mapping if key not in has_child]
    first = current if current in mapping else (leaves[-1] if leaves else "")
    owner: dict[str, str] = {}
    # What no leaf leads to lies in a loop.
    for leaf in dict.fromkeys([first, *leaves, *mapping]):
        if leaf not in mapping or leaf in owner:
            continue
        nodes: list[str] = []
        here: str | None = leaf
        climbed: set[str] = set()
        while here and here not in owner and here not in climbed:
            climbed.add(here)
            nodes.append(here)
            here = parents[here]
        nodes.reverse()
        fork = here if here and here in owner else ""
        path = Path(nodes[0] if owner else "", nodes, owner.get(fork, ""), fork)
        for node in nodes:
            owner[node] = path.key
        yield path


def _parent(node: Any, mapping: Mapping[str, Any]) -> str | None:
    parent = node.get("parent") if isinstance(node, dict) else None
    return parent if isinstance(parent, str) and parent in mapping else None
