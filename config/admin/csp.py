"""The content security policy of /admin/: scripts and styles come from us and nowhere else.

`unsafe-eval` is there because unfold's Alpine evaluates the expressions in its templates'
attributes; no inline script runs, so a stored text that slipped through escaping still could not.
Inline styles are allowed: unfold writes its colours into the page. Images are ours or data, so
nothing stored can call out to another server.
"""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from config.admin.scope import ADMIN

View = Callable[[HttpRequest], HttpResponse]
SOURCES = {
    "default-src": "'self'",
    "script-src": "'self' 'unsafe-eval'",
    "style-src": "'self' 'unsafe-inline'",
    "img-src": "'self' data:",
    "font-src": "'self'",
    "connect-src": "'self'",
    "object-src": "'none'",
    "base-uri": "'none'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
}
POLICY = "; ".join(f"{name} {value}" for name, value in SOURCES.items())


class ContentSecurityPolicy:
    def __init__(self, get_response: View) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if request.path.startswith(ADMIN):
            response.headers.setdefault("Content-Security-Policy", POLICY)
        return response
