"""Opening images of people that others made: checked, turned upright, converted to sRGB, never trusted.

Images come from crawls and exports, so a file may be cut short, huge once unpacked, or not what its name and header say.
Whatever cannot be shown as it claims to be is refused with its name. What had to be assumed, above all that an image
without a colour profile is sRGB, is recorded in `Picture` so that it can be counted.
"""

import io
import struct
import warnings
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from auditor.audits.findings import Caution
from auditor.errors import InputError

#: Formats that are opened, and the endings that go with them. Everything else is refused before a decoder sees it.
ENDINGS = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "PNG": (".png",),
    "WEBP": (".webp",),
    "BMP": (".bmp",),
    "TIFF": (".tif", ".tiff"),
}
#: Largest image, pixels (ours): 150 MB unpacked. Larger ones are taken for decompression bombs.
MAX_PIXELS = 50_000_000
#: Largest file, bytes (ours).
MAX_BYTES = 200_000_000
#: Transparent images are laid on white (ours), the usual background of a catalog.
BACKGROUND = (255, 255, 255)

# What Pillow raises on damaged files, by format and Pillow version.
_DAMAGE = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
)
_DAMAGE_OF_CODECS = (
    MemoryError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)
_MODES = frozenset({"1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr"})
_TOO_LARGE = f"the image unpacks to more than {MAX_PIXELS:,} pixels"
_SAVE_AGAIN = "Save the image again, or leave it out."


@dataclass(frozen=True)
class Picture:
    """An image as it should be seen.

    Attributes
    ----------
    pixels : ndarray of uint8, shape (height, width, 3)
        sRGB, upright.
    profile : str
        "converted" from an embedded colour profile; "assumed" sRGB because there was none; "unreadable" if there was one
        that could not be used, so that sRGB was assumed.
    transparent : float
        Share of pixels that were not fully opaque, before they were laid on `BACKGROUND`.
    """

    pixels: NDArray[np.uint8]
    profile: Literal["converted", "assumed", "unreadable"]
    transparent: float


def open_image(path: Path, *, name: str | None = None) -> Picture:
    """The first frame of an image file, turned as its EXIF orientation says, in sRGB.

    Parameters
    ----------
    path : Path
        JPEG, PNG, WebP, BMP or TIFF.
    name : str, optional
        How the person knows the file; the file name if not given.

    Raises
    ------
    InputError
        If the file is missing, too large, of another format than its ending says, damaged, or of another size than its
        header says (more rows than there are data; for PNG, fewer too), or has more than 8 bits per channel in grey.
    """
    name = name or path.name
    data = _bytes_of(path, name)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd metadata, which is not used
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data), formats=tuple(ENDINGS)) as image:
                _check_header(image, data, path, name)
                image.verify()
            # verify() leaves the decoder used up: the same bytes are opened again
            with Image.open(io.BytesIO(data), formats=tuple(ENDINGS)) as image:
                image.load()
                _check_rows(image, data, name)
                return _picture(image)
    except InputError:
        raise
    except UnidentifiedImageError as error:
        known = "JPEG, PNG, WebP, BMP or TIFF"
        raise InputError("this is no image that can be opened", file=name, fix=f"Save it as {known}.") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise InputError(_TOO_LARGE, file=name, fix="Save it smaller.") from error
    except (*_DAMAGE, *_DAMAGE_OF_CODECS) as error:
        raise InputError(f"the image is damaged: {error}", file=name, fix=_SAVE_AGAIN) from error


def thumbnail_png(path: Path, *, side: int = 160, name: str | None = None) -> bytes:
    """Small PNG of an image, without any of its metadata.

    Parameters
    ----------
    path : Path
        Image file, opened by `open_image`, which may refuse it.
    side : int
        Longest side in pixels; smaller images keep their size.
    name : str, optional
        How the person knows the file.
    """
    image = Image.fromarray(open_image(path, name=name).pixels)
    image.thumbnail((side, side))
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def caution_of_profiles(n_assumed: int, n_unreadable: int) -> Caution | None:
    """Warning that counts images whose colours were taken for sRGB; None if every image said what its colours mean."""
    count = n_assumed + n_unreadable
    if not count:
        return None
    message = f"The colours of {count:,} image{'s' if count > 1 else ''} were taken for sRGB"
    message += " because no colour profile says otherwise" if not n_unreadable else ""
    message += f"; {n_unreadable:,} had a profile that could not be used" if n_unreadable else ""
    return Caution(code="colours-assumed", message=message + ".", count=count)


def _bytes_of(path: Path, name: str) -> bytes:
    try:
        if not path.is_file():
            raise InputError("there is no such image", file=name)
        if path.stat().st_size > MAX_BYTES:
            raise InputError(f"the file is larger than {MAX_BYTES:,} bytes", file=name, fix="Save it smaller.")
        return path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise InputError(f"the image cannot be read: {error}", file=name) from error


