"""What ranking is told of rows is what stands in the tables: counted here in Python once more."""

import math
import random
import uuid
from datetime import UTC, datetime

import numpy as np
import pytest
from django.db import connection

from config.lib import clock
from config.lib.scope import workspace_scope
from contacts.services import funnel
from memory.models import EmbeddingSpace, Passage
from memory.models.passage import PassageKind
from memory.search import dense, lexical, rows
from memory.search.corpus import corpus
from memory.search.filters import Filter
from memory.search.ground import look_around
from memory.search.parse import Parsed
from memory.search.ranking import FIGURES, Row
from memory.search.rows import Meaning, gather
from memory.search.vectors import as_text
from sessions.services.threads import NewMessage, append_messages
from tests.factories import ALICE, make_memory, make_session, make_thread, make_workspace
from tests.search.asking import ask_fully, embed_all
from tests.search.test_lexical import reference

LIVE = Filter(states=["active"])
WORDS = ["alder", "birch", "cedar", "dogwood", "elder", "fir", "gorse", "hazel", "iris", "juniper"]
RARE = ["kale", "larch", "maple", "nettle", "oak", "pear", "quince", "rowan", "sorrel", "thyme"]


@pytest.mark.django_db
def test_the_functions_know_every_kind_of_row():
    """They list the kinds once more: a migration that adds one has to make them anew."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT proname, prosrc FROM pg_proc WHERE proname = 'search_details' "
            "OR proname ~ '^search_rows_(of_its_own|[0-9]+)$'"
        )
        found = dict(cursor.fetchall())
    assert len(found) == 6
    for name, body in found.items():
        for kind in PassageKind:
            assert f"of_{kind.value}_id" in body, name
            # The parts of a row are looked for kind by kind.
            assert name == "search_details" or f"r.kind = '{kind.value}'" in body, name


@pytest.fixture
def grove(workspace, embedder):
    """Two threads of short messages, some of them questions, one long, and some memories."""
    dice = random.Random(7)
    with workspace_scope(workspace.id):
        session = make_session()
        for _ in range(2):
            thread = make_thread(session)
            said = [
                " ".join(dice.choices(WORDS, k=dice.randint(2, 9))) + dice.choice(["", "?"])
                for _ in range(30)
            ]
            said[12] = " ".join(dice.choices(WORDS, k=900))
            messages = [NewMessage(role="user", content=text) for text in said]
            append_messages(actor=ALICE, thread_id=thread.id, messages=messages)
        for _ in range(5):
            make_memory(" ".join(dice.choices(WORDS, k=20)))
        make_memory(" ".join(RARE))
    embed_all(workspace)
    return workspace


class Told:
    """A search's rows with the figures by name, and the passages as the tables have them."""

    def __init__(self, workspace, embedder, q, narrowed=LIVE, **changed):
        with workspace_scope(workspace.id):
            figures = corpus()
            self.words = lexical.analyse(look_around(Parsed(q)))
            self.bm25 = {uuid.UUID(key): score for key, score in reference(q).items()}
            self.passages = list(Passage.objects.all())
            self.asked, self.keywords = embedder.one(q), embedder.one(q.split()[0])
            near = sorted(self.passages, key=lambda p: -self.cosine(p, self.asked))[:8]
            found = gather(
                [str(passage.pk) for passage in near],
                meaning=Meaning(
                    as_text(self.asked.tolist()),
                    as_text(self.keywords.tolist()),
                    EmbeddingSpace.objects.get().pk,
                ),
                words=self.words,
                figures=figures,
                narrowed=narrowed,
                **({"most": 10, "wanted": 10} | changed),
            )
        self.rows = [Row(uuid.UUID(r.passage), uuid.UUID(r.source), r.text) for r in found.rows]
        self.figures = {
            row.source: dict(zip(FIGURES, line.tolist(), strict=True))
            for row, line in zip(self.rows, found.figures, strict=True)
        }

    def cosine(self, passage, vector):
        return float(np.array(passage.embedding) @ vector)

    def of(self, source):
        return [p for p in self.passages if source in (p.of_message_id, p.of_memory_id)]

    def at(self, thread, idx):
        return [p for p in self.passages if p.thread_id == thread and p.idx == idx and p.chunk < 2]

    def share(self, passages):
        return max((self.bm25.get(p.pk, 0.0) for p in passages), default=0.0) / self.words.ideal


