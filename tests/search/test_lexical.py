"""BM25 in SQL is BM25; the text index is used under row-level security; nothing crosses over."""

import math
import random
import re
from dataclasses import replace
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from config.lib.scope import workspace_scope
from memory.models import EmbeddingSpace, Memory, Passage
from memory.search import lexical
from memory.search.corpus import corpus
from memory.search.filters import Filter
from memory.search.ground import look_around
from memory.search.parse import Parsed
from memory.search.rows import Meaning, gather
from memory.search.vectors import as_text
from sessions.services.events import NewEvent, append_events
from tests.factories import ALICE, make_memory, make_session, make_workspace
from tests.search.asking import ask, embed_all

EVERYTHING = Filter(states=["active"])
VOCABULARY = ["alder", "birch", "cedar", "dogwood", "elders", "fir", "gorse", "hazel", "iris"]


def reference(q: str) -> dict[str, float]:
    """BM25 of the workspace's passages as Robertson and Zaragoza give it (2009), with the idf that
    is never negative, counted in the tsvectors themselves."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT lexeme FROM unnest(to_tsvector('english', %s))", [q])
        terms = [term for (term,) in cursor.fetchall()]
        cursor.execute(
            "SELECT id::text, token_count, (SELECT json_object_agg(lexeme, cardinality(positions)) "
            "FROM unnest(tsv) WHERE positions IS NOT NULL) FROM memory_passage"
        )
        rows = cursor.fetchall()
    average = sum(length for _, length, _ in rows) / len(rows)
    scores = dict.fromkeys((row[0] for row in rows), 0.0)
    for term in terms:
        having = [row for row in rows if term in (row[2] or {})]
        idf = math.log(1 + (len(rows) - len(having) + 0.5) / (len(having) + 0.5))
        for passage, length, frequencies in having:
            f = frequencies[term]
            scores[passage] += idf * f * 2.2 / (f + 1.2 * (0.25 + 0.75 * length / average))
    return {passage: score for passage, score in scores.items() if score > 0}


def found(q: str, most: int = 500, narrowed: Filter = EVERYTHING) -> dict[str, float]:
    figures = corpus()
    words = lexical.analyse(look_around(Parsed(q)))
    return lexical.find(words, figures, narrowed, most=most)


def plant(dice: random.Random, count: int) -> None:
    session = make_session()
    texts = [
        " ".join(dice.choices(VOCABULARY, weights=range(9, 0, -1), k=dice.randint(1, 40)))
        for _ in range(count)
    ]
    append_events(
        actor=ALICE, session_id=session.id, events=[NewEvent("note", text=text) for text in texts]
    )


@pytest.mark.parametrize("seed", range(5))
def test_scores_are_those_of_bm25(scoped, seed):
    dice = random.Random(seed)
    plant(dice, 60)
    for _ in range(5):
        terms = dice.sample(VOCABULARY, dice.randint(1, 5))
        assert found(" ".join(terms)) == pytest.approx(reference(" ".join(terms)), rel=1e-9)


def test_a_terms_frequency_is_read_exactly_from_its_rank(db):
    """Up to 255, where PostgreSQL stops counting."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT n, round(1 / (1.64493406685 - 1.64493406685 * ts_rank('{1,1,1,1}', "
            "to_tsvector('english', repeat('alder birch ', n)), 'alder'::tsquery)::float8) - 0.5) "
            "FROM generate_series(1, 255) n"
        )
        assert all(n == read for n, read in cursor.fetchall())


