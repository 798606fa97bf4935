"""How ninja reads bodies and writes plain values: with ours."""

from typing import Any

import orjson
from django.http import HttpRequest
from ninja.parser import Parser
from ninja.renderers import BaseRenderer

from config.lib.body import parse_json
from contacts.api.http import whole_body


class JsonParser(Parser):
    """orjson, and where it refuses or would lose digits the standard library."""

    def parse_body(self, request: HttpRequest) -> Any:
        return parse_json(whole_body(request))


class JsonRenderer(BaseRenderer):
    """For operations that return plain values instead of a finished response."""

    media_type = "application/json"

    def render(self, request: HttpRequest, data: Any, *, response_status: int) -> Any:
        return orjson.dumps(data, default=str, option=orjson.OPT_UTC_Z)
