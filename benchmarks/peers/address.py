"""How each echo says where it listens."""

import asyncio

from aiohttp import web


async def announce(app: web.Application) -> None:
    """Serve ``app`` on a free port, print its address, and go on until terminated."""
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(f"http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
    await asyncio.Event().wait()
