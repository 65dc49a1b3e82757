"""What the window works on: the open case, who runs its runs, and the news of them."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, QSettings, Signal

from auditor.case import Case, CaseLocked, RunSummary
from auditor.desktop.ask import Asker
from auditor.desktop.background import Background
from auditor.errors import AuditorError, CaseError
from auditor.models import ModelFile
from auditor.models.library import home
from auditor.runs.directory import RunDirectory
from auditor.runs.dispatch import Dispatch
from auditor.runs.executor import LOCAL

if TYPE_CHECKING:
    from auditor.runs.ray.backend import Backend


class Session(QObject):
    """The open case and everything that happens to it.

    Signals
    -------
    case_changed()
        Another case, or none, is open.
    runs_changed()
        A run was made, ended, was sealed or linked; or something was said of one.
    judged(str)
        Id of a run of which human ratings or explanations were added or withdrawn.
    started(str)
        Path of a run that was just started or resumed here.
    backends_changed()
        A backend was added, changed or removed.
    said(str)
        A sentence for the person.
    """

    case_changed = Signal()
    runs_changed = Signal()
    judged = Signal(str)
    started = Signal(str)
    backends_changed = Signal()
    said = Signal(str)

    def __init__(self, settings: QSettings, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.settings = settings
        self.case: Case | None = None
        #: Finds each run's own executor.
        self.executor = Dispatch()
        self.asker = Asker(self)
        self.background = Background(self)

    def open_case(self, path: Path, *, create: bool = False, title: str | None = None) -> bool:
        """Open or make a case; one that somebody else writes is opened for reading, and that is said."""
        try:
            case = Case.create(path, title) if create else self._opened(path)
        except AuditorError as error:
            self.said.emit(str(error))
            return False
        self.close_case()
        self.case = case
        self.settings.setValue("case", str(path))
        self.case_changed.emit()
        self.runs_changed.emit()
        return True

    def ensure_case(self) -> bool:
        """Make a case for trying, if none is open; returns whether one is open now."""
        return self.case is not None or self.open_case(_trying_folder(home()), create=True, title="Trying the sample")

    def _opened(self, path: Path) -> Case:
        try:
            return Case.open(path)
        except CaseLocked as locked:
            case = Case.open(path, write=False)
            self.said.emit(f"{locked} It is open here for reading only.")
            return case

    def close_case(self) -> None:
        """Close the case, if one is open; runs go on."""
        if self.case is not None:
            self.background.finish()
            self.case.close()
            self.case = None

    def runs(self) -> list[RunSummary]:
        """Runs of the open case, newest first."""
        return self.case.runs() if self.case else []

    def new_run(
        self,
        audit: str,
        spec: Mapping[str, Any],
        inputs: Mapping[str, Path],
        models: Mapping[str, ModelFile],
        seed: int,
        executor: str = LOCAL,
    ) -> None:
        """Copy inputs, write the run and start it where it is to run, off the window's thread."""
        case = self._writable()

        def work() -> tuple[Path, str]:
            run = case.new_run(audit, spec, inputs, models, seed=seed, executor=executor)
            try:
                self.executor.start(run.path)
            except AuditorError as error:
                # The run is in the case: it is shown, and can be started again.
                return run.path, str(error)
            return run.path, ""

        def made(found: tuple[Path, str]) -> None:
            path, problem = found
            self._begun(path)
            if problem:
                self.said.emit(problem)

        self.background.do(work, made, self.said.emit)

    def resume(self, run_dir: Path) -> None:
        """Go on with a run."""
        self.background.do(lambda: self.executor.start(run_dir), lambda _: self._begun(run_dir), self.said.emit)

    def _begun(self, path: Path) -> None:
        self.started.emit(str(path))
        self.runs_changed.emit()

    def pause(self, run_dir: Path, failed: Callable[[str], None]) -> None:
        """Have a run stop after what it is at, so that it goes on from there exactly; nothing is forced.

        `failed` is called with a sentence if it cannot be asked.
        """
        self.background.do(lambda: self.executor.pause(run_dir), lambda _: None, failed)

    def cancel(self, run_dir: Path) -> None:
        """Stop a run; blocks a thread until it is gone, never the window."""
        # A pool of its own: whatever else waits must not wait for a run's patience.
        stopper = Background(self)

        def stopped(_status: object) -> None:
            self.runs_changed.emit()
            stopper.deleteLater()

        stopper.do(lambda: self.executor.cancel(run_dir), stopped, self.said.emit)

    def place_of(self, run_dir: Path) -> str:
        """Name of the backend that a run was given to; empty on this machine."""
        name = self.executor.name_of(run_dir)
        return "" if name == LOCAL else name

    def backends(self) -> "list[Backend]":
        """Backends that are kept here, by name; none, once that was said, if they cannot be read."""
        from auditor.runs.ray import store

        try:
            return store.backends()
        except AuditorError as error:
            self.said.emit(str(error))
            return []

    def keep_backend(self, backend: "Backend", *, replace: bool) -> None:
        """Keep a backend.

        Raises
        ------
        BackendError
            If there is one of that name and it is not to be replaced, or it cannot be written.
        """
        from auditor.runs.ray import store

        store.add(backend, replace=replace)
        self.backends_changed.emit()

    def forget_backend(self, name: str) -> None:
        """Keep a backend no longer; runs that were given to it stay as they are.

        Raises
        ------
        BackendError
            If there is none of that name.
        """
        from auditor.runs.ray import store

        store.remove(name)
        self.backends_changed.emit()

    def link(self) -> None:
        """Link what waits to be linked."""
        if self.case is not None and self.case.writable:
            self.background.do(self.case.link_pending, lambda _: self.runs_changed.emit(), self.said.emit)

    def commit(self, work: Callable[[Case], object]) -> bool:
        """Commit something a person said; at once, so that it is kept when this returns True."""
        try:
            work(self._writable())
        except AuditorError as error:
            self.said.emit(str(error))
            return False
        self.runs_changed.emit()
        return True

    def commit_judgement(self, run_id: str, work: Callable[[Case], object]) -> bool:
        """Commit what people or a judge said of units of a run; lists of runs are not read anew for every key."""
        try:
            work(self._writable())
        except AuditorError as error:
            self.said.emit(str(error))
            return False
        self.judged.emit(run_id)
        return True

    def commit_annotation(self, work: Callable[[Case], object]) -> bool:
        """Commit what a person said of an item of search results; at once, so that it is kept when this returns True."""
        try:
            work(self._writable())
        except AuditorError as error:
            self.said.emit(str(error))
            return False
        return True

    def _writable(self) -> Case:
        if self.case is None:
            raise CaseError("No case is open.")
        return self.case

    def directory(self, run_id: str) -> RunDirectory:
        """A run's directory."""
        return self._writable().run(run_id)

    def close(self) -> None:
        """End questions, wait for what is being written, close the case. Runs go on."""
        self.asker.close()
        self.executor.let_go()
        for background in self.findChildren(Background):
            background.finish()
        self.executor.close()
        self.close_case()


def _trying_folder(home: Path) -> Path:
    """Where a case goes that only tries a sample: a folder that is not there yet."""
    number = 1
    while (home / "cases" / f"sample-{number}").exists():
        number += 1
    return home / "cases" / f"sample-{number}"
