"""SQL of migration 0013: functions of search whose statements PostgreSQL plans once for a connection,
not for each query. Frozen with it; a change is a new one.

Planning was a third of search_rows' time, because each word of a query stands in its statement. So
there are functions for queries of up to 4, 8, 16 and 32 words, with a parameter for each word, null
where the query has fewer. search_rows chooses among them; a query with phrases, or with filters
beyond what every search asks for, is planned by itself as before.

Where most passages are one workspace's, its own word costs more than it spares: the text index
reads through the places of that word, which are all. So it is left out there (`mainly`).

A plan for every query knows nothing of its words. What would mislead it is out of its reach: where
the text index must be used the workspace is compared by IS TRUE, and enable_seqscan is off.
"""

import re

from memory.migrations.sql.search_functions import RUNTIME, _function
from memory.migrations.sql.search_rows import (
    _ARGUMENTS,
    _COUNTS,
    _DECLARED,
    _NEW_WORDS,
    _QUERIES,
    _ROWS,
    _ROWS_SIGNATURE,
    ROWS,
    TERM_COUNTS,
    WORDS,
    _drop,
)

SIZES = (4, 8, 16, 32)
_KEPT_PLAN = """SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off"""

# `many` is given where the workspace has most of the passages.
COUNTS = (
    TERM_COUNTS.replace("SET plan_cache_mode = force_custom_plan", _KEPT_PLAN)
    .replace(
        "    own_word := ",
        "    own_word := CASE WHEN many IS NULL THEN ",
    )
    .replace("'-', ''))::tsquery;", "'-', ''))::tsquery END;")
    .replace(
        "WHERE p.tsv @@ (own_word && wanted) AND p.workspace_id = own",
        "WHERE p.tsv @@ coalesce(own_word && wanted, wanted)\n"
        "                   AND (p.workspace_id = own) IS TRUE",
    )
)
ARGUMENTS = _ARGUMENTS.replace("row_by_row boolean,", "row_by_row boolean, mainly boolean,")
DECLARED = """    own uuid := nullif(current_setting('app.workspace', true), '')::uuid;
    own_word tsquery := CASE WHEN NOT mainly
        THEN quote_literal('w' || replace(own::text, '-', ''))::tsquery END;
    first tsquery := nullif(wanted, '');
    two_words tsquery := nullif(pairs, '');
    second tsquery := nullif(more, '');
"""
# The three queries, within the workspace.
QUERIES = """    IF own IS NULL THEN
        RETURN;
    END IF;
    first := coalesce(own_word && first, first);
    two_words := coalesce(own_word && two_words, two_words);
    second := coalesce(own_word && second, second);
"""
# What 0012 has to say for itself beside these.
_DECLARED_EACH = """    matches text := CASE WHEN row_by_row THEN 'ts_match_vq(p.tsv, $3)' ELSE 'p.tsv @@ $3' END;
    formulas record;
"""
_QUERIES_EACH = "    formulas := public.search_formulas(terms, weights, average_length);\n"


def _renewed(function: str) -> str:
    """A function of 0012 with the own word left out where that is better."""
    return (
        function.replace(_ARGUMENTS, ARGUMENTS)
        .replace(_DECLARED, DECLARED + _DECLARED_EACH)
        .replace(_QUERIES, QUERIES + _QUERIES_EACH)
    )


