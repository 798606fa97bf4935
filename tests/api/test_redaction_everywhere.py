"""Every kind of secret, through every door: none is in the database, the log, an answer, an export.

What is sent where follows from the catalogue: the OpenAPI document, the tools' schemas, the forms
as pages have them, the importers' registry and the models' own fields. So a new field is tried.
"""

import io
import itertools
import json
import logging
import re
import sqlite3
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import orjson
import psycopg
import pytest
import structlog
from django.apps import apps
from django.db import connection
from django.db.models import CharField, JSONField, TextField
from django.test import Client

from config import logs
from config.embedded.temporary import TemporaryUrls
from config.lib.db.models import WorkspaceRow
from config.lib.redact import MARK, redact
from config.lib.scope import workspace_scope
from config.mcp.tools import TOOLS
from contacts.models import Revision, Workspace
from contacts.services import redaction
from contacts.services.contacts import create_contact
from contacts.services.workspaces import update_workspace
from memory.exports.markdown import export_markdown
from memory.exports.ndjson import export_lines
from memory.hooks.dialects import DIALECTS
from memory.importers.registry import SOURCES
from memory.services.hooks import map_waiting
from sessions.models import PingChannel
from sessions.services.missions import create_mission
from tests.admin.conftest import person, signed_in
from tests.admin.pages import fill, registered, sent_by, url
from tests.api.caller import Caller, caller
from tests.api.test_hostile_values import LEAST, place
from tests.api.test_route_table import OPERATIONS, make_rows
from tests.factories import ALICE, make_workspace
from tests.hook_payloads import a_session
from tests.importers import made as samples
from tests.importers import small
from tests.importers.sources import Sample, take
from tests.mcp.speaking import agent_of
from tests.redaction import ALL, BADGES, JSON, SECRETS, SOUGHT, leaks, texts

# (operation, field): what is meant to hold a secret. Everything else may not.
MEANT = {
    (operation, field)
    for operation in ("create_ping_channel", "update_ping_channel")
    for field in ("target", "secret")
}
# So many of each door's texts must have been taken, or nothing would be proved.
LEAST_TAKEN = {"api": 150, "query": 30, "mcp": 20, "hooks": 90, "admin": 25}
TAKEN_OUT = re.compile(r"\[REDACTED:([\w .-]+?)[:\]]")
_cycle = itertools.count()


def one_of(found: list[str]) -> str:
    """The next one, so that all of them come by sooner or later."""
    return found[next(_cycle) % len(found)]


# --- Models ---------------------------------------------------------------------------------------


def own_models() -> list[type[Any]]:
    return [one for one in apps.get_models() if issubclass(one, (WorkspaceRow, Workspace))]


def text_fields(model: type[Any]) -> list[Any]:
    kinds = (CharField, TextField, JSONField)
    return [
        field
        for field in model._meta.concrete_fields
        if isinstance(getattr(field, "base_field", field), kinds)
        if not field.choices and not field.generated
    ]


@pytest.mark.django_db
@pytest.mark.parametrize("model", own_models(), ids=lambda model: model._meta.label)
def test_no_field_of_a_model_is_written_with_a_secret(scoped, model):
    badged()
    for field in text_fields(model):
        label = f"{model._meta.label_lower}.{field.name}"
        if label in redaction.EXEMPT and model is not Workspace:
            continue
        longest = getattr(getattr(field, "base_field", field), "max_length", None)
        for text in texts(longest):
            value: Any = text
            if field.get_internal_type() == "JSONField":
                value = JSON
            elif hasattr(field, "base_field"):
                value = [text]
            row = model(**{field.attname: value})
            redaction.clean(row, only=[field.name])
            kept = json.dumps(getattr(row, field.attname), ensure_ascii=False)
            assert not leaks(kept), label
            assert "[REDACTED:" in kept or len(text) < redaction.SHORTEST_SECRET, label
            # Done once more, nothing changes.
            redaction.clean(row, only=[field.name])
            assert json.dumps(getattr(row, field.attname), ensure_ascii=False) == kept, label


def test_what_may_hold_a_secret_is_named():
    labels = {model: model._meta.label_lower for model in own_models()}
    known = {f"{labels[model]}.{field.name}" for model in labels for field in text_fields(model)}
    assert redaction.EXEMPT.keys() <= known


def badged() -> None:
    update_workspace(actor=ALICE, settings={"redaction": {"patterns": {"badge": BADGES}}})


