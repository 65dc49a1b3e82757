"""The rubric editor through the real window."""

from pathlib import Path

import pytest
from auditor.audits.rating import rubric_store
from auditor.audits.rating.rubric import checked, load, to_toml
from auditor.desktop.app import make_window
from auditor.desktop.panels.rubric_axis import AxisForm, name_after
from auditor.desktop.panels.rubric_editor import RubricEditor
from auditor.desktop.widgets.growing_text import GrowingText
from auditor.desktop.widgets.pane import ScrollPane
from auditor.desktop.window import Window
from auditor.resources import resource
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractButton, QLineEdit, QListWidget, QMessageBox, QPlainTextEdit, QTextEdit, QWidget
from pytestqt.qtbot import QtBot


def settled(window: Window, qtbot: QtBot) -> None:
    qtbot.wait(50)
    qtbot.waitUntil(
        lambda: window.session.asker.is_idle and window.session.background.is_idle,
        timeout=30_000,
    )


def opened(window: Window, qtbot: QtBot) -> RubricEditor:
    """The editor on what is chosen in the panel, with its prompt shown."""
    window.go_to(window.rate)
    qtbot.waitUntil(lambda: window.rate.setup.model.count() == 1, timeout=30_000)
    settled(window, qtbot)
    QTest.mouseClick(window.rate.setup.rubric.edit_button, Qt.MouseButton.LeftButton)
    editor = window.findChild(RubricEditor)
    assert isinstance(editor, RubricEditor)
    qtbot.waitUntil(lambda: bool(editor.preview.prompt.toPlainText()), timeout=30_000)
    settled(window, qtbot)
    return editor


@pytest.fixture
def editor(window: Window, qtbot: QtBot) -> RubricEditor:
    return opened(window, qtbot)


def write(text: QWidget, words: str) -> None:
    """Replace a text by keyboard."""
    assert isinstance(text, (QLineEdit, QPlainTextEdit))
    text.selectAll()
    QTest.keyClick(text, Qt.Key.Key_Delete)
    QTest.keyClicks(text, words)


def answer(editor: RubricEditor, button: QMessageBox.StandardButton) -> None:
    assert editor.question is not None
    QTest.mouseClick(editor.question.button(button), Qt.MouseButton.LeftButton)


def test_a_level_is_changed_seen_in_the_prompt_and_saved_as_a_version(
    window: Window, editor: RubricEditor, qtbot: QtBot
) -> None:
    assert editor.name.text() == "my-rubric"
    assert not editor.discard_button.isEnabled()
    assert "Before every conversation: 4" in editor.preview.prompt.toPlainText()
    assert "Question on Comprehensiveness: " in editor.preview.prompt.toPlainText()
    before = editor.preview.sizes.text()
    write(editor.axes.form(0).levels[4].control, "Sparkling prose, <b>word</b> for word.")
    assert editor.state.text() == "Not saved yet."
    qtbot.waitUntil(
        lambda: "5 = Sparkling prose, <b>word</b> for word." in editor.preview.prompt.toPlainText(), timeout=20_000
    )
    assert editor.preview.sizes.text() != before
    editor.preview.variant.setCurrentIndex(editor.preview.variant.findData("4"))
    qtbot.waitUntil(lambda: "4 = Sparkling prose" in editor.preview.prompt.toPlainText(), timeout=20_000)
    QTest.mouseClick(editor.save_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: editor.state.text().startswith("Saved as my-rubric-"), timeout=20_000)
    settled(window, qtbot)
    (path,) = rubric_store.folder().glob("my-rubric-*.toml")
    assert load(path).axes[0].levels[4] == "Sparkling prose, <b>word</b> for word."
    choice = window.rate.setup.rubric
    assert choice.path == path
    assert load(path).sha256[:12] in choice.box.currentText()
    assert choice.box.itemText(0) == "default (ships with Auditor)"
    QTest.mouseClick(editor.close_button, Qt.MouseButton.LeftButton)
    assert editor.question is None
    assert not editor.isVisible()
    assert load().axes[0].levels[4] != load(path).axes[0].levels[4]