# As the scan of 0012, but each query of words by the text index in any case, and `more` in two
# parts, one of which is never begun: the newest rows one by one, or by the text index.
_SCORED = "SELECT id, place, %2$s AS score, %3$s AS held FROM (SELECT p.id, p.ctid AS place, %1$s"
_OWN = "FROM public.memory_passage p WHERE (p.workspace_id = $1) IS TRUE%4$s"
_NEITHER = "(p.tsv @@ $2) IS NOT TRUE AND (p.tsv @@ _pairs) IS NOT TRUE"
_BEST = "OFFSET 0) s ORDER BY score DESC, id DESC LIMIT $5"
_FEW = "(SELECT count(*) FROM wanted) + (SELECT count(*) FROM paired)"
_SCAN = f"""
wanted AS MATERIALIZED (
    {_SCORED} {_OWN} AND p.tsv @@ $2 LIMIT 20 * $4 {_BEST}
), paired AS MATERIALIZED (
    {_SCORED} {_OWN} AND p.tsv @@ _pairs AND (p.tsv @@ $2) IS NOT TRUE
        AND (SELECT count(*) FROM wanted) < $5 LIMIT $4 {_BEST}
), older AS MATERIALIZED (
    SELECT coalesce((
        SELECT q.id FROM public.memory_passage q WHERE q.workspace_id = $1 AND $6 IS NOT NULL
         ORDER BY q.id DESC OFFSET $6 LIMIT 1), '00000000-0000-0000-0000-000000000000') AS id
), more AS MATERIALIZED (
    {_SCORED} FROM public.memory_passage p
         WHERE _row_by_row AND p.workspace_id = $1%4$s AND ts_match_vq(p.tsv, $3) AND {_NEITHER}
           AND p.id > (SELECT id FROM older) AND {_FEW} < $5 LIMIT $4 {_BEST}
), more_by_index AS MATERIALIZED (
    {_SCORED} {_OWN} AND NOT _row_by_row AND p.tsv @@ $3 AND {_NEITHER}
           AND (p.id > (SELECT id FROM older)) IS TRUE AND {_FEW} < $5 LIMIT $4 {_BEST}
), rest AS MATERIALIZED (
    {_SCORED} {_OWN} AND $6 IS NOT NULL AND p.tsv @@ $3 AND {_NEITHER}
           AND (p.id <= (SELECT id FROM older)) IS TRUE
           AND {_FEW} + (SELECT count(*) FROM more) + (SELECT count(*) FROM more_by_index) < $5
         LIMIT $4 {_BEST}
), named AS MATERIALIZED (
    SELECT * FROM wanted UNION ALL SELECT * FROM paired UNION ALL SELECT * FROM more
    UNION ALL SELECT * FROM more_by_index UNION ALL SELECT * FROM rest
), """
_STATEMENT = "WITH " + _SCAN + _ROWS[_ROWS.index("seen AS MATERIALIZED (") :]

# The filters by name, with their types and conditions as search_conditions has them (0012).
_FILTERS = {
    "kinds": ("text[]", "p.kind = ANY({0})"),
    "memory_kinds": ("text[]", "p.memory_kind = ANY({0})"),
    "states": ("text[]", "p.state = ANY({0})"),
    "trusts": ("text[]", "p.trust = ANY({0})"),
    "agents": ("uuid[]", "p.agent_id = ANY({0})"),
    "projects": ("uuid[]", "p.project_id = ANY({0})"),
    "sessions": ("uuid[]", "p.session_id = ANY({0})"),
    "tags": ("varchar[]", "p.tags @> {0}"),
    "after": ("timestamptz", "p.occurred_at >= {0}"),
    "before": ("timestamptz", "p.occurred_at < {0}"),
    "alive_at": ("timestamptz", "(p.expires_at IS NULL OR p.expires_at > {0})"),
}
_FILTER = "".join(
    f"\n           AND (_{name} IS NULL OR {condition.format(f'_{name}')})"
    for name, (_, condition) in _FILTERS.items()
)

# The parameters of _STATEMENT by their numbers. No column begins with "_".
_PARAMETERS = (
    ("_own", "uuid"), ("_first", "tsquery"), ("_second", "tsquery"), ("_scanned", "integer"),
    ("_most", "integer"), ("_newest", "integer"), ("_near", "uuid[]"), ("_space", "uuid"),
    ("_rows", "integer"), ("_spreading", "integer"), ("_longest", "integer"),
    ("_ideal", "double precision"), ("_vector", "public.halfvec"), ("_keywords", "public.halfvec"),
    ("_queries", "tsquery[]"), ("_weights", "double precision[]"),
    ("_average_length", "double precision"), ("_pairs", "tsquery"), ("_row_by_row", "boolean"),
    *((f"_{name}", of) for name, (of, _) in _FILTERS.items()),
)  # fmt: skip
_RETURNS = ROWS[ROWS.index("RETURNS TABLE (") : ROWS.index("LANGUAGE plpgsql")].rstrip()


def _cosine(vector: str) -> str:
    """With a passage's vector of the space, in whichever slot it is."""
    return (
        f"CASE _space WHEN p.space_id THEN 1 - (p.embedding OPERATOR(public.<=>) {vector}) "
        f"WHEN p.second_space_id THEN 1 - (p.second_embedding OPERATOR(public.<=>) {vector}) END"
    )


def _statement(size: int) -> str:
    """_STATEMENT for up to `size` words, whose formulas are those of search_formulas."""
    words = range(1, size + 1)
    filled = {
        "%1$s": "1.2 * (0.25 + 0.75 * p.token_count / _average_length) AS norm, "
        + ", ".join(
            "round(1 / (1.64493406685 - 1.64493406685 * "
            f"ts_rank('{{1,1,1,1}}', p.tsv, _q{n})::float8) - 0.5) AS f{n}"
            for n in words
        ),
        "%2$s": f"({' + '.join(f'coalesce(_w{n} * f{n} / (f{n} + norm), 0)' for n in words)})",
        "%3$s": f"({' + '.join(f'CASE WHEN f{n} > 0 THEN _w{n} ELSE 0 END' for n in words)})",
        "%4$s": _FILTER,
        "%5$s": _cosine("_vector"),
        "%6$s": _cosine("_keywords"),
    }
    sql = _STATEMENT
    for key, value in filled.items():
        sql = sql.replace(key, value)
    return re.sub(r"\$(\d+)", lambda found: _PARAMETERS[int(found.group(1)) - 1][0], sql)


