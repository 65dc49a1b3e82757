"""Questions of the desktop about unlearning runs side by side; see `auditor.tasks_compare`."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auditor.audits.comparison import run_names
from auditor.audits.unlearning.words import counted, percent
from auditor.case import Case, RunSummary
from auditor.errors import InputError
from auditor.runs.clock import minute
from auditor.runs.directory import RunDirectory
from auditor.tasks_compare_pairs import PairWords, Shown, pictures_of, told_pairs
from auditor.tasks_unlearning import WAYS

if TYPE_CHECKING:
    from auditor.audits import Picture
    from auditor.audits.unlearning.compare import Comparison, PairComparison, RunTables
    from auditor.audits.unlearning.compare_examples import Shared, Told
    from auditor.audits.unlearning.scored import Scored

Question = Mapping[str, Any]
Progress = Callable[[int, int, str], None]

#: Columns of the window's table, in its order.
_SHOWN = (
    *("kind", "question", "start", "probability_a", "probability_b", "difference", "above", "worst_a", "worst_b"),
    *("answer", "said_a", "said_b", "said_start", "rouge_a", "rouge_b", "id", "row_a", "row_b"),
)
_FILTERS = (
    {"title": "All", "condition": "", "help": "Every example that both runs measured."},
    {"title": "To forget", "condition": "kind is forget", "help": "What was to be forgotten."},
    {
        "title": "Above in A alone",
        "condition": "above is A alone",
        "help": "Answers to forget that only A's model still has above its bound, in some way of asking.",
    },
    {
        "title": "Above in B alone",
        "condition": "above is B alone",
        "help": "Answers to forget that only B's model still has above its bound, in some way of asking.",
    },
    {"title": "To keep", "condition": "kind is retain", "help": "What was to be kept."},
)


def offered(summary: RunSummary) -> dict[str, Any] | None:
    """A finished unlearning run to choose: what it is in words, and what was set; None for one that has only learnt."""
    from auditor.audits.unlearning.compare_settings import parts_of

    run = RunDirectory(summary.path)
    found = run.findings()
    if found["constraint"] is None:
        return None
    asked = run.spec()
    data = found["data"]
    return {
        "model": f"{found['method']} on {found['model_name']}",
        "lines": [
            f"{minute(summary.created)}, {data['n_forget']:,} to forget, {data['n_retain']:,} to keep",
            _settings_words(found, asked.spec, asked.seed),
        ],
        "parts": parts_of(found, asked.spec, asked.seed),
        "model_sha256": found["model_sha256"],
    }


def _settings_words(found: Mapping[str, Any], asked: Mapping[str, Any], seed: int) -> str:
    rank = f", LoRA {asked['lora_rank']}" if asked.get("lora_rank") else ""
    return (
        f"{counted(asked['epochs'], 'epoch', 'epochs')}, rate {asked['learning_rate']:g}, "
        f"epsilon {found['constraint']['epsilon']:.3g}{rank}, seed {seed}"
    )


def side_by_side(
    _case: Case, runs: Sequence[RunDirectory], theme: str, folder: Path | None, progress: Progress
) -> dict[str, Any]:
    """Unlearning runs beside the first of them; see `auditor.tasks_compare`."""
    from auditor.audits.unlearning import compare_text as text
    from auditor.audits.unlearning.compare_examples import COLUMNS

    found = _compared(runs)

    def words(pair: "PairComparison") -> PairWords:
        figures = [made(pair, found.confidence) for made in (text.forgotten, text.kept, text.told_apart)]
        return PairWords(text.headline(pair), text.ground(pair, found), [*figures, text.outcomes(pair)], _FILTERS)

    shown = Shown(_described, "method", COLUMNS, _SHOWN)
    pairs = told_pairs(found, runs, words, _drawn, shown, theme=theme, folder=folder, progress=progress)
    return {"pairs": pairs, "warnings": [caution.message for caution in found.cautions]}


def pictures(_case: Case, runs: Sequence[RunDirectory], place: int, theme: str) -> "Iterator[Picture]":
    """Pictures of the first run and the one with this place among the others."""
    return pictures_of(_compared(runs), place, _drawn, theme)


def tables_of(run: RunDirectory, name: str = "") -> "RunTables":
    """A finished run, as far as it is compared.

    Parameters
    ----------
    name : str
        What it is called in the comparison; its id if not given.

    Raises
    ------
    InputError
        If what it measured is gone.
    RunError
        If it has no findings, or they are damaged.
    """
    from auditor.audits.unlearning.compare import RunTables
    from auditor.audits.unlearning.compare_examples import measured_of

    findings, asked = run.findings(), run.spec()
    if not run.events_file.is_file():
        raise InputError(
            f"The run {run.path.name} has lost its events, in which what it measured stands",
            fix="Verify the case: that names what changed.",
        )
    stages = {
        event["row"]["stage"]: event["row"]["result"]
        for event in run.events()
        if event["kind"] == "row" and event["table"] == "stages"
    }
    before, after = measured_of(name or run.path.name, stages)
    hashes = {role: file.sha256 for role, file in asked.inputs.items()}
    return RunTables(name or run.path.name, findings, asked.spec, asked.seed, before, after, hashes)


def _compared(runs: Sequence[RunDirectory]) -> "Comparison":
    """The seed is that of A."""
    from auditor.audits.unlearning.compare import compare

    tables = [tables_of(run, name) for name, run in zip(run_names(len(runs)), runs, strict=True)]
    return compare(tables, seed=tables[0].seed)


def _drawn(found: "Comparison", theme: str) -> "Iterator[Picture]":
    from auditor.audits.unlearning.figures_compare import compare_pictures

    return compare_pictures(found, theme)


def _described(run: RunDirectory) -> str:
    found = run.findings()
    return f"{found['method']} on {found['model_name']} {found['dtype']}, {minute(run.spec().created)}"


# ---- one example


def compared_example(asked: Question, _progress: Progress) -> Any:
    """One example: question, answer, what the start model and both models say, in every way that both runs asked.

    `runs` are two ids, A first; `rows` is the example's row in the file of each, `kind` what kind of example it is.
    """
    rows, kind = [int(row) for row in asked["rows"]], str(asked["kind"])
    with Case.open(Path(asked["case"]), write=False) as case:
        runs = [case.run(run) for run in asked["runs"]]
    one = _shared([tables_of(run) for run in runs], rows, kind)
    return {
        "rows": rows,
        "kind": kind,
        "parts": _parts(one),
        "answers": [_answer(one, 1), _answer(one, 2)],
    }


def _shared(tables: "Sequence[RunTables]", rows: Sequence[int], kind: str) -> "Shared":
    """The example in these rows of both runs.

    Raises
    ------
    InputError
        If they have no such example in common.
    """
    from auditor.audits.unlearning.compare_examples import shared, told

    a, b = (
        [one for one in told(run.before, run.after).get(kind, ()) if one.after.row == row]
        for run, row in zip(tables, rows, strict=True)
    )
    found = shared(a, b, same_prompt=tables[0].asked.get("prompt") == tables[1].asked.get("prompt"))
    if not found:
        raise InputError(f"Both runs have no example of the kind {kind} in these rows", row=rows[0])
    return found[0]


def _parts(one: "Shared") -> list[list[str]]:
    """Question and answer, then what each model says, then the same for every other way of asking."""
    example = one.a.after
    parts = [["Question", example.question]] if example.question else []
    parts += [["Answer" if example.question else "Text", example.answer]]
    parts += _said([one.a.before.generation, one.a.after.generation, one.b.after.generation])
    order = {kind: place for place, kind in enumerate(WAYS)}
    for a, b in sorted(one.ways, key=lambda pair: order.get(pair[0].kind, len(order))):
        parts.append([WAYS.get(a.kind, f"Asked: {a.kind}"), a.after.prompt])
        parts += [["Wanted", a.after.wanted]] if a.after.wanted != example.answer else []
        parts += _said([a.before.generation, a.after.generation, b.after.generation])
        told = (a.before.probability, a.after.probability, b.after.probability)
        parts.append(["Probability a token", "start {}, A {}, B {}".format(*map(percent, told))])
    return parts


def _said(texts: Sequence[str | None]) -> list[list[str]]:
    if all(text is None for text in texts):
        return []
    headings = ("Start model says", "A says", "B says")
    return [
        [heading, "(nothing was generated)" if text is None else text or "(nothing)"]
        for heading, text in zip(headings, texts, strict=True)
    ]


def _answer(one: "Shared", place: int) -> dict[str, Any]:
    """Figures of one model; `place` is 1 for A's and 2 for B's."""
    run: Told = one.a if place == 1 else one.b
    after: Scored = run.after
    return {
        "probability": after.answer_probability,
        "start": run.before.answer_probability,
        "worst": one.at_worst[place] if one.ways else None,
        "loss": after.loss,
        "rouge": after.rouge_recall,
        "extraction_strength": after.extraction_strength,
        "exact_memorisation": after.exact_memorisation,
    }


TASKS = (compared_example,)