@pytest.mark.slow
def test_a_saved_version_is_what_the_next_run_uses(
    case_window: Window, qtbot: QtBot, tmp_path: Path, home: Path
) -> None:
    version = rubric_store.save(checked({**load().model_dump(mode="json"), "name": "mine"}))
    window = case_window
    window.go_to(window.rate)
    choice = window.rate.setup.rubric
    qtbot.waitUntil(lambda: choice.box.count() == 2, timeout=30_000)
    assert choice.path is None
    choice.box.setCurrentIndex(1)
    assert "SHA-256 " + version.sha256[:12] in choice.words.text()
    file = tmp_path / "one.jsonl"
    file.write_bytes(resource("samples", "conversations.jsonl").read_bytes().splitlines(keepends=True)[0])
    window.rate.take_file(file)
    qtbot.waitUntil(window.rate.setup.run.isEnabled, timeout=30_000)
    window.rate.setup.start()
    qtbot.waitUntil(lambda: window.rate.shown_run is not None, timeout=20_000)
    run = window.rate.shown_run
    assert run is not None
    assert f'"name": "{version.path.name}"' in (run / "spec.json").read_text()
    qtbot.waitUntil(lambda: window.session.executor.status(run).sealed, timeout=240_000)
    assert version.sha256 in (run / "findings.json").read_text()
    qtbot.wait(200)
    settled(window, qtbot)


def test_problems_stand_beside_their_fields_and_keep_it_from_being_saved(window: Window, editor: RubricEditor) -> None:
    form = editor.axes.form(1)
    editor.axes.list.setCurrentRow(1)
    write(form.name.control, "Two Words")
    assert "Small letters" in form.name.problem.text()
    assert form.name.problem.isVisible()
    write(form.name.control, "on_topic")
    assert "Another axis has this name" in editor.axes.form(2).name.problem.text()
    write(form.name.control, "complete")
    assert not form.name.problem.isVisible()
    write(form.levels[2].control, " ")
    assert form.levels[2].problem.text() == "This text is empty."
    assert form.levels[2].control.accessibleDescription() == "This text is empty."
    assert editor.axes.list.item(1).text() == "▲ Comprehensiveness"
    assert "1 field is not right" in editor.state.text()
    for button in (editor.save_button, editor.export_button):
        assert not button.isEnabled()
    QTest.keyClick(editor, Qt.Key.Key_S, Qt.KeyboardModifier.ControlModifier)
    assert not rubric_store.folder().exists() or not list(rubric_store.folder().glob("*.toml"))
    write(form.levels[2].control, "Half.")
    assert editor.save_button.isEnabled()
    write(editor.name.control, "default")
    assert "ships" in editor.name.problem.text()
    assert not editor.save_button.isEnabled()


def test_axes_are_added_copied_removed_put_back_and_moved_by_keyboard(editor: RubricEditor, qtbot: QtBot) -> None:
    axes = editor.axes

    def names() -> list[str]:
        return [axis["name"] for axis in axes.axes()]

    def shown() -> AxisForm:
        found = [axes.form(place) for place in range(len(names())) if axes.form(place).isVisible()]
        assert len(found) == 1
        return found[0]

    axes.list.setFocus()
    QTest.keyClick(axes.list, Qt.Key.Key_A, Qt.KeyboardModifier.AltModifier)
    assert names()[-1] == "new_axis"
    assert shown() is axes.form(3)
    QTest.keyClicks(shown().title.control, "5 Kind words!")
    assert names()[-1] == "kind_words"
    assert not editor.save_button.isEnabled()
    for field in (shown().question, *shown().levels):
        write(field.control, "Is it kind?")
    assert editor.save_button.isEnabled()
    write(shown().name.control, "kindness")
    write(shown().title.control, "Kind")
    assert names()[-1] == "kindness"
    QTest.keyClick(axes.list, Qt.Key.Key_Up, Qt.KeyboardModifier.AltModifier)
    QTest.keyClick(axes.list, Qt.Key.Key_Up, Qt.KeyboardModifier.AltModifier)
    assert names() == ["naturalness", "kindness", "comprehensiveness", "on_topic"]
    QTest.keyClick(axes.list, Qt.Key.Key_Down, Qt.KeyboardModifier.AltModifier)
    assert names() == ["naturalness", "comprehensiveness", "kindness", "on_topic"]
    assert axes.list.currentItem().text() == "Kind"
    QTest.keyClick(axes.list, Qt.Key.Key_D, Qt.KeyboardModifier.AltModifier)
    assert names()[2:4] == ["kindness", "kindness_2"]
    assert shown().title.text() == "Kind (copy)"
    QTest.mouseClick(axes.remove_button, Qt.MouseButton.LeftButton)
    assert "kindness_2" not in names()
    QTest.mouseClick(axes.undo_button, Qt.MouseButton.LeftButton)
    assert names()[3] == "kindness_2"
    assert shown() is axes.form(3)
    assert not axes.undo_button.isEnabled()
    for _ in range(5):
        QTest.mouseClick(axes.remove_button, Qt.MouseButton.LeftButton)
    assert names() == []
    assert "at least one axis" in axes.problem.text()
    assert not axes.remove_button.isEnabled()
    QTest.mouseClick(axes.undo_button, Qt.MouseButton.LeftButton)
    assert len(names()) == 1
    assert editor.save_button.isEnabled()


