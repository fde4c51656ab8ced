"""The loop that every network is trained in: goes on where it stopped, shows how far it is, logs, plots and saves."""

import csv
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from safetensors.torch import save_file

from rtc_voice.training.checkpoint import Average, load_checkpoint, save_checkpoint

Step = Callable[[int, np.random.Generator], NDArray[np.float64]]
"""One step of training, by its number from 1 on; gives the figures to log."""

_WIDTH, _HEIGHT = 4.0, 2.6  # inches of each plot


@dataclass(frozen=True, slots=True)
class Loop:
    """How long to train, and where the checkpoint, the log, its plots and the weights go."""

    folder: Path
    weights: str  # name of the file with the averaged network's weights
    steps: int
    figures: tuple[str, ...]
    log_every: int
    save_every: int
    report: Callable[[str], None]

    def run(self, parts: dict[str, Any], average: Average[Any], step: Step) -> None:
        """Train, or go on training.

        Args:
            parts: all that a checkpoint holds.
            average: of the network whose weights are written.
            step: called with the number of the step and a random generator.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        first = load_checkpoint(self.folder / "checkpoint.pt", parts)
        average.steps = first
        rng, sums, started = np.random.default_rng(first), np.zeros(len(self.figures)), time.perf_counter()
        console = Console(stderr=True)
        numbers = range(first + 1, self.steps + 1)
        for number in track(
            numbers, self.folder.name, console=console, transient=True, disable=not console.is_terminal
        ):
            sums += step(number, rng)
            if number % self.log_every == 0:
                speed = (number - first) / (time.perf_counter() - started)
                self._log(number, sums / self.log_every, speed)
                sums[:] = 0
            if number % self.save_every == 0 or number == self.steps:
                save_checkpoint(self.folder / "checkpoint.pt", parts, number)
                save_file(average.network.state_dict(), self.folder / self.weights)
                plot_log(self.folder / "log.csv", self.folder / "log.png")

    def _log(self, number: int, means: NDArray[np.float64], steps_per_s: float) -> None:
        path = self.folder / "log.csv"
        is_new = not path.is_file()
        with path.open("a", newline="") as file:
            writer = csv.writer(file)
            if is_new:
                writer.writerow(["step", *self.figures, "steps_per_s"])
            writer.writerow([number, *(f"{mean:.4f}" for mean in means), f"{steps_per_s:.3g}"])
        figures = ", ".join(f"{name} {mean:.4f}" for name, mean in zip(self.figures, means, strict=True))
        self.report(f"step {number}: {figures}, {1000 / steps_per_s:.0f} ms a step")


def plot_log(log: Path, picture: Path) -> None:
    """Every figure of a log over the steps, side by side, as a PNG; nothing where nothing was logged."""
    if not log.is_file():
        return
    with log.open(newline="") as file:
        rows = list(csv.DictReader(file))
    names = [name for name in rows[0] if name != "step"]
    figure = Figure(figsize=(_WIDTH * len(names), _HEIGHT), layout="constrained")
    for axes, name in zip(np.atleast_1d(figure.subplots(1, len(names))), names, strict=True):
        axes.plot([int(row["step"]) for row in rows], [float(row[name]) for row in rows])
        axes.set(title=name.replace("_", " "), xlabel="step")
        axes.grid(alpha=0.3)
    figure.savefig(picture, dpi=80)
