"""Numbers of an unlearning run as people read them, and names of what it makes."""

#: How names of models end that have learnt, and that were made to forget.
LEARNT, UNLEARNT = "-learnt", "-unlearnt"


def percent(share: float) -> str:
    """A probability with as many digits as it takes to see it: "97%", "99.91%", "4.23%", "0.013%"; below "under 0.001%".

    Bounds are small: what lies just above 5% must not read as 5%.
    """
    value = 100 * share
    if 0 < value < 0.001:
        return "under 0.001%"
    if 99.99 <= value < 100:
        return "over 99.99%"
    digits = 2 if 99 < value < 100 else 0 if value >= 10 or value == 0 else 2 if value >= 1 else 3
    text = f"{value:.{digits}f}"
    return f"{text.rstrip('0').rstrip('.') if digits else text}%"


def nats(loss: float) -> str:
    """A loss with three decimals and its unit."""
    return f"{loss:.3f} nats"


def nats_apart(loss: float, bound: float) -> tuple[str, str]:
    """A loss and its bound with three decimals, or with as many as it takes to see that they differ."""
    for digits in (3, 4, 5, 6):
        told = f"{loss:.{digits}f}", f"{bound:.{digits}f}"
        if told[0] != told[1] or loss == bound:
            return told
    return repr(loss), repr(bound)


def span(low: float | None, high: float | None) -> str:
    """An interval of probabilities in brackets, with a blank before it; empty where there is none."""
    return "" if low is None or high is None else f" (95% CI {percent(low)} to {percent(high)})"


#: Tokens up to which answers are generated for TOFU's published ROUGE.
PUBLISHED_NEW_TOKENS = 200


def cut_words(new_tokens: int) -> str:
    """What to know of ROUGE where answers were generated to another length than those of published figures; else empty."""
    if new_tokens == PUBLISHED_NEW_TOKENS:
        return ""
    return (
        f"ROUGE is of answers generated to at most {counted(new_tokens, 'token', 'tokens')}, TOFU's published figures to "
        f"{PUBLISHED_NEW_TOKENS}: do not compare them."
    )


#: Beginnings of names of measures, and how they are said.
_BEGINNINGS = {
    "mia_": "membership inference, AUC by ",
    "probe_": "asked otherwise, ",
    "probes_": "own probes, ",
    "forget_": "to forget, ",
    "retain_": "to keep, ",
}
_WHOLE = {
    "forget_quality": "forget quality (Kolmogorov-Smirnov p-value)",
    "forget_answer_probability": "to forget, probability of the answer's own tokens",
    "retain_answer_probability": "to keep, probability of the answer's own tokens",
    "forget_probability": "to forget, probability with the token that ends the answer (TOFU)",
    "retain_probability": "to keep, probability with the token that ends the answer (TOFU)",
    "mia_min_k": "membership inference, AUC by min-k",
    "mia_min_k_plus_plus": "membership inference, AUC by min-k++",
}


def measure_words(name: str) -> str:
    """A measure as a table calls it: "mia_zlib" is "Membership inference, AUC by zlib"."""
    told = _WHOLE.get(name)
    if told is None:
        begin = next((known for known in _BEGINNINGS if name.startswith(known)), "")
        told = _BEGINNINGS.get(begin, "") + name.removeprefix(begin).replace("_", " ").replace("rouge", "ROUGE-L")
    return f"{told[:1].upper()}{told[1:]}"


def counted(n: int, one: str, many: str) -> str:
    """A number with its noun: "1 answer", "5 answers"."""
    return f"{n:,} {one if n == 1 else many}"
