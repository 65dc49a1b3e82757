"""The `auditor` command: the same audits from a terminal, and the door to the desktop. Thin.

Exit codes: 0 done, 2 bad input or usage, 3 the run failed, 4 cancelled, 5 verification failed.
"""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from auditor import (
    __version__,
    cli_compare,
    cli_evaluate,
    cli_guard,
    cli_parity,
    cli_rate,
    cli_rating,
    cli_unlearn,
    console,
)
from auditor.case import Case, verify
from auditor.cli_backends import backends_app
from auditor.cli_models import models_app
from auditor.cli_rubric import rubric_app
from auditor.errors import AuditorError, CaseError
from auditor.resources import resource
from auditor.runs.contract import RunState
from auditor.runs.directory import RunDirectory

app = typer.Typer(
    help="Audit AI systems. Without a command the desktop opens.",
    no_args_is_help=False,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(models_app, name="models")
app.add_typer(backends_app, name="backends")
app.add_typer(rubric_app, name="rubric")
app.command()(cli_rate.rate)
app.command()(cli_rating.agree)
app.command()(cli_compare.compare)
app.command()(cli_guard.guard)
app.command()(cli_evaluate.evaluate)
app.command()(cli_unlearn.unlearn)
app.command()(cli_parity.parity)
app.command()(cli_parity.power)
app.command()(cli_parity.monitor)


CaseArgument = Annotated[Path, typer.Argument(help="The case folder.")]
RunArgument = Annotated[str, typer.Argument(help="The run's id, as `auditor runs CASE` lists it.")]


def main() -> None:
    """Entry point; turns errors for people into one sentence and an exit code."""
    try:
        app()
    except AuditorError as error:
        console.say(str(error))
        sys.exit(console.exit_code(error))


@app.callback(invoke_without_command=True)
def start(
    context: typer.Context,
    case: Annotated[Path | None, typer.Option(help="Open the desktop on this case.")] = None,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Open the desktop when no command is given."""
    if version:
        console.out(__version__)
        raise typer.Exit
    if context.invoked_subcommand is None:
        raise typer.Exit(_desktop(case))


def _desktop(case: Path | None) -> int:
    if not has_screen():
        console.say("There is no screen here: the desktop cannot open. `auditor --help` lists the commands.")
        return console.FAILED
    from auditor.desktop.app import run

    return run(case)


def has_screen() -> bool:
    """Whether a window can be shown."""
    if os.environ.get("QT_QPA_PLATFORM") == "offscreen":
        return False
    if os.name == "nt" or sys.platform == "darwin":
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


@app.command()
def report(
    case: CaseArgument,
    run: Annotated[str, typer.Argument(help="The run's id; the newest sealed run if not given.")] = "",
    html: Annotated[Path | None, typer.Option(help="Write one self-contained HTML file.")] = None,
    pdf: Annotated[Path | None, typer.Option(help="Write a tagged PDF.")] = None,
) -> None:
    """Write the report of a run; into the case's folder of reports if no file is named."""
    with _readable(case) as opened:
        directory = opened.run(run) if run else _newest(opened)
        html = html if html or pdf else console.default_report(opened, directory)
        for file in console.write_report(opened, directory, html, pdf):
            console.out(str(file))


def _readable(path: Path) -> Case:
    return Case.open(path, write=False)


def _newest(case: Case) -> RunDirectory:
    for summary in case.runs():
        if summary.sealed:
            return RunDirectory(summary.path)
    raise CaseError(f"The case {case.path.name} has no finished run yet.")


@app.command("verify")
def verify_case(
    case: CaseArgument,
    head: Annotated[str | None, typer.Option(help="Head of the chain as it stands in a report.")] = None,
) -> None:
    """Recompute every hash of a case and name what changed, is missing or was added."""
    found = verify(case, head)
    for problem in found.problems:
        console.out(f"PROBLEM {problem}")
    for note in found.notes:
        console.out(f"note    {note}")
    if not found.ok:
        console.out(f"Not verified: {len(found.problems):,} problem{'' if len(found.problems) == 1 else 's'}.")
        raise typer.Exit(console.NOT_VERIFIED)
    counts = ((found.links, "link"), (found.runs, "run"), (found.inputs, "input"))
    told = ", ".join(f"{n:,} {name}{'' if n == 1 else 's'}" for n, name in counts)
    console.out(f"Verified: {told}. Head {found.head}")


@app.command()
def resume(
    case: CaseArgument,
    run: RunArgument,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")] = False,
) -> None:
    """Go on with an interrupted, cancelled or failed run from what was flushed."""
    with Case.open(case) as opened:
        directory = opened.run(run)
        code = console.carry_out(opened, directory)
        if code == console.DONE:
            console.print_outcome(opened, directory, as_json=as_json)
    raise typer.Exit(code)


@app.command()
def runs(case: CaseArgument) -> None:
    """List the runs of a case, newest first."""
    with _readable(case) as opened:
        for summary in opened.runs():
            seal = "sealed" if summary.sealed else "not sealed"
            console.out(f"{summary.id}  {summary.state.value}  {seal}  {summary.verdict}".rstrip())


@app.command()
def note(
    case: CaseArgument,
    text: Annotated[str, typer.Argument(help="The note.")],
    author: Annotated[str, typer.Option(help="Who writes it.")],
    run: Annotated[str | None, typer.Option(help="The run it is about.")] = None,
) -> None:
    """Add a note to a case and link it into the evidence chain."""
    with Case.open(case) as opened:
        opened.add_note(text, author=author, run=run)


@app.command("sign-off")
def sign_off(
    case: CaseArgument,
    run: RunArgument,
    name: Annotated[str, typer.Option(help="Who signs.")],
    statement: Annotated[str, typer.Option(help="What is stated.")],
) -> None:
    """Sign off a finished run and link it into the evidence chain."""
    with Case.open(case) as opened:
        opened.sign_off(run, name=name, statement=statement)


@app.command()
def erase(
    case: CaseArgument,
    sha256: Annotated[str, typer.Argument(help="SHA-256 of the input, as the report names it.")],
    reason: Annotated[str, typer.Option(help="Why.")],
    by: Annotated[str, typer.Option(help="On whose responsibility.")],
) -> None:
    """Delete an input's bytes from a case; its hash and a tombstone stay, and the case still verifies."""
    with Case.open(case) as opened:
        opened.erase_input(sha256, reason=reason, by=by)
        made = [run for run in opened.runs() if sha256 in run.inputs.values() and run.state is not RunState.CREATED]
    console.out("Erased. Its hash stays, with the reason; so does what was computed from it.")
    if made:
        console.out(f"Tables and events of these runs may still quote it: {', '.join(run.id for run in made)}.")


@app.command()
def demo(
    case: Annotated[Path | None, typer.Option(help="Case folder. Default: ./auditor-demo.")] = None,
    window: Annotated[bool, typer.Option(help="Open the desktop on the case afterwards.")] = True,
) -> None:
    """Audit the bundled samples and write the reports: conversations, demonstrations, search results, facts to forget."""
    path = case or Path.cwd() / "auditor-demo"
    sample = {"conversations": resource("samples", "conversations.jsonl")}
    _demonstrate(path, cli_rate.carry_out(sample, {}, ["starter"], path, 0, as_json=False))
    _demonstrate(path, cli_guard.demonstrate(path))
    for engine in ("fair", "biased"):
        _demonstrate(path, cli_parity.demonstrate(engine, path))
    _demonstrate(path, cli_unlearn.demonstrate(path))
    if not window:
        return
    if not has_screen():
        console.out("There is no screen here, so the desktop stays closed. With one: auditor --case " + str(path))
        return
    raise typer.Exit(_desktop(path))


def _demonstrate(path: Path, code: int) -> None:
    if code != console.DONE:
        raise typer.Exit(code)
    with _readable(path) as opened:
        run = _newest(opened)
        file = console.default_report(opened, run)
        console.write_report(opened, run, file, file.with_suffix(".pdf"))
        console.out(f"Report: {file}")


@app.command("self-test")
def self_test() -> None:
    """Try every part of the installation; one line each, exit code 0 or 1."""
    from auditor import selftest

    raise typer.Exit(0 if selftest.run(console.out) else 1)
