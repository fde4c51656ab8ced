"""What Prometheus reads: the names of the field, in seconds, behind the token."""

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from rtc_voice.echo import Echo
from rtc_voice.metrics import Metrics
from rtc_voice.prometheus import CONTENT_TYPE, render
from rtc_voice.rtc.signaling.access import Access
from rtc_voice.rtc.signaling.http import create_app, serve

TOKEN = "a-token-long-enough"


def samples(page: bytes) -> dict[str, float]:
    """Every sample by its name, with what distinguishes it behind a colon."""
    families = text_string_to_metric_families(page.decode())
    return {
        ":".join((sample.name, *sample.labels.values())): sample.value for one in families for sample in one.samples
    }


def test_counters_and_times_have_the_names_and_units_of_the_field() -> None:
    total = Metrics()
    total.count("late_chunks", 3)
    total.count("concealed_ms", 40)
    total.count("some_new_thing")
    for ms in (20.0, 20.1, 9000.0):
        total.record("text_first_audio_ms", ms)
    read = samples(render(total, {"voices": 2}, {"full": 4}))
    name = "rtc_voice_time_to_first_audio_seconds"
    assert read[f"{name}_bucket:0.01"] == 0
    assert read[f"{name}_bucket:0.02"] == 1  # a bound belongs to what is below it
    assert read[f"{name}_bucket:0.04"] == read[f"{name}_bucket:5.0"] == 2
    assert read[f"{name}_bucket:+Inf"] == read[f"{name}_count"] == 3
    assert read[f"{name}_sum"] == pytest.approx(9.0401)
    assert read["rtc_voice_underruns_total"] == 3
    assert read["rtc_voice_concealed_seconds_total"] == pytest.approx(0.04)
    assert read["rtc_voice_some_new_thing_total"] == 1
    assert read["rtc_voice_voices"] == 2
    assert read["rtc_voice_refusals_total:full"] == 4


def test_what_has_not_happened_yet_is_zero_and_not_absent() -> None:
    read = samples(render(Metrics(), {}, {}))
    for name in (
        "chunk_lateness_seconds_count",
        "loop_lag_seconds_count",
        "underruns_total",
        "concealed_seconds_total",
    ):
        assert read[f"rtc_voice_{name}"] == 0


def test_merged_figures_are_those_of_both() -> None:
    one, other = Metrics(), Metrics()
    one.record("chunk_ms", 3)
    other.record("chunk_ms", 300)
    other.count("late_chunks")
    one.merge(other)
    read = samples(render(one, {}, {}))
    assert read["rtc_voice_chunk_compute_seconds_count"] == 2
    assert read["rtc_voice_chunk_compute_seconds_sum"] == pytest.approx(0.303)
    assert one.counters["late_chunks"] == 1


async def test_the_figures_are_for_those_who_have_the_token_and_count_those_who_have_not() -> None:
    async with Echo(1) as echo:
        app = create_app(
            echo.open_call,
            echo.close_call,
            live_calls=lambda: echo.calls.keys(),
            add_candidate=echo.add_candidate,
            health=echo.health,
            figures=echo.figures,
            max_calls=1,
            access=Access(TOKEN),
        )
        async with serve(app) as port, aiohttp.ClientSession(f"http://127.0.0.1:{port}") as client:
            async with client.get("/metrics") as reply:
                assert reply.status == 401
            async with client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"}) as reply:
                assert (reply.status, reply.headers["Content-Type"]) == (200, CONTENT_TYPE)
                read = samples(await reply.read())
    assert read["rtc_voice_refusals_total:token"] == 1
    assert read["rtc_voice_max_calls"] == 1
