"""`auditor parity`, `auditor power` and `auditor monitor`: tests of result lists for a protected attribute."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from auditor import console
from auditor.audits.parity import Spec
from auditor.case import Case
from auditor.case.case import default_folder
from auditor.errors import InputError
from auditor.resources import resource
from auditor.runs.executor import LOCAL

if TYPE_CHECKING:
    from auditor.audits.parity import power as planning

#: Option whose name is not that of the spec's field.
_OPTIONS = {
    "more_attributes": "--more-attribute",
    "levels": "--level",
    "more_k": "--more-k",
    "group_order": "--group-order",
    "merge_groups": "--merge-group",
    "sentinels": "--missing",
    "preset": "--format",
    "mapping": "--map",
}


#: How the value of an option is written, where a message names one.
_FORMS = {"mapping": " FIELD=COLUMN"}


def _field(name: str) -> str:
    return Spec.model_fields[name].description or ""


def _choices(name: str) -> str:
    return ", ".join(get_args(Spec.model_fields[name].annotation))


def _default(name: str) -> Any:
    return Spec.model_fields[name].default


def parity(
    file: Annotated[Path, typer.Argument(help="Search results: CSV, JSON, JSON Lines, Parquet, TREC run, or answers.")],
    catalog: Annotated[
        Path | None, typer.Option(help="A table with a row for each item: item_id, attribute, …")
    ] = None,
    queries: Annotated[Path | None, typer.Option(help="A table with a row for each query: query_id, group, …")] = None,
    annotations: Annotated[Path | None, typer.Option(help="A table of judgements: item_id, rater, label.")] = None,
    shares: Annotated[Path | None, typer.Option(help="A table of the share that each level should have.")] = None,
    query_group: Annotated[str, typer.Option(help=_field("query_group"))] = "",
    attribute: Annotated[str, typer.Option(help=_field("attribute"))] = "",
    more_attribute: Annotated[list[str] | None, typer.Option(help="A further attribute; repeatable.")] = None,
    scale: Annotated[str, typer.Option(help=_field("scale") + " One of: nominal, ordinal, ita.")] = _default("scale"),
    level: Annotated[list[str] | None, typer.Option(help="A level, in order; repeatable.")] = None,
    colour: Annotated[str, typer.Option(help=_field("colour") + " One of: degrees, hex, rgb, lab.")] = _default(
        "colour"
    ),
    mode: Annotated[str, typer.Option(help=_field("mode") + " One of: auto, A, B, C1, C2.")] = _default("mode"),
    k: Annotated[int | None, typer.Option("--k", help=_field("k"))] = None,
    more_k: Annotated[list[int] | None, typer.Option("--more-k", help="A further cut-off; repeatable.")] = None,
    strata: Annotated[list[str] | None, typer.Option(help="A column of strata; repeatable.")] = None,
    weights: Annotated[str, typer.Option(help=_field("weights") + " One of: uniform, rank.")] = _default("weights"),
    statistic: Annotated[str, typer.Option(help=f"{_field('statistic')} One of: {_choices('statistic')}.")] = _default(
        "statistic"
    ),
    margin: Annotated[float | None, typer.Option(help=_field("margin"))] = None,
    alpha: Annotated[float, typer.Option(help=_field("alpha"))] = _default("alpha"),
    confidence: Annotated[float, typer.Option(help=_field("confidence"))] = _default("confidence"),
    permutations: Annotated[int, typer.Option(help=_field("permutations"))] = _default("permutations"),
    sequential: Annotated[bool, typer.Option("--sequential", help=_field("sequential"))] = False,
    group_order: Annotated[list[str] | None, typer.Option(help="A query group, in order; repeatable.")] = None,
    merge_group: Annotated[list[str] | None, typer.Option(help="GROUP=INTO, repeatable.")] = None,
    smallest_group_share: Annotated[float, typer.Option(help=_field("smallest_group_share"))] = _default(
        "smallest_group_share"
    ),
    rank_gaps: Annotated[str, typer.Option(help=_field("rank_gaps") + " One of: keep, re-rank.")] = _default(
        "rank_gaps"
    ),
    missing: Annotated[list[str] | None, typer.Option(help="A value that means missing; repeatable.")] = None,
    consensus: Annotated[str, typer.Option(help=_field("consensus") + " One of: median, majority, expert.")] = _default(
        "consensus"
    ),
    expert: Annotated[str, typer.Option(help=_field("expert"))] = "",
    smoothing: Annotated[float, typer.Option(help=_field("smoothing"))] = _default("smoothing"),
    c2_method: Annotated[
        str, typer.Option("--c2-method", help=_field("c2_method") + " One of: sign-flip, bootstrap-t.")
    ] = _default("c2_method"),
    power_target: Annotated[float, typer.Option(help=_field("power_target"))] = _default("power_target"),
    sensitivity: Annotated[bool, typer.Option(help=_field("sensitivity"))] = _default("sensitivity"),
    image_folder: Annotated[
        str,
        typer.Option(
            help=_field("image_folder") + " Default: the folder of the table with a column of images, if one has it."
        ),
    ] = "",
    pictures: Annotated[bool, typer.Option(help=_field("pictures"))] = _default("pictures"),
    system: Annotated[str, typer.Option(help=_field("system"))] = "",
    sampling_window: Annotated[str, typer.Option(help=_field("sampling_window"))] = "",
    annotation_protocol: Annotated[str, typer.Option(help=_field("annotation_protocol"))] = "",
    preset: Annotated[
        str,
        typer.Option(
            "--format", help=_field("preset") + " One of: auto, long, trec, elasticsearch, milvus, faiss, vespa."
        ),
    ] = _default("preset"),
    column: Annotated[
        list[str] | None, typer.Option("--map", help="FIELD=COLUMN, repeatable; fields: query_id, item_id, rank, …")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of permutations and bootstrap.")] = 0,
    on: Annotated[str, typer.Option("--on", help=console.ON)] = LOCAL,
    case: Annotated[Path | None, typer.Option(help="Case folder, made if missing. Default: ./auditor-case.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")] = False,
) -> None:
    """Test whether search results depend on a protected attribute: distribution parity, after Khaziev et al."""
    asked = {
        "preset": preset,
        "mapping": _pairs(column, "--map", "FIELD=COLUMN"),
        "attribute": attribute,
        "more_attributes": more_attribute or (),
        "scale": scale,
        "levels": level or (),
        "colour": colour,
        "query_group": query_group,
        "group_order": group_order or (),
        "merge_groups": _pairs(merge_group, "--merge-group", "GROUP=INTO"),
        "mode": mode,
        "k": k,
        "more_k": more_k or (),
        "strata": strata or (),
        "weights": weights,
        "statistic": statistic,
        "margin": margin,
        "alpha": alpha,
        "confidence": confidence,
        "permutations": permutations,
        "sequential": sequential,
        "rank_gaps": rank_gaps,
        "sentinels": missing or (),
        "consensus": consensus,
        "expert": expert,
        "smallest_group_share": smallest_group_share,
        "smoothing": smoothing,
        "c2_method": c2_method,
        "power_target": power_target,
        "sensitivity": sensitivity,
        "image_folder": str(Path(image_folder).resolve()) if image_folder else "",
        "pictures": pictures,
        "system": system,
        "sampling_window": sampling_window,
        "annotation_protocol": annotation_protocol,
    }
    given = {
        "results": file,
        "catalog": catalog,
        "queries": queries,
        "shares": shares,
        "annotations": annotations,
    }
    inputs = {role: path for role, path in given.items() if path is not None}
    raise typer.Exit(carry_out(inputs, asked, case or default_folder(), seed, on=on, as_json=as_json))


def _pairs(given: list[str] | None, option: str, form: str) -> dict[str, str]:
    found = {}
    for pair in given or []:
        name, sign, value = pair.partition("=")
        if not sign or not name.strip() or not value.strip():
            raise InputError(f"It is written {form}", column=option, value=pair)
        found[name.strip()] = value.strip()
    return found


def carry_out(
    inputs: dict[str, Path], asked: dict[str, Any], case_path: Path, seed: int, *, on: str = LOCAL, as_json: bool
) -> int:
    """Make the run, carry it out and print what came out; returns the exit code."""
    console.require_executor(on)
    spec = prepared(inputs, asked)
    with console.open_or_create(case_path) as case:
        run = case.new_run("parity", spec.model_dump(mode="json"), inputs, {}, seed=seed, executor=on)
        code = console.carry_out(case, run)
        if code == console.DONE:
            console.print_outcome(case, run, as_json=as_json)
        return code


def demonstrate(engine: str, case_path: Path) -> int:
    """Audit the drawn sample: the same 72 queries answered by a fair engine and by a biased one."""
    inputs = {
        "results": resource("samples", "parity", f"results-{engine}.csv"),
        "catalog": resource("samples", "parity", "catalog.csv"),
    }
    asked = {
        "attribute": "ita",
        "scale": "ita",
        "margin": 12.0,
        "group_order": ("light", "medium", "dark"),
        "more_k": (5, 10),
        "image_folder": str(resource("samples", "parity")),
        "pictures": True,  # drawn by the project: nobody's face
        "system": f"A search engine made up for this sample, {engine} by construction.",
        "sampling_window": "Drawn by a program; no people are shown.",
        "annotation_protocol": "The tone of each drawn figure is the one that it was drawn with.",
    }
    return carry_out(inputs, asked, case_path, 0, as_json=False)


def checked(asked: dict[str, Any]) -> Spec:
    """The spec, or a sentence that names the option.

    Raises
    ------
    InputError
        If a value is not possible.
    """
    from auditor.audits.parity.settings import checked as from_fields

    return from_fields(asked, _option)


def _option(field: str) -> str:
    return _OPTIONS.get(field, "--" + field.replace("_", "-"))


def prepared(inputs: dict[str, Path], asked: dict[str, Any]) -> Spec:
    """The spec of a run, once everything was read as the run will read it; what is wrong is said before there is a case.

    Raises
    ------
    InputError
        If a setting or a file cannot be used.
    """
    from auditor.audits import InputFile
    from auditor.audits.parity.check import declared
    from auditor.audits.parity.settings import told

    spec = checked(asked)
    console.require_files(inputs.values())
    try:
        results, _, _ = declared({role: InputFile(path, path.name, "") for role, path in inputs.items()}, spec)
    except InputError as error:
        raise told(error, lambda field: _option(field) + _FORMS.get(field, "")) from None
    # A run keeps copies of the files elsewhere: paths in a column of images are meant from where its table lies.
    folder = results.image_folder
    return spec.model_copy(update={"image_folder": str(Path(folder).resolve())}) if folder else spec


def power(
    queries: Annotated[int | None, typer.Option(help="Queries, Q. Default: 200.")] = None,
    k: Annotated[float, typer.Option("--k", help="Results of each query that count, K.")] = 10,
    catalog_size: Annotated[
        int | None, typer.Option(help="Items of a catalog of which every one is a query; instead of --queries.")
    ] = None,
    group_share: Annotated[
        float | None, typer.Option(help="Share of the queries that belong to the first group, q. Default: 0.5.")
    ] = None,
    attribute_share: Annotated[float, typer.Option(help="Share of its attribute among the items, pi.")] = 0.5,
    icc: Annotated[float, typer.Option(help="Intra-list correlation of the attribute, 0 to 1.")] = 0.0,
    alpha: Annotated[float, typer.Option(help=_field("alpha"))] = _default("alpha"),
    target: Annotated[float, typer.Option("--power", help=_field("power_target"))] = _default("power_target"),
    simulations: Annotated[
        int,
        typer.Option("--simulate", min=0, max=20_000, help="Simulated data sets at each bias. 0: the formula alone."),
    ] = 0,
    curve: Annotated[
        list[str] | None,
        typer.Option(help="What a curve varies: n_items, n_queries, k, q, pi, icc or beta; repeatable. Default: none."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the simulations.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")] = False,
) -> None:
    """Say how large a bias a parity test of a given size would detect, before there are any data."""
    from auditor.audits.parity import power as planning

    asked = _design(queries, k, catalog_size, group_share, attribute_share, icc, alpha, target)
    names = [_curve(name) for name in curve or []]
    found = planning.power_analysis(
        asked, curves=names, n_simulations=simulations, seed=seed, progress=_meter if simulations else None
    )
    if as_json:
        console.out(json.dumps(found.as_dict(), ensure_ascii=False, allow_nan=False))
        return
    console.out(found.sentence)
    for row in found.rows:
        bias = "" if row.x_name == "beta" else f"detectable bias {_slots(row.detectable)}, "
        x = f"{row.x:,.0f}" if row.x == round(row.x) else f"{row.x:.4g}"
        console.out(f"{planning.X_TITLES[row.x_name]}, {x}: {bias}power {row.power:.3f} ({row.kind})")
    for note in found.notes:
        console.out(f"Note: {note}")


def _design(
    queries: int | None,
    k: float,
    catalog_size: int | None,
    group_share: float | None,
    attribute_share: float,
    icc: float,
    alpha: float,
    target: float,
) -> "planning.Design":
    """The planned audit; where every item is a query, the catalog's size and shares are those of the queries."""
    from auditor.audits.parity import power as planning

    every_item = catalog_size is not None
    for option, given in (("--queries", queries), ("--group-share", group_share)):
        if every_item and given is not None:
            raise InputError(
                f"{option}: with --catalog-size every item of the catalog is a query, so that this says nothing",
                value=given,
                fix=f"Leave out {option} or --catalog-size.",
            )
    options = {"n_queries": "--catalog-size" if every_item else "--queries", "q": "--group-share"}
    options |= {"pi": "--attribute-share", "k": "--k", "icc": "--icc", "alpha": "--alpha", "power": "--power"}
    share = 0.5 if group_share is None else group_share
    try:
        return planning.Design(
            n_queries=catalog_size if catalog_size is not None else 200 if queries is None else queries,
            k=k,
            q=attribute_share if every_item else share,
            pi=attribute_share,
            icc=icc,
            alpha=alpha,
            power=target,
        )
    except InputError as error:
        named = options.get(error.column or "", error.column)
        raise InputError(f"{named}: {error.problem}", value=error.value, fix=error.fix) from None


