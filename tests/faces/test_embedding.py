from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.scenes import astronaut, somebody_else
from rtc_voice.faces.embedding import FaceEmbedder
from rtc_voice.faces.tracker import find_faces
from rtc_voice.faces.types import FaceEmbedding, Picture

PICTURE = astronaut()

CHANGES = {
    "mirrored": np.ascontiguousarray(PICTURE[:, ::-1]),
    "darker by a third": (PICTURE * 0.67).astype(np.uint8),
    "half the size": cv2.resize(PICTURE, (256, 256), interpolation=cv2.INTER_AREA),
    "three times the size": cv2.resize(PICTURE, (1536, 1536), interpolation=cv2.INTER_CUBIC),
    "on its side": np.ascontiguousarray(np.rot90(PICTURE)),
}


def look(embedder: FaceEmbedder, picture: Picture) -> FaceEmbedding:
    (face,) = find_faces(picture)
    return embedder.embed(picture, face)


def cosine(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


@pytest.mark.parametrize("change", CHANGES)
def test_the_same_photo_keeps_its_identity(change: str, embedder: FaceEmbedder) -> None:
    before, after = look(embedder, PICTURE), look(embedder, CHANGES[change])  # type: ignore[arg-type]
    assert cosine(before.identity, after.identity) > 0.99  # measured .993 to .9995; other people .84
    assert np.linalg.norm(before.identity - after.identity) < 0.2


def test_another_face_has_another_identity(embedder: FaceEmbedder) -> None:
    one, other = look(embedder, PICTURE), look(embedder, somebody_else())
    assert np.linalg.norm(one.identity - other.identity) > 0.45


def test_the_chip_and_its_mirror_image_say_exactly_the_same(embedder: FaceEmbedder) -> None:
    (face,) = find_faces(PICTURE)
    mirrored = np.ascontiguousarray(PICTURE[:, ::-1])
    swapped = face.landmarks * (-1, 1) + (PICTURE.shape[1] - 1, 0)
    # The template is not quite symmetric, so the points of the other eye are put where it wants them.
    swapped[[263, 362, 33, 133]] = swapped[[33, 133, 263, 362]]
    identities = embedder.identify(PICTURE, face.landmarks), embedder.identify(mirrored, swapped.astype(np.float32))
    assert cosine(*identities) > 0.999


def test_several_views_steady_the_identity(embedder: FaceEmbedder, rng: np.random.Generator) -> None:
    (face,) = find_faces(PICTURE)
    steady, single = embedder.embed(PICTURE, face).identity, embedder.identify(PICTURE, face.landmarks)
    moved: list[tuple[float, float]] = []
    for _ in range(8):
        landmarks = (face.landmarks + rng.normal(0, 1, (478, 2))).astype(np.float32)
        again = embedder.embed(PICTURE, replace(face, landmarks=landmarks)).identity
        moved.append((float(np.linalg.norm(again - steady)),
                      float(np.linalg.norm(embedder.identify(PICTURE, landmarks) - single))))  # fmt: skip
    several, one = np.mean(moved, axis=0)
    assert several < 0.85 * one  # measured 0.73


def test_the_astronaut_comes_across_as_a_grown_up_woman(embedder: FaceEmbedder) -> None:
    seen = look(embedder, PICTURE)
    assert seen.male < 0.3
    assert 25 < seen.age < 45  # she was 36
    assert seen.identity.shape == (128,)
    assert seen.identity.dtype == np.float32
