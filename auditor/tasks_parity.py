"""Questions of the desktop about parity; see `auditor.tasks`."""

import base64
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auditor.audits import InputFile, parity
from auditor.case import Case
from auditor.errors import InputError, RunError
from auditor.report.over_time import finished
from auditor.report.pictures import rendered, save
from auditor.runs.clock import duration
from auditor.runs.directory import RunDirectory

if TYPE_CHECKING:
    from auditor.audits import Picture
    from auditor.audits.parity.monitor_runs import Followed
    from auditor.audits.parity.power import PowerAnswer

Question = Mapping[str, Any]
Progress = Callable[[int, int, str], None]

#: Slots of one query that are shown, and the longest side of their pictures.
_MOST_SLOTS, _SIDE = 200, 160
#: Data sets of a simulated point of a power curve, and such points of a curve.
_SIMULATIONS, _POINTS = 400, 4


def parity_check(asked: Question, _progress: Progress) -> Any:
    """What a run would test, read as the run will read it, and what it would cost.

    Asked: files (role -> path), spec.
    """
    import psutil

    from auditor.audits.parity.check import check
    from auditor.audits.parity.settings import checked

    spec = checked(asked["spec"])
    files = {role: InputFile(Path(path), Path(path).name, "") for role, path in asked["files"].items()}
    found = asdict(check(files, spec))
    fits = found["memory_bytes"] < psutil.virtual_memory().available
    memory = f"{found['memory_bytes'] / 1024**2:,.0f} MiB of memory"
    sentence = f"About {duration(found['seconds'])} on this machine, {memory}."
    if not fits:
        sentence = f"It needs about {memory}, more than is free: close other programs."
    return {**found, "fits": fits, "sentence": sentence}


def parity_power(asked: Question, progress: Progress) -> Any:
    """Detectable bias before there are data.

    Asked: n_queries, k, catalog_size, share_of_group, share_of_attribute, icc, alpha, power, every_item_is_query,
    simulate, theme.
    """
    found = _planned(asked, progress)
    return {
        "sentence": found.sentence,
        "notes": list(found.notes),
        "detectable": found.detectable_bias,
        "detectable_two_sided": found.detectable_bias_two_sided,
        "simulated": None if found.simulated is None else asdict(found.simulated),
        "pictures": [asdict(rendered(picture)) for picture in _power_pictures(found, asked["theme"])],
    }


def parity_power_export(asked: Question, progress: Progress) -> Any:
    """Save a picture of `parity_power`, or its data."""
    found = _planned(asked, progress)
    save(_power_pictures(found, asked["theme"]), asked["name"], Path(asked["path"]))
    return {"path": asked["path"]}


def _planned(asked: Question, progress: Progress) -> "PowerAnswer":
    from auditor.audits.parity.power import Design, power_analysis

    every = bool(asked.get("every_item_is_query"))
    share = float(asked["share_of_attribute"])
    design = Design(
        n_queries=int(asked["catalog_size"] if every else asked["n_queries"]),
        k=float(asked["k"]),
        # Where every item is a query, the group's share of the queries is its share of the items.
        q=share if every else float(asked["share_of_group"]),
        pi=share,
        icc=float(asked["icc"]),
        alpha=float(asked["alpha"]),
        power=float(asked["power"]),
    )
    return power_analysis(
        design,
        # Where every item is a query, Q and q follow from the catalog and the share of the tone, and vary with them only.
        curves=("n_items", "k", "icc", "beta") if every else ("n_queries", "k", "q", "pi", "icc", "beta"),
        n_simulations=_SIMULATIONS if asked.get("simulate") else 0,
        most_points=_POINTS,
        progress=lambda done, total: progress(done, total, "Simulating"),
    )


def _power_pictures(found: "PowerAnswer", theme: str) -> "Iterator[Picture]":
    from auditor.audits.parity.figures import power_pictures

    return power_pictures(found, theme)


