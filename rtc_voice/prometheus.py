"""The figures of a running bot as Prometheus scrapes them: seconds, and counters that only grow.

Every counter and every measured time of ``Metrics`` comes out under its own name; those that have a name in the field
get that one.
"""

from collections.abc import Iterable, Mapping

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from rtc_voice.metrics import BOUNDS_MS, Metrics, Recent

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_PREFIX = "rtc_voice_"
_TIMES = {
    "text_first_audio_ms": ("time_to_first_audio", "From a typed text to its first sample leaving."),
    "time_to_voice_ms": ("time_to_voice", "From the first picture after consent to a voice."),
    "chunk_late_ms": ("chunk_lateness", "How much after its time a chunk came that was missed."),
    "chunk_ms": ("chunk_compute", "Computing one chunk of 20 ms, for all who speak at once."),
    "loop_lag_ms": ("loop_lag", "How late the event loop comes back from a sleep."),
    "receive_delay_ms": ("receive_delay", "What the jitter buffer holds back."),
}
_COUNTERS = {
    "late_chunks": ("underruns", 1.0, "Frames that were made up, or silent, because their chunk was late."),
    "concealed_ms": ("concealed_seconds", 1e-3, "Received sound made up because its packets were lost."),
    "work_us": ("engine_busy_seconds", 1e-6, "Time that the synthesis engine worked."),
}


def render(total: Metrics, now: Mapping[str, int], refused: Mapping[str, int]) -> bytes:
    """The page that Prometheus reads.

    Args:
        total: of all calls so far, those that stand included.
        now: how many there are of something at the moment, by name.
        refused: requests refused so far, by reason.
    """
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    registry.register(_Figures([*_gauges(now), _refusals(refused), *_counters(total), *_times(total)]))
    return generate_latest(registry)


class _Figures(Collector):
    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def _gauges(now: Mapping[str, int]) -> Iterable[Metric]:
    return [GaugeMetricFamily(_PREFIX + name, f"{name} at the moment.", value) for name, value in now.items()]


def _refusals(refused: Mapping[str, int]) -> Metric:
    family = CounterMetricFamily(_PREFIX + "refusals", "Requests refused, by reason.", labels=["reason"])
    for reason, count in refused.items():
        family.add_metric([reason], count)
    return family


def _counters(total: Metrics) -> Iterable[Metric]:
    for name in {**_COUNTERS, **total.counters}:  # those of the field from the start: an alert needs a 0
        title, unit, what = _COUNTERS.get(name, (name, 1.0, f"{name} of all calls."))
        yield CounterMetricFamily(_PREFIX + title, what, unit * total.counters[name])


def _times(total: Metrics) -> Iterable[Metric]:
    for name in {**_TIMES, **total.times}:
        title, what = _TIMES.get(name, (name.removesuffix("_ms"), f"{name} of all calls, in seconds."))
        recent, below, buckets = total.times.get(name, Recent()), 0, []
        for bound, count in zip((*BOUNDS_MS, None), recent.counts, strict=True):
            below += count
            buckets.append(("+Inf" if bound is None else str(bound / 1000), below))
        yield HistogramMetricFamily(f"{_PREFIX}{title}_seconds", what, buckets=buckets, sum_value=recent.total / 1000)
