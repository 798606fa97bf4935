"""The last step of a hybrid search, where a reranker is configured: it orders the first hits.

It reads the query and each hit's passage together, which tells more than comparing vectors, and
takes too long for more than some tens of them. Run outside any scope. Not for making scores
(memory/reranking/).
"""

from django.conf import settings

from memory.endpoints.pause import Pause
from memory.reranking import Reranker, RerankError, get_reranker
from memory.search.parse import parse
from memory.search.schemas import SearchAnswer, SearchMode, SearchQuery

# As the query's vector (vectors.py): a search is answered in its own order rather than late.
BUDGET_SECONDS = 2.0
LEG = "rerank"

_pause = Pause()


def reranker_for(query: SearchQuery) -> tuple[Reranker | None, str]:
    """What orders the first hits of `query`; or None and why not, where it was asked for."""
    if not query.rerank or query.mode is not SearchMode.HYBRID or not parse(query.q).text.strip():
        return None, ""
    try:
        reranker = get_reranker()
    except RerankError as error:
        return None, str(error)
    if reranker is None:
        return None, ""
    problem = _pause.problem(reranker.name)
    return (None, problem) if problem else (reranker, "")


def hits_wanted(query: SearchQuery) -> int:
    """How many hits to find for a query that is reranked."""
    return max(query.limit, settings.RERANKER_DEPTH)


def rerank(reranker: Reranker, query: SearchQuery, answer: SearchAnswer) -> None:
    """Puts the first of `answer.hits` into the reranker's order (of equals, the one that stood
    before stays before), and leaves as many as the query asked for. Their scores stay what the
    search gave them. Where it fails, the order stays, and the answer says why.
    """
    first = answer.hits[: settings.RERANKER_DEPTH]
    # The newest rows are given where there was no word to look for; there is none to score by.
    if first and "recent" not in answer.legs:
        try:
            scores = reranker.score(
                parse(query.q).text, [hit.text for hit in first], budget=BUDGET_SECONDS
            )
        except RerankError as error:
            _pause.begin(reranker.name, error)
            answer.rerank_unavailable = str(error)
        else:
            answer.legs = [*answer.legs, LEG]
            for rank, (hit, score) in enumerate(zip(first, scores, strict=True), 1):
                if hit.explain is not None:
                    hit.explain.rerank_score, hit.explain.rank_before = round(score, 6), rank
            order = sorted(range(len(first)), key=lambda i: -scores[i])
            answer.hits[: len(first)] = [first[i] for i in order]
    del answer.hits[query.limit :]


def forget() -> None:
    """Ends the pauses, as tests need between rerankers."""
    _pause.forget()
