"""What is learnt, forgotten or kept: questions with answers, and plain texts."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Example:
    """One row of a file.

    Attributes
    ----------
    id : str
        Unique within its file; the row's number where the file has no ids.
    question : str or None
        What the model is asked; None for a plain text, which is all answer.
    answer : str
        What it says: the loss is taken over these tokens alone.
    row : int
        Row of the file, as a person counts it.
    paraphrased_question, paraphrased_answer : str
        The same in other words, never trained on; empty where the file has none.
    perturbed_answers : tuple of str
        Wrong answers in the form of the paraphrased one.
    task : str
        Kind of the example, where the file says one.
    """

    id: str
    question: str | None
    answer: str
    row: int
    paraphrased_question: str = ""
    paraphrased_answer: str = ""
    perturbed_answers: tuple[str, ...] = ()
    task: str = ""

    @property
    def text(self) -> str:
        """Question and answer as one text."""
        return self.answer if self.question is None else f"{self.question} {self.answer}"


def plain(text: str) -> str:
    """A text without what tells no two texts apart: case, and how many blanks stand between words."""
    return " ".join(text.split()).casefold()
