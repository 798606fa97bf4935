"""`get_embedder`: what the settings name, made once, and nothing heavy before it is needed."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import override_settings

from memory.embedding import EmbeddingError, get_embedder, reset_embedder

ROOT = Path(__file__).resolve().parents[2]
OPENAI = {
    "EMBEDDING_PROVIDER": "openai",
    "EMBEDDING_MODEL": "nomic",
    "EMBEDDING_URL": "http://localhost:11434/v1",
    "EMBEDDING_DIMENSIONS": 768,
}


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    reset_embedder()
    yield
    reset_embedder()


def made_with(**changes: Any) -> Any:
    with override_settings(**changes):
        return get_embedder()


def test_none_means_none() -> None:
    assert made_with(EMBEDDING_PROVIDER="none") is None


def test_the_local_model_is_named_and_not_loaded(tmp_path: Path) -> None:
    embedder = made_with(
        EMBEDDING_PROVIDER="local", EMBEDDING_DIMENSIONS=384, MODEL_DIR=tmp_path / "models"
    )
    assert (embedder.provider, embedder.model) == ("local", "all-MiniLM-L6-v2")
    assert (embedder.dimensions, embedder.max_tokens) == (384, 254)
    assert not (tmp_path / "models").exists()


def test_an_endpoint_is_named_and_not_called() -> None:
    embedder = made_with(**OPENAI, EMBEDDING_API_KEY="sk-1")
    assert (embedder.provider, embedder.model) == ("openai", "nomic")
    assert embedder.dimensions == 768


def test_the_same_settings_give_the_same_embedder(tmp_path: Path) -> None:
    with override_settings(**OPENAI):
        first = get_embedder()
        assert get_embedder() is first
    with override_settings(**{**OPENAI, "EMBEDDING_MODEL": "other"}):
        other = get_embedder()
        assert other is not first
        assert other is not None
        assert other.model == "other"


def test_reset_forgets(tmp_path: Path) -> None:
    with override_settings(**OPENAI):
        first = get_embedder()
        reset_embedder()
        assert get_embedder() is not first


def test_other_dimensions_than_the_models_are_refused() -> None:
    with pytest.raises(EmbeddingError, match="_DIMENSIONS: the local model has 384, not 768"):
        made_with(EMBEDDING_PROVIDER="local", EMBEDDING_DIMENSIONS=768)


def test_importing_it_loads_nothing_heavy() -> None:
    """In a process of its own: this one has long imported everything."""
    code = """
import sys
import memory.embedding
heavy = {"numpy", "onnx", "onnxruntime", "tokenizers", "safetensors", "httpx"}
print(sorted(heavy & sys.modules.keys()))
from django.conf import settings
settings.configure(EMBEDDING_PROVIDER="local", EMBEDDING_MODEL="", EMBEDDING_URL="",
    EMBEDDING_API_KEY="", EMBEDDING_DIMENSIONS=384, MODEL_DIR=None)
memory.embedding.get_embedder()
print(sorted(heavy & sys.modules.keys()))
"""
    shown = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert shown.stdout == "[]\n[]\n"
