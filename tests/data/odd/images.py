"""Images: modes, turns, lies in headers."""

import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from tests.data.odd.cases import Cases


def scene(h=60, w=80):
    """Left half red, right half blue, a white spot near the top left."""
    a = np.zeros((h, w, 3), "uint8")
    a[:, : w // 2] = (200, 30, 30)
    a[:, w // 2 :] = (30, 30, 200)
    a[5:15, 5:15] = 255
    return a


def png_header(width, height, depth=8, color=2, body=b""):
    def chunk(kind, data):
        return (
            struct.pack(">I", len(data))
            + kind
            + data
            + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", body)
        + chunk(b"IEND", b"")
    )


def make_images(d: Path, cases: Cases):
    d.mkdir(parents=True)
    rgb = Image.fromarray(scene())
    rgb.save(d / "good.jpg", quality=95)
    cases.add(
        "image/good.jpg", "image", "plain", "use", size=[60, 80], left="red"
    )
    rgb.save(d / "good.png")
    cases.add(
        "image/good.png", "image", "plain", "use", size=[60, 80], left="red"
    )
    rgb.convert("CMYK").save(d / "cmyk.jpg", quality=95)
    cases.add(
        "image/cmyk.jpg", "image", "CMYK JPEG", "use", size=[60, 80], left="red"
    )
    ramp = (np.arange(80) * 800).astype("uint16")[None].repeat(60, 0)
    Image.fromarray(ramp).save(d / "grey16.png")
    cases.add(
        "image/grey16.png",
        "image",
        "16-bit grey PNG",
        "use",
        size=[60, 80],
        note="scaled by 257, never clipped: right column 245 +- 2, left 0",
    )
    rgb.convert("L").save(d / "grey.jpg")
    cases.add(
        "image/grey.jpg",
        "image",
        "grey JPEG",
        "use",
        size=[60, 80],
        note="R == G == B",
    )
    p = rgb.convert("P", palette=Image.Palette.ADAPTIVE)
    p.save(d / "palette_transparent.png", transparency=0)
    cases.add(
        "image/palette_transparent.png",
        "image",
        "palette with transparency",
        "use",
        size=[60, 80],
        note="over white (or `background=`), never the hidden colour",
    )
    a = np.dstack([scene(), np.full((60, 80), 255, "uint8")])
    a[:, 40:, :3], a[:, 40:, 3] = (0, 255, 0), 0
    Image.fromarray(a).save(d / "rgba_hidden.png")
    cases.add(
        "image/rgba_hidden.png",
        "image",
        "RGBA, green hidden under alpha 0",
        "use",
        size=[60, 80],
        note="right half white, no green",
    )
    for o in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = o
        rgb.save(d / f"exif{o}.jpg", quality=95, exif=exif)
        cases.add(
            f"image/exif{o}.jpg",
            "image",
            f"EXIF orientation {o}",
            "use",
            size=[60, 80] if o < 5 else [80, 60],
            note="as ImageOps.exif_transpose: white spot where a "
            "viewer shows it",
        )
    frames = [Image.fromarray(np.roll(scene(), 10 * i, 1)) for i in range(4)]
    frames[0].save(
        d / "animated.gif",
        save_all=True,
        append_images=frames[1:],
        duration=100,
    )
    cases.add(
        "image/animated.gif",
        "image",
        "animated GIF",
        "warn",
        "animated",
        size=[60, 80],
        note="first frame as picture; in a video column: 4 frames",
    )
    frames[0].save(
        d / "animated.webp",
        save_all=True,
        append_images=frames[1:],
        duration=100,
    )
    cases.add(
        "image/animated.webp",
        "image",
        "animated WebP",
        "warn",
        "animated",
        size=[60, 80],
    )
    rgb.save(d / "jpeg_named.png", format="JPEG", quality=95)
    cases.add(
        "image/jpeg_named.png",
        "image",
        "wrong extension",
        "warn",
        "extension",
        size=[60, 80],
        note="content decides",
    )
    good = (d / "good.jpg").read_bytes()
    (d / "truncated.jpg").write_bytes(good[: len(good) * 6 // 10])
    cases.add(
        "image/truncated.jpg", "image", "truncated JPEG", "skip", "truncated"
    )
    (d / "cut_end.jpg").write_bytes(good[:-2])
    cases.add(
        "image/cut_end.jpg",
        "image",
        "JPEG without its last two bytes",
        "skip",
        "truncated",
        note="every pixel is there, but Pillow refuses it; "
        "LOAD_TRUNCATED_IMAGES is global: leave it off",
    )
    (d / "zero.jpg").write_bytes(b"")
    cases.add("image/zero.jpg", "image", "0 bytes", "skip", "empty")
    (d / "html.jpg").write_text("<html><body>404 Not Found</body></html>")
    cases.add(
        "image/html.jpg",
        "image",
        "web page saved as picture",
        "skip",
        "not_image",
    )
    (d / "nulls.png").write_bytes(bytes(4096))
    cases.add(
        "image/nulls.png",
        "image",
        "file of zeros (failed copy)",
        "skip",
        "not_image",
    )
    Image.fromarray(np.full((60, 80, 3), 128, "uint8")).save(d / "blank.png")
    cases.add(
        "image/blank.png", "image", "one colour", "warn", "blank", size=[60, 80]
    )
    Image.fromarray(np.zeros((1, 1, 3), "uint8")).save(d / "one_pixel.png")
    cases.add(
        "image/one_pixel.png", "image", "1x1", "warn", "tiny", size=[1, 1]
    )
    Image.fromarray(scene(4, 4000)).save(d / "strip.png")
    cases.add(
        "image/strip.png",
        "image",
        "4x4000 strip",
        "warn",
        "aspect",
        size=[4, 4000],
    )
    raw = zlib.compressobj(9)
    row = b"\0" + bytes(3 * 12000)
    body = b"".join(raw.compress(row) for _ in range(9000)) + raw.flush()
    (d / "bomb.png").write_bytes(png_header(12000, 9000, body=body))
    cases.add(
        "image/bomb.png",
        "image",
        "108-megapixel PNG of 0.3 MB",
        "skip",
        "too_large",
        note="refused from the header (limit 64 megapixels), < 50 MB of memory",
    )
    (d / "bomb_header.png").write_bytes(
        png_header(2**31 - 1, 2**31 - 1, body=b"x")
    )
    cases.add(
        "image/bomb_header.png",
        "image",
        "header says 2^31 x 2^31",
        "skip",
        "too_large",
    )
    (d / "liar.png").write_bytes(
        png_header(8000, 8000, body=zlib.compress(b"\0" * 100))
    )
    cases.add(
        "image/liar.png",
        "image",
        "64-megapixel header, 100 bytes of data",
        "skip",
        "truncated",
        note="or too_large; never 192 MB of zeros as a picture",
    )
    text = (
        "Comment\0".encode("latin-1")
        + b"\0"
        + zlib.compress(bytes(80_000_000), 9)
    )
    good_png = (d / "good.png").read_bytes()
    chunk = (
        struct.pack(">I", len(text))
        + b"zTXt"
        + text
        + struct.pack(">I", zlib.crc32(b"zTXt" + text))
    )
    (d / "text_bomb.png").write_bytes(good_png[:33] + chunk + good_png[33:])
    cases.add(
        "image/text_bomb.png",
        "image",
        "80 MB of text in a zTXt chunk",
        "skip",
        "too_large",
        note="Pillow: ValueError 'Decompressed data too large'; memory bounded",
    )
    rgb.save(d / "picture.tif")
    cases.add(
        "image/picture.tif", "image", "TIFF", "use", size=[60, 80], left="red"
    )
    rgb.save(d / "picture.bmp")
    cases.add(
        "image/picture.bmp", "image", "BMP", "use", size=[60, 80], left="red"
    )
    (d / "picture.svg").write_text(
        "<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>"
    )
    cases.add("image/picture.svg", "image", "SVG", "skip", "unsupported")
    (d / "script.eps").write_bytes(
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n"
    )
    cases.add(
        "image/script.eps",
        "image",
        "EPS (Pillow would start Ghostscript)",
        "skip",
        "unsupported",
        note="`formats=` allow-list: JPEG PNG GIF WEBP BMP TIFF AVIF",
    )
