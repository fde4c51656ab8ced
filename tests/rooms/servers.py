"""The real servers of a call, on loopback: Debian's Janus and coturn, and WHIP and WHEP servers before that Janus."""

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.certificate import write_certificate

HERE = Path(__file__).parent
WHIP = HERE / "whip"  # filled by its ``install``
STARTS_WITHIN_S = 20.0
ROOM = 1234
LOCKED, SMALL, OTHER_CODEC = 1235, 1236, 1237  # further rooms: with a PIN, for three publishers, without Opus
PIN = "sesame"

_JANUS = """
general: {{ debug_level = 3, session_timeout = 60 }}
nat: {{ ice_enforce_list = "127.0.0.1", ignore_mdns = true }}
media: {{ ipv6 = false }}
plugins: {{ disable = "{plugins}" }}
transports: {{ disable = "{transports}" }}
"""
_PLUGINS = "audiobridge duktape echotest lua nosip recordplay sip streaming textroom videocall voicemail"
_TRANSPORTS = "http mqtt nanomsg pfunix rabbitmq"
_ROOM = """
room-{room}: {{ description = "open", publishers = 20, audiocodec = "opus", videocodec = "vp8" }}
room-{small}: {{ description = "small", publishers = 3, audiocodec = "opus", videocodec = "vp8" }}
room-{other}: {{ description = "no Opus", publishers = 20, audiocodec = "pcmu", videocodec = "vp8" }}
room-{locked}: {{ description = "locked", publishers = 20, pin = "{pin}" }}
"""


class JanusServer:
    """A Janus that can be killed and started again on the same port."""

    def __init__(self, folder: Path) -> None:
        self.port, self.tls_port = free_port(), free_port()
        self.url = f"ws://127.0.0.1:{self.port}/"
        self.tls_url = f"wss://127.0.0.1:{self.tls_port}/"
        self.certificate, self._key = write_certificate(folder)
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._write_config()
        self._library = folder / "alone.so"
        source = HERE / "alone.c"
        subprocess.run(["cc", "-shared", "-fPIC", "-o", self._library, source, "-ldl"], check=True)

    def _write_config(self) -> None:
        def names(words: str) -> str:
            return ",".join(f"libjanus_{word}.so" for word in words.split())

        config = _JANUS.format(plugins=names(_PLUGINS), transports=names(_TRANSPORTS))
        (self._folder / "janus.jcfg").write_text(config)
        rooms = _ROOM.format(room=ROOM, locked=LOCKED, small=SMALL, other=OTHER_CODEC, pin=PIN)
        (self._folder / "janus.plugin.videoroom.jcfg").write_text(rooms)
        sockets = (
            f'general: {{ ws = true, ws_port = {self.port}, ws_ip = "127.0.0.1", '
            f'wss = true, wss_port = {self.tls_port}, wss_ip = "127.0.0.1" }}\n'
            f'certificates: {{ cert_pem = "{self.certificate}", cert_key = "{self._key}" }}\n'
        )
        (self._folder / "janus.transport.websockets.jcfg").write_text(sockets)

    def start(self) -> None:
        """Start it, and wait until it listens."""
        command = ["janus", "-F", str(self._folder)]
        preload = {"LD_PRELOAD": str(self._library)}
        with (self._folder / "janus.log").open("ab") as log:
            self._process = subprocess.Popen(
                command,
                cwd=self._folder,
                env={**os.environ, **preload},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        wait_for_port(self.port)

    def kill(self) -> None:
        """End it as a crash does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@contextmanager
def coturn(user: str, password: str) -> Iterator[int]:
    """A TURN server; gives its port, for UDP and TCP."""
    port = free_port()
    command = ["turnserver", "-n", "--listening-ip=127.0.0.1", "--relay-ip=127.0.0.1", "-p", str(port)]
    command += [f"--user={user}:{password}", "--realm=test", "--lt-cred-mech", "--no-tls", "--no-dtls"]
    command += ["--allow-loopback-peers", "--no-cli", "--log-file=stdout", "--pidfile=/dev/null"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            wait_for_port(port)
            yield port
        finally:
            server.kill()


@contextmanager
def whip_server(janus: JanusServer, folder: Path, endpoints: dict[str, str]) -> Iterator[str]:
    """Debian's simple-whip-server before ``janus``; gives its address.

    Args:
        janus: whose open room it publishes to.
        folder: takes its files.
        endpoints: the name in the room of whoever sends to ``/whip/endpoint/KEY``, by key.
    """
    port = free_port()
    folder.mkdir()
    for name in ("server.js", "whip-janus.js"):
        shutil.copy(WHIP / "debian/usr/share/simple-whip-server/src" / name, folder)
    config = {"janus": {"address": janus.url}, "port": port, "rest": "/whip", "allowTrickle": True, "iceServers": []}
    (folder / "config.js").write_text(f"module.exports = {json.dumps(config)};")
    (folder / "package.json").write_text('{"type": "commonjs"}')
    with _node(port, [folder / "server.js"]):
        for key, name in endpoints.items():
            body = json.dumps({"id": key, "room": ROOM, "label": name}).encode()
            request = urllib.request.Request(
                f"http://127.0.0.1:{port}/whip/create", body, {"Content-Type": "application/json"}
            )
            urllib.request.urlopen(request, timeout=STARTS_WITHIN_S).close()
        yield f"http://127.0.0.1:{port}"


@contextmanager
def whep_server(janus: JanusServer, feed: int, key: str) -> Iterator[str]:
    """Meetecho's janus-whep-server: ``/whep/endpoint/KEY`` plays the publisher ``feed`` of the open room."""
    port = free_port()
    with _node(port, [WHIP / "whep.js", janus.url, port, ROOM, feed, key]):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def _node(port: int, words: list[object]) -> Iterator[None]:
    """A program of Node.js, once it listens on ``port``."""
    environment = {**os.environ, "NODE_PATH": str(WHIP / "node_modules")}
    with subprocess.Popen(["node", *map(str, words)], stdout=subprocess.DEVNULL, env=environment) as server:
        try:
            wait_for_port(port)
            yield
        finally:
            server.kill()


def free_port() -> int:
    """A port that nobody uses now, for servers that cannot say which one they were given."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def wait_for_port(port: int) -> None:
    """Return when somebody listens on ``port``."""
    give_up = time.monotonic() + STARTS_WITHIN_S
    while True:
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert time.monotonic() < give_up, f"nobody listens on {port}"
        time.sleep(0.05)
