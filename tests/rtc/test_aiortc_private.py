import aioice.ice
import pytest
from aiortc import RTCPeerConnection, RTCRtpReceiver
from aiortc.jitterbuffer import JitterBuffer
from aiortc.rtp import RtpPacket

from rtc_voice.metrics import Metrics
from rtc_voice.rtc.aiortc_private import _BUFFER, hand_over_at_once, use_loopback_when_alone


async def test_aiortc_still_keeps_its_parts_where_we_replace_them() -> None:
    pc = RTCPeerConnection()
    receiver = pc.addTransceiver("audio").receiver
    assert isinstance(getattr(receiver, _BUFFER), JitterBuffer)
    assert callable(receiver._handle_rtp_packet)
    assert callable(receiver.transport.transport._recv)
    await pc.close()


async def test_a_moved_name_is_noticed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    pc = RTCPeerConnection()
    receiver = pc.addTransceiver("audio").receiver
    delattr(receiver, _BUFFER)
    with pytest.raises(AttributeError, match=r"aiortc 1\.16"):
        hand_over_at_once(receiver, Metrics())
    await pc.close()


async def test_packets_reach_the_receiver_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[int] = []

    async def take(self: RTCRtpReceiver, packet: RtpPacket, arrival_time_ms: int) -> None:
        taken.append(packet.sequence_number)

    monkeypatch.setattr(RTCRtpReceiver, "_handle_rtp_packet", take)
    pc = RTCPeerConnection()
    receiver = pc.addTransceiver("audio").receiver
    hand_over_at_once(receiver, Metrics())
    for number in (1, 3, 2, 4):
        await receiver._handle_rtp_packet(RtpPacket(sequence_number=number), arrival_time_ms=0)
    assert taken == [1, 2, 3, 4]
    await pc.close()


@pytest.mark.parametrize(("found", "used"), [([], ["127.0.0.1"]), (["192.0.2.1"], ["192.0.2.1"])])
def test_loopback_is_used_when_there_is_nothing_else(
    monkeypatch: pytest.MonkeyPatch, found: list[str], used: list[str]
) -> None:
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda use_ipv4, use_ipv6: found)
    use_loopback_when_alone()
    use_loopback_when_alone()
    assert aioice.ice.get_host_addresses(use_ipv4=True, use_ipv6=True) == used
