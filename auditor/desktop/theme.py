"""Colours that follow the system: light, dark, and whatever contrast its palette brings."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QGuiApplication, QIcon, QPainter, QPalette, QPixmap, QStyleHints
from PySide6.QtSvg import QSvgRenderer
from PySide6.QtWidgets import QAbstractButton, QApplication, QPushButton, QWidget

from auditor.resources import resource


@dataclass(frozen=True)
class Theme:
    """Colours of one scheme, as '#rrggbb'."""

    name: str
    paper: str
    base: str
    raised: str
    ink: str
    soft: str
    line: str
    handle: str
    accent: str
    on_accent: str
    alert: str
    good: str


LIGHT = Theme(
    "light",
    "#f6f7f9",
    "#ffffff",
    "#eceff3",
    "#1f2933",
    "#52606d",
    "#d0d6dd",
    "#8390a0",
    "#0067a3",
    "#ffffff",
    "#9b3a00",
    "#1b6e3c",
)
DARK = Theme(
    "dark",
    "#16191d",
    "#1e2227",
    "#272c33",
    "#e6e9ec",
    "#a8b2bd",
    "#3d454e",
    "#6b7683",
    "#5cb5ea",
    "#08131b",
    "#ffb27a",
    "#7fd6a0",
)


LIGHT_CONTRAST = replace(
    LIGHT,
    paper="#ffffff",
    raised="#ffffff",
    ink="#000000",
    soft="#000000",
    line="#000000",
    handle="#000000",
    accent="#003a66",
)
DARK_CONTRAST = replace(
    DARK,
    paper="#000000",
    base="#000000",
    raised="#000000",
    ink="#ffffff",
    soft="#ffffff",
    line="#ffffff",
    handle="#ffffff",
)


def current() -> Theme:
    """The theme of the scheme that was chosen, else of the system's."""
    application = QApplication.instance()
    chosen = application.property("scheme") if application else None
    hints = QGuiApplication.styleHints()
    is_dark = chosen == "dark" if chosen else hints.colorScheme() == Qt.ColorScheme.Dark
    if _wants_contrast(hints):
        return DARK_CONTRAST if is_dark else LIGHT_CONTRAST
    return DARK if is_dark else LIGHT


def _wants_contrast(hints: QStyleHints) -> bool:
    # Before Qt 6.10 the system's wish could not be asked for.
    accessibility = hints.accessibility() if hasattr(hints, "accessibility") else None
    return accessibility is not None and accessibility.contrastPreference() == Qt.ContrastPreference.HighContrast


def choose(application: QApplication, scheme: str) -> None:
    """Use "light" or "dark" whatever the system says; "" follows the system."""
    application.setProperty("scheme", scheme)
    apply(application)


def apply(application: QApplication) -> None:
    """Give the application the colours of the system's scheme; called again when the scheme changes."""
    theme = current()
    palette = QPalette()
    roles = {
        QPalette.ColorRole.Window: theme.paper,
        QPalette.ColorRole.Base: theme.base,
        QPalette.ColorRole.AlternateBase: theme.paper,
        QPalette.ColorRole.Button: theme.raised,
        QPalette.ColorRole.ToolTipBase: theme.raised,
        QPalette.ColorRole.WindowText: theme.ink,
        QPalette.ColorRole.Text: theme.ink,
        QPalette.ColorRole.ButtonText: theme.ink,
        QPalette.ColorRole.ToolTipText: theme.ink,
        QPalette.ColorRole.PlaceholderText: theme.soft,
        QPalette.ColorRole.Highlight: theme.accent,
        QPalette.ColorRole.HighlightedText: theme.on_accent,
        QPalette.ColorRole.Link: theme.accent,
        QPalette.ColorRole.Mid: theme.line,
    }
    for role, colour in roles.items():
        palette.setColor(role, QColor(colour))
    for role in (QPalette.ColorRole.WindowText, QPalette.ColorRole.Text, QPalette.ColorRole.ButtonText):
        palette.setColor(QPalette.ColorGroup.Disabled, role, QColor(theme.soft))
    application.setPalette(palette)
    application.setStyleSheet(_sheet(theme))


@contextmanager
def unstyled(application: QApplication) -> Iterator[None]:
    """Put widgets together without the style sheet, and give it back to them once, at the end.

    With it every widget that is put into another one is styled again with all that it holds: a window takes three times as long.
    """
    sheet = application.styleSheet()
    application.setStyleSheet("")
    try:
        yield
    finally:
        application.setStyleSheet(sheet)


def icon(name: str, colour: str | None = None) -> QIcon:
    """An icon of the project's set in the theme's ink, sharp at the usual scale factors."""
    return _drawn(name, colour or current().ink, current().soft)


