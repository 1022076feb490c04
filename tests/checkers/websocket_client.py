"""Talks to the echoing application as programs do that use this library."""

import asyncio
import os
import sys

import websockets
from websockets.asyncio.client import connect

URL = f"ws://127.0.0.1:{sys.argv[1]}"


async def messages():
    async with connect(f"{URL}/echo", max_size=None) as session:
        for size in (0, 1, 125, 126, 127, 65535, 65536, 1_000_000):
            data = os.urandom(size)
            await session.send(data)
            assert await session.recv() == data, size
        await session.send("täglich €")
        assert await session.recv() == "täglich €"
        # In fragments, of which the last ones come after a ping was answered.
        async def pieces():
            for number in range(50):
                yield f"{number},"
                if number == 25:
                    await (await session.ping())
        await session.send(pieces())
        assert await session.recv() == "".join(f"{number}," for number in range(50))
        for _ in range(10):
            await (await session.ping(b"are you there"))
    assert session.close_code == 1000, session.close_code


async def many():
    async def one(number):
        async with connect(f"{URL}/echo") as session:
            for step in range(20):
                text = f"{number} {step}"
                await session.send(text)
                assert await session.recv() == text

    await asyncio.gather(*(one(number) for number in range(50)))


async def sub_protocol():
    async with connect(f"{URL}/echo", subprotocols=["chat", "other"], compression=None) as session:
        assert session.subprotocol == "chat"


async def kept_alive():
    # Pinged by the server each second; the library answers by itself.
    async with connect(f"{URL}/echo", ping_interval=None) as session:
        await asyncio.sleep(2.5)
        await session.send("still here")
        assert await session.recv() == "still here"


async def closed_by_the_server():
    async with connect(f"{URL}/close") as session:
        await session.send("go")
        try:
            await session.recv()
        except websockets.ConnectionClosed as closed:
            assert (closed.rcvd.code, closed.rcvd.reason) == (4001, "as asked"), closed
        else:
            raise AssertionError("not closed")


async def refused():
    try:
        async with connect(f"{URL}/refuse"):
            raise AssertionError("accepted")
    except websockets.InvalidStatus as refusal:
        assert refusal.response.status_code == 403


async def main():
    await asyncio.wait_for(
        asyncio.gather(
            messages(), many(), sub_protocol(), kept_alive(), closed_by_the_server(), refused()
        ),
        50,
    )


asyncio.run(main())
