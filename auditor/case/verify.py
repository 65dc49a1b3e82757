"""Verifying a case: recompute every hash and name whatever changed, is missing or was added."""

from dataclasses import dataclass, field
from pathlib import Path

from auditor.case.chain import FIRST_PREVIOUS, Link, read
from auditor.case.inputs import InputStore
from auditor.case.store import RunRow, Store
from auditor.errors import CaseError, RunError
from auditor.files import sha256_of
from auditor.runs import seal
from auditor.runs.directory import RunDirectory

_TOP_LEVEL = {
    "case.sqlite",
    "case.sqlite-wal",
    "case.sqlite-shm",
    "case.sqlite-journal",
    "case.lock",
    "case.lock.json",
    "chain.jsonl",
    "inputs",
    "runs",
    "reports",
    "cache",
}


@dataclass
class Verification:
    """What was found.

    Attributes
    ----------
    problems : list of str
        One sentence each; a case is intact if there are none.
    notes : list of str
        What is no problem but worth knowing: runs that are not sealed, seals that wait for their link.
    head : str
        Hash of the newest intact link.
    links, runs, inputs : int
        How many were checked.
    """

    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    head: str = FIRST_PREVIOUS
    links: int = 0
    runs: int = 0
    inputs: int = 0

    @property
    def ok(self) -> bool:
        """Whether nothing differs."""
        return not self.problems


def verify(path: Path, head: str | None = None) -> Verification:
    """Verify a case without changing it.

    Parameters
    ----------
    path : Path
        The case folder.
    head : str, optional
        A head kept elsewhere, for example in a printed report: shows whether later links were removed.

    Raises
    ------
    CaseError
        If there is no case at all.
    """
    path = path.absolute()
    if not (path / "chain.jsonl").is_file():
        raise CaseError(f"There is no case in {path}: it has no chain.jsonl.")
    found = Verification()
    links, found.problems = read(path / "chain.jsonl")
    found.links = len(links)
    found.head = links[-1].hash if links else FIRST_PREVIOUS
    if not links and not found.problems:
        found.problems.append("The chain is empty.")
    if head and head.lower() not in {link.hash for link in links}:
        found.problems.append(f"The head {head} is not in the chain: links were removed or the case is another one.")
    _check_runs(path, links, found)
    _check_inputs(path, links, found)
    _check_index(path, links, found)
    found.problems += [
        f"{entry.name} does not belong into a case folder."
        for entry in sorted(path.iterdir())
        if entry.name not in _TOP_LEVEL
    ]
    return found


def _check_runs(path: Path, links: list[Link], found: Verification) -> None:
    created = {str(link.body["run"]): link for link in links if link.kind == "run created"}
    sealed = {str(link.body["run"]): link for link in links if link.kind == "run sealed"}
    for name, link in created.items():
        run = RunDirectory(path / "runs" / name)
        found.runs += 1
        if not run.path.is_dir():
            found.problems.append(f"Run {name} was removed.")
            continue
        if not run.spec_file.is_file():
            found.problems.append(f"Run {name}: spec.json is missing.")
        elif sha256_of(run.spec_file) != link.body["spec_sha256"]:
            found.problems.append(f"Run {name}: spec.json has changed since the run was asked for.")
        if run.seal_file.exists() or name in sealed:
            _check_seal(run, sealed.get(name), found)
        else:
            found.notes.append(f"Run {name} is not sealed: nothing is claimed about its results.")
    present = {entry.name for entry in (path / "runs").iterdir()} if (path / "runs").is_dir() else set()
    half = {name for name in present if name.startswith(".") and name.endswith(".part")}
    found.notes += [f"runs/{name} was being made when the program was stopped." for name in sorted(half)]
    present -= half
    found.problems += [
        f"Run {name} is not in the chain: it was added by hand." for name in sorted(present - set(created))
    ]


def _check_seal(run: RunDirectory, link: Link | None, found: Verification) -> None:
    name = run.path.name
    if not run.seal_file.is_file():
        found.problems.append(f"Run {name}: its seal was removed.")
        return
    if link is None:
        found.notes.append(f"Run {name} is sealed and waits for its link until the case is opened for writing.")
    elif sha256_of(run.seal_file) != link.body["seal_sha256"]:
        found.problems.append(f"Run {name}: seal.json is not the one in the chain.")
    found.problems += seal.problems(run)


