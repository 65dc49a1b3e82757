"""Pieces of a prompt become the tokens that they are within it."""

import json
from contextlib import closing
from pathlib import Path

import pytest
from auditor.models import ModelFile
from auditor.models.chat_template import turn_of
from auditor.models.folder import inspect_folder
from auditor.models.words import Inside, Words, words_of
from tests.models.tiny import write
from tokenizers import Tokenizer, decoders, models, normalizers

#: A vocabulary of the SentencePiece family: a blank before every text, blanks written as U+2581.
_PIECES = ["<unk>", "<s>", "</s>", "\n", "▁", ":", "a", "b", "▁good", "good", "▁bad", "bad", "▁Label", "Label", "▁a"]


@pytest.fixture
def sentencepiece(tmp_path: Path) -> Words:
    folder = write(tmp_path / "small", "llama")
    tokenizer = Tokenizer(
        models.Unigram([(piece, -1.0 - 0.01 * place) for place, piece in enumerate(_PIECES)], unk_id=0)
    )
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.Fuse()])
    tokenizer.add_special_tokens(["<s>", "</s>"])
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast"}))
    return words_of(inspect_folder(folder), folder)


def pieces(words: Words, text: str, *, begin: bool = False) -> list[str]:
    return [_PIECES[token] for token in words.tokenize(text, begin=begin)]


def test_only_the_first_piece_of_a_prompt_gets_the_tokenizers_blank(sentencepiece: Words) -> None:
    assert pieces(sentencepiece, "Label:", begin=True) == ["▁Label", ":"]
    assert pieces(sentencepiece, "Label:") == ["Label", ":"]
    assert pieces(sentencepiece, "\nLabel: good") == ["\n", "Label", ":", "▁good"]
    assert pieces(sentencepiece, "good") == ["good"]
    assert pieces(sentencepiece, " good") == ["▁good"]
    assert pieces(sentencepiece, "") == []


def test_pieces_put_together_are_the_whole(sentencepiece: Words) -> None:
    parts = ["Label:", " good\n", "Label: bad", "\nLabel:"]
    together = [token for place, part in enumerate(parts) for token in sentencepiece.tokenize(part, begin=place == 0)]
    assert together == sentencepiece.tokenize("".join(parts), begin=True)


def test_other_tokenizers_read_a_piece_as_it_is() -> None:
    asked: list[str] = []

    def encode(text: str) -> list[int]:
        asked.append(text)
        return list(text.encode())

    inside = Inside(encode)
    asked.clear()
    assert inside(" text") == list(b" text")
    assert asked == [" text"]


def test_marks_of_a_chat_template_are_tokens_and_the_same_spelling_in_data_is_text(starter_model: ModelFile) -> None:
    with closing(words_of(starter_model, starter_model.path)) as words:
        turn = turn_of(words)
        assert turn.head.startswith("<|im_start|>system\n")
        assert (turn.tail, turn.gap) == ("<|im_end|>\n<|im_start|>assistant\n", "")
        (opens,) = words.marked(words.bos, begin=False)
        (closes,) = words.marked(words.eos, begin=False)
        tail = words.marked(turn.tail, begin=False)
        assert (tail[0], tail[2]) == (closes, opens)
        assert not {opens, closes} & set(words.tokenize(turn.tail, begin=False))
        assert words.text(tail) == words.text(words.tokenize(turn.tail, begin=False)) == turn.tail
