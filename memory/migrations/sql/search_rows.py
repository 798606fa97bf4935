"""SQL of migration 0012: search_words that never scans a common word's rows, and search_rows, which
finds what hybrid search ranks in one statement. Frozen with it; a change is a new one.

As in 0003 both run as the search role, which sees every row of the passages and nothing else. They
compare the workspace themselves, and without one return nothing. What comes from the caller enters
their statements as a parameter or as a quoted literal (%L), and what was quoted is never looked
through for placeholders again.
"""

from memory.migrations.sql.search_functions import (
    _COUNTS_SIGNATURE,
    _WORDS_SIGNATURE,
    SEARCH,
    _function,
)
from memory.migrations.sql.search_functions import TERM_COUNTS as TERM_COUNTS_BEFORE
from memory.migrations.sql.search_metadata import WORDS_AND_METADATA

_CASES = WORDS_AND_METADATA[
    WORDS_AND_METADATA.index("' AND ' || CASE key") : WORDS_AND_METADATA.index("INTO kept")
].rstrip()
_GIVEN = WORDS_AND_METADATA[
    WORDS_AND_METADATA.index("FROM (SELECT key,") : WORDS_AND_METADATA.index("IF condition")
].rstrip()

# The conditions of a filter and of a query's phrases on passages p; each begins with AND.
CONDITIONS = f"""
CREATE FUNCTION search_conditions(filters jsonb, condition text) RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $body$
DECLARE
    kept text;
BEGIN
    SELECT coalesce(string_agg({_CASES}
      INTO kept
      {_GIVEN}
    IF condition <> '' THEN
        kept := kept || format(' AND p.tsv @@ %L::tsquery', condition);
    END IF;
    RETURN kept;
END
$body$
"""

# BM25 of passages p, as three lists of expressions: what is read of the row (`figures`), and the
# score and the weight of the words it has, made of those. They stand apart because a frequency is
# used three times and must be computed once.
#
# A single term's ts_rank with all weights 1 is H2(n) * 6 / pi^2, where H2(n) is 1 + 1/4 + ... +
# 1/n^2 and n its frequency in the row; pi^2 / 6 - H2(n) is about 1 / (n + 1/2). So n is what
# rounding gives, exactly.
FORMULAS = """
CREATE FUNCTION search_formulas(
    terms text[], weights double precision[], average_length double precision,
    OUT figures text, OUT score text, OUT held text)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $body$
    SELECT format('1.2 * (0.25 + 0.75 * p.token_count / %L::float8) AS norm', average_length)
           || coalesce(string_agg(format(
               ', round(1 / (1.64493406685 - 1.64493406685 * '
               'ts_rank(''{1,1,1,1}'', p.tsv, %L::tsquery)::float8) - 0.5) AS f%s', q, i), ''
               ORDER BY i), ''),
           coalesce(string_agg(format('%L::float8 * f%s / (f%s + norm)', w, i, i), ' + '
               ORDER BY i), '0::float8'),
           coalesce(string_agg(format('CASE WHEN f%s > 0 THEN %L::float8 ELSE 0 END', i, w), ' + '
               ORDER BY i), '0::float8')
      FROM (SELECT '''' || replace(replace(t, '\\', '\\\\'), '''', '''''') || '''' AS q, w, i
              FROM unnest(terms, weights) WITH ORDINALITY AS x (t, w, i)) AS quoted
$body$
"""