def _check_inputs(path: Path, links: list[Link], found: Verification) -> None:
    store = InputStore(path / "inputs")
    erased = {str(link.body["sha256"]) for link in links if link.kind == "input erased"}
    known: set[str] = set()
    for link in links:
        if link.kind == "run created":
            known |= {str(sha256) for sha256 in link.body["inputs"].values()}
    for sha256 in sorted(known):
        found.inputs += 1
        if store.path(sha256).is_file():
            if sha256_of(store.path(sha256)) != sha256:
                found.problems.append(f"Input {sha256} has changed.")
        elif sha256 not in erased:
            found.problems.append(f"Input {sha256} is missing, and no erasure is in the chain.")
        elif store.tombstone(sha256) is None:
            found.problems.append(f"Input {sha256} was erased, but its tombstone is missing or damaged.")
    expected = {store.path(sha256).name for sha256 in known} | {store.tombstone_path(sha256).name for sha256 in erased}
    for entry in sorted(store.folder.iterdir()) if store.folder.is_dir() else ():
        if entry.name in expected:
            continue
        if entry.name.startswith(".") and entry.name.endswith(".part"):
            found.notes.append(f"inputs/{entry.name} was being copied when the program was stopped.")
        elif len(entry.name) == 64 and sha256_of(entry) == entry.name:
            found.notes.append(f"Input {entry.name} belongs to no run: asking for one was interrupted.")
        else:
            found.problems.append(f"inputs/{entry.name} does not belong into the case.")


def _asked_at(run: RunDirectory) -> str | None:
    try:
        return run.spec().created
    except RunError:
        # Gone or changed, which is named where the runs are checked.
        return None


def _check_row(row: RunRow | None, link: Link, created: str | None, found: Verification) -> None:
    name = link.body["run"]
    if row is None:
        found.problems.append(f"Run {name} is in the chain, but not in the index.")
    elif link.kind == "run created" and (row.audit, row.inputs) != (link.body["audit"], link.body["inputs"]):
        found.problems.append(f"Run {name}: the index says something else of its audit or inputs.")
    elif link.kind == "run created" and created is not None and row.created != created:
        # Lists of earlier runs are ordered by it.
        found.problems.append(f"Run {name}: the index says something else of when it was asked for.")
    elif link.kind == "run sealed" and row.sealed_link is None:
        found.notes.append(f"Run {name}: the index learns of its seal's link when the case is opened for writing.")
    elif link.kind == "run sealed" and (row.sealed_link, row.verdict) != (link.n, link.body["verdict"]):
        found.problems.append(f"Run {name}: the index says something else of its verdict or seal.")


def _check_index(path: Path, links: list[Link], found: Verification) -> None:
    if not (path / "case.sqlite").is_file():
        found.problems.append("The index case.sqlite is missing.")
        return
    try:
        store = Store(path / "case.sqlite", write=False)
    except CaseError as error:
        found.problems.append(str(error))
        return
    try:
        damage = store.damage()
        if damage:
            found.problems.append(f"The index case.sqlite is damaged: {damage[0]}.")
            return
        records = {record.id: record for record in store.records()}
        rows = {row.id: row for row in store.runs()}
    except (ValueError, RunError) as error:
        found.problems.append(f"The index case.sqlite is damaged: {error}.")
        return
    except CaseError as error:
        found.problems.append(str(error))
        return
    finally:
        store.close()
    for link in links:
        identity = link.body.get("record")
        if identity is not None:
            record = records.pop(str(identity), None)
            if record is None:
                found.problems.append(f"Chain, line {link.n + 1}: the index has lost this {link.kind}.")
            elif record.linked_body() != link.body or record.kind != link.kind:
                found.problems.append(f"Chain, line {link.n + 1}: the index says something else of this {link.kind}.")
        if link.kind in ("run created", "run sealed"):
            name = str(link.body["run"])
            _check_row(rows.get(name), link, _asked_at(RunDirectory(path / "runs" / name)), found)
    for record in records.values():
        if record.link is not None:
            found.problems.append(f"The index holds a linked {record.kind} of {record.time} that is not in the chain.")
        else:
            found.notes.append(f"A {record.kind} of {record.time} waits for its link.")
