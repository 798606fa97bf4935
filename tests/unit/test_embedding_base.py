"""What every provider's vectors must pass before anybody stores them."""

from typing import Any

import numpy as np
import pytest

from memory.embedding.base import EmbeddingError, unit_rows


@pytest.mark.parametrize(
    ("vectors", "said"),
    [
        ([[1.0, 2.0]], "gave 1 vectors of 2 numbers, not 2 of 2"),
        ([[1.0], [2.0]], "gave 2 vectors of 1 numbers, not 2 of 2"),
        ([[1.0, 2.0], [1.0]], "unequal lengths"),
        ([[1.0, 2.0], [0.0, 0.0]], r"a vector that is zero \(text 1\)"),
        ([[float("nan"), 2.0], [1.0, 1.0]], r"a vector that is not finite \(text 0\)"),
        ([[1.0, 2.0], [float("inf"), 1.0]], "not finite"),
        ([[1.0, 2.0], [1e300, 1e300]], "not finite"),
        ([["1", "2"], ["3", "4"]], "not a list of vectors of numbers"),
        ([[True, False], [True, True]], "not a list of vectors of numbers"),
        ([[1.0, None], [1.0, 2.0]], "not a list of vectors of numbers"),
        ([1.0, 2.0], "not a list of vectors of numbers"),
    ],
)
def test_a_bad_vector_is_an_error(vectors: Any, said: str) -> None:
    with pytest.raises(EmbeddingError, match=f"^model {said}|^model gave.*{said}"):
        unit_rows(vectors, count=2, dimensions=2, source="model")


def test_small_and_large_vectors_are_brought_to_length_one() -> None:
    rows = unit_rows([[3e-30, 4e-30], [3e30, 4e30]], count=2, dimensions=2, source="model")
    np.testing.assert_allclose(rows, [[0.6, 0.8], [0.6, 0.8]], atol=1e-6)
