"""Several voices on one track."""

import numpy as np

from rtc_voice.rtc.playout import ChunkQueue, Samples


class Mix:
    """The sum of several queues, for a ``SpeechTrack``; queues may join and leave at any time."""

    def __init__(self, sample_rate: int) -> None:
        self.sample_rate = sample_rate  # Hz
        self.hurry_s = 0.0  # one clock serves all: what a single queue waits without need stays
        self._queues: list[ChunkQueue] = []

    def add(self, queue: ChunkQueue) -> None:
        """Mix ``queue`` in."""
        if queue not in self._queues:
            self._queues.append(queue)

    def remove(self, queue: ChunkQueue) -> None:
        """Leave ``queue`` out; unknown ones are ignored."""
        if queue in self._queues:
            self._queues.remove(queue)

    @property
    def expecting(self) -> bool:
        """Whether somebody is speaking."""
        return any(queue.expecting for queue in self._queues)

    def pull(self, n_samples: int, time_s: float) -> Samples | None:
        """The sum of what the queues hold, limited to full scale, ``[<= n_samples]``."""
        parts = [part for queue in self._queues if (part := queue.pull(n_samples, time_s)) is not None]
        if not parts:
            return None
        mixed = np.zeros(max(part.size for part in parts), np.float32)
        for part in parts:
            mixed[: part.size] += part
        return mixed.clip(-1, 1)