# --- Doors ----------------------------------------------------------------------------------------


def value_of(schema: dict[str, Any], schemas: dict[str, Any]) -> Any:
    """A value with secrets in every text of it; None where there is no text."""
    if "$ref" in schema:
        return value_of(schemas[schema["$ref"].rsplit("/", 1)[-1]], schemas)
    for part in ("anyOf", "oneOf", "allOf"):
        for one in schema.get(part, []):
            if (found := value_of({**schema, part: [], **one}, schemas)) is not None:
                return found
    if "enum" in schema or "const" in schema:
        return None
    match schema.get("type"):
        case "string" if "pattern" not in schema and "format" not in schema:
            return one_of(texts(schema.get("maxLength")) or [""])
        case "array":
            item = value_of(schema.get("items", {}), schemas)
            return None if item is None else [item]
        case "object" if "properties" not in schema:
            return JSON
        case "object":
            found = {n: value_of(one, schemas) for n, one in schema["properties"].items()}
            return {name: one for name, one in found.items() if one is not None} or None
    return None


def fields_of(schema: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in schema:
        return fields_of(schemas[schema["$ref"].rsplit("/", 1)[-1]], schemas)
    found = dict(schema.get("properties", {}))
    for part in ("anyOf", "oneOf", "allOf"):
        for one in schema.get(part, []):
            found |= fields_of(one, schemas)
    return found


class Doors:
    """What was sent, what came of it, and every answer."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.taken: Counter[str] = Counter()
        self.sent: Counter[str] = Counter()
        self.leaked: dict[str, set[str]] = {}

    def look(self, where: str, said: str) -> None:
        if found := leaks(said):
            self.leaked[where] = found

    def note(self, door: str, where: str, answer: Any) -> None:
        body = answer.getvalue().decode(errors="replace")
        headers = " ".join(f"{k}: {v}" for k, v in answer.headers.items())
        self.look(f"{door} {where} {answer.status_code}", body + headers)
        self.sent[door] += 1
        self.taken[door] += answer.status_code < 400

    def api(self, api: Caller) -> None:
        rows = make_rows(api, self.workspace)
        document = orjson.loads(Client().get("/api/v1/openapi.json").content)
        schemas = document["components"]["schemas"]
        described = {
            one["operationId"]: one
            for methods in document["paths"].values()
            for one in methods.values()
        }
        for name, method, path, _ in sorted(OPERATIONS, key=lambda case: case[1] == "DELETE"):
            where = place(path, rows)
            body = described[name].get("requestBody", {}).get("content", {})
            schema = body.get("application/json", {}).get("schema", {})
            for field, one in fields_of(schema, schemas).items():
                value = value_of(one, schemas)
                if value is None or (name, field) in MEANT:
                    continue
                sent = {**LEAST.get(name, {}), field: value}
                options: dict[str, str] = {"if_match": "*", "x_request_id": SECRETS["github-token"]}
                if method == "POST":
                    options["idempotency_key"] = f"{SECRETS['stripe-key']}{next(_cycle)}"
                self.note("api", f"{name} {field}", api.call(method, where, sent, **options))
            for parameter in described[name]["parameters"]:
                if parameter["in"] == "query" and method == "GET":
                    value = value_of(parameter["schema"], schemas)
                    if isinstance(value, str):
                        self.note("query", name, api.get(where, **{parameter["name"]: value}))
            if "{" in path:
                secret = one_of(texts(100))
                if "/" not in secret and "\n" not in secret:
                    bad = re.sub(r"{\w+}", secret, path)
                    self.note("path", name, api.call(method, bad, LEAST.get(name), if_match="*"))

    def mcp(self) -> None:
        agent = agent_of(self.workspace)
        for tool in TOOLS:
            schema = tool.described.input_schema
            fields = schema["properties"]
            every = {name: value_of(one, {}) for name, one in fields.items()}
            every = {name: value for name, value in every.items() if value is not None}
            need = {name: every[name] for name in schema.get("required", []) if name in every}
            for name in every:
                sent = {**need, name: every[name]}
                answer = agent.ask("tools/call", name=tool.name, arguments=sent)
                said = json.dumps(answer, ensure_ascii=False)
                self.look(f"mcp {tool.name} {name}", said)
                self.sent["mcp"] += 1
                self.taken["mcp"] += not answer.get("result", {}).get("isError", "error" in answer)
        for prompt in ("recall", "start", "handoff"):
            agent.ask("prompts/get", name=prompt, arguments={"topic": ALL[:1500]})

    def hooks(self, api: Caller) -> None:
        for dialect in DIALECTS:
            for number, payload in enumerate(a_session(f"of-{dialect}")):
                answer = api.post(f"/hooks/{dialect}", with_secrets(payload, keep=KEPT))
                self.note("hooks", f"{dialect} {number}", answer)
            self.note("hooks", dialect, api.call("POST", f"/hooks/{dialect}", raw=ALL.encode()))
            headers = {"x_remembrancer_host": SECRETS["npm-token"],
                       "x_remembrancer_delivery": SECRETS["jwt"]}  # fmt: skip
            body = {"hook_event_name": "Stop", "session_id": "s", **JSON}
            self.note("hooks", dialect, api.call("POST", f"/hooks/{dialect}", body, **headers))
        map_waiting(self.workspace.id, seconds=60)

    def imports(self, folder: Path) -> None:
        """Each source into a workspace of its own, where every kind is to have come."""
        for name, make in MADE.items():
            workspace = make_workspace(f"from-{name}")
            with workspace_scope(workspace.id):
                badged()
                wanted = set(TAKEN_OUT.findall(redact(ALL)))
            where = folder / name / SUFFIX.get(name, "")
            where.parent.mkdir(parents=True, exist_ok=True)
            make(where)
            assert poisoned(where), name
            report = take(workspace, Sample(name, ""), where)
            assert sum(report.rows.values()), name
            self.look(f"import {name}", repr(report))
            lines = b"".join(export_lines(workspace)).decode()
            self.look(f"export of {name}", lines)
            assert wanted - set(TAKEN_OUT.findall(lines)) == set(), name

    def admin(self) -> None:
        found = fill(self.workspace)
        client = signed_in(person("gwen", (self.workspace, "owner")))
        client.raise_request_exception = False
        # Last the workspace, whose settings it overwrites.
        for model in sorted(registered(), key=lambda model: (model is Workspace, str(model))):
            pages = [url(model, "change", found[model].pk)] if model in found.by_model else []
            for address in [*pages, url(model, "add")]:
                page = client.get(address)
                if page.status_code != 200:
                    continue
                typed = typed_into(page.content.decode())
                if model is PingChannel:
                    typed = {
                        n: one for n, one in typed.items() if n not in ("target", "new_secret")
                    }
                sent = sent_by(page.content.decode())
                filled = {"_reason": SECRETS["github-token"]}
                for name, longest in typed.items():
                    held = sent.get(name, "")
                    is_json = isinstance(held, str) and held[:1] in ("{", "[")
                    filled[name] = json.dumps(JSON) if is_json else one_of(texts(longest or 500))
                answer = client.post(address, {**sent, **filled})
                self.note_form(address, answer)
                if answer.status_code == 302:
                    continue
                # One of them is refused: each by itself.
                for name, value in filled.items():
                    self.note_form(f"{address} {name}", client.post(address, {**sent, name: value}))

    def note_form(self, where: str, answer: Any) -> None:
        """A form that is shown again has what was typed; nothing else may show it."""
        self.sent["admin"] += 1
        self.taken["admin"] += answer.status_code == 302
        if answer.status_code not in (200, 409):
            self.look(f"admin {where}", answer.getvalue().decode())


# What an agent's payload is found by.
KEPT = {"session_id", "hook_event_name", "tool_use_id", "prompt_id", "agent_id"}


def with_secrets(
    value: Any, *, keep: Collection[str] = (), shortest: int = 0, poison: str = ALL
) -> Any:
    """The same with secrets behind every text of it."""
    if isinstance(value, str):
        return f"{value} {poison}" if len(value) >= shortest else value
    if isinstance(value, list):
        return [with_secrets(one, keep=keep, shortest=shortest, poison=poison) for one in value]
    if isinstance(value, dict):
        return {
            k: v if k in keep else with_secrets(v, keep=keep, shortest=shortest, poison=poison)
            for k, v in value.items()
        }
    return value


def typed_into(page: str) -> dict[str, int | None]:
    """Where one types on a page's form, and how much."""
    found: dict[str, int | None] = {}
    for tag in re.findall(r"<(?:textarea|input)\b[^>]*>", page):
        attributes = dict(re.findall(r'([\w-]+)="([^"]*)"', tag))
        name = attributes.get("name", "")
        if not name or name.startswith("_") or name in ("csrfmiddlewaretoken", "q"):
            continue
        if tag.startswith("<textarea") or attributes.get("type", "text") in (
            "text",
            "email",
            "url",
        ):
            limit = attributes.get("maxlength", "")
            found[name] = int(limit) if limit.isdigit() else None
    return found


# --- Files that importers read --------------------------------------------------------------------

MADE: dict[str, Callable[[Path], None]] = {
    "vcard": lambda path: samples.vcard(path, 3),
    "basic-memory": lambda path: samples.basic_memory(path, 3),
    "claude-md": samples.claude_md,
    "mem0": lambda path: samples.mem0(path, 3),
    "claude-mem": lambda path: samples.claude_mem(path, 2),
    "memory-server": lambda path: samples.memory_server(path, 3),
    "chatgpt": lambda path: samples.chatgpt(path, 2),
    **small.MADE,
}
SUFFIX = {"amp": "sessions.sqlite", "archon": "dump.sql", "experience-store": "raw_store.db",
          "life-engine": "system.db", "vcard": "people.vcf", "mem0": "mem0.json",
          "claude-mem": "claude-mem.db",
          "memory-server": "memory.jsonl", "chatgpt": "conversations.json",
          "basic-memory": "notes", "claude-md": "shop"}  # fmt: skip


def poisoned(where: Path, poison: str = ALL) -> int:
    """Put secrets into the texts of a source's files; into how many."""
    if where.is_dir():
        return sum(poisoned(path, poison) for path in sorted(where.rglob("*")) if path.is_file())

    def filled(value: Any) -> Any:
        return with_secrets(value, shortest=15, poison=poison)

    match where.suffix:
        case ".json":
            where.write_text(json.dumps(filled(json.loads(where.read_text()))))
        case ".jsonl":
            lines = [json.loads(line) for line in where.read_text().splitlines()]
            where.write_text("".join(f"{json.dumps(filled(line))}\n" for line in lines))
        case ".md":
            where.write_text(f"{where.read_text()}\n\n{poison}\n")
        case ".vcf":
            note = poison.replace("\n", "\\n").replace(",", "\\,")
            where.write_text(where.read_text().replace("END:VCARD", f"NOTE:{note}\r\nEND:VCARD"))
        case ".db" | ".sqlite":
            _poison_sqlite(where, poison)
        case ".sql":
            inside = json.dumps(f"{small.SAID} {poison}")[1:-1].replace("'", "''")
            said = where.read_text().replace(f"'{small.SAID}'", f"'{small.SAID} {poison}'")
            where.write_text(said.replace(f'"{small.SAID}"', f'"{inside}"'))
        case _:
            return 0
    return 1


def _poison_sqlite(path: Path, poison: str) -> None:
    with sqlite3.connect(path) as db:
        for (table,) in db.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table'"
        ).fetchall():
            for _, column, kind, *_ in db.execute(f"PRAGMA table_info({table})").fetchall():
                if kind.upper() == "TEXT":
                    db.execute(
                        f"UPDATE {table} SET {column} = {column} || char(10) || ? "
                        f"WHERE length({column}) > 20 AND {column} NOT LIKE '{{%' "
                        f"AND {column} NOT LIKE '[%' AND {column} NOT LIKE '2%'",
                        [poison],
                    )
                    for (text,) in db.execute(
                        f"SELECT DISTINCT {column} FROM {table} "
                        f"WHERE {column} LIKE '{{%' OR {column} LIKE '[%'"
                    ).fetchall():
                        filled = json.dumps(
                            with_secrets(json.loads(text), shortest=15, poison=poison)
                        )
                        db.execute(
                            f"UPDATE {table} SET {column} = ? WHERE {column} = ?", [filled, text]
                        )