def _slots(bias: float | None) -> str:
    return "none" if bias is None else f"{100 * bias:.1f}% of slots"


def _curve(name: str) -> Any:
    from auditor.audits.parity.power import X_TITLES

    if name not in X_TITLES:
        raise InputError("There is no such curve", column="--curve", value=name, fix=f"One of: {', '.join(X_TITLES)}.")
    return name


def _meter(done: int, total: int) -> None:
    console.say(f"Simulating: {done} of {total}")


def monitor(
    case: Annotated[Path, typer.Argument(help="The case folder.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")] = False,
) -> None:
    """Show the evidence over a case's parity runs, for each question: fresh queries only, valid whenever it is looked at."""
    from auditor.audits.parity.monitor_runs import over_runs
    from auditor.report.over_time import finished

    with Case.open(case, write=False) as opened:
        followed = over_runs(finished(opened, "parity"))
    found = followed.as_dict()
    if as_json:
        console.out(json.dumps(found, ensure_ascii=False, allow_nan=False))
        return
    console.out(found["sentence"])
    for question in found["questions"]:
        if len(found["questions"]) > 1:
            console.out(f"\n{question['sentence']}")
        for batch in question["batches"]:
            console.out(f"{batch['date']}  {batch['n']:,} observations  e-value {batch['e_value']:.4g}")
    for note in followed.notes:
        console.out(note)
