"""`manage.py export`: all of a workspace, as a file or folder of one's own."""

import json
import os
import sys
from argparse import ArgumentParser
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from config.lib.disk import says_full
from contacts.management.shell import ShellCommand
from contacts.models import Workspace
from contacts.selectors import get_workspace
from memory.exports.kinds import kinds
from memory.exports.markdown import export_markdown
from memory.exports.ndjson import export_lines
from memory.exports.sql import export_sql
from memory.importers.values import parse_time


class Command(ShellCommand):
    help = (
        "Export everything of a workspace (docs/export.md): as NDJSON, which `import remembrancer` "
        "brings back, as SQL for psql, or as Markdown for people."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--workspace", default="default", help="slug (default: default)")
        parser.add_argument("--format", choices=["ndjson", "sql", "markdown"], default="ndjson")
        parser.add_argument("--since", help="leave out what nobody changed since (UTC)")
        parser.add_argument("--kinds", help="only these, such as memory,session,thread")
        parser.add_argument("--output", default="-", metavar="PATH", help="- is standard output")

    def work(self, options: dict[str, Any]) -> None:
        workspace = get_workspace(options["workspace"])
        since = parse_time(options["since"]) if options["since"] else None
        if options["since"] and since is None:
            raise CommandError(f"--since {options['since']}: is no date or time")
        if options["format"] == "markdown":
            self._to_folder(workspace, options, since)
            return
        export = export_sql if options["format"] == "sql" else export_lines
        parts = export(workspace, since=since, only=_kinds(options["kinds"]))
        if options["output"] == "-":
            self._to_standard_output(parts)
            return
        self._to_file(parts, Path(options["output"]).expanduser().absolute())

    def _to_folder(
        self, workspace: Workspace, options: dict[str, Any], since: datetime | None
    ) -> None:
        if options["output"] == "-" or options["kinds"]:
            raise CommandError("--format markdown: name a folder with --output, and no --kinds")
        folder = Path(options["output"]).expanduser().absolute()
        try:
            if folder.exists() and any(folder.iterdir()):
                raise CommandError(f"--output {folder}: is not empty; name a new folder")
            files = export_markdown(workspace, folder, since=since)
        except OSError as error:
            raise CommandError(_refusal(folder, error)) from None
        self.stdout.write(f"{folder}: {files:,} files")

    def _to_file(self, parts: Iterable[bytes], path: Path) -> None:
        """Under its name once it is whole."""
        draft = path.with_name(f".{path.name}.part")
        try:
            with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                last = _write(parts, file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(draft, path)
        except OSError as error:
            raise CommandError(_refusal(path, error)) from None
        finally:
            draft.unlink(missing_ok=True)
        manifest = json.loads(last.removeprefix(b"-- "))["manifest"]
        self.stdout.write(f"{path}: {sum(manifest['rows'].values()):,} rows")

    def _to_standard_output(self, parts: Iterable[bytes]) -> None:
        output = sys.stdout.buffer
        try:
            _write(parts, output)
            output.flush()
        except OSError as error:
            # What is left of it goes nowhere: Python would try once more, and complain.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise CommandError(
                f"standard output: {error.strerror}; what was written is not whole and has no last "
                "line with a manifest"
            ) from None


def _write(parts: Iterable[bytes], file: Any) -> bytes:
    """The last of them, which has the manifest."""
    part = b""
    for part in parts:
        file.write(part)
    return part


def _refusal(path: Path, error: OSError) -> str:
    advice = "; free some space, or name another disk" if says_full(error) else ""
    return f"--output {path}: {error.strerror}; nothing was kept{advice}"


def _kinds(text: str | None) -> set[str]:
    """By their whole names, or by the last part of them."""
    if text is None:
        return set()
    known = {name: kind for kind in kinds() for name in (kind, kind.rsplit(".", 1)[1])}
    wanted = [word.strip().lower() for word in text.split(",") if word.strip()]
    unknown = [word for word in wanted if word not in known]
    if unknown or not wanted:
        said = ", ".join(kind.rsplit(".", 1)[1] for kind in kinds())
        raise CommandError(f"--kinds {', '.join(unknown) or text}: unknown; there are {said}")
    return {known[word] for word in wanted}
