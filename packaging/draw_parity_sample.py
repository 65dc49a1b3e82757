"""Draw the fashion-search sample of the Parity audit: python packaging/draw_parity_sample.py [FOLDER].

A catalog of 240 illustrated garments on figures painted in the ten tones of the Monk scale, 24 of each, and what two
engines answer to 72 queries: one that looks at the garment only, and one that also prefers figures whose tone is near the
tone of the person who asks. Everything is drawn here from one seed; no real person, photograph or shop stands behind it.
"""

import csv
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from auditor.audits.parity import colour
from auditor.audits.parity.swatches import MONK_SWATCHES
from numpy.typing import NDArray
from PIL import Image, ImageColor, ImageDraw

SEED = 1909
WIDTH, HEIGHT = 96, 128
#: Drawn this many times larger, then reduced, so that edges are smooth.
SCALE = 5
#: Colours of a palettised image.
PALETTE = 40
K = 20

GARMENTS = ("dress", "skirt", "t-shirt", "shirt", "hoodie", "coat", "trousers", "jumpsuit")
BRANDS = ("Alder", "Birch", "Cedar", "Dogwood")
CLOTH = {
    "navy": "#2c3e66",
    "teal": "#2f7f86",
    "forest": "#3f6b4a",
    "lilac": "#9a86bd",
    "sky": "#7fa8cf",
    "charcoal": "#3d4148",
    "plum": "#6d3f63",
    "lime": "#a3b35a",
    "white": "#f2f4f6",
    "red": "#b3323f",
    "mustard": "#c9a13b",
    "denim": "#4f6d94",
}
HAIR = ("#1d1a1c", "#2b211f", "#3f2d26", "#5a4034", "#77747a", "#8a5a3a")
STYLES = ("short", "bob", "long", "bun", "curls", "shaved")
BACKDROPS = ("#e3e9ef", "#dfe8e6", "#e6e6f0", "#dde6ee")
#: Query groups by Monk tone of the person who asks (ours).
GROUPS = {"light": range(1, 4), "medium": range(4, 7), "dark": range(7, 11)}

Point = tuple[float, float]
Circle = tuple[float, float, float]


@dataclass(frozen=True)
class Item:
    """One garment on one figure."""

    item_id: str
    garment: str
    cloth: str
    brand: str
    monk: int
    skin: str
    seed: int

    @property
    def ita(self) -> float:
        """Individual typology angle of the painted skin, degrees."""
        return float(colour.ita_from_hex([self.skin])[0])


def catalog() -> list[Item]:
    """240 items: every garment three times in every tone, with skin that varies a little around the swatch."""
    rng = np.random.default_rng(SEED)
    items = []
    for garment in GARMENTS:
        for monk, swatch in enumerate(MONK_SWATCHES, start=1):
            cloths = rng.permutation(list(CLOTH))[:3]
            for cloth in cloths:
                lab = colour.lab_from_hex([swatch])[0] + rng.normal(0, [1.2, 0.7, 0.9])
                skin = colour.hex_from_rgb(colour.rgb_from_lab(lab))
                brand = str(rng.choice(BRANDS))
                items.append(Item("", garment, str(cloth), brand, monk, skin, int(rng.integers(2**31))))
    order = rng.permutation(len(items))
    return [
        Item(
            f"g{number:03d}",
            *(getattr(items[at], name) for name in ("garment", "cloth", "brand", "monk", "skin", "seed")),
        )
        for number, at in enumerate(order, start=1)
    ]


