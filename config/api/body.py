"""How ninja reads bodies and writes plain values: with ours."""

from typing import Any

import orjson
from django.http import HttpRequest
from ninja.parser import Parser
from ninja.renderers import BaseRenderer

from config.lib.body import UnreadableBody, parse_json


class JsonParser(Parser):
    """orjson, and where it refuses or would lose digits the standard library."""

    def parse_body(self, request: HttpRequest) -> Any:
        body = request.body
        announced = int(request.META.get("CONTENT_LENGTH") or 0)
        if len(body) < announced:
            # The connection broke, perhaps where the JSON happens to be complete.
            raise UnreadableBody(f"The body ends after {len(body):,} of {announced:,} bytes.")
        return parse_json(body)


class JsonRenderer(BaseRenderer):
    """For operations that return plain values instead of a finished response."""

    media_type = "application/json"

    def render(self, request: HttpRequest, data: Any, *, response_status: int) -> Any:
        return orjson.dumps(data, default=str, option=orjson.OPT_UTC_Z)
