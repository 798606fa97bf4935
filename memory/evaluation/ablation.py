"""What each part of ranking is worth: hybrid search with the part's weights at nothing.

The other weights stay as they are, so a part's worth is what search would lose by it, not what a
ranking fitted without it would have.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from config.lib.actor import Actor
from config.lib.db.owner import require_owner
from config.lib.scope import workspace_scope
from memory.evaluation import metrics
from memory.evaluation.datasets import ADVERSARIAL, Dataset, Query
from memory.evaluation.retrieval import KINDS
from memory.evaluation.scratch import Scratch, scratch_workspace
from memory.search.ask import ask, embed
from memory.search.funnel import find
from memory.search.ranking import PARTS, WEIGHTS
from memory.search.schemas import SearchMode, SearchQuery
from memory.search.scoring import Scored

WHOLE = "all parts"
LEGS = {
    "words alone (BM25)": SearchMode.LEXICAL,
    "meaning alone (cosine)": SearchMode.SEMANTIC,
}


@dataclass(slots=True)
class Table:
    """Variant -> figures of each query, in one order. Adversarial questions are left out."""

    dataset: str
    found: dict[str, list[dict[str, float]]] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return {
            "dataset": self.dataset,
            "variants": {name: metrics.mean(figures) for name, figures in self.found.items()},
        }


def ablate(
    dataset: Dataset, *, actor: Actor, progress: Callable[[str], None] = lambda line: None
) -> Table:
    """Each query once per leg and once by both. Opens its own scopes.

    Raises Conflict where nobody may remove workspaces again.
    """
    require_owner("remove the workspace that is measured in")
    table = Table(dataset.name)
    for number, group in enumerate(dataset.groups, 1):
        progress(f"{group.id}, {number} of {len(dataset.groups)}: loading")
        with scratch_workspace(group, actor=actor) as scratch:
            progress(f"{group.id}, {number} of {len(dataset.groups)}: asking")
            for asked in group.queries:
                if asked.category != ADVERSARIAL:
                    for name, found in _variants(asked, scratch).items():
                        table.found.setdefault(name, []).append(metrics.of_query(found, asked.gold))
    return table


def _variants(asked: Query, scratch: Scratch) -> dict[str, list[str]]:
    """Variant -> the documents it finds, best first."""
    rows = ranked_rows(asked, scratch)
    found = {WHOLE: _ordered(rows, frozenset(), scratch)}
    for part, names in PARTS.items():
        found[f"without {part}"] = _ordered(rows, names, scratch)
    for name, mode in LEGS.items():
        query = _query(asked, mode)
        found[name] = [scratch.documents[hit.id] for hit in ask(scratch.workspace_id, query).hits]
    return found


def _query(asked: Query, mode: SearchMode) -> SearchQuery:
    return SearchQuery.model_validate(
        {
            "q": asked.q,
            "mode": mode,
            "kinds": KINDS,
            "limit": metrics.DEEPEST,
            "asked_at": asked.time,
        }
    )


def ranked_rows(asked: Query, scratch: Scratch) -> list[Scored]:
    """The rows that hybrid search ranks, with what it saw of each. Opens its own scopes."""
    query = _query(asked, SearchMode.HYBRID)
    vector = embed(scratch.workspace_id, query)
    with workspace_scope(scratch.workspace_id):
        return find(query=query, query_vector=vector).scored


def _ordered(rows: Sequence[Scored], left_out: frozenset[str], scratch: Scratch) -> list[str]:
    def total(one: Scored) -> float:
        seen = zip(WEIGHTS.items(), one.features or (), strict=False)
        return sum(weight * value for (name, weight), value in seen if name not in left_out)

    best = sorted(rows, key=total, reverse=True)[: metrics.DEEPEST]
    return [scratch.document_of(one.source) for one in best if one.source is not None]