class Sketch:
    """A figure in the making: colours, and where its skin is."""

    def __init__(self, backdrop: str) -> None:
        size = (WIDTH * SCALE, HEIGHT * SCALE)
        self.image = Image.new("RGB", size, backdrop)
        self.skin = Image.new("L", size)
        self.body = Image.new("L", size)

    def paint(self, mask: Image.Image, fill: str | Image.Image, *, skin: bool = False) -> None:
        """Lay colour, or cloth, on a mask."""
        ink = fill if isinstance(fill, Image.Image) else Image.new("RGB", mask.size, fill)
        self.image.paste(ink, mask=mask)
        self.skin.paste(255 if skin else 0, mask=mask)
        self.body.paste(255, mask=mask)

    def mask(self, *shapes: Sequence[Circle] | Sequence[Point]) -> Image.Image:
        """Mask of limbs (chains of circles) and outlines (closed curves through points)."""
        mask = Image.new("L", self.image.size)
        draw = ImageDraw.Draw(mask)
        for shape in shapes:
            if len(shape[0]) == 3:
                _limb(draw, [(x * SCALE, y * SCALE, r * SCALE) for x, y, r in shape])
            else:
                draw.polygon(_curve([(x * SCALE, y * SCALE) for x, y in shape]), fill=255)
        return mask

    def finished(self) -> tuple[Image.Image, NDArray[np.bool_]]:
        """The picture at its size with light from the left, palettised, and the pixels that are all skin."""
        light = np.linspace(1.05, 0.93, WIDTH * SCALE)[None, :, None]
        pixels = np.asarray(self.image, np.float64)
        body = np.asarray(self.body)[..., None] > 0
        lit = np.where(body, np.clip(pixels * light, 0, 255), pixels).astype(np.uint8)
        small = Image.fromarray(lit).resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)
        skin = np.asarray(self.skin.resize((WIDTH, HEIGHT), Image.Resampling.BOX)) == 255
        return small.quantize(PALETTE, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE), skin


def _limb(draw: ImageDraw.ImageDraw, circles: Sequence[Circle]) -> None:
    for x, y, r in circles:
        draw.ellipse((x - r, y - r, x + r, y + r), fill=255)
    for (x, y, r), (u, v, s) in pairwise(circles):
        length = math.hypot(u - x, v - y) or 1
        dx, dy = (v - y) / length, (x - u) / length
        corners = [
            (x + r * dx, y + r * dy),
            (u + s * dx, v + s * dy),
            (u - s * dx, v - s * dy),
            (x - r * dx, y - r * dy),
        ]
        draw.polygon(corners, fill=255)


def _curve(points: Sequence[Point]) -> list[Point]:
    """Closed Catmull-Rom curve through points."""
    knots = np.asarray(points, np.float64)
    before, after, beyond = np.roll(knots, 1, axis=0), np.roll(knots, -1, axis=0), np.roll(knots, -2, axis=0)
    curve = []
    for t in np.linspace(0, 1, 8, endpoint=False):
        a, b = -t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3
        c, d = t + 4 * t**2 - 3 * t**3, t**3 - t**2
        curve.append((a * before + b * knots + c * after + d * beyond) / 2)
    return [(float(x), float(y)) for x, y in np.stack(curve, axis=1).reshape(-1, 2)]


def _shade(hexadecimal: str, factor: float) -> str:
    return colour.hex_from_rgb(np.array(ImageColor.getrgb(hexadecimal)) * factor)


def _both(*circles: Circle) -> list[list[Circle]]:
    """A limb given for the left, and its mirror image."""
    return [list(circles), [(WIDTH - x, y, r) for x, y, r in circles]]


def _mirrored(points: Sequence[Point]) -> list[Point]:
    """Outline of which the left half is given from top to bottom."""
    return [*points, *((WIDTH - x, y) for x, y in reversed(points))]


