"""The stage: the clock of the story, who acts on it, and what was put on it by name."""

import heapq
import random
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from itertools import count
from typing import Any
from zoneinfo import ZoneInfo

from config.lib.actor import Actor
from config.lib.clock import Told
from config.lib.errors import DomainError
from contacts.models import Agent
from contacts.models.agent import AgentKind
from contacts.services.agents import create_agent
from contacts.services.keys import create_key
from memory.demo.transcript import StoryError, read_span

ZONE = "UTC"
# What is told of today lies before now, however early in the day it is.
LATEST = timedelta(seconds=20)


@dataclass(order=True)
class _Happening:
    at: datetime
    place: int
    play: Callable[[], object] = field(compare=False)
    where: str = field(compare=False, default="")


class Stage:
    """What happens is put on in any order with `at`, and played in the order of time.

    `rows` has what was made by the name that the stories call it: `session:drift`, `task:alarms`.
    """

    def __init__(self, *, now: datetime, seed: int) -> None:
        self.now, self.seed = now, seed
        self.today: date = now.astimezone(ZoneInfo(ZONE)).date()
        self.clock = Told(moment=now, seed=seed)
        self.rows: dict[str, Any] = {}
        self._actors: dict[str, Actor] = {}
        self._agents: dict[str, Agent] = {}
        self._waiting: list[_Happening] = []
        # Which story is told, for whoever has to mend it.
        self.where = ""
        self._count = count()

    # --- Time -------------------------------------------------------------------------------

    def moment(self, text: str) -> datetime:
        """`-12 09:14` is a day and time in the team's zone; `25m` is so long ago, `+2h` so far
        ahead."""
        text = text.strip()
        if text.startswith("+") and " " not in text:
            return self.now + read_span(text[1:])
        day, _, clock = text.partition(" ")
        if not clock:
            return self.now - max(read_span(text), LATEST)
        try:
            hours, minutes = (int(part) for part in clock.split(":"))
            there = datetime.combine(
                self.today + timedelta(days=int(day)), time(hours, minutes), ZoneInfo(ZONE)
            )
        except ValueError:
            raise StoryError(f"{text!r} is no moment such as `-12 09:14` or `25m`") from None
        return there.astimezone(self.now.tzinfo)

    def at(self, moment: datetime, play: Callable[[], object]) -> None:
        """`play` is called when it is `moment`; what is to come is left out."""
        if moment <= self.now:
            heapq.heappush(self._waiting, _Happening(moment, next(self._count), play, self.where))

    def play(self) -> None:
        """All that was put on, and what that puts on in its turn. StoryError names the story that
        cannot be told."""
        while self._waiting:
            happening = heapq.heappop(self._waiting)
            self.clock.moment = max(happening.at, self.clock.moment)
            self.where = happening.where
            try:
                happening.play()
            except (StoryError, DomainError) as error:
                raise StoryError(f"{self.where}, at {happening.at:%d %H:%M}: {error}") from error

    def begin(self, moment: datetime) -> None:
        self.clock.moment = moment

    def dice(self, name: str) -> random.Random:
        """Of one story's own: what is told of one moves nothing in another."""
        return random.Random(f"{self.seed}:{name}")  # noqa: S311  (for how long a reply takes)

    # --- The cast ---------------------------------------------------------------------------

    def agent(self, name: str) -> Agent:
        return self._agents[name]

    def actor(self, name: str) -> Actor:
        """An agent with its key, or a person of the team."""
        if name not in self._actors:
            raise StoryError(f"nobody is called {name!r}")
        return self._actors[name]

    def add_agent(self, name: str, kind: str, capabilities: list[str], by: Actor) -> None:
        agent = create_agent(actor=by, name=name, kind=AgentKind(kind), capabilities=capabilities)
        key, _ = create_key(actor=by, agent=agent, name="team")
        self._agents[name] = agent
        self._actors[name] = Actor(
            "key", str(key.id), f"{name} ({key.name})", "api", agent_id=agent.id
        )

    def add_person(self, name: str) -> None:
        """Somebody who works in the admin; no account, which would need a password."""
        self._actors[name] = Actor("user", f"demo-{name}", name, "admin")

    # --- What is there ----------------------------------------------------------------------

    def keep(self, name: str, row: Any) -> None:
        if name in self.rows:
            raise StoryError(f"there are two of {name!r}")
        self.rows[name] = row

    def row(self, name: str) -> Any:
        if name not in self.rows:
            raise StoryError(f"there is no {name!r} at this time of the story")
        return self.rows[name]

    def id_of(self, kind: str, name: str) -> uuid.UUID | None:
        """None without a name."""
        if not name:
            return None
        found: uuid.UUID = self.row(f"{kind}:{name}").id
        return found
