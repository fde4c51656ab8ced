"""Everything of ours that reaches into aiortc by private names, in one place: aiortc is pinned to a minor release.

A name that is gone raises at once, and a test says so before a release does.
"""

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