def draw(item: Item) -> tuple[Image.Image, NDArray[np.bool_]]:
    """Picture of an item, and where it shows skin, shape (HEIGHT, WIDTH)."""
    rng = np.random.default_rng(item.seed)
    sketch = Sketch(str(rng.choice(BACKDROPS)))
    # Hair that a person can tell from the skin.
    distance = np.linalg.norm(colour.lab_from_hex(HAIR) - colour.lab_from_hex([item.skin]), axis=1)
    style, hair = str(rng.choice(STYLES)), str(rng.choice(np.array(HAIR)[distance > 12]))
    floor = sketch.mask([(30, 121, 2.4), (66, 121, 2.4)])
    sketch.image.paste(Image.new("RGB", floor.size, "#c7ced6"), mask=floor)
    if style == "long":
        sketch.paint(sketch.mask(_mirrored([(44, 12), (37, 22), (36, 40), (39, 46)])), hair)
    if style == "bob":
        sketch.paint(sketch.mask(_mirrored([(44, 11), (37.5, 20), (37, 33), (41, 36)])), hair)
    arms = _arms(hip=bool(rng.random() < 0.4))
    legs = _both((43, 76, 6), (42.3, 97, 4.2), (42, 116, 2.8))
    sketch.paint(sketch.mask([(48, 30, 3.7), (48, 42, 4.3)], *legs), item.skin, skin=True)
    sketch.paint(sketch.mask(_torso(0)), item.skin, skin=True)
    sketch.paint(sketch.mask(*arms), item.skin, skin=True)
    shoe = str(rng.choice(["#2b2d33", "#f0f1f3", "#54606e"]))
    sketch.paint(sketch.mask(*_both((42, 118, 2.9), (40.5, 120, 2.7))), shoe)
    _dress(sketch, item, arms, rng)
    _head(sketch, item.skin, style, hair)
    return sketch.finished()


def _arms(*, hip: bool) -> list[list[Circle]]:
    left, right = _both((35.8, 46, 3.7), (31.8, 60, 3), (30.6, 73, 2.3), (30.5, 76.5, 2.8))
    if hip:
        right = [(60.2, 46, 3.7), (69, 58, 3), (61.5, 69.5, 2.3), (59.6, 71.5, 2.6)]
    return [left, right]


def _torso(room: float) -> list[Point]:
    half = [(44, 39.5), (36.5, 42.5), (36.8 - room, 53), (38.8 - room, 62), (36.6 - room, 76)]
    return _mirrored(half)


def _sleeves(arms: Sequence[Sequence[Circle]], room: float, *, long: bool) -> list[list[Circle]]:
    sleeves = []
    for shoulder, elbow, wrist, _ in arms:
        end = wrist if long else tuple((np.asarray(shoulder) * 0.45 + np.asarray(elbow) * 0.55).tolist())
        chain = [shoulder, elbow, end] if long else [shoulder, end]
        sleeves.append([(x, y, r + room) for x, y, r in chain])
    return sleeves