def test_common_words_are_looked_for_in_pairs_and_alone_among_the_newest(scoped, monkeypatch):
    monkeypatch.setattr(lexical, "ENOUGH_CANDIDATES", 20)
    quince = make_memory("quince")
    for n in range(30):
        make_memory(f"the {n}th alder")
    both = make_memory("alder and birch")
    new = [make_memory(f"the {n}th birch") for n in range(30)]
    asked = "alder birch quince"
    words = lexical.analyse(look_around(Parsed(asked)))
    assert words.wanted == "'quinc'"
    assert words.pairs == "'alder' & 'birch'"
    assert words.more == "'alder' | 'birch'"
    # 62 of 62 passages should have one of the two, so of the newest 20 are enough.
    assert words.newest == 20
    everything = reference(asked)
    assert len(everything) == 62
    scores = found(asked, most=22)
    assert scores == pytest.approx({key: everything[key] for key in scores})
    texts = set(Passage.objects.filter(pk__in=list(scores)).values_list("text", flat=True))
    rare = {quince.text, both.text}
    assert rare < texts
    assert texts - rare < {memory.text for memory in new}
    assert len(texts - rare) == 20
    # Where there are enough of the others, they are not even looked at.
    assert len(found(asked, most=2)) == 2


@pytest.mark.parametrize("row_cost", [0, 1000])
def test_where_the_newest_have_no_such_word_the_older_are_found(scoped, monkeypatch, row_cost):
    monkeypatch.setattr(lexical, "ENOUGH_CANDIDATES", 5)
    monkeypatch.setattr(lexical, "ROW_COST", row_cost)
    for n in range(8):
        make_memory(f"the {n}th alder")
    for n in range(30):
        make_memory(f"the {n}th birch")
    words = lexical.analyse(look_around(Parsed("alder")))
    assert words.newest == 23
    assert words.row_by_row == (row_cost == 0)
    assert len(found("alder")) == 5
    new = make_memory("a new alder")
    scores = found("alder")
    assert str(new.passages.get().pk) in scores
    assert len(scores) == 6
    assert len(found("alder", most=1)) == 1


def test_words_that_always_stand_together_do_not_crowd_out_a_rare_one(scoped, monkeypatch):
    for n in range(20):
        make_memory(f"the {n}th alder by a birch")
    for n in range(180):
        make_memory(f"the {n}th cedar")
    quince = make_memory("quince")
    monkeypatch.setattr(lexical, "ENOUGH_CANDIDATES", 6)
    words = lexical.analyse(look_around(Parsed("alder birch quince")))
    # By chance two rows would have both; twenty have.
    assert (words.wanted, words.pairs) == ("'quinc'", "'alder' & 'birch'")
    scores = found("alder birch quince", most=10)
    passage = str(quince.passages.get().pk)
    assert max(scores, key=scores.__getitem__) == passage
    assert 7 <= len(scores) <= 10


def test_under_a_filter_the_newest_are_not_enough(scoped, monkeypatch):
    tagged = make_memory("alder", tags=["yard"])
    for n in range(30):
        make_memory(f"the {n}th alder")
    monkeypatch.setattr(lexical, "ENOUGH_CANDIDATES", 3)
    passage = str(tagged.passages.get().pk)
    assert passage not in found("alder", most=3)
    narrowed = Filter(states=["active"], tags=["yard"])
    assert list(found("alder", narrowed=narrowed)) == [passage]


def test_a_term_cannot_leave_its_quotes(scoped):
    """The functions write terms into a statement of theirs."""
    make_memory("alder")
    for term in ("alder'", "a\\", "%1$s", "{0}", "' OR true --", "$1", "$sql$", "$body$"):
        words = lexical.Words(True, "", ["alder", term], [1.0, 1.0], wanted="'alder'")
        assert len(lexical.find(words, corpus(), EVERYTHING, most=5)) == 1


