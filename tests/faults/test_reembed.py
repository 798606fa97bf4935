"""`manage.py reembed` as a process of its own, killed in the middle and run again."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.db import connection

from config.embedded.temporary import TemporaryUrls
from config.lib.scope import workspace_scope
from contacts.models import Workspace
from memory.embedding.openai import OpenAIEmbedder
from memory.models import EmbeddingSpace, Passage
from memory.services.embedding import embed_pending
from memory.services.memories import NewMemory, create_memories
from tests.factories import ALICE
from tests.faults.serving import PATIENCE, PROJECT
from tests.unit.embedding_endpoint import Endpoint, well_behaved

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

PASSAGES = 400


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    made = Endpoint()
    yield made
    made.close()


def started(urls: TemporaryUrls, endpoint: Endpoint, *options: str) -> subprocess.Popen[str]:
    url = urlsplit(urls.runtime)._replace(path=f"/{connection.settings_dict['NAME']}").geturl()
    command = ["reembed", "--provider", "openai", "--model", "second", *options]
    return subprocess.Popen(
        [sys.executable, "manage.py", *command],
        cwd=PROJECT,
        env={
            "PATH": os.environ["PATH"],
            "HOME": os.environ.get("HOME", "/"),
            "DATABASE_URL": url,
            "SECRET_KEY": "not a secret at all, but as long as one has to be " * 2,
            "REMEMBRANCER_EMBEDDING_PROVIDER": "openai",
            "REMEMBRANCER_EMBEDDING_URL": endpoint.url,
            "REMEMBRANCER_EMBEDDING_MODEL": "first",
            "REMEMBRANCER_EMBEDDING_DIMENSIONS": "4",
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def state(workspace: Workspace) -> dict[str, tuple[str, int]]:
    """model -> (state, vectors)."""
    with workspace_scope(workspace.id):
        rows = Passage.objects
        vectors = {
            1: rows.exclude(embedding=None).count(),
            2: rows.exclude(second_embedding=None).count(),
        }
        return {one.model: (one.state, vectors[one.slot]) for one in EmbeddingSpace.objects.all()}


def test_killed_again_and_again_it_goes_on_and_completes(workspace, database_server, endpoint):
    first = OpenAIEmbedder(url=endpoint.url, model="first", dimensions=4)
    with workspace_scope(workspace.id):
        texts = [NewMemory(text=f"Note {n} of the greenhouse.") for n in range(PASSAGES)]
        create_memories(actor=ALICE, new=texts)
    while embed_pending(workspace.id, seconds=60, embedder=first).waiting is not None:
        continue
    first.close()
    assert state(workspace) == {"first": ("active", PASSAGES)}

    reached = 0
    for _ in range(2):
        running: list[subprocess.Popen[str]] = []

        def kill(_: Endpoint, __: dict[str, Any], running: list[Any] = running) -> None:
            running[0].send_signal(signal.SIGKILL)
            running[0].wait()

        # 128 texts are stored at once, asked for in four requests.
        endpoint.script = [well_behaved] * 6 + [kill]
        endpoint.requests.clear()
        running.append(started(database_server, endpoint))
        output, _ = running[0].communicate(timeout=PATIENCE)
        assert running[0].returncode == -signal.SIGKILL, output
        found = state(workspace)
        assert found["first"] == ("active", PASSAGES)
        assert found["second"] == ("building", reached + 128)
        reached += 128

    endpoint.script = []
    endpoint.requests.clear()
    last = started(database_server, endpoint)
    output, _ = last.communicate(timeout=PATIENCE)
    assert last.returncode == 0, output
    assert state(workspace) == {"first": ("retired", PASSAGES), "second": ("active", PASSAGES)}
    # What had its vector was not asked for again.
    assert sum(len(one["input"]) for one in endpoint.requests) == PASSAGES - reached
    assert f"{reached} of {PASSAGES} passages are there" in output
    assert "search reads openai second (4) now" in output
