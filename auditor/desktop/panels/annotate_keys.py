"""The keys of the annotation desk, and the line that names them."""

from collections.abc import Callable, Iterable
from functools import partial

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeySequence, QShortcut
from PySide6.QtWidgets import QWidget

from auditor.desktop.widgets.detail import key_words

_KEYS = (
    "{digits} set the tone and go on · Z or ? uncertain · U undo · J next open · arrows move · Space large · M measure · "
    "Enter confirm · O others · + − size · Esc back"
)
_KEYS_LARGE = (
    "{digits} set the tone and go on · Z or ? uncertain · U undo · arrows move · M measure: then drag to add skin to the mask, "
    "with the right button to take it away · Enter confirm · Space or Esc back to the sheet"
)
_DIGITS = {"monk": "1–9 and 0", "fitzpatrick": "1–6"}
_STEPS = (("Left", 0, -1), ("Right", 0, 1), ("Up", -1, 0), ("Down", 1, 0))


def help_words(scale: str, *, is_large: bool) -> str:
    """What the keys do on the sheet, or in the large image."""
    return key_words((_KEYS_LARGE if is_large else _KEYS).format(digits=_DIGITS[scale]))


def bind_everywhere(desk: QWidget, commands: Iterable[tuple[str, Callable[[], object]]]) -> None:
    """Give keys to commands, wherever on the desk the focus is."""
    for keys, callback in commands:
        _shortcut(desk, keys, callback, Qt.ShortcutContext.WidgetWithChildrenShortcut)


def bind_pages(pages: Iterable[QWidget], toggle: Callable[[], object], confirm: Callable[[], object]) -> None:
    """Space and Enter press buttons wherever they have the focus; in the sheet and the image they are commands."""
    for page in pages:
        for keys, callback in (("Space", toggle), ("Return", confirm), ("Enter", confirm)):
            _shortcut(page, keys, callback, Qt.ShortcutContext.WidgetShortcut)


def bind_arrows(large: QWidget, step: Callable[[int, int], object]) -> None:
    """Let arrows move over the sheet while one image is in view; `step` takes rows and columns."""
    for keys, rows, columns in _STEPS:
        _shortcut(large, keys, partial(step, rows, columns), Qt.ShortcutContext.WidgetShortcut)


def _shortcut(place: QWidget, keys: str, callback: Callable[[], object], context: Qt.ShortcutContext) -> None:
    shortcut = QShortcut(QKeySequence(keys), place)
    shortcut.setContext(context)
    shortcut.activated.connect(callback)
