"""What gunicorn serves."""

import os
from collections.abc import Callable, Iterable
from io import BytesIO
from typing import Any

from django.conf import settings
from django.core.wsgi import get_wsgi_application

from config.lib.body import BROKEN_BODY

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.base")
django_application = get_wsgi_application()


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Gives chunked bodies a length before Django sees them.

    Django reads as many bytes as Content-Length says, so of a body without one it reads nothing:
    what a client sent in chunks would be lost, and without a limit. Here at most one byte more
    than the limit is read; config.middleware.BodyLimit refuses what has that byte.
    """
    chunked = "CONTENT_LENGTH" not in environ and "HTTP_TRANSFER_ENCODING" in environ
    if chunked and environ.get("wsgi.input_terminated"):
        try:
            body = environ["wsgi.input"].read(settings.MAX_BODY_BYTES + 1)
        except OSError as error:
            # gunicorn's errors of chunks; the answer is the middleware's, like every other.
            environ[BROKEN_BODY] = str(error) or type(error).__name__
        else:
            environ["wsgi.input"] = BytesIO(body)
            environ["CONTENT_LENGTH"] = str(len(body))
    return django_application(environ, start_response)
