"""Why something was not sent."""


class SendFailed(Exception):
    """`final` is what another attempt would not mend; `retry_after` is seconds the receiver asked
    for. The text is kept in the delivery log: it names no URL and no secret."""

    def __init__(
        self, detail: str, *, final: bool = False, retry_after: float | None = None
    ) -> None:
        super().__init__(detail)
        self.detail, self.final, self.retry_after = detail, final, retry_after
