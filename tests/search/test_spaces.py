"""One model takes another's place: nothing is lost on the way, and there is a way back."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from procrastinate.contrib.django.models import ProcrastinateJob

from config.lib import clock
from config.lib.errors import Conflict
from config.lib.scope import workspace_scope
from memory import tasks_recall
from memory.embedding import EmbeddingError, reset_embedder
from memory.models import EmbeddingSpace, GoldenRun, Passage
from memory.models.passage import Lane
from memory.search import dense, funnel, vectors
from memory.services import space_report, spaces
from memory.services.embedding import embed_pending
from memory.services.golden import CHECK_TASK, create_golden
from memory.services.memories import update_memory
from tests.factories import ALICE, make_memory, make_workspace
from tests.search.asking import ask_fully, embed_all
from tests.search.conftest import HashEmbedder
from tests.unit.embedding_endpoint import Behaviour, Endpoint, answer, refusal
from tests.unit.embedding_endpoint import vectors as given

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

NOTES = [f"The {word} in greenhouse {n} was watered." for n in range(4)
         for word in ("fern", "palm", "orchid", "cactus", "moss")]  # fmt: skip


def other(width: int = 384, model: str = "other") -> HashEmbedder:
    made = HashEmbedder()
    made.model, made.dimensions = model, width
    return made


@pytest.fixture
def workspace(db):
    return make_workspace("greenhouse")


@pytest.fixture
def models(embedder, monkeypatch) -> dict[str, Any]:
    """Every model there is, by its name, wherever the product looks for one."""
    known: dict[str, Any] = {"hash": embedder}

    def find(configured, *, provider, model, dimensions):
        if configured is None:
            return None
        if model not in known:
            raise EmbeddingError(f"no setting says where the model {provider} {model} is")
        return known[model]

    for place in ("memory.search.vectors", "memory.services.embedding"):
        monkeypatch.setattr(f"{place}.embedder_for", find)
    monkeypatch.setattr("memory.management.commands.reembed.embedder_for", find)
    monkeypatch.setattr("memory.management.commands.reembed.get_embedder", lambda: embedder)
    return known


def fill(workspace, texts=NOTES) -> None:
    with workspace_scope(workspace.id):
        for text in texts:
            make_memory(text)
    embed_all(workspace)


def reembed(*options: str) -> str:
    out = StringIO()
    call_command("reembed", *options, stdout=out)
    vectors.forget()
    return out.getvalue()


def change(model: str = "other", *options: str) -> str:
    return reembed("--provider", "openai", "--model", model, *options)


def states(workspace) -> dict[str, tuple[str, int]]:
    with workspace_scope(workspace.id):
        return {one.model: (one.state, one.slot) for one in EmbeddingSpace.objects.all()}


def counts(workspace) -> tuple[int, int]:
    """Vectors in either slot."""
    with workspace_scope(workspace.id):
        rows = Passage.objects
        return (
            rows.exclude(embedding=None).count(),
            rows.exclude(second_embedding=None).count(),
        )


def whole(workspace, q: str = "fern watered") -> Any:
    """A search that misses nothing and says so."""
    found = ask_fully(workspace, q, limit=50)
    assert (found.semantic_unavailable, found.not_embedded) == (None, 0)
    assert found.legs == ["lexical", "semantic"]
    return found


def test_a_program_reads_how_it_went(workspace, models):
    fill(workspace)
    models["other"] = other()
    found = json.loads(change("other", "--json"))[workspace.slug]
    # All of them are asked, however close in time they were written.
    assert found["compared"]["asked"] == len(NOTES)
    assert (found["refused"], found["golden"]) == (0, [])
    [active, left] = found["spaces"]
    assert (active["model"], active["state"], active["vectors"]) == ("other", "active", len(NOTES))
    assert (left["state"], left["passages"]) == ("retired", len(NOTES))
    status = json.loads(reembed("--status", "--json"))[workspace.slug]
    assert status == {"spaces": found["spaces"]}


def test_it_builds_beside_switches_when_complete_and_goes_back(workspace, models):
    fill(workspace)
    before = [hit.id for hit in whole(workspace).hits]
    models["other"] = other()
    said = change()
    assert "20 of 20 (100%)" in said
    assert "search reads openai" not in said
    assert "of the 10 nearest by test hash (384), 100% are among" in said
    assert states(workspace) == {"hash": ("retired", 1), "other": ("active", 2)}
    assert counts(workspace) == (20, 20)
    assert [hit.id for hit in whole(workspace).hits] == before
    # The query goes to the new model, and so does what is written from now on.
    assert models["other"].batches[-1] == ["fern watered"]
    fill(workspace, ["The heating failed at noon."])
    assert counts(workspace) == (20, 21)
    assert whole(workspace, "heating").hits

    models["hash"].batches.clear()
    said = reembed("--rollback")
    assert models["hash"].batches == [["The heating failed at noon."]]
    assert states(workspace) == {"hash": ("active", 1), "other": ("retired", 2)}
    assert counts(workspace) == (21, 21)
    assert whole(workspace, "heating").hits
    # And forward again, for nothing.
    models["other"].batches.clear()
    reembed("--rollback")
    assert models["other"].batches == []
    assert states(workspace)["other"] == ("active", 2)
    assert change().startswith("greenhouse: search reads test other (384) already")


def pin(workspace, name: str, q: str, *texts: str) -> None:
    with workspace_scope(workspace.id):
        rows = Passage.objects.filter(text__in=texts).values_list("of_memory_id", flat=True)
        request = {"q": q, "mode": "semantic"}
        create_golden(
            actor=ALICE, name=name, request=request, expected=list(rows), within=len(texts)
        )


class Backwards(HashEmbedder):
    """A model that finds what a query does not say."""

    def one(self, text):
        return -super().one(text) if len(text.split()) < 3 else super().one(text)


def test_golden_queries_are_asked_of_both_before_it_switches_and_by_the_job_after(
    workspace, models
):
    fill(workspace)
    assert "golden" not in change("hash")
    ferns = [note for note in NOTES if "fern" in note]
    pin(workspace, "ferns", "fern", *ferns)
    pin(workspace, "moss", "moss in greenhouse 2", "The moss in greenhouse 2 was watered.")
    models["other"] = Backwards()
    models["other"].model = "other"
    said = change("other", "--build-only")
    assert "golden queries (2): recall 1.000 by test hash (384), 0.500 by test other (384)" in said
    assert "1.000 -> 0.000 within 4  ferns; lost: " in said
    assert "within 1  moss" not in said
    # Nothing of it is kept, and search still reads the first.
    with workspace_scope(workspace.id):
        assert not GoldenRun.objects.exists()
    assert states(workspace)["hash"] == ("active", 1)
    jobs = ProcrastinateJob.objects.filter(
        task_name=CHECK_TASK, args__workspace_id=str(workspace.id)
    )
    assert not jobs.exists()
    change("other")
    (job,) = jobs
    assert job.args == {"workspace_id": str(workspace.id), "reason": "reembed"}
    tasks_recall.ask_golden_queries(**job.args)
    with workspace_scope(workspace.id):
        run = GoldenRun.objects.get()
        assert (run.reason, run.space, run.recall) == ("reembed", "test other (384)", 0.5)
    said = reembed("--rollback")
    assert "recall 0.500 by test other (384), 1.000 by test hash (384)" in said
    assert "0.000 -> 1.000 within 4  ferns; gained: " in said


def test_a_model_that_is_gone_leaves_golden_queries_uncompared(workspace, models):
    fill(workspace)
    pin(workspace, "ferns", "fern", NOTES[0])
    models["other"] = other()
    del models["hash"]
    said = change()
    assert "golden queries are not compared: no setting says where the model" in said
    assert states(workspace)["other"] == ("active", 2)


def test_search_is_whole_at_every_moment_of_it(workspace, models, monkeypatch):
    """Asked before each batch of the second model, with something new written each time."""
    monkeypatch.setattr(spaces, "FILLED_AT_ONCE", 5)
    fill(workspace)
    models["other"] = made = other()
    seen = []

    def meanwhile(batch):
        made.before = lambda batch: None
        vectors.forget()
        fill(workspace, [f"News {len(seen)} of the fern."])
        seen.append(len(whole(workspace, "fern").hits))
        made.before = meanwhile

    made.before = meanwhile
    change("other", "--build-only")
    assert len(seen) >= 4
    assert seen == list(range(21, 21 + len(seen)))
    made.before = lambda batch: None
    assert states(workspace) == {"hash": ("active", 1), "other": ("building", 2)}
    # What came meanwhile is in both.
    first, second = counts(workspace)
    assert first == second == 20 + len(seen)
    change()
    assert len(whole(workspace, "fern").hits) == 20 + len(seen)


def test_the_job_embeds_in_the_active_space_first_and_then_in_the_other(workspace, models):
    fill(workspace)
    models["other"] = other()
    change("other", "--build-only")
    order = []
    models["hash"].before = lambda batch: order.append("hash")
    models["other"].before = lambda batch: order.append("other")
    fill(workspace, ["The heating failed at noon."])
    assert order == ["hash", "other"]
    assert counts(workspace) == (21, 21)

    def down(batch):
        raise EmbeddingError("the second endpoint is down", retryable=True)

    # What fails in the other harms nothing in the active one.
    models["other"].before = down
    fill(workspace, ["The heating works again."])
    assert counts(workspace) == (22, 21)
    assert whole(workspace, "heating").hits
    models["other"].before = lambda batch: None
    change()
    assert counts(workspace) == (22, 22)


def test_a_third_model_takes_the_place_of_the_one_that_was_left(workspace, models, monkeypatch):
    monkeypatch.setattr(spaces, "LEFT_READABLE", timedelta(0))
    fill(workspace)
    models["other"], models["third"] = other(), other(model="third")
    change()
    change("third")
    assert states(workspace) == {"other": ("retired", 2), "third": ("active", 1)}
    assert len(whole(workspace).hits) > 0
    with pytest.raises(CommandError, match="no setting says where the model"):
        change("fourth")
    assert "forgot test other (384) with 20 vectors" in reembed("--drop")
    assert states(workspace) == {"third": ("active", 1)}
    assert counts(workspace) == (20, 0)
    with pytest.raises(CommandError, match="no space to go back to"):
        reembed("--rollback")
    assert "active    test third (384): 20 of 20 passages" in reembed("--status")


def test_a_query_made_for_the_model_of_before_is_still_answered(workspace, models):
    """Another process may keep for some seconds which space is active."""
    fill(workspace)
    old = vectors.embed_query("fern watered", workspace.id)
    models["other"] = other()
    change()
    from memory.search.funnel import search
    from memory.search.schemas import SearchQuery

    with workspace_scope(workspace.id):
        found = search(query=SearchQuery(q="fern watered"), query_vector=old)
        assert (found.legs, found.semantic_unavailable) == (["lexical", "semantic"], None)
        EmbeddingSpace.objects.filter(model="hash").update(
            switched_at=clock.now() - timedelta(minutes=5)
        )
        found = search(query=SearchQuery(q="fern watered"), query_vector=old)
    assert found.semantic_unavailable == (
        "the index holds vectors of test other (384), the query has one of test hash (384)"
    )


def test_switched_at_once_the_rest_is_found_by_words_and_embedded_by_the_job(workspace, models):
    fill(workspace)
    models["other"] = other()
    said = change("other", "--switch")
    assert "what is missing is queued" in said
    found = ask_fully(workspace, "fern watered", limit=50)
    assert found.not_embedded == 20
    assert len(found.hits) == 20
    embed_all(workspace)
    assert counts(workspace) == (20, 20)
    whole(workspace)


def test_another_length_gets_an_index_of_its_own(
    workspace, models, database_server, settings, monkeypatch
):
    settings.OWNER_URL = owner_url(database_server)
    fill(workspace)
    models["other"] = other(width=96)
    said = change("other", "--dimensions", "96")
    try:
        assert "making the index passage_vectors_2_96" in said
        with workspace_scope(workspace.id):
            space = EmbeddingSpace.objects.get(model="other")
            place = dense.place_of(space.id)
            assert dense.is_indexed(place)
            found = dense._approximate(
                vectors.as_text(list(models["other"].one("fern"))),
                space.id, 200, dense.Filter(), "", 20,
            )  # fmt: skip
            plan = plan_of(place, space.id)
        assert len(found) == 20
        assert "passage_vectors_2_96" in plan
        with monkeypatch.context() as patched:
            # Both legs, by that index, in one statement.
            patched.setattr(dense, "_compare_all", lambda *_: False)
            patched.setattr(dense, "nearest", None)
            patched.setattr(funnel, "LEAST_CANDIDATES", 10)
            hybrid = ask_fully(workspace, "fern watered", limit=3)
        assert hybrid.legs == ["lexical", "semantic"]
        assert [hit.id for hit in hybrid.hits] == [
            hit.id for hit in ask_fully(workspace, "fern watered", limit=3).hits
        ]
        assert space_report.make_index(space) == ""
    finally:
        run_as_owner(settings.OWNER_URL, "DROP INDEX passage_vectors_2_96")
    dense.forget_indexes()
    # Without one, all are compared.
    whole(workspace)
    assert "no index: searches compare all" in reembed("--status")


def plan_of(place, space_id) -> str:
    vector = "[" + ",".join(["0.1"] * 96) + "]"
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off")
        cursor.execute(
            "EXPLAIN SELECT p.id FROM memory_passage p WHERE p.workspace_id = "
            "current_setting('app.workspace')::uuid AND p.second_space_id = %s "
            "AND vector_dims(p.second_embedding) = 96 "
            "ORDER BY p.second_embedding::halfvec(96) <=> %s::halfvec(96) LIMIT 5",
            [space_id, vector],
        )
        return "\n".join(line for (line,) in cursor.fetchall())


def owner_url(urls) -> str:
    from urllib.parse import urlsplit

    return urlsplit(urls.owner)._replace(path=f"/{connection.settings_dict['NAME']}").geturl()


def run_as_owner(url: str, statement: str) -> None:
    import psycopg

    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute(statement)


def test_an_unfinished_index_is_made_anew(workspace, models, database_server, settings):
    settings.OWNER_URL = url = owner_url(database_server)
    fill(workspace)
    models["other"] = other(width=64)
    change("other", "--dimensions", "64", "--build-only")
    run_as_owner(url, "DROP INDEX passage_vectors_2_64")
    # As a killed CREATE INDEX CONCURRENTLY leaves it: there is a row too many for this one.
    with pytest.raises(Exception, match="could not create unique index"):
        run_as_owner(
            url,
            "CREATE UNIQUE INDEX CONCURRENTLY passage_vectors_2_64 "
            "ON memory_passage (workspace_id)",
        )
    dense.forget_indexes()
    try:
        assert "making the index passage_vectors_2_64" in change("other", "--dimensions", "64")
        assert "no index" not in reembed("--status")
    finally:
        run_as_owner(url, "DROP INDEX passage_vectors_2_64")


def test_without_the_owners_login_it_says_what_the_owner_runs(workspace, models, settings):
    settings.OWNER_URL = None
    fill(workspace)
    models["other"] = other(width=32)
    said = change("other", "--dimensions", "32")
    assert "CREATE INDEX CONCURRENTLY passage_vectors_2_32 ON memory_passage" in said
    whole(workspace)


def test_a_changed_memory_keeps_both_vectors_of_what_did_not_change(workspace, models):
    parts = [f"## Part {n}\n\n" + f"The gardener wrote entry {n}. " * 20 for n in range(4)]
    with workspace_scope(workspace.id):
        memory = make_memory("\n\n".join(parts))
    embed_all(workspace)
    models["other"] = other()
    change("other", "--build-only")
    for made in models.values():
        made.batches.clear()
    with workspace_scope(workspace.id):
        text = "\n\n".join(["## News\n\n" + "The pump was replaced today. " * 20, *parts[:3]])
        update_memory(actor=ALICE, memory_id=memory.id, changes={"text": text})
    embed_all(workspace)
    for made in models.values():
        ((only,),) = made.batches
        assert only.startswith("## News")


def test_what_the_second_model_refuses_does_not_stop_it(workspace, models):
    fill(workspace, [*NOTES[:4], "poison"])
    models["other"] = made = other()

    def refuse(batch):
        if "poison" in batch:
            raise EmbeddingError("refused")

    made.before = refuse
    said = change()
    assert "1 refused by the provider" in said
    with workspace_scope(workspace.id):
        row = Passage.objects.get(text="poison")
        assert (row.lane, row.second_embedding) == (Lane.REFUSED, None)
    found = ask_fully(workspace, "poison")
    assert found.not_embedded == 1
    assert found.hits[0].text == "poison"
    # It has its vector in the space that was left, and so on the way back.
    reembed("--rollback")
    whole(workspace, "poison")


def test_two_at_once_and_writers_leave_nothing_out(workspace, models):
    fill(workspace)
    models["other"] = other()
    problems = []

    def run(work: Callable[[], Any]) -> threading.Thread:
        def body() -> None:
            try:
                work()
            except Exception as error:  # told by the test
                problems.append(error)
            finally:
                connection.close()

        thread = threading.Thread(target=body)
        thread.start()
        return thread

    threads = [run(lambda: change("other", "--build-only")) for _ in range(2)]
    threads += [run(lambda n=n: fill(workspace, [f"Note {n}.{m}" for m in range(10)]))
                for n in range(2)]  # fmt: skip
    for thread in threads:
        thread.join()
    assert problems == []
    change()
    assert counts(workspace) == (40, 40)
    whole(workspace)


def test_a_third_cannot_begin_while_a_second_is_being_built(workspace, models):
    fill(workspace)
    models["other"], models["third"] = other(), other(model="third")
    change("other", "--build-only")
    with pytest.raises(CommandError, match=r"test other \(384\) is being built"):
        change("third")
    reembed("--drop")
    change("third")
    assert states(workspace) == {"hash": ("retired", 1), "third": ("active", 2)}


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ([], "name the model"),
        (["--provider", "openai"], "name the model"),
        (["--rollback", "--model", "x"], "take no --provider or --model"),
        (["--status", "--workspace", "nowhere"], "nowhere"),
    ],
)
def test_what_makes_no_sense_is_said(workspace, models, options, why):
    with pytest.raises(CommandError, match=why):
        reembed(*options)


def test_the_active_space_is_not_given_up(workspace, models):
    fill(workspace)
    with workspace_scope(workspace.id):
        active = EmbeddingSpace.objects.get()
    with pytest.raises(Conflict):
        spaces.give_up(workspace.id, active.id)


# --- A real endpoint that misbehaves -----------------------------------------------------------


@contextmanager
def endpoint(settings) -> Iterator[Endpoint]:
    """The second endpoint of the settings."""
    reset_embedder()
    made = Endpoint()
    settings.EMBEDDING_OTHER_MODEL = "nomic"
    settings.EMBEDDING_OTHER_URL = made.url
    settings.EMBEDDING_OTHER_API_KEY = "sk-other"
    try:
        yield made
    finally:
        made.close()
        reset_embedder()


def hangs_up(endpoint: Endpoint, request: dict[str, Any]) -> None:
    """No answer at all."""


@pytest.fixture
def configured(embedder, monkeypatch):
    """The settings' own provider; every other comes from the settings as they are."""
    monkeypatch.setattr("memory.management.commands.reembed.get_embedder", lambda: embedder)
    return embedder


