"""Every command once: menus, palette, buttons and the list of shortcuts are made from the same objects."""

from collections.abc import Callable
from dataclasses import dataclass

from PySide6.QtCore import QObject, QSettings
from PySide6.QtGui import QAction, QKeySequence

from auditor.desktop import theme


@dataclass(frozen=True)
class Command:
    """What a command is called, how it is reached, what it does."""

    id: str
    text: str
    icon: str
    shortcut: str
    callback: Callable[[], object]
    menu: str = ""


class Commands(QObject):
    """The commands of the window, as Qt actions whose shortcuts people can change."""

    def __init__(self, settings: QSettings, parent: QObject) -> None:
        super().__init__(parent)
        self._settings = settings
        self._commands: dict[str, Command] = {}
        self._actions: dict[str, QAction] = {}

    def add(self, command: Command) -> QAction:
        """Make a command's action."""
        action = QAction(theme.icon(command.icon), command.text, self)
        action.setObjectName(command.id)
        action.triggered.connect(lambda _checked=False: command.callback())
        self._commands[command.id] = command
        self._actions[command.id] = action
        kept = self._settings.value(f"shortcuts/{command.id}", command.shortcut)
        self._show(action, str(kept))
        return action

    @staticmethod
    def _show(action: QAction, keys: str) -> None:
        action.setShortcut(QKeySequence(keys))
        action.setToolTip(f"{action.text()} ({keys})" if keys else action.text())

    def action(self, identity: str) -> QAction:
        """The action of a command."""
        return self._actions[identity]

    def all(self) -> list[tuple[Command, QAction]]:
        """Commands with their actions, in the order they were added."""
        return [(command, self._actions[identity]) for identity, command in self._commands.items()]

    def set_shortcut(self, identity: str, keys: str) -> str | None:
        """Change a shortcut; returns the text of the command that has it already, and changes nothing then."""
        wanted = QKeySequence(keys).toString()
        for command, action in self.all():
            if wanted and command.id != identity and action.shortcut().toString() == wanted:
                return command.text
        self._show(self._actions[identity], wanted)
        self._settings.setValue(f"shortcuts/{identity}", wanted)
        return None

    def restore_shortcuts(self) -> None:
        """Give every command the shortcut it came with."""
        for command, action in self.all():
            self._settings.remove(f"shortcuts/{command.id}")
            self._show(action, command.shortcut)

    def refresh_icons(self) -> None:
        """Redraw the icons in the colours of the theme."""
        for command, action in self.all():
            action.setIcon(theme.icon(command.icon))
