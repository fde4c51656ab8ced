"""Whether one face keeps one voice through other photos, sizes and lights, and whether two people get two voices."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from rtc_voice.faces.picture import read_picture
from rtc_voice.faces.types import FaceEmbedding, Picture
from rtc_voice.faces.worker import GOOD
from rtc_voice.training.face_voice import Predicted
from rtc_voice.training.matching import unit
from rtc_voice.training.pairs import FaceReader, PairFiles, Pairs

SAME_COSINE, SAME_SEMITONES = 0.95, 0.5  # raw cosine and F0 within which a voice is the same
OTHER_COSINE = 0.9  # raw cosine above which two people sound alike
FACE_PX = 64  # between brow and chin

Array = NDArray[np.float64]
Row = dict[str, object]


def _half_size(picture: Picture) -> Picture:
    height, width = picture.shape[:2]
    return cv2.resize(picture, (width // 2, height // 2), interpolation=cv2.INTER_AREA)  # type: ignore[return-value]


CHANGES: dict[str, Callable[[Picture], Picture]] = {
    "mirrored": lambda picture: np.ascontiguousarray(picture[:, ::-1]),
    "darker": lambda picture: (picture * (2 / 3)).astype(np.uint8),
    "dark": lambda picture: (picture * (1 / 4)).astype(np.uint8),
    "half_size": _half_size,
}


@dataclass(frozen=True, slots=True)
class Portrait:
    """One face, and what is seen of it after each change of the picture; None where it is found no more."""

    index: int  # of its pair
    changed: dict[str, FaceEmbedding | None]


def portraits(files: list[PairFiles], pairs: Pairs, most: int) -> list[Portrait]:
    """About ``most`` of the faces that are good enough for a call, evenly picked, each changed in every way."""
    found = []
    with FaceReader() as reader:
        for index in range(0, len(pairs), max(1, len(pairs) // most)):
            picture = read_picture(files[pairs.rows[index]].face)
            face = reader.largest(picture)
            if face is None or face.quality.score < GOOD:
                continue
            shown = {name: change(picture) for name, change in CHANGES.items()}
            height = face.box[3] - face.box[1]
            shown[f"{FACE_PX}_px"] = _scaled(picture, min(1.0, FACE_PX / height))
            found.append(Portrait(index, {name: reader.embed(one) for name, one in shown.items()}))
    return found


def rows(pairs: Pairs, predicted: Predicted, seen: list[Portrait]) -> list[Row]:
    """The rows on steadiness and diversity of the map that predicted."""
    out = [_same_person(pairs, predicted), _other_people(pairs, predicted)]
    out += [_changed(name, pairs, predicted, seen) for name in seen[0].changed] if seen else []
    return [*out, _diversity(pairs, predicted)]


def _scaled(picture: Picture, scale: float) -> Picture:
    height, width = (max(1, round(scale * side)) for side in picture.shape[:2])
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)  # type: ignore[return-value]


def _same_person(pairs: Pairs, predicted: Predicted) -> Row:
    """Two photos of one person, for all people who have two."""
    centred = predicted.centred()
    first, second = np.nonzero(np.triu(pairs.people[:, None] == pairs.people, 1))
    return _cosines("same_person", np.sum(centred[first] * centred[second], axis=1))


def _other_people(pairs: Pairs, predicted: Predicted) -> Row:
    """Two people of one apparent sex, both predicted by one model."""
    centred, male = predicted.centred(), pairs.males > 0.5
    alike = (male[:, None] == male) & (predicted.folds[:, None] == predicted.folds)
    first, second = np.nonzero(np.triu(alike & (pairs.people[:, None] != pairs.people), 1))
    return _cosines("other_person_same_sex", np.sum(centred[first] * centred[second], axis=1))


def _changed(name: str, pairs: Pairs, predicted: Predicted, seen: list[Portrait]) -> Row:
    """How far a change of the picture moves the voice; a face that is lost counts as a failure."""
    cosines, raw, shifts = [], [], []
    for one in seen:
        face = one.changed[name]
        if face is None:
            continue
        (voice,), (log_f0,) = predicted.models[predicted.folds[one.index]](_with_face(pairs, one.index, face))
        before, mean = predicted.voices[one.index], predicted.means[one.index]
        cosines.append(float(unit(voice - mean) @ unit(before - mean)))
        raw.append(float(unit(voice) @ unit(before)))
        shifts.append(abs(float(log_f0 - predicted.log_f0[one.index])) * 12 / np.log(2))
    within = np.sum((np.array(raw) >= SAME_COSINE) & (np.array(shifts) <= SAME_SEMITONES))
    row = _cosines(f"same_face_{name}", np.array(cosines))
    p50, p95 = (round(float(np.quantile(shifts, share)), 3) for share in (0.5, 0.95))
    return {**row, "f0_shift_p50": p50, "f0_shift_p95": p95, "share_within": float(within / len(seen)), "n": len(seen)}


def _with_face(pairs: Pairs, index: int, face: FaceEmbedding) -> Pairs:
    one = pairs.take(np.array([index]))
    identity = face.identity[None].astype(np.float64)
    return replace(one, identities=identity, males=np.array([face.male]), ages=np.array([face.age]))


def _cosines(name: str, cosines: Array) -> Row:
    row: Row = {"name": name}
    if cosines.size:
        p05 = round(float(np.quantile(cosines, 0.05)), 4)
        row |= {"voice_cosine": round(float(cosines.mean()), 4), "voice_cosine_p05": p05}
    return {**row, "n": int(cosines.size)}


def _diversity(pairs: Pairs, predicted: Predicted) -> Row:
    """How far apart the predicted voices are, beside real ones."""
    made, real = predicted.voices - predicted.means, pairs.voices - predicted.voice_means
    male, people = pairs.males > 0.5, pairs.people
    pick = np.triu((male[:, None] == male) & (people[:, None] != people), 1)
    voices = unit(predicted.voices)
    cosines = (voices @ voices.T)[pick]
    true = (unit(pairs.voices) @ unit(pairs.voices).T)[pick]
    spreads = [float(np.std(12 / np.log(2) * predicted.log_f0[male == sex])) for sex in (False, True)]
    return {
        "name": "diversity",
        "size_to_real": float(np.sqrt(np.mean(np.sum(made**2, axis=1)) / np.mean(np.sum(real**2, axis=1)))),
        "dimensions": _dimensions(made),
        "dimensions_real": _dimensions(real),
        "same_sex_cosine_p50": float(np.median(cosines)),
        "same_sex_cosine_p50_real": float(np.median(true)),
        "share_above_0_9": float(np.mean(cosines > OTHER_COSINE)),
        "f0_sd_women_semitones": spreads[0],
        "f0_sd_men_semitones": spreads[1],
        "n": len(pairs),
    }


def _dimensions(vectors: Array) -> float:
    """The participation ratio of the covariance: as many directions of equal spread would do."""
    values = np.linalg.eigvalsh(np.cov(vectors.T))
    return float(values.sum() ** 2 / np.sum(values**2))
