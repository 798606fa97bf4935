"""Stored text as safe HTML. What agents write is data from outside, whoever they are.

Three walls: Markdown is read with raw HTML escaped and images as links; the result is cut to an
allow-list; and the page's content security policy runs no inline script and loads no foreign image.
"""

import html
import re
from functools import cache
from typing import Any

import mistune
import nh3
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from sessions.admin.code import PREFIX, colour

# Rendering grows with the text; what is longer is shown plain, and cut by the caller.
MAX_RENDERED = 100_000
TAGS = {
    "a", "blockquote", "br", "code", "del", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "input",
    "li", "ol", "p", "pre", "span", "strong", "table", "tbody", "td", "th", "thead", "tr", "ul",
}  # fmt: skip
ATTRIBUTES = {
    "a": {"href", "title"},
    "code": {"class"},
    "span": {"class"},
    "ol": {"start"},
    "input": {"type", "checked", "disabled"},
}
SCHEMES = {"http", "https", "mailto"}
_TOKEN = re.compile(rf"{PREFIX}[a-z0-9]{{1,4}}")


class _Renderer(mistune.HTMLRenderer):
    """Images become links: a picture fetched from elsewhere would tell who reads this page."""

    def image(self, text: str, url: str, title: str | None = None) -> str:
        shown = text or url
        return self.link(f"[image: {shown}]", url)

    def link(self, text: str, url: str, title: str | None = None) -> str:
        # Other schemes would run or hide something, and a relative address would be one of our own
        # pages: both stay visible as text.
        if url.split(":", 1)[0].strip().lower() not in SCHEMES or ":" not in url:
            return text if escape(url) == text else f"{text} ({escape(url)})"
        return super().link(text, url, title)

    def block_code(self, code: str, info: str | None = None) -> str:
        language = (info or "").split(maxsplit=1)[0] if (info or "").strip() else ""
        named = f' class="language-{escape(language)}"' if language else ""
        return f"<pre><code{named}>{colour(code, language)}</code></pre>\n"

    def heading(self, text: str, level: int, **attrs: Any) -> str:
        return f"<h{level}>{text}</h{level}>\n"


@cache
def _reader() -> mistune.Markdown:
    return mistune.create_markdown(
        escape=True,
        hard_wrap=True,
        renderer=_Renderer(escape=True),
        plugins=["table", "strikethrough", "url", "task_lists"],
    )


def _class_of_code(tag: str, name: str, value: str) -> str | None:
    """Only the language a fenced block names and the colours of its words; another class of ours
    could restyle the page."""
    if (tag, name) == ("code", "class"):
        return value if value.startswith("language-") and " " not in value else None
    if (tag, name) == ("span", "class"):
        return value if _TOKEN.fullmatch(value) else None
    if (tag, name) == ("input", "type"):
        return "checkbox"
    return value


def render(text: str) -> SafeString:
    """Markdown as HTML that cannot run, load or restyle anything."""
    if len(text) > MAX_RENDERED:
        return plain(text)
    made = _reader()(text)
    safe = nh3.clean(
        str(made),
        tags=TAGS,
        attributes=ATTRIBUTES,
        url_schemes=SCHEMES,
        link_rel="noopener noreferrer nofollow",
        set_tag_attribute_values={"a": {"target": "_blank"}, "input": {"disabled": ""}},
        attribute_filter=_class_of_code,
        strip_comments=True,
    )
    return mark_safe(safe)  # noqa: S308  (nh3's output is the allow-list above, nothing else)


def plain(text: str) -> SafeString:
    """The text as it is, with its line breaks."""
    return mark_safe(f'<pre class="rm-plain">{html.escape(text)}</pre>')  # noqa: S308  (escaped)
