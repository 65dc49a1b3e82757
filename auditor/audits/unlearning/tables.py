"""The tables of an unlearning run: what each column holds, and how rows become Parquet."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from auditor.audits import Context
from auditor.audits.findings import Column, TableInfo
from auditor.audits.saving import save_rows

if TYPE_CHECKING:
    import pyarrow as pa

_WHOLE = {
    *("step", "epoch", "row", "n", "place", "forget_row", "other_row", "size_bytes", "prompts", "same_first"),
    *("n_forget", "n_retain", "n_asked", "survivors"),
}
_NUMBERS = {
    *("forget_loss", "retain_loss", "epsilon", "lambda", "learning_rate", "gradient_norm", "tokens_per_s"),
    *("forget_probability", "retain_probability", "before", "before_low", "before_high", "after", "after_low"),
    *("after_high", "probability_before", "probability_after", "rouge_before", "rouge_after", "share"),
    *("rms_difference", "relative_difference", "largest_difference", "most_rms", "most_relative"),
    *("forget_low", "forget_high", "retain_low", "retain_high", "low", "high", "loss"),
    *("worst_probability", "worst_high"),
}


def _column(name: str, title: str, description: str, unit: str | None = None, *, detail: bool = False) -> Column:
    return Column(name=name, title=title, description=description, unit=unit, detail=detail)


_STEP = _column("step", "Step", "Step of the optimizer, from 1; 0 before the first.")
_ROW = _column("row", "Row", "Row in its file; in a table with a header that is row 1.", detail=True)
#: The number is filled in when a table is saved: it is a setting of the run.
_ROUGE = _column(
    "rouge_before",
    "ROUGE before",
    "ROUGE-L recall of the generated answer, of at most {new_tokens} tokens (TOFU's published figures: 200).",
    detail=True,
)
_EPSILON = _column("epsilon", "Epsilon", "Most that the retain loss may be.", "nats", detail=True)

COLUMNS: Mapping[str, tuple[str, tuple[Column, ...]]] = {
    "metrics": (
        "Measures before and after",
        (
            _column("measure", "Measure", "In words."),
            _column("metric", "Name", "Of the measure, as findings and --json have it.", detail=True),
            _column("before", "Before", "Of the start model."),
            _column("before_low", "Before, low", "Lower end of a 95% bootstrap interval over examples.", detail=True),
            _column("before_high", "Before, high", "Its upper end.", detail=True),
            _column("after", "After", "Of the model that was made, with the weights that its files hold."),
            _column("after_low", "After, low", "Lower end of a 95% bootstrap interval over examples."),
            _column("after_high", "After, high", "Its upper end."),
            _column("n", "Examples", "Examples behind it."),
            _column("unavailable", "Why not", "Why there is no figure, or what to know of it."),
        ),
    ),
    "training": (
        "Every step",
        (
            _STEP,
            _column("epoch", "Epoch", "Pass over what is forgotten, from 1."),
            _column(
                "forget_loss",
                "Forget loss",
                "The objective's own forget term, before the step; lower is more forgotten.",
            ),
            _column("retain_loss", "Retain loss", "Mean over answer tokens of the step's batch.", "nats"),
            _EPSILON,
            _column("lambda", "Lambda", "Weight of the retain loss after the step; empty without a dual variable."),
            _column("learning_rate", "Learning rate", "Of AdamW."),
            _column("gradient_norm", "Gradient", "Norm over all trained weights, before clipping.", detail=True),
            _column("tokens_per_s", "Tokens/s", "Tokens trained on over the seconds of the step.", "1/s"),
        ),
    ),
    "trace": (
        "Probabilities while it trained",
        (
            _STEP,
            _column("forget_probability", "Forget", "Mean probability of the probed answers' own tokens, to forget."),
            _column(
                "retain_probability",
                "Retain",
                "Mean probability a token of the probed answers to keep, the token that ends them among them.",
            ),
            _column("retain_loss", "Retain loss", "Mean over their answer tokens.", "nats"),
            _EPSILON,
            _column("n", "Examples", "Examples probed of each kind, at most.", detail=True),
        ),
    ),
    "examples": (
        "Before and after, side by side",
        (
            _column(
                "place", "Place", "Rank in this table: what is forgotten first, most probable after first.", detail=True
            ),
            _column("kind", "Kind", "forget, probes, retain or holdout."),
            _ROW,
            _column("id", "Id", "Id in the file, or the row.", detail=True),
            _column("question", "Question", "As it was asked; empty for plain texts."),
            _column("answer", "Answer", "As the file has it."),
            _column("generated_before", "Said before", "The start model's likeliest answer, token by token."),
            _column("generated_after", "Says after", "The likeliest answer of the model that was made."),
            _column(
                "probability_before",
                "Before",
                "Probability a token of the file's answer, without the token that ends it: exp of minus the mean loss.",
            ),
            _column("probability_after", "After", "The same after."),
            _ROUGE,
            _column("rouge_after", "ROUGE after", "The same after.", detail=True),
        ),
    ),
    "other_ways": (
        "What is forgotten, asked for in other ways",
        (
            _column("place", "Place", "Rank in this table, most probable after first.", detail=True),
            _column(
                "kind",
                "Way",
                "question (as trained), paraphrase, prefix, chat (through the model's chat template), or answer start (half of "
                "the answer is given).",
            ),
            _ROW,
            _column("id", "Id", "Id in the file, or the row.", detail=True),
            _column("prompt", "Prompt", "What the model went on from."),
            _column("answer", "Wanted", "The answer, or what is left of it."),
            _column("generated_before", "Said before", "The start model's likeliest answer, token by token."),
            _column("generated_after", "Says after", "The likeliest answer of the model that was made."),
            _column(
                "probability_before", "Before", "Probability a token of what is wanted, without the token that ends it."
            ),
            _column("probability_after", "After", "The same after."),
            _ROUGE,
            _column("rouge_after", "ROUGE after", "The same after.", detail=True),
        ),
    ),
    "overlaps": (
        "What other files share with what is to be forgotten",
        (
            _column("kind", "Kind", "same question, same answer, near, or for probes the same example or question."),
            _column("role", "File", "retain, holdout or probes."),
            _column("other_row", "Row", "Row in that file."),
            _column("other_text", "Text", "Question and answer there."),
            _column("forget_row", "Forget row", "Row in the file of what to forget."),
            _column("forget_text", "Forget text", "Question and answer there."),
            _column("share", "Share", "Runs of five words that both have, over those of the shorter one."),
        ),
    ),
    "exports": (
        "Files made of the model",
        (
            _column("name", "File", "Path in the run's directory."),
            _column("kind", "Kind", "folder or GGUF, with the type of its weights."),
            _column("size_bytes", "Size", "Of the file or of all files of the folder.", "bytes"),
            _column("sha256", "SHA-256", "Of the file; of a folder over the names and hashes of its files."),
            _column(
                "rms_difference",
                "Difference",
                "Largest root mean square difference of logits from torch's, over the prompts.",
            ),
            _column(
                "relative_difference",
                "Relative",
                "The same over the standard deviation of torch's logits.",
                detail=True,
            ),
            _column("most_rms", "At most", "Difference up to which it passed.", detail=True),
            _column("most_relative", "Or relative", "Relative difference up to which it passed.", detail=True),
            _column("largest_difference", "Largest", "Largest difference of a single logit, over the prompts."),
            _column("same_first", "Same first", "Prompts on which both find the same token most probable."),
            _column("prompts", "Prompts", "On which logits were compared."),
            _column("made_from", "Made from", "File that it was quantised from.", detail=True),
        ),
    ),
    "files": (
        "What every file still says, by reading the file itself",
        (
            _column("name", "File", "Path in the run's directory."),
            _column("kind", "Kind", "folder or GGUF, with the type of its weights.", detail=True),
            _column(
                "state",
                "In this file",
                "forgotten, not forgotten, inconclusive or not measured: what is to be forgotten, in whatever way it was asked.",
            ),
            _column(
                "forget_probability", "Forget", "Mean probability a token of the answers to forget, their own tokens."
            ),
            _column("forget_low", "Forget, low", "Lower end of a 95% bootstrap interval over examples."),
            _column("forget_high", "Forget, high", "Its upper end."),
            _column("worst_probability", "At worst", "The same in the way of asking that brings most back."),
            _column("worst_high", "At worst, high", "Upper end of its interval.", detail=True),
            _column("worst_way", "Asked", "That way.", detail=True),
            _column(
                "survivors",
                "Survive",
                "Answers to forget that some way of asking brings above the bound of the verdict.",
            ),
            _column(
                "n_asked",
                "Asked for",
                "Answers to forget that were asked for, in questions of one's own too.",
                detail=True,
            ),
            _column("n_forget", "Of", "Answers to forget that were read.", detail=True),
            _column(
                "retain_probability", "Retain", "Mean probability a token of the answers to keep, their own tokens."
            ),
            _column("retain_low", "Retain, low", "Lower end of a 95% bootstrap interval over examples.", detail=True),
            _column("retain_high", "Retain, high", "Its upper end.", detail=True),
            _column("n_retain", "Kept, of", "Answers to keep that were read.", detail=True),
            _column("size_bytes", "Size", "Of the file or of all files of the folder.", "bytes", detail=True),
            _column("engine", "Read by", "Program, precision and processor.", detail=True),
            _column("sha256", "SHA-256", "Of what was read.", detail=True),
            _column("unavailable", "Why not", "Why there is no figure.", detail=True),
        ),
    ),
    "relearning": (
        "What comes back when a copy is trained again",
        (
            _column(
                "model", "Model", "unlearned (the folder of the run), or reference, which has never learnt the answers."
            ),
            _column("data", "Trained on", "benign: answers to keep. items: a few of the examples to forget."),
            _column("step", "Step", "Step of the optimizer; 0 before the first."),
            _column(
                "forget_probability",
                "Forget",
                "Mean probability a token of answers to forget that the copy was not trained on again.",
            ),
            _column("low", "Low", "Lower end of a 95% bootstrap interval over examples."),
            _column("high", "High", "Its upper end."),
            _column("n", "Examples", "Examples behind it."),
            _column("loss", "Loss", "Mean over answer tokens of the step's batch, before the step.", "nats"),
        ),
    ),
}

#: Rows that a report prints of tables that stand sorted by what matters most.
LEADING: Mapping[str, int] = {"examples": 20, "other_ways": 20, "overlaps": 20}


def save(context: Context, name: str, rows: Sequence[Mapping[str, Any]], *, new_tokens: int) -> TableInfo:
    """Save one of `COLUMNS`' tables; rows lack nothing but what is null.

    Parameters
    ----------
    new_tokens : int
        Longest answer that was generated, which columns of ROUGE name.
    """
    import pyarrow as pa

    title, columns = COLUMNS[name][0], tuple(_told(column, new_tokens) for column in COLUMNS[name][1])
    schema = pa.schema([(column.name, _type(column.name)) for column in columns])
    info = TableInfo(name=name, title=title, rows=len(rows), columns=columns, leading=LEADING.get(name, 0))
    save_rows(context, info, rows, schema)
    return info


def _told(column: Column, new_tokens: int) -> Column:
    words = column.description.replace("{new_tokens}", f"{new_tokens:,}")
    return column.model_copy(update={"description": words})


def _type(name: str) -> "pa.DataType":
    import pyarrow as pa

    if name in _WHOLE:
        return pa.int64()
    return pa.float64() if name in _NUMBERS else pa.string()
