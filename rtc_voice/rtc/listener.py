"""Telling a listener what came, so that a listener that fails ends nothing."""

import logging
from collections.abc import Callable
from typing import TypeVarTuple

from rtc_voice.metrics import Metrics

logger = logging.getLogger(__name__)
Args = TypeVarTuple("Args")


def tell(metrics: Metrics, listener: Callable[[*Args], None], *args: *Args) -> None:
    """Call ``listener``; if it fails, that is counted and the call goes on, since aiortc would end the connection."""
    try:
        listener(*args)
    except Exception:
        metrics.count("handler_errors")
        logger.exception("%s failed", getattr(listener, "__qualname__", listener))
