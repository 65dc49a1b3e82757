"""Add a backend, or change one: what is asked, what is wrong with it, and the confirmation that plain HTTP takes."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from PySide6.QtCore import QDir, Signal
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import (
    QCheckBox,
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from auditor.desktop import theme
from auditor.desktop.session import Session
from auditor.desktop.widgets.detail import plain_label
from auditor.desktop.widgets.pane import ScrollPane
from auditor.errors import AuditorError, InputError

if TYPE_CHECKING:
    from auditor.runs.ray.backend import Backend

_WIDTH = 640
#: Pixels of the window that stay in view around the dialog.
_MARGIN = 60
#: Field -> title, example, help.
_FIELDS = {
    "name": ("Name", "gpu-box", "Runs name it: small letters, digits and hyphens, 32 at most."),
    "address": (
        "Address",
        "https://gpu.example.org",
        "Of Ray's dashboard or of the reverse proxy before it; through an SSH tunnel: http://127.0.0.1:8265",
    ),
    "token": (
        "Token",
        "",
        "Kept in a file that only you can read; it never stands in a case, a log or a report. Empty: none is sent.",
    ),
    "ca": (
        "Authority",
        "",
        "A PEM file, if an authority of your own signed the certificate of https. Empty: those that this machine knows.",
    ),
    "shared": (
        "Shared folder",
        "",
        "A folder under the same path here and on the cluster: models in it are not sent. May be empty.",
    ),
    "cache": (
        "Model folder there",
        "",
        "Where models lie on the cluster, as HASH.gguf or a folder HASH: large ones need it, or the shared folder.",
    ),
}


def _a_folder(parent: QWidget, words: str) -> str:
    return QFileDialog.getExistingDirectory(parent, words, QDir.homePath())


def _a_file(parent: QWidget, words: str) -> str:
    return QFileDialog.getOpenFileName(
        parent, words, QDir.homePath(), "Certificates (*.pem *.crt *.cer);;All files (*)"
    )[0]


#: Field -> what is chosen, and how.
_CHOOSERS: Mapping[str, tuple[str, Callable[[QWidget, str], str]]] = {
    "ca": ("Choose the certificate of an authority", _a_file),
    "shared": ("Choose the folder that this machine and the cluster both see", _a_folder),
}
_NAME_STAYS = "Runs name it, so it stays as it is."
_PLAIN = (
    "This address is on another machine and not encrypted: whoever is on the way can read and change the token, the "
    "inputs, the models and the results. Use https, through a reverse proxy or an SSH tunnel to 127.0.0.1, if you can."
)
_CONFIRM = "I know this, and use it all the same"
_UNCONFIRMED = "Plain HTTP to another machine has to be confirmed below first."


class EditBackend(QDialog):
    """Asks for a backend.

    Parameters
    ----------
    backend : Backend or None
        The one to change; None for a new one.

    Signals
    -------
    saved(object, bool)
        The backend as it is kept now, and whether it is to be tested.
    """

    saved = Signal(object, bool)

    def __init__(self, session: Session, backend: "Backend | None", parent: QWidget) -> None:
        super().__init__(parent)
        self._session, self._backend, self._beneath = session, backend, parent
        self.setWindowTitle(f"Change the backend {backend.name}" if backend else "Add a backend")
        self.lines = {name: self._line(name) for name in _FIELDS}
        self.problems: dict[str, QLabel] = {}
        self.lines["token"].setEchoMode(QLineEdit.EchoMode.Password)
        self.lines["address"].textChanged.connect(self._address_changed)
        self.choosers = {name: theme.icon_button("open", "Choose…") for name in _CHOOSERS}
        for name, (words, choose) in _CHOOSERS.items():
            self.choosers[name].setAccessibleName(words)
            self.choosers[name].clicked.connect(partial(self._choose, name, words, choose))
        self.confirm = QCheckBox(_CONFIRM)
        self.plain = QFrame()
        self.plain.setObjectName("card")
        self.problem = plain_label(name="alert")
        self.problem.hide()
        self.save = QPushButton("Save")
        self.save.clicked.connect(lambda: self._save(test=False))
        self.save_and_test = QPushButton("Save and test")
        self.save_and_test.setObjectName("primary")
        self.save_and_test.setDefault(True)
        self.save_and_test.setToolTip("Save it, then ask the cluster what it has: this goes over the network.")
        self.save_and_test.clicked.connect(lambda: self._save(test=True))
        self._lay_out()
        if backend is not None:
            self._show(backend)
        self._address_changed()
        self.finished.connect(lambda _result: self.deleteLater())

    def _line(self, name: str) -> QLineEdit:
        title, example, about = _FIELDS[name]
        line = QLineEdit()
        line.setAccessibleName(title)
        line.setAccessibleDescription(about)
        line.setPlaceholderText(example)
        return line

    def _lay_out(self) -> None:
        inside = QVBoxLayout(self.plain)
        inside.addWidget(plain_label(_PLAIN, name="alert"))
        inside.addWidget(self.confirm)
        self._fields = QWidget()
        fields = QVBoxLayout(self._fields)
        fields.setContentsMargins(0, 0, 6, 0)
        fields.setSpacing(3)
        for name, (title, _, about) in _FIELDS.items():
            label = QLabel(title)
            label.setBuddy(self.lines[name])
            self.problems[name] = plain_label(name="alert")
            self.problems[name].hide()
            row = QHBoxLayout()
            row.addWidget(self.lines[name], 1)
            if name in self.choosers:
                row.addWidget(self.choosers[name])
            fields.addWidget(label)
            fields.addLayout(row)
            fields.addWidget(self.problems[name])
            fields.addWidget(plain_label(_NAME_STAYS if name == "name" and self._backend else about, name="help"))
            if name == "address":
                fields.addWidget(self.plain)
            fields.addSpacing(8)
        fields.addStretch(1)
        self._pane = ScrollPane(self._fields)
        self._buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        for button in (self.save, self.save_and_test):
            self._buttons.addButton(button, QDialogButtonBox.ButtonRole.ActionRole)
        self._buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.addWidget(self._pane, 1)
        layout.addWidget(self.problem)
        layout.addWidget(self._buttons)
        self.setFixedWidth(_WIDTH)

    def showEvent(self, event: QShowEvent) -> None:
        """Take the height that the words need, once they have their font."""
        super().showEvent(event)
        self._fit()

    def _fit(self) -> None:
        """Take the height of what is asked and said, as far as the window has it; the rest scrolls."""
        inner, whole = self._fields.layout(), self.layout()
        if inner is None or whole is None or not self.isVisible():
            return
        inner.activate()
        whole.activate()
        # Reckoned, not read from what is shown: that is of before, and as wide as a scroll bar of before left it.
        edges = whole.contentsMargins()
        width = _WIDTH - edges.left() - edges.right()
        below = [self._buttons.sizeHint().height()]
        below += [] if self.problem.isHidden() else [self.problem.heightForWidth(width)]
        beside = edges.top() + edges.bottom() + sum(below) + len(below) * whole.spacing() + 2 * self._pane.frameWidth()
        bar = self._pane.verticalScrollBar().sizeHint().width()
        wanted = inner.heightForWidth(width - bar - 2 * self._pane.frameWidth()) + beside
        self.resize(_WIDTH, min(wanted, self._beneath.window().height() - _MARGIN))

    def _show(self, backend: "Backend") -> None:
        for name, line in self.lines.items():
            line.setText(getattr(backend, name) or "")
        self.lines["name"].setReadOnly(True)
        self.confirm.setChecked(backend.plain_http_confirmed)

    def _choose(self, field: str, words: str, choose: Callable[[QWidget, str], str]) -> None:
        if name := choose(self, words):
            self.lines[field].setText(name)

    @property
    def _address(self) -> str:
        return self.lines["address"].text().strip()

    @property
    def _is_plain(self) -> bool:
        from auditor.runs.ray.backend import is_plain_http_elsewhere

        return is_plain_http_elsewhere(self._address)

    def _address_changed(self) -> None:
        """Ask for the confirmation where it is needed; one that was given holds for its address alone."""
        if self._backend is None or self._address != self._backend.address:
            self.confirm.setChecked(False)
        self.plain.setVisible(self._is_plain)
        self._fit()

    def _values(self) -> dict[str, Any]:
        values: dict[str, Any] = {name: line.text().strip() or None for name, line in self.lines.items()}
        must = {name: values[name] or "" for name in ("name", "address")}
        return {**values, **must, "plain_http_confirmed": self._is_plain and self.confirm.isChecked()}

    def _save(self, *, test: bool) -> None:
        from auditor.runs.ray.backend import Backend
        from auditor.runs.ray.trust import trust

        self._clear_problems()
        if self._is_plain and not self.confirm.isChecked():
            self._tell("address", _UNCONFIRMED)
            return
        try:
            made = Backend.model_validate(self._values())
            trust(made.ca)
            self._session.keep_backend(made, replace=self._backend is not None)
        except ValidationError as error:
            for problem in error.errors(include_input=False, include_url=False):
                self._tell(
                    str(problem["loc"][0]) if problem["loc"] else "", problem["msg"].removeprefix("Value error, ")
                )
            return
        except InputError as error:
            self._tell("ca", str(error))
            return
        except (AuditorError, OSError) as error:
            self._tell("", str(error))
            return
        self.saved.emit(made, test)
        self.accept()

    def _clear_problems(self) -> None:
        for label in (*self.problems.values(), self.problem):
            label.hide()

    def _tell(self, field: str, sentence: str) -> None:
        label = self.problems.get(field, self.problem)
        label.setText(sentence)
        label.show()
        if field in self.lines:
            self.lines[field].setFocus()
            self._pane.ensureWidgetVisible(label)
        self._fit()