# How many passages have each word. Counting a very common one means to read through its place in
# the text index, so where `many` is given the planner is asked first: its statistics know common
# words well, and the workspaces that hold much. Words they do not know are counted. Volatile, because
# EXPLAIN may stand in no other.
TERM_COUNTS = """
CREATE FUNCTION search_term_counts(terms text[], most integer, many integer)
RETURNS TABLE (term text, documents integer)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_custom_plan
AS $body$
DECLARE
    own uuid := nullif(current_setting('app.workspace', true), '')::uuid;
    own_word tsquery;
    wanted tsquery;
    plan json;
    ask boolean := many IS NOT NULL;
    guess text := 'EXPLAIN (FORMAT JSON) SELECT FROM public.memory_passage p '
        'WHERE p.workspace_id = $1 AND p.tsv @@ $2';
BEGIN
    IF own IS NULL THEN
        RETURN;
    END IF;
    own_word := quote_literal('w' || replace(own::text, '-', ''))::tsquery;
    IF ask THEN
        SELECT string_agg(quoted, ' | ')::tsquery INTO wanted FROM (
            SELECT '''' || replace(replace(t, '\\', '\\\\'), '''', '''''') || ''''
              FROM unnest(terms) AS x (t)) AS y (quoted);
        EXECUTE guess INTO plan USING own, wanted;
        ask := (plan -> 0 -> 'Plan' ->> 'Plan Rows')::float8 > many;
    END IF;
    IF ask THEN
        -- Of words that are not in its statistics the planner assumes all the same, in a large
        -- table more than `many`. No lexeme has blanks in it, so this is one of those.
        EXECUTE guess INTO plan USING own, '''no such word'''::tsquery;
        many := greatest(many, (plan -> 0 -> 'Plan' ->> 'Plan Rows')::float8);
    END IF;
    FOREACH term IN ARRAY terms LOOP
        wanted := ('''' || replace(replace(term, '\\', '\\\\'), '''', '''''') || '''')::tsquery;
        documents := NULL;
        IF ask THEN
            EXECUTE guess INTO plan USING own, wanted;
            documents := (plan -> 0 -> 'Plan' ->> 'Plan Rows')::float8;
        END IF;
        IF documents IS NULL OR documents <= many THEN
            SELECT count(*) INTO documents FROM (
                SELECT FROM public.memory_passage p
                 WHERE p.tsv @@ (own_word && wanted) AND p.workspace_id = own LIMIT most) counted;
        END IF;
        RETURN NEXT;
    END LOOP;
END
$body$
"""

# Lists of passages with their scores: those that `wanted` finds; where they are too few, those of
# `pairs` (%8$L); then the newest of those that `more` finds: by the text index, or row by row where
# %7$s calls the operator's function, which no index answers; and at last the older ones. $1
# workspace, $2 wanted, $3 more, $4 rows that may be scored, $5 rows that are returned, $6 among how
# many of the newest passages `more` is looked for first. What is wanted is rare, so its limit is for
# figures that are out of date.
_SCAN = """
wanted AS MATERIALIZED (
    SELECT id, place, %2$s AS score, %3$s AS held FROM (
        SELECT p.id, p.ctid AS place, %1$s FROM public.memory_passage p
         WHERE p.workspace_id = $1%4$s AND p.tsv @@ $2 LIMIT 20 * $4 OFFSET 0) s
     ORDER BY score DESC, id DESC LIMIT $5
), paired AS MATERIALIZED (
    SELECT id, place, %2$s AS score, %3$s AS held FROM (
        SELECT p.id, p.ctid AS place, %1$s FROM public.memory_passage p
         WHERE p.workspace_id = $1%4$s AND p.tsv @@ %8$L::tsquery AND (p.tsv @@ $2) IS NOT TRUE
           AND (SELECT count(*) FROM wanted) < $5 LIMIT $4 OFFSET 0) s
     ORDER BY score DESC, id DESC LIMIT $5
), older AS MATERIALIZED (
    SELECT q.id FROM public.memory_passage q WHERE q.workspace_id = $1 AND $6 IS NOT NULL
     ORDER BY q.id DESC OFFSET $6 LIMIT 1
), more AS MATERIALIZED (
    SELECT id, place, %2$s AS score, %3$s AS held FROM (
        SELECT p.id, p.ctid AS place, %1$s FROM public.memory_passage p
         WHERE p.workspace_id = $1%4$s AND %7$s AND (p.tsv @@ $2) IS NOT TRUE
           AND (p.tsv @@ %8$L::tsquery) IS NOT TRUE
           AND p.id > coalesce((SELECT id FROM older), '00000000-0000-0000-0000-000000000000')
           AND (SELECT count(*) FROM wanted) + (SELECT count(*) FROM paired) < $5
         LIMIT $4 OFFSET 0) s
     ORDER BY score DESC, id DESC LIMIT $5
), rest AS MATERIALIZED (
    SELECT id, place, %2$s AS score, %3$s AS held FROM (
        SELECT p.id, p.ctid AS place, %1$s FROM public.memory_passage p
         WHERE p.workspace_id = $1%4$s AND p.tsv @@ $3 AND (p.tsv @@ $2) IS NOT TRUE
           AND (p.tsv @@ %8$L::tsquery) IS NOT TRUE AND p.id <= (SELECT id FROM older)
           AND (SELECT count(*) FROM wanted) + (SELECT count(*) FROM paired)
               + (SELECT count(*) FROM more) < $5
         LIMIT $4 OFFSET 0) s
     ORDER BY score DESC, id DESC LIMIT $5
), named AS MATERIALIZED (
    SELECT * FROM wanted UNION ALL SELECT * FROM paired
    UNION ALL SELECT * FROM more UNION ALL SELECT * FROM rest
)"""

