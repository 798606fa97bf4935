"""What a row must satisfy before it is written; worked out once for each model, for a batch checks
thousands of rows."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import MaxLengthValidator, ProhibitNullCharactersValidator
from django.db import models

from config.lib.errors import Invalid
from config.lib.text import json_problem, text_problem
from contacts.services import redaction

EMPTY = "must not be empty"


def check(row: models.Model, *, only: Iterable[str] | None = None, prefix: str = "") -> None:
    """Take the secrets out of a row, in place, and raise Invalid naming every field that cannot be
    stored as it is. No row is written without it."""
    names = None if only is None else frozenset(only)
    redaction.clean(row, only=names)
    errors: dict[str, str] = {}
    for rule in _rules(type(row)) if names is None else _rules_of(type(row), names):
        field = rule.field
        value = getattr(row, field.attname)
        if value is None and rule.nullable:
            continue
        path, problem = _field_problem(rule, value)
        if problem:
            errors[f"{prefix}{field.name}{path}"] = problem
    if errors:
        raise Invalid(errors)


@dataclass(frozen=True, slots=True)
class _Rule:
    """What one field's values must satisfy, worked out once: a batch checks thousands of rows."""

    field: Any
    nullable: bool
    is_json: bool
    may_be_empty: bool
    choices: frozenset[Any]
    validators: tuple[Any, ...]
    items: "_Rule | None"


@cache
def _rules(model: type[models.Model]) -> list[_Rule]:
    fields = model._meta.concrete_fields
    return [_rule(field) for field in fields if not isinstance(field, models.GeneratedField)]


@lru_cache(maxsize=1000)
def _rules_of(model: type[models.Model], names: frozenset[str]) -> list[_Rule]:
    """Those of fields that are named, or whose attributes are."""
    return [one for one in _rules(model) if {one.field.name, one.field.attname} & names]


def _rule(field: Any) -> _Rule:
    base = getattr(field, "base_field", None)
    checked_here = (MaxLengthValidator, ProhibitNullCharactersValidator)
    unneeded = isinstance(field, (models.ForeignKey, models.BinaryField)) or base is not None
    validators = () if unneeded else field.validators
    return _Rule(
        field=field,
        nullable=field.null,
        is_json=isinstance(field, models.JSONField),
        may_be_empty=field.blank or field.has_default(),
        choices=frozenset(value for value, _ in field.flatchoices or ()),
        validators=tuple(v for v in validators if not isinstance(v, checked_here)),
        items=None if base is None else _rule(base),
    )


def _field_problem(rule: _Rule, value: Any) -> tuple[str, str]:
    """(path below the field, what is wrong), both empty where nothing is."""
    field = rule.field
    if value is None:
        return "", "" if rule.nullable else "is required"
    if rule.is_json:
        return json_problem(value) or ("", "")
    if isinstance(value, str):
        problem = _text_problem(rule, value)
        if problem:
            return "", problem
    if rule.items is not None:
        for index, item in enumerate(value):
            path, problem = _field_problem(rule.items, item)
            if problem:
                return f"[{index}]{path}", problem
        return "", ""
    if rule.choices and value not in rule.choices:
        return "", f"must be one of {', '.join(str(choice) for choice, _ in field.flatchoices)}"
    if isinstance(value, float) and value != value:
        return "", "must be a number"
    if rule.validators and value not in field.empty_values:
        try:
            for validate in rule.validators:
                validate(value)
        except ValidationError as error:
            return "", " ".join(error.messages)
    return "", ""


def _text_problem(rule: _Rule, value: str) -> str:
    if not value:
        return "" if rule.may_be_empty else EMPTY
    problem = text_problem(value)
    if problem:
        return problem
    longest = rule.field.max_length
    if longest is not None and len(value) > longest:
        return f"has {len(value):,} characters; at most {longest:,} are kept"
    return ""
