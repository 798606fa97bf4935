"""JSON schemas of tools, made once in a process from the schemas that REST uses.

Agents read every word of what a tool takes, and some clients do not follow references, so nothing
is said twice: no titles, no empty defaults, definitions in place. What a tool gives is described
loosely: a concise answer leaves fields out.
"""

from collections.abc import Mapping
from typing import Any, Literal

from ninja.errors import ValidationError
from pydantic import BaseModel, Field
from pydantic import ValidationError as PydanticError

from config.lib.schema import Input, Text
from contacts.api.http import Paging

COMMON = ("idempotency_key", "response_format")
Format = Literal["concise", "detailed"]


class Arguments(Input):
    """What a tool takes."""

    response_format: Format = Field(
        "concise",
        description="concise: what one decides by, about 1,500 tokens; detailed: all",
    )


class Writing(Arguments):
    """What a tool takes that writes."""

    idempotency_key: Text | None = Field(
        None,
        max_length=255,
        description="Your own word for this call; repeated, nothing is done twice",
    )


def read(schema: type[BaseModel], sent: Mapping[str, Any], names: Mapping[str, str] = {}) -> Any:
    """What REST takes, of what a tool was given. Raises ValidationError, as REST does, that names
    the tool's own arguments: `names` is REST's name -> the tool's."""
    try:
        return schema.model_validate(sent)
    except PydanticError as error:
        wrong: list[Any] = []
        for one in error.errors(include_url=False):
            first, *path = one["loc"] or ("arguments",)
            wrong.append({**one, "loc": ("body", "arguments", names.get(str(first), first), *path)})
        raise ValidationError(wrong) from None


def paging(limit: int, cursor: str | None = None) -> Paging:
    """The page of a list that REST is asked for."""
    page: Paging = read(Paging, {"limit": limit, "cursor": cursor})
    return page


def input_schema(model: type[BaseModel]) -> dict[str, Any]:
    schema = model.model_json_schema(mode="validation")
    schema = _plain(schema, schema.pop("$defs", {}))
    schema.pop("description", None)
    # What every tool takes comes last.
    fields = schema["properties"]
    fields |= {name: fields.pop(name) for name in COMMON if name in fields}
    return schema


def _plain(schema: Any, definitions: dict[str, Any]) -> Any:
    if isinstance(schema, list):
        return [_plain(one, definitions) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        schema = {**definitions[schema["$ref"].rpartition("/")[2]], **schema}
        del schema["$ref"]
    if "properties" in schema:
        fields = {
            name: _field(one, name in schema.get("required", []), definitions)
            for name, one in schema["properties"].items()
        }
        schema = {**schema, "properties": fields}
        return {k: v for k, v in schema.items() if k not in ("title", "description")}
    return {k: _plain(v, definitions) for k, v in schema.items() if k != "title"}


def _field(schema: Any, required: bool, definitions: dict[str, Any]) -> Any:
    schema = _plain(schema, definitions)
    if schema.get("default", 0) is None or schema.get("default") in ("", [], {}):
        del schema["default"]
    choices = schema.get("anyOf")
    if choices and not required and {"type": "null"} in choices:
        choices = [one for one in choices if one != {"type": "null"}]
        if len(choices) == 1:
            del schema["anyOf"]
            schema = {**choices[0], **schema}
        else:
            schema["anyOf"] = choices
    return schema


def output_schema(model: type[BaseModel]) -> dict[str, Any]:
    schema = model.model_json_schema(mode="serialization")
    loose: dict[str, Any] = _loose(schema, schema.pop("$defs", {}))
    return loose


def _loose(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in schema:
        return _loose(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    if "anyOf" in schema:
        choices = [_loose(one, definitions) for one in schema["anyOf"]]
        if all(choice.keys() == {"type"} for choice in choices):
            return {"type": sorted({choice["type"] for choice in choices})}
        return {"anyOf": choices}
    kept = {"type": schema["type"]} if "type" in schema else {}
    if "properties" in schema:
        kept["properties"] = {
            name: _loose(one, definitions) for name, one in schema["properties"].items()
        }
    if "items" in schema:
        kept["items"] = _loose(schema["items"], definitions)
    return kept
