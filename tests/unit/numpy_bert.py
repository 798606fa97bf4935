"""BERT in plain numpy, to hold the assembled graph against. Not a test, and slow."""

import math
from typing import Any

import numpy as np
from safetensors.numpy import load_file

from memory.embedding.files import package_folder


class NumpyBert:
    """BERT written from the paper, sharing nothing with the graph but the weights."""

    def __init__(self) -> None:
        loaded = load_file(package_folder() / "model.safetensors")
        self.weights = {name: array.astype(np.float64) for name, array in loaded.items()}

    def embed(self, ids: list[int]) -> Any:
        w = self.weights
        x = (
            w["embeddings.word_embeddings.weight"][ids]
            + w["embeddings.position_embeddings.weight"][: len(ids)]
            + w["embeddings.token_type_embeddings.weight"][0]
        )
        x = self._norm(x, "embeddings.LayerNorm")
        for number in range(6):
            x = self._layer(x, f"encoder.layer.{number}")
        mean = x.mean(axis=0)
        return mean / np.linalg.norm(mean)

    def _layer(self, x: Any, at: str) -> Any:
        query, key, value = (
            # 12 heads of 32: (tokens, 384) to (12, tokens, 32)
            self._linear(x, f"{at}.attention.self.{part}").reshape(-1, 12, 32).swapaxes(0, 1)
            for part in ("query", "key", "value")
        )
        scores = query @ key.swapaxes(1, 2) / math.sqrt(32)
        share = np.exp(scores - scores.max(axis=-1, keepdims=True))
        share /= share.sum(axis=-1, keepdims=True)
        context = (share @ value).swapaxes(0, 1).reshape(-1, 384)
        out = self._linear(context, f"{at}.attention.output.dense")
        x = self._norm(x + out, f"{at}.attention.output.LayerNorm")
        inner = self._linear(x, f"{at}.intermediate.dense")
        inner *= 0.5 * (1 + np.vectorize(math.erf)(inner / math.sqrt(2)))
        return self._norm(x + self._linear(inner, f"{at}.output.dense"), f"{at}.output.LayerNorm")

    def _linear(self, x: Any, at: str) -> Any:
        return x @ self.weights[f"{at}.weight"].T + self.weights[f"{at}.bias"]

    def _norm(self, x: Any, at: str) -> Any:
        centred = x - x.mean(axis=-1, keepdims=True)
        spread = np.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-12)
        return centred / spread * self.weights[f"{at}.weight"] + self.weights[f"{at}.bias"]
