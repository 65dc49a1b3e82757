"""Questions of the annotation desk; see `auditor.tasks`."""

import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auditor.audits import InputFile
from auditor.audits.parity.tones import LEVELS
from auditor.case import Case
from auditor.case.store import Record
from auditor.column_files import write_columns
from auditor.errors import CaseError, InputError
from auditor.files import sha256_of, write_atomic

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from auditor.audits.parity.annotation import Annotations
    from auditor.audits.parity.data import Results

Question = Mapping[str, Any]
Progress = Callable[[int, int, str], None]
#: Longest side, pixels, of the image in a cell and of the one that is looked at.
SMALL, LARGE = 256, 1200
#: Seed of the bootstrap behind the interval of alpha: the same annotations show the same interval.
_SEED = 0
#: What lies outside the skin mask is dimmed by this much of 255, and the mask's edge is drawn (ours).
_DIMMED, _EDGE = 150, (0, 200, 255, 255)


def annotation_sheet(asked: Question, progress: Progress) -> Any:
    """Results as a contact sheet, in column files: queries, slots, items, and the order in which items first stand."""
    from auditor.audits.parity import inputs
    from auditor.audits.parity.spec import ParitySpec

    files = {role: InputFile(Path(asked[role]), Path(asked[role]).name, "") for role in _ROLES if asked.get(role)}
    progress(0, 0, "Reading results")
    results = inputs.read_slots(files, ParitySpec.model_validate(asked["options"]))
    folder = Path(asked["folder"])
    answer: dict[str, Any] = {}
    for name, table in _sheet_tables(results).items():
        (folder / name).mkdir()
        columns = [{"name": column, "title": column, "description": ""} for column in table.column_names]
        answer[name] = write_columns(table, columns, folder / name)
    return {**answer, "cautions": [caution.message for caution in results.cautions]}


_ROLES = ("results", "catalog", "queries")


def _sheet_tables(results: "Results") -> "dict[str, pa.Table]":
    import numpy as np
    import pyarrow as pa

    ends = np.cumsum(np.bincount(results.query, minlength=results.n_queries))
    shown, first = np.unique(results.item, return_index=True)
    order = np.sort(first)
    place = np.full(results.n_items, -1)
    place[shown] = np.searchsorted(order, first)
    images = [results.images.get(item, "") for item in range(results.n_items)]
    return {
        "queries": pa.table({"query_id": list(results.query_ids), "end": ends}),
        "slots": pa.table({"item": results.item, "rank": results.rank}),
        "items": pa.table({"item_id": list(results.item_ids), "image": list(map(str, images)), "place": place}),
        "order": pa.table({"slot": order}),
    }


def annotation_images(asked: Question, progress: Progress) -> Any:
    """Small and large copies of images for the window, which opens none that it did not get from here."""
    from auditor.audits.parity.images import open_image

    folder, found = Path(asked["folder"]), {}
    for done, (item, name) in enumerate(asked["images"].items()):
        progress(done, len(asked["images"]), "Reading images")
        path = Path(name)
        try:
            pixels = open_image(path, name=path.name).pixels
        except InputError as error:
            found[item] = {"problem": str(error)}
            continue
        files = {"small": folder / f"{item}-small.png", "large": folder / f"{item}-large.png"}
        for kind, side in (("small", SMALL), ("large", LARGE)):
            write_atomic(files[kind], _png(pixels, side))
        found[item] = {kind: str(file) for kind, file in files.items()} | {"sha256": sha256_of(path), "problem": ""}
    return found


def _png(pixels: "NDArray[np.uint8]", side: int) -> bytes:
    from PIL import Image

    image = Image.fromarray(pixels)
    image.thumbnail((side, side))
    out = io.BytesIO()
    image.save(out, "PNG", compress_level=1)
    return out.getvalue()


