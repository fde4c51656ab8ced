"""What every benchmark shares: its options, its JSON and its table."""

import argparse
import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch

from rtc_voice.errors import RtcVoiceError
from rtc_voice.metrics import summarize
from rtc_voice.report import commit, machine

Row = Mapping[str, object]
"""``name`` and figures; a figure's unit is the suffix of its name."""
_QUANTILES = ("p50", "p95", "p99", "max")
INTERVAL = "_ci95"  # a column so named holds the two ends of the 95 % interval of the column without it


def run(
    title: str,
    measure: Callable[..., list[dict[str, object]]],
    paths: Sequence[tuple[str, str]] = (),
    *,
    notes: Sequence[str] = (),
) -> None:
    """Parse the options, measure, print the table and write the JSON.

    Args:
        title: what is measured, one line.
        measure: takes ``quick`` and then the extra paths (None where not given), gives the rows.
        paths: extra options that take a path, each with what it is.
        notes: what the table's reader should know.
    """
    parser = argparse.ArgumentParser(description=title)
    parser.add_argument("--quick", action="store_true", help="within a minute")
    parser.add_argument("--json", type=Path, help="write the figures there")
    for name, meaning in paths:
        parser.add_argument(f"--{name}", type=Path, help=meaning)
    options = parser.parse_args()
    torch.set_num_threads(1)
    others = OtherPrograms()
    try:
        rows = measure(options.quick, *(getattr(options, name) for name, _ in paths))
    except RtcVoiceError as error:
        parser.exit(2, f"error: {error.message}\nremedy: {error.hint}\n")
    result = {"title": title, "machine": machine(), "commit": commit(), "torch": torch.__version__,
              "others_share": others.share(), "real_time": _is_real_time(), "rows": rows, "notes": notes}  # fmt: skip
    print(markdown(result))
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(result, indent=2) + "\n")


def times_row(name: str, values_ms: Sequence[float]) -> dict[str, object]:
    """The quantiles of times; ``unclear`` is how often none could be told (NaN), where that happened."""
    found = [value for value in values_ms if not math.isnan(value)]
    unclear = {"unclear": len(values_ms) - len(found)} if len(found) < len(values_ms) else {}
    figures = summarize(found, digits=1) or dict.fromkeys(_QUANTILES, float("nan"))
    return {"name": name, **{f"{key}_ms": figures[key] for key in _QUANTILES}, "n": len(found), **unclear}


class OtherPrograms:
    """What others than this process and those that it started take of the machine's processors, from now on."""

    def __init__(self) -> None:
        self._all_s, self._busy_s, self._own_s = _processor_times()

    def share(self) -> float | None:
        """From 0 to 1; only what has ended counts as started here. None where there is no /proc to read."""
        all_s, busy_s, own_s = (now - then for now, then in zip(
            _processor_times(), (self._all_s, self._busy_s, self._own_s), strict=True
        ))  # fmt: skip
        return round(max(busy_s - own_s, 0.0) / all_s, 3) if all_s else None


def _is_real_time() -> bool:
    """Whether this process goes before all others (`chrt`), so that they hardly disturb it."""
    return hasattr(os, "sched_getscheduler") and os.sched_getscheduler(0) in (os.SCHED_FIFO, os.SCHED_RR)


def _processor_times() -> tuple[float, float, float]:
    """Seconds of all processors, those of them that were used or withheld by the host, and those used from here."""
    try:
        fields = Path("/proc/stat").read_text().splitlines()[0].split()[1:9]
    except OSError:
        return 0.0, 0.0, 0.0
    ticks = [int(field) / os.sysconf("SC_CLK_TCK") for field in fields]
    own = os.times()
    waiting = ticks[3] + ticks[4]  # idle, and for a disk
    return sum(ticks), sum(ticks) - waiting, own.user + own.system + own.children_user + own.children_system


def markdown(result: Mapping[str, object]) -> str:
    """A result as a heading, a line on where it was measured, and a table; columns that a row lacks stay empty.

    Intervals stand in brackets behind their figures; ``notes`` come below.
    """
    rows = result["rows"]
    assert isinstance(rows, Sequence)
    columns = [key for key in dict.fromkeys(key for row in rows for key in row) if not key.endswith(INTERVAL)]
    lines = [
        f"## {result['title']}",
        "",
        f"{result['machine']}; torch {result['torch']}, 1 thread; {_busy(result)}commit `{result['commit']}`",
        "",
        "| " + " | ".join(column.replace("_", " ") for column in columns) + " |",
        "|" + "---|" * len(columns),
    ]
    lines += ["| " + " | ".join(_cell(row, column) for column in columns) + " |" for row in rows]
    notes = result.get("notes", ())
    assert isinstance(notes, Sequence)
    lines += [f"\n{note}" for note in notes]
    return "\n".join(lines) + "\n"


def _busy(result: Mapping[str, object]) -> str:
    share = result.get("others_share")
    first = "this one going first (chrt), " if result.get("real_time") else ""
    return f"{first}other programs took {share:.0%} of it meanwhile; " if isinstance(share, float) else ""


def _cell(row: Row, column: str) -> str:
    value, interval = row.get(column), row.get(column + INTERVAL)
    if value is None:
        return ""
    shown = _number(value)
    return f"{shown} [{', '.join(_number(end) for end in interval)}]" if isinstance(interval, Sequence) else shown


def _number(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) and abs(value) < 1000 else str(value)