def _sized(size: int) -> str:
    words = range(1, size + 1)
    declared = "".join(
        f"    _q{n} tsquery := _queries[{n}];\n    _w{n} double precision := _weights[{n}];\n"
        for n in words
    )
    return f"""
CREATE FUNCTION search_rows_{size}({", ".join(f"{name} {of}" for name, of in _PARAMETERS)})
{_RETURNS}
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET jit = off
{_KEPT_PLAN}
AS $body$
#variable_conflict use_column
DECLARE
{declared}BEGIN
    RETURN QUERY {_statement(size)};
END
$body$
"""


_SIZED_TYPES = ", ".join(of for _, of in _PARAMETERS)
_EACH_TIME = "search_rows_of_its_own"
_GIVEN = """own, first, second, scanned, most, newest, near, space, rows, spreading, longest,
            greatest(ideal, 1e-9), vector::public.halfvec, keywords::public.halfvec, queries,
            weights, average_length, two_words, row_by_row, """ + ", ".join(
    f"CASE WHEN filters ? '{name}' "
    f"THEN ARRAY(SELECT jsonb_array_elements_text(filters -> '{name}'))::{of} END"
    if of.endswith("[]")
    else f"(filters ->> '{name}')::{of}"
    for name, (of, _) in _FILTERS.items()
)
_CHOICE = "".join(
    f"{'IF' if size == SIZES[0] else '    ELSIF'} cardinality(terms) <= {size} THEN\n"
    f"        RETURN QUERY SELECT * FROM public.search_rows_{size}({_GIVEN});\n"
    for size in SIZES
)
CHOOSING = f"""
CREATE FUNCTION search_rows({ARGUMENTS},
    near uuid[], slot integer, space uuid, vector text, keywords text, rows integer,
    spreading integer, longest integer, ideal double precision)
{_RETURNS}
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
#variable_conflict use_variable
DECLARE
{DECLARED}    queries tsquery[];
BEGIN
    IF condition <> '' OR cardinality(terms) > {SIZES[-1]}
       OR filters - ARRAY[{", ".join(f"'{name}'" for name in _FILTERS)}] <> '{{}}' THEN
        RETURN QUERY SELECT * FROM public.{_EACH_TIME}(
            terms, weights, average_length, wanted, pairs, more, newest, row_by_row, mainly,
            condition, filters, scanned, most, near, slot, space, vector, keywords, rows,
            spreading, longest, ideal);
        RETURN;
    END IF;
{QUERIES}    queries := ARRAY(
        SELECT ('''' || replace(replace(t, '\\', '\\\\'), '''', '''''') || '''')::tsquery
          FROM unnest(terms) WITH ORDINALITY AS x (t, i) ORDER BY i);
    {_CHOICE}    END IF;
END
$body$
"""



def _with_mainly(signature: str) -> str:
    return signature.replace("integer, boolean, text,", "integer, boolean, boolean, text,")


_NEW_ROWS = _with_mainly(_ROWS_SIGNATURE)


def _inner(create: str, signature: str) -> list[tuple[str, str]]:
    """A function that search_rows alone calls."""
    grant = f'GRANT EXECUTE ON FUNCTION {signature} TO "{RUNTIME}"'
    revoke = f'REVOKE ALL ON FUNCTION {signature} FROM "{RUNTIME}"'
    return [
        (revoke if sql == grant else sql, back) for sql, back in _function(create, signature)
    ]


# (forwards, backwards), to be undone in reverse order.
STATEMENTS = [
    (_drop(_COUNTS), [sql for sql, _ in _function(TERM_COUNTS, _COUNTS)]),
    *_function(COUNTS, _COUNTS),
    (_drop(_NEW_WORDS), [sql for sql, _ in _function(WORDS, _NEW_WORDS)]),
    *_function(_renewed(WORDS), _with_mainly(_NEW_WORDS)),
    (_drop(_ROWS_SIGNATURE), [sql for sql, _ in _function(ROWS, _ROWS_SIGNATURE)]),
    *_inner(
        _renewed(ROWS).replace("CREATE FUNCTION search_rows(", f"CREATE FUNCTION {_EACH_TIME}("),
        _NEW_ROWS.replace("search_rows(", f"{_EACH_TIME}("),
    ),
    *(
        statement
        for size in SIZES
        for statement in _inner(_sized(size), f"search_rows_{size}({_SIZED_TYPES})")
    ),
    *_function(CHOOSING, _NEW_ROWS),
]