def close(value):
    return pytest.approx(value, abs=2e-3)  # vectors are kept in half precision


QUERIES = {
    "two words": "alder birch",
    "four": "gorse hazel iris cedar",
    "one": "juniper",
    "one unheard": "fir unheard",
    "eight": " ".join(WORDS[:8]),
    "ten": " ".join(WORDS),
    "twenty": " ".join(WORDS + RARE),
}
EARLIER = datetime(2000, 1, 1, tzinfo=UTC)
# All let everything through. For the last a statement of its own is made.
FILTERS = {
    "live": LIVE,
    "kinds": Filter(states=["active"], kinds=["message", "memory"], after=EARLIER),
    "known": Filter(states=["active"], known_at=datetime(2100, 1, 1, tzinfo=UTC)),
}


@pytest.mark.parametrize("narrowed", FILTERS.values(), ids=FILTERS)
@pytest.mark.parametrize("q", QUERIES.values(), ids=QUERIES)
def test_every_figure_is_that_of_the_tables(grove, embedder, q, narrowed):
    # The parts of the two long messages would be all of the ten best.
    told = Told(grove, embedder, q, narrowed, most=40)
    assert len(told.rows) > 12
    known_neighbours = 0
    for row in told.rows:
        mine, figure = told.of(row.source), told.figures[row.source]
        best = next(p for p in mine if p.pk == row.passage)
        assert row.text == best.text
        assert figure["bm25"] == pytest.approx(told.bm25.get(row.passage, 0.0))
        assert figure["cosine"] == close(told.cosine(best, told.asked))
        assert figure["occurred_at"] == pytest.approx(best.occurred_at.timestamp())
        assert figure["chunks"] == len(mine)
        assert figure["length"] == sum(p.token_count for p in mine)
        assert figure["opening_meaning"] == close(
            told.cosine(next(p for p in mine if p.chunk == 0), told.asked)
        )
        if len(mine) == 1:
            assert figure["words"] == pytest.approx(told.share(mine))
            assert figure["meaning"] == close(told.cosine(best, told.asked))
            assert figure["keyword_meaning"] == close(told.cosine(best, told.keywords))
        assert 0 <= figure["coverage"] <= 1
        assert (figure["coverage"] > 0) == (figure["bm25"] > 0)
        assert math.isnan(figure["thread"]) == (best.thread_id is None)
        if best.thread_id is None or len(mine) > 1:
            continue
        before, second, after = (told.at(best.thread_id, best.idx + step) for step in (-1, -2, 1))
        assert math.isnan(figure["before_words"]) == (not before)
        if before:
            known_neighbours += 1
            assert figure["before_words"] == pytest.approx(told.share(before))
            assert figure["before_meaning"] == close(
                max(told.cosine(p, told.asked) for p in before)
            )
            assert figure["before_keywords"] == close(
                max(told.cosine(p, told.keywords) for p in before)
            )
            assert figure["before_asks"] == any(p.text.endswith("?") for p in before)
        if second:
            assert figure["second_before_words"] == pytest.approx(told.share(second))
        if after:
            assert figure["after_words"] == pytest.approx(told.share(after))
            assert figure["after_keywords"] == close(
                max(told.cosine(p, told.keywords) for p in after)
            )
    assert known_neighbours > 5
    threads = {p.pk: p.thread_id for p in told.passages}
    assert len({told.figures[r.source]["thread"] for r in told.rows if threads[r.passage]}) == len(
        {threads[r.passage] for r in told.rows if threads[r.passage]}
    )