def parity_query(asked: Question, _progress: Progress) -> Any:
    """Results of one query, for the contact sheet: tones, and pictures where they can be opened.

    Asked: run_dir, query_id.
    """
    run = RunDirectory(Path(asked["run_dir"]))
    found = _rows(run, "queries", asked["query_id"])
    if not found:
        raise RunError(f"The run has no query {asked['query_id']!r}.")
    query = found[0]
    slots = _rows(run, "slots", asked["query_id"])
    scale = run.findings()["scale"]
    unit = next(info for info in run.findings()["tables"] if info["name"] == "queries")["columns"]
    described = next(column["description"] for column in unit if column["name"] == "value")
    return {
        "query_id": query["query_id"],
        "group": query["group"],
        "deviation": query["deviation"],
        "value": query["value"],
        "unit": described.partition(": ")[2].rstrip("."),
        "n_slots": query["n_slots"],
        "slots": [_slot(slot, scale) for slot in slots[:_MOST_SLOTS]],
    }


def _rows(run: RunDirectory, table: str, query_id: str) -> list[dict[str, Any]]:
    import pyarrow.parquet as pq

    found = pq.read_table(run.table_files()[table], filters=[("query_id", "=", query_id)])
    rows: list[dict[str, Any]] = found.to_pylist()
    return rows


def _slot(slot: Mapping[str, Any], scale: Mapping[str, Any]) -> dict[str, Any]:
    shown = {name: slot[name] for name in ("rank", "item_id", "level", "value", "image")} | {"hue": slot.get("hue")}
    return {**shown, "colour": _colour(slot, scale), "thumbnail": _thumbnail(slot["image"])}


def _colour(slot: Mapping[str, Any], scale: Mapping[str, Any]) -> str | None:
    if slot["value"] is not None:
        from auditor.audits.parity.colour import swatch_of_ita

        return str(swatch_of_ita(slot["value"]))
    from auditor.audits.parity.tones import scale_of, swatch

    kind = scale_of(tuple(scale["levels"]))
    return None if kind is None or slot["level"] is None else swatch(kind, slot["level"])


def _thumbnail(path: str | None) -> str | None:
    """A small PNG as base64; None where there is no image, or it cannot be opened."""
    if path is None:
        return None
    from auditor.audits.parity.images import thumbnail_png

    try:
        return base64.b64encode(thumbnail_png(Path(path), side=_SIDE)).decode()
    except (InputError, OSError):
        return None


def parity_monitor(asked: Question, _progress: Progress) -> Any:
    """Evidence over the parity runs of a case, with a picture for each question, that of a run first.

    Asked: case, run (its id, empty for none), theme.
    """
    found = _followed(asked)
    pictures = [asdict(rendered(picture)) for picture in _monitor_pictures(found, asked)]
    return {"sentences": (*found.sentences(asked["run"]), *found.notes), "pictures": pictures}


def parity_monitor_export(asked: Question, _progress: Progress) -> Any:
    """Save a picture of `parity_monitor`, or its data."""
    save(_monitor_pictures(_followed(asked), asked), asked["name"], Path(asked["path"]))
    return {"path": asked["path"]}


def _followed(asked: Question) -> "Followed":
    from auditor.audits.parity.monitor_runs import over_runs

    with Case.open(Path(asked["case"]), write=False) as case:
        return over_runs(finished(case, parity.name))


def _monitor_pictures(found: "Followed", asked: Question) -> "Iterator[Picture]":
    from auditor.audits.parity.figures import monitor_pictures

    for number, one in enumerate(found.ordered(asked["run"]), 1):
        name = "evidence" if number == 1 else f"evidence_{number}"
        yield from monitor_pictures(one.evidence, asked["theme"], name=name)


TASKS: tuple[Callable[[Question, Progress], Any], ...] = (
    parity_check,
    parity_power,
    parity_power_export,
    parity_query,
    parity_monitor,
    parity_monitor_export,
)
