"""GET /install: the shell script that puts the shim on the machine where an agent runs.

It is made to be read before it is run. It holds this server's address as the request named it, and
the SHA-256 of the shim that this server gives out; no key. The host is one of ALLOWED_HOSTS and,
since it ends up in a shell, of a strict form besides.
"""

import hashlib
import re
from pathlib import Path

from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

_NAME, _V6 = r"[A-Za-z0-9][A-Za-z0-9.-]{0,252}", r"\[[0-9A-Fa-f:.]{2,45}\]"
_HOST = re.compile(rf"(?:{_NAME}|{_V6})(?::[0-9]{{1,5}})?")
# Beside the applications, not in one: it is no part of the server.
_SHIM = Path(__file__).resolve().parent.parent / "integrations" / "shim"


def _program() -> bytes:
    # Read each time: an upgrade lays files under processes that run, and sum and program must be
    # of one version whichever process is asked.
    return (_SHIM / "remember.py").read_bytes()


def _script() -> str:
    script = (_SHIM / "install.sh").read_text()
    return script.replace("@SHA256@", hashlib.sha256(_program()).hexdigest())


@require_safe
def script(request: HttpRequest) -> HttpResponse:
    """The script, as text that a browser shows."""
    host = request.get_host()
    if not _HOST.fullmatch(host):
        raise SuspiciousOperation("A host of this form is not written into a script.")
    return _plain(_script().replace("@SERVER@", f"{request.scheme}://{host}"))


@require_safe
def program(request: HttpRequest) -> HttpResponse:
    """The shim itself."""
    return _plain(_program())


def _plain(content: str | bytes) -> HttpResponse:
    response = HttpResponse(content, content_type="text/plain; charset=utf-8")
    # The next answer may be another version, or be for another host.
    response["Cache-Control"] = "no-store"
    response["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return response
