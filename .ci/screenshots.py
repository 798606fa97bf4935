"""Takes the pictures of docs/images: `make screenshots`.

A throwaway database, the demo at a fixed moment, everything embedded by the jobs' own functions,
and the admin served by this process, whose clock stands at that moment, so that "3 minutes ago" is
the same tomorrow. Chromium takes the pictures and packs them as WebP. A picture that shows the
same as the one that is there is left as it is.
"""

import argparse
import base64
import contextlib
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from config.embedded.temporary import temporary_server  # noqa: E402

IMAGES = ROOT / "docs" / "images"
MOMENT = datetime(2026, 9, 18, 14, 40, tzinfo=UTC)
SEED = 1
USER, PASSWORD = "mara", "a long password for pictures"
WIDE, NARROW = {"width": 1600, "height": 1000}, {"width": 390, "height": 844}
THEMES = ("light", "dark")
QUALITY = 0.82
# Of a picture's pixels; fonts are drawn a little otherwise from one run to the next.
SAME = 0.0005

PACK = """
async ([now, before, quality]) => {
  const load = async (data) =>
    createImageBitmap(await (await fetch("data:image/png;base64," + data)).blob());
  const picture = await load(now);
  const canvas = new OffscreenCanvas(picture.width, picture.height);
  const context = canvas.getContext("2d", {willReadFrequently: true});
  context.drawImage(picture, 0, 0);
  const packed = await canvas.convertToBlob({type: "image/webp", quality});
  let differing = 1;
  if (before) {
    const old = await createImageBitmap(
      await (await fetch("data:image/webp;base64," + before)).blob());
    if (old.width === picture.width && old.height === picture.height) {
      const read = (image) => {
        context.clearRect(0, 0, canvas.width, canvas.height);
        context.drawImage(image, 0, 0);
        return context.getImageData(0, 0, canvas.width, canvas.height).data;
      };
      const [a, b] = [read(await createImageBitmap(packed)), read(old)];
      let count = 0;
      for (let i = 0; i < a.length; i += 4)
        if (Math.abs(a[i] - b[i]) + Math.abs(a[i+1] - b[i+1]) + Math.abs(a[i+2] - b[i+2]) > 60)
          count++;
      differing = count / (a.length / 4);
    }
  }
  const bytes = new Uint8Array(await packed.arrayBuffer());
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return [btoa(text), differing];
}
"""


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class Quiet(WSGIRequestHandler):
    def log_message(self, *args: Any) -> None:
        pass


