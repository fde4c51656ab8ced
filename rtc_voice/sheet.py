"""What is found in one picture, and the voices that it gives: as lines, and as a contact sheet."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rtc_voice.errors import NoFaceError
from rtc_voice.faces.align import five_point_chip
from rtc_voice.faces.embedding import FaceEmbedder
from rtc_voice.faces.quality import USABLE
from rtc_voice.faces.tracker import find_faces
from rtc_voice.faces.types import Face, FaceEmbedding, Picture
from rtc_voice.voices.predictor import Predictor
from rtc_voice.voices.shelf import Shelf
from rtc_voice.voices.types import Voice

AGE_ERROR = 6.0  # years, mean absolute error of the attribute net on UTKFace
_INK, _FACE, _VOICE, _GRID = "#1b1f2a", "#3767c9", "#c2542d", "#d9dde6"
_MOST = 6  # faces on a sheet
# 5 % to 95 % of LibriSpeech's speakers.
_TYPICAL_F0 = {"men": (88.0, 154.0), "women": (165.0, 243.0)}


@dataclass(frozen=True, slots=True)
class Finding:
    """One face of a picture, and the voice that it would get; both None where the face is too poor to tell."""

    face: Face
    seen: FaceEmbedding | None
    voice: Voice | None
    f0_error_semitones: float
    nearest: list[tuple[str, float]]  # shipped voices and their cosines


def look(picture: Picture, predictor: Predictor) -> list[Finding]:
    """All faces of a picture, the largest first.

    Raises:
        NoFaceError: there is none.
    """
    faces = find_faces(picture)
    if not faces:
        raise NoFaceError("no face in the picture", "use one that shows a face from the front, at least 64 px wide")
    embedder, shelf = FaceEmbedder(), Shelf.load()
    return [_finding(picture, face, embedder, predictor, shelf) for face in faces]


def _finding(picture: Picture, face: Face, embedder: FaceEmbedder, predictor: Predictor, shelf: Shelf) -> Finding:
    if face.quality.score < USABLE:
        return Finding(face, None, None, 0.0, [])
    seen = embedder.embed(picture, face)
    voice = predictor.predict(seen)
    return Finding(face, seen, voice, predictor.f0_error_semitones(seen), shelf.nearest(voice))


def table(finding: Finding) -> list[tuple[str, str]]:
    """What was found, as name and words."""
    left, top, right, bottom = (round(edge) for edge in finding.face.box)
    quality = finding.face.quality
    parts = ", ".join(f"{name} {getattr(quality, name):.2f}" for name in ("size", "frontality", "sharpness", "light"))
    rows = [
        ("box", f"{left}, {top} to {right}, {bottom} px"),
        ("quality", f"{quality.score:.2f} ({parts})"),
    ]
    if finding.seen is None or finding.voice is None:
        return [*rows, ("voice", "none: the face is too small, dark, blurred or turned away")]
    low, high = f0_limits(finding)
    return [
        *rows,
        ("looks", f"{_sex(finding.seen.male)}, {finding.seen.age:.0f} ± {AGE_ERROR:.0f} years"),
        ("predicted F0", f"{finding.voice.f0_hz:.0f} Hz; two of three such people: {low:.0f} to {high:.0f} Hz"),
        ("F0 range", f"{finding.voice.f0_range_semitones:.1f} semitones"),
        ("vocal tract", f"{finding.voice.tract:.2f} of the average length"),
        ("like shipped voices", "; ".join(f"{name} ({cosine:.2f})" for name, cosine in finding.nearest)),
    ]


def f0_limits(finding: Finding) -> tuple[float, float]:
    """The F0 in Hz one standard deviation below and above the predicted one."""
    assert finding.voice is not None
    ratio = 2 ** (finding.f0_error_semitones / 12)
    return finding.voice.f0_hz / ratio, finding.voice.f0_hz * ratio


def _sex(male: float) -> str:
    """The network's score in words."""
    if 0.35 < male < 0.65:
        return f"neither clearly female nor male ({male:.0%} male)"
    return f"male ({male:.0%})" if male > 0.5 else f"female ({1 - male:.0%})"


