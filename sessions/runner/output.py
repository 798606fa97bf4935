"""What a command prints: decoded, gathered into pieces, bounded, with its last part at hand."""

import codecs

from sessions.models.worker import OutputStream

PIECE = 32_000
# A second's worth in pieces; a command that alternates between its streams makes one with each.
MAX_PIECES = 20
# Of one attempt. Beyond it the last part is still in the report.
MAX_KEPT = 5_000_000
MAX_PIECES_KEPT = 20_000
REPORT, ERROR = 200_000, 4_000


class Output:
    """Feed bytes of either stream; take the pieces that wait to be written."""

    def __init__(self) -> None:
        decoder = codecs.getincrementaldecoder("utf-8")
        self._decoders = {stream: decoder(errors="replace") for stream in OutputStream}
        self._waiting: list[tuple[str, str]] = []
        self._tails = dict.fromkeys(OutputStream, "")
        self._cut = dict.fromkeys(OutputStream, False)
        self._kept = self._pieces = self.dropped = 0

    def feed(self, stream: OutputStream, data: bytes, *, final: bool = False) -> None:
        # NUL cannot be stored.
        text = self._decoders[stream].decode(data, final).replace("\0", "\ufffd")
        if not text:
            return
        self._remember(stream, text)
        kept = text[: max(MAX_KEPT - self._kept, 0)] if self._pieces < MAX_PIECES_KEPT else ""
        self._kept += len(kept)
        self.dropped += len(text) - len(kept)
        if kept:
            self._gather(stream, kept)

    def _remember(self, stream: OutputStream, text: str) -> None:
        tail = self._tails[stream] + text
        # Cut now and then, not with every line.
        if len(tail) > 2 * REPORT:
            tail, self._cut[stream] = tail[-REPORT:], True
        self._tails[stream] = tail

    def _gather(self, stream: OutputStream, text: str) -> None:
        waiting = self._waiting
        if waiting and waiting[-1][0] == stream and len(waiting[-1][1]) + len(text) <= PIECE:
            waiting[-1] = (stream, waiting[-1][1] + text)
            return
        waiting += [(stream, text[at : at + PIECE]) for at in range(0, len(text), PIECE)]

    def take(self) -> list[tuple[str, str]]:
        """What waits, in order; many small pieces become one for each stream."""
        pieces, self._waiting = self._waiting, []
        if len(pieces) > MAX_PIECES:
            joined = {s: "".join(t for name, t in pieces if name == s) for s in OutputStream}
            pieces = [
                (stream, text[at : at + PIECE])
                for stream, text in joined.items()
                for at in range(0, len(text), PIECE)
            ]
        self._pieces += len(pieces)
        return pieces

    def put_back(self, pieces: list[tuple[str, str]]) -> None:
        """They could not be written yet."""
        self._waiting = pieces + self._waiting
        self._pieces -= len(pieces)

    def stop_keeping(self, pieces: list[tuple[str, str]]) -> None:
        """They cannot be written at all: the record is full."""
        self.dropped += sum(len(text) for _, text in pieces + self._waiting)
        self._waiting, self._kept = [], MAX_KEPT

    @property
    def waiting(self) -> bool:
        return bool(self._waiting)

    def note(self) -> tuple[str, str] | None:
        """What to write at the end where not everything was kept."""
        if not self.dropped:
            return None
        text = f"[runworkers: {self.dropped:,} more characters of output were not kept]\n"
        return (OutputStream.STDERR, text)

    def report(self) -> str:
        """The end of what it printed: of stdout, or where that is empty of stderr."""
        stream = OutputStream.STDOUT if self._tails["stdout"].strip() else OutputStream.STDERR  # type: ignore[index]
        return self._tail(stream, REPORT)

    def last_error(self) -> str:
        """The end of stderr, or where that is empty of stdout."""
        stream = OutputStream.STDERR if self._tails["stderr"].strip() else OutputStream.STDOUT  # type: ignore[index]
        return self._tail(stream, ERROR)

    def _tail(self, stream: OutputStream, length: int) -> str:
        text = self._tails[stream].strip()
        if len(text) <= length and not self._cut[stream]:
            return text
        return f"[the last {length:,} characters]\n{text[-length:]}"