def test_undo_works_in_every_text_even_after_another_axis_was_looked_at(editor: RubricEditor) -> None:
    text = editor.axes.form(0).question.control
    before = editor.axes.form(0).question.text()
    write(text, "Other?")
    editor.axes.list.setCurrentRow(2)
    editor.axes.list.setCurrentRow(0)
    while text.document().isUndoAvailable():  # type: ignore[union-attr]  # it is a text of several lines
        QTest.keyClick(text, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert editor.axes.form(0).question.text() == before
    assert not editor.is_changed


def test_closing_asks_about_changes(window: Window, editor: RubricEditor, qtbot: QtBot) -> None:
    write(editor.title.control, "Mine")
    QTest.keyClick(editor, Qt.Key.Key_Escape)
    answer(editor, QMessageBox.StandardButton.Cancel)
    assert editor.isVisible()
    assert editor.title.text() == "Mine"
    editor.close()
    answer(editor, QMessageBox.StandardButton.Save)
    qtbot.waitUntil(lambda: not editor.isVisible(), timeout=20_000)
    settled(window, qtbot)
    version = window.rate.setup.rubric.path
    assert version is not None
    assert load(version).title == "Mine"
    again = opened(window, qtbot)
    assert again.name.text() == "my-rubric"
    write(again.axes.form(0).levels[0].control, " ")
    again.reject()
    assert again.question is not None
    assert again.question.button(QMessageBox.StandardButton.Save) is None
    answer(again, QMessageBox.StandardButton.Discard)
    assert not again.isVisible()
    settled(window, qtbot)
    assert rubric_store.draft() is None
    assert list(rubric_store.folder().glob("*.toml")) == [version]


def test_unsaved_changes_outlive_a_crash(window: Window, editor: RubricEditor, qtbot: QtBot, tmp_path: Path) -> None:
    write(editor.axes.form(2).levels[0].control, "Astray.")
    write(editor.title.control, "")
    qtbot.waitUntil(lambda: rubric_store.draft() is not None, timeout=10_000)
    settled(window, qtbot)
    other = make_window(tmp_path / "other.ini")
    qtbot.addWidget(other)
    other.show()
    second = opened_with_draft(other, qtbot)
    assert second.title.text() == ""
    assert second.axes.form(2).levels[0].text() == "Astray."
    assert "Unsaved changes of 20" in second.state.text()
    QTest.mouseClick(second.discard_button, Qt.MouseButton.LeftButton)
    answer(second, QMessageBox.StandardButton.Discard)
    assert second.axes.form(2).levels[0].text() == load().axes[2].levels[0]
    settled(other, qtbot)
    assert rubric_store.draft() is None
    other.close()


def opened_with_draft(window: Window, qtbot: QtBot) -> RubricEditor:
    window.go_to(window.rate)
    settled(window, qtbot)
    editor = window.rate.setup.rubric.edit()
    qtbot.waitUntil(lambda: bool(editor.state.text()), timeout=10_000)
    settled(window, qtbot)
    return editor


def test_rubrics_are_exported_and_imported(window: Window, editor: RubricEditor, qtbot: QtBot, tmp_path: Path) -> None:
    file = tmp_path / "out.toml"
    write(editor.axes.form(0).levels[0].control, 'He said "no"\\')
    editor.export_file(file)
    qtbot.waitUntil(lambda: editor.state.text() == "Exported to out.toml.", timeout=10_000)
    assert load(file).axes[0].levels[0] == 'He said "no"\\'
    own = tmp_path / "own.toml"
    one = load().model_copy(update={"name": "own", "axes": load().axes[1:2]})
    own.write_text(to_toml(one), encoding="utf-8")
    editor.import_file(own)
    answer(editor, QMessageBox.StandardButton.Discard)
    qtbot.waitUntil(lambda: editor.name.text() == "own", timeout=10_000)
    assert [axis["name"] for axis in editor.axes.axes()] == ["comprehensiveness"]
    assert "Not a saved version yet" in editor.base.text()
    assert editor.is_changed
    own.write_text("nonsense", encoding="utf-8")
    editor.import_file(own)
    answer(editor, QMessageBox.StandardButton.Discard)
    qtbot.waitUntil(lambda: "own.toml: The rubric is not TOML" in editor.state.text(), timeout=10_000)
    assert editor.name.text() == "own"


def test_a_dropped_rubric_is_used_where_it_lies(window: Window, qtbot: QtBot, tmp_path: Path) -> None:
    file = tmp_path / "theirs.toml"
    file.write_text(to_toml(load().model_copy(update={"name": "theirs"})), encoding="utf-8")
    window.take_dropped(file)
    choice = window.rate.setup.rubric
    qtbot.waitUntil(lambda: choice.path == file, timeout=20_000)
    settled(window, qtbot)
    assert choice.box.currentText() == "theirs.toml (a file)"
    choice.refresh()
    settled(window, qtbot)
    assert choice.path == file
    assert "Axes: naturalness" in choice.words.text()
    file.write_text("name = 3", encoding="utf-8")
    choice.take_file(file)
    qtbot.waitUntil(choice.problem.isVisible, timeout=20_000)
    assert "theirs.toml" in choice.problem.text()


def test_without_a_model_the_editor_says_what_is_missing(window: Window, editor: RubricEditor, qtbot: QtBot) -> None:
    editor.reject()
    window.rate.setup.model.clear()
    again = window.rate.setup.rubric.edit()
    qtbot.waitUntil(lambda: "Choose a judge model" in again.preview.problem.text(), timeout=10_000)


@pytest.mark.parametrize("width", [1024, 1440])
def test_every_control_has_a_name_is_reachable_and_nothing_is_cut_off(window: Window, qtbot: QtBot, width: int) -> None:
    window.resize(width, 700)
    editor = opened(window, qtbot)
    assert editor.width() <= width
    for pane in editor.findChildren(ScrollPane):
        if pane.isVisible():
            inner = pane.widget()
            assert inner is not None
            assert inner.width() <= pane.viewport().width()
    for kind in (QAbstractButton, QLineEdit, QPlainTextEdit, QTextEdit, QListWidget):
        for control in editor.findChildren(kind):
            if control.objectName().startswith("qt_") or not control.isVisible():
                continue
            named = control.accessibleName() or (control.text() if isinstance(control, QAbstractButton) else "")
            assert named, control
            assert control.focusPolicy() & Qt.FocusPolicy.TabFocus, control
    reached = set()
    editor.name.control.setFocus()
    for _ in range(60):
        focused = window.focusWidget() if editor.focusWidget() is None else editor.focusWidget()
        reached.add(focused)
        QTest.keyClick(focused, Qt.Key.Key_Tab)
    form = editor.axes.form(0)
    wanted = [
        field.control for field in (editor.name, editor.title, form.title, form.name, form.question, *form.levels)
    ]
    assert reached.issuperset(
        [*wanted, editor.axes.list, editor.preview.prompt, editor.save_button, editor.close_button]
    )


def test_a_text_is_as_high_as_what_stands_in_it(qtbot: QtBot) -> None:
    text = GrowingText("Text", least=2, most=4)
    qtbot.addWidget(text)
    text.resize(300, 60)
    text.show()
    least = text.height()
    text.setPlainText("a\nb\nc")
    middle = text.height()
    text.setPlainText("a\n" * 50)
    most = text.height()
    assert least < middle < most
    assert text.verticalScrollBarPolicy() == Qt.ScrollBarPolicy.ScrollBarAlwaysOn
    text.setPlainText("a")
    assert text.height() == least


@pytest.mark.parametrize(
    ("title", "name"),
    [("On topic", "on_topic"), ("9 Lives!", "lives"), ("Überaus", "beraus"), ("?", ""), ("x" * 60, "x" * 40)],
)
def test_names_are_made_from_titles(title: str, name: str) -> None:
    assert name_after(title) == name