def test_every_source_has_a_sample():
    # What was exported here was redacted when it came; its own test sees to that.
    assert MADE.keys() == SOURCES.keys() - {"remembrancer"}


TOKEN = "ghp_" + "A1b2C3d4" * 5
# Wherever it is cut, that is within one.
DENSE = " ".join([TOKEN] * 60)


@pytest.mark.parametrize("name", MADE)
@pytest.mark.django_db
def test_no_secret_is_cut_in_two_by_an_import(name, tmp_path):
    """What is left of one nobody would know again; nor what is left of its mark."""
    workspace = make_workspace("greenhouse")
    where = tmp_path / SUFFIX.get(name, "")
    MADE[name](where)
    assert poisoned(where, DENSE)
    report = take(workspace, Sample(name, ""), where)
    assert sum(report.rows.values())
    lines = b"".join(export_lines(workspace)).decode()
    assert lines.count("[REDACTED:github-token") > 10
    for said in (lines, repr(report)):
        assert not re.findall(r".{40}(?:ghp_|A1b2|C3d4).{20}", said)
        assert not re.findall(r".{40}\[REDA.{20}", MARK.sub("", said))


@pytest.mark.django_db
def test_what_is_made_of_a_name_in_lower_case_holds_no_secret(workspace):
    """By case some secrets are known: an AWS key's id is of capitals."""
    name = f"Nightly {SECRETS['aws-key-id']}"
    with workspace_scope(workspace.id):
        contact = create_contact(actor=ALICE, fields={"name": name})
        mission, _ = create_mission(
            actor=ALICE, name=name, prompt="Water.", schedule="0 7 * * *",
            schedule_kind="cron",
        )  # fmt: skip
    for text in (contact.name, contact.sort_name, mission.name, mission.slug):
        assert "nightly" in text.lower()
        assert SECRETS["aws-key-id"].lower() not in text.lower()


