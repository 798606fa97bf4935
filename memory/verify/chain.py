import uuid
from collections.abc import Iterator

from memory.verify.report import Check, Options


def check(workspace_id: uuid.UUID, options: Options) -> Iterator[Check]:
    yield from ()