_ARGUMENTS = """
    terms text[], weights double precision[], average_length double precision,
    wanted text, pairs text, more text, newest integer, row_by_row boolean, condition text, filters jsonb,
    scanned integer, most integer"""

_DECLARED = """    own uuid := nullif(current_setting('app.workspace', true), '')::uuid;
    own_word tsquery;
    first tsquery;
    two_words tsquery;
    second tsquery;
    matches text;
    formulas record;
"""

# The three queries, each within the workspace: its id is a word of its own in every row of it.
_QUERIES = """    IF own IS NULL THEN
        RETURN;
    END IF;
    own_word := quote_literal('w' || replace(own::text, '-', ''))::tsquery;
    first := own_word && nullif(wanted, '')::tsquery;
    two_words := own_word && nullif(pairs, '')::tsquery;
    second := own_word && nullif(more, '')::tsquery;
    matches := CASE WHEN row_by_row THEN 'ts_match_vq(p.tsv, $3)' ELSE 'p.tsv @@ $3' END;
    formulas := public.search_formulas(terms, weights, average_length);
"""

WORDS = f"""
CREATE FUNCTION search_words({_ARGUMENTS})
RETURNS TABLE (passage uuid, score double precision)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $body$
DECLARE
{_DECLARED}BEGIN
{_QUERIES}    RETURN QUERY EXECUTE format(
        $sql$WITH {_SCAN} SELECT id, score FROM named ORDER BY 2 DESC, 1 DESC LIMIT $5$sql$,
        formulas.figures, formulas.score, formulas.held,
        public.search_conditions(filters, condition), '', '', matches, two_words)
    USING own, first, second, scanned, most, newest;
END
$body$
"""

_SOURCES = ("memory", "summary", "event", "message", "project", "task", "contact")
_PARTS = "\n         UNION ALL ".join(
    f"SELECT p.chunk, p.token_count, %5$s AS meaning FROM public.memory_passage p "  # noqa: S608
    f"WHERE p.workspace_id = $1 AND p.of_{source}_id = r.source AND r.kind = '{source}'"
    for source in _SOURCES
)
_BEST = """SELECT *, row_number() OVER row AS place,
               max(words) OVER part AS most_words, max(meaning) OVER part AS most_meaning,
               max(keyword_meaning) OVER part AS most_keyword_meaning"""
_WINDOWS = """WINDOW part AS (PARTITION BY source),
               row AS (PARTITION BY source ORDER BY words + coalesce(meaning, 0) DESC, id)"""
_COLUMNS = (
    "s.id, s.kind, s.thread_id, s.idx, s.token_count, s.occurred_at, s.source, s.meaning, "
    "s.keyword_meaning"
)
_CANDIDATE = """p.id, p.kind, p.thread_id, p.idx, p.token_count, p.occurred_at,
               coalesce(p.of_memory_id, p.of_summary_id, p.of_event_id, p.of_message_id,
                        p.of_project_id, p.of_task_id, p.of_contact_id) AS source,
               %5$s AS meaning, %6$s AS keyword_meaning"""
