"""Retrieval on a data set, through the function that the API searches by."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from config.lib.actor import Actor
from config.lib.db.owner import require_owner
from memory.evaluation import metrics
from memory.evaluation.datasets import ADVERSARIAL, Dataset, Group
from memory.evaluation.scratch import Scratch, scratch_workspace
from memory.models.passage import PassageKind
from memory.search.ask import ask
from memory.search.schemas import SearchMode, SearchQuery

# What documents are; the sessions around them are nobody's answer.
KINDS = [PassageKind.MESSAGE, PassageKind.MEMORY]
# Threads have many messages: for the first 20 of them, more hits are looked through.
THREAD_HITS = 100


@dataclass(frozen=True, slots=True)
class Outcome:
    """Figures of one query: by document, and by thread, where one counts as its best document."""

    group: str
    category: str
    documents: dict[str, float]
    threads: dict[str, float]


@dataclass(slots=True)
class Report:
    """Outcomes of each mode, query by query in one order."""

    dataset: str
    documents: int
    outcomes: dict[SearchMode, list[Outcome]] = field(default_factory=dict)
    # Queries that a configured reranker failed on, and why the last did.
    not_reranked: int = 0
    rerank_problem: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Means, all in all and by category; `without_5` leaves out LoCoMo's adversarial ones."""
        return {
            "dataset": self.dataset,
            "documents": self.documents,
            "not_reranked": self.not_reranked,
            "rerank_problem": self.rerank_problem,
            "modes": {mode.value: _means(found) for mode, found in self.outcomes.items()},
        }


def measure(
    dataset: Dataset,
    modes: Iterable[SearchMode],
    *,
    actor: Actor,
    limit: int = THREAD_HITS,
    progress: Callable[[str], None] = lambda line: None,
) -> Report:
    """Load each group, ask its queries in each mode for `limit` hits, remove it again. Opens its
    own scopes.

    Raises Conflict where nobody may remove workspaces again.
    """
    require_owner("remove the workspace that is measured in")
    report = Report(dataset.name, sum(len(group.documents) for group in dataset.groups))
    for number, group in enumerate(dataset.groups, 1):
        progress(f"{group.id}, {number} of {len(dataset.groups)}: loading")
        with scratch_workspace(group, actor=actor) as scratch:
            for mode in modes:
                progress(f"{group.id}, {number} of {len(dataset.groups)}: {mode.value}")
                report.outcomes.setdefault(mode, []).extend(
                    _ask(group, scratch, mode, limit, report)
                )
    return report


def _ask(
    group: Group, scratch: Scratch, mode: SearchMode, limit: int, report: Report
) -> Iterable[Outcome]:
    # What stands in no thread is one of its own.
    thread_of = {d.id: d.thread or f"alone {d.id}" for d in group.documents}
    for asked in group.queries:
        query = SearchQuery.model_validate(
            {
                "q": asked.q,
                "mode": mode,
                "kinds": KINDS,
                "limit": limit,
                "asked_at": asked.time,
            }
        )
        answer = ask(scratch.workspace_id, query)
        if answer.rerank_unavailable:
            report.not_reranked += 1
            report.rerank_problem = answer.rerank_unavailable
        found = [scratch.documents[hit.id] for hit in answer.hits]
        threads = list(dict.fromkeys(thread_of[one] for one in found))
        yield Outcome(
            group.id,
            asked.category,
            metrics.of_query(found[: metrics.DEEPEST], asked.gold),
            metrics.of_query(
                threads[: metrics.DEEPEST], frozenset(thread_of[one] for one in asked.gold)
            ),
        )


def _means(outcomes: list[Outcome]) -> dict[str, Any]:
    categories = sorted({one.category for one in outcomes})
    parts = {"all": outcomes}
    if ADVERSARIAL in categories:
        parts["without_5"] = [one for one in outcomes if one.category != ADVERSARIAL]
    return {
        level: {
            **{
                name: metrics.mean([getattr(o, level) for o in part])
                for name, part in parts.items()
            },
            "categories": {
                name: metrics.mean([getattr(o, level) for o in outcomes if o.category == name])
                for name in categories
            },
        }
        for level in ("documents", "threads")
    }
