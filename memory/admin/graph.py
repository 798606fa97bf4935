"""How a memory hangs together with others, two steps around it, laid out to be drawn as SVG.

Columns by what came first: causes, parents, supports, sources and what was replaced stand on the
left of what came of them; contradictions and relations without a direction stand above and below.
The same rows give the same picture.
"""

import uuid
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import F, Q, QuerySet
from django.db.models.functions import Left
from django.urls import reverse

from memory.models import MemoryLink
from memory.models.links import Relation

MOST_NODES, MOST_IN_COLUMN, MOST_NEAR = 50, 14, 36
READ_NEAR, READ_FAR = 200, 400
TITLE = 120
WIDTH, HEIGHT, GAP, APART, EDGE = 208, 54, 14, 156, 12
LABEL = 0.3
# Where else on its line a label may stand, of the way from the outer end; and how much room it
# takes, at 11 pixels a letter of 6.
LABEL_PLACES = (LABEL, 0.42, 0.2, 0.54, 0.66, 0.12, 0.78)
LETTER, LABEL_HEIGHT = 6.2, 15.0
SWEEPS = 4
# What a link says from what came first to what came of it: the link's own direction is the other
# way ("`source` has `target` as its cause").
PHRASES = {
    Relation.CAUSE: "cause of",
    Relation.PARENT: "parent of",
    Relation.DERIVED_FROM: "source of",
    Relation.SUPPORTS: "supports",
    Relation.SUPERSEDES: "replaced by",
    Relation.CONTRADICTS: "contradicts",
    Relation.RELATED: "related to",
}
LEVEL = (Relation.CONTRADICTS, Relation.RELATED)
# When there are more than fit, these first.
_RANK = {
    relation: rank
    for rank, relation in enumerate(
        (
            Relation.CONTRADICTS,
            Relation.CAUSE,
            Relation.PARENT,
            Relation.DERIVED_FROM,
            Relation.SUPPORTS,
            Relation.SUPERSEDES,
            Relation.RELATED,
        )
    )
}


# Left, top, right, bottom.
Box = tuple[float, float, float, float]


@dataclass(slots=True)
class Node:
    """A memory in the picture; x and y are its upper left corner, in pixels."""

    id: uuid.UUID
    title: str
    kind: str
    state: str
    url: str
    column: int
    step: int
    order: float = 0.0
    x: float = 0.0
    y: float = 0.0


@dataclass(frozen=True, slots=True)
class Edge:
    """From what came first to what came of it. `path` is SVG's. Without `labelled` the label found
    no room: the line's colour and the list below say what it is."""

    first: Node
    then: Node
    relation: str
    phrase: str
    path: str
    label_x: float
    label_y: float
    directed: bool
    labelled: bool


@dataclass(slots=True)
class Graph:
    """`more` links were read and not drawn; `at_least` where even the reading was stopped."""

    nodes: list[Node] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)
    width: float = 0.0
    height: float = 0.0
    more: int = 0
    at_least: bool = False

    @property
    def legend(self) -> list[tuple[str, str]]:
        used = {edge.relation for edge in self.edges}
        return [(name.value, phrase) for name, phrase in PHRASES.items() if name.value in used]


def graph_of(memory_id: uuid.UUID, title: str, kind: str, state: str) -> Graph:
    """Two queries, each bounded. Indexes memorylink_unique, memorylink_target."""
    near = list(_links([memory_id])[: READ_NEAR + 1])
    if not near:
        return Graph()
    near.sort(key=lambda row: (_RANK[row["relation"]], row["id"]))
    focus = Node(memory_id, title, kind, state, _url(memory_id), 0, 0)
    nodes = {memory_id: focus}
    _grow(nodes, near, 1, MOST_NEAR)
    around = [node.id for node in nodes.values() if node.step == 1]
    far = sorted(
        _links(around)[: READ_FAR + 1], key=lambda row: (_RANK[row["relation"]], row["id"])
    )
    _grow(nodes, far, 2, MOST_NODES)
    links = {row["id"]: row for row in (*near, *far)}
    drawn = [r for r in links.values() if r["source_id"] in nodes and r["target_id"] in nodes]
    graph = Graph(
        nodes=list(nodes.values()),
        more=len(links) - len(drawn),
        at_least=len(near) > READ_NEAR or len(far) > READ_FAR,
    )
    _arrange(graph, focus, drawn)
    return graph


def _links(ids: Sequence[uuid.UUID]) -> QuerySet[MemoryLink, dict[str, Any]]:
    told = {
        f"{end}_{name}": Left(f"{end}__text", TITLE) if name == "title" else F(f"{end}__{name}")
        for end in ("source", "target")
        for name in ("title", "kind", "state")
    }
    rows = MemoryLink.objects.filter(Q(source_id__in=ids) | Q(target_id__in=ids))
    return rows.order_by("id").values("id", "relation", "source_id", "target_id", **told)


