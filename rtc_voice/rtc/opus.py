"""Opus by the libopus that PyAV brings along: decoding with loss concealment, and encoding without detours.

PyAV itself decodes to 48 kHz stereo only, and neither conceals a lost packet nor reads a packet's copy of the one
before it (in-band FEC). libopus does all three, and gives the 24 kHz mono that everything downstream works with. It
also takes that as it is: with PyAV's frames, encoding 20 ms costs 225 us instead of 93.
"""

import ctypes
import ctypes.util
import weakref
from functools import cache
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from rtc_voice.config import AUDIO
from rtc_voice.errors import MissingPartError

Samples = NDArray[np.float32]

RTP_RATE = 48_000  # Hz: the clock of RTP timestamps of Opus, whatever the sound's rate (RFC 7587)
MAX_PACKET_S = 0.12
MAX_PACKET_BYTES = 1_275
COMPLEXITY = 5  # of 10: a quarter less work than 10
_LOW_DELAY, _SET_BITRATE, _SET_COMPLEXITY = 2_051, 4_002, 4_010  # opus_defines.h
_FLOATS = ctypes.POINTER(ctypes.c_float)


class BadPacketError(ValueError):
    """Bytes that are no Opus packet."""


@cache
def _library() -> ctypes.CDLL:
    """PyAV's own libopus where its wheel has one, or else the system's.

    Raises:
        MissingPartError: there is none.
    """
    packages = Path(av.__file__).parent
    folders = (packages.parent / "av.libs", packages / ".dylibs")  # of wheels for Linux and Windows, and for macOS
    bundled = [str(path) for folder in folders for path in sorted(folder.glob("*opus*"))]
    name = next(iter(bundled), None) or ctypes.util.find_library("opus")
    if name is None:
        raise MissingPartError("libopus is not installed", "apt-get install libopus0, or use PyAV's wheel")
    library = ctypes.CDLL(name)
    library.opus_decoder_create.restype = ctypes.c_void_p
    library.opus_decoder_create.argtypes = [ctypes.c_int32, ctypes.c_int, ctypes.POINTER(ctypes.c_int)]
    library.opus_decoder_destroy.restype = None
    library.opus_decoder_destroy.argtypes = [ctypes.c_void_p]
    number, flag = ctypes.c_int32, ctypes.c_int
    library.opus_decode_float.argtypes = [ctypes.c_void_p, ctypes.c_char_p, number, _FLOATS, ctypes.c_int, flag]
    library.opus_encoder_create.restype = ctypes.c_void_p
    library.opus_encoder_create.argtypes = [number, ctypes.c_int, ctypes.c_int, ctypes.POINTER(ctypes.c_int)]
    library.opus_encoder_destroy.restype = None
    library.opus_encoder_destroy.argtypes = [ctypes.c_void_p]
    library.opus_encoder_ctl.argtypes = [ctypes.c_void_p, ctypes.c_int]  # and one more, by the request
    library.opus_encode_float.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p, number]
    library.opus_packet_get_nb_samples.argtypes = [ctypes.c_char_p, ctypes.c_int32, ctypes.c_int32]
    return library


def packet_ticks(data: bytes) -> int:
    """The length of a packet's sound on the RTP clock (48 kHz).

    Raises:
        BadPacketError: not a packet.
    """
    ticks: int = _library().opus_packet_get_nb_samples(data, len(data), RTP_RATE)
    if ticks <= 0:
        raise BadPacketError(f"no Opus packet: {data[:8].hex()}")
    return ticks


class OpusDecoder:
    """Decodes one stream of packets to mono; every call continues the sound of the one before."""

    def __init__(self, sample_rate: int = AUDIO.sample_rate) -> None:
        self._library = _library()
        error = ctypes.c_int()
        self._decoder = self._library.opus_decoder_create(sample_rate, 1, ctypes.byref(error))
        assert self._decoder, f"libopus refuses {sample_rate} Hz"
        weakref.finalize(self, self._library.opus_decoder_destroy, self._decoder)
        self._ratio = RTP_RATE // sample_rate
        self._out = np.zeros(int(MAX_PACKET_S * sample_rate), np.float32)
        self._pointer = self._out.ctypes.data_as(_FLOATS)

    def decode(self, data: bytes) -> Samples:
        """The sound of the next packet, ``[T]``, peak 1.

        Raises:
            BadPacketError: not a packet.
        """
        return self._run(data, self._out.size, use_copy=False)

    def conceal(self, ticks: int, following: bytes | None = None) -> Samples:
        """Sound for ``ticks`` of the RTP clock in the place of a lost packet, ``[T]``.

        It is the copy of the lost packet in ``following``, the packet after it, or, without one, what went before
        drawn on; libopus fades that out within a few calls.
        """
        size = ticks // self._ratio
        for source in (following, None) if following else (None,):
            try:
                return self._run(source, size, use_copy=source is not None)
            except BadPacketError:
                continue  # a length that libopus cannot conceal: no whole number of 2.5 ms
        return np.zeros(size, np.float32)

    def _run(self, data: bytes | None, size: int, *, use_copy: bool) -> Samples:
        length = len(data) if data else 0
        made = self._library.opus_decode_float(self._decoder, data, length, self._pointer, size, use_copy)
        if made < 0:
            raise BadPacketError(f"libopus gives error {made} for {(data or b'')[:8].hex()}")
        return self._out[:made].clip(-1, 1)  # noise taken for a packet can be loud beyond all measure


class OpusEncoder:
    """Encodes one stream of mono frames with 2.5 ms of delay (`voip` has 6.5)."""

    def __init__(self, sample_rate: int = AUDIO.sample_rate, bit_rate: int = 40_000) -> None:
        self._library = _library()
        error = ctypes.c_int()
        self._encoder = self._library.opus_encoder_create(sample_rate, 1, _LOW_DELAY, ctypes.byref(error))
        assert self._encoder, f"libopus refuses {sample_rate} Hz"
        weakref.finalize(self, self._library.opus_encoder_destroy, self._encoder)
        for request, value in ((_SET_BITRATE, bit_rate), (_SET_COMPLEXITY, COMPLEXITY)):
            self._library.opus_encoder_ctl(self._encoder, request, ctypes.c_int32(value))
        self._out = ctypes.create_string_buffer(MAX_PACKET_BYTES)

    def encode(self, samples: Samples) -> bytes:
        """The next packet, for 2.5, 5, 10 or 20 ms of sound, ``[T]``, peak 1; no numbers are silence.

        Raises:
            ValueError: another length.
        """
        if not np.isfinite(samples).all():
            samples = np.nan_to_num(samples, nan=0.0, posinf=1.0, neginf=-1.0)
        frame = np.ascontiguousarray(samples.clip(-1, 1), np.float32)
        made = self._library.opus_encode_float(
            self._encoder, frame.ctypes.data, frame.size, self._out, MAX_PACKET_BYTES
        )
        if made < 0:
            raise ValueError(f"libopus gives error {made} for {samples.size} samples")
        return self._out.raw[:made]
