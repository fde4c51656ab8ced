"""Which ways through the network work, and why one does not: what `rtc-voice doctor` says of ICE."""

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass

import aioice.ice
from aioice import Connection, TransportPolicy
from aioice.stun import TransactionFailed, TransactionTimeout
from aioice.turn import create_turn_endpoint
from aiortc import RTCIceServer
from aiortc.rtcicetransport import connection_kwargs, parse_stun_turn_uri

from rtc_voice.rtc.ice import IceConfig, IceServer

ANSWER_TIMEOUT_S = 6.0  # STUN itself asks seven times
_UNAUTHORIZED, _QUOTA = 401, 486


@dataclass(frozen=True, slots=True)
class IceFinding:
    """What was found of one way."""

    way: str
    works: bool
    found: str
    remedy: str = ""


async def check_ice(config: IceConfig) -> AsyncIterator[IceFinding]:
    """Try every way that ``config`` allows, one after the other; none of them raises."""
    addresses = aioice.ice.get_host_addresses(use_ipv4=True, use_ipv6=True)
    yield IceFinding("host", bool(addresses), ", ".join(addresses[:3]) or "loopback only", "connect to a network")
    seen: set[bool] = set()
    for server in config.servers:
        if server.is_relay in seen:
            yield IceFinding(server.url, True, "not used: the first STUN and the first TURN server are")
            continue
        seen.add(server.is_relay)
        finding = await (_check_turn(server) if server.is_relay else _check_stun(server))
        yield finding
        if server.is_relay and finding.works:
            yield await _check_path(server)


async def _check_stun(server: IceServer) -> IceFinding:
    """Ask it for our address as the world sees it (a srflx candidate)."""
    if problem := await _unknown_host(server):
        return problem
    connection = Connection(ice_controlling=True, use_ipv6=False, **connection_kwargs(_as_rtc(server)))
    try:
        await connection.gather_candidates()
        found = [c for c in connection.local_candidates if c.type == "srflx"]
    finally:
        await connection.close()
    if found:
        return IceFinding(server.url, True, f"srflx: the world sees {found[0].host}")
    remedy = "is it running, and does a firewall let UDP out? A TURN server over TCP may help"
    return IceFinding(server.url, False, "no answer over UDP", remedy)


async def _check_turn(server: IceServer) -> IceFinding:
    """Ask it for a relay address, and keep its own reason if it gives none."""
    if problem := await _unknown_host(server):
        return problem
    parsed = parse_stun_turn_uri(server.url)
    over = str(parsed["transport"]).upper()
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            transport, _ = await create_turn_endpoint(
                asyncio.DatagramProtocol,
                server_addr=(parsed["host"], parsed["port"]),
                username=server.user,
                password=server.password,
                ssl=parsed["scheme"] == "turns",
                transport=parsed["transport"],
            )
    except TransactionFailed as error:
        number, reason = error.response.attributes.get("ERROR-CODE", (0, "no reason"))
        remedy = {_UNAUTHORIZED: "check user and password", _QUOTA: "too many relays for this user"}.get(number, "")
        return IceFinding(server.url, False, f"refuses: {number} {reason}", remedy or "its log says more")
    except (TransactionTimeout, TimeoutError):
        return IceFinding(server.url, False, f"no answer over {over}", "a firewall? try ?transport=tcp, or turns:")
    except (OSError, ValueError) as error:
        return IceFinding(server.url, False, f"unreachable over {over}: {error}"[:100], "is it running on that port?")
    relay = transport.get_extra_info("sockname")
    transport.close()
    return IceFinding(server.url, True, f"relay: {relay[0]} over {over}")


async def _check_path(server: IceServer) -> IceFinding:
    """Send a packet from one relay address to another: what relay-only calls need."""
    ends = [
        Connection(
            ice_controlling=is_first,
            transport_policy=TransportPolicy.RELAY,
            use_ipv6=False,
            **connection_kwargs(_as_rtc(server)),
        )
        for is_first in (True, False)
    ]
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            await asyncio.gather(*(end.gather_candidates() for end in ends))
            for one, other in (ends, ends[::-1]):
                one.remote_username, one.remote_password = other.local_username, other.local_password
                for candidate in other.local_candidates:
                    await one.add_remote_candidate(candidate)
                await one.add_remote_candidate(None)
            await asyncio.gather(*(end.connect() for end in ends))
            await ends[0].send(b"hello")
            await ends[1].recv()
    except (TimeoutError, ConnectionError) as error:
        remedy = "does it let its users reach other hosts (denied-peer-ip, and on one machine allow-loopback-peers)?"
        return IceFinding(f"through {server.url}", False, f"no packet came through: {error}"[:100], remedy)
    finally:
        await asyncio.gather(*(end.close() for end in ends))
    return IceFinding(f"through {server.url}", True, "a packet came through")


def _as_rtc(server: IceServer) -> list[RTCIceServer]:
    return list(IceConfig((server,)).configuration().iceServers or [])


async def _unknown_host(server: IceServer) -> IceFinding | None:
    host = str(parse_stun_turn_uri(server.url)["host"])
    try:
        await asyncio.get_running_loop().getaddrinfo(host, None)
    except socket.gaierror:
        return IceFinding(server.url, False, f"no host {host!r} is known", "check the name, and that DNS works here")
    return None
