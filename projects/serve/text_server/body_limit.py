"""Refuses bodies that are too large, whether they say their length or not."""

from contextlib import suppress

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class TooLarge(Exception):
    """More bytes have come than may come."""


class BodyLimit:
    """An ASGI layer.

    app: What is below.
    max_bytes: Of a body.
    """

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self.app = app
        self.max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        length = dict(scope["headers"]).get(b"content-length", b"0")
        if length.isdigit() and int(length) > self.max_bytes:
            await self._refuse(scope, receive, send)
            return
        n_bytes = 0
        has_answered = False

        async def counted() -> Message:
            nonlocal n_bytes
            message = await receive()
            n_bytes += len(message.get("body", b""))
            if n_bytes > self.max_bytes:
                raise TooLarge
            return message

        async def noted(message: Message) -> None:
            nonlocal has_answered
            if n_bytes > self.max_bytes and not has_answered:
                return  # what the app makes of the error; the answer is ours
            has_answered = True
            await send(message)

        with suppress(TooLarge):
            await self.app(scope, counted, noted)
        if n_bytes > self.max_bytes and not has_answered:
            await self._refuse(scope, receive, send)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        reason = f"The body is larger than {self.max_bytes:,} bytes."
        await JSONResponse({"detail": reason}, status_code=413)(scope, receive, send)
