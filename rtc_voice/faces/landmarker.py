"""MediaPipe's face landmarker behind two plain functions: pictures in, landmarks in pixels out."""

from concurrent.futures import ThreadPoolExecutor
from importlib.resources import as_file, files
from types import TracebackType
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from rtc_voice.errors import MissingPartError
from rtc_voice.faces.chatter import hidden_chatter
from rtc_voice.faces.no_network import forbid_sockets
from rtc_voice.faces.types import Picture
from rtc_voice.faces.views import Box, cut

if TYPE_CHECKING:
    from mediapipe.tasks.python.components.containers.landmark import NormalizedLandmark
    from mediapipe.tasks.python.vision import FaceLandmarker


class Landmarker:
    """Finds the landmarks of up to ``max_faces`` faces in one picture or a part of it.

    MediaPipe's own video mode is not used: its detector costs 1 ms of 6.5, so little is saved, and it misses small
    faces and jumps from a hidden face to the one in front.

    Raises:
        MissingPartError: mediapipe or a system library it needs is not installed.
    """

    def __init__(self, max_faces: int) -> None:
        self._max_faces = max_faces
        self._is_closed = False
        # All of mediapipe runs on this thread and on those that it starts.
        self._thread = ThreadPoolExecutor(1, "landmarks", initializer=forbid_sockets)
        try:
            self._landmarker = self._thread.submit(_create, max_faces).result()
        except BaseException:
            self._thread.shutdown()
            raise

    def find(self, picture: Picture, view: Box) -> list[NDArray[np.float32]]:
        """Landmarks of each face in a part of the picture, in px of the whole, ``[478, 2]``."""
        part, (left, top) = cut(picture, view)
        height, width = part.shape[:2]
        return [
            np.array([(left + point.x * width, top + point.y * height) for point in face], np.float32)
            for face in self._thread.submit(self._detect, part).result()
        ]

    def _detect(self, picture: Picture) -> "list[list[NormalizedLandmark]]":
        import mediapipe

        image = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=picture)
        try:
            return self._landmarker.detect(image).face_landmarks  # type: ignore[no-any-return]
        except (RuntimeError, ValueError):
            # After one failure MediaPipe's graph fails for ever.
            self._free()
            self._landmarker = _create(self._max_faces)
            raise

    def close(self) -> None:
        """Free the graph and its threads. Calling it again does nothing more."""
        if not self._is_closed:
            self._is_closed = True
            self._thread.submit(self._free).result()
            self._thread.shutdown()

    def _free(self) -> None:
        try:
            self._landmarker.close()
        except RuntimeError:
            # A graph that has failed says so once more, and mediapipe's __del__ would then close it a second time.
            self._landmarker._handle = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _create(max_faces: int) -> "FaceLandmarker":
    try:
        import mediapipe
        from mediapipe.tasks.python import vision
        from mediapipe.tasks.python.core.base_options import BaseOptions

        with as_file(files("rtc_voice") / "assets" / "face_landmarker.task") as model:
            options = vision.FaceLandmarkerOptions(
                base_options=BaseOptions(model_asset_path=str(model)),
                num_faces=max_faces,
            )
            with hidden_chatter():
                landmarker = vision.FaceLandmarker.create_from_options(options)
                blank = np.zeros((8, 8, 3), np.uint8)  # the first picture is slow, and ends the chatter
                landmarker.detect(mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=blank))
            return landmarker
    except ImportError as error:
        raise MissingPartError("mediapipe is not installed", "pip install mediapipe") from error
    except OSError as error:  # from loading its shared library
        raise MissingPartError(f"mediapipe cannot start: {error}", "apt install libegl1 libgles2") from error