_ROW = (
    "id, kind, source, thread_id, idx, occurred_at, words, most_words, coverage, meaning, "
    "most_meaning, most_keyword_meaning"
)

# $7 the passages that meaning found, $8 the space's id, $9 rows that are returned and $10 how many
# of them have their neighbours for candidates, $11 words of a row that needs no neighbours, $12 the
# sum of all the query's words, $13 and $14 the vectors of the query and of its keywords.
_ROWS = f"""
WITH {_SCAN}, seen AS MATERIALIZED (
    -- OFFSET 0: one look-up for each, whatever the planner thinks of their number.
    SELECT s.*, named.score / $12 AS words, named.held / $12 AS coverage
      FROM named, LATERAL (
        SELECT {_CANDIDATE} FROM public.memory_passage p
         WHERE p.ctid = named.place AND p.workspace_id = $1 OFFSET 0) s
    UNION ALL
    SELECT {_COLUMNS}, %2$s / $12, %3$s / $12
      FROM (SELECT DISTINCT unnest($7) AS id EXCEPT SELECT id FROM named) near, LATERAL (
        SELECT {_CANDIDATE}, %1$s FROM public.memory_passage p
         WHERE p.workspace_id = $1 AND p.id = near.id OFFSET 0) s
), best AS MATERIALIZED (
    -- A first guess: the legs' figures, and what the best of many chunks owes to their number.
    SELECT *, row_number() OVER (ORDER BY promise DESC, id) AS number FROM (
        {_BEST}, max(token_count) OVER part AS length,
               max(words) OVER part + coalesce(max(meaning) OVER part, 0)
               + coalesce(max(keyword_meaning) OVER part, 0) - 0.1 * sqrt(count(*) OVER part)
               AS promise
          FROM seen {_WINDOWS}) s
     WHERE place = 1 ORDER BY promise DESC, id LIMIT $9
), centres AS MATERIALIZED (
    SELECT thread_id, idx, number <= $10 AS spreads FROM best
     WHERE thread_id IS NOT NULL AND idx IS NOT NULL AND length <= $11
), beside AS MATERIALIZED (
    SELECT s.*, %2$s / $12 AS words, %3$s / $12 AS coverage
      FROM (SELECT DISTINCT thread_id, idx + step AS idx
              FROM centres, unnest(ARRAY[-3, -2, -1, 0, 1, 2]) step
             WHERE spreads OR step IN (-2, -1, 1)) places, LATERAL (
        SELECT p.id, p.kind, p.thread_id, p.idx, p.token_count, p.occurred_at,
               p.of_message_id AS source, %5$s AS meaning, %6$s AS keyword_meaning,
               p.asks, (true%4$s) AS passes, %1$s
          FROM public.memory_passage p
         WHERE p.workspace_id = $1 AND p.thread_id = places.thread_id AND p.idx = places.idx
           AND p.of_message_id IS NOT NULL AND p.chunk < 2 OFFSET 0) s
), around AS MATERIALIZED (
    SELECT thread_id, idx, max(words) AS words, max(coalesce(meaning, 0)) AS meaning,
           max(coalesce(keyword_meaning, 0)) AS keywords, bool_or(asks)::int AS asks
      FROM beside GROUP BY thread_id, idx
), spread AS (
    SELECT thread_id, idx + step AS idx FROM centres, unnest(ARRAY[-1, 1]) step WHERE spreads
    EXCEPT SELECT thread_id, idx FROM best
), rows AS (
    SELECT number, {_ROW} FROM best
    UNION ALL SELECT NULL, {_ROW} FROM (
        {_BEST} FROM beside JOIN spread USING (thread_id, idx) WHERE passes {_WINDOWS}) s
     WHERE place = 1
)
SELECT r.id, r.source, r.kind::text, r.words * $12, r.meaning,
       CASE WHEN r.thread_id IS NOT NULL THEN dense_rank() OVER (ORDER BY r.thread_id) END,
       extract(epoch FROM r.occurred_at)::float8, part.chunks::int, part.length::int,
       r.most_words, r.coverage, r.most_meaning, part.opening_meaning, r.most_keyword_meaning,
       b.words, b.meaning, b.keywords, b.asks, bb.words, a.words, a.keywords
  FROM rows r
  CROSS JOIN LATERAL (
    SELECT count(*) AS chunks, sum(q.token_count) AS length,
           max(CASE WHEN q.chunk = 0 THEN q.meaning END) AS opening_meaning
      FROM ({_PARTS}) q) part
  LEFT JOIN around b ON b.thread_id = r.thread_id AND b.idx = r.idx - 1
  LEFT JOIN around bb ON bb.thread_id = r.thread_id AND bb.idx = r.idx - 2
  LEFT JOIN around a ON a.thread_id = r.thread_id AND a.idx = r.idx + 1
 ORDER BY r.number NULLS LAST, r.id"""

