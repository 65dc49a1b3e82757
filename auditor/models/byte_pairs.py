"""Ways of cutting a text before byte pairs are merged, by the names that llama.cpp gives them.

A GGUF file names its way; a tokenizer.json spells it out. Only ways that are known to be the same in both are carried
over, and whether they are is tried on texts (`auditor.models.same_tokens`).
"""

from collections.abc import Mapping
from typing import Any

_LLAMA = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_QWEN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_SPLITS: Mapping[str, str] = {"llama-bpe": _LLAMA, "qwen2": _QWEN}
_ALIASES: Mapping[str, str] = {
    "llama3": "llama-bpe",
    "llama-v3": "llama-bpe",
    "deepseek-r1-qwen": "qwen2",
    "default": "gpt-2",
    "gpt2": "gpt-2",
}
#: Ways in which a word that is a token as a whole is taken as it is, whatever the merges say.
WHOLE_WORDS = ("llama-bpe",)


def pre_tokenizer(name: str) -> Any | None:
    """The way of a name as the library `tokenizers` has it, or None if it is not known."""
    from tokenizers import Regex, pre_tokenizers

    name = _ALIASES.get(name, name)
    bytes_only = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    words = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    if name in _SPLITS:
        split = pre_tokenizers.Split(Regex(_SPLITS[name]), behavior="isolated")
        return pre_tokenizers.Sequence([split, bytes_only])
    if name == "smollm":
        return pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), words])
    return words if name == "gpt-2" else None


def name_of(told: Any) -> str | None:
    """The name of a way that a tokenizer.json spells out, or None if it is not among the known ones."""
    steps = told.get("pretokenizers", [told]) if isinstance(told, dict) else []
    kinds = [step.get("type") for step in steps]
    last = steps[-1] if steps else {}
    if kinds == ["ByteLevel"] and last.get("use_regex", True):
        return "gpt-2"
    if kinds == ["Digits", "ByteLevel"] and steps[0].get("individual_digits") and last.get("use_regex", True):
        return "smollm"
    if kinds == ["Split", "ByteLevel"] and not last.get("use_regex", True):
        pattern = steps[0].get("pattern", {}).get("Regex")
        return next((name for name, known in _SPLITS.items() if known == pattern), None)
    return None
