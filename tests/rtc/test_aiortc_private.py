import aioice.ice
import pytest
from aiortc import RTCPeerConnection
from aiortc.jitterbuffer import JitterBuffer
from aiortc.rtp import RtcpReceiverInfo, RtcpRrPacket, RtpPacket

from rtc_voice.metrics import Metrics
from rtc_voice.rtc.aiortc_private import (
    _BUFFER,
    survive_datagrams,
    survive_reports,
    take_packets,
    use_loopback_when_alone,
)

_HANDSHAKE_DONE = "_RTCDtlsTransport__handshake_done"


async def test_aiortc_still_keeps_its_parts_where_we_replace_them() -> None:
    pc = RTCPeerConnection()
    receiver = pc.addTransceiver("audio").receiver
    assert isinstance(getattr(receiver, _BUFFER), JitterBuffer)
    assert getattr(receiver.transport, _HANDSHAKE_DONE) is False
    for name in ("_recv_next", "_handle_rtp_data", "_handle_rtcp_data"):
        assert callable(getattr(receiver.transport, name))
    connection = receiver.transport.transport._connection
    assert connection._nominated == {}
    assert callable(connection.build_request)
    await pc.close()


async def test_a_moved_name_is_noticed_at_once() -> None:
    pc = RTCPeerConnection()
    receiver = pc.addTransceiver("audio").receiver
    delattr(receiver, _BUFFER)
    with pytest.raises(AttributeError, match=r"aiortc 1\.16"):
        take_packets(receiver, lambda packet: None, Metrics())
    await pc.close()


async def test_packets_are_handed_on_as_they_come_and_junk_is_counted() -> None:
    taken: list[tuple[int, int, int]] = []
    metrics = Metrics()
    pc = RTCPeerConnection()
    receiver = pc.addTransceiver("audio").receiver
    take_packets(receiver, lambda one: taken.append((one.number, one.timestamp, one.ticks)), metrics)
    for number, data in ((1, b"\xf8\xff\xfe"), (3, b"\xf0\xff\xfe"), (2, b""), (4, b"\xff")):
        packet = RtpPacket(sequence_number=number, timestamp=960 * number)
        packet._data = data  # type: ignore[attr-defined]
        assert getattr(receiver, _BUFFER).add(packet) == (False, None)
    assert taken == [(1, 960, 960), (3, 2_880, 480)]
    assert metrics.counters["bad_packets"] == 1
    await pc.close()


@pytest.mark.parametrize("data", [b"", b"\x80", b"\x16", b"\xff" * 2_000, b"\x80" * 12, b"\x80\xc8" * 20])
async def test_a_datagram_that_cannot_be_read_is_counted_and_forgotten(data: bytes) -> None:
    pc = RTCPeerConnection()
    transport = pc.addTransceiver("audio").receiver.transport
    metrics = Metrics()
    survive_datagrams(transport, metrics)

    async def receive() -> bytes:
        return data

    transport.transport._recv = receive
    setattr(transport, _HANDSHAKE_DONE, True)
    await transport._recv_next()
    assert metrics.counters["peer_datagrams"] == 0
    await pc.close()


@pytest.mark.parametrize(("reports", "jitter"), [(1, 2**40), (300, 0)])
async def test_a_report_that_cannot_be_written_is_counted_and_forgotten(reports: int, jitter: int) -> None:
    pc = RTCPeerConnection()
    receiver = pc.addTransceiver("audio").receiver
    metrics = Metrics()
    survive_reports(receiver, metrics)
    info = RtcpReceiverInfo(1, 0, 0, highest_sequence=1, jitter=jitter, lsr=0, dlsr=0)
    await receiver._send_rtcp(RtcpRrPacket(ssrc=1, reports=[info] * reports))
    assert metrics.counters["unsent_reports"] == 1
    await pc.close()


async def test_the_end_of_the_connection_is_no_bad_datagram() -> None:
    pc = RTCPeerConnection()
    transport = pc.addTransceiver("audio").receiver.transport
    survive_datagrams(transport, Metrics())

    async def receive() -> bytes:
        raise ConnectionError

    transport.transport._recv = receive
    setattr(transport, _HANDSHAKE_DONE, True)
    with pytest.raises(ConnectionError):
        await transport._recv_next()
    await pc.close()


@pytest.mark.parametrize(("found", "used"), [([], ["127.0.0.1"]), (["192.0.2.1"], ["192.0.2.1"])])
def test_loopback_is_used_when_there_is_nothing_else(
    monkeypatch: pytest.MonkeyPatch, found: list[str], used: list[str]
) -> None:
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda use_ipv4, use_ipv6: found)
    use_loopback_when_alone()
    use_loopback_when_alone()
    assert aioice.ice.get_host_addresses(use_ipv4=True, use_ipv6=True) == used