# --- All of it ------------------------------------------------------------------------------------


@pytest.fixture
def log_lines() -> Iterator[io.StringIO]:
    """Everything that is logged, at every level, as the server writes it."""
    made = logs.configure("DEBUG", "console")["formatters"]["ours"]
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=made["foreign_pre_chain"], processors=made["processors"]
        )
    )
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    yield stream
    root.removeHandler(handler)
    root.setLevel(level)


def tables(database_server: TemporaryUrls) -> Iterator[tuple[str, str]]:
    """(table, a row's values as text) of the whole database, by who may read all of it."""
    server = psycopg.conninfo.conninfo_to_dict(database_server.superuser)
    server["dbname"] = connection.settings_dict["NAME"]
    with psycopg.connect(**server) as db:  # type: ignore[arg-type]
        names = db.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        for (name,) in names:
            for row in db.execute(f'SELECT * FROM "{name}"'):  # type: ignore[arg-type]
                said = [v.decode(errors="replace") if isinstance(v, bytes) else v for v in row]
                yield name, json.dumps(said, default=str, ensure_ascii=False)


@pytest.mark.django_db(transaction=True)
@pytest.mark.timeout(600)
def test_nothing_that_comes_in_leaves_a_secret_anywhere(database_server, log_lines, tmp_path):
    workspace = make_workspace("greenhouse")
    with workspace_scope(workspace.id):
        badged()
    api = caller(workspace)
    doors = Doors(workspace)
    doors.api(api)
    doors.mcp()
    doors.hooks(api)
    doors.imports(tmp_path)
    doors.admin()
    with workspace_scope(workspace.id):
        badged()  # the admin's form has taken it away
        redaction.extra_of(workspace.id)
        logging.getLogger("remembrancer").warning("a library says: %s", ALL)
    assert not doors.leaked
    found: Counter[tuple[str, str]] = Counter()
    rows: Counter[str] = Counter()
    shown: dict[tuple[str, str], str] = {}
    for table, row in tables(database_server):
        rows[table] += 1
        for kind in leaks(row):
            found[table, kind] += 1
            at = row.index(SOUGHT[kind])
            shown.setdefault((table, kind), f"{row[:60]} ... {row[max(0, at - 200) : at + 60]}")
    allowed = {("contacts_workspace", "badge")}
    assert not {k: shown[k] for k in found if k not in allowed}
    # It did come in, and was taken out there.
    with workspace_scope(workspace.id):
        assert Revision.objects.filter(after__icontains="[REDACTED:").count() > 100
    said = log_lines.getvalue()
    assert said.count("[REDACTED:") > 10
    assert not leaks(said)
    lines = b"".join(export_lines(workspace)).decode()
    assert "[REDACTED:" in lines
    assert not leaks(lines)
    export_markdown(workspace, tmp_path / "notes")
    assert not leaks("".join(p.read_text() for p in (tmp_path / "notes").rglob("*.md")))
    for door, least in LEAST_TAKEN.items():
        assert doors.taken[door] >= least, (doors.sent, doors.taken)