@contextlib.contextmanager
def serving() -> Iterator[str]:
    """The admin, by the story's clock, at an address of its own."""
    from config.lib import clock
    from config.wsgi import application

    told = clock.Told(moment=MOMENT, seed=SEED + 1)

    def at_the_moment(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        with clock.telling(told):
            answer = application(environ, start)
            try:
                return list(answer)
            finally:
                # Gives the request's connection back.
                answer.close()  # type: ignore[attr-defined]

    server = make_server("127.0.0.1", 0, at_the_moment, Server, Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def seed() -> dict[str, str]:
    """The demo, with vectors, near duplicates and all else that jobs make; what the pictures need
    to find their pages."""
    from config.lib import clock
    from config.lib.actor import Actor
    from config.lib.scope import workspace_scope
    from contacts.services.workspaces import create_user
    from memory.demo.seed import seed_demo
    from memory.models import Memory
    from memory.services.duplicates import propose
    from memory.services.embedding import embed_pending
    from memory.services.golden import check_golden
    from memory.services.learning import learn_due
    from sessions.models import Session

    user = create_user(username=USER, password=PASSWORD)
    actor = Actor("system", "screenshots", "screenshots", "shell")
    done = seed_demo(actor=actor, slug="demo", seed=SEED, now=MOMENT, user=user)
    told = clock.Told(moment=MOMENT, seed=SEED + 2)
    with clock.telling(told):
        while learn_due(done.workspace_id, seconds=60):
            pass
        while embed_pending(done.workspace_id, seconds=600).waiting is not None:
            pass
        while propose(done.workspace_id)[1]:
            pass
        check_golden(done.workspace_id)
    with workspace_scope(done.workspace_id):
        return {
            "incident": str(Session.objects.get(name__startswith="INCIDENT").pk),
            "memory": str(Memory.objects.get(text__startswith="Readings wait 180 s").pk),
        }


def pages(ids: dict[str, str]) -> list[tuple[str, str, bool]]:
    """(name of the picture, address, whether also for a telephone)."""
    sessions, memory, contacts = "/admin/agent_sessions", "/admin/memory", "/admin/contacts"
    incident = f"{sessions}/session/{ids['incident']}"
    return [
        ("home", "/admin/", True),
        ("search", "/admin/search/?q=why+did+alarms+come+three+times", False),
        ("sessions", f"{sessions}/session/", False),
        ("conversation", f"{incident}/conversation/", True),
        ("timeline", f"{incident}/timeline/", False),
        ("memory", f"{memory}/memory/{ids['memory']}/read/", False),
        ("review", "/admin/review/", True),
        ("near-duplicates", f"{memory}/memoryduplicate/", False),
        ("history", f"{memory}/memory/{ids['memory']}/history/", False),
        ("workers", f"{sessions}/worker/", False),
        ("board", f"{sessions}/task/board/", False),
        ("days", f"{sessions}/priority/days/", False),
        ("schedules", f"{sessions}/scheduledmission/timeline/", False),
        ("contacts", f"{contacts}/contact/", False),
    ]


def take(base: str, ids: dict[str, str], wanted: re.Pattern[str]) -> None:
    from playwright.sync_api import sync_playwright

    from tests.browser.conftest import ARGUMENTS, find_chromium

    program = find_chromium()
    if program is None:
        sys.exit("no Chromium here: install one (apt install chromium), or name it in CHROMIUM")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        packer = browser.new_page()
        for theme in THEMES:
            context = browser.new_context(color_scheme=theme, viewport=WIDE, locale="en-GB")  # type: ignore[arg-type]
            page = context.new_page()
            page.clock.set_fixed_time(MOMENT)
            page.goto(f"{base}/admin/login/")
            page.fill("#id_username", USER)
            page.fill("#id_password", PASSWORD)
            page.click("#login-form button[type=submit]")
            page.wait_for_url(f"{base}/admin/")
            for name, address, narrow in pages(ids):
                for suffix, size in (("", WIDE), ("-390", NARROW)):
                    if (suffix and not narrow) or not wanted.search(name):
                        continue
                    page.set_viewport_size(size)  # type: ignore[arg-type]
                    answer = page.goto(base + address, wait_until="networkidle")
                    if answer is None or answer.status == 404:
                        print(f"{name}: no such page", flush=True)
                        continue
                    if answer.status != 200:
                        sys.exit(f"{name}: {answer.status} at {address}")
                    if not page.locator("#nav-sidebar").count():
                        # A piece of a page, as scripts ask for it.
                        print(f"{name}: no such page", flush=True)
                        continue
                    page.evaluate("document.fonts.ready")
                    picture = page.screenshot(animations="disabled", caret="hide")
                    keep(packer, IMAGES / f"{name}{suffix}-{theme}.webp", picture)
            context.close()
        browser.close()


def keep(packer: Any, path: Path, picture: bytes) -> None:
    before = base64.b64encode(path.read_bytes()).decode() if path.exists() else ""
    packed, differing = packer.evaluate(PACK, [base64.b64encode(picture).decode(), before, QUALITY])
    if differing <= SAME:
        print(f"{path.name}: as it was", flush=True)
        return
    path.write_bytes(base64.b64decode(packed))
    print(f"{path.name}: {path.stat().st_size / 1024:.0f} kB", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", metavar="PATTERN", help="pictures whose name fits")
    options = parser.parse_args()
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    with temporary_server(fsync=False) as urls:
        os.environ.update(
            DATABASE_URL=urls.runtime,
            DATABASE_OWNER_URL=urls.owner,
            SECRET_KEY="pictures-" * 8,
            # The assembled model is kept between runs.
            REMEMBRANCER_DATA_DIR=str(cache / "remembrancer-benchmarks"),
            DJANGO_SETTINGS_MODULE="config.settings.base",
            REMEMBRANCER_LOG_LEVEL="ERROR",
            # Playwright keeps an event loop running in this thread.
            DJANGO_ALLOW_ASYNC_UNSAFE="true",
        )
        migrate = [sys.executable, "manage.py", "migrate", "--verbosity", "0", "--skip-checks"]
        subprocess.run(migrate, cwd=ROOT, check=True)
        import django

        django.setup()
        ids = seed()
        IMAGES.mkdir(exist_ok=True)
        with serving() as base:
            take(base, ids, re.compile(options.only))


if __name__ == "__main__":
    main()