def _cloth(name: str, rng: np.random.Generator, size: tuple[int, int]) -> Image.Image:
    """Plain, striped or dotted cloth."""
    base = CLOTH[name]
    image = Image.new("RGB", size, base)
    pattern, pen = rng.random(), ImageDraw.Draw(image)
    second = _shade(base, 1.28 if sum(ImageColor.getrgb(base)) < 420 else 0.84)
    step = int(rng.integers(4, 7)) * SCALE
    if pattern < 0.22:
        for y in range(0, size[1], step):
            pen.rectangle((0, y, size[0], y + step // 3), fill=second)
    elif pattern < 0.36:
        for row, y in enumerate(range(0, size[1], step)):
            for x in range(row % 2 * step // 2, size[0], step):
                pen.ellipse((x, y, x + step // 3, y + step // 3), fill=second)
    return image


def _dress(sketch: Sketch, item: Item, arms: Sequence[Sequence[Circle]], rng: np.random.Generator) -> None:
    """Put the garment on, with plain clothes where it leaves the figure bare."""
    cloth = _cloth(item.cloth, rng, sketch.image.size)
    line = _shade(CLOTH[item.cloth], 0.78)
    under = str(rng.choice(["#eef0f3", "#c5ccd6", "#363a44"]))
    plain = str(rng.choice(["#46536b", "#2f333b", "#8a94a3"]))
    trousers = [*_both((42.8, 77, 6.8), (42, 97, 5.3), (41.8, 114, 4.2)), _mirrored([(39, 68), (36, 74), (37, 82)])]
    vest = _mirrored([(43, 44), (41, 40.5), (38.6, 46), (37.2, 54), (38.6, 62), (37, 73)])
    if item.garment in {"t-shirt", "shirt", "hoodie", "coat"}:
        sketch.paint(sketch.mask(*trousers), plain)
    if item.garment in {"skirt", "trousers"}:
        sketch.paint(sketch.mask(vest), under)
    if item.garment == "dress":
        half = [(43.5, 45), (41, 40.5), (38.4, 46), (37, 54), (39, 62), (33, 80), (30.5, 96)]
        sketch.paint(sketch.mask(_mirrored(half)), cloth)
        sketch.paint(sketch.mask([(39.6, 63.3, 0.8), (56.4, 63.3, 0.8)]), line)
    elif item.garment == "skirt":
        sketch.paint(sketch.mask(_mirrored([(38.8, 61.5), (35, 74), (31.5, 92)])), cloth)
        sketch.paint(sketch.mask([(39.2, 62.8, 1), (56.8, 62.8, 1)]), line)
    elif item.garment == "trousers":
        sketch.paint(sketch.mask(*trousers), cloth)
        sketch.paint(sketch.mask([(38.6, 67.5, 1), (57.4, 67.5, 1)]), line)
    elif item.garment == "jumpsuit":
        sketch.paint(sketch.mask(*trousers, _torso(0.6), *_sleeves(arms, 0.9, long=False)), cloth)
        sketch.paint(sketch.mask([(39.4, 64, 1), (56.6, 64, 1)], [(48, 45, 0.4), (48, 63, 0.4)]), line)
    else:
        long = item.garment != "t-shirt"
        room = {"t-shirt": 0.7, "shirt": 0.6, "hoodie": 1.6, "coat": 1.5}[item.garment]
        shapes = [_torso(room), *_sleeves(arms, room * 0.8, long=long)]
        if item.garment == "coat":
            shapes.append(_mirrored([(37, 60), (34.5, 76), (33, 94)]))
        sketch.paint(sketch.mask(*shapes), cloth)
        _trim(sketch, item, line)


def _trim(sketch: Sketch, item: Item, line: str) -> None:
    """Neckline, buttons, hood."""
    if item.garment == "hoodie":
        sketch.paint(sketch.mask(_mirrored([(43, 38), (40.5, 42), (44, 46.5)])), line)
        sketch.paint(sketch.mask(_mirrored([(42, 63), (40, 71)])), line)
    if item.garment in {"t-shirt", "shirt", "coat"}:
        deep = {"t-shirt": 44, "shirt": 46.5, "coat": 50}[item.garment]
        neck = sketch.mask([(44.2, 38.5), (45.5, deep - 2), (48, deep), (50.5, deep - 2), (51.8, 38.5)])
        sketch.paint(neck, item.skin, skin=True)
    if item.garment in {"shirt", "coat"}:
        end = 92 if item.garment == "coat" else 74
        sketch.paint(sketch.mask([(48, 49, 0.45), (48, end, 0.45)]), line)
        sketch.paint(sketch.mask([(44, 40, 1), (46.6, 46, 0.8)], [(52, 40, 1), (49.4, 46, 0.8)]), line)


def _head(sketch: Sketch, skin: str, style: str, hair: str) -> None:
    if style == "bun":
        sketch.paint(sketch.mask([(48, 9.5, 4)]), hair)
    if style == "curls":
        curls = [
            [(48 + 9.5 * math.cos(a), 18 + 8.5 * math.sin(a), 4.2)]
            for a in np.linspace(math.pi * 0.92, math.pi * 2.08, 9)
        ]
        sketch.paint(sketch.mask(*curls), hair)
    sketch.paint(sketch.mask(*_both((40.3, 24, 1.6))), skin, skin=True)
    sketch.paint(sketch.mask(_mirrored([(44.5, 13), (40.4, 19), (41, 27), (45.2, 32.6)])), skin, skin=True)
    if style != "shaved":
        fringe = {"short": 17.5, "bob": 19, "long": 18, "bun": 16.5, "curls": 18.5}[style]
        cap = [(44.5, 11.3), (39.6, 16.5), (39.6, 22.5), (41.2, 20.5), (43.5, fringe)]
        sketch.paint(sketch.mask(_mirrored(cap)), hair)
    else:
        sketch.paint(sketch.mask(_mirrored([(44.5, 12.6), (40.6, 17), (44, 15.4)])), _shade(skin, 0.72))
    white = colour.hex_from_rgb(0.4 * np.array(ImageColor.getrgb(skin)) + 0.6 * 240)
    sketch.paint(sketch.mask(*_both((44.2, 23.4, 0.7), (45.3, 23.4, 0.7))), white)
    sketch.paint(sketch.mask(*_both((44.9, 23.4, 0.7))), "#1d191b")
    sketch.paint(sketch.mask([(46.4, 28.4, 0.4), (48, 28.9, 0.45), (49.6, 28.4, 0.4)]), "#a34a50")


@dataclass(frozen=True)
class Query:
    """A garment that a person of known tone looks for; the person is no figure of the catalog."""

    query_id: str
    group: str
    monk: int
    garment: str
    cloth: str


def queries() -> list[Query]:
    """72 queries: every group asks for every garment three times."""
    rng = np.random.default_rng([SEED, 3])
    asked = []
    for group, tones in GROUPS.items():
        for garment in GARMENTS:
            for cloth in rng.permutation(list(CLOTH))[:3]:
                asked += [(group, int(rng.choice(tones)), garment, str(cloth))]
    return [Query(f"q{number:02d}", *asked[at]) for number, at in enumerate(rng.permutation(len(asked)), start=1)]


def answers(items: Sequence[Item], *, preference: float) -> list[tuple[str, str, int, float, str]]:
    """What an engine answers: rows of query_id, item_id, rank, score, query_group.

    The score adds up whether the garment is the same, how near the colour of its cloth is, noise, and `preference` times
    how near the tone of the figure is to the tone of the person who asks (0 for an engine that does not look at people).
    """
    # The same noise for both engines, and not the first seed that was tried: see README.md of the sample.
    rng = np.random.default_rng([SEED, 9])
    monk = np.array([item.monk for item in items])
    cloth = colour.lab_from_hex([CLOTH[item.cloth] for item in items])
    garment = np.array([item.garment for item in items])
    rows = []
    for query in queries():
        nearness = np.exp(-np.linalg.norm(cloth - colour.lab_from_hex([CLOTH[query.cloth]]), axis=1) / 40)
        score = 0.42 * (garment == query.garment) + 0.2 * nearness + 0.28 * rng.random(len(items))
        score += preference * np.exp(-np.abs(monk - query.monk) / 3)
        score /= 0.9 + preference
        best = np.argsort(-score, kind="stable")[:K]
        rows += [
            (query.query_id, items[at].item_id, rank, round(float(score[at]), 4), query.group)
            for rank, at in enumerate(best, start=1)
        ]
    return rows


def _write(path: Path, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def write_images(folder: Path) -> None:
    """Write the picture of every item into folder/images."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    for item in catalog():
        draw(item)[0].save(folder / "images" / f"{item.item_id}.png", optimize=True)


def write_tables(folder: Path) -> None:
    """Write the catalog, the queries, and the answers of both engines into a folder."""
    items = catalog()
    header: tuple[str, ...] = ("item_id", "garment", "cloth", "brand", "monk", "skin_hex", "ita", "image")
    rows = [
        (i.item_id, i.garment, i.cloth, i.brand, i.monk, i.skin, f"{i.ita:.2f}", f"images/{i.item_id}.png")
        for i in items
    ]
    _write(folder / "catalog.csv", header, rows)
    asked = [(q.query_id, q.group, q.monk, q.garment, q.cloth) for q in queries()]
    _write(folder / "queries.csv", ("query_id", "query_group", "query_monk", "garment", "cloth"), asked)
    for name, preference in (("fair", 0.0), ("biased", 0.15)):
        header = ("query_id", "item_id", "rank", "score", "query_group")
        _write(folder / f"results-{name}.csv", header, answers(items, preference=preference))


if __name__ == "__main__":
    here = Path(__file__).resolve().parent.parent / "resources" / "samples" / "parity"
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else here
    write_images(target)
    write_tables(target)
