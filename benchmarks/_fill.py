"""Fills workspaces with texts and vectors: through the services, or at scale by COPY (_bulk.py).

The texts come as a stream, so memory stays the same at any number. Each workspace has sessions of
THREADS_PER_SESSION threads of PER_THREAD messages.
"""

import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

from benchmarks._bulk import Streams, same_as_services, streams, without_large_indexes
from benchmarks._server import Bench, make_workspace
from benchmarks._texts import texts, topics_in
from benchmarks._vectors import PAIRS, SAMPLE, Stored, Vectors

PER_THREAD = 500
THREADS_PER_SESSION = 4
# Up to here the services fill within half a minute.
MOST_BY_SERVICES = 20_000
COMPARED = 200
# pgvector's build is slow once the graph has no room: about 1.7 kB a vector of 384, and some.
BUILD_BYTES = 3000
LEAST_BUILD_MB, MOST_BUILD_MB = 256, 4096


@dataclass(frozen=True)
class Home:
    """A workspace that is filled and asked."""

    workspace_id: uuid.UUID
    token: str
    texts: int


def shares(total: int, homes: int) -> list[int]:
    """Sizes like those of real workspaces, the largest first: the k-th has 1/k of the first's
    (Zipf's law), one text at least; together `total`."""
    weights = [1 / (k + 1) for k in range(homes)]
    scale = max(0, total - homes) / sum(weights)
    sizes = [1 + int(scale * weight) for weight in weights]
    rest = total - sum(sizes)
    return [size + (k < rest) for k, size in enumerate(sizes)]


