"""Ctrl+K: find any command by a few letters. And the list of shortcuts, which can be changed."""

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QAction, QKeyEvent
from PySide6.QtWidgets import (
    QDialog,
    QDialogButtonBox,
    QFormLayout,
    QKeySequenceEdit,
    QLabel,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QVBoxLayout,
    QWidget,
)

from auditor.desktop.actions import Commands


def matches(wanted: str, text: str) -> bool:
    """Whether all letters of `wanted` stand in `text` in this order, whatever their case."""
    rest = iter(text.lower())
    return all(letter in rest for letter in wanted.lower() if not letter.isspace())


class Palette(QDialog):
    """A line to type in and the commands that fit."""

    def __init__(self, commands: Commands, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle("Commands")
        self.resize(460, 360)
        self._commands = commands
        self.line = QLineEdit()
        self.line.setPlaceholderText("Find a command")
        self.line.setAccessibleName("Find a command")
        self.list = QListWidget()
        self.list.setAccessibleName("Commands")
        layout = QVBoxLayout(self)
        layout.addWidget(self.line)
        layout.addWidget(self.list)
        self.line.textChanged.connect(self._fill)
        self.line.installEventFilter(self)
        self.line.returnPressed.connect(self._run)
        self.list.itemActivated.connect(lambda _item: self._run())
        self._fill("")

    def _fill(self, wanted: str) -> None:
        self.list.clear()
        for _, action in self._commands.all():
            if action.isEnabled() and matches(wanted, action.text()):
                keys = action.shortcut().toString()
                item = QListWidgetItem(action.icon(), f"{action.text()}    {keys}" if keys else action.text())
                item.setData(Qt.ItemDataRole.UserRole, action)
                self.list.addItem(item)
        self.list.setCurrentRow(0)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Up and down move the list while the line keeps the focus."""
        if isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress:
            step = {Qt.Key.Key_Down: 1, Qt.Key.Key_Up: -1}.get(Qt.Key(event.key()), 0)
            if step:
                row = min(max(self.list.currentRow() + step, 0), self.list.count() - 1)
                self.list.setCurrentRow(row)
                return True
        return super().eventFilter(watched, event)

    def _run(self) -> None:
        item = self.list.currentItem()
        if item is not None:
            action: QAction = item.data(Qt.ItemDataRole.UserRole)
            self.accept()
            action.trigger()


class Shortcuts(QDialog):
    """Every command with its shortcut, to change."""

    def __init__(self, commands: Commands, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle("Keyboard shortcuts")
        self._commands = commands
        self.edits: dict[str, QKeySequenceEdit] = {}
        self.words = QLabel()
        self.words.setObjectName("alert")
        self.words.setTextFormat(Qt.TextFormat.PlainText)
        form = QFormLayout()
        for command, action in commands.all():
            edit = QKeySequenceEdit(action.shortcut())
            edit.setAccessibleName(f"Shortcut of {command.text}")
            edit.setMaximumSequenceLength(1)
            edit.editingFinished.connect(lambda identity=command.id: self._change(identity))
            self.edits[command.id] = edit
            form.addRow(command.text, edit)
        buttons = QDialogButtonBox(
            QDialogButtonBox.StandardButton.Close | QDialogButtonBox.StandardButton.RestoreDefaults
        )
        buttons.rejected.connect(self.reject)
        buttons.button(QDialogButtonBox.StandardButton.RestoreDefaults).clicked.connect(self._restore)
        layout = QVBoxLayout(self)
        layout.addLayout(form)
        layout.addWidget(self.words)
        layout.addWidget(buttons)

    def _change(self, identity: str) -> None:
        edit = self.edits[identity]
        taken = self._commands.set_shortcut(identity, edit.keySequence().toString())
        self.words.setText(f"{edit.keySequence().toString()} belongs to “{taken}” already." if taken else "")
        if taken:
            edit.setKeySequence(self._commands.action(identity).shortcut())

    def _restore(self) -> None:
        self._commands.restore_shortcuts()
        for identity, edit in self.edits.items():
            edit.setKeySequence(self._commands.action(identity).shortcut())
