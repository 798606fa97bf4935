"""What each leg says of its passages, and for how long figures of a workspace are believed."""

import uuid

import pytest

from memory.search import corpus
from memory.search.scoring import by_meaning
from tests.factories import make_memory


def test_the_best_has_the_whole_share_where_all_point_away_from_the_query():
    far, near, middle = (str(uuid.uuid4()) for _ in range(3))
    found = by_meaning({far: -0.5, near: -0.1, middle: -0.3})
    assert [one.passage for one in found] == [near, middle, far]
    assert [one.legs.cosine_share for one in found] == pytest.approx([1.0, 0.5, 0.0])
    assert [one.legs.cosine_rank for one in found] == [1, 2, 3]


@pytest.mark.parametrize(("slowness", "seconds"), [(0.0, 30.0), (1e9, 600.0)])
def test_figures_are_kept_the_longer_the_slower_they_were_counted(
    scoped, monkeypatch, slowness, seconds
):
    kept = []
    monkeypatch.setattr(corpus, "SMALL", 0)
    monkeypatch.setattr(corpus, "COUNTING_SHARE", 1 / slowness if slowness else float("inf"))
    monkeypatch.setattr(corpus._figures, "keep", lambda *given: kept.append(given[2]))
    make_memory("alder")
    assert corpus.corpus().passages == 1
    assert kept == [seconds]
