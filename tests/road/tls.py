"""TLS before a server that speaks none, as a process of its own: the embedded Redis is built without."""

import asyncio
import ssl
import sys
from contextlib import suppress
from typing import Final

from tests.notify.relay import CERTIFICATE

_CHUNK_BYTES: Final = 1 << 16


async def _serve(port: int, server_port: int) -> None:
    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", server_port)
        await asyncio.gather(_pass_on(reader, there_writer), _pass_on(there_reader, writer))

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(CERTIFICATE)
    listener = await asyncio.start_server(accept, "127.0.0.1", port, ssl=context)
    await listener.serve_forever()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    # Either side may have hung up; the other is told so.
    with suppress(OSError):
        while chunk := await reader.read(_CHUNK_BYTES):
            writer.write(chunk)
            await writer.drain()
    writer.close()


if __name__ == "__main__":
    asyncio.run(_serve(*map(int, sys.argv[1:])))
