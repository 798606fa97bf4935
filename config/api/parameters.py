"""Refuses query parameters that an operation does not have.

A filter with a typing error would otherwise be no filter, and its answer everything.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest
from ninja.signature import ViewSignature

from config.lib.errors import Invalid

View = Callable[..., Any]


def known_parameters_only(view: View) -> View:
    """For ninja's add_decorator: runs after authentication and validation, before the operation."""
    known = {
        name
        for model in ViewSignature("", view).models
        if model.__ninja_param_source__ == "query"
        for name in model.__ninja_flatten_map__
    }
    listed = f"there are {', '.join(sorted(known))}" if known else "there are none"

    @wraps(view)
    def checked(request: HttpRequest, *args: Any, **values: Any) -> Any:
        unknown = request.GET.keys() - known
        if unknown:
            raise Invalid(
                {name[:100]: f"is not a parameter here; {listed}" for name in sorted(unknown)[:10]}
            )
        return view(request, *args, **values)

    return checked