def test_the_best_rows_neighbours_are_candidates_and_pass_the_filter(grove, embedder, monkeypatch):
    monkeypatch.setattr(rows, "LEAST_ROWS", 3)
    monkeypatch.setattr(rows, "MOST_SPREAD", 3)
    told = Told(grove, embedder, "alder birch", most=3, wanted=3)
    places = {p.pk: (p.thread_id, p.idx) for p in told.passages}
    first = [places[row.passage] for row in told.rows[:3]]
    beside = {(thread, idx + step) for thread, idx in first if thread for step in (-1, 1)} - set(
        first
    )
    expected = {place for place in beside if place in places.values()}
    assert expected
    assert {places[row.passage] for row in told.rows[3:]} == expected
    none = Told(grove, embedder, "alder birch", most=3, wanted=3, narrowed=Filter(kinds=["memory"]))
    found = {places[row.passage] for row in none.rows[3:]}
    assert not found


def test_what_is_near_is_found_by_the_index_in_the_same_statement(grove, embedder, monkeypatch):
    """As many as are asked for, the same as by itself; and none where the index has fewer."""
    monkeypatch.setattr(dense, "_compare_all", lambda *_: False)
    told = Told(grove, embedder, "alder birch", most=20, wanted=20)
    with workspace_scope(grove.id):
        figures = corpus()
        space = EmbeddingSpace.objects.get().pk
        meaning = Meaning(as_text(embedder.one("alder birch").tolist()), "", space)
        asked = {
            "meaning": meaning,
            "words": told.words,
            "figures": figures,
            "narrowed": LIVE,
            "wanted": 20,
        }
        width = dense.width_beside(meaning.space_id, figures, LIVE, "", 20)
        assert width == dense.LEAST_EF_BESIDE
        near = dense.nearest(
            meaning.vector,
            space_id=meaning.space_id,
            figures=figures,
            narrowed=LIVE,
            condition="",
            most=20,
            beside=True,
        )
        one, two = (gather(which, most=20, **asked) for which in (near, width))
        assert one.rows == two.rows
        assert len(two.rows) > 20
        assert not gather(width, most=Passage.objects.count() + 1, **asked).rows
        # Nobody asks it so.
        assert dense.width_beside(meaning.space_id, figures, LIVE, "'alder'", 20) is None
        narrow = Filter(states=["active"], kinds=["memory"])
        assert dense.width_beside(meaning.space_id, figures, narrow, "", 20) is None


@pytest.mark.django_db
def test_the_index_is_read_as_far_in_a_statement_of_its_own_as_beside_words():
    with connection.cursor() as cursor:
        cursor.execute("SELECT prosrc FROM pg_proc WHERE proname = 'search_nearest'")
        (body,) = cursor.fetchone()
    assert f"set_config('hnsw.max_scan_tuples', '{dense.MOST_SCANNED}', true)" in body


def test_nearer_rows_that_are_not_asked_for_leave_out_none(grove, embedder):
    """Of each kind more than the index keeps in view and than are asked for."""
    q = "alder birch"
    vector = as_text(embedder.one(q).tolist())
    homes = {"archived": grove, "expired": grove, "other": grove, "away": make_workspace("away")}
    nearer = {}
    for kind, home in homes.items():
        with workspace_scope(home.id):
            nearer[kind] = [make_memory(f"{q} {kind} {n}").id for n in range(20)]
    embed_all(homes["away"])
    embed_all(grove)
    with workspace_scope(grove.id):
        meaning = Meaning(vector, "", EmbeddingSpace.objects.get().pk)
        other = EmbeddingSpace(provider="test", model="other", dimensions=384, slot=2)
        other.state = "retired"
        funnel.append([other], actor=ALICE)
        for kind, changed in (
            ("archived", {"state": "archived"}),
            ("expired", {"expires_at": EARLIER}),
            ("other", {"space": other}),
        ):
            own = Passage.objects.filter(of_memory_id__in=nearer[kind], space=meaning.space_id)
            assert own.exclude(embedding=None).update(**changed) == 20
        found = gather(
            15,
            meaning=meaning,
            # A word that nobody says: all that is found is near.
            words=lexical.analyse(look_around(Parsed("unheard"))),
            figures=corpus(),
            narrowed=Filter(states=["active"], alive_at=clock.now()),
            most=10,
            wanted=10,
        ).rows
    assert len(found) >= 10
    hidden = {str(one) for ids in nearer.values() for one in ids}
    assert not {row.source for row in found} & hidden