def annotation_measure(asked: Question, _progress: Progress) -> Any:
    """A proposal of a tone from an image, through a mask that is drawn for the window to show."""
    from auditor.audits.parity.images import open_image
    from auditor.audits.parity.skin import Correction, measure

    path = Path(asked["image"])
    opened = open_image(path, name=path.name)
    pixels = opened.pixels
    corrections = [Correction.model_validate(correction) for correction in asked.get("corrections", ())]
    found = measure(pixels, corrections=corrections)
    overlay = Path(asked["folder"]) / asked["overlay"]
    write_atomic(overlay, _overlay(found.mask))
    told = [found.sentence, *_cautions_of(opened.profile, found.lab if found.found else None)]
    answer = {"found": found.found, "overlay": str(overlay), "sentence": " ".join(told)}
    if not found.found:
        return answer
    value = _proposed(asked["scale"], found.monk, found.ita_degrees)
    if asked["scale"] == "fitzpatrick":
        answer["sentence"] = " ".join([told[0], f"Type {value} by the class of the angle (ours).", *told[1:]])
    return {
        **answer,
        "value": value,
        "ita_degrees": found.ita_degrees,
        "colour": found.hex,
    }


def _cautions_of(profile: str, lab: tuple[float, float, float] | None) -> list[str]:
    """What makes a measurement doubtful: colours that were assumed, and a colour that skin seldom has."""
    from auditor.audits.parity.colour import caution_of_blue
    from auditor.audits.parity.images import caution_of_profiles

    found = [
        caution_of_profiles(int(profile == "assumed"), int(profile == "unreadable")),
        None if lab is None else caution_of_blue([lab]),
    ]
    return [caution.message for caution in found if caution is not None]


def _proposed(scale: str, monk: int, ita_degrees: float) -> str:
    if scale == "monk":
        return LEVELS["monk"][monk - 1]
    from auditor.audits.parity.colour import ita_level

    # Six classes of the angle for six types, from dark to very light (ours): the types say how skin burns and tans,
    # which no image shows.
    return LEVELS["fitzpatrick"][5 - int(ita_level(ita_degrees))]


def _overlay(mask: "NDArray[np.bool_]") -> bytes:
    import numpy as np
    from PIL import Image

    small = np.asarray(_shrunk(mask))
    inner = small.copy()
    inner[1:] &= small[:-1]
    inner[:-1] &= small[1:]
    inner[:, 1:] &= small[:, :-1]
    inner[:, :-1] &= small[:, 1:]
    drawn = np.zeros((*small.shape, 4), dtype=np.uint8)
    drawn[~small] = (0, 0, 0, _DIMMED)
    drawn[small & ~inner] = _EDGE
    out = io.BytesIO()
    Image.fromarray(drawn).save(out, "PNG", compress_level=1)
    return out.getvalue()


def _shrunk(mask: "NDArray[np.bool_]") -> Any:
    from PIL import Image

    image = Image.fromarray(mask)
    scale = min(1.0, LARGE / max(image.size))
    return image.resize((max(1, round(image.width * scale)), max(1, round(image.height * scale))))


def annotation_agreement(asked: Question, _progress: Progress) -> Any:
    """How far the raters of a case agree."""
    from auditor.audits.parity.annotation import agreement

    found = agreement(_of_case(_records(asked), asked["scale"]), seed=_SEED)
    return {"alpha": found.alpha, "low": found.low, "high": found.high, "sentence": found.sentence}


def annotation_export(asked: Question, _progress: Progress) -> Any:
    """Save the annotations of a case as a table, which is an input of a parity run."""
    from auditor.audits.parity.annotation_file import write

    records = _records(asked)
    if not records:
        raise CaseError("There are no annotations to save yet.")
    rows = [{**record.body, "item_id": record.body["item"]} for record in records]
    write_atomic(Path(asked["path"]), write(rows))
    return {"path": asked["path"], "n": len(rows)}


def _records(asked: Question) -> list[Record]:
    with Case.open(Path(asked["case"]), write=False) as case:
        return case.annotations(asked["attribute"], asked["scale"])


def _of_case(records: list[Record], scale: str) -> "Annotations":
    from auditor.audits.parity.annotation import UNSURE, from_rows
    from auditor.audits.parity.data import Scale

    levels = next(levels for name, levels in LEVELS.items() if name == scale)
    number = {level: place for place, level in enumerate(levels)}
    return from_rows(
        [(record.body["item"], record.body["rater"], number.get(record.body["value"], UNSURE)) for record in records],
        Scale("ordinal", levels),
    )


TASKS = (annotation_sheet, annotation_images, annotation_measure, annotation_agreement, annotation_export)
