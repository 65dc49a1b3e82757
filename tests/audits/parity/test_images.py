"""Opening images: what is shown, what is converted, what is refused."""

import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from auditor.audits.parity import images
from auditor.audits.parity.image_files import find_images, image_beside
from auditor.audits.parity.images import caution_of_profiles, open_image, thumbnail_png
from auditor.errors import InputError
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

ENDING = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp", "BMP": "bmp", "TIFF": "tif"}


def scene(width: int = 128, height: int = 96) -> np.ndarray:
    """Gradients, so that neither codec nor rotation goes unnoticed."""
    x, y = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    return np.stack([x, y, 255 - x], axis=-1).astype(np.uint8)


def encoded(form: str, pixels: np.ndarray | None = None, **options: object) -> bytes:
    out = io.BytesIO()
    Image.fromarray(scene() if pixels is None else pixels).save(out, form, **options)
    return out.getvalue()


def saved(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def png_that_claims(width: int, height: int) -> bytes:
    data = bytearray(encoded("PNG"))
    data[16:24] = struct.pack(">II", width, height)
    data[29:33] = struct.pack(">I", zlib.crc32(bytes(data[12:29])))
    return bytes(data)


def jpeg_that_claims(height: int, pixels: np.ndarray | None = None, *, progressive: bool = False) -> bytes:
    data = bytearray(encoded("JPEG", pixels, progressive=progressive))
    at = data.index(b"\xff\xc2" if progressive else b"\xff\xc0") + 5
    data[at : at + 2] = struct.pack(">H", height)
    return bytes(data)


@pytest.mark.parametrize("form", ENDING)
def test_the_five_formats_open(tmp_path, form):
    options = {"JPEG": {"quality": 95}, "WEBP": {"lossless": True}}.get(form, {})
    picture = open_image(saved(tmp_path, f"a.{ENDING[form]}", encoded(form, **options)))
    assert picture.pixels.shape == (96, 128, 3)
    assert np.abs(picture.pixels.astype(int) - scene()).mean() < (2 if form == "JPEG" else 0.01)
    assert picture.profile == "assumed"
    assert picture.transparent == 0


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
@pytest.mark.parametrize("size", [(1, 1), (5, 3), (33, 17)])
def test_png_of_every_kind_and_size_open(tmp_path, mode, size, interlaced):
    data = io.BytesIO()
    Image.fromarray(scene(*size)).convert(mode).save(data, "PNG", interlace=interlaced)
    assert open_image(saved(tmp_path, "a.png", data.getvalue())).pixels.shape == (size[1], size[0], 3)


def test_orientation_is_applied(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held on its side: turn a quarter clockwise
    picture = open_image(saved(tmp_path, "a.jpg", encoded("JPEG", exif=exif, quality=95)))
    assert picture.pixels.shape == (128, 96, 3)
    assert np.abs(picture.pixels.astype(int) - np.rot90(scene(), -1)).mean() < 2


def test_only_the_first_frame_is_read(tmp_path):
    first, second = Image.fromarray(scene()), Image.fromarray(255 - scene())
    for form in ("TIFF", "WEBP", "PNG"):
        out = io.BytesIO()
        first.save(out, form, save_all=True, append_images=[second], **({"lossless": True} if form == "WEBP" else {}))
        picture = open_image(saved(tmp_path, f"a.{ENDING[form]}", out.getvalue()))
        assert np.abs(picture.pixels.astype(int) - scene()).mean() < 0.01


def test_transparent_pixels_lie_on_white_and_are_counted(tmp_path):
    pixels = np.dstack([scene(), np.full((96, 128), 255, np.uint8)])
    pixels[:48, :, 3] = 0
    picture = open_image(saved(tmp_path, "a.png", encoded("PNG", pixels)))
    assert picture.transparent == 0.5
    assert (picture.pixels[:48] == 255).all()
    assert (picture.pixels[48:] == scene()[48:]).all()


def test_a_colour_profile_is_applied(tmp_path):
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    same = open_image(saved(tmp_path, "srgb.png", encoded("PNG", icc_profile=lab)))
    assert same.profile == "converted"
    assert np.abs(same.pixels.astype(int) - scene()).max() <= 2
    # A profile whose red and blue have changed places turns the colours around.
    swapped = bytearray(lab)
    red, blue = swapped.index(b"rXYZ"), swapped.index(b"bXYZ")
    swapped[red : red + 4], swapped[blue : blue + 4] = b"bXYZ", b"rXYZ"
    turned = open_image(saved(tmp_path, "turned.png", encoded("PNG", icc_profile=bytes(swapped))))
    assert turned.profile == "converted"
    assert np.abs(turned.pixels.astype(int) - scene()[..., ::-1]).max() <= 2


def test_a_broken_profile_is_named_and_sRGB_assumed(tmp_path):
    picture = open_image(saved(tmp_path, "a.png", encoded("PNG", icc_profile=b"nonsense")))
    assert picture.profile == "unreadable"
    assert (picture.pixels == scene()).all()


def test_what_was_assumed_is_counted():
    assert caution_of_profiles(0, 0) is None
    caution = caution_of_profiles(3, 1)
    assert caution is not None
    assert caution.count == 4
    assert "4 images" in caution.message
    assert "1 had a profile" in caution.message


@pytest.mark.parametrize(
    ("width", "height"), [(128, 97), (128, 95), (128, 200), (128, 50), (64, 96), (64, 192), (200, 96)]
)
def test_a_png_that_lies_about_its_size_is_refused(tmp_path, width, height):
    with pytest.raises(InputError, match=r"^liar\.png: "):
        open_image(saved(tmp_path, "liar.png", png_that_claims(width, height)))


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("height", [112, 200, 5000])
def test_a_jpeg_that_claims_more_rows_than_it_has_is_refused(tmp_path, height, progressive):
    path = saved(tmp_path, "liar.jpg", jpeg_that_claims(height, progressive=progressive))
    with pytest.raises(InputError, match=r"^liar\.jpg: the header says 128 x"):
        open_image(path)


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_that_truly_ends_in_grey_opens(tmp_path, progressive):
    pixels = scene()
    pixels[40:] = 128
    picture = open_image(saved(tmp_path, "grey.jpg", encoded("JPEG", pixels, progressive=progressive)))
    assert (picture.pixels[-1] == 128).all()
    with pytest.raises(InputError, match="header says"):
        open_image(saved(tmp_path, "liar.jpg", jpeg_that_claims(128, pixels, progressive=progressive)))


def test_bombs_are_refused_before_they_are_unpacked(tmp_path):
    with pytest.raises(
        InputError, match=r"^bomb\.png: the image unpacks to more than 50,000,000 pixels \(found '8,000 x 8,000'\)"
    ):
        open_image(saved(tmp_path, "bomb.png", png_that_claims(8_000, 8_000)))
    for side in (10_000, 30_000):  # Pillow's own limits, a warning and an error, speak first
        with pytest.raises(InputError, match="unpacks to more than 50,000,000 pixels"):
            open_image(saved(tmp_path, "bomb.png", png_that_claims(side, side)))
    with pytest.raises(InputError, match=r"^huge\.png: "):
        open_image(saved(tmp_path, "huge.png", png_that_claims(2**31 - 1, 2**31 - 1)))


def test_files_that_are_too_large_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(images, "MAX_BYTES", 100)
    with pytest.raises(InputError, match="larger than 100 bytes"):
        open_image(saved(tmp_path, "a.png", encoded("PNG")))


def test_an_ending_that_lies_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"promises PNG but the file holds JPEG.*end in \.jpg"):
        open_image(saved(tmp_path, "a.png", encoded("JPEG")))
    assert open_image(saved(tmp_path, "a.JPEG", encoded("JPEG"))).pixels.size
    assert open_image(saved(tmp_path, "without-ending", encoded("JPEG"))).pixels.size


@pytest.mark.parametrize("form", ["GIF", "PPM", "TGA", "ICO", "PDF", "EPS"])
def test_other_formats_are_refused(tmp_path, form):
    with pytest.raises(InputError, match="no image that can be opened"):
        open_image(saved(tmp_path, "a.png", encoded(form)))


def test_what_is_no_image_is_refused(tmp_path):
    for data in (b"", b"<svg onload=alert(1)>", b"=HYPERLINK(1)", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"):
        with pytest.raises(InputError, match=r"^a\.png: "):
            open_image(saved(tmp_path, "a.png", data))
    with pytest.raises(InputError, match="no such image"):
        open_image(tmp_path / "missing.png")
    with pytest.raises(InputError, match="no such image"):
        open_image(tmp_path)
    with pytest.raises(InputError, match="no such image"):
        open_image(Path("a\0b.png"))


def test_deep_greys_are_refused(tmp_path):
    deep = Image.fromarray(np.full((8, 8), 40_000, np.uint16))
    out = io.BytesIO()
    deep.save(out, "PNG")
    with pytest.raises(InputError, match="8-bit"):
        open_image(saved(tmp_path, "a.png", out.getvalue()))


@settings(max_examples=150, deadline=None)
@given(
    form=st.sampled_from(sorted(ENDING)),
    cut=st.floats(0, 1),
    hits=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=8),
)
def test_damaged_files_are_named_or_open(tmp_path_factory, form, cut, hits):
    data = bytearray(encoded(form))
    for where, value in hits:
        data[int(where * min(len(data), 600))] = value  # headers are where decoders break
    data = data[: max(1, int(cut * len(data)))] if cut < 0.9 else data
    path = saved(tmp_path_factory.mktemp("damaged"), f"broken.{ENDING[form]}", bytes(data))
    try:
        said = str(open_image(path).pixels.dtype)
    except InputError as error:
        said = str(error)
    assert said == "uint8" or said.startswith(f"broken.{ENDING[form]}: ")


def test_thumbnails_are_small_and_carry_no_metadata(tmp_path):
    exif = Image.Exif()
    exif[0x010E] = "name of a person"
    data = thumbnail_png(saved(tmp_path, "a.jpg", encoded("JPEG", exif=exif)), side=32)
    assert b"name of a person" not in data
    with Image.open(io.BytesIO(data)) as image:
        assert (image.format, image.size) == ("PNG", (32, 24))
    small = thumbnail_png(saved(tmp_path, "b.png", encoded("PNG", scene(8, 8))))
    with Image.open(io.BytesIO(small)) as image:
        assert image.size == (8, 8)


def test_images_are_found_by_id_in_a_folder_and_below(tmp_path):
    (tmp_path / "shop").mkdir()
    for name in ("a1.png", "shop/b2.JPG", "shop/c3.webp", "notes.txt"):
        (tmp_path / name).write_bytes(b"x")
    found = find_images(["a1", "b2", "shop/c3", "shop/b2.JPG", "notes", "d4"], tmp_path)
    names = {key: path.relative_to(tmp_path).as_posix() for key, path in found.items()}
    assert names == {"a1": "a1.png", "b2": "shop/b2.JPG", "shop/c3": "shop/c3.webp", "shop/b2.JPG": "shop/b2.JPG"}


def test_two_images_of_one_item_are_an_error(tmp_path):
    (tmp_path / "shop").mkdir()
    for name in ("a1.png", "shop/a1.png", "b2.png"):
        (tmp_path / name).write_bytes(b"x")
    assert set(find_images(["b2", "shop/a1"], tmp_path)) == {"b2", "shop/a1"}
    with pytest.raises(InputError, match=r"two images go by the name of item 'a1': a1\.png and shop/a1\.png"):
        find_images(["a1"], tmp_path)


def test_a_folder_that_is_none_or_too_full_is_refused(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="no such folder"):
        find_images(["a"], tmp_path / "missing")
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(b"x")
    monkeypatch.setattr("auditor.audits.parity.image_files.MAX_FILES", 1)
    with pytest.raises(InputError, match="more than 1 images"):
        find_images(["a"], tmp_path)


def test_paths_stay_in_the_folder(tmp_path):
    home, outside = tmp_path / "home", tmp_path / "secret.png"
    (home / "images").mkdir(parents=True)
    (home / "images" / "a.png").write_bytes(b"x")
    outside.write_bytes(b"x")
    (home / "link.png").symlink_to(outside)
    (home / "up").symlink_to(tmp_path, target_is_directory=True)
    assert image_beside("images/a.png", home) == home / "images" / "a.png"
    assert image_beside("images\\a.png", home) == home / "images" / "a.png"
    assert image_beside(f"{home}/images/a.png", home) == home / "images" / "a.png"
    assert image_beside("images/missing.png", home) is None
    assert image_beside("x" * 5000, home) is None
    assert "secret" not in find_images(["secret", "link"], home)
    for text in (
        "../secret.png",
        str(outside),
        "link.png",
        "up/secret.png",
        "images/../../secret.png",
        f"{os.sep}etc/passwd",
    ):
        with pytest.raises(InputError, match=r"catalog\.csv, row 7, column 'image': the image lies outside"):
            image_beside(text, home, file="catalog.csv", row=7, column="image")
    for text in ("a\0.png", "\ud800.png"):
        with pytest.raises(InputError, match="no path"):
            image_beside(text, home)
