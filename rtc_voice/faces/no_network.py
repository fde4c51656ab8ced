"""A thread that cannot open a socket, nor can any thread it starts.

mediapipe 1.2 reports its use to its maker and has no setting against it (google-ai-edge/mediapipe issue 6291). That
does not go with pictures of faces: the kernel shuts its threads off from the network.
"""

import ctypes
import errno
import logging
import platform
import struct
import sys

logger = logging.getLogger(__name__)

_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 38, 22, 2
_LOAD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000 | errno.EACCES
_NUMBER, _ARCHITECTURE = 0, 4  # offsets in struct seccomp_data
_SOCKET_CALLS = {"x86_64": (0xC000003E, 41), "aarch64": (0xC00000B7, 198)}  # audit architecture, number of socket()


def forbid_sockets() -> bool:
    """Forbid this thread, and those it will start, to open sockets; for the rest of their lives.

    Returns:
        Whether it worked: on Linux only. Elsewhere a firewall has to do it, which is logged.
    """
    try:
        if sys.platform == "linux" and platform.machine() in _SOCKET_CALLS:
            if _install(*_SOCKET_CALLS[platform.machine()]):
                return True
    except OSError:
        logger.debug("no C library to ask", exc_info=True)
    logger.warning("mediapipe may report its use to its maker; this system cannot keep it from that")
    return False


def _install(architecture: int, socket_call: int) -> bool:
    """The filter of seccomp(2): refuse one system call with EACCES, allow all others."""
    program = b"".join(
        struct.pack("HBBI", *step)
        for step in (
            (_LOAD, 0, 0, _ARCHITECTURE),
            (_JUMP_IF_EQUAL, 0, 3, architecture),
            (_LOAD, 0, 0, _NUMBER),
            (_JUMP_IF_EQUAL, 0, 1, socket_call),
            (_RETURN, 0, 0, _REFUSE),
            (_RETURN, 0, 0, _ALLOW),
        )
    )
    steps = ctypes.create_string_buffer(program, len(program))
    header = ctypes.create_string_buffer(
        struct.pack("H0P", len(program) // 8) + struct.pack("P", ctypes.addressof(steps))
    )
    prctl = ctypes.CDLL(None).prctl
    prctl.argtypes = [ctypes.c_int, ctypes.c_ulong, ctypes.c_void_p, ctypes.c_ulong, ctypes.c_ulong]
    if prctl(_PR_SET_NO_NEW_PRIVS, 1, None, 0, 0) != 0:
        return False
    return bool(prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.addressof(header), 0, 0) == 0)
