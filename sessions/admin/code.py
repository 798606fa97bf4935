"""Code with its words in colour: classes only, which sessions.css colours for light and dark.

Stored code is data from outside, and a lexer is a heap of regular expressions: only languages
whose lexers are well worn are read, and only what is short enough to be read by people.
"""

import html
from functools import cache

from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexer import Lexer
from pygments.lexers import get_lexer_by_name

PREFIX = "tok-"
MAX_HIGHLIGHTED, MAX_LINE = 10_000, 1_000
# What agents name a language by, and the lexer that reads it.
LEXERS = {
    "bash": "bash", "sh": "bash", "shell": "bash", "zsh": "bash", "console": "console",
    "python": "python", "py": "python", "pycon": "pycon",
    "javascript": "javascript", "js": "javascript", "jsx": "javascript",
    "typescript": "typescript", "ts": "typescript", "tsx": "typescript",
    "json": "json", "jsonc": "json", "yaml": "yaml", "yml": "yaml", "toml": "toml", "ini": "ini",
    "html": "html", "xml": "xml", "css": "css", "sql": "sql", "diff": "diff", "patch": "diff",
    "go": "go", "rust": "rust", "rs": "rust", "java": "java", "c": "c", "cpp": "cpp", "c++": "cpp",
    "ruby": "ruby", "rb": "ruby", "dockerfile": "docker", "makefile": "make",
}  # fmt: skip


@cache
def _lexer(name: str) -> Lexer:
    return get_lexer_by_name(name, stripnl=False, ensurenl=False)


@cache
def _formatter() -> HtmlFormatter:
    return HtmlFormatter(nowrap=True, classprefix=PREFIX)


def colour(code: str, language: str) -> str:
    """The code as HTML, escaped; in one colour where its language is not known or it is long."""
    name = LEXERS.get(language.lower())
    if name is None or len(code) > MAX_HIGHLIGHTED or _has_long_line(code):
        return html.escape(code)
    return str(highlight(code, _lexer(name), _formatter()))


def _has_long_line(code: str) -> bool:
    return any(len(line) > MAX_LINE for line in code.splitlines())