def test_a_hybrid_search_of_few_vectors_finds_them_all(grove, embedder, monkeypatch):
    """Where the index has fewer than are asked for, they are compared with all."""
    before = ask_fully(grove, "alder birch", limit=50)
    monkeypatch.setattr(dense, "_compare_all", lambda *_: False)
    looked = []
    monkeypatch.setattr(dense, "_approximate", lambda *_: looked.append(1) or {})
    after = ask_fully(grove, "alder birch", limit=50)
    assert "semantic" in after.legs
    assert not looked, "the index, which has just said that it has too few"
    assert [hit.id for hit in after.hits] == [hit.id for hit in before.hits]


def test_as_many_rows_as_are_wanted(grove, embedder, monkeypatch):
    monkeypatch.setattr(rows, "LEAST_ROWS", 1)
    monkeypatch.setattr(rows, "MOST_SPREAD", 0)
    assert len(Told(grove, embedder, "alder birch", most=50, wanted=30).rows) == 30
    assert len(Told(grove, embedder, "alder birch", most=5, wanted=1).rows) == 1


NARROW = {
    "kinds": lambda p: {"kinds": ["memory"]},
    "no kinds": lambda p: {"kinds": []},
    "memory kinds": lambda p: {"memory_kinds": ["observation"]},
    "trusts": lambda p: {"trusts": ["human"]},
    "sessions": lambda p: {"sessions": [p.session_id]},
    "no sessions": lambda p: {"sessions": []},
    "agents": lambda p: {"agents": [p.agent_id or uuid.uuid4()]},
    "projects": lambda p: {"projects": [p.project_id or uuid.uuid4()]},
    "tags": lambda p: {"tags": ["none has it"]},
    "after": lambda p: {"after": p.occurred_at},
    "before": lambda p: {"before": p.occurred_at},
    "alive at": lambda p: {"alive_at": datetime(2100, 1, 1, tzinfo=UTC)},
}


@pytest.mark.parametrize("narrow", NARROW.values(), ids=NARROW)
def test_a_filter_lets_through_what_the_same_conditions_do(grove, embedder, narrow):
    with workspace_scope(grove.id):
        make_memory("alder that expired", expires_at=datetime(2099, 1, 1, tzinfo=UTC))
        one = Passage.objects.filter(thread_id__isnull=False).order_by("id")[20]
        narrowed = Filter(states=["active"], **narrow(one))
        filters, values = narrowed.as_sql()
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT DISTINCT coalesce(p.of_message_id, p.of_memory_id) "
                f"FROM memory_passage p WHERE p.tsv @@ 'alder'::tsquery{filters}",
                values,
            )
            expected = {source for (source,) in cursor.fetchall()}
        figures = corpus()
        vector = as_text(embedder.one("alder").tolist())
        found = gather(
            [],
            meaning=Meaning(vector, vector, EmbeddingSpace.objects.get().pk),
            words=lexical.analyse(look_around(Parsed("alder"))),
            figures=figures,
            narrowed=narrowed,
            most=1000,
            wanted=1000,
        )
    with_word = found.column("bm25") > 0
    got = {uuid.UUID(row.source) for row, has in zip(found.rows, with_word, strict=True) if has}
    assert got == expected
