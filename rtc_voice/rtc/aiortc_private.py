"""Everything of ours that reaches into aiortc by private names, in one place: aiortc is pinned to a minor release.

A name that is gone raises at once, and a test says so before a release does.
"""

from collections.abc import Callable

import aioice.ice
from aiortc import RTCIceTransport, RTCRtpReceiver
from aiortc.jitterbuffer import JitterFrame
from aiortc.rtp import RtpPacket

from rtc_voice.metrics import Metrics
from rtc_voice.rtc.jitter import ReorderBuffer

_BUFFER = "_RTCRtpReceiver__jitter_buffer"


class _OnePacketOneFrame:
    """Stands in for aiortc's jitter buffer: what comes in goes out."""

    def add(self, packet: RtpPacket) -> tuple[bool, JitterFrame | None]:
        """No picture is asked for again; an empty packet (a pause) is no frame, and would end the decoder."""
        data: bytes = packet._data  # type: ignore[attr-defined]
        return False, JitterFrame(data=data, timestamp=packet.timestamp) if data else None


def hand_over_at_once(receiver: RTCRtpReceiver, metrics: Metrics) -> None:
    """Let an audio receiver decode each packet when it comes, in order, instead of four packets later."""
    if not hasattr(receiver, _BUFFER):
        raise AttributeError(f"this aiortc has no RTCRtpReceiver.{_BUFFER}: rtc_voice needs aiortc 1.16")
    setattr(receiver, _BUFFER, _OnePacketOneFrame())
    decode = receiver._handle_rtp_packet
    buffer: ReorderBuffer[RtpPacket] = ReorderBuffer(metrics)

    async def in_order(packet: RtpPacket, arrival_time_ms: int) -> None:
        for ready in buffer.add(packet):
            await decode(ready, arrival_time_ms=arrival_time_ms)

    receiver._handle_rtp_packet = in_order  # type: ignore[method-assign]


def use_loopback_when_alone() -> None:
    """Let a machine without a network call itself: aioice leaves 127.0.0.1 out even where there is nothing else."""
    find = aioice.ice.get_host_addresses
    if not isinstance(find, _OrLoopback):
        aioice.ice.get_host_addresses = _OrLoopback(find)


class _OrLoopback:
    """The addresses that ``find`` finds, or loopback's."""

    def __init__(self, find: Callable[[bool, bool], list[str]]) -> None:
        self._find = find

    def __call__(self, use_ipv4: bool, use_ipv6: bool) -> list[str]:
        return self._find(use_ipv4, use_ipv6) or (["127.0.0.1"] if use_ipv4 else [])


def drop_empty_datagrams(transport: RTCIceTransport) -> None:
    """Keep datagrams of no bytes, which any process may send to our port, from ending the call.

    aiortc looks at the first byte of each without asking whether there is one (1.16, ``RTCDtlsTransport._recv_next``).
    """
    receive = transport._recv

    async def receive_bytes() -> bytes:
        while not (data := await receive()):
            pass
        return data

    transport._recv = receive_bytes
