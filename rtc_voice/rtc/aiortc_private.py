"""Everything of ours that reaches into aiortc by private names, in one place: aiortc is pinned to a minor release.

A name that is gone raises at once, and a test says so before a release does.
"""

import asyncio
import logging
from collections.abc import Callable

import aioice.ice
from aioice.stun import TransactionError
from aiortc import RTCDtlsTransport, RTCIceTransport, RTCPeerConnection, RTCRtpReceiver
from aiortc.rtp import AnyRtcpPacket, RtpPacket

from rtc_voice.metrics import Metrics
from rtc_voice.rtc.jitter import AudioPacket
from rtc_voice.rtc.opus import BadPacketError, packet_ticks

logger = logging.getLogger(__name__)

_BUFFER = "_RTCRtpReceiver__jitter_buffer"


class _HandOver:
    """Stands in for aiortc's jitter buffer: every packet is handed on, and aiortc gets nothing to decode."""

    def __init__(self, on_packet: Callable[[AudioPacket], None], metrics: Metrics) -> None:
        self._on_packet = on_packet
        self._metrics = metrics

    def add(self, packet: RtpPacket) -> tuple[bool, None]:
        """No picture is asked for again, and no frame is complete."""
        data: bytes = packet._data  # type: ignore[attr-defined]
        if data:  # an empty packet is a pause
            try:
                ticks = packet_ticks(data)
            except BadPacketError:
                self._metrics.count("bad_packets")
            else:
                self._on_packet(AudioPacket(packet.sequence_number, packet.timestamp, packet.ssrc, ticks, data))
        return False, None


def take_packets(receiver: RTCRtpReceiver, on_packet: Callable[[AudioPacket], None], metrics: Metrics) -> None:
    """Let an audio receiver hand on each packet of Opus when it comes, instead of decoding it four packets later."""
    if not hasattr(receiver, _BUFFER):
        raise AttributeError(f"this aiortc has no RTCRtpReceiver.{_BUFFER}: rtc_voice needs aiortc 1.16")
    setattr(receiver, _BUFFER, _HandOver(on_packet, metrics))


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


def guard_transports(connection: RTCPeerConnection, metrics: Metrics) -> None:
    """``survive_datagrams`` and ``survive_reports`` for all that ``connection`` receives on."""
    for transceiver in connection.getTransceivers():
        survive_reports(transceiver.receiver, metrics)
    transports = {transceiver.receiver.transport for transceiver in connection.getTransceivers()}
    if connection.sctp is not None:
        transports.add(connection.sctp.transport)
    for transport in transports:
        survive_datagrams(transport, metrics)


def survive_datagrams(transport: RTCDtlsTransport, metrics: Metrics) -> None:
    """Keep a datagram that aiortc cannot read from ending the call, and count those that are the peer's own.

    One of no bytes, which any process may send to our port, raises in aiortc 1.16 (``RTCDtlsTransport._recv_next``),
    and so may extensions of a header that have the wrong length.
    """
    receive, take_media, take_report = transport._recv_next, transport._handle_rtp_data, transport._handle_rtcp_data

    async def receive_next() -> None:
        try:
            await receive()
        except (ConnectionError, asyncio.CancelledError):
            raise
        except Exception as error:
            metrics.count("bad_datagrams")
            logger.debug("a datagram is dropped: %r", error)
            await asyncio.sleep(0)  # should it fail without waiting, others still have their turn

    async def count_media(data: bytes, arrival_time_ms: int) -> None:
        metrics.count("peer_datagrams")
        await take_media(data, arrival_time_ms)

    async def count_report(data: bytes) -> None:
        metrics.count("peer_datagrams")
        await take_report(data)

    transport._recv_next = receive_next  # type: ignore[method-assign]
    transport._handle_rtp_data = count_media  # type: ignore[method-assign]
    transport._handle_rtcp_data = count_report  # type: ignore[method-assign]


def survive_reports(receiver: RTCRtpReceiver, metrics: Metrics) -> None:
    """Keep a receiver report that cannot be written from ending the task that ``RTCPeerConnection.close`` waits for.

    Timestamps that jump by days make numbers that it has no room for, and hundreds of senders one that is too long.
    """
    send = receiver._send_rtcp

    async def send_report(packet: AnyRtcpPacket) -> None:
        try:
            await send(packet)
        except Exception as error:
            metrics.count("unsent_reports")
            logger.debug("a receiver report is dropped: %r", error)

    receiver._send_rtcp = send_report  # type: ignore[method-assign]


async def is_answering(transport: RTCIceTransport, timeout_s: float) -> bool:
    """Whether the other end answers to a connectivity check (RFC 7675), which it must even when it sends no media."""
    connection = transport._connection
    pairs = list(connection._nominated.values())
    if not pairs or connection.remote_password is None:
        return False
    request, key = connection.build_request(pairs[0], nominate=False), connection.remote_password.encode()
    try:
        async with asyncio.timeout(timeout_s):
            await pairs[0].protocol.request(request, pairs[0].remote_addr, integrity_key=key)
    except (TransactionError, TimeoutError, ConnectionError):
        return False
    return True
