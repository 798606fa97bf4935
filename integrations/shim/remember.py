#!/usr/bin/env python3
"""Remembrancer on the machine where an agent runs: what an agent's command hook starts.

    remember.py hook AGENT      reads the agent's payload on standard input, keeps it, answers

A payload is first written to a spool and then delivered by a process in the background, one for
each server, which goes on when the agent has gone. Where the agent waits for context it is asked
for at once, within a budget. Whatever happens, a hook ends with 0 and prints context or nothing.
The rest are a person's commands: install, uninstall, config, status, doctor, search, save, deliver.

Standard library only, Python 3.9 or newer, Linux and macOS. What goes over the wire is described in
docs/agents/hooks.md, this program in docs/agents/shim.md.
"""

from __future__ import annotations

# Only what every hook needs: each import here is time in which an agent waits.
import json
import os
import select
import sys
import time

VERSION = "0.1.0"
AGENTS = ("claude-code", "codex", "cursor", "gemini", "opencode", "amp", "generic")
# At these an agent waits for context; elsewhere nobody does.
CONTEXT_AT = {
    "claude-code": ("SessionStart", "UserPromptSubmit"),
    "codex": ("SessionStart", "UserPromptSubmit"),
    "cursor": ("sessionStart", "beforeSubmitPrompt"),
    "gemini": ("SessionStart", "BeforeAgent"),
    "opencode": ("session.created", "chat.message"),
    "amp": ("session.start", "agent.start"),
    "generic": ("session_start", "prompt"),
}
# These go first when the spool is too large: the transcript has them too.
TOOL_EVENTS = frozenset({
    "PreToolUse", "PostToolUse", "PostToolUseFailure", "PostToolBatch", "BeforeTool", "AfterTool",
    "preToolUse", "postToolUse", "postToolUseFailure", "tool.execute.before", "tool.execute.after",
    "tool.call", "tool.result", "tool_use", "tool_result",
})  # fmt: skip
# Seconds. An agent's own limit for a hook is never below 1.5 s.
BUDGET, MOST_BUDGET = 1.2, 20.0
# How long a payload may take to come in; what is there by then counts as half a payload.
READ_SECONDS = 2.0
# A payload whose answer is being waited for is nobody else's for so long.
ASKING_SECONDS = MOST_BUDGET + 5
# A server that let us wait is not waited for again for so long.
SLOW_SECONDS = 30.0
# The deliverer: how long it tries without success, the longest pause between two tries, and how
# long it looks for more when all is delivered.
PATIENCE, LONGEST_PAUSE, LINGER = 900.0, 60.0, 2.0
REQUEST_SECONDS = 60.0
SPOOL_MB = 200
LOG_BYTES = 256 * 1024
MOST_ANSWER_BYTES = 8 * 1024 * 1024
# Of a transcript, sent at once: little enough for a slow line to take it in a request's time.
PIECE_BYTES = 1024 * 1024
# A transcript that nobody wrote to for so long is not looked at any more.
TRANSCRIPT_DAYS = 30
# Of a long transcript, before others have their turn.
PIECES = 8


# --- Where things are -----------------------------------------------------------------------------


def home() -> str | None:
    """The user's folder; None where there is none."""
    found = os.environ.get("HOME") or ""
    if not found.startswith("/"):
        try:
            import pwd

            found = pwd.getpwuid(os.getuid()).pw_dir
        except (ImportError, KeyError):
            return None
    return found if found.startswith("/") else None


def _place(own: str, xdg: str, below_home: str) -> str | None:
    given = os.environ.get(own)
    if given:
        return os.path.abspath(os.path.expanduser(given))
    base = os.environ.get(xdg) or ""
    if base.startswith("/"):
        return os.path.join(base, "remembrancer")
    found = home()
    return os.path.join(found, below_home, "remembrancer") if found else None


def config_folder() -> str | None:
    return _place("REMEMBRANCER_SHIM_HOME", "XDG_CONFIG_HOME", ".config")


def state_folder() -> str | None:
    return _place("REMEMBRANCER_SHIM_STATE", "XDG_STATE_HOME", ".local/state")


def number(name: str, default: float, most: float) -> float:
    """A number above 0 from the environment; one that makes no sense is passed over."""
    try:
        value = float(os.environ.get(name, ""))
    except ValueError:
        return default
    return min(value, most) if value > 0 else default


def most_spool_bytes() -> int:
    return int(number("REMEMBRANCER_SHIM_SPOOL_MB", SPOOL_MB, 1e6) * 1024 * 1024)


class Settings:
    """Where the server is and with what key. `problem` says why there is none."""

    def __init__(self, url: str, key: str, source: str, allow_http: bool = False) -> None:
        self.url, self.key, self.source = url.strip().rstrip("/"), key.strip(), source
        self.problem = "" if source else "no server and key are set: run `remember config`"
        if source:
            self.problem = url_problem(self.url, allow_http) or key_problem(self.key)

    @property
    def destination(self) -> str:
        """The name of the spool's folder: what is kept for one key is never sent with another."""
        if self.problem:
            return "unset"
        # Told apart, not hidden: who can read this name can read the key. hashlib would load
        # OpenSSL, which takes longer than all else that a hook does.
        import zlib

        return f"{zlib.crc32(self.url.encode()):08x}{zlib.crc32(self.key.encode()):08x}"


def key_problem(key: str) -> str:
    if not key:
        return "there is an address but no key: run `remember config --key -`"
    if not key.isascii() or not key.isprintable() or " " in key:
        return "the key has characters that no key has"
    return ""


def url_problem(url: str, allow_http: bool) -> str:
    """What is wrong with a server's address; empty where nothing is."""
    if not url:
        return "there is a key but no address: run `remember config --url ...`"
    scheme, separator, rest = url.partition("://")
    host = rest.partition("/")[0]
    if not separator or scheme not in ("http", "https") or not host:
        return "the address must begin with https:// or http://"
    if "@" in host or not url.isascii() or not url.isprintable() or set(url) & set(" \"'\\?#"):
        return "the address may hold no name, password, query or blank"
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    loopback = name in ("localhost", "::1") or (
        name.startswith("127.") and name.replace(".", "").isdigit()
    )
    allow_http = allow_http or os.environ.get("REMEMBRANCER_ALLOW_HTTP") == "1"
    if scheme == "http" and not loopback and not allow_http:
        return (
            "the key would cross the network in the clear: use https, or say --allow-http "
            "(REMEMBRANCER_ALLOW_HTTP=1) for a network that you trust"
        )
    return ""


def read_config() -> dict:
    """What config.json says; empty where there is none that can be read."""
    folder = config_folder()
    if folder is None:
        return {}
    try:
        with open(os.path.join(folder, "config.json"), encoding="utf-8") as file:
            found = json.load(file)
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def settings() -> Settings:
    """The first source that has a key. Its address must come from there or from below, so that an
    address in some project's environment is never sent the key of config.json."""
    stored = read_config()
    file = ("config.json", _text(stored, "url"), _text(stored, "key"))
    environment = ("the environment", _env("REMEMBRANCER_URL"), _env("REMEMBRANCER_KEY"))
    plugin = (
        "the plugin's options",
        _env("CLAUDE_PLUGIN_OPTION_URL"),
        _env("CLAUDE_PLUGIN_OPTION_KEY"),
    )
    sources = [environment, plugin, file]
    for index, (name, url, key) in enumerate(sources):
        if key:
            below = (other for _, other, _ in sources[index + 1 :] if other)
            return Settings(url or next(below, ""), key, name, stored.get("allow_http") is True)
    if file[1]:
        return Settings(file[1], "", file[0], stored.get("allow_http") is True)
    return Settings("", "", "")


def stored_settings() -> Settings:
    """Those of config.json alone: hooks run in whatever shell their agent was started from."""
    stored = read_config()
    url, key = _text(stored, "url"), _text(stored, "key")
    source = "config.json" if url or key else ""
    return Settings(url, key, source, stored.get("allow_http") is True)


def _env(name: str) -> str:
    return os.environ.get(name, "").strip()


def _text(value: dict, name: str) -> str:
    found = value.get(name)
    return found if isinstance(found, str) else ""


# --- The log --------------------------------------------------------------------------------------


def log(message: str, key: str = "") -> None:
    """A line in remember.log. Never what a payload says, never a key."""
    folder = state_folder()
    if folder is None:
        return
    if key:
        message = message.replace(key, "...")
    path = os.path.join(folder, "remember.log")
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    line = f"{stamp} {os.getpid()} {' '.join(message.split())[:500]}\n"
    try:
        os.makedirs(folder, 0o700, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(handle, line.encode("utf-8", "replace"))
            large = os.fstat(handle).st_size > LOG_BYTES
        finally:
            os.close(handle)
        if large:
            os.replace(path, path + ".1")
    except OSError:
        pass  # a full disk or a home that cannot be written: there is nowhere left to say so


def write_atomically(path: str, data: bytes, mode: int = 0o600) -> None:
    """The whole file or nothing of it."""
    temporary = f"{path}.{os.getpid()}.tmp"
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    try:
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(handle, view) :]
            os.fchmod(handle, mode)
            os.fsync(handle)
        finally:
            os.close(handle)
        os.replace(temporary, path)
    except BaseException:
        try:
            os.unlink(temporary)
        except OSError:
            pass
        raise


def read_json(path: str) -> dict:
    """A small file of ours; empty where it is missing or broken."""
    try:
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


# --- The spool ------------------------------------------------------------------------------------


