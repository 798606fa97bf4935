"""Who cannot wait for the model to be loaded goes on without it."""

import threading
import uuid

from memory.embedding.local import LocalEmbedder
from memory.search.vectors import embed_query


def test_a_model_that_is_still_loading_is_not_waited_for(tmp_path, monkeypatch):
    embedder, loaded = LocalEmbedder(tmp_path), threading.Event()
    monkeypatch.setattr(embedder, "_loaded_tokenizer", loaded.wait)
    monkeypatch.setattr(embedder, "_loaded_session", loaded.wait)
    assert not embedder.wait_ready(0.01)
    told = embed_query("pump", uuid.uuid4(), embedder=embedder, seconds=0.01)
    assert (told.vector, told.problem) == ("", "the model is still being loaded")
    loaded.set()
    assert embedder.wait_ready(10)
