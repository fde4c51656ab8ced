"""Train the recogniser that the conversion must be understood by; five minutes on two cores."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from hama.asr import ASRModel
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from scipy.signal import resample_poly
from torch import Tensor, nn

from rtc_voice.speech.analysis import Features
from rtc_voice.speech.envelope import HEARD_BANDS, level
from rtc_voice.training.checkpoint import Average
from rtc_voice.training.perturb import disguise
from rtc_voice.training.recogniser import SILENCE, UNKNOWN, Recogniser, Said, aligned, around
from rtc_voice.training.segments import Place, Segments
from rtc_voice.training.voice_data import VoiceSet, to_features

_HEARD_RATE = 16_000  # Hz, hama's
_ROWS_A_FRAME = 2  # of hama's, 20 ms each
_WORD_END, _BLANK = "<wb>", "<blank>"
_RARE = 0.0015  # share of the phones below which one gets no number
_QUIET = 3.8  # nepers below a recording's loud rows: silence, until the recogniser knows better
_BATCH, _ROWS = 24, 200
_DISGUISED = 0.7  # of the segments
_RATE, _LAST_RATE = 2e-3, 1e-4
STEPS = (300, 400, 600)  # in between everything is aligned anew


@dataclass(frozen=True, slots=True)
class Hearing:
    """A recogniser, and what was said in all rows of the set that it learnt from."""

    recogniser: Recogniser
    phones: Tensor  # ``[rows of the set]``, UNKNOWN where it is not to be counted

    def misheard(self, made: Features, places: Tensor, settled: int) -> Tensor:
        """Cross entropy of what is heard in ``made`` ``[B, F]`` and what was said at ``places`` ``[B, F]`` of the set.

        The first ``settled`` rows do not count.
        """
        found, said = self.recogniser(made)[:, settled:], self.phones[places[:, settled:]]
        return nn.functional.cross_entropy(found.transpose(1, 2), said, ignore_index=UNKNOWN)


def hear_phones(voices: VoiceSet, output: Path) -> Iterator[int]:
    """Write a line of JSON for each recording, its phones and their rows by hama; yields how many are done.

    Lines already there from an interrupted run are not made again.
    """
    done = len(output.read_text(encoding="utf-8").splitlines()) if output.is_file() else 0
    if done == len(voices.entries):
        return
    model = ASRModel(model_sample_rate=_HEARD_RATE)
    for number, entry in enumerate(voices.entries[done:], done + 1):
        sound = resample_poly(voices.target(number - 1, 0, entry.rows), 2, 3).astype(np.float32)
        frames = model(sound, _HEARD_RATE).frame_token_ids
        begins = [i for i, token in enumerate(frames) if i == 0 or token != frames[i - 1]]
        heard = [(model.decoder_tokens[frames[i]], _ROWS_A_FRAME * i + 1) for i in begins]
        with output.open("a", encoding="utf-8") as file:
            file.write(json.dumps([one for one in heard if one[0] != _BLANK], ensure_ascii=False) + "\n")
        yield number


def train_recogniser(
    voices: VoiceSet,
    heard: Path,
    folder: Path,
    device: torch.device,
    report: Callable[[str], None],
    steps: tuple[int, ...] = STEPS,
) -> Hearing:
    """Train on what ``hear_phones`` left in ``heard``, or take what ``folder`` has of an earlier run.

    ``folder`` gets ``phones.npy`` and ``recogniser.safetensors``.
    """
    weights, labels = folder / "recogniser.safetensors", folder / "phones.npy"
    if not weights.is_file():
        said, count = _numbered(heard)
        training = _Training(voices, said, count, device)
        for number, stage in enumerate(steps):
            training.run(stage, is_last=number == len(steps) - 1)
            if number < len(steps) - 1:
                training.align()
        report(f"phones: {training.right():.1%} of the held-out speakers' rows heard right")
        np.save(labels, training.labels)
        save_file(training.average.network.state_dict(), weights)
    saved = load_file(weights)
    recogniser = Recogniser(len(saved["out.bias"]))
    recogniser.load_state_dict(saved)
    phones = torch.from_numpy(np.load(labels)).to(device)
    return Hearing(recogniser.eval().requires_grad_(False).to(device), phones)


class _Training:
    """The network, and what is held to be said in every row by now."""

    def __init__(self, voices: VoiceSet, said: list[Said], count: int, device: torch.device) -> None:
        torch.manual_seed(0)
        self.voices, self.said, self.device = voices, said, device
        self.segments = Segments(voices, voices.choose(is_test=False), device)
        self.network = Recogniser(count).to(device)
        self.average = Average(self.network, decay=0.99)
        self.optimizer = torch.optim.AdamW(self.network.parameters(), _RATE)
        self.rng, self.chance = np.random.default_rng(0), torch.Generator(device).manual_seed(0)
        self.labels = np.full(len(voices.rows), UNKNOWN, np.int64)
        for index, entry in enumerate(voices.entries):
            rows = around(said[index], entry.rows)
            rows[self._is_quiet(index)] = SILENCE
            self._set(index, rows)

    def run(self, steps: int, *, is_last: bool) -> None:
        """Train for ``steps`` on the labels as they are."""
        labels, end = torch.from_numpy(self.labels).to(self.device), _LAST_RATE if is_last else _RATE / 3
        self.network.train()
        for number in range(1, steps + 1):
            for group in self.optimizer.param_groups:
                group["lr"] = min(number / 50, 1) * (_RATE + (end - _RATE) * number / steps)
            at = self.segments.draw(_BATCH, _ROWS, self.rng)
            found = self.network(self._shown(at))
            truth = labels[self.segments.numbers(at, _ROWS)]
            loss = nn.functional.cross_entropy(found.transpose(1, 2), truth, ignore_index=UNKNOWN)
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
            self.optimizer.step()
            self.average.follow(self.network)

    def align(self) -> None:
        """Say anew where in its recording each phone lies."""
        for index, said in enumerate(self.said):
            rows = aligned(self._heard(index).log_softmax(dim=-1).numpy(), said) if said.phones else None
            if rows is not None:
                self._set(index, rows)

    def right(self) -> float:
        """The share of the held-out speakers' rows whose phone is found; of all rows where nobody is held out."""
        right = count = 0
        for index in self.voices.choose(is_test=True) or self.segments.chosen:
            entry = self.voices.entries[index]
            said = self.labels[entry.first_row : entry.first_row + entry.rows]
            right += int(((self._heard(index).argmax(dim=-1).numpy() == said) & (said != UNKNOWN)).sum())
            count += int((said != UNKNOWN).sum())
        return right / max(1, count)

    def _shown(self, at: Place) -> Features:
        """Most segments from another throat and through another microphone."""
        plain = self.segments.features(at, _ROWS)
        is_other = torch.rand(_BATCH, 1, 1, generator=self.chance, device=self.device) < _DISGUISED
        envelope = torch.where(is_other, disguise(plain, self.chance).envelope, plain.envelope)
        return Features(envelope, plain.f0, plain.aperiodicity)

    @torch.inference_mode()
    def _heard(self, index: int) -> Tensor:
        """What the averaged network finds in a recording, ``[F, phones]``."""
        found: Tensor = self.average.network(self._whole(index).each(lambda t: t.to(self.device)))[0]
        return found.cpu()

    def _whole(self, index: int) -> Features:
        rows = torch.from_numpy(self.voices.features(index, 0, self.voices.entries[index].rows))
        return to_features(rows.unsqueeze(0))

    def _is_quiet(self, index: int) -> NDArray[np.bool_]:
        levels = level(self._whole(index).envelope[0, :, :HEARD_BANDS]).numpy()
        quiet: NDArray[np.bool_] = levels < np.quantile(levels, 0.9) - _QUIET
        return quiet

    def _set(self, index: int, rows: NDArray[np.int64]) -> None:
        first = self.voices.entries[index].first_row
        self.labels[first : first + len(rows)] = rows


def _numbered(heard: Path) -> tuple[list[Said], int]:
    """What was said in each recording, in numbers, and how many numbers there are."""
    recordings = [json.loads(line) for line in heard.read_text(encoding="utf-8").splitlines()]
    counts = Counter(name for one in recordings for name, _ in one if name != _WORD_END)
    common = [name for name, count in counts.most_common() if count >= _RARE * counts.total()]
    numbers = {name: SILENCE + 1 + i for i, name in enumerate(common)}
    return [_said(one, numbers) for one in recordings], SILENCE + 1 + len(common)


def _said(heard: list[tuple[str, int]], numbers: dict[str, int]) -> Said:
    """What hama heard in one recording, in numbers; its word ends are no phones."""
    following = [*heard[1:], (_WORD_END, 0)]
    phones = [
        (numbers.get(name, UNKNOWN), after == _WORD_END, row)
        for (name, row), (after, _) in zip(heard, following, strict=True)
        if name != _WORD_END
    ]
    return Said(*zip(*phones, strict=True)) if phones else Said((), (), ())
