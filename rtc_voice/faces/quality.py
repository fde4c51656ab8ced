"""Judges how much a face in a picture can be trusted to show who it is."""

import numpy as np
from numpy.typing import NDArray

from rtc_voice.faces.align import five_point_chip
from rtc_voice.faces.opencv import cv2
from rtc_voice.faces.types import Picture, Quality

BROW, CHIN, NOSE = 10, 152, 1
LEFT_CHEEK, RIGHT_CHEEK = 454, 234
LEFT_EYE, RIGHT_EYE = 263, 33
FULL_SIZE = 112  # px from brow to chin: the networks see no more than this
USABLE = 0.15  # of a photo that is all there is: from a face of 15 px even the apparent sex is a guess
SHARP = 0.16  # Laplacian over contrast of a sharp face: the median of 200 AVSpeech faces


def judge(picture: Picture, landmarks: NDArray[np.float32]) -> Quality:
    """The quality of the face at ``landmarks`` (MediaPipe's, px, ``[478, 2]``)."""
    height = float(np.linalg.norm(landmarks[CHIN] - landmarks[BROW]))
    # Never enlarged: enlarging would blur a small face a second time, after its size has been judged.
    chip = five_point_chip(picture, landmarks, size=int(np.clip(height, 16, FULL_SIZE)), padding=0.0)
    luma = cv2.cvtColor(chip, cv2.COLOR_RGB2GRAY).astype(np.float32)
    return Quality(
        size=min(1.0, height / FULL_SIZE) * _share_inside(picture, landmarks),
        frontality=_frontality(landmarks),
        sharpness=_sharpness(luma),
        light=_light(luma),
    )


def _share_inside(picture: Picture, landmarks: NDArray[np.float32]) -> float:
    height, width = picture.shape[:2]
    return float(np.mean(np.all((landmarks >= 0) & (landmarks < (width, height)), axis=1)))


def _frontality(landmarks: NDArray[np.float32]) -> float:
    """How evenly the nose lies between the cheeks (turning) and the eyes and the chin (nodding)."""
    across = landmarks[LEFT_EYE] - landmarks[RIGHT_EYE]
    across = across / max(float(np.linalg.norm(across)), 1e-6)
    down = np.array([-across[1], across[0]])
    eyes = (landmarks[LEFT_EYE] + landmarks[RIGHT_EYE]) / 2
    turning = _evenness(landmarks[NOSE] - landmarks[RIGHT_CHEEK], landmarks[LEFT_CHEEK] - landmarks[NOSE], across)
    nodding = _evenness(landmarks[NOSE] - eyes, landmarks[CHIN] - landmarks[NOSE], down)
    # A level face has its nose tip about 0.6 of the way that chin and eyes leave it; turned by 30 degrees 0.3.
    return min(1.0, turning / 0.6) * min(1.0, nodding / 0.3)


def _evenness(one: NDArray[np.float32], other: NDArray[np.float32], axis: NDArray[np.float32]) -> float:
    """The smaller of two steps along ``axis`` over the larger; 0 when one goes backwards."""
    low, high = sorted((float(one @ axis), float(other @ axis)))
    return max(0.0, low / high) if high > 0 else 0.0


def _sharpness(luma: NDArray[np.float32]) -> float:
    contrast = float(luma.std())
    if contrast < 1:
        return 0.0
    return min(1.0, float(cv2.Laplacian(luma, cv2.CV_32F).std()) / contrast / SHARP)


def _light(luma: NDArray[np.float32]) -> float:
    """1 for a mean luma between 60 and 200, 0 below 15 or above 250; less where much is burnt out."""
    mean = float(luma.mean())
    level = np.interp(mean, (15, 60, 200, 250), (0.0, 1.0, 1.0, 0.0))
    return float(level) * (1 - float(np.mean(luma > 250)))
