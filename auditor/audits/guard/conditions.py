"""Names of the conditions under which a query is asked: zero-shot, correct demonstrations, attacks and their strengths.

A condition is written ``zero-shot``, ``correct``, or as an attack ``NAME[:STRENGTH]``; attacks that are carried out one
after the other are joined by ``+``, as in ``cyclic:0.5+last``. ``NAME:all`` asks for every strength of an attack.
Nothing here computes, so that a form can check names without loading numpy.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

ZERO_SHOT, CORRECT = "zero-shot", "correct"
#: More steps than these are no attack but a mistake (ours).
MOST_STEPS = 4
_SHARES = (0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True)
class AttackInfo:
    """What an attack is, in words.

    Attributes
    ----------
    title, description : str
    strengths : tuple of float
        Asked for by ``NAME:all``, ascending.
    default : float
        Where no strength is given.
    """

    title: str
    description: str
    strengths: tuple[float, ...] = _SHARES
    default: float = 1.0


ATTACKS: Mapping[str, AttackInfo] = {
    "cyclic": AttackInfo(
        "Wrong labels in a circle",
        "The share of demonstrations that show the next label instead of their own; the last label is followed by the first.",
    ),
    "random": AttackInfo(
        "Random wrong labels",
        "The share of demonstrations that show another label, drawn at random, instead of their own.",
    ),
    "targeted": AttackInfo(
        "Flips to one label",
        "The share of the demonstrations of other labels that show the target label instead of their own.",
    ),
    "abstract": AttackInfo(
        "Abstract labels",
        "The share of demonstrations whose label is written as a word that says nothing, the same one for each label.",
    ),
    "last": AttackInfo(
        "Wrong labels last",
        "The share of demonstrations that show the next label instead of their own and stand last in the prompt, beside "
        "those that an attack before it has corrupted.",
        default=0.5,
    ),
    "repeated": AttackInfo(
        "One wrong demonstration repeated",
        "The share of demonstrations that are replaced by copies of one of them with a wrong label.",
        default=0.5,
    ),
    "irrelevant": AttackInfo(
        "Irrelevant texts",
        "The share of demonstrations whose text is replaced by a sentence that has nothing to do with the task; their "
        "labels stay.",
    ),
    "injection": AttackInfo(
        "Instructions in the text",
        "The share of demonstrations whose text ends in an instruction to answer the target label, and which show it.",
        default=0.25,
    ),
    "own": AttackInfo(
        "Your own file",
        "The share of demonstrations that are replaced by some of the file of corrupted demonstrations.",
    ),
}


@dataclass(frozen=True)
class Step:
    """One attack at one strength."""

    attack: str
    strength: float

    def __str__(self) -> str:
        return f"{self.attack}:{self.strength:g}"


def steps_of(condition: str) -> tuple[Step, ...]:
    """The steps of a condition; none for ``correct`` and ``zero-shot``.

    Raises
    ------
    ValueError
        If it is written wrongly; the sentence says how it is written.
    """
    if condition in (ZERO_SHOT, CORRECT):
        return ()
    steps = tuple(_step(part) for part in condition.split("+"))
    if len(steps) > MOST_STEPS:
        raise ValueError(f"at most {MOST_STEPS} attacks are joined, {condition!r} has {len(steps)}")
    return steps


def _step(text: str) -> Step:
    name, colon, strength = (part.strip() for part in text.partition(":"))
    info = ATTACKS.get(name)
    if info is None:
        raise ValueError(f"there is no attack {name!r}; there are {', '.join(ATTACKS)}")
    if not colon:
        return Step(name, info.default)
    try:
        value = float(strength)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise ValueError(f"the strength of {name} is a number from 0 to 1, or all on its own, not {strength!r}")
    # Strengths are known to six digits, so that a name says all.
    return Step(name, float(f"{value:g}"))


def expanded(attacks: Iterable[str]) -> tuple[str, ...]:
    """Attacks in their full spelling (``cyclic`` -> ``cyclic:1``), ``NAME:all`` from its strongest down, each once.

    Raises
    ------
    ValueError
        If one is written wrongly.
    """
    found: list[str] = []
    for text in attacks:
        name, _, strength = (part.strip() for part in text.partition(":"))
        if strength == "all" and name in ATTACKS:
            found += [str(Step(name, value)) for value in reversed(ATTACKS[name].strengths)]
        elif text.strip() in (ZERO_SHOT, CORRECT):
            raise ValueError(f"{text.strip()} is always asked and is no attack")
        else:
            found.append("+".join(str(step) for step in steps_of(text)))
    return tuple(dict.fromkeys(found))


def uses(attacks: Iterable[str], name: str) -> bool:
    """Whether an attack stands among the steps of any of these."""
    return any(step.attack == name for condition in expanded(attacks) for step in steps_of(condition))


def described(condition: str) -> str:
    """A condition in words, for tables and pictures."""
    if condition == ZERO_SHOT:
        return "Zero-shot"
    if condition == CORRECT:
        return "Correct demonstrations"
    return ", then ".join(f"{ATTACKS[step.attack].title} ({step.strength:.0%})" for step in steps_of(condition))