ROWS = f"""
CREATE FUNCTION search_rows({_ARGUMENTS},
    near uuid[], slot integer, space uuid, vector text, keywords text, rows integer,
    spreading integer, longest integer, ideal double precision)
RETURNS TABLE (
    passage uuid, source uuid, kind text, bm25 double precision, cosine double precision,
    thread bigint, occurred_at double precision, chunks integer, length integer,
    words double precision, coverage double precision, meaning double precision,
    opening_meaning double precision, keyword_meaning double precision,
    before_words double precision, before_meaning double precision,
    before_keywords double precision, before_asks integer, second_before_words double precision,
    after_words double precision, after_keywords double precision)
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $body$
DECLARE
{_DECLARED}    cosine text := 'CASE WHEN p.%I = $8 THEN 1 - (p.%I OPERATOR(public.<=>) $%s) END';
    of_space text := CASE slot WHEN 1 THEN 'space_id' ELSE 'second_space_id' END;
    of_vector text := CASE slot WHEN 1 THEN 'embedding' ELSE 'second_embedding' END;
BEGIN
{_QUERIES}    RETURN QUERY EXECUTE format($sql${_ROWS}$sql$,
        formulas.figures, '(' || formulas.score || ')', '(' || formulas.held || ')',
        public.search_conditions(filters, condition),
        format(cosine, of_space, of_vector, 13), format(cosine, of_space, of_vector, 14), matches,
        two_words)
    USING own, first, second, scanned, most, newest, near, space, rows, spreading, longest,
          greatest(ideal, 1e-9), vector::public.halfvec, keywords::public.halfvec;
END
$body$
"""

_NAMES = (
    "text[], double precision[], double precision, text, text, text, integer, boolean, text, "
    "jsonb, integer"
)
_NEW_WORDS = f"search_words({_NAMES}, integer)"
_ROWS_SIGNATURE = (
    f"search_rows({_NAMES}, integer, uuid[], integer, uuid, text, text, integer, integer, "
    "integer, double precision)"
)


_COUNTS = "search_term_counts(text[], integer, integer)"


def _drop(signature: str) -> str:
    """The functions belong to the search role, which alone may drop them."""
    return f"SET LOCAL ROLE {SEARCH}; DROP FUNCTION {signature}; RESET ROLE"


# (forwards, backwards), to be undone in reverse order.
STATEMENTS = [
    (
        _drop(_WORDS_SIGNATURE),
        [sql for sql, _ in _function(WORDS_AND_METADATA, _WORDS_SIGNATURE)],
    ),
    (
        _drop(_COUNTS_SIGNATURE),
        [sql for sql, _ in _function(TERM_COUNTS_BEFORE, _COUNTS_SIGNATURE)],
    ),
    *_function(TERM_COUNTS, _COUNTS),
    *_function(WORDS, _NEW_WORDS),
    *_function(ROWS, _ROWS_SIGNATURE),
]
