"""Evidence over the parity runs of a case: what each run's table of queries adds, in order of time.

Only runs that ask the same question belong together (see `monitor_question`): each question has evidence of its own, and
e-BH says for which of them disparity is found.

Only modes B and C2 are followed, where queries are what is drawn. In modes A and C1 chance deals out the labels of items, and
lists that share items, or find each other's queries, say the same thing again: in a simulation at alpha .05, small clusters
of near-duplicates raised 72 alarms in 400 null sequences of mode A, and shared items one in all of 200 of mode C1.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from auditor.audits import FinishedRun, FollowedOverTime
from auditor.audits.parity.monitor import Evidence, Monitor, several_attributes
from auditor.audits.parity.monitor_question import AskedRun, Question
from auditor.errors import InputError, printable

_VALIDITY = (
    "The evidence is an e-process on fresh queries: if results do not depend on the attribute, the probability that it ever "
    "reaches 1 / alpha is at most alpha, however often it is looked at. Queries that were audited before are versions, not "
    "evidence. The price of looking at any time is that an e-value is weaker than a p-value: 1 / e is a p-value, but the p-value "
    "of a test that is carried out once is usually much smaller."
)
_SHARED = (
    "Runs of mode {mode} cannot be followed over time: items shared by lists are not fresh evidence, so that chance in their "
    "labels would be counted again and again. Each run's own test stays valid"
)
_SEVERAL = (
    "This rate holds whenever one looks, if questions, and the files that they are asked of, are chosen without looking at "
    "results; an alarm of one question alone does not allow for the others."
)
_HEADERS = ("Asked for", "Observations so far", "Evidence (e-value)", "Largest so far")


@dataclass(frozen=True)
class Monitored:
    """Evidence over the runs that ask one question.

    Attributes
    ----------
    question : Question
    evidence : Evidence
        Its `question` is a title that no other question of the case has.
    runs : tuple of str
        Ids of the runs, in order of time.
    """

    question: Question
    evidence: Evidence
    runs: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers and texts for JSON."""
        found = self.evidence
        return {
            "question": found.question,
            **self.question.as_dict(),
            "sentence": found.sentence,
            "against": found.against,
            "alpha": found.alpha,
            "threshold": found.threshold,
            "e_value": found.e_value,
            "p_value": found.p_value,
            "alarm_date": found.alarm_date,
            "n": found.n,
            "n_fresh": found.n_fresh,
            "n_unpaired": found.n_unpaired,
            "n_without_group": found.n_without_group,
            "n_versions": len(found.versions),
            "runs": list(self.runs),
            "batches": found.rows(),
        }