def draw(picture: Picture, findings: list[Finding], path: Path) -> None:
    """The picture with its faces, and a row for each face: as the networks see it, its quality, and its voice."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    shown = findings[:_MOST]
    figure = Figure(
        figsize=(13, 4.2 + 2.9 * len(shown)), layout=ConstrainedLayoutEngine(rect=(0, 0.04, 1, 0.96)), facecolor="white"
    )
    FigureCanvasAgg(figure)
    heights = [4.2, *[2.9] * len(shown)]
    parts: Any = figure.subfigures(1 + len(shown), 1, height_ratios=heights, hspace=0.02)
    _draw_picture(parts[0].subplots(), picture, findings)
    for part, finding in zip(parts[1:], shown, strict=True):
        chip, quality, pitch, words = part.subplots(1, 4, width_ratios=[1, 1.1, 1.9, 2.6])
        _draw_chip(chip, picture, finding)
        _draw_quality(quality, finding)
        _draw_pitch(pitch, finding)
        _draw_words(words, finding)
    figure.text(0.5, 0.01, "Impressions of networks, no facts; a face does not determine a voice.", ha="center", size=9)
    figure.savefig(path, dpi=100)


def _draw_picture(axes: Any, picture: Picture, findings: list[Finding]) -> None:
    from matplotlib.patches import Rectangle

    axes.imshow(picture)
    axes.axis("off")
    for finding in findings:
        left, top, right, bottom = finding.face.box
        color = _VOICE if finding.voice is not None else _GRID
        axes.add_patch(Rectangle((left, top), right - left, bottom - top, fill=False, color=color, linewidth=2))
        axes.annotate(
            f" {finding.face.id + 1} ", (left, top), color="white", size=10, va="bottom", backgroundcolor=color
        )


def _draw_chip(axes: Any, picture: Picture, finding: Finding) -> None:
    axes.imshow(five_point_chip(picture, finding.face.landmarks))
    axes.set_title(f"face {finding.face.id + 1}", loc="left", color=_INK, size=11, weight="bold")
    axes.axis("off")


def _draw_quality(axes: Any, finding: Finding) -> None:
    quality = finding.face.quality
    names = ["size", "frontality", "sharpness", "light", "score"]
    values = [getattr(quality, name) for name in names]
    axes.barh(names, values, color=[_FACE] * 4 + [_INK])
    axes.set_xlim(0, 1)
    axes.invert_yaxis()
    axes.set_title("quality", loc="left", color=_INK, size=10)
    _plain(axes)


def _draw_pitch(axes: Any, finding: Finding) -> None:
    axes.set_title("mean F0", loc="left", color=_INK, size=10)
    for row, (who, (low, high)) in enumerate(_TYPICAL_F0.items()):
        axes.plot([low, high], [row, row], color=_GRID, linewidth=12, solid_capstyle="butt")
        axes.annotate(who, (np.sqrt(low * high), row), ha="center", va="center", size=9, color=_INK)
    if finding.voice is not None:
        low, high = f0_limits(finding)
        axes.plot([low, high], [2, 2], color=_VOICE, linewidth=2)
        axes.plot([finding.voice.f0_hz], [2], "o", color=_VOICE)
        axes.annotate(f"{finding.voice.f0_hz:.0f} Hz", (finding.voice.f0_hz, 2.15), ha="center", va="bottom", size=10)
    axes.set_xscale("log")
    axes.set_xlim(65, 400)
    axes.set_ylim(-0.6, 2.9)
    axes.set_xticks([75, 100, 150, 200, 300], ["75", "100", "150", "200", "300 Hz"])
    axes.minorticks_off()
    axes.set_yticks([])
    _plain(axes)


def _draw_words(axes: Any, finding: Finding) -> None:
    axes.axis("off")
    skipped = ("box", "quality")
    lines = [(name, words) for name, words in table(finding) if name not in skipped]
    for row, (name, words) in enumerate(_wrapped(lines)):
        axes.text(0, 1 - row / 9, name, size=9, color=_FACE, va="top", transform=axes.transAxes)
        axes.text(0.3, 1 - row / 9, words, size=9, color=_INK, va="top", transform=axes.transAxes)


def _wrapped(lines: list[tuple[str, str]], width: int = 46) -> list[tuple[str, str]]:
    from textwrap import wrap

    out = []
    for name, words in lines:
        for number, part in enumerate(wrap(words, width)):
            out.append((name if number == 0 else "", part))
    return out


def _plain(axes: Any) -> None:
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.tick_params(length=0, labelsize=9)
