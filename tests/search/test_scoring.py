"""What each leg says of its passages."""

import uuid

import pytest

from memory.search.scoring import by_meaning


def test_the_best_has_the_whole_share_where_all_point_away_from_the_query():
    far, near, middle = (uuid.uuid4() for _ in range(3))
    found = by_meaning({far: -0.5, near: -0.1, middle: -0.3})
    assert [one.passage for one in found] == [near, middle, far]
    assert [one.legs.cosine_share for one in found] == pytest.approx([1.0, 0.5, 0.0])
    assert [one.legs.cosine_rank for one in found] == [1, 2, 3]