@dataclass(frozen=True)
class Followed:
    """Every question that the runs of a case ask.

    Attributes
    ----------
    questions : tuple of Monitored
        At least one, in the order in which they were first asked.
    left_out : tuple of (str, str)
        Ids of runs that cannot be followed, with the reason.
    not_followed : tuple of str
        Attributes that runs tested beside their first one only: a run keeps the queries of its first attribute.
    """

    questions: tuple[Monitored, ...]
    left_out: tuple[tuple[str, str], ...]
    not_followed: tuple[str, ...] = ()

    @property
    def alpha(self) -> float:
        """False discovery rate over the questions: the smallest alpha that one of them was declared with."""
        return min(one.evidence.alpha for one in self.questions)

    @property
    def found(self) -> dict[str, bool]:
        """For which questions, by title, disparity is found by e-BH."""
        return several_attributes({one.evidence.question: one.evidence for one in self.questions}, alpha=self.alpha)

    @property
    def together(self) -> str:
        """What e-BH says of several questions, in words; empty for a single one."""
        if len(self.questions) == 1:
            return ""
        names = [title for title, is_found in self.found.items() if is_found]
        said = (
            f"disparity is found for {len(names):,}: {'; '.join(names)}." if names else "disparity is found for none."
        )
        return (
            f"{len(self.questions):,} questions are followed in this case. With a false discovery rate of at most "
            f"{self.alpha:g} over them (e-BH), {said} {_SEVERAL}"
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """What is not followed, and why, in words."""
        further = [
            f"The further attribute {printable(name, 60)} is not followed: audit it in a run of its own."
            for name in self.not_followed
        ]
        return (*(f"Run {name} was left out: {reason}." for name, reason in self.left_out), *further)

    def ordered(self, run: str) -> list[Monitored]:
        """The questions, the one that a run asks first."""
        return sorted(self.questions, key=lambda one: run not in one.runs)

    def sentences(self, run: str) -> tuple[str, ...]:
        """What a run's own question has come to, or why it has none; then what all questions say together."""
        left = [f"This run was left out: {reason}." for name, reason in self.left_out if name == run]
        own = left or [self.ordered(run)[0].evidence.sentence]
        return (*own, *([self.together] if self.together else []))

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers and texts for JSON; of a single question everything also stands outside of the list."""
        found = self.found
        questions = [{**one.as_dict(), "found_by_e_bh": found[one.evidence.question]} for one in self.questions]
        return {
            **(questions[0] if len(questions) == 1 else {"sentence": self.together}),
            "alpha": self.alpha,
            "n_questions": len(questions),
            "questions": questions,
            "left_out": [{"run": run, "reason": reason} for run, reason in self.left_out],
            "attributes_not_followed": list(self.not_followed),
        }


def over_time(run: FinishedRun, others: Sequence[FinishedRun], theme: str) -> FollowedOverTime:
    """What the question of a run has come to over the runs of its case, as words, a table and a picture."""
    from auditor.audits.parity.figures import monitor_pictures

    own = AskedRun.of(run)
    if not own.is_followed:
        return FollowedOverTime((f"{_SHARED.format(mode=own.findings.mode)}.",), _HEADERS, (), (), ())
    found = over_runs([run, *others])
    first, *rest = found.ordered(run.run)
    is_found = found.found
    notes = [
        f"Another question of this case: {one.evidence.question}: evidence {one.evidence.e_value:.3g}, disparity "
        f"{'found' if is_found[one.evidence.question] else 'not found'} by e-BH. Runs: {', '.join(one.runs)}."
        for one in rest
    ]
    return FollowedOverTime(
        sentences=(*found.sentences(run.run), _VALIDITY),
        headers=_HEADERS,
        rows=tuple(
            (str(row["date"]), f"{row['n']:,}", f"{row['e_value']:.4g}", f"{row['largest_e_value']:.4g}")
            for row in first.evidence.rows()
        ),
        notes=(*notes, *found.notes),
        pictures=tuple(monitor_pictures(first.evidence, theme)),
    )


def over_runs(runs: Sequence[FinishedRun]) -> Followed:
    """Feed the fresh queries of runs to a monitor for each question, in order of time.

    Raises
    ------
    InputError
        If there is no run, or none of a mode that can be followed.
    """
    ordered = sorted(map(AskedRun.of, runs), key=lambda run: (run.date, run.run))
    if not ordered:
        raise InputError(
            "There is no finished parity run", fix="Run the audit at least once; each run adds its queries."
        )
    asked: dict[Question, list[AskedRun]] = {}
    for run in ordered:
        if run.is_followed:
            asked.setdefault(run.question, []).append(run)
    if not asked:
        raise InputError(
            _SHARED.format(mode=ordered[0].findings.mode),
            column="mode",
            value=ordered[0].findings.mode,
            fix="Compare groups of queries (mode B) or give target shares (mode C2).",
        )
    titles = [question.title for question in asked]
    questions = []
    for title, (question, its) in zip(titles, asked.items(), strict=True):
        # Names that are long or many are cut short: the first run tells such questions apart.
        own = title if titles.count(title) == 1 else f"{title}, first asked by run {its[0].run}"
        questions.append(Monitored(question, _evidence(question, own, its), tuple(run.run for run in its)))
    further = dict.fromkeys(name for its in asked.values() for run in its for name in run.findings.more_attributes)
    return Followed(
        tuple(questions),
        tuple((run.run, _left(run)) for run in ordered if not run.is_followed),
        tuple(name for name in further if name not in {question.attribute for question in asked}),
    )


def _evidence(question: Question, title: str, runs: Sequence[AskedRun]) -> Evidence:
    # The catalog may grow from run to run: partners come from one run, and targets are compared.
    first = runs[0]
    monitor = Monitor(first.scale, question.groups, alpha=first.findings.alpha, target_mean=first.target_mean)
    for run in runs:
        monitor.add(run.batch)
    return replace(monitor.evidence(), question=title)


def _left(run: AskedRun) -> str:
    return f"runs of mode {run.findings.mode} are not followed, since items shared by lists are not fresh evidence"
