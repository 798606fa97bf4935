"""The OpenAPI document: what ninja derives from the operations, and what is true of all of them.

Problems, scopes and the headers that every operation of a kind takes are added here by rule
instead of being repeated on each operation.
"""

from typing import Any

from ninja import NinjaAPI
from ninja.openapi.schema import OpenAPISchema
from ninja.operation import Operation

from config.errors import PROBLEM_TYPE
from contacts.api.auth import KeyAuth
from contacts.api.http import IF_MATCH, Problem
from contacts.scopes import SCOPES

MEANINGS = {
    400: "The request cannot be read: not JSON, not UTF-8, nested too deep",
    401: "No key, or none that opens anything",
    403: "The key lacks the operation's scope, or may not do this",
    404: "Not in this workspace",
    409: "The row's state does not allow it, a shortened id is ambiguous, or a name is taken",
    412: "Changed since you read it",
    413: "The body is too large",
    415: "The body's Content-Type is none of those that can be read",
    422: "A field or parameter cannot be taken; `errors` names it",
    428: "If-Match is missing",
    429: "Too many requests; see Retry-After",
    500: "Our fault; the log has it under request_id",
    502: "Another server that this needs answered with something of no use",
    503: "Busy or unavailable; see Retry-After",
    507: "No room on the database's disk; reading goes on",
}
ALWAYS = {401, 403, 422, 429, 500, 503}
# Answered by the web server, which knows no problem+json.
TOO_LONG = {
    "description": "The address is longer than 8,190 bytes",
    "content": {"text/html": {"schema": {"type": "string"}}},
}
WRITING = {"post", "put", "patch", "delete"}
# Query parameters that name a row.
NAMING = {
    "agent", "from_session", "mission", "parent", "project", "scheduled_mission", "session", "task",
    "to_session",
}  # fmt: skip
IDEMPOTENCY_KEY = {
    "in": "header",
    "name": "Idempotency-Key",
    "required": False,
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
    "description": "Sent again with the same body, the first answer is given again (with "
    "`Idempotent-Replayed: true`) and nothing is done twice; with another body: 422. Failed "
    "requests are not kept.",
}


class Document(OpenAPISchema):
    """ninja's document, which refuses two schemas of one name: the second would replace the first
    in silence, and clients made from the document would be wrong."""

    def add_schema_definitions(self, definitions: dict[str, Any]) -> None:
        for name, schema in definitions.items():
            if self.schemas.setdefault(name, schema) != schema:
                raise RuntimeError(f"two schemas of the API are called {name}; rename one")


class Api(NinjaAPI):
    """ninja's API with our document, made once in a process."""

    _document: OpenAPISchema | None = None

    def get_openapi_schema(self, **kwargs: Any) -> OpenAPISchema:
        if self._document is None:
            self._document = self._make_document(**kwargs)
        return self._document

    def _make_document(
        self, *, path_prefix: str | None = None, path_params: dict[str, Any] | None = None
    ) -> OpenAPISchema:
        if path_prefix is None:
            path_prefix = self.get_root_path(path_params or {})
        document = Document(self, path_prefix)
        operations = {
            operation.operation_id: operation
            for router in self._get_bound_routers()
            for view in router.path_operations.values()
            for operation in view.operations
        }
        schemas = document["components"]["schemas"]
        problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas |= problem.pop("$defs")
        schemas["Problem"] = problem
        document["components"]["responses"] = {
            str(status): {
                "description": meaning,
                "content": {PROBLEM_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
            }
            for status, meaning in MEANINGS.items()
        } | {"414": TOO_LONG}
        for path, methods in document["paths"].items():
            for method, described in methods.items():
                _complete(described, path, method, operations[described["operationId"]])
        return document


def _complete(described: dict[str, Any], path: str, method: str, operation: Operation) -> None:
    statuses = set(ALWAYS)
    keys = [auth for auth in operation.auth_callbacks if isinstance(auth, KeyAuth)]
    if method in WRITING:
        statuses |= {507}
    if "{" in path:
        statuses |= {404, 409}
    if NAMING & {parameter["name"] for parameter in described["parameters"]}:
        statuses |= {404, 409}
    if method == "post" and not any(auth.detached for auth in keys):
        statuses |= {409}
        described["parameters"].append(IDEMPOTENCY_KEY)
    if any(parameter["in"] == "query" for parameter in described["parameters"]):
        statuses |= {414}
    if "requestBody" in described:
        statuses |= {400, 404, 409, 413}
        if "application/json" not in described["requestBody"]["content"]:
            statuses |= {415}
    if operation.openapi_extra and IF_MATCH["parameters"][0] in described["parameters"]:
        statuses |= {412, 428}
    for status in sorted(statuses):
        described["responses"].setdefault(status, {"$ref": f"#/components/responses/{status}"})
    described["responses"] = dict(sorted(described["responses"].items()))
    for auth in keys:
        asked = f"Scope: `{auth.scope}` ({SCOPES[auth.scope]})" if auth.scope else "Any key."
        described["description"] = f"{described.get('description', '')}\n\n{asked}".strip()