class Spool:
    """One file for each payload, below one folder for each server and key.

    Names sort by time: NANOSECONDS-SESSION-KIND-RANDOM.json, where SESSION is a checksum of the
    session's name and KIND is t for tools, n for all else; `.wait` while somebody waits for the
    answer. The first line is a JSON object of what is known of it, the rest is the payload.
    """

    def __init__(self, state: str, destination: str) -> None:
        self.home = os.path.join(state, "spool", destination)
        self.queue = os.path.join(self.home, "queue")
        self.aside = os.path.join(self.home, "refused")
        self.transcripts = os.path.join(self.home, "transcripts")

    def path(self, name: str) -> str:
        return os.path.join(self.queue, name)

    def in_home(self, name: str) -> str:
        return os.path.join(self.home, name)

    def keep(self, facts: dict, body: bytes, waits: bool) -> str:
        """The name under which it is kept. Raises OSError where it cannot be."""
        import zlib

        moment = time.time_ns()
        facts["time"] = moment
        session = zlib.crc32(f"{facts['agent']} {facts['session']}".encode("utf-8", "replace"))
        kind = "t" if facts["event"] in TOOL_EVENTS else "n"
        stem = f"{moment:020d}-{session:08x}-{kind}-{os.getpid():x}{os.urandom(3).hex()}"
        temporary = self.path(f".{stem}")
        try:
            handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileNotFoundError:
            os.makedirs(self.queue, 0o700, exist_ok=True)
            handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        name = f"{stem}.{'wait' if waits else 'json'}"
        try:
            try:
                view = memoryview(json.dumps(facts).encode() + b"\n" + body)
                while view:
                    view = view[os.write(handle, view) :]
            finally:
                os.close(handle)
            # Not flushed to the disk here, where an agent waits: a process that is killed loses
            # nothing, and what stays longer is flushed by the deliverer.
            os.rename(temporary, self.path(name))
        except OSError:
            self._unlink(temporary)
            raise
        return name

    def names(self) -> list[str]:
        """What is kept, the oldest first."""
        try:
            found = os.listdir(self.queue)
        except FileNotFoundError:
            return []
        self._rescue(found)
        return sorted(name for name in found if name.endswith((".json", ".wait")))

    def _rescue(self, found: list[str]) -> None:
        """Of a hook that was killed while it wrote: as much as there is."""
        for name in found:
            if name.startswith(".") and self.age(name[1:]) > 60:
                self._rename(name, name[1:] + ".json")

    def release(self, name: str) -> None:
        """Nobody waits for its answer any more: the deliverer may have it."""
        if name.endswith(".wait"):
            self._rename(name, name[:-5] + ".json")

    def _rename(self, name: str, new: str) -> None:
        try:
            os.rename(self.path(name), self.path(new))
        except OSError:
            pass  # somebody else was faster

    @staticmethod
    def age(name: str) -> float:
        """Seconds since it was kept."""
        try:
            return time.time() - int(name.partition("-")[0]) / 1e9
        except ValueError:
            return 1e9

    @staticmethod
    def session_of(name: str) -> str:
        return name.split("-", 2)[1] if name.count("-") >= 2 else ""

    def read(self, name: str) -> tuple[dict, bytes]:
        """What is known of it, and the payload. FileNotFoundError where it has gone."""
        with open(self.path(name), "rb") as file:
            first, _, body = file.read().partition(b"\n")
        try:
            facts = json.loads(first)
        except ValueError:
            facts = {}
        return (facts if isinstance(facts, dict) else {}), body

    def done(self, name: str) -> None:
        self._unlink(self.path(name))

    def set_aside(self, name: str) -> None:
        os.makedirs(self.aside, 0o700, exist_ok=True)
        try:
            os.rename(self.path(name), os.path.join(self.aside, name))
        except FileNotFoundError:
            pass

    @staticmethod
    def _unlink(path: str) -> None:
        try:
            os.unlink(path)
        except OSError:
            pass

    def sizes(self) -> dict[str, int]:
        """Bytes of each of its files, by path: payloads and those set aside."""
        found = {}
        for folder in (self.queue, self.aside):
            try:
                with os.scandir(folder) as entries:
                    for entry in entries:
                        try:
                            found[entry.path] = entry.stat().st_size
                        except OSError:
                            continue
            except OSError:
                continue
        return found

    def trim(self, most: int) -> int:
        """Delete what is above the limit: what was set aside and tools' payloads first, each the
        oldest first. How many went."""
        sizes = self.sizes()
        total = sum(sizes.values())
        if total <= most:
            return 0

        def order(path: str) -> tuple[int, str]:
            name = os.path.basename(path)
            if os.path.dirname(path) == self.aside:
                return 0, name
            return (1 if "-t-" in name else 2), name

        gone = 0
        for path in sorted(sizes, key=order):
            if total <= most:
                break
            self._unlink(path)
            total -= sizes[path]
            gone += 1
        return gone

    def flush(self, names: list[str]) -> None:
        """To the disk itself: these stay for a while."""
        for path in (*(self.path(name) for name in names), self.queue):
            try:
                handle = os.open(path, os.O_RDONLY)
            except OSError:
                continue
            try:
                os.fsync(handle)
            except OSError:
                pass
            finally:
                os.close(handle)

    def lock(self) -> int | None:
        """The right to deliver, a file that is locked as long as it is open; None where another
        process has it."""
        import fcntl

        os.makedirs(self.home, 0o700, exist_ok=True)
        handle = os.open(self.in_home("lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(handle)
            return None
        return handle

    def sweep(self) -> None:
        """What processes that were killed left of the small files."""
        for name in os.listdir(self.home):
            if name.endswith(".tmp"):
                self._unlink(self.in_home(name))

    # What became of the last attempts, for the next hook and for `remember status`.

    def note(self, name: str, **said: object) -> None:
        try:
            write_atomically(self.in_home(name), json.dumps({"at": time.time(), **said}).encode())
        except OSError:
            pass

    def note_success(self, count: int) -> None:
        self._unlink(self.in_home("trouble.json"))
        if count:
            self.note("last.json", count=count)

    def is_slow(self) -> bool:
        """Whether the server let somebody wait in vain a moment ago."""
        path = self.in_home("trouble.json")
        if not os.path.exists(path):
            return False
        found = read_json(path)
        at = found.get("at")
        recent = isinstance(at, float) and 0 <= time.time() - at < SLOW_SECONDS
        return recent and found.get("slow") is True


# --- The wire -------------------------------------------------------------------------------------


class Trouble(Exception):
    """Not delivered, and worth another try. `slow` where it was waited for."""

    def __init__(self, why: str, *, slow: bool = False, pause: float = 0.0) -> None:
        super().__init__(why)
        self.slow, self.pause = slow, pause


class Refused(Exception):
    """The server answered that it does not want this, and will not want it later."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(f"{status} {why}")
        self.status = status


class Link:
    """A connection to the one server, kept open. Redirects are never followed: the key is for the
    address that was set, and for no other."""

    def __init__(self, settings: Settings, timeout: float) -> None:
        self.settings, self.timeout = settings, timeout
        scheme, _, rest = settings.url.partition("://")
        self.host, _, path = rest.partition("/")
        self.secure = scheme == "https"
        self.base = f"/{path}/api/v1" if path else "/api/v1"
        self.open = None

    def _connect(self):
        import http.client

        host, tunnel = self.host, None
        proxy = self._proxy()
        if proxy:
            host, tunnel = proxy, self.host
        if self.secure:
            import ssl

            context = ssl.create_default_context()
            link = http.client.HTTPSConnection(host, timeout=self.timeout, context=context)
            if tunnel:
                link.set_tunnel(tunnel)
        else:
            link = http.client.HTTPConnection(host, timeout=self.timeout)
        return link

    def _proxy(self) -> str:
        """HTTPS_PROXY, for servers elsewhere."""
        if not self.secure or not (_env("https_proxy") or _env("HTTPS_PROXY")):
            return ""
        from urllib.parse import urlsplit
        from urllib.request import getproxies_environment, proxy_bypass_environment

        proxies = getproxies_environment()
        name = urlsplit("//" + self.host).hostname or ""
        if proxy_bypass_environment(name, proxies):
            return ""
        found = proxies.get("https", "")
        return urlsplit(found if "://" in found else "//" + found).netloc.rpartition("@")[2]

    def send(
        self, method: str, path: str, body: bytes = b"", headers: dict | None = None
    ) -> tuple[int, dict, bytes]:
        """(status, headers by lower-case name, body). Raises Trouble where no whole answer came."""
        import http.client

        sent = {
            "Authorization": f"Bearer {self.settings.key}",
            "User-Agent": f"remember/{VERSION}",
            "Content-Type": "application/json",
            **(headers or {}),
        }
        if body or method == "POST":
            sent["Content-Length"] = str(len(body))
        for attempt in (1, 2):
            fresh = self.open is None
            try:
                if self.open is None:
                    self.open = self._connect()
                self.open.timeout = self.timeout
                if self.open.sock is not None:
                    self.open.sock.settimeout(self.timeout)
                self.open.request(method, self.base + path, body=body, headers=sent)
                answer = self.open.getresponse()
                read = answer.read(MOST_ANSWER_BYTES)
                status = answer.status
                found = {name.lower(): value for name, value in answer.getheaders()}
                if answer.will_close or not answer.isclosed():
                    self.close()
            except TimeoutError:
                self.close()
                raise Trouble("no answer in time", slow=True) from None
            except (OSError, http.client.HTTPException, ValueError) as error:
                self.close()
                # A connection that was kept open may have been closed at the other end.
                if fresh or attempt == 2:
                    raise Trouble(_reason(error), slow="timed out" in str(error)) from None
            else:
                return status, found, read
        raise AssertionError("unreachable")

    def close(self) -> None:
        if self.open is not None:
            self.open.close()
            self.open = None

    def ask(self, method: str, path: str, body: bytes = b"", headers: dict | None = None) -> bytes:
        """The answer's body. Raises Trouble or Refused."""
        status, found, read = self.send(method, path, body, headers)
        if 200 <= status < 300:
            return read
        ours = "problem+json" in found.get("content-type", "")
        if 300 <= status < 400:
            raise Trouble(f"{status}: the server redirects, set the address it names", pause=30)
        if status in (401, 403):
            raise Trouble(f"{status}: {_detail(read) or 'the key is refused'}", pause=30)
        if ours and 400 <= status < 500 and status not in (408, 425, 429):
            raise Refused(status, _detail(read))
        pause = found.get("retry-after", "")
        raise Trouble(
            f"{status}{': ' + _detail(read) if ours else ' from something that is no Remembrancer'}"
            if status != 500
            else "500: an error of the server's",
            pause=min(float(pause), 120.0) if pause.isdigit() else 0.0,
        )


def _reason(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _detail(body: bytes) -> str:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    said = found.get("detail") or found.get("title") if isinstance(found, dict) else ""
    return said[:300] if isinstance(said, str) else ""


def hook_headers(name: str, facts: dict, minimal: bool) -> dict:
    stem = name.rpartition(".")[0]
    host = "".join(c for c in os.uname().nodename if c.isascii() and c.isprintable())
    headers = {
        "X-Remembrancer-Delivery": stem,
        "X-Remembrancer-Sent": rfc3339(time.time_ns()),
        "X-Remembrancer-Host": host[:300],
    }
    if isinstance(facts.get("time"), int):
        headers["X-Remembrancer-Time"] = rfc3339(facts["time"])
    if minimal:
        headers["Prefer"] = "return=minimal"
    return headers


def rfc3339(nanoseconds: int) -> str:
    whole, rest = divmod(nanoseconds, 1_000_000_000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole)) + f".{rest // 1_000_000:03d}Z"


def hook_path(facts: dict) -> str:
    path = f"/hooks/{facts['agent']}"
    if facts.get("given"):
        from urllib.parse import quote

        path += f"/{quote(facts['given'], safe='')}"
    return path


# --- Transcripts ----------------------------------------------------------------------------------


class Transcript:
    """A file that an agent writes, and how much of it the server has. What is known is kept in a
    small file, a hint only: the server's answers say where to go on."""

    def __init__(self, spool: Spool, path: str, session: str, subagent: str = "") -> None:
        import zlib

        self.path, self.session, self.subagent = path, session, subagent
        mark = zlib.crc32(f"{session} {path}".encode("utf-8", "replace"))
        safe = "".join(c if c.isalnum() or c in "-_" else "_" for c in session)[:80]
        self.hint = os.path.join(spool.transcripts, f"{safe}-{mark:08x}.json")
        known = read_json(self.hint)
        self.known = known.get("path") == path
        self.next = known.get("next") if isinstance(known.get("next"), int) else 0
        self.taken = known.get("taken") if isinstance(known.get("taken"), int) else 0
        # How long the file was, where it ended in half a line.
        self.half_at = known.get("half_at") if isinstance(known.get("half_at"), int) else -1

    def size(self) -> int:
        try:
            return os.stat(self.path).st_size
        except OSError:
            return 0

    def send(self, link: Link, body: bytes, offset: int, size: int, skip: bool = False) -> str:
        """One piece. The status; where to go on is in `next`."""
        from urllib.parse import urlencode

        asked = {
            "agent": "claude-code",
            "session": self.session,
            "offset": offset,
            "size": max(size, offset + len(body)),
        }
        if self.subagent:
            asked["file"] = os.path.basename(self.path)
            asked["subagent"] = self.subagent
            kind = _text(read_json(self.path[: -len(".jsonl")] + ".meta.json"), "agentType")
            if kind:
                asked["subagent_type"] = kind[:120]
        if skip:
            asked["skip"] = "true"
        headers = {"Content-Type": "application/octet-stream"}
        answer = link.ask("POST", f"/transcripts?{urlencode(asked)}", body, headers)
        try:
            said = json.loads(answer)
            self.next, self.taken = int(said["next_offset"]), int(said["taken"])
            status = str(said["status"])
        except (ValueError, KeyError, TypeError):
            raise Trouble("an answer that is no Remembrancer's") from None
        self.half_at = size if status == "half" else -1
        self._remember()
        return status

    def has_news(self) -> bool:
        return self.size() not in (0, self.taken, self.half_at)

    def _remember(self) -> None:
        self.known = True
        said = {
            "path": self.path,
            "session": self.session,
            "subagent": self.subagent,
            "next": self.next,
            "taken": self.taken,
            "half_at": self.half_at,
        }
        try:
            os.makedirs(os.path.dirname(self.hint), 0o700, exist_ok=True)
            write_atomically(self.hint, json.dumps(said).encode())
        except OSError:
            pass  # only a hint

    def announce(self, link: Link) -> None:
        """Say that a transcript follows, once: until then hooks would store its words too."""
        if not self.known:
            self.send(link, b"", 0, self.size())

    def upload(self, link: Link) -> None:
        """What is new, but no more than some pieces at once: payloads are waiting behind it, and
        the next call goes on."""
        self.announce(link)
        piece, sent, stuck = PIECE_BYTES, 0, 0
        while sent < PIECES and self.has_news():
            if stuck == 3:
                raise Refused(0, "it does not get on")
            sent += 1
            size = self.size()
            before = (self.next, self.taken)
            try:
                with open(self.path, "rb") as file:
                    file.seek(min(self.next, size))
                    body = file.read(piece)
            except OSError:
                return
            offset = min(self.next, size)
            try:
                status = self.send(link, body, offset, size)
            except Refused as error:
                if error.status != 413 or piece <= 64 * 1024:
                    raise
                piece //= 4
                continue
            if status == "half":
                if offset + len(body) >= self.size():
                    return
                # Pieces begin with the last line that is known; behind it is the long one.
                if not self._longer(link, self.taken):
                    return
            stuck = stuck + 1 if (self.next, self.taken) == before else 0

    def _longer(self, link: Link, offset: int) -> bool:
        """A line that is longer than a piece: sent whole, else passed over. Whether it was."""
        with open(self.path, "rb") as file:
            file.seek(offset)
            line = b""
            while not line.endswith(b"\n"):
                more = file.readline(PIECE_BYTES)
                if not more:
                    return False
                line = more if len(line) > 16 * PIECE_BYTES else line + more
            end = file.tell()
        try:
            if len(line) == end - offset:
                self.send(link, line, offset, self.size())
                return True
        except Refused as error:
            if error.status != 413:
                raise
        log(f"a line of {end - offset} bytes of a transcript is too long for the server: left out")
        with open(self.path, "rb") as file:
            # From its last byte on: where a line begins, only the end of one before it says.
            file.seek(end - 1)
            following = file.read(PIECE_BYTES)
        if b"\n" not in following[1:]:
            return False
        self.send(link, following, end - 1, self.size(), skip=True)
        return True


def transcripts_of(spool: Spool, facts: dict) -> list[Transcript]:
    """The session's own file and those of its subagents, as far as they are there."""
    path, session = facts.get("transcript"), facts.get("session")
    if facts.get("agent") != "claude-code" or not session or not is_transcript(path):
        return []
    stem = os.path.basename(path)[: -len(".jsonl")]
    found = [Transcript(spool, path, stem)]
    folder = os.path.join(path[: -len(".jsonl")], "subagents")
    for place, _, names in os.walk(folder):
        for name in sorted(names):
            if name.startswith("agent-") and name.endswith(".jsonl"):
                subagent = name[len("agent-") : -len(".jsonl")]
                found.append(Transcript(spool, os.path.join(place, name), stem, subagent))
    return found


def is_transcript(path: object) -> bool:
    """A name that a transcript can have, and no file of another kind under it."""
    if not isinstance(path, str) or not path.startswith("/") or "\0" in path:
        return False
    if not path.endswith(".jsonl") or os.path.basename(path) == ".jsonl":
        return False
    return not os.path.exists(path) or os.path.isfile(path)


def unfinished(spool: Spool) -> list[Transcript]:
    """Those that were written to after their session's last hook, and that nobody uploads else."""
    found = []
    try:
        names = os.listdir(spool.transcripts)
    except OSError:
        return []
    for name in names:
        known = read_json(os.path.join(spool.transcripts, name))
        path, session = known.get("path"), known.get("session")
        try:
            stat = os.stat(path) if isinstance(path, str) else None
        except (OSError, ValueError):
            stat = None
        if stat is None or time.time() - stat.st_mtime > TRANSCRIPT_DAYS * 86_400:
            age = time.time() - _mtime(os.path.join(spool.transcripts, name))
            if age > TRANSCRIPT_DAYS * 86_400:
                Spool._unlink(os.path.join(spool.transcripts, name))
        elif stat.st_size != known.get("taken") and isinstance(session, str):
            one = Transcript(spool, path, session, _text(known, "subagent"))
            if one.has_news():
                found.append(one)
    return found


def _mtime(path: str) -> float:
    try:
        return os.stat(path).st_mtime
    except OSError:
        return time.time()


# --- The deliverer --------------------------------------------------------------------------------


class Deliverer:
    """Sends what is kept, the oldest first, one at a time, until nothing is left."""

    def __init__(self, settings: Settings, spool: Spool) -> None:
        self.settings, self.spool = settings, spool
        self.link = Link(settings, REQUEST_SECONDS)
        self.flushed: set[str] = set()
        self.errors: dict[str, int] = {}
        # Transcripts of this run, by path, and those of them that the server does not want.
        self.touched: dict[str, Transcript] = {}
        self.unwanted: set[str] = set()
        self.swept = False

    def run(self, patience: float) -> str:
        """Deliver for as long as there is something. Empty, or why it was given up."""
        self.spool.sweep()
        pause, until = 0.0, time.monotonic() + patience
        while True:
            try:
                if self.send_all():
                    until = time.monotonic() + patience
                pause = 0.0
                if not self.linger():
                    return ""
            except Trouble as trouble:
                self._note(trouble)
                if time.monotonic() >= until:
                    return str(trouble)
                pause = min(max(pause * 2, 0.5, trouble.pause), max(LONGEST_PAUSE, trouble.pause))
                self._sleep(min(pause, max(until - time.monotonic(), 0.01)))

    def send_all(self) -> int:
        """One pass over the spool, then over transcripts that lag behind. How many were sent."""
        sent = 0
        try:
            while True:
                names, held, moved = self.spool.names(), set(), 0
                for name in names:
                    session = self.spool.session_of(name)
                    if name.endswith(".wait") and 0 <= self.spool.age(name) < ASKING_SECONDS:
                        # Somebody is asking with it: what came later in its session waits.
                        held.add(session)
                    elif session not in held:
                        moved += self._send(name)
                sent += moved
                if not moved:
                    break
            if not self.swept:
                for transcript in unfinished(self.spool):
                    self._upload(transcript)
                self.swept = True
        finally:
            if sent:
                self.spool.note_success(sent)
        self.spool.note_success(0)
        return sent

    def _send(self, name: str) -> int:
        try:
            facts, body = self.spool.read(name)
        except FileNotFoundError:
            return 0
        if facts.get("agent") not in AGENTS:
            self._set_aside(name, "it cannot be read")
            return 1
        for transcript in transcripts_of(self.spool, facts):
            self._upload(transcript)
        headers = hook_headers(name, facts, minimal=True)
        try:
            self.link.ask("POST", hook_path(facts), body, headers)
        except Refused as error:
            self._set_aside(name, str(error))
        except Trouble as trouble:
            if not str(trouble).startswith("500"):
                raise
            self.errors[name] = self.errors.get(name, 0) + 1
            if self.errors[name] < 6:
                raise
            self._set_aside(name, str(trouble))
        else:
            self.spool.done(name)
        return 1

    def _set_aside(self, name: str, why: str) -> None:
        self.spool.set_aside(name)
        log(f"set aside {name}: {why}", self.settings.key)

    def _upload(self, transcript: Transcript) -> None:
        if transcript.path in self.unwanted:
            return
        self.touched[transcript.path] = transcript
        try:
            transcript.upload(self.link)
        except Refused as error:
            self._unwanted(transcript, error)
        except Trouble as trouble:
            if not str(trouble).startswith("500"):
                raise
            self._unwanted(transcript, trouble)
        except OSError as error:
            self._unwanted(transcript, error)

    def _unwanted(self, transcript: Transcript, why: Exception) -> None:
        self.unwanted.add(transcript.path)
        self.touched.pop(transcript.path, None)
        log(f"transcript of {transcript.session} not taken: {why}", self.settings.key)

    def linger(self) -> bool:
        """Whether something new came in within some moments: an agent's next hook, or the last
        lines of its transcript, which it writes after it told of its end."""
        until = time.monotonic() + number("REMEMBRANCER_SHIM_LINGER", LINGER, 60.0)
        behind = True
        while behind or time.monotonic() < until:
            time.sleep(0.05)
            behind = False
            if any(name.endswith(".json") for name in self.spool.names()):
                return True
            for transcript in list(self.touched.values()):
                if transcript.has_news():
                    self._upload(transcript)
                    behind = True
        return False

    def _note(self, trouble: Trouble) -> None:
        names = self.spool.names()
        fresh = [name for name in names if name not in self.flushed]
        self.spool.flush(fresh)
        self.flushed.update(fresh)
        gone = self.spool.trim(most_spool_bytes())
        if gone:
            log(f"the spool is above its limit: the {gone} oldest payloads of tools were deleted")
        known = read_json(self.spool.in_home("trouble.json"))
        if known.get("why") != str(trouble):
            log(f"not delivered, {len(names)} waiting: {trouble}", self.settings.key)
        since = known.get("since")
        self.spool.note(
            "trouble.json",
            why=str(trouble).replace(self.settings.key, "..."),
            slow=trouble.slow,
            since=since if isinstance(since, float) else time.time(),
        )

    def _sleep(self, pause: float) -> None:
        """Unless somebody reaches the server before, and takes the note of the trouble away."""
        path = self.spool.in_home("trouble.json")
        noted = os.path.exists(path)
        until = time.monotonic() + pause
        while time.monotonic() < until:
            time.sleep(min(0.1, max(until - time.monotonic(), 0)))
            if noted and not os.path.exists(path):
                return


OTHER_DELIVERS = "another process delivers"


def deliver(found: Settings, spool: Spool, lock: int | None = None, patience: float = 0.0) -> str:
    """Be the deliverer, unless there is one. What kept it from being done; empty where all is."""
    patience = patience or number("REMEMBRANCER_SHIM_PATIENCE", PATIENCE, 86_400.0)
    while True:
        lock = spool.lock() if lock is None else lock
        if lock is None:
            return OTHER_DELIVERS
        try:
            os.ftruncate(lock, 0)
            os.pwrite(lock, str(os.getpid()).encode(), 0)
            if found.problem:
                spool.trim(most_spool_bytes())
                return found.problem
            failed = Deliverer(found, spool).run(patience)
        finally:
            os.close(lock)
            lock = None
        # A hook that came while this one ended found the lock taken and relies on it.
        if failed or not any(name.endswith(".json") for name in spool.names()):
            return failed


def in_background(work, keep: tuple[int, ...] = ()) -> None:
    """Do it in a process of its own, which holds nothing of the agent's: no pipe, no group, no
    folder. It is forked, not started: there is no second start to wait for."""
    if os.fork():
        return
    try:
        os.setsid()
        null = os.open(os.devnull, os.O_RDWR)
        for handle in (0, 1, 2):
            os.dup2(null, handle)
        for handle in range(3, 256):
            if handle not in keep:
                try:
                    os.close(handle)
                except OSError:
                    pass
        os.umask(0o077)
        os.chdir("/")
        import signal

        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        work()
    except BaseException as error:
        log(f"the background process ended: {_reason(error)}")
    finally:
        os._exit(0)


def ensure_deliverer(found: Settings, spool: Spool) -> None:
    lock = spool.lock()
    if lock is None:
        return  # it will look once more after it let go of the lock
    try:
        in_background(lambda: deliver(found, spool, lock), keep=(lock,))
    finally:
        os.close(lock)


# --- A hook ---------------------------------------------------------------------------------------


def hook(agent: str, given: str = "") -> None:
    """Keep a payload and answer. Never raises; ends the process with 0."""
    try:
        _hook(agent, given)
    except BaseException as error:
        log(f"hook {agent}: {_reason(error)}")
    finally:
        os._exit(0)


def _hook(agent: str, given: str) -> None:
    began = time.monotonic()
    if os.environ.get("REMEMBRANCER_SHIM_OFF") == "1":
        return
    if agent not in AGENTS:
        log(f"hook: unknown agent, known are {', '.join(AGENTS)}")
        return
    body = read_payload(began + READ_SECONDS)
    if not body.strip():
        return
    facts = facts_of(agent, given, body)
    # Cursor runs what it finds in Claude Code's settings too, with payloads of its own.
    if facts.pop("cursor") and agent == "claude-code":
        return
    found, state = settings(), state_folder()
    waits = facts["event"] in CONTEXT_AT[agent] and not found.problem
    name, spool = "", None
    if state is not None:
        spool = Spool(state, found.destination)
        waits = waits and not spool.is_slow()
        try:
            name = spool.keep(facts, body, waits)
        except OSError as error:
            log(f"the spool cannot be written: {_reason(error)}")
    if not name:
        _without_spool(found, facts, body, waits, began)
    elif waits:
        _ask_and_print(
            lambda writer, until: _ask(found, spool, name, facts, body, writer, until), began
        )
    else:
        ensure_deliverer(found, spool)


def read_payload(until: float) -> bytes:
    """Standard input to its end, or what of it came in time."""
    parts = []
    while True:
        ready, _, _ = select.select([0], [], [], max(until - time.monotonic(), 0))
        part = os.read(0, 1 << 20) if ready else b""
        if not part:
            return b"".join(parts)
        parts.append(part)


def facts_of(agent: str, given: str, body: bytes) -> dict:
    """What the spool must know of a payload; empty texts where it does not say so."""
    try:
        payload = json.loads(body)
    except (ValueError, RecursionError):
        payload = {}
    if not isinstance(payload, dict):
        payload = {}
    event = payload.get("hook_event_name") or payload.get("event")
    if isinstance(event, dict):
        event = event.get("type")
    session = payload.get("session_id") or payload.get("conversation_id")
    thread = payload.get("thread")
    if not session and isinstance(thread, dict):
        session = thread.get("id")
    path = payload.get("transcript_path")
    if isinstance(path, str) and path.startswith("~/") and home():
        path = home() + path[1:]
    return {
        "agent": agent,
        "given": given[:80],
        "event": event[:80] if isinstance(event, str) else given[:80],
        "session": session[:300] if isinstance(session, str) else "",
        "transcript": path if isinstance(path, str) else "",
        "cursor": "cursor_version" in payload,
    }


def _ask_and_print(ask, began: float) -> None:
    """Let a process ask, and print what it found in time. It goes on where it is late."""
    budget = number("REMEMBRANCER_SHIM_BUDGET", BUDGET, MOST_BUDGET)
    until = began + budget
    reader, writer = os.pipe()
    in_background(lambda: ask(writer, until), keep=(writer,))
    os.close(writer)
    parts = []
    while True:
        ready, _, _ = select.select([reader], [], [], max(until - time.monotonic(), 0))
        if not ready:
            return
        part = os.read(reader, 65_536)
        if not part:
            break
        parts.append(part)
    said = b"".join(parts)
    # Ends with a line's end where it is whole.
    if said.endswith(b"\n"):
        while said:
            said = said[os.write(1, said) :]


def _ask(
    found: Settings, spool: Spool, name: str, facts: dict, body: bytes, writer: int, until: float
) -> None:
    """Ask with a payload that is kept; afterwards be the deliverer, if there is none."""
    delivered = False
    try:
        if _is_next(found, spool, name, until):
            link = Link(found, max(until - time.monotonic(), 0.05))
            for transcript in transcripts_of(spool, facts)[:1]:
                transcript.announce(link)
            link.timeout = max(until - time.monotonic(), 0.05)
            headers = hook_headers(name, facts, minimal=False)
            said = shaped(link.ask("POST", hook_path(facts), body, headers))
            # Where nobody reads it any more this raises, and the payload is sent again from the
            # spool, by which the server knows that its context was lost.
            _write_all(writer, said)
            delivered = True
            spool.done(name)
            spool.note_success(1)
    except Trouble as trouble:
        if trouble.slow:
            spool.note("trouble.json", why=str(trouble), slow=True, since=time.time())
    except (Refused, OSError):
        pass  # the deliverer finds out, and says so
    finally:
        os.close(writer)
        if not delivered:
            spool.release(name)
    deliver(found, spool)


def _write_all(handle: int, data: bytes) -> None:
    while data:
        data = data[os.write(handle, data) :]


def _is_next(found: Settings, spool: Spool, name: str, until: float) -> bool:
    """Whether all that came before in its session is delivered: then this may be sent by itself.
    Order is worth more than context; a moment is waited for it."""
    session, mine = spool.session_of(name), name.partition(".")[0]
    helped = False
    while any(
        other.partition(".")[0] < mine and spool.session_of(other) == session
        for other in spool.names()
    ):
        if not helped:
            ensure_deliverer(found, spool)
            helped = True
        if time.monotonic() > until - 0.3:
            return False
        time.sleep(0.02)
    return True


def _without_spool(found: Settings, facts: dict, body: bytes, waits: bool, began: float) -> None:
    """Nothing can be written here: one attempt, from memory."""
    if found.problem:
        return
    facts["time"] = time.time_ns()
    name = f"{facts['time']:020d}-{os.getpid():x}{os.urandom(3).hex()}.json"

    def attempt(writer: int, until: float) -> None:
        timeout = max(until - time.monotonic(), 0.05) if waits else REQUEST_SECONDS
        link = Link(found, timeout)
        said = link.ask("POST", hook_path(facts), body, hook_headers(name, facts, not waits))
        if writer >= 0:
            _write_all(writer, shaped(said))

    if waits:
        _ask_and_print(attempt, began)
    else:
        in_background(lambda: attempt(-1, 0.0))


def shaped(answer: bytes) -> bytes:
    """Of an answer only the context, in the agent's form, as one line of ASCII; empty where there
    is none. A server can add to what an agent reads; it cannot allow, block or change anything."""
    try:
        found = json.loads(answer)
    except (ValueError, RecursionError):
        return b""
    if not isinstance(found, dict):
        return b""
    kept: dict = {}
    output = found.get("hookSpecificOutput")
    if isinstance(output, dict):
        context, event = _text(output, "additionalContext"), _text(output, "hookEventName")
        if context and event:
            kept["hookSpecificOutput"] = {"hookEventName": event, "additionalContext": context}
    for name in ("additional_context", "additionalContext"):
        if _text(found, name):
            kept[name] = _text(found, name)
    return json.dumps(kept).encode() + b"\n" if kept else b""


# --- Configuration files: JSON with comments ------------------------------------------------------
#
# Changed as text: what is not ours stays as it is, to the last blank and comment.


class Broken(Exception):
    """A file that cannot be understood, and is therefore left alone."""


class Json:
    """The text of a JSON file, in which comments and commas at ends may stand."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.newline = "\r\n" if "\r\n" in text else "\n"
        at = self._blank(1 if text.startswith("\ufeff") else 0)
        if at >= len(text):
            self.text = text + "{}" + ("" if text.endswith("\n") else self.newline)
            at = len(text)
        if self.text[at] != "{":
            raise Broken("it does not begin with {")
        self.root = at
        _, end = self._children(at)
        if self._blank(end) < len(self.text):
            raise Broken(f"line {self._line(end)}: there is more after its end")

    def _line(self, at: int) -> int:
        return self.text.count("\n", 0, at) + 1

    def _blank(self, at: int) -> int:
        """Where blanks and comments end."""
        text = self.text
        while at < len(text):
            if text[at] in " \t\r\n":
                at += 1
            elif text.startswith("//", at):
                end = text.find("\n", at)
                at = len(text) if end < 0 else end
            elif text.startswith("/*", at):
                end = text.find("*/", at)
                if end < 0:
                    raise Broken(f"line {self._line(at)}: a comment without end")
                at = end + 2
            else:
                break
        return at

    def _value_end(self, at: int) -> int:
        try:
            return json.JSONDecoder().raw_decode(self.text, at)[1]
        except RecursionError:
            raise Broken("it is nested too deeply") from None
        except ValueError:
            if self.text[at : at + 1] in ("{", "["):
                return self._children(at)[1]
            raise Broken(f"line {self._line(at)}: no JSON value") from None

    def _children(self, at: int) -> tuple[list[tuple[str, int, int, int]], int]:
        """([(key, start, value's start, value's end)], end) of an object or array; keys of an
        array's items are empty."""
        text, found = self.text, []
        close = "}" if text[at] == "{" else "]"
        at = self._blank(at + 1)
        while at < len(text) and text[at] != close:
            start, key = at, ""
            if close == "}":
                try:
                    key, at = json.JSONDecoder().raw_decode(text, at)
                except ValueError:
                    key = None
                at = self._blank(at)
                if not isinstance(key, str) or text[at : at + 1] != ":":
                    raise Broken(f"line {self._line(start)}: no key")
                at = self._blank(at + 1)
            end = self._value_end(at)
            found.append((key, start, at, end))
            at = self._blank(end)
            if text[at : at + 1] == ",":
                at = self._blank(at + 1)
            elif text[at : at + 1] != close:
                raise Broken(f"line {self._line(at)}: a comma is missing")
        if at >= len(text):
            raise Broken("it ends too early")
        return found, at + 1

    def _find(self, path: tuple[str, ...]) -> int | None:
        """Where the value at a path begins."""
        at = self.root
        for key in path:
            if self.text[at] != "{":
                raise Broken(f"{'.'.join(path)}: {key!r} is looked for in what is no object")
            same = [child for child in self._children(at)[0] if child[0] == key]
            if not same:
                return None
            at = same[-1][2]
        return at

    def get(self, path: tuple[str, ...]) -> object:
        """The value at a path, without its comments; None where there is none."""
        at = self._find(path)
        return None if at is None else self._read(at)

    def _read(self, at: int) -> object:
        try:
            return json.JSONDecoder().raw_decode(self.text, at)[0]
        except ValueError:
            children, _ = self._children(at)
            if self.text[at] == "{":
                return {key: self._read(value) for key, _, value, _ in children}
            return [self._read(value) for _, _, value, _ in children]

    def set(self, path: tuple[str, ...], value: object) -> None:
        """Put a value there, into objects that are made where they are missing."""
        at = self._find(path)
        if at is not None:
            if self._read(at) != value:
                end = self._value_end(at)
                shown = self._render(value, self._indent_at(at))
                self.text = self.text[:at] + shown + self.text[end:]
            return
        for length in range(len(path) - 1, -1, -1):
            parent = self._find(path[:length])
            if parent is not None:
                for key in reversed(path[length + 1 :]):
                    value = {key: value}
                if self.text[parent] != "{":
                    raise Broken(f"{'.'.join(path[:length])} is no object")
                self._insert(parent, path[length], value)
                return

    def append(self, path: tuple[str, ...], value: object) -> None:
        """Put a value at the end of the array there, which is made where it is missing."""
        at = self._find(path)
        if at is None:
            self.set(path, [value])
            return
        if self.text[at] != "[":
            raise Broken(f"{'.'.join(path)} is no array")
        self._insert(at, None, value)

    def remove(self, path: tuple[str, ...], index: int | None = None) -> None:
        """Take the value at a path away, or an item of the array there, with its comma."""
        parent = self._find(path[:-1] if index is None else path)
        if parent is None:
            return
        children, end = self._children(parent)
        if index is None:
            wanted = [n for n, child in enumerate(children) if child[0] == path[-1]]
            if not wanted:
                return
            index = wanted[-1]
        _, start, _, stop = children[index]
        text = self.text
        head = start
        while text[head - 1] in " \t\r\n":
            head -= 1
        if text[head - 1] not in "{[,":
            head = start  # a comment stands before it
        after = self._blank(stop)
        if text[after] == ",":
            self.text = text[:head] + text[after + 1 :]
        elif index == 0:
            only = text[head - 1] in "{[" and text[stop : end - 1].strip() == ""
            self.text = text[:head] + text[end - 1 if only else stop :]
        else:
            comma = self._blank(children[index - 1][3])
            self.text = text[:comma] + text[comma + 1 : head] + text[stop:]

    def _indent_at(self, at: int) -> str:
        """The blanks at the beginning of the line."""
        begin = self.text.rfind("\n", 0, at) + 1
        line = self.text[begin:at]
        return line[: len(line) - len(line.lstrip(" \t"))]

    def _unit(self) -> str:
        children, _ = self._children(self.root)
        if children and "\n" in self.text[self.root : children[0][1]]:
            found = self._indent_at(children[0][1])
            if found:
                return found
        return "  "

    def _render(self, value: object, indent: str) -> str:
        shown = json.dumps(value, indent=self._unit(), ensure_ascii=False)
        return shown.replace("\n", self.newline + indent)

    def _insert(self, parent: int, key: str | None, value: object) -> None:
        children, end = self._children(parent)
        text = self.text
        outer = self._indent_at(parent)
        lines = not children or "\n" in text[parent : children[0][1]]
        inner = self._indent_at(children[0][1]) if children and lines else outer + self._unit()
        name = "" if key is None else json.dumps(key, ensure_ascii=False) + ": "
        if not lines:
            self.text = (
                text[: children[-1][3]] + f", {name}{json.dumps(value, ensure_ascii=False)}"
                + text[children[-1][3] :]
            )  # fmt: skip
            return
        shown = self.newline + inner + name + self._render(value, inner)
        if not children:
            comments = text[parent + 1 : end - 1].rstrip()
            tail = self.newline + outer + text[end - 1 :]
            self.text = text[: parent + 1] + comments + shown + tail
            return
        last = children[-1][3]
        comma = self._blank(last)
        if text[comma] == ",":
            # A comma stands at the end here: ours gets one too, and goes with it again.
            self.text = text[: comma + 1] + shown + "," + text[comma + 1 :]
        else:
            self.text = text[:last] + "," + shown + text[last:]


# --- Configuration files: TOML --------------------------------------------------------------------


class Toml:
    """The text of a TOML file, of which whole tables are added and taken away."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.newline = "\r\n" if "\r\n" in text else "\n"
        self.check()

    def check(self) -> None:
        """Raises Broken. Python before 3.11 has no TOML: there only the form is looked at."""
        try:
            import tomllib
        except ImportError:
            self.headers()
            return
        try:
            self.value = tomllib.loads(self.text.replace("\r\n", "\n"))
        except ValueError as error:
            raise Broken(str(error)) from None

    def headers(self) -> list[tuple[str, int]]:
        """(name as it stands in its brackets, where its line begins) of each table, in order."""
        found, at, text, depth = [], 0, self.text, 0
        begin = True
        while at < len(text):
            char = text[at]
            if char == "#":
                end = text.find("\n", at)
                at = len(text) if end < 0 else end
                continue
            if text.startswith(('"""', "'''"), at):
                mark = text[at : at + 3]
                end = text.find(mark, at + 3)
                while end > 0 and mark == '"""' and self._escaped(end):
                    end = text.find(mark, end + 1)
                if end < 0:
                    raise Broken("a text without end")
                at = end + 3
                begin = False
                continue
            if char in "\"'":
                end = at + 1
                while end < len(text) and text[end] != char and text[end] != "\n":
                    end += 2 if char == '"' and text[end] == "\\" else 1
                if end >= len(text) or text[end] != char:
                    raise Broken(f"line {text.count(chr(10), 0, at) + 1}: a text without end")
                at, begin = end + 1, False
                continue
            if begin and depth == 0 and char == "[":
                end = text.find("\n", at)
                line = text[at : len(text) if end < 0 else end].rstrip()
                name, closed = self._header(line)
                if not closed:
                    raise Broken(f"line {text.count(chr(10), 0, at) + 1}: no table")
                found.append((name, at))
                at = len(text) if end < 0 else end
                continue
            if char in "[{":
                depth += 1
            elif char in "]}":
                depth -= 1
            elif char == "\n":
                begin = True
                at += 1
                continue
            if char not in " \t\r":
                begin = False
            at += 1
        if depth:
            raise Broken("a bracket without its other")
        return found

    def _escaped(self, at: int) -> bool:
        count = 0
        while self.text[at - 1 - count] == "\\":
            count += 1
        return count % 2 == 1

    @staticmethod
    def _header(line: str) -> tuple[str, bool]:
        quote, at = "", 1
        while at < len(line):
            char = line[at]
            if quote:
                if char == "\\" and quote == '"':
                    at += 1
                elif char == quote:
                    quote = ""
            elif char in "\"'":
                quote = char
            elif char == "]":
                return line[1:at].strip("[ \t"), True
            at += 1
        return "", False

    def tables(self, name: str) -> list[str]:
        """The names of the tables that are this or below it."""
        return [one for one, _ in self.headers() if one == name or one.startswith(name + ".")]

    def add(self, name: str, pairs: dict[str, object]) -> None:
        lines = [f"[{name}]", *(f"{key} = {self.render(value)}" for key, value in pairs.items())]
        text = self.text
        if text and not text.endswith("\n"):
            text += self.newline
        if text:
            text += self.newline
        self.text = text + self.newline.join(lines) + self.newline

    def remove(self, name: str) -> None:
        """A table of exactly this name: from its header to the next."""
        headers = self.headers()
        for index, (one, at) in enumerate(headers):
            if one == name:
                end = headers[index + 1][1] if index + 1 < len(headers) else len(self.text)
                body = self.text[at:end]
                # Comments before the next table are the next table's.
                lines = body.split("\n")
                while len(lines) > 1 and (not lines[-1].strip() or lines[-1].lstrip()[0] == "#"):
                    lines.pop()
                rest = self.text[at + len("\n".join(lines)) :]
                before = self.text[:at]
                if not rest.strip():
                    before = before.rstrip("\r\n")
                    before += self.newline if before else ""
                    rest = ""
                self.text = before + rest.lstrip("\r\n")
                return

    def pairs(self, name: str) -> str:
        """The table's text, for comparison; empty where there is none."""
        headers = self.headers()
        for index, (one, at) in enumerate(headers):
            if one == name:
                end = headers[index + 1][1] if index + 1 < len(headers) else len(self.text)
                return self.text[at:end].strip()
        return ""

    @classmethod
    def render(cls, value: object) -> str:
        if isinstance(value, dict):
            return "{ " + ", ".join(f"{k} = {cls.render(v)}" for k, v in value.items()) + " }"
        # A JSON string of ASCII is a TOML string.
        return json.dumps(value)


# --- What is written for each agent ---------------------------------------------------------------

MCP = "remembrancer"
CLAUDE_EVENTS = (
    "SessionStart", "UserPromptSubmit", "PreToolUse", "PostToolUse", "PostToolUseFailure",
    "SubagentStart", "SubagentStop", "PostCompact", "Notification", "Stop", "StopFailure",
    "SessionEnd",
)  # fmt: skip
CODEX_EVENTS = (
    "SessionStart", "UserPromptSubmit", "PreToolUse", "PostToolUse", "SubagentStart",
    "SubagentStop", "PostCompact", "Stop", "SessionEnd",
)  # fmt: skip
GEMINI_EVENTS = (
    "SessionStart", "BeforeAgent", "BeforeTool", "AfterTool", "AfterAgent", "PreCompress",
    "Notification", "SessionEnd",
)  # fmt: skip
# Not preToolUse, which is a gate there: postToolUse tells of the call too.
CURSOR_EVENTS = (
    "sessionStart", "beforeSubmitPrompt", "postToolUse", "postToolUseFailure",
    "afterAgentResponse", "subagentStart", "subagentStop", "preCompact", "stop", "sessionEnd",
)  # fmt: skip
INSTALLABLE = ("claude-code", "codex", "cursor", "gemini")
# Seconds after which the agent ends a hook by itself; it never takes that long.
HOOK_TIMEOUT = 5
# The most that Codex allows at a session's end.
CODEX_END_TIMEOUT = 3


def hook_command(agent: str) -> str:
    """What the agent's shell runs. Python without site packages and the user's own starts in half
    the time, and nothing in a project's folder can be imported."""
    import shlex

    python = sys.executable
    if sys.prefix != sys.base_prefix:
        # A virtual environment may go; the Python that it was made from stays.
        python = os.path.realpath(python)
    script = os.path.abspath(__file__)
    folder = os.path.dirname(script)
    if os.path.exists(os.path.join(folder, "__main__.py")):
        # As GET /install lays it out: imported from its folder it is compiled once, not each time.
        script = folder
    return f"{shlex.quote(python)} -I -S {shlex.quote(script)} hook {agent}"


def is_ours(command: object, agent: str) -> bool:
    if not isinstance(command, str):
        return False
    words = command.replace("'", "").replace('"', "").split()
    if len(words) < 3 or words[-2:] != ["hook", agent]:
        return False
    return os.path.basename(words[-3]) in ("remember.py", "remembrancer")


def _below_home(variable: str, *names: str) -> str:
    given = os.environ.get(variable) if variable else ""
    if given:
        return os.path.join(os.path.abspath(os.path.expanduser(given)), *names[1:])
    folder = home()
    if folder is None:
        raise Problem("there is no home folder: set HOME")
    return os.path.join(folder, *names)


class Problem(Exception):
    """What a person is told, in one line."""


def files_of(agent: str) -> list[tuple[str, str]]:
    """(what, path) of each file that is changed for an agent: hooks, and MCP servers."""
    if agent == "claude-code":
        at = os.environ.get("CLAUDE_CONFIG_DIR")
        mcp = os.path.join(at, ".claude.json") if at else _below_home("", ".claude.json")
        return [
            ("hooks", _below_home("CLAUDE_CONFIG_DIR", ".claude", "settings.json")),
            ("mcp", os.path.abspath(mcp)),
        ]
    if agent == "codex":
        return [
            ("hooks", _below_home("CODEX_HOME", ".codex", "hooks.json")),
            ("toml", _below_home("CODEX_HOME", ".codex", "config.toml")),
        ]
    if agent == "cursor":
        return [
            ("hooks", _below_home("", ".cursor", "hooks.json")),
            ("mcp", _below_home("", ".cursor", "mcp.json")),
        ]
    base = os.environ.get("GEMINI_CLI_HOME")
    if base:
        path = os.path.join(os.path.abspath(base), ".gemini", "settings.json")
    else:
        path = _below_home("", ".gemini", "settings.json")
    return [("both", path)]


def is_there(agent: str) -> bool:
    """Whether the agent is on this machine: its folder, or its program."""
    import shutil

    programs = {"claude-code": "claude", "codex": "codex", "cursor": "cursor", "gemini": "gemini"}
    folder = os.path.dirname(files_of(agent)[0][1])
    return os.path.isdir(folder) or shutil.which(programs[agent]) is not None


def events_of(agent: str) -> tuple[str, ...]:
    return {
        "claude-code": CLAUDE_EVENTS,
        "codex": CODEX_EVENTS,
        "cursor": CURSOR_EVENTS,
        "gemini": GEMINI_EVENTS,
    }[agent]


def hook_entry(agent: str, event: str) -> dict:
    """One event's entry in the agent's own form."""
    command = hook_command(agent)
    if agent == "cursor":
        return {"command": command, "timeout": HOOK_TIMEOUT}
    if agent == "gemini":
        # In milliseconds there.
        one = {"name": MCP, "type": "command", "command": command, "timeout": HOOK_TIMEOUT * 1000}
        return {"hooks": [one]}
    timeout = CODEX_END_TIMEOUT if (agent, event) == ("codex", "SessionEnd") else HOOK_TIMEOUT
    return {"hooks": [{"type": "command", "command": command, "timeout": timeout}]}


def mcp_entry(agent: str, found: Settings) -> dict:
    url = f"{found.url}/mcp/"
    headers = {"Authorization": f"Bearer {found.key}"}
    if agent == "claude-code":
        return {"type": "http", "url": url, "headers": headers}
    if agent == "gemini":
        return {"httpUrl": url, "headers": headers}
    return {"url": url, "headers": headers}


def our_items(document: Json, agent: str, event: str) -> list[tuple[int, object]]:
    """(index, item) of an event's entries that start this program."""
    items = document.get(("hooks", event))
    if items is None:
        return []
    if not isinstance(items, list):
        raise Broken(f"hooks.{event} is no array")
    found = []
    for index, item in enumerate(items):
        if not isinstance(item, dict):
            continue
        inner = item.get("hooks") if isinstance(item.get("hooks"), list) else [item]
        if any(isinstance(one, dict) and is_ours(one.get("command"), agent) for one in inner):
            found.append((index, item))
    return found


def with_hooks(document: Json, agent: str) -> None:
    if agent == "cursor" and document.get(("version",)) is None:
        document.set(("version",), 1)
    for event in events_of(agent):
        wanted, ours = hook_entry(agent, event), our_items(document, agent, event)
        if [item for _, item in ours] == [wanted]:
            continue
        for index, _ in reversed(ours):
            document.remove(("hooks", event), index)
        document.append(("hooks", event), wanted)


def without_hooks(document: Json, agent: str, created: list[str]) -> None:
    hooks = document.get(("hooks",))
    for event in list(hooks) if isinstance(hooks, dict) else []:
        ours = our_items(document, agent, event) if isinstance(hooks[event], list) else []
        for index, _ in reversed(ours):
            document.remove(("hooks", event), index)
        if ours and document.get(("hooks", event)) == [] and f"hooks.{event}" in created:
            document.remove(("hooks", event))
    if "hooks" in created and document.get(("hooks",)) == {}:
        document.remove(("hooks",))
    if "version" in created and set(document.get(()) or ()) == {"version"}:
        document.remove(("version",))


TRUST = "hooks.state"


def with_mcp_toml(document: Toml, found: Settings) -> None:
    name = f"mcp_servers.{MCP}"
    value = getattr(document, "value", {})
    servers = value.get("mcp_servers", {}) if isinstance(value, dict) else {}
    # Where there is no tomllib, any form but a table of its own is taken for one with ours in it.
    inline = not value and any(
        line.split("=")[0].split(".")[0].strip(" \t\"'") == "mcp_servers"
        for line in document.text.splitlines()
        if "=" in line and not line.lstrip().startswith("[")
    )
    if inline or (MCP in servers and not document.tables(name)):
        raise Broken(f"{name} stands there in a form that cannot be changed: take it out first")
    headers = {"Authorization": f"Bearer {found.key}"}
    wanted = Toml("")
    wanted.add(name, {"url": f"{found.url}/mcp/", "http_headers": headers})
    if document.pairs(name) == wanted.text.strip() and document.tables(name) == [name]:
        return
    for table in document.tables(name):
        document.remove(table)
    document.text += "" if not document.text or document.text.endswith("\n") else document.newline
    document.add(name, {"url": f"{found.url}/mcp/", "http_headers": headers})
    document.check()


def trust_keys(path: str) -> list[str]:
    """What Codex calls our entries of its hooks.json: PATH:EVENT:GROUP:HANDLER."""
    try:
        with open(path, encoding="utf-8") as file:
            document = Json(file.read())
        found = []
        for event in CODEX_EVENTS:
            snake = "".join(f"_{c.lower()}" if c.isupper() else c for c in event).lstrip("_")
            found += [f"{path}:{snake}:{at}:0" for at, _ in our_items(document, "codex", event)]
    except (OSError, Broken, UnicodeDecodeError):
        return []
    return found


def trust_tables(document: Toml) -> list[str]:
    """Tables of [hooks.state] that are about our entries."""
    names = {f"{TRUST}.{q}{key}{q}" for key in trust_keys(files_of("codex")[0][1]) for q in "\"'"}
    return [name for name in document.tables(TRUST) if name in names]


# --- install and uninstall ------------------------------------------------------------------------


class Change:
    """A file as it is and as it is to be. `before` is None where there is no file."""

    def __init__(self, what: str, path: str) -> None:
        self.what, self.named = what, path
        # Where dotfiles are linked, the file is changed and the link stays.
        self.path = os.path.realpath(path)
        try:
            with open(self.path, "rb") as file:
                self.before: bytes | None = file.read()
            self.mode = os.stat(self.path).st_mode & 0o777
        except FileNotFoundError:
            self.before, self.mode = None, 0o600
        self.after: bytes | None = self.before

    def document(self) -> Json | Toml:
        try:
            text = (self.before or b"").decode("utf-8")
            return Toml(text) if self.what == "toml" else Json(text)
        except (Broken, UnicodeDecodeError) as error:
            raise Problem(
                f"{self.named} cannot be read and is left as it is ({error}). Mend it and run "
                "this again."
            ) from None

    @property
    def differs(self) -> bool:
        return self.after != self.before

    def diff(self, key: str) -> str:
        import difflib

        def lines(data: bytes | None) -> list[str]:
            return [] if data is None else data.decode("utf-8", "replace").splitlines()

        shown = difflib.unified_diff(
            lines(self.before), lines(self.after), self.named, self.named, lineterm=""
        )
        text = "\n".join(shown)
        return text.replace(key, key[:4] + "...") if key else text

    def write(self) -> None:
        """Raises Problem where somebody changed the file meanwhile."""
        now = Change(self.what, self.named)
        if now.before != self.before:
            raise Problem(f"{self.named} was changed meanwhile: run this again")
        if self.after is None:
            os.unlink(self.path)
            return
        os.makedirs(os.path.dirname(self.path), 0o700, exist_ok=True)
        write_atomically(self.path, self.after, self.mode)


def change_for(agent: str, what: str, path: str, found: Settings) -> tuple[Change, list[str]]:
    """The file with our entries, and the objects that had to be made for them."""
    change = Change(what, path)
    document = change.document()
    try:
        created = missing_in(document, agent)
        if isinstance(document, Toml):
            with_mcp_toml(document, found)
        else:
            if what in ("hooks", "both"):
                with_hooks(document, agent)
            if what in ("mcp", "both"):
                document.set(("mcpServers", MCP), mcp_entry(agent, found))
            Json(document.text)
    except Broken as error:
        raise Problem(f"{path} is left as it is: {error}") from None
    change.after = document.text.encode()
    if what != "hooks":
        # It holds the key now: for nobody else to read.
        change.mode &= 0o700
    return change, created


def missing_in(document: Json | Toml, agent: str) -> list[str]:
    if isinstance(document, Toml):
        return []
    names = [("version",), ("hooks",), ("mcpServers",)]
    names += [("hooks", event) for event in events_of(agent)]
    return [".".join(name) for name in names if document.get(name) is None]


def change_back(agent: str, what: str, path: str, record: dict) -> Change:
    """The file without our entries: as it was before, where nobody changed it since."""
    import hashlib

    change = Change(what, path)
    if change.before is None:
        return change
    same = hashlib.sha256(change.before).hexdigest() == record.get("written")
    if same and not record.get("edited"):
        if record.get("backup") is None:
            change.after = None
            return change
        try:
            with open(str(record["backup"]), "rb") as file:
                change.after = file.read()
            change.mode = int(record.get("mode", change.mode))
            return change
        except OSError:
            pass  # no backup any more: our entries are taken out one by one
    document = change.document()
    created = record.get("created") if isinstance(record.get("created"), list) else []
    try:
        if isinstance(document, Toml):
            for table in document.tables(f"mcp_servers.{MCP}") + trust_tables(document):
                document.remove(table)
            document.check()
        else:
            if what in ("hooks", "both"):
                without_hooks(document, agent, created)
            if what in ("mcp", "both"):
                document.remove(("mcpServers", MCP))
                if "mcpServers" in created and document.get(("mcpServers",)) == {}:
                    document.remove(("mcpServers",))
            Json(document.text)
    except Broken as error:
        raise Problem(f"{path} is left as it is: {error}") from None
    change.after = document.text.encode()
    made_by_us = record.get("existed") is False
    if made_by_us and change.after.strip() in (b"", b"{}"):
        change.after = None
    change.mode = int(record.get("mode", change.mode))
    return change


def record_path(agent: str) -> str:
    return os.path.join(_state(), "installed", f"{agent}.json")


def _state() -> str:
    found = state_folder()
    if found is None:
        raise Problem("there is no home folder: set HOME, or REMEMBRANCER_SHIM_STATE")
    return found


def install(agent: str, found: Settings, dry: bool) -> bool:
    """Write an agent's configuration. Whether anything was changed."""
    planned = [change_for(agent, what, path, found) for what, path in files_of(agent)]
    if dry:
        for change, _ in planned:
            if change.differs:
                print(change.diff(found.key))
        return any(change.differs for change, _ in planned)
    changed = [change.named for change, created in planned if apply(agent, change, created)]
    for name in changed:
        print(f"  {name}")
    return bool(changed)


def apply(agent: str, change: Change, created: list[str]) -> bool:
    """Write a file and note what uninstall needs. Whether it was changed.

    The note comes first: killed in between, uninstall finds nothing of ours in the file."""
    import hashlib

    if not change.differs:
        return False
    path = record_path(agent)
    os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
    record = read_json(path)
    known = record.get(change.named)
    if not isinstance(known, dict):
        known = first_record(agent, change, created)
    elif hashlib.sha256(change.before or b"").hexdigest() != known.get("written"):
        # Edited since: the backup is not what stood there before this time.
        known["edited"] = True
    known["written"] = hashlib.sha256(change.after or b"").hexdigest()
    record[change.named] = known
    write_atomically(path, json.dumps(record, indent=1).encode())
    change.write()
    return True


def first_record(agent: str, change: Change, created: list[str]) -> dict:
    """What uninstall needs, with a copy of the file as it was."""
    backup = None
    if change.before is not None:
        folder = os.path.join(_state(), "backups", agent)
        os.makedirs(folder, 0o700, exist_ok=True)
        backup = os.path.join(folder, os.path.basename(change.named).lstrip("."))
        write_atomically(backup, change.before)
    mode = Change(change.what, change.named).mode
    existed = change.before is not None
    return {"backup": backup, "mode": mode, "created": created, "existed": existed}


def uninstall(agent: str, dry: bool) -> bool:
    """Take our entries out again. Whether anything was changed."""
    record = read_json(record_path(agent))
    key = stored_settings().key
    planned = []
    for what, path in files_of(agent):
        known = record.get(path)
        planned.append(change_back(agent, what, path, known if isinstance(known, dict) else {}))
    changed = False
    for change in planned:
        if change.differs:
            changed = True
            if dry:
                print(change.diff(key))
            else:
                change.write()
                print(f"  {change.named}")
    if not dry:
        for known in record.values():
            if isinstance(known, dict) and known.get("backup"):
                Spool._unlink(str(known["backup"]))
        Spool._unlink(record_path(agent))
    return changed


# --- Codex's trust --------------------------------------------------------------------------------


def codex_hooks() -> list[dict]:
    """Our hooks as Codex itself lists them, with the hashes it wants to see trusted. Raises
    Problem where it cannot be asked."""
    import shutil
    import subprocess

    program = shutil.which("codex")
    if program is None:
        raise Problem("there is no `codex` in PATH to ask")
    asked = (
        {"id": 1, "method": "initialize",
         "params": {"clientInfo": {"name": "remembrancer", "version": VERSION}}},
        {"method": "initialized"},
        {"id": 2, "method": "hooks/list", "params": {"cwds": [home()]}},
    )  # fmt: skip
    process = subprocess.Popen(
        [program, "app-server"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    until, read = time.monotonic() + 20, b""
    try:
        for one in asked:
            process.stdin.write(json.dumps({"jsonrpc": "2.0", **one}).encode() + b"\n")
            process.stdin.flush()
        handle = process.stdout.fileno()
        while True:
            ready, _, _ = select.select([handle], [], [], max(until - time.monotonic(), 0))
            part = os.read(handle, 65_536) if ready else b""
            if not part:
                raise Problem("it did not answer; is it older than its hooks?")
            read += part
            for line in read.split(b"\n")[:-1]:
                try:
                    said = json.loads(line)
                except ValueError:
                    continue
                if isinstance(said, dict) and said.get("id") == 2:
                    return _our_codex_hooks(said)
            read = read[read.rfind(b"\n") + 1 :]
    except OSError as error:
        raise Problem(f"it cannot be asked: {_reason(error)}") from None
    finally:
        process.kill()
        process.wait()


def _our_codex_hooks(said: dict) -> list[dict]:
    result = said.get("result")
    data = result.get("data") if isinstance(result, dict) else None
    groups = [one.get("hooks") for one in data or [] if isinstance(one, dict)]
    found = [
        entry
        for hooks in groups
        for entry in hooks or []
        if isinstance(entry, dict) and is_ours(entry.get("command"), "codex")
    ]
    if not found:
        raise Problem("it does not list our hooks; it may be too old for them")
    return found


def trust(hooks: list[dict]) -> bool:
    """Note in Codex's config.toml that these are trusted. Whether anything had to be."""
    change = Change("toml", files_of("codex")[1][1])
    document = change.document()
    assert isinstance(document, Toml)
    for entry in hooks:
        key, digest = entry.get("key"), entry.get("currentHash")
        if not isinstance(key, str) or not isinstance(digest, str) or not key.isascii():
            raise Problem("Codex lists its hooks in a form that is not known here")
        name = f"{TRUST}.{json.dumps(key)}"
        if entry.get("trustStatus") == "trusted":
            continue
        for table in (name, f"{TRUST}.'{key}'"):
            document.remove(table)
        document.add(name, {"trusted_hash": digest})
    try:
        document.check()
    except Broken as error:
        raise Problem(f"{change.named} is left as it is: {error}") from None
    change.after = document.text.encode()
    return apply("codex", change, [])


# --- A person's commands --------------------------------------------------------------------------


def usable() -> Settings:
    found = settings()
    if found.problem:
        raise Problem(found.problem)
    return found


def ask_server(found: Settings, method: str, path: str, body: dict | None = None) -> dict:
    """The answer's object. Raises Problem, saying what to do."""
    sent = b"" if body is None else json.dumps(body).encode()
    try:
        said = json.loads(Link(found, REQUEST_SECONDS).ask(method, path, sent))
    except Refused as error:
        raise Problem(f"the server refuses it: {error}") from None
    except Trouble as trouble:
        raise Problem(f"{found.url}: {trouble}") from None
    except ValueError:
        raise Problem(f"{found.url} is no Remembrancer: it does not answer in JSON") from None
    return said if isinstance(said, dict) else {}


def shown(text: object) -> str:
    """What others wrote, without what a terminal would take for commands."""
    return "".join(c if c.isprintable() or c == "\n" else " " for c in str(text))


def command_config(options) -> int:
    folder = config_folder()
    if folder is None:
        raise Problem("there is no home folder: set HOME, or REMEMBRANCER_SHIM_HOME")
    stored = read_config()
    path = os.path.join(folder, "config.json")
    if os.path.exists(path) and not stored:
        raise Problem(f"{path} is no JSON object and is left as it is: mend or delete it")
    before = Settings(_text(stored, "url"), _text(stored, "key"), "config.json")
    url = options.url or _text(stored, "url") or _env("REMEMBRANCER_URL")
    if options.url is None and options.key is None and not options.allow_http:
        print(f"{path}\nurl  {url or '-'}\nkey  {masked(_text(stored, 'key'))}")
        return 0
    key = read_key(options.key, _text(stored, "key"), moved=url != _text(stored, "url"))
    allow = options.allow_http or stored.get("allow_http") is True
    found = Settings(url, key, "config.json", allow)
    if found.problem:
        raise Problem(found.problem)
    os.makedirs(folder, 0o700, exist_ok=True)
    new = {**stored, "url": found.url, "key": found.key}
    if allow:
        new["allow_http"] = True
    write_atomically(path, json.dumps(new, indent=2).encode() + b"\n", 0o600)
    print(f"Written: {path}")
    adopt(before, found)
    installed = [agent for agent in INSTALLABLE if os.path.exists(record_path(agent))]
    if installed and (before.url, before.key) != (found.url, found.key):
        print(f"Their MCP entries hold the old ones: remember install {' '.join(installed)}")
    return 0


def read_key(given: str | None, stored: str, moved: bool) -> str:
    """The key that was given, from standard input, the environment or a prompt; else the one that
    is stored, unless it was for another server."""
    if given == "-":
        return sys.stdin.readline().strip()
    if given:
        return given
    if _env("REMEMBRANCER_KEY"):
        return _env("REMEMBRANCER_KEY")
    if stored and not moved:
        return stored
    import getpass

    try:
        return getpass.getpass("API key (rmb_...): ").strip()
    except (EOFError, OSError):
        todo = "give it by REMEMBRANCER_KEY, or by --key - on standard input"
        raise Problem(f"no key: {todo}") from None


def masked(key: str) -> str:
    return f"{key[:4]}... ({len(key)} characters)" if key else "-"


def adopt(before: Settings, found: Settings) -> None:
    """What waits for the old key, or for any, is for the new one now."""
    state = state_folder()
    if state is None:
        return
    moved = 0
    for destination in {"unset", before.destination} - {found.destination}:
        moved += move_queue(Spool(state, destination), Spool(state, found.destination))
    if moved:
        print(f"{moved} payloads that waited go to {found.url}")
        ensure_deliverer(found, Spool(state, found.destination))


def move_queue(old: Spool, new: Spool) -> int:
    count = 0
    for name in old.names():
        os.makedirs(new.queue, 0o700, exist_ok=True)
        try:
            os.rename(old.path(name), new.path(name))
            count += 1
        except OSError:
            continue
    return count


def command_install(options) -> int:
    found = stored_settings()
    if found.problem:
        raise Problem(found.problem)
    agents = options.agent or [agent for agent in INSTALLABLE if is_there(agent)]
    if not agents:
        raise Problem(f"no agent was found here: name one of {', '.join(INSTALLABLE)}")
    failed = 0
    for agent in dict.fromkeys(agents):
        print(f"{agent}:")
        try:
            changed = install(agent, found, options.dry_run)
            if agent == "codex" and not options.dry_run:
                install_trust(options.trust)
            if agent == "claude-code" and has_plugin():
                print(f"  our plugin is enabled too, {PLUGIN_TODO}")
        except (Problem, OSError) as error:
            print(f"  {error}", file=sys.stderr)
            failed = 1
            continue
        if not changed:
            print("  is as it should be")
        elif not options.dry_run:
            print("  installed; it counts from the agent's next start")
    return failed


def install_trust(wanted: bool) -> None:
    how = "start codex, type /hooks and trust those of remember.py; or run this with --trust"
    if not wanted:
        print(f"  Codex runs hooks that you trust: {how}")
        return
    try:
        trust(codex_hooks())
        print("  Codex trusts them now")
    except Problem as problem:
        print(f"  not trusted yet ({problem}): start codex and type /hooks")


def command_uninstall(options) -> int:
    failed = 0
    for agent in dict.fromkeys(options.agent or INSTALLABLE):
        print(f"{agent}:")
        try:
            if not uninstall(agent, options.dry_run):
                print("  nothing of ours is there")
        except (Problem, OSError) as error:
            print(f"  {error}", file=sys.stderr)
            failed = 1
    return failed


def is_installed(agent: str, found: Settings) -> str:
    """Empty where an agent's files hold what install writes; else what is missing."""
    for what, path in files_of(agent):
        if not os.path.exists(path):
            return f"{path} is not there"
        try:
            if change_for(agent, what, path, found)[0].differs:
                return f"{path} lacks our entries, or has other ones"
        except Problem as problem:
            return str(problem)
    return ""


PLUGIN_TODO = "each hook runs twice: disable the plugin, or `remember uninstall claude-code`"


def has_plugin() -> bool:
    """Whether Claude Code has our plugin enabled, whose hooks do what install writes."""
    try:
        document = Change(*files_of("claude-code")[0]).document()
        assert isinstance(document, Json)
        plugins = document.get(("enabledPlugins",))
    except (Problem, Broken):
        return False
    if not isinstance(plugins, dict):
        return False
    return any(name.startswith(f"{MCP}@") and on is True for name, on in plugins.items())


def switched_off(agent: str) -> str:
    """The setting of the agent's own by which no hook runs; empty where there is none."""
    try:
        if agent == "codex":
            change = Change("toml", files_of(agent)[1][1])
            document = change.document()
            value = getattr(document, "value", {})
            features = value.get("features")
            if isinstance(features, dict) and features.get("hooks") is False:
                return "[features] hooks = false"
            return ""
        what, path = files_of(agent)[0]
        document = Change(what, path).document()
        assert isinstance(document, Json)
        if agent == "claude-code" and document.get(("disableAllHooks",)) is True:
            return "disableAllHooks"
        if agent == "gemini" and document.get(("hooksConfig", "enabled")) is False:
            return "hooksConfig.enabled is false"
    except (Problem, Broken):
        pass  # said by the check before
    return ""


def spools() -> list[Spool]:
    state = state_folder()
    if state is None:
        return []
    try:
        names = os.listdir(os.path.join(state, "spool"))
    except OSError:
        return []
    return [Spool(state, name) for name in sorted(names)]


def how_long_ago(at: object) -> str:
    if not isinstance(at, (int, float)):
        return "never"
    passed = max(time.time() - at, 0)
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if passed >= length:
            return f"{passed / length:.0f} {unit} ago"
    return f"{passed:.0f} s ago"


def queue_line(spool: Spool) -> str:
    """How much waits, and since when."""
    names = spool.names()
    size = sum(spool.sizes().values())
    oldest = how_long_ago(time.time() - Spool.age(names[0])) if names else "-"
    aside = len(os.listdir(spool.aside)) if os.path.isdir(spool.aside) else 0
    line = f"{len(names)} waiting ({size / 1e6:.1f} MB, oldest {oldest})"
    return line + (f", {aside} set aside" if aside else "")


def command_status(options) -> int:
    found = settings()
    print(f"server     {found.url or '-'}")
    print(f"key        {masked(found.key)} from {found.source or '-'}")
    failed = 0
    if found.problem:
        print(f"           {found.problem}")
        failed = 1
    else:
        try:
            me = ask_server(found, "GET", "/me")
            key, agent, place = (me.get(n) or {} for n in ("key", "agent", "workspace"))
            print(f"agent      {shown(agent.get('name'))} in {shown(place.get('slug'))}")
            print(f"scopes     {shown(' '.join(key.get('scopes') or []))}")
        except Problem as problem:
            print(f"           {problem}")
            failed = 1
    state = state_folder()
    if state is not None:
        spool = Spool(state, found.destination)
        print(f"spool      {queue_line(spool)}")
        print(f"delivered  {how_long_ago(read_json(spool.in_home('last.json')).get('at'))}")
        trouble = read_json(spool.in_home("trouble.json"))
        if trouble:
            print(f"trouble    {how_long_ago(trouble.get('since'))}: {shown(trouble.get('why'))}")
        others = sum(len(s.names()) for s in spools() if s.home != spool.home)
        if others:
            print(f"elsewhere  {others} payloads wait for another key: `remember deliver --all`")
        print(f"log        {os.path.join(state, 'remember.log')}")
    for agent in INSTALLABLE:
        stored = stored_settings()
        if not stored.problem and is_there(agent):
            missing = is_installed(agent, stored)
            print(f"{agent:<12} {'installed' if not missing else 'not installed'}")
    return failed


def command_deliver(options) -> int:
    """Until all is delivered, or until it cannot be."""
    found, state = usable(), _state()
    spool = Spool(state, found.destination)
    if options.all:
        for other in spools():
            if other.home != spool.home:
                move_queue(other, spool)
    if options.again and os.path.isdir(spool.aside):
        os.makedirs(spool.queue, 0o700, exist_ok=True)
        for name in os.listdir(spool.aside):
            os.rename(os.path.join(spool.aside, name), spool.path(name))
    for name in spool.names():
        if Spool.age(name) > ASKING_SECONDS:
            spool.release(name)
    os.environ.setdefault("REMEMBRANCER_SHIM_LINGER", "0.01")
    until = time.monotonic() + options.seconds
    while True:
        failed = deliver(found, spool, patience=options.seconds)
        if failed != OTHER_DELIVERS or time.monotonic() >= until:
            break
        time.sleep(0.1)
    print(queue_line(spool))
    if failed:
        print(failed, file=sys.stderr)
    return 1 if failed else 0


def command_search(options) -> int:
    asked = {"q": " ".join(options.words), "limit": options.limit}
    said = ask_server(usable(), "POST", "/search", asked)
    if options.json:
        print(json.dumps(said, indent=2))
        return 0
    hits = said.get("hits") if isinstance(said.get("hits"), list) else []
    for hit in hits:
        day = str(hit.get("occurred_at") or "")[:10]
        where = hit.get("session") or hit.get("project") or ""
        head = f"{hit.get('score', 0):.2f}  {hit.get('kind')}  {day}  {where}".rstrip()
        print(shown(f"{head}  {hit.get('id')}").replace("\n", " "))
        text = " ".join(shown(hit.get("text") or "").split())
        print(f"      {text[:300]}{'...' if len(text) > 300 else ''}")
    if not hits:
        print("Nothing was found.")
    return 0 if hits else 1


def command_save(options) -> int:
    text = " ".join(options.text)
    if text == "-":
        text = sys.stdin.read()
    sent: dict = {"text": text.strip()}
    if options.kind:
        sent["kind"] = options.kind
    if options.tag:
        sent["tags"] = options.tag
    said = ask_server(usable(), "POST", "/memories", sent)
    print(shown(f"Saved: {said.get('id')} ({said.get('state')}, {said.get('trust')})"))
    return 0


# --- doctor ---------------------------------------------------------------------------------------

WANTED_SCOPES = {
    "hooks:write": "nothing can be delivered",
    "search": "context is without search",
    "memories:read": "context is without pinned memories",
    "sessions:read": "context is without what the last session left",
    "work:read": "context is without tasks and priorities",
    "attention:read": "context is without notifications",
}


class Doctor:
    """Checks, each with what to do."""

    def __init__(self) -> None:
        self.failed = 0

    def say(self, state: str, what: str, todo: str = "") -> None:
        print(f"{state:<5} {what}")
        if todo:
            print(f"      -> {todo}")
        self.failed += state == "FAIL"

    def run(self) -> int:
        version = ".".join(map(str, sys.version_info[:3]))
        self.say("ok", f"Python {version} at {sys.executable}")
        found = settings()
        self.config(found)
        if not found.problem:
            self.server(found)
        self.state(found)
        for agent in INSTALLABLE:
            if is_there(agent):
                self.agent(agent, stored_settings())
        return 1 if self.failed else 0

    def config(self, found: Settings) -> None:
        if found.problem:
            self.say("FAIL", "address and key", found.problem)
            return
        self.say("ok", f"{found.url}, key {masked(found.key)} from {found.source}")
        if _env("REMEMBRANCER_URL") and found.source != "the environment":
            todo = "set REMEMBRANCER_KEY beside it, or unset it"
            self.say("warn", "REMEMBRANCER_URL is set without a key, and passed over", todo)
        path = os.path.join(config_folder() or "", "config.json")
        if os.path.exists(path) and os.stat(path).st_mode & 0o077:
            self.say("FAIL", f"others can read the key in {path}", f"chmod 600 {path}")

    def server(self, found: Settings) -> None:
        link = Link(found, 10.0)
        try:
            status, headers, body = link.send("GET", "/me")
        except Trouble as trouble:
            why = str(trouble)
            todo = "is the server running, and the address right? What comes waits in the spool."
            if "CERTIFICATE" in why.upper():
                todo = (
                    "its certificate is not trusted here: set SSL_CERT_FILE to a file with your "
                    "authority's certificate"
                )
            self.say("FAIL", f"the server cannot be reached: {why}", todo)
            return
        if 300 <= status < 400:
            todo = f"it names {shown(headers.get('location', '?'))}: remember config --url THAT"
            self.say("FAIL", "the server redirects, and a key is never sent on", todo)
            return
        if status == 401:
            todo = "make one: manage.py createkey --agent NAME; then `remember config --key -`"
            self.say("FAIL", "the server does not know the key, or it was revoked", todo)
            return
        try:
            me = json.loads(body)
            scopes = set(me["key"]["scopes"])
        except (ValueError, KeyError, TypeError):
            todo = "the address must be the server's own, without /api/v1 or /admin"
            self.say("FAIL", f"what answers there is no Remembrancer ({status})", todo)
            return
        self.say("ok", f"agent {shown(me['agent']['name'])} in {shown(me['workspace']['slug'])}")
        for scope, without in WANTED_SCOPES.items():
            if scope not in scopes:
                state = "FAIL" if scope == "hooks:write" else "warn"
                todo = f"make a key with it: manage.py createkey --agent NAME --scope {scope} ..."
                self.say(state, f"the key lacks {scope}: {without}", todo)
        self.clock(headers.get("date", ""))

    def clock(self, date: str) -> None:
        from email.utils import parsedate_to_datetime

        try:
            apart = abs(time.time() - parsedate_to_datetime(date).timestamp())
        except (TypeError, ValueError):
            return
        if apart > 600:
            todo = "set it; what happened is ordered by the server's clock meanwhile"
            self.say("warn", f"this machine's clock is {apart / 60:.0f} minutes off", todo)

    def state(self, found: Settings) -> None:
        folder = state_folder()
        try:
            if folder is None:
                raise OSError("no home folder")
            os.makedirs(folder, 0o700, exist_ok=True)
            write_atomically(os.path.join(folder, "doctor"), b"")
            os.unlink(os.path.join(folder, "doctor"))
        except OSError as error:
            todo = "nothing is kept while the server is away: set REMEMBRANCER_SHIM_STATE"
            self.say("FAIL", f"the spool cannot be written: {_reason(error)}", todo)
            return
        spool = Spool(folder, found.destination)
        old = [name for name in spool.names() if Spool.age(name) > 60]
        trouble = read_json(spool.in_home("trouble.json"))
        if old:
            why = f": {shown(trouble.get('why'))}" if trouble else ""
            self.say("warn", f"spool: {queue_line(spool)}{why}", "remember deliver")
        else:
            self.say("ok", f"spool: {queue_line(spool)}")
        if os.path.isdir(spool.aside) and os.listdir(spool.aside):
            log_file = os.path.join(folder, "remember.log")
            todo = f"{log_file} says why; after an upgrade: remember deliver --again"
            self.say("warn", "the server refused some payloads; they are kept", todo)

    def agent(self, agent: str, found: Settings) -> None:
        if found.problem:
            return
        missing = is_installed(agent, found)
        if missing:
            self.say("warn", f"{agent}: {missing}", f"remember install {agent}")
            return
        if agent == "claude-code" and has_plugin():
            self.say("warn", "claude-code: our plugin is enabled too", PLUGIN_TODO)
        off = switched_off(agent)
        if off:
            self.say("warn", f"{agent}: {off}: no hook runs", "take it out of its settings")
            return
        self.say("ok", f"{agent}: hooks and MCP server are set")
        if agent == "codex":
            self.trust()

    def trust(self) -> None:
        """As config.toml says; whether the hashes are right, only Codex knows."""
        path, toml = (path for _, path in files_of("codex"))
        try:
            document = Change("toml", toml).document()
        except Problem as problem:
            self.say("FAIL", str(problem))
            return
        assert isinstance(document, Toml)
        if len(trust_tables(document)) < len(trust_keys(path)):
            todo = "start codex and type /hooks, or: remember install codex --trust"
            self.say("warn", "codex: it does not trust all of the hooks, and skips the rest", todo)


# --- The command line -----------------------------------------------------------------------------


def parser():
    import argparse

    root = argparse.ArgumentParser(prog="remember", description="Remembrancer on this machine.")
    root.add_argument("--version", action="version", version=f"remember {VERSION}")
    commands = root.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, what: str, run):
        one = commands.add_parser(name, help=what, description=what)
        one.set_defaults(run=run)
        return one

    agents = f"{', '.join(INSTALLABLE)}; without one, all that are here"
    # An empty list of them is looked for among the choices too.
    named = [*INSTALLABLE, []]
    one = add("config", "set or show the server's address and the key", command_config)
    one.add_argument("--url", help="https://your.host, or http://127.0.0.1:8000")
    one.add_argument("--key", help="- reads it from standard input; asked for where it is missing")
    one.add_argument("--allow-http", action="store_true", help="also in the clear to other hosts")
    one = add("install", "write the configuration of agents", command_install)
    one.add_argument("agent", nargs="*", choices=named, metavar="AGENT", help=agents)
    one.add_argument("--dry-run", action="store_true", help="print the differences only")
    one.add_argument("--trust", action="store_true", help="also let Codex trust the hooks")
    one = add("uninstall", "take it out of agents' configuration again", command_uninstall)
    one.add_argument("agent", nargs="*", choices=named, metavar="AGENT", help=agents)
    one.add_argument("--dry-run", action="store_true", help="print the differences only")
    add("status", "server, key, spool, agents", command_status)
    add("doctor", "check everything and say what to do", lambda _: Doctor().run())
    one = add("search", "find what is known", command_search)
    one.add_argument("words", nargs="+")
    one.add_argument("--limit", type=int, default=5)
    one.add_argument("--json", action="store_true")
    one = add("save", "save a memory", command_save)
    one.add_argument("text", nargs="+", help="- reads it from standard input")
    one.add_argument("--kind", help="fact, decision, preference, procedure, ...")
    one.add_argument("--tag", action="append")
    one = add("deliver", "send what waits, now", command_deliver)
    one.add_argument("--all", action="store_true", help="also what waits for another key")
    one.add_argument("--again", action="store_true", help="also what the server refused")
    one.add_argument("--seconds", type=float, default=10.0, help="how long to try")
    one = add("hook", "for agents: a payload on standard input", None)
    one.add_argument("agent")
    one.add_argument("event", nargs="?", default="")
    return root


def main(arguments: list[str]) -> int:
    if arguments[:1] == ["hook"] and len(arguments) in (2, 3):
        hook(*arguments[1:])
    options = parser().parse_args(arguments)
    # Of what others wrote, a terminal may know no letters for some.
    sys.stdout.reconfigure(errors="replace")
    try:
        return options.run(options)
    except Problem as problem:
        print(f"remember: {problem}", file=sys.stderr)
    except OSError as error:
        print(f"remember: {_reason(error)}", file=sys.stderr)
    except KeyboardInterrupt:
        return 130
    return 1


def start() -> None:
    """What is made here is for this user alone."""
    os.umask(0o077)
    if sys.version_info < (3, 9) or os.name != "posix":
        if sys.argv[1:2] == ["hook"]:
            sys.exit(0)
        sys.exit("remember: needs Python 3.9 or newer on Linux or macOS")
    sys.exit(main(sys.argv[1:]))


if __name__ == "__main__":
    start()