def nomic(*options: str) -> str:
    return reembed("--provider", "openai", "--model", "nomic", "--dimensions", "4", *options)


@pytest.mark.parametrize(
    ("behaviour", "why"),
    [
        (refusal(503, "overloaded"), "answered 503: overloaded"),
        (refusal(429, "slow down", retry_after="0"), "answered 429: slow down"),
        (hangs_up, "cannot be reached"),
    ],
    ids=["down", "rate limited", "hangs up"],
)
def test_an_endpoint_that_fails_for_a_while_is_waited_for(
    workspace, configured, settings, monkeypatch, behaviour: Behaviour, why
):
    slept: list[float] = []
    monkeypatch.setattr("memory.endpoints.calls.BACKOFF_SECONDS", 0.001)
    monkeypatch.setattr(
        spaces.fill, "__kwdefaults__", {**(spaces.fill.__kwdefaults__ or {}), "sleep": slept.append}
    )
    fill(workspace)
    with endpoint(settings) as server:
        # Two rounds of the four attempts that one call makes.
        server.script = [behaviour] * 8
        said = nomic()
        assert server.headers[-1]["authorization"] == "Bearer sk-other"
        assert said.count(why) == 2
        assert slept == [1.0, 2.0]
        assert counts(workspace) == (20, 20)
        whole(workspace)