def _grow(
    nodes: dict[uuid.UUID, Node], links: Iterable[dict[str, Any]], step: int, most: int
) -> None:
    """Add what is one step further, while there is room in its column and the whole."""
    held: dict[int, int] = defaultdict(int)
    for node in nodes.values():
        held[node.column] += 1
    for row in links:
        for known, new in (("source", "target"), ("target", "source")):
            at = nodes.get(row[f"{known}_id"])
            if at is None or at.step != step - 1 or row[f"{new}_id"] in nodes:
                continue
            toward = 0 if row["relation"] in LEVEL else (-1 if new == "target" else 1)
            column = max(-2, min(2, at.column + toward))
            if held[column] >= MOST_IN_COLUMN or len(nodes) >= most:
                continue
            held[column] += 1
            pk = row[f"{new}_id"]
            title = " ".join(row[f"{new}_title"].split())
            kind, state = row[f"{new}_kind"], row[f"{new}_state"]
            nodes[pk] = Node(pk, title, kind, state, _url(pk), column, step)


def _url(pk: uuid.UUID) -> str:
    return reverse("admin:memory_memory_read", args=[pk])


# --- Layout -----------------------------------------------------------------------------------


def _arrange(graph: Graph, focus: Node, links: list[dict[str, Any]]) -> None:
    """Order each column by the middle of what it is linked with, then give everything a place."""
    by_id = {node.id: node for node in graph.nodes}
    linked: dict[uuid.UUID, list[Node]] = defaultdict(list)
    for row in links:
        one, other = by_id[row["source_id"]], by_id[row["target_id"]]
        linked[one.id].append(other)
        linked[other.id].append(one)
    columns: dict[int, list[Node]] = defaultdict(list)
    for node in graph.nodes:
        columns[node.column].append(node)
    for column in columns.values():
        _number(column, focus)
    for sweep in range(SWEEPS):
        for key in sorted(columns, reverse=bool(sweep % 2)):
            column = columns[key]
            wanted = {node.id: _middle(node, linked[node.id]) for node in column}
            column.sort(key=lambda node: (wanted[node.id], node.order, node.id))
            _number(column, focus)
    tallest = max(len(column) for column in columns.values())
    graph.height = tallest * (HEIGHT + GAP) - GAP + 2 * EDGE
    for place, key in enumerate(sorted(columns)):
        column = columns[key]
        top = (graph.height - len(column) * (HEIGHT + GAP) + GAP) / 2
        for index, node in enumerate(column):
            node.x = EDGE + place * (WIDTH + APART)
            node.y = top + index * (HEIGHT + GAP)
    # Arcs inside the last column swing out to its right.
    graph.width = len(columns) * (WIDTH + APART) - APART + 2 * EDGE
    rightmost = max(columns)
    taken = [(node.x, node.y, node.x + WIDTH, node.y + HEIGHT) for node in graph.nodes]
    graph.edges = [_edge(by_id, row, taken) for row in links]
    if any(e.first.column == e.then.column == rightmost for e in graph.edges):
        graph.width += APART


def _number(column: list[Node], focus: Node) -> None:
    """Orders around 0, so that columns of any length can be compared; the focus in the middle."""
    if focus in column:
        column.remove(focus)
        column.insert(len(column) // 2, focus)
    for index, node in enumerate(column):
        node.order = index - (len(column) - 1) / 2


def _middle(node: Node, others: list[Node]) -> float:
    return sum(other.order for other in others) / len(others) if others else node.order


def _edge(nodes: dict[uuid.UUID, Node], row: dict[str, Any], taken: list[Box]) -> Edge:
    """Its label stands beside those in `taken`, to which it is added."""
    relation = Relation(row["relation"])
    one, other = nodes[row["source_id"]], nodes[row["target_id"]]
    first, then = (one, other) if relation == Relation.CONTRADICTS else (other, one)
    y1, y2 = first.y + HEIGHT / 2, then.y + HEIGHT / 2
    if first.column == then.column:
        x1 = x2 = first.x + WIDTH
        bend = x1 + 28 + min(60, abs(y2 - y1) / 6)
    else:
        right = first.column < then.column
        x1 = first.x + (WIDTH if right else 0)
        x2 = then.x + (0 if right else WIDTH)
        bend = (x1 + x2) / 2
    phrase = PHRASES[relation]
    half = len(phrase) * LETTER / 2
    label_x = label_y = 0.0
    labelled = False
    for place in LABEL_PLACES:
        # Where the lines of many meet no label could be read: it stands near the outer end.
        at = place if first.step > then.step else 1 - place
        label_x = _on_curve(x1, bend, bend, x2, at)
        label_y = _on_curve(y1, y1, y2, y2, at)
        box = (label_x - half, label_y - LABEL_HEIGHT / 2, label_x + half,
               label_y + LABEL_HEIGHT / 2)  # fmt: skip
        if not any(_touch(box, other) for other in taken):
            taken.append(box)
            labelled = True
            break
    return Edge(
        first=first,
        then=then,
        relation=relation.value,
        phrase=phrase,
        path=f"M{x1:.1f},{y1:.1f} C{bend:.1f},{y1:.1f} {bend:.1f},{y2:.1f} {x2:.1f},{y2:.1f}",
        label_x=round(label_x, 1),
        label_y=round(label_y, 1),
        directed=relation != Relation.RELATED,
        labelled=labelled,
    )


def _touch(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _on_curve(p0: float, p1: float, p2: float, p3: float, t: float) -> float:
    """A cubic Bézier curve's coordinate at `t`, 0 to 1."""
    u = 1 - t
    return u**3 * p0 + 3 * u * u * t * p1 + 3 * u * t * t * p2 + t**3 * p3
