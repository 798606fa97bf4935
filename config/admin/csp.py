"""The content security policies: scripts and styles come from us and nowhere else.

Below /admin/, `unsafe-eval` is there because unfold's Alpine evaluates the expressions in its
templates' attributes and does nothing without; no inline script runs, so a stored text that slipped
through escaping still could not. Inline styles are allowed: unfold writes its colours there. Images
are ours or data, so nothing stored can call out to another server.

Every other page, such as an invitation's, has no script at all.
"""

from collections.abc import Callable, Mapping

from django.http import HttpRequest, HttpResponse

from config.admin.scope import ADMIN

View = Callable[[HttpRequest], HttpResponse]
OURS = {
    "default-src": "'none'",
    "style-src": "'self'",
    "img-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
}
OF_ADMIN = OURS | {
    "default-src": "'self'",
    "script-src": "'self' 'unsafe-eval'",
    "style-src": "'self' 'unsafe-inline'",
    "img-src": "'self' data:",
    "font-src": "'self'",
    "connect-src": "'self'",
    "object-src": "'none'",
}


def _written(sources: Mapping[str, str]) -> str:
    return "; ".join(f"{name} {value}" for name, value in sources.items())


POLICY, PLAIN_POLICY = _written(OF_ADMIN), _written(OURS)


class ContentSecurityPolicy:
    def __init__(self, get_response: View) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if request.path.startswith(ADMIN):
            response.headers.setdefault("Content-Security-Policy", POLICY)
        elif response.get("Content-Type", "").startswith("text/html"):
            response.headers.setdefault("Content-Security-Policy", PLAIN_POLICY)
        return response