@pytest.mark.parametrize(
    ("behaviour", "why"),
    [
        (given([1.0] * 4, [2.0] * 4), "2 vectors for 1 texts"),
        (lambda e, r: given(*[[1.0, 2.0, 3.0]] * len(r["input"]))(e, r), "vectors of 3 numbers"),
        (lambda e, r: given(*[[0.0] * 4] * len(r["input"]))(e, r), "a vector that is zero"),
        (lambda e, r: given(*[[float("nan")] * 4] * len(r["input"]))(e, r), "is not finite"),
        (lambda e, r: given(*[[1e400] * 4] * len(r["input"]))(e, r), "is not finite"),
        (answer({"data": "?"}), "list of embeddings"),
        (refusal(401), "answered 401"),
    ],
    ids=["count", "dimension", "zero", "nan", "infinite", "no list", "wrong key"],
)
def test_what_is_no_vector_is_never_stored_and_search_goes_on(
    workspace, configured, settings, behaviour: Behaviour, why
):
    fill(workspace)
    with endpoint(settings) as server:
        server.script = [behaviour] * 100
        with pytest.raises(CommandError, match=why):
            nomic()
        assert counts(workspace) == (20, 0)
        assert states(workspace) == {"hash": ("active", 1), "nomic": ("building", 2)}
        whole(workspace)
        # Mended, the same command goes on.
        server.script = []
        nomic()
        assert counts(workspace) == (20, 20)
        whole(workspace)


def test_search_falls_back_to_words_while_the_active_endpoint_is_down(
    workspace, configured, settings, monkeypatch
):
    monkeypatch.setattr("memory.endpoints.calls.BACKOFF_SECONDS", 0.001)
    fill(workspace)
    with endpoint(settings) as server:
        nomic()
        whole(workspace)
        server.script = [refusal(503, "overloaded")] * 100
        vectors.forget()
        found = ask_fully(workspace, "fern watered")
        assert found.legs == ["lexical"]
        assert "answered 503: overloaded" in found.semantic_unavailable
        assert found.hits
        asked = len(server.requests)
        ask_fully(workspace, "palm watered")
        assert len(server.requests) == asked, "it is left alone for a while"
        with workspace_scope(workspace.id):
            make_memory("The heating failed at noon.")
        with pytest.raises(EmbeddingError):
            embed_pending(workspace.id, seconds=5)
        found = ask_fully(workspace, "heating")
        assert (found.not_embedded, len(found.hits)) == (1, 1)
    # Back to the other, which needs no endpoint.
    reembed("--rollback")
    whole(workspace, "heating")