def _check_header(image: Image.Image, data: bytes, path: Path, name: str) -> None:
    """Refuse what the header alone gives away, before anything is unpacked."""
    kind = "JPEG" if image.format == "MPO" else str(image.format)  # MPO: JPEG followed by more pictures
    promised = next((form for form, endings in ENDINGS.items() if path.suffix.lower() in endings), kind)
    if promised != kind:
        problem = f"the ending promises {promised} but the file holds {kind}"
        raise InputError(problem, file=name, fix=f"Rename it to end in {ENDINGS[kind][0]}, or leave it out.")
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise InputError(_TOO_LARGE, file=name, value=f"{width:,} x {height:,}", fix="Save it smaller.")
    # Every 8 x 8 block of a JPEG takes at least one bit of code.
    if kind == "JPEG" and width * height > 64 * 8 * len(data):
        raise InputError(_lie(width, height), file=name, fix=_SAVE_AGAIN)
    if image.mode not in _MODES:
        raise InputError(f"images of kind {image.mode} are not read", file=name, fix="Save it as 8-bit RGB.")
    if kind == "PNG":
        _check_png(data, width, height, name)


def _check_png(data: bytes, width: int, height: int, name: str) -> None:
    """Refuse a PNG that does not unpack to the very size in its header: decoders fill in or drop rows silently."""
    bits, colour_type, interlaced = data[24], data[25], data[28]
    bits *= {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}.get(colour_type, 1)
    passes = _ADAM7 if interlaced else ((0, 0, 1, 1),)
    expected = 0
    for x, y, step_x, step_y in passes:
        columns, rows = -(-(width - x) // step_x), -(-(height - y) // step_y)
        expected += rows * (1 + (columns * bits + 7) // 8) if columns > 0 and rows > 0 else 0
    unpack = zlib.decompressobj()
    found = 0
    for chunk in _png_data(data):
        while chunk and found <= expected:
            found += len(unpack.decompress(chunk, 1 << 20))
            chunk = unpack.unconsumed_tail
    if found != expected:
        raise InputError(_lie(width, height), file=name, fix=_SAVE_AGAIN)


# First column and row of the seven passes of an interlaced PNG, and the distance to the next.
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def _png_data(data: bytes) -> Iterator[bytes]:
    """Contents of the IDAT chunks."""
    at = 8
    while at + 8 <= len(data):
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        if kind == b"IDAT":
            yield data[at + 8 : at + 8 + length]
        if kind == b"IEND":
            return
        at += 12 + length


def _check_rows(image: Image.Image, data: bytes, name: str) -> None:
    """Refuse a JPEG whose data end before its header says.

    The decoder fills what is missing with the grey (128, 128, 128) and says nothing. A picture may well end in that grey
    by itself. So the data are made longer with noise: a picture that was complete stays as it is.
    """
    if image.format not in {"JPEG", "MPO"} or image.mode not in {"L", "RGB"}:
        return
    corner = np.asarray(image)[-4:, -4:]
    end = data.rfind(b"\xff\xd9")
    if (corner != 128).any() or end < 0:
        return
    noise = bytes(np.random.default_rng(0).integers(0, 255, 65_536, dtype=np.uint8))  # never 255: no marker in it
    with Image.open(io.BytesIO(data[:end] + noise + data[end:]), formats=("JPEG",)) as longer:
        longer.load()
        if (np.asarray(longer) != np.asarray(image)).any():
            raise InputError(_lie(*image.size), file=name, fix=_SAVE_AGAIN)


def _lie(width: int, height: int) -> str:
    return f"the header says {width:,} x {height:,} pixels, which is not what the file holds"


def _picture(image: Image.Image) -> Picture:
    profile_bytes = image.info.get("icc_profile")
    image = ImageOps.exif_transpose(image)
    alpha = image.convert("RGBA").getchannel("A") if image.has_transparency_data else None
    profile: Literal["converted", "assumed", "unreadable"] = "assumed"
    upright = image if image.mode in {"L", "RGB", "CMYK"} else image.convert("RGB")
    if profile_bytes:
        converted = _to_srgb(upright, profile_bytes)
        profile = "unreadable" if converted is None else "converted"
        upright = upright if converted is None else converted
    upright = upright.convert("RGB")
    transparent = 0.0
    if alpha is not None:
        transparent = float(np.mean(np.asarray(alpha) < 255))
        upright = Image.composite(upright, Image.new("RGB", upright.size, BACKGROUND), alpha)
    return Picture(np.array(upright, np.uint8), profile, transparent)


def _to_srgb(image: Image.Image, profile: bytes) -> Image.Image | None:
    """The image converted from its profile, or None if the profile is damaged or of another kind of colour."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        return ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, *_DAMAGE):
        return None