@cache
def _drawn(name: str, usual: str, disabled: str) -> QIcon:
    """An icon in two inks; buttons of one kind share it."""
    drawing = resource("icons", f"{name}.svg").read_text(encoding="utf-8")
    made = QIcon()
    # Without one of its own a disabled icon is made from the enabled one, and white on accent would fade into grey.
    for mode, ink in ((QIcon.Mode.Normal, usual), (QIcon.Mode.Disabled, disabled)):
        renderer = QSvgRenderer(drawing.replace("#000000", ink).encode())
        for size in (16, 24, 32, 48, 64):
            pixmap = QPixmap(size, size)
            pixmap.fill(Qt.GlobalColor.transparent)
            painter = QPainter(pixmap)
            renderer.render(painter)
            painter.end()
            made.addPixmap(pixmap, mode)
    return made


def repolish(widget: QWidget) -> None:
    """Draw a widget anew after a property that the style sheet looks at has changed."""
    widget.style().unpolish(widget)
    widget.style().polish(widget)


def set_name(widget: QWidget, name: str) -> None:
    """Give a widget another look of the style sheet."""
    widget.setObjectName(name)
    repolish(widget)


def set_icon(button: QAbstractButton, name: str, *, on_accent: bool = False) -> None:
    """Give a button an icon that `refresh_icons` redraws when the scheme changes."""
    button.setProperty("icon_name", name)
    button.setProperty("icon_on_accent", on_accent)
    button.setIcon(icon(name, current().on_accent if on_accent else None))


def refresh_icons(root: QWidget) -> None:
    """Redraw the icons of all buttons below a widget in the colours of the theme."""
    for button in root.findChildren(QAbstractButton):
        name = button.property("icon_name")
        if name:
            set_icon(button, str(name), on_accent=bool(button.property("icon_on_accent")))


def icon_button(name: str, text: str) -> QPushButton:
    """A button with an icon of the project's set."""
    button = QPushButton(text)
    set_icon(button, name)
    return button


def _drawing(name: str) -> str:
    """A drawing of the project's set as style sheets name it, in the colours of its file.

    The arrow is of one grey that is seen on light and on dark; of the tick there is one for either accent.
    """
    return f'url("{resource("icons", f"{name}.svg").as_posix()}")'


