"""Which servers help a connection through routers and firewalls, and whether everything must go through them."""

from dataclasses import dataclass

from aiortc import RTCBundlePolicy, RTCConfiguration, RTCIceServer, RTCIceTransportPolicy
from aiortc.rtcicetransport import parse_stun_turn_uri

from rtc_voice.errors import InputError

_FORM = "write stun:HOST:PORT, or turn:HOST:PORT?transport=udp,USER,PASSWORD (or tcp, or turns: for TLS)"


@dataclass(frozen=True, slots=True)
class IceServer:
    """One STUN or TURN server; a TURN server wants a user and a password."""

    url: str
    user: str | None = None
    password: str | None = None

    @classmethod
    def parse(cls, text: str) -> "IceServer":
        """The server in ``URL[,USER,PASSWORD]``; a password may hold commas.

        Raises:
            InputError: not such a text.
        """
        url, *account = text.strip().split(",", 2)
        try:
            parsed = parse_stun_turn_uri(url)
        except ValueError as error:
            raise InputError(f"{url!r:.80} is no STUN or TURN server", _FORM) from error
        is_relay = str(parsed["scheme"]).startswith("turn")
        if len(account) == 1 or (is_relay and not account):
            raise InputError(f"{url!r:.80} has no user and password", _FORM)
        return cls(url, *account)

    @property
    def is_relay(self) -> bool:
        """Whether it passes media on, as TURN servers do."""
        return self.url.startswith("turn")

    def as_json(self) -> dict[str, str]:
        """As a browser's ``RTCIceServer`` takes it."""
        account = {} if self.user is None else {"username": self.user, "credential": self.password or ""}
        return {"urls": self.url, **account}


@dataclass(frozen=True, slots=True)
class IceConfig:
    """How connections find their way. aiortc uses the first STUN and the first TURN server only."""

    servers: tuple[IceServer, ...] = ()  # none: addresses of this machine alone, and nobody outside is asked
    relay_only: bool = False  # nothing but what the TURN server passes on: hides this machine's addresses

    def __post_init__(self) -> None:
        if self.relay_only and not any(server.is_relay for server in self.servers):
            raise InputError("relay only, but there is no TURN server", "name one with --ice-server turn:…")

    def as_json(self) -> dict[str, object]:
        """As a browser's ``RTCPeerConnection`` takes it."""
        policy = "relay" if self.relay_only else "all"
        return {"iceServers": [server.as_json() for server in self.servers], "iceTransportPolicy": policy}

    def configuration(self, bundle: RTCBundlePolicy = RTCBundlePolicy.BALANCED) -> RTCConfiguration:
        """For aiortc; an empty list of servers, since None would mean a public STUN server."""
        policy = RTCIceTransportPolicy.RELAY if self.relay_only else RTCIceTransportPolicy.ALL
        servers = [RTCIceServer(s.url, s.user, s.password) for s in self.servers]
        return RTCConfiguration(iceServers=servers, iceTransportPolicy=policy, bundlePolicy=bundle)


DIRECT = IceConfig()
"""Addresses of this machine alone."""
