"""What a guard run is about: labels and the words that stand for them, labelled texts, demonstrations."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Task:
    """Labels of a classification task, each read as one word.

    Attributes
    ----------
    labels : tuple of str
        As they are written in the files, in the order in which the cyclic attack goes round.
    words : tuple of str
        The word that the model sees and is scored for, one for each label.
    """

    labels: tuple[str, ...]
    words: tuple[str, ...]

    def word(self, label: str) -> str:
        """The word of a label.

        Raises
        ------
        ValueError
            If there is no such label.
        """
        return self.words[self.number(label)]

    def number(self, label: str) -> int:
        """Place of a label among the labels.

        Raises
        ------
        ValueError
            If there is no such label.
        """
        return self.labels.index(label)


@dataclass(frozen=True)
class Example:
    """A labelled text that the model is asked about.

    Attributes
    ----------
    id : str
        Unique within its file.
    text : str
        In one line.
    label : str
        One of the task's labels.
    group : str
        Texts of one group never stand in two pools; empty where a text has no group.
    place : int
        Row of the file, as a person counts it.
    """

    id: str
    text: str
    label: str
    group: str
    place: int


@dataclass(frozen=True)
class Demonstration:
    """An example as it stands in a prompt.

    Attributes
    ----------
    text : str
        In one line.
    word : str
        Shown as the answer.
    label : str
        The true label; empty where nobody said it (a demonstration of a person's own attack, or an off-topic text).
    source : str
        Id of the row that it comes from.
    corrupted : bool
        Whether an attack changed it or put it there.
    """

    text: str
    word: str
    label: str
    source: str
    corrupted: bool = False


def plain(text: str) -> str:
    """A text without what a model hardly sees: case, and how many blanks stand between words."""
    return " ".join(text.split()).casefold()