# Two that read as whoever asks. The passages of hits with the names of what they belong to; by outer
# joins, because the passages' copies have no keys, so what they name may be gone.
DETAILS_ARGUMENTS = "uuid[]"
DETAILS = f"""
CREATE FUNCTION search_details(passages uuid[])
RETURNS TABLE (
    passage uuid, source uuid, kind text, chunk integer, text text, memory_kind text,
    tags text[], trust text, state text, occurred_at timestamptz, valid_from timestamptz,
    valid_to timestamptz, agent_id uuid, agent text, project_id uuid, project text,
    session_id uuid, session text, conversation_id text, thread_id uuid, idx integer, role text)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
{_KEPT_PLAN}
AS $body$
#variable_conflict use_column
DECLARE
    _own uuid := nullif(current_setting('app.workspace', true), '')::uuid;
BEGIN
    RETURN QUERY SELECT
        p.id, coalesce(p.of_memory_id, p.of_summary_id, p.of_event_id, p.of_message_id,
                       p.of_project_id, p.of_task_id, p.of_contact_id),
        p.kind::text, p.chunk::integer, p.text, nullif(p.memory_kind, '')::text, p.tags::text[],
        p.trust::text, p.state::text, p.occurred_at, p.valid_from, p.valid_to, a.id, a.name::text,
        j.id, j.title::text, s.id, s.name::text, s.conversation_id::text, p.thread_id, p.idx,
        m.role::text
      FROM public.memory_passage p
      LEFT JOIN public.agent_sessions_session s
             ON s.workspace_id = p.workspace_id AND s.id = p.session_id
      LEFT JOIN public.contacts_agent a ON a.workspace_id = p.workspace_id AND a.id = p.agent_id
      LEFT JOIN public.agent_sessions_project j
             ON j.workspace_id = p.workspace_id AND j.id = p.project_id
      LEFT JOIN public.agent_sessions_message m
             ON m.workspace_id = p.workspace_id AND m.id = p.of_message_id
     WHERE p.workspace_id = _own AND p.id = ANY(passages);
END
$body$
"""

# Which vectors a query's are compared with and where they are, which are the active ones, and how
# many passages wait for one of those. `since` is the moment from which on a space that was left can still be read.
STANDING_ARGUMENTS = "text, text, integer, timestamp with time zone, integer"
STANDING = f"""
CREATE FUNCTION search_standing(
    asked_provider text, asked_model text, asked_dimensions integer, since timestamptz,
    most integer)
RETURNS TABLE (
    space uuid, slot integer, active uuid, provider text, model text, dimensions integer,
    pending integer)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
{_KEPT_PLAN}
AS $body$
#variable_conflict use_column
DECLARE
    _own uuid := nullif(current_setting('app.workspace', true), '')::uuid;
    _active record;
    _space uuid;
    _slot integer;
    _pending integer;
BEGIN
    SELECT e.id, e.provider, e.model, e.dimensions, e.slot INTO _active
      FROM public.memory_embeddingspace e WHERE e.workspace_id = _own AND e.state = 'active';
    IF (_active.provider, _active.model, _active.dimensions)
       = (asked_provider, asked_model, asked_dimensions) THEN
        _space := _active.id;
        _slot := _active.slot;
    ELSE
        SELECT e.id, e.slot INTO _space, _slot FROM public.memory_embeddingspace e
         WHERE e.workspace_id = _own AND e.provider = asked_provider AND e.model = asked_model
           AND e.dimensions = asked_dimensions AND e.state = 'retired' AND e.switched_at > since;
    END IF;
    IF _active.slot = 2 THEN
        SELECT count(*) INTO _pending FROM (
            SELECT FROM public.memory_passage p
             WHERE p.workspace_id = _own AND p.second_space_id IS NOT NULL
               AND p.second_embedding IS NULL LIMIT most) waiting;
    ELSE
        SELECT count(*) INTO _pending FROM (
            SELECT FROM public.memory_passage p
             WHERE p.workspace_id = _own AND p.embedding IS NULL LIMIT most) waiting;
    END IF;
    RETURN QUERY SELECT _space, _slot, _active.id, _active.provider::text, _active.model::text,
                        _active.dimensions::integer, _pending;
END
$body$
"""
