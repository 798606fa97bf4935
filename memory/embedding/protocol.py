"""Reading what an embeddings endpoint answers: vectors, and that a batch was too large.

Pure functions over bytes; not for sending anything (openai.py).
"""

import json
from typing import Any

from memory.embedding.base import EmbeddingError
from memory.endpoints.answers import Answer, error_of


def read_vectors(body: bytes, *, count: int, source: str) -> list[Any]:
    """The `embedding` values of an answer, put into the order of the input by their `index`.

    Raises EmbeddingError unless there is exactly one for each of the `count` texts. What the
    values hold is checked by `unit_rows`.
    """
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        raise EmbeddingError(f"{source} did not answer with JSON") from None
    data = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(data, list) or not all(isinstance(item, dict) for item in data):
        raise EmbeddingError(f"{source} did not answer with a list of embeddings in `data`")
    if len(data) != count:
        raise EmbeddingError(f"{source} gave {len(data)} vectors for {count} texts")
    by_index: list[Any] = [None] * count
    for item in data:
        index = item.get("index")
        # True and False are integers to Python.
        if not isinstance(index, int) or isinstance(index, bool) or not 0 <= index < count:
            raise EmbeddingError(
                f"{source} gave a vector whose `index` is not from 0 to {count - 1}"
            )
        if by_index[index] is not None:
            raise EmbeddingError(f"{source} gave two vectors with `index` {index}")
        if not isinstance(item.get("embedding"), list):
            raise EmbeddingError(f"{source} gave an `embedding` that is not a list of numbers")
        by_index[index] = item["embedding"]
    return by_index


def is_batch_too_large(answer: Answer) -> bool:
    """Whether fewer texts in one request may pass.

    TEI takes 32 at once, DashScope 10; they say so with 413, or with 400 or 422 and words.
    """
    if answer.status == 413:
        return True
    return answer.status in (400, 422) and "batch" in (error_of(answer.body)[1] or "").lower()
