"""What a report says of a run. Knows no audit."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from auditor import audits
from auditor.audits import Audit, FollowedOverTime
from auditor.case import Case
from auditor.errors import InputError
from auditor.files import sha256_of
from auditor.models.starter import STARTER_WARNING
from auditor.report.blocks import Block, Bullets, Content, Drawing, Facts, Grid, Heading, Section, Text, clean, number
from auditor.report.over_time import beside_runs, over_time
from auditor.report.people import people_found, people_in_run
from auditor.report.pictures import Rendered, render, rendered
from auditor.report.tables import MOST_ROWS, is_whole, printed
from auditor.runs.contract import Host, RunSpec
from auditor.runs.directory import RunDirectory
from auditor.runs.executor import LOCAL
from auditor.sizes import size_words

#: More raters than this are counted, not named.
_MAX_NAMES = 12
_TAMPER = (
    "The case is tamper-evident: the seal holds the hash of every file of the run, and each link of the evidence chain "
    "the hash of the one before. The chain's head is recorded here because removing the last run together with its "
    "link shows only against a head kept elsewhere: `auditor verify CASE --head HEAD` compares."
)


def collect(case: Case, run: RunDirectory) -> Content:
    """Gather what a report says of a run.

    Raises
    ------
    RunError
        If the run has no findings.
    AuditorError
        If the audit is not installed.
    """
    asked = run.spec()
    audit = audits.get(asked.audit)
    raw = run.findings()
    findings = audit.FindingsType.model_validate(raw)
    sealed = run.seal()
    time = sealed.sealed if sealed else asked.created
    models = ", ".join(f"{model.name} ({model.quantisation})" for model in asked.models.values()) or "none"
    facts = (
        ("Case", case.title, False),
        ("Run", asked.run, True),
        ("Units", f"{findings.n:,}", False),
        ("Model", models, False),
        ("Sealed", time if sealed else "not sealed", False),
        ("Chain head", case.head(), True),
    )
    sections = (
        Section("purpose", "Purpose", (Text(clean(audit.purpose)),)),
        Section("results", "Results", tuple(_results(run, audit, findings, render(run, "light")))),
        Section("warnings", "Warnings", (_bullets((c.message for c in findings.warnings), "No warnings."),)),
        Section("limitations", "Limitations", (_bullets(findings.limitations, "None stated."),)),
        Section("inputs", "Inputs", tuple(_inputs(asked, audit))),
        Section("model", "Model", tuple(_models(asked))),
        Section("settings", "Settings", (_settings(asked, audit.Spec),)),
        Section("method", "Method", tuple(_method(audit, findings))),
        Section("people", "Human judgements", tuple(_people(case, run, people_in_run(asked, findings)))),
        *_over_time(case, run),
        Section("evidence", "Evidence", tuple(_evidence(case, run, asked))),
        Section("software", "Software and machine", (_software(asked, findings.provenance),)),
    )
    return Content(
        title=f"{audit.title}: audit report",
        subtitle=clean(case.title),
        verdict=clean(findings.verdict.sentence),
        alert=STARTER_WARNING if any(model.is_starter for model in asked.models.values()) else "",
        time=time,
        facts=_facts(facts),
        sections=sections,
    )


def _bullets(items: Iterable[object], none: str) -> Bullets | Text:
    found = tuple(clean(item) for item in items)
    return Bullets(found) if found else Text(none)


def _facts(rows: Iterable[tuple[str, object, bool]]) -> Facts:
    return Facts(tuple((clean(label), clean(value), mono) for label, value, mono in rows))


def _results(run: RunDirectory, audit: Audit, findings: Any, pictures: Sequence[Rendered]) -> Iterable[Block]:
    words = getattr(audit, "headline_words", None)  # optional: (what, value with its unit) pairs
    yield from [_facts((*pair, False) for pair in words(findings))] if words else _headline(findings.headline)
    for picture in pictures:
        yield _drawing(picture)
    files = {
        info.name: (info, run.table_files()[info.name]) for info in findings.tables if info.name in run.table_files()
    }
    beside = []
    for info, path in files.values():
        if info.rows and (grid := printed(info, path)):
            yield grid
        if info.rows and not is_whole(info):
            beside.append((info.title, f"{info.rows:,} rows in tables/{path.name}, SHA-256 {sha256_of(path)}", True))
    if beside:
        yield Heading("Tables kept beside this report")
        yield _facts(beside)


def _drawing(picture: Rendered) -> Drawing:
    return Drawing(clean(picture.name), clean(picture.title), clean(picture.description), picture.svg)


def _headline(headline: Mapping[str, Any]) -> Iterable[Block]:
    plain = [(_words(key), number(value), False) for key, value in headline.items() if not isinstance(value, dict)]
    yield _facts(plain)
    for key, value in headline.items():
        if isinstance(value, dict) and value and all(isinstance(part, dict) for part in value.values()):
            names = list(next(iter(value.values())))
            rows = tuple((_words(name), *(number(part.get(n)) for n in names)) for name, part in value.items())
            headers = (_words(key), *(_words(name) for name in names))
            yield Grid(_words(key), headers, (False, *(True for _ in names)), rows)
        elif isinstance(value, dict) and value:
            yield Heading(_words(key))
            yield _facts((_words(name), number(part), False) for name, part in value.items())


def _words(name: str) -> str:
    text = clean(name).replace("_", " ")
    return text[:1].upper() + text[1:]


def _inputs(asked: RunSpec, audit: Audit) -> Iterable[Block]:
    titles = {role.name: role.title for role in audit.input_roles}
    for role, record in asked.inputs.items():
        yield Heading(clean(titles.get(role, role)))
        yield _facts(
            [("File", record.name, True), ("Size", f"{record.bytes:,} bytes", False), ("SHA-256", record.sha256, True)]
        )


def _models(asked: RunSpec) -> Iterable[Block]:
    if not asked.models:
        yield Text("No model took part.")
    for role, model in asked.models.items():
        yield Heading(_words(role))
        if model.is_starter:
            yield Text(STARTER_WARNING[:1].upper() + STARTER_WARNING[1:] + ".")
        yield _facts(
            [
                ("Name", model.name, False),
                ("File", model.path.name, True),
                ("SHA-256", model.sha256, True),
                ("Size", f"{model.size_bytes:,} bytes", False),
                ("Architecture", model.architecture, False),
                ("Weights", f"{model.parameters:,}", False),
                ("Quantisation", model.quantisation, False),
                ("Trained context", f"{model.context_length:,} tokens", False),
                ("Licence, as the file states it", model.licence or "not stated", False),
            ]
        )


def _settings(asked: RunSpec, spec: type[BaseModel]) -> Facts:
    given = spec.model_validate(asked.spec).model_dump(mode="json")
    rows: list[tuple[str, object, bool]] = []
    for name, field in spec.model_fields.items():
        extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
        if not _had_a_part(extra, given):
            continue
        unit = f" {extra['unit']}" if "unit" in extra else ""
        value = given[name]
        if value is None or value == "" or value == [] or value == {}:
            shown, unit = "not set", ""
        elif isinstance(value, dict):
            shown = ", ".join(f"{key} = {part}" for key, part in value.items())
        else:
            shown = number(value)
        rows.append((field.title or name, shown + unit, False))
    return _facts([*rows, ("Seed", asked.seed, False)])


def _had_a_part(extra: Mapping[str, Any], given: Mapping[str, Any]) -> bool:
    """Whether a setting counts with what another one was set to, where it names values of one that it applies to."""
    applies: Mapping[str, Sequence[Any]] = extra.get("applies_to", {})
    return all(given[name] in values for name, values in applies.items())


def _method(audit: Audit, findings: Any) -> Iterable[Block]:
    for heading, text in audit.methods(findings):
        yield Heading(clean(heading))
        yield Text(clean(text))


def _people(case: Case, run: RunDirectory, beside: str) -> Iterable[Block]:
    name = run.path.name
    ratings = case.human_ratings(name)
    raters = sorted({str(record.body["rater"]) for record in ratings})
    by = ", ".join(raters) if len(raters) <= _MAX_NAMES else f"{len(raters):,} people"
    none = "None were given in the case." if beside else "No human ratings."
    said = f"{len(ratings):,} human ratings by {by}." if ratings else none
    yield Text(clean(f"{said} {beside}".rstrip()))
    if ratings:
        yield from _agreement(case, run)
    signed = [f"{r.time}: {r.body['name']}: {r.body['statement']}" for r in case.records("sign-off", name)]
    yield Heading("Sign-offs")
    yield _bullets(signed, "Nobody has signed this run off.")
    notes = [r for r in case.records("note") if r.run in (None, name)]
    yield Heading("Notes")
    yield _bullets([f"{r.time}: {r.body['author']}: {r.body['text']}" for r in notes], "None.")


def _agreement(case: Case, run: RunDirectory) -> Iterable[Block]:
    try:
        found = people_found(case, run, "light")
    except InputError as error:
        yield Text(clean(f"Agreement was not computed. {error}"))
        return
    if found is None:
        return
    yield Text(clean("\n".join(found.sentences)))
    headers = tuple(clean(header) for header in found.headers)
    for caption, rows in found.tables.items():
        cells = tuple(tuple(clean(cell) for cell in row) for row in rows)
        yield Grid(clean(caption), headers, tuple(False for _ in headers), cells)
    if found.notes:
        yield _bullets(found.notes, "")
    for picture in map(rendered, found.pictures):
        yield _drawing(picture)


def _over_time(case: Case, run: RunDirectory) -> Iterable[Section]:
    if found := over_time(case, run, "light"):
        yield _followed("over-time", "Over time", "Runs of this case", found)
    if found := beside_runs(case, run, "light"):
        yield _followed("beside-runs", "Beside other runs of this case", "This run (A) and the others (B)", found)


def _followed(identity: str, title: str, caption: str, found: FollowedOverTime) -> Section:
    blocks: list[Block] = [Text(clean("\n".join(found.sentences)))]
    headers = tuple(clean(header) for header in found.headers)
    rows = tuple(tuple(clean(cell) for cell in row) for row in found.rows[-MOST_ROWS:])
    blocks += [Grid(caption, headers, tuple(False for _ in headers), rows)] if rows else []
    blocks += [_bullets(found.notes, "")] if found.notes else []
    blocks += [_drawing(picture) for picture in map(rendered, found.pictures)]
    return Section(identity, title, tuple(blocks))


def _evidence(case: Case, run: RunDirectory, asked: RunSpec) -> Iterable[Block]:
    sealed = run.seal()
    seal = sha256_of(run.seal_file) if sealed else "not sealed: these results may still change"
    yield _facts(
        [
            ("Run", asked.run, True),
            ("Asked for", asked.created, False),
            ("Sealed", sealed.sealed if sealed else "not sealed", False),
            ("SHA-256 of the seal", seal, bool(sealed)),
            ("Head of the evidence chain", case.head(), True),
        ]
    )
    yield Text(_TAMPER)
    yield Heading("Earlier runs on the same inputs")
    earlier = [f"{r.id} ({r.state.value}): {r.verdict or 'no verdict'}" for r in case.earlier_runs(asked.run)]
    yield _bullets(earlier, "None in this case.")
    if sealed:
        yield Heading("Sealed files")
        yield _facts([(name, record.sha256, True) for name, record in sealed.files.items()])


def _software(asked: RunSpec, provenance: Any) -> Facts:
    """What computed; and what the run was asked for with, where that was another machine or other software."""
    # Runs of earlier versions do not say where they were carried out: they were on the machine that asked.
    host = Host.model_validate(provenance.machine) if provenance.machine else asked.host
    versions = provenance.versions or asked.versions
    rows: list[tuple[str, object, bool]] = [(name, found, False) for name, found in versions.items()]
    rows += [
        ("System", f"{host.system}, {host.machine}", False),
        ("Processor", _processor(host), False),
        ("Memory", size_words(host.memory_bytes, 1), False),
        ("Device used", provenance.device or "not stated", False),
    ]
    if asked.executor != LOCAL:
        rows.append(("Carried out on the backend", asked.executor, False))
    if (host.system, _processor(host)) != (asked.host.system, _processor(asked.host)):
        rows.append(("Asked for on", f"{asked.host.system}, {asked.host.machine}, {_processor(asked.host)}", False))
    other = [f"{name} {found}" for name, found in asked.versions.items() if versions.get(name, found) != found]
    if other:
        rows.append(("Asked for with", ", ".join(other), False))
    rows += [(_words(name), number(value), False) for name, value in provenance.settings.items()]
    return _facts(rows)


def _processor(host: Host) -> str:
    return f"{host.processor}, {host.cores} cores"
