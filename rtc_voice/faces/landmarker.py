"""MediaPipe's face landmarker behind two plain functions: pictures in, landmarks in pixels out."""

from importlib.resources import as_file, files
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from rtc_voice.errors import MissingPartError
from rtc_voice.faces.types import Picture

if TYPE_CHECKING:
    from mediapipe.tasks.python.vision import FaceLandmarker


class Landmarker:
    """Finds the landmarks of up to ``max_faces`` faces; ``video`` follows them from one picture to the next.

    Raises:
        MissingPartError: mediapipe or a system library it needs is not installed.
    """

    def __init__(self, max_faces: int, *, video: bool) -> None:
        self._landmarker = _create(max_faces, video)
        self._video = video
        self._last_ms = -1

    def find(self, picture: Picture, time_ms: float = 0) -> list[NDArray[np.float32]]:
        """Landmarks of each face, px, ``[478, 2]``; ``time_ms`` matters for video only."""
        import mediapipe

        height, width = picture.shape[:2]
        image = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=np.ascontiguousarray(picture))
        if self._video:
            # MediaPipe refuses a time that does not grow.
            self._last_ms = max(self._last_ms + 1, int(time_ms))
            result = self._landmarker.detect_for_video(image, self._last_ms)
        else:
            result = self._landmarker.detect(image)
        return [_in_pixels(points, width, height) for points in result.face_landmarks]

    def close(self) -> None:
        """Free the graph and its threads."""
        self._landmarker.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _create(max_faces: int, video: bool) -> "FaceLandmarker":
    try:
        from mediapipe.tasks.python import vision
        from mediapipe.tasks.python.core.base_options import BaseOptions

        with as_file(files("rtc_voice") / "assets" / "face_landmarker.task") as model:
            options = vision.FaceLandmarkerOptions(
                base_options=BaseOptions(model_asset_path=str(model)),
                running_mode=vision.RunningMode.VIDEO if video else vision.RunningMode.IMAGE,
                num_faces=max_faces,
            )
            return vision.FaceLandmarker.create_from_options(options)
    except ImportError as error:
        raise MissingPartError("mediapipe is not installed", "pip install mediapipe") from error
    except OSError as error:  # from loading its shared library
        raise MissingPartError(f"mediapipe cannot start: {error}", "apt install libegl1 libgles2") from error


def _in_pixels(points: list[Any], width: int, height: int) -> NDArray[np.float32]:
    return np.array([(point.x * width, point.y * height) for point in points], np.float32)
