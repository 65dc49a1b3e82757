"""Whether two tokenizers cut texts alike. What is exported is used with its own tokenizer, which must be the model's."""

from collections.abc import Sequence

from auditor.models.words import Words

#: Texts on which tokenizers that are carried over badly differ: numbers, blanks, contractions, letters of many kinds.
TEXTS = (
    "The quick brown fox jumps over 13 lazy dogs; it didn't stop, and I'LL say: they're 1,234,567.89 strong.",
    "  two blanks, a\ttab,\n\na blank line,   and the end of a line   \nnext",
    "Zażółć gęślą jaźń. Größe, façade, naïve, señor, Ærø, Þingvellir.",
    "Русский текст, ελληνικά, עברית, العربية, हिन्दी, 中文字符, 日本語、한국어.",
    "x = [i**2 for i in range(10)]  # comment\nif (x != y) { return a->b[0]; }\r\n",
    "emoji 😀👍🏽 and symbols ∑∫≈≠ © ™ € £ 4½ x² — “quoted” ‘single’ …",
    "CamelCaseWords under_scores kebab-case e-mail@example.org https://example.org/a?b=c&d=1",
    "<s> <|im_start|>user [INST] </s> are words here.",
    " a",
    "2026-11-26T16:20:05Z 007 0x1F 3.14159 1e-10",
)


def first_difference(ours: Words, theirs: Words, texts: Sequence[str] = TEXTS) -> str | None:
    """The first text that two tokenizers cut differently, as the beginning or inside of a prompt; None if there is none."""
    for text in texts:
        for begin in (True, False):
            if ours.tokenize(text, begin=begin) != theirs.tokenize(text, begin=begin):
                return text
    return None
