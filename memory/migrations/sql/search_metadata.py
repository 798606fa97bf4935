"""SQL of migration 0011: search_words with conditions on metadata, and as_of by when rows were
recorded. Frozen with it; a change is a new one.

The rest is as in 0003. An operator that is not known lets nothing through.
"""

from memory.migrations.sql.search_functions import _WORDS_SIGNATURE, SEARCH, WORDS, _function

_BEFORE = "WHEN 'known_at' THEN format('p.occurred_at <= %1$L '"
_AFTER = """WHEN 'metadata' THEN coalesce((
                SELECT string_agg(CASE one ->> 'op'
                    WHEN 'eq' THEN format('p.metadata -> %1$L = %2$L::jsonb', path, wanted)
                    WHEN 'ne' THEN format(
                        '(p.metadata -> %1$L = %2$L::jsonb) IS NOT TRUE', path, wanted)
                    WHEN 'in' THEN format(
                        '(jsonb_typeof(p.metadata -> %1$L) <> ''array'' '
                        'AND %2$L::jsonb @> (p.metadata -> %1$L))', path, wanted)
                    WHEN 'not_in' THEN format(
                        '(jsonb_typeof(p.metadata -> %1$L) <> ''array'' '
                        'AND %2$L::jsonb @> (p.metadata -> %1$L)) IS NOT TRUE', path, wanted)
                    WHEN 'contains' THEN format(
                        'p.metadata -> %1$L @> %2$L::jsonb', path, wanted)
                    WHEN 'exists' THEN format(
                        '(p.metadata ? %1$L) = %2$L::boolean', path, wanted)
                    ELSE CASE
                        WHEN sign IS NOT NULL AND one ->> 'op' LIKE 'text%' THEN format(
                            '(jsonb_typeof(p.metadata -> %1$L) = ''string'' '
                            'AND (p.metadata ->> %1$L) COLLATE "C" %3$s %2$L)', path, wanted, sign)
                        WHEN sign IS NOT NULL THEN format(
                            '(jsonb_typeof(p.metadata -> %1$L) = ''number'' '
                            'AND p.metadata -> %1$L %3$s %2$L::jsonb)', path, wanted, sign)
                        ELSE 'false' END
                    END, ' AND ')
                  FROM (SELECT one, one ->> 'path' AS path, one ->> 'value' AS wanted,
                               CASE one ->> 'op'
                                    WHEN 'gt' THEN '>' WHEN 'text_gt' THEN '>'
                                    WHEN 'gte' THEN '>=' WHEN 'text_gte' THEN '>='
                                    WHEN 'lt' THEN '<' WHEN 'text_lt' THEN '<'
                                    WHEN 'lte' THEN '<=' WHEN 'text_lte' THEN '<='
                               END AS sign
                          FROM jsonb_array_elements(value) AS x (one)) AS conditions), 'false')
            WHEN 'known_at' THEN format('coalesce(p.recorded_at, p.occurred_at) <= %1$L '"""
_SINGLE = "value #>> '{}' AS single"

WORDS_AND_METADATA = WORDS.replace(_BEFORE, _AFTER).replace(_SINGLE, f"value, {_SINGLE}")

# The function belongs to the search role, which alone may drop it.
_DROP = f"SET LOCAL ROLE {SEARCH}; DROP FUNCTION {_WORDS_SIGNATURE}; RESET ROLE"
FORWARDS = [_DROP, *(statement for statement, _ in _function(WORDS_AND_METADATA, _WORDS_SIGNATURE))]
BACKWARDS = [_DROP, *(statement for statement, _ in _function(WORDS, _WORDS_SIGNATURE))]