def fill(
    bench: Bench, count: int, *, homes: int = 1, bulk: bool = False, real: int = SAMPLE
) -> "Filled":
    """`count` texts over so many workspaces, `real` of them embedded by the model, with what that
    took."""
    sizes = shares(count, homes)
    made = [Home(bench.workspace_id, bench.token, sizes[0])]
    made += [Home(*make_workspace(f"home-{n}"), size) for n, size in enumerate(sizes[1:], 2)]
    stream = texts(count)
    sample = list(islice(stream, real))
    again = list(islice(texts(count, seed=8), min(PAIRS, real, topics_in(count))))
    vectors = Vectors(real_embedder(), sample, again, topics_in(count))
    told: dict[str, Any] = {
        "messages": count,
        "workspaces": homes,
        "largest_workspace": sizes[0],
        "median_workspace": sizes[len(sizes) // 2],
        "filled_by": "copy" if bulk else "services",
        "real_vectors": len(sample),
        "topics": topics_in(count),
        "model_texts_per_s": round(vectors.rate),
        "cosine_within_topic": {
            "real": round(vectors.real_cosine, 3),
            "made": round(vectors.made_cosine(), 3),
        },
    }
    filled = Filled(bench, made, vectors, told)
    source = chain(sample, stream)
    if bulk:
        filled.by_copy(source)
    else:
        filled.by_services(source)
    return filled


class Filled:
    """The workspaces that were filled. `told` is what the fill took, for the output."""

    def __init__(
        self, bench: Bench, homes: Sequence[Home], vectors: Vectors, told: dict[str, Any]
    ) -> None:
        self.bench, self.homes, self.vectors, self.told = bench, homes, vectors, told
        self.actor = import_actor()

    def by_services(self, source: Iterator[tuple[int, str]]) -> None:
        """As an import would, and its vectors as the job writes them, indexes in place."""
        begun, topics, count = time.perf_counter(), dict[str, int](), 0
        for home in self.homes:
            for part in threads_of(self.actor, home, islice(source, home.texts)):
                topics |= {text: topic for topic, text in part.texts}
                part.append()
                count += len(part.texts)
        filled = time.perf_counter() - begun
        begun = time.perf_counter()
        embedded = self._embed_rest(topics)
        self.told |= {
            "passages": embedded,
            "messages_per_s": round(count / filled),
            "vectors_stored_per_s": round(embedded / (time.perf_counter() - begun)),
        }

    def by_copy(self, source: Iterator[tuple[int, str]]) -> None:
        """The same rows, at scale. The first of them are written by the services as well, into a
        workspace of their own, and compared."""
        first = list(islice(source, min(COMPARED, self.homes[0].texts)))
        source = chain(first, source)
        memory = self.told["messages"] * BUILD_BYTES // 2**20
        memory = min(MOST_BUILD_MB, max(LEAST_BUILD_MB, memory))
        indexes: dict[str, Any] = {}
        self._compare(first)
        begun = time.perf_counter()
        with without_large_indexes(self.bench, memory, indexes):
            with streams(self.bench) as into:
                for home in self.homes:
                    space = self._space(home)
                    for part in threads_of(self.actor, home, islice(source, home.texts)):
                        part.copy(into, space, self.vectors)
            copied = time.perf_counter() - begun
            others = self._embed_rest({})
        self.told |= {
            "passages": into.passages + others,
            "messages_per_s": round(into.messages / copied),
            "indexes_built": indexes,
        }

    def _compare(self, first: Sequence[tuple[int, str]]) -> None:
        """The first texts by either way, in two workspaces that nobody asks."""
        topics = {text: topic for topic, text in first}
        ways = [Home(*make_workspace(f"way-{n}"), len(first)) for n in ("services", "copy")]
        with streams(self.bench) as into:
            for part in threads_of(self.actor, ways[1], iter(first)):
                part.copy(into, self._space(ways[1]), self.vectors)
        for part in threads_of(self.actor, ways[0], iter(first)):
            part.append()
        self._embed_rest(topics, ways)
        self.told["rows_compared_with_services"] = same_as_services(
            self.bench, ways[0].workspace_id, ways[1].workspace_id, self.vectors.known
        )

    def _space(self, home: Home) -> uuid.UUID:
        from config.lib.scope import workspace_scope
        from memory.services.embedding import ensure_space

        stored: Any = Stored(real_embedder(), self.vectors, {})
        with workspace_scope(home.workspace_id):
            return ensure_space(stored).id

    def _embed_rest(self, topics: dict[str, int], homes: Sequence[Home] = ()) -> int:
        """By the job's own function; how many."""
        from django.db import connection

        from memory.services.embedding import embed_pending

        stored: Any = Stored(real_embedder(), self.vectors, topics)
        count = 0
        for home in homes or self.homes:
            count += embed_pending(home.workspace_id, seconds=3600, embedder=stored).embedded
        connection.close()
        return count


def import_actor() -> Any:
    from config.lib.actor import Actor

    return Actor(kind="import", id="benchmark", label="benchmark", channel="import")


def import_texts(home: Home, source: Iterable[tuple[int, str]]) -> None:
    """Through the services; what waits for its vector is the job worker's."""
    for part in threads_of(import_actor(), home, source):
        part.append()


def threads_of(actor: Any, home: Home, source: Iterable[tuple[int, str]]) -> Iterator["Part"]:
    """New threads, each with the texts that belong into it."""
    from django.db import connection

    from config.lib.scope import workspace_scope
    from contacts.services.agents import ensure_agent
    from sessions.services.sessions import create_session
    from sessions.services.threads import create_thread

    source, number, session = iter(source), 0, None
    while part := list(islice(source, PER_THREAD)):
        # Plans of a connection that saw the tables empty would stay bad for its whole life.
        connection.close()
        with workspace_scope(home.workspace_id):
            if number % THREADS_PER_SESSION == 0:
                agent = ensure_agent(actor=actor, name="benchmark")
                name = f"Session {number // THREADS_PER_SESSION + 1}"
                session, _ = create_session(actor=actor, agent=agent, name=name)
            assert session is not None
            thread = create_thread(actor=actor, session_id=session.id)
        number += 1
        yield Part(actor, home.workspace_id, thread.id, part)
    connection.close()


class Part:
    """A thread and the texts that become its messages."""

    def __init__(
        self,
        actor: Any,
        workspace_id: uuid.UUID,
        thread_id: uuid.UUID,
        texts: Sequence[tuple[int, str]],
    ) -> None:
        self.actor, self.workspace_id, self.thread_id = actor, workspace_id, thread_id
        self.texts = texts

    def append(self) -> None:
        from config.lib.scope import workspace_scope
        from sessions.services.threads import append_messages

        with workspace_scope(self.workspace_id):
            append_messages(
                actor=self.actor, thread_id=self.thread_id, messages=self._new_messages()
            )

    def copy(self, into: Streams, space_id: uuid.UUID, vectors: Vectors) -> None:
        """What append_messages does, but for who inserts the rows."""
        from config.lib import clock
        from config.lib.scope import workspace_scope
        from memory.services.passages import lane_of
        from memory.services.sources import of_messages
        from sessions.services import threads

        now = clock.now()
        with workspace_scope(self.workspace_id):
            thread = threads._locked([self.thread_id])[self.thread_id]
            rows = [
                threads._row(thread, message, idx, now)
                for idx, message in enumerate(self._new_messages())
            ]
            threads._count([(thread, rows)], now, self.actor, spoken=False)
            passages = of_messages(rows, lane_of(rows, self.actor))
        topics = dict(zip((row.id for row in rows), (t for t, _ in self.texts), strict=True))
        made = vectors.make([topics[p["of"]] for p in passages], [p["text"] for p in passages])
        into.write(rows, passages, made, space_id)

    def _new_messages(self) -> list[Any]:
        from sessions.services.threads import NewMessage

        return [NewMessage(role="user", content=text) for _, text in self.texts]


def real_embedder() -> Any:
    from memory.embedding import get_embedder

    return get_embedder()
