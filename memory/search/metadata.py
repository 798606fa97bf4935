"""Conditions on rows' metadata, and what of it the search index keeps for them.

A row's metadata is kept flat: the path of each value, its keys joined by dots, under `=path`; what
reads as a time also under `@path`, as microseconds since 1970. What is too long to be compared is
kept as {}, so that it is known to be there. The conditions' templates stand in the function
search_conditions too (migration 0012); tests compare the two. Paths and values are parameters.
"""

import json
import re
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic_core import PydanticCustomError

from config.lib.text import text_problem

# Of one search, over all paths; of one path, in keys; of `in`, `not_in` and `contains`, in values.
MOST_CONDITIONS = 20
MOST_DEPTH = 4
MOST_LISTED = 100
# Of a text that is compared, on either side, and of a path; in characters.
MOST_TEXT = 200
MOST_PATH = 200
# Of a list that is kept.
MOST_ITEMS = 50
# Of a row: every passage of it has a copy.
MOST_PATHS = 60
MOST_KEPT_CHARACTERS = 3000
# What is counted for a value that is no text. Not its length as JSON: PostgreSQL writes numbers
# in its own way, and the copy must come out the same when the row is read back.
_OTHER_CHARACTERS = 8
# Beyond this, numbers are as exact as a double.
_MOST_INT = 2**63

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIME = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d([.,]\d{1,6})?)?(Z|[+-]\d\d:?\d\d)?)?")

# {path} and {value}, which is JSON, are parameters. Null is neither true nor false: `IS NOT TRUE`
# makes an operator's opposite of all rows that it leaves out.
_EQ = "p.metadata -> {path} = {value}::jsonb"
_IN = "(jsonb_typeof(p.metadata -> {path}) <> 'array' AND {value}::jsonb @> (p.metadata -> {path}))"
_NUMBER = (
    "(jsonb_typeof(p.metadata -> {path}) = 'number' AND p.metadata -> {path} SIGN {value}::jsonb)"
)
# The value is the text itself.
_TEXT = (
    "(jsonb_typeof(p.metadata -> {path}) = 'string' "
    'AND (p.metadata ->> {path}) COLLATE "C" SIGN {value})'
)
_ORDER = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
TEMPLATES = {
    "eq": _EQ,
    "ne": f"({_EQ}) IS NOT TRUE",
    "in": _IN,
    "not_in": f"{_IN} IS NOT TRUE",
    "contains": "p.metadata -> {path} @> {value}::jsonb",
    "exists": "(p.metadata ? {path}) = {value}::boolean",
    **{name: _NUMBER.replace("SIGN", sign) for name, sign in _ORDER.items()},
    **{f"text_{name}": _TEXT.replace("SIGN", sign) for name, sign in _ORDER.items()},
}
OPERATORS = ("eq", "ne", "in", "not_in", "exists", *_ORDER, "contains")
_PARAMETER = re.compile(r"\{(path|value)\}")


@dataclass(frozen=True, slots=True)
class Condition:
    """One operator on one path: a template's name, the path as it is kept, the parameter."""

    op: str
    path: str
    value: str

    def as_sql(self) -> tuple[str, list[str]]:
        """(a condition on memory_passage p, its parameters)."""
        template = TEMPLATES[self.op]
        names = _PARAMETER.findall(template)
        return (
            _PARAMETER.sub("%s", template),
            [self.path if name == "path" else self.value for name in names],
        )


# --- Reading a query --------------------------------------------------------------------------


def check_conditions(metadata: dict[str, Any]) -> dict[str, Any]:
    """For the schema: `metadata` itself, if it can be asked; errors name path and operator."""
    read_conditions(metadata)
    return metadata


def read_conditions(metadata: Mapping[str, Any]) -> list[Condition]:
    """{"a.b": value} or {"a.b": {operator: value, ...}} as conditions, which all must hold."""
    found: list[Condition] = []
    for path, asked in metadata.items():
        _check_path(path)
        given = asked if isinstance(asked, Mapping) else {"eq": asked}
        if not given:
            _refuse(path, f"has no operator; there are {', '.join(OPERATORS)}")
        for op, value in given.items():
            if op not in OPERATORS:
                _refuse(
                    f"{path}.{op}",
                    f"is not an operator; there are {', '.join(OPERATORS)}. A key inside another "
                    'is named by its path, such as "a.b"',
                )
            where = f"{path}.{op}" if isinstance(asked, Mapping) else path
            found.append(_condition(where, path, op, value))
    if len(found) > MOST_CONDITIONS:
        _refuse("", f"has {len(found)} conditions; at most {MOST_CONDITIONS} are asked")
    return found