def _sheet(t: Theme) -> str:
    return f"""
    QLabel#title {{ font-size: 20px; font-weight: 600; }}
    QLabel#heading {{ font-size: 14px; font-weight: 600; }}
    QLabel#soft, QLabel#help {{ color: {t.soft}; }}
    QLabel#help {{ font-size: 12px; }}
    QLabel#alert {{ color: {t.alert}; font-weight: 600; }}
    QLabel#state {{ color: {t.accent}; font-weight: 600; }}
    QLabel#state[tone="alert"] {{ color: {t.alert}; }}
    QLabel#state[tone="good"] {{ color: {t.good}; }}
    QLabel#verdict {{ font-size: 16px; }}
    QFrame#footer {{ border-top: 1px solid {t.line}; }}
    QWidget#header {{ background: {t.base}; border-bottom: 1px solid {t.line}; }}
    QPushButton#find {{ color: {t.soft}; text-align: left; min-width: 200px; }}
    QFrame#card {{ background: {t.base}; border: 1px solid {t.line}; border-radius: 6px; }}
    QFrame#verdictCard {{ background: {t.base}; border: 1px solid {t.line}; border-left: 4px solid {t.accent};
        border-top-right-radius: 4px; border-bottom-right-radius: 4px; }}
    QFrame#verdictCard[tone="alert"] {{ border-left-color: {t.alert}; }}
    QFrame#verdictCard[tone="good"] {{ border-left-color: {t.good}; }}
    QFrame#drop {{ background: {t.base}; border: 2px dashed {t.line}; border-radius: 8px; }}
    QFrame#drop[over="true"] {{ border-color: {t.accent}; }}
    QWidget#rail {{ background: {t.raised}; border-right: 1px solid {t.line}; }}
    QWidget#activity {{ background: {t.raised}; border-top: 1px solid {t.line}; }}
    QToolButton#railButton {{ border: none; border-radius: 6px; padding: 7px 4px; margin: 2px 6px; color: {t.ink}; }}
    QToolButton#railButton:hover {{ background: {t.line}; }}
    QToolButton#railButton:checked {{ background: {t.base}; border: 1px solid {t.line}; font-weight: 600; }}
    QToolButton#railButton:focus {{ border: 2px solid {t.accent}; }}
    QPushButton {{ padding: 6px 12px; border: 1px solid {t.line}; border-radius: 5px; background: {t.base}; }}
    QPushButton:hover {{ border-color: {t.soft}; }}
    QPushButton:focus {{ border: 2px solid {t.accent}; padding: 5px 11px; }}
    QPushButton:disabled {{ color: {t.soft}; background: {t.raised}; }}
    QPushButton#quick {{ padding: 4px 10px; }}
    QPushButton#quick:focus {{ padding: 3px 9px; }}
    QPushButton#quick:checked {{ background: {t.accent}; color: {t.on_accent}; border-color: {t.accent}; font-weight: 600; }}
    QPushButton#key {{ padding: 6px 0; font-size: 16px; font-weight: 600; }}
    QPushButton#key:focus {{ padding: 5px 0; }}
    QPushButton#key:checked {{ background: {t.accent}; color: {t.on_accent}; border-color: {t.accent}; }}
    QPushButton#primary {{ background: {t.accent}; color: {t.on_accent}; border-color: {t.accent}; font-weight: 600; }}
    QPushButton#primary:focus {{ border: 2px solid {t.ink}; }}
    QPushButton#primary:disabled {{ background: {t.raised}; color: {t.soft}; border-color: {t.line}; }}
    QToolButton#quick {{ padding: 3px 6px; border: 1px solid {t.line}; border-radius: 5px; background: {t.base}; }}
    QToolButton#quick:hover {{ border-color: {t.soft}; }}
    QToolButton#quick:focus {{ border: 2px solid {t.accent}; padding: 2px 5px; }}
    QLineEdit {{ padding: 4px 6px; border: 1px solid {t.line}; border-radius: 4px; background: {t.base};
        selection-background-color: {t.accent}; selection-color: {t.on_accent}; min-height: 20px; }}
    QSpinBox, QDoubleSpinBox {{ min-height: 26px; }}
    QComboBox {{ min-height: 24px; padding: 2px 6px; border: 1px solid {t.line}; border-radius: 4px;
        background: {t.base}; selection-background-color: {t.accent}; selection-color: {t.on_accent}; }}
    QComboBox:focus {{ border: 2px solid {t.accent}; padding: 1px 5px; }}
    QComboBox:disabled {{ color: {t.soft}; background: {t.raised}; }}
    QComboBox::drop-down {{ subcontrol-origin: padding; subcontrol-position: center right; width: 20px; border: none; }}
    QComboBox::down-arrow {{ image: {_drawing("arrow-down")}; width: 10px; height: 10px; }}
    QComboBox QAbstractItemView {{ background: {t.base}; border: 1px solid {t.line}; outline: 0;
        selection-background-color: {t.accent}; selection-color: {t.on_accent}; }}
    QCheckBox::indicator, QAbstractItemView::indicator {{ width: 14px; height: 14px; border: 1px solid {t.soft};
        border-radius: 3px; background: {t.base}; }}
    QCheckBox::indicator:checked, QAbstractItemView::indicator:checked {{ background: {t.accent}; border-color: {t.accent};
        image: {_drawing(f"check-{t.name}")}; }}
    QCheckBox::indicator:focus {{ border: 2px solid {t.accent}; width: 12px; height: 12px; }}
    QCheckBox::indicator:checked:focus {{ border-color: {t.ink}; }}
    QScrollBar {{ background: transparent; border: none; margin: 0; }}
    QScrollBar:vertical {{ width: 12px; }}
    QScrollBar:horizontal {{ height: 12px; }}
    QScrollBar::handle {{ background: {t.handle}; border-radius: 3px; margin: 3px; }}
    QScrollBar::handle:vertical {{ min-height: 28px; }}
    QScrollBar::handle:horizontal {{ min-width: 28px; }}
    QScrollBar::handle:hover, QScrollBar::handle:pressed {{ background: {t.soft}; }}
    QScrollBar::add-line, QScrollBar::sub-line {{ width: 0; height: 0; }}
    QAbstractScrollArea::corner {{ background: transparent; border: none; }}
    QScrollBar::add-page, QScrollBar::sub-page {{ background: transparent; }}
    QComboBox QLineEdit, QComboBox QLineEdit:focus {{ border: none; padding: 0; min-height: 0; background: transparent; }}
    QLineEdit:focus {{ border: 2px solid {t.accent}; padding: 3px 5px; }}
    QTableView {{ background: {t.base}; border: 1px solid {t.line}; gridline-color: {t.line};
        alternate-background-color: {t.paper}; }}
    QHeaderView::section {{ background: {t.raised}; border: none; border-right: 1px solid {t.line};
        border-bottom: 1px solid {t.line}; padding: 5px 7px; font-weight: 600; }}
    QTableView::item {{ padding: 0 4px; }}
    QTableCornerButton::section {{ background: {t.raised}; border: none; border-right: 1px solid {t.line};
        border-bottom: 1px solid {t.line}; }}
    QTextEdit#reading {{ font-size: 17px; }}
    QTextEdit, QPlainTextEdit {{ background: {t.base}; border: 1px solid {t.line}; border-radius: 4px; }}
    QTextEdit:focus, QPlainTextEdit:focus {{ border-color: {t.accent}; }}
    QListWidget {{ outline: 0; background: {t.base}; border: 1px solid {t.line}; border-radius: 4px; }}
    QListWidget:focus {{ border-color: {t.accent}; }}
    QListWidget::item {{ padding: 5px 6px; }}
    QListWidget::item:selected {{ background: {t.accent}; color: {t.on_accent}; }}
    QProgressBar {{ border: 1px solid {t.line}; border-radius: 4px; background: {t.base}; height: 10px; }}
    QProgressBar::chunk {{ background: {t.accent}; border-radius: 3px; }}
    QScrollArea {{ border: none; }}
    QSplitter::handle {{ background: {t.line}; }}
    """
