"""What the camera sees, with the faces that are followed, as a page of this machine: any browser shows it."""

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import av
from aiohttp import web
from PIL import Image, ImageDraw, ImageFont

from rtc_voice.local.call import LocalCall
from rtc_voice.rtc.signaling.access import Access
from rtc_voice.rtc.signaling.http import guards, serve

_INTERVAL_S = 1 / 15
_OWN, _OTHER = (76, 192, 171), (255, 255, 255)
_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>rtc_voice: preview</title>
<h1>rtc_voice: preview</h1><img src="/picture" alt="The camera's picture with the faces that are followed"></html>"""


@asynccontextmanager
async def previewed(call: LocalCall, port: int = 0) -> AsyncIterator[str]:
    """Serve the preview of ``call`` to this machine alone: its address."""
    app = web.Application(middlewares=guards(Access()))

    async def page(request: web.Request) -> web.Response:
        return web.Response(text=_PAGE, content_type="text/html")

    async def picture(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "multipart/x-mixed-replace; boundary=next"})
        await response.prepare(request)
        try:
            while True:
                if call.picture is not None:
                    jpeg = await asyncio.to_thread(draw, call.picture, call.seen, call.f0_hz)
                    head = f"--next\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
                    await response.write(head.encode() + jpeg + b"\r\n")
                await asyncio.sleep(_INTERVAL_S)
        except ConnectionResetError:  # nobody looks any more
            return response

    app.router.add_get("/", page)
    app.router.add_get("/picture", picture)
    async with serve(app, port=port) as real_port:
        yield f"http://127.0.0.1:{real_port}/"


def draw(frame: av.VideoFrame, faces: list[dict[str, object]], f0_hz: float | None) -> bytes:
    """The picture, mirrored, with a frame around each face, as JPEG.

    Args:
        frame: of the camera.
        faces: as a ``state`` of the protocol describes them.
        f0_hz: of the voice of the face that is ``own``.
    """
    image = Image.fromarray(frame.to_ndarray(format="rgb24")).transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(size=16)
    for face in faces:
        box = face["box"]
        assert isinstance(box, list)
        left, right = ((1 - float(x)) * image.width for x in (box[2], box[0]))
        top, bottom = (float(y) * image.height for y in (box[1], box[3]))
        colour = _OWN if face["own"] else _OTHER
        pen.rounded_rectangle((left, top, right, bottom), radius=12, outline=colour, width=3)
        words = f"{f0_hz:.0f} Hz" if face["own"] and f0_hz else f"face {face['id']}"
        pen.text((left, bottom + 4), words, fill=colour, font=font, stroke_width=2, stroke_fill=(0, 0, 0))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=80)
    return file.getvalue()