def _check_path(path: str) -> None:
    problem = text_problem(path)
    if problem:
        _refuse("", f"has a key that {problem}")
    keys = path.split(".")
    if not all(keys):
        _refuse(path, "has an empty key")
    if len(path) > MOST_PATH:
        _refuse(path[:40], f"is a path of {len(path)} characters; at most {MOST_PATH} are kept")
    if len(keys) > MOST_DEPTH:
        _refuse(path, f"is {len(keys)} keys deep; at most {MOST_DEPTH} are kept")


def _condition(where: str, path: str, op: str, value: Any) -> Condition:
    kept = f"={path}"
    if op == "exists":
        if not isinstance(value, bool):
            _refuse(where, "must be true or false")
    elif op in ("in", "not_in"):
        if not isinstance(value, list):
            _refuse(where, "must be a list of values")
        _check_listed(where, value)
    elif op == "contains":
        value = value if isinstance(value, list) else [value]
        _check_listed(where, value)
    else:
        _check_value(where, value)
        if op in _ORDER:
            if isinstance(value, bool):
                _refuse(where, "must be a number, a time or a text: true and false have no order")
            if isinstance(value, str):
                moment = _microseconds(value)
                if moment is None:
                    return Condition(f"text_{op}", kept, value)
                kept, value = f"@{path}", moment
    return Condition(op, kept, json.dumps(value, ensure_ascii=False))


def _check_listed(where: str, values: list[Any]) -> None:
    if not values:
        _refuse(where, "must not be empty")
    if len(values) > MOST_LISTED:
        _refuse(where, f"has {len(values)} values; at most {MOST_LISTED} are compared")
    for number, value in enumerate(values):
        _check_value(f"{where}[{number}]", value)


def _check_value(where: str, value: Any) -> None:
    if value is None:
        _refuse(where, 'cannot be null: a null counts as absent, ask {"exists": false}')
    if isinstance(value, str):
        problem = text_problem(value)
        if problem:
            _refuse(where, problem)
        if len(value) > MOST_TEXT:
            _refuse(where, f"has {len(value):,} characters; at most {MOST_TEXT} are compared")
    elif isinstance(value, (list, Mapping)):
        _refuse(where, "must be a text, a number, true or false")
    elif _number(value) is None:
        _refuse(where, "is no finite number")


def _refuse(path: str, problem: str) -> None:
    raise PydanticCustomError(
        "metadata", "{problem}", {"path": f".{path}" if path else "", "problem": problem}
    )


# --- What a row keeps -------------------------------------------------------------------------


def searchable(metadata: Any) -> dict[str, Any]:
    """What a row's passages keep of its metadata; {} where it is no object.

    The least deep first, then by the alphabet, as far as there is room. A null is absent.
    """
    kept: dict[str, Any] = {}
    if not isinstance(metadata, Mapping) or not metadata:
        return kept
    room, paths = MOST_KEPT_CHARACTERS, 0
    for path, value in _walk(metadata):
        compared = _comparable(value)
        cost = len(path) + _size(compared)
        if cost > room:
            continue
        kept[f"={path}"] = compared
        moment = _microseconds(compared) if isinstance(compared, str) else None
        if moment is not None:
            kept[f"@{path}"] = moment
        room, paths = room - cost, paths + 1
        if paths == MOST_PATHS:
            break
    return kept


def _walk(metadata: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    seen: set[str] = set()
    todo: deque[tuple[str, Mapping[str, Any]]] = deque([("", metadata)])
    while todo:
        above, items = todo.popleft()
        for key in sorted(items):
            path, value = f"{above}{key}", items[key]
            if value is None or path in seen or len(path) > MOST_PATH:
                continue
            keys = path.split(".")
            if len(keys) > MOST_DEPTH or "" in keys:
                continue
            seen.add(path)
            yield path, value
            if isinstance(value, Mapping):
                todo.append((f"{path}.", value))


def _comparable(value: Any) -> Any:
    """A scalar or a list of scalars, or {} for what is only known to be there."""
    if isinstance(value, list):
        items = [_scalar(item) for item in value if item is not None]
        return items if len(items) <= MOST_ITEMS and None not in items else {}
    scalar = _scalar(value)
    return {} if scalar is None else scalar


def _scalar(value: Any) -> Any:
    if isinstance(value, str):
        return value if len(value) <= MOST_TEXT else None
    return _number(value)


def _number(value: Any) -> Any:
    """A number or a truth value as it is kept; None for what is neither, or endless."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int) and abs(value) >= _MOST_INT:
        try:
            value = float(value)
        except OverflowError:
            return None
    if not isinstance(value, (int, float)):
        return None
    return value if value - value == 0 else None


def _size(value: Any) -> int:
    if isinstance(value, list):
        return sum(map(_size, value))
    return len(value) if isinstance(value, str) else _OTHER_CHARACTERS


def _microseconds(text: str) -> int | None:
    """Since 1970, of an ISO 8601 day or time; UTC where it names no zone. None for other text."""
    if not _TIME.fullmatch(text):
        return None
    try:
        moment = datetime.fromisoformat(text.replace(",", "."))
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // timedelta(microseconds=1)