def index_scans() -> int:
    """Of the text index, in this transaction."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_get_xact_numscans('passage_words'::regclass)")
        return int(cursor.fetchone()[0])


@pytest.mark.django_db(transaction=True)
def test_the_text_index_is_used_as_the_runtime_role(database_server):
    workspace = make_workspace("arboretum")
    with workspace_scope(workspace.id):
        session = make_session()
        for start in range(0, 4000, 1000):
            texts = [f"tree {n} {VOCABULARY[n % 9]}" for n in range(start, start + 1000)]
            events = [NewEvent("note", text=text) for text in texts]
            append_events(actor=ALICE, session_id=session.id, events=events)
        make_memory("a quince among them")
    analyse_table(database_server.owner)
    with workspace_scope(workspace.id):
        figures = corpus()
        before = index_scans()
        words = lexical.analyse(look_around(Parsed("quince")))
        assert len(lexical.find(words, figures, Filter(), most=10)) == 1
        # Once to count the word's passages, once to score them.
        assert index_scans() == before + 2
        # How common a word is, the planner knows without reading through the index.
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT documents FROM search_term_counts(ARRAY['tree', 'quinc'], 20000, 100)"
            )
            (tree,), (quince,) = cursor.fetchall()
        assert 3500 < tree < 4500
        assert quince == 1
        assert index_scans() == before + 3
        # By the role's own hand the policy stands before `@@`, and the index is of no use. Should
        # this change, the functions are no longer needed.
        with connection.cursor() as cursor:
            cursor.execute("EXPLAIN SELECT id FROM memory_passage WHERE tsv @@ 'quinc'::tsquery")
            assert "passage_words" not in str(cursor.fetchall())


def test_a_word_that_the_planner_does_not_know_is_counted(scoped):
    for n in range(7):
        make_memory(f"medlar {n}")
    with connection.cursor() as cursor:
        cursor.execute("SELECT documents FROM search_term_counts(ARRAY['medlar'], 20000, 0)")
        assert cursor.fetchone() == (7,)


def test_a_larger_workspace_counts_a_word_once_but_sees_its_first_row(scoped, monkeypatch):
    monkeypatch.setattr("memory.search.corpus.SMALL", 1)
    make_memory("medlar")
    make_memory("quince")
    for _ in range(2):
        with CaptureQueriesContext(connection) as asked:
            assert list(found("medlar sorb")) == list(found("medlar"))
    counted = [q["sql"] for q in asked if "search_term_counts" in q["sql"]]
    # What is nowhere is looked for each time.
    assert len(counted) == 1
    assert "sorb" in counted[0]
    assert "medlar" not in counted[0]
    made = make_memory("sorb")
    (passage,) = found("sorb")
    assert Passage.objects.get(pk=passage).of_memory_id == made.pk


def analyse_table(owner_url: str) -> None:
    """As autovacuum does within a minute; the planner knows nothing of a new table before."""
    parts = urlsplit(owner_url)
    url = urlunsplit(parts._replace(path=f"/{connection.settings_dict['NAME']}"))
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute("ANALYZE memory_passage")


@pytest.mark.parametrize("share", [1.0, 0.1])
def test_no_function_returns_another_workspaces_rows(workspace, other_workspace, embedder, share):
    """Neither where the text index is read for the workspace alone, nor where it has most rows."""
    with workspace_scope(other_workspace.id):
        make_memory("the alder of charlie")
        theirs = [str(pk) for pk in Passage.objects.values_list("pk", flat=True)]
    with workspace_scope(workspace.id):
        mine = make_memory("the alder of alice")
    embed_all(workspace)
    embed_all(other_workspace)
    with workspace_scope(workspace.id):
        figures = replace(corpus(), share=share)
        assert (figures.passages, figures.is_main) == (1, share == 1)
        words = lexical.analyse(replace(look_around(Parsed("alder charlie")), figures=figures))
        assert words.terms == ["alder"]
        assert len(lexical.find(words, figures, EVERYTHING, most=10)) == 1
        vector = as_text([0.1] * 384)
        found = gather(
            theirs,
            meaning=Meaning(vector, vector, EmbeddingSpace.objects.get().pk),
            words=words,
            figures=figures,
            narrowed=EVERYTHING,
            most=10,
            wanted=10,
        )
        assert [row.source for row in found.rows] == [str(mine.id)]
        assert [hit.id for hit in ask("alder charlie").hits] == [mine.id]


@pytest.mark.parametrize("mainly", ["true", "false"])
def test_without_a_workspace_the_functions_return_nothing(workspace, embedder, mainly):
    with workspace_scope(workspace.id):
        make_memory("alder")
    embed_all(workspace)
    with workspace_scope(workspace.id):
        space = EmbeddingSpace.objects.get().pk
    vector = as_text(embedder.one("alder").tolist())
    words = (
        "ARRAY['alder'], ARRAY[1.0], 5, $$'alder'$$, '', '', NULL, "
        f"""false, {mainly}, '', '{{"states": ["active"]}}', 10, 1"""
    )
    asked = [
        *(f"search_term_counts(ARRAY['alder'], 10, {many})" for many in ("5", "NULL")),
        f"search_words({words})",
        *(
            f"search_rows({words}, {near}, 100, 1, 384, '{space}', '{vector}', NULL, 9, 5, 9, 1)"
            for near in ("'{}'", "NULL")
        ),
    ]
    for call in asked:
        with workspace_scope(workspace.id), connection.cursor() as cursor:
            cursor.execute(f"SELECT * FROM {call}")
            assert len(cursor.fetchall()) == 1, call
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT * FROM {call}")
            assert cursor.fetchall() == [], call


def test_nobody_can_become_the_search_role(db):
    with pytest.raises(Exception, match="permission denied"), transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET ROLE app_search")


def test_the_functions_belong_to_a_role_that_sees_nothing_else(db):
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT p.proname, r.rolname, r.rolcanlogin, p.prosecdef, "
            "has_function_privilege('public', p.oid, 'EXECUTE'), "
            "has_function_privilege('app_rw', p.oid, 'EXECUTE'), array_to_string(p.proconfig, ' ') "
            "FROM pg_proc p JOIN pg_roles r ON r.oid = p.proowner "
            "WHERE p.proname ~ '^search_(term|words|rows|nearest)'"
        )
        rows = cursor.fetchall()
        assert len(rows) == 9
        for name, owner, can_login, definer, public, runtime, config in rows:
            # What search_rows calls, nobody else needs.
            called = name in ("search_term_counts", "search_words", "search_rows")
            assert (owner, can_login, definer, public, runtime) == (
                "app_search", False, True, False, called,
            )  # fmt: skip
            assert "search_path=pg_catalog, pg_temp" in config
        cursor.execute(
            "SELECT DISTINCT table_name, privilege_type FROM information_schema.table_privileges "
            "WHERE grantee = 'app_search'"
        )
        assert cursor.fetchall() == []  # seen only by the roles themselves
        cursor.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace "
            "AND relkind IN ('r', 'p', 'v') AND has_table_privilege('app_search', oid, 'SELECT, "
            "INSERT, UPDATE, DELETE')"
        )
        assert cursor.fetchall() == [("memory_passage",)]
        cursor.execute(
            "SELECT has_table_privilege('app_search', 'memory_passage', 'INSERT, UPDATE, DELETE')"
        )
        assert cursor.fetchone() == (False,)


@given(
    st.text(
        alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=120
    )
)
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_text_is_a_query(scoped, text):
    if not Memory.objects.exists():
        make_memory("Ein 'quoted' \\ & | ! <-> :* text: foo/bar.py, 100%s {a,b} $1 %L")
    if text.strip():
        ask(text)


@pytest.mark.parametrize(
    "q",
    ["' | 'x", "a:*", "foo' & !'bar", "\\'", "%s %L %I", "{a,b}", "$$ $1", "x'::tsquery --", '"'],
)
def test_what_looks_like_syntax_is_text(scoped, q):
    mine = make_memory(f"quince {q} medlar")
    make_memory("something else")
    answer = ask(f"quince {q} medlar")
    assert answer.hits[0].id == mine.id


def test_the_mark_of_the_workspace_is_not_a_word(scoped):
    make_memory("alder")
    own = f"w{scoped.id.hex}"
    assert ask(own).hits == []
    assert re.fullmatch("w[0-9a-f]{32}", own)


def test_letters_are_found_however_they_were_composed(scoped):
    composed, decomposed = "Z\u00fcrichsee", "Zu\u0308richsee"
    make_memory(f"composed {composed}")
    make_memory(f"decomposed {decomposed}")
    for query in (composed, decomposed, f'"{composed}"', f'"{decomposed}"'):
        assert len(ask(query).hits) == 2, query
