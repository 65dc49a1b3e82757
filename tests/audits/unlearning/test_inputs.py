"""Reading files of examples: the formats of the field, a person's own, and every way in which they can be wrong."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from auditor.audits import InputFile
from auditor.audits.unlearning import inputs
from auditor.audits.unlearning.inputs import read, read_examples
from auditor.audits.unlearning.spec import UnlearningSpec
from auditor.errors import InputError
from tests.audits.unlearning.files import facts, given, jsonl, text

SPEC = UnlearningSpec()


def both(folder: Path, forget: Any = None, retain: Any = None, **others: Any) -> dict[str, InputFile]:
    rows = {"forget": forget or facts(3), "retain": retain or facts(6, first=3), **others}
    return {role: jsonl(folder / f"{role}.jsonl", found) for role, found in rows.items()}


def refused(folder: Path, **rows: Any) -> str:
    with pytest.raises(InputError) as caught:
        read(both(folder, **rows), SPEC)
    return str(caught.value)


# ---- formats


def test_tofu_is_read_as_it_is(data_folder: Path) -> None:
    plain = read_examples(given(data_folder / "tofu" / "forget01.json"))
    assert len(plain) == 40
    assert plain[0].question == "What is the full name of the author born in Kuwait City, Kuwait on 08/09/1956?"
    assert plain[0].answer.endswith("is Basil Mahfouz Al-Kuwaiti.")
    perturbed = read_examples(given(data_folder / "tofu" / "forget10_perturbed.json"))
    assert len(perturbed) == 400
    assert all(len(one.perturbed_answers) == 5 for one in perturbed)
    assert perturbed[0].paraphrased_answer == "Hsiao Yun-Hwa is the complete name of the writer."
    assert perturbed[0].paraphrased_question.startswith("Who is the writer, specializing in leadership topics")


def test_lume_is_read_as_it_is_with_its_tasks(data_folder: Path) -> None:
    found = read_examples(given(data_folder / "lume" / "forget.jsonl"))
    assert {one.task for one in found} >= {"Task1", "Task2", "Task3"}
    assert found[1].question == "In which city did Sherry, Margaretha, Lindsey, and Odilia, all naturally intersect?"
    assert found[1].answer == "Madera"


def test_tofu_forget_and_retain_can_be_used_together(data_folder: Path) -> None:
    tofu = data_folder / "tofu"
    found = read({"forget": given(tofu / "forget01.json"), "retain": given(tofu / "retain90.json")}, SPEC)
    assert (len(found.forget), len(found.retain)) == (40, 3600)
    assert all(pair.kind != "same example" for pair in found.overlaps)


def test_muse_has_questions_prompts_and_bare_texts(tmp_path: Path) -> None:
    knowmem = text(tmp_path / "knowmem.json", json.dumps([{"question": "Who?", "answer": "Ada."}]))
    assert [(one.question, one.answer) for one in read_examples(knowmem)] == [("Who?", "Ada.")]
    verbmem = text(tmp_path / "verbmem.json", json.dumps([{"prompt": "It was", "gt": "a dark night."}]))
    (one,) = read_examples(verbmem)
    assert (one.question, one.answer, one.task) == ("It was", "a dark night.", "verbmem")
    privleak = text(tmp_path / "privleak.json", json.dumps(["First text.", "Second text."]))
    assert [(one.question, one.answer) for one in read_examples(privleak)] == [
        (None, "First text."),
        (None, "Second text."),
    ]
    raw = text(tmp_path / "forget.txt", "\nFirst line,\nand on.\n\n\nSecond paragraph.\n")
    assert [(one.row, one.answer) for one in read_examples(raw)] == [
        (2, "First line,\nand on."),
        (6, "Second paragraph."),
    ]


def test_a_parquet_file_may_hold_lists_of_wrong_answers(tmp_path: Path) -> None:
    table = pa.table(
        {
            "question": ["Who?", "Where?"],
            "answer": ["Ada.", "There."],
            "perturbed_answer": [["Bo.", "Cleo."], None],
        }
    )
    pq.write_table(table, tmp_path / "forget.parquet")
    first, second = read_examples(given(tmp_path / "forget.parquet"))
    assert first.perturbed_answers == ("Bo.", "Cleo.")
    assert second.perturbed_answers == ()


def test_a_csv_of_ones_own_with_other_names_is_mapped(tmp_path: Path) -> None:
    file = text(tmp_path / "own.csv", "Frage;Antwort;wrong\nWer?;Ada.;Bo.\n")
    found = read_examples(file, mapping={"question": "Frage", "answer": "Antwort", "perturbed_answers": "wrong"})
    assert (found[0].question, found[0].answer, found[0].perturbed_answers, found[0].row) == (
        "Wer?",
        "Ada.",
        ("Bo.",),
        2,
    )


def test_plain_texts_stand_in_a_column_text(tmp_path: Path) -> None:
    file = jsonl(tmp_path / "texts.jsonl", [{"text": "One text."}, {"text": "Another [text]."}])
    assert [one.question for one in read_examples(file)] == [None, None]


# ---- what is wrong


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([{"question": "Who?", "answer": ""}], "row 1, column 'answer': The answer is empty. Write an answer"),
        ([{"question": " ", "answer": "Ada."}], "row 1, column 'question': The question is empty"),
        ([{"text": "a", "task": "x"}, {"text": "", "task": "y"}], "row 2, column 'text': The text is empty"),
        ([{"question": "Who?"}], "column 'answer': The column for answer is missing"),
        ([{"note": "Who?"}], "The column for question is missing"),
        ([{"instruction": "a", "input": "b", "output": "c"}], "Several columns could be question"),
        (
            [{"id": "1", "question": "Who?", "answer": "Ada."}, {"id": "1", "question": "Where?", "answer": "There."}],
            "row 2, column 'id': The id stands in row 1 already (found '1'). Give every row its own id.",
        ),
        (
            [{"question": "Who?", "answer": "Ada.", "perturbed_answer": ["Bo.", 3]}],
            "The wrong answers are no list of texts",
        ),
        ([{"question": ["Who?"], "answer": "Ada."}], "column 'question': The field holds a list instead of one value"),
        ([], "The file is empty"),
    ],
)
def test_every_problem_names_its_place_and_its_fix(tmp_path: Path, rows: list[dict[str, Any]], told: str) -> None:
    with pytest.raises(InputError) as caught:
        read_examples(jsonl(tmp_path / "forget.jsonl", rows))
    assert str(caught.value).startswith("forget.jsonl")
    assert told in str(caught.value)


def test_bytes_that_are_no_utf8_are_named(tmp_path: Path) -> None:
    file = text(tmp_path / "forget.txt", b"Good line.\n\nB\xffd line.\n")
    with pytest.raises(InputError, match=r"forget.txt, row 3: The line is not UTF-8. Save the file as UTF-8."):
        read_examples(file)


def test_a_text_beside_a_mapped_answer_is_refused(tmp_path: Path) -> None:
    file = jsonl(tmp_path / "forget.jsonl", [{"text": "a", "answer": "b", "question": "c"}])
    with pytest.raises(InputError, match="Both a text and an answer are named"):
        read_examples(file, mapping={"text": "text"})
    assert read_examples(file)[0].answer == "b"


def test_a_mapped_column_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"column 'antwort': The column for answer is missing.*Did you mean 'answer'"):
        read_examples(jsonl(tmp_path / "forget.jsonl", facts(2)), mapping={"answer": "antwort"})


def test_both_files_are_needed(tmp_path: Path) -> None:
    files = both(tmp_path)
    with pytest.raises(InputError, match=r"There is no file of what to retain\. Give one\."):
        read({"forget": files["forget"]}, SPEC)


# ---- what two files share


def test_what_is_forgotten_cannot_be_kept_too(tmp_path: Path) -> None:
    same = {"question": "what does  ADA 0 keep?", "answer": "A kettle from year 1900."}
    told = refused(tmp_path, retain=[*facts(2, first=8), same])
    assert "retain.jsonl, row 3: The example stands in row 1 of what to forget too" in told
    assert "Delete it there or from the file of what to keep." in told


def test_what_was_never_learnt_cannot_be_forgotten(tmp_path: Path) -> None:
    told = refused(tmp_path, holdout=facts(1))
    assert "holdout.jsonl, row 1: The example stands in row 1 of what to forget too" in told


def test_overlaps_are_counted_and_kept(tmp_path: Path) -> None:
    retain = [*facts(4, first=6), {"question": "What does Ada 0 keep?", "answer": "Nothing at all."}]
    found = read(both(tmp_path, retain=retain), SPEC)
    (pair,) = found.overlaps
    assert (pair.kind, pair.role, pair.other.row, pair.forget.row) == ("same question", "retain", 5, 1)
    caution = next(caution for caution in found.cautions if caution.code == "overlap-retain")
    assert caution.count == 1
    assert "row 5 and row 1 of what to forget" in caution.message


def test_a_probe_that_was_trained_on_is_told(tmp_path: Path) -> None:
    found = read(both(tmp_path, probes=[facts(1)[0], {"question": "Tell me of Ada.", "answer": "A kettle."}]), SPEC)
    codes = {caution.code: caution.count for caution in found.cautions}
    assert codes["overlap-probes"] == 1
    assert "no-paraphrases" not in codes


def test_a_probe_with_a_trained_question_and_an_answer_in_other_words_is_told(tmp_path: Path) -> None:
    asked = facts(1)[0]["question"]
    found = read(both(tmp_path, probes=[{"question": asked, "answer": "She has a kettle."}]), SPEC)
    codes = {caution.code: caution.count for caution in found.cautions}
    assert codes["overlap-probes"] == 1


def test_a_question_that_is_its_own_paraphrase_is_none(tmp_path: Path) -> None:
    forget = [row | {"paraphrased_question": row["question"].upper()} for row in facts(3)]
    found = read(both(tmp_path, forget=forget), SPEC)
    assert "no-paraphrases" in {caution.code for caution in found.cautions}


def test_a_holdout_like_what_was_learnt_is_told_for_what_it_does(tmp_path: Path) -> None:
    asked = facts(1)[0]["question"]
    found = read(both(tmp_path, holdout=[{"question": asked, "answer": "Nothing."}]), SPEC)
    (caution,) = (one for one in found.cautions if one.code == "overlap-holdout")
    assert "drawn to one half" in caution.message
    assert "What is kept" not in caution.message


def test_few_and_repeated_examples_are_told(tmp_path: Path) -> None:
    found = read(both(tmp_path, forget=[*facts(2), facts(1)[0]]), SPEC)
    codes = {caution.code: caution.count for caution in found.cautions}
    assert codes["repeated-forget"] == 1
    assert codes["few-forget"] == 3
    assert codes["no-paraphrases"] == 1


def test_passages_that_go_on_are_no_questions(tmp_path: Path) -> None:
    rows = [
        {"id": '"8f24c511"sc1', "input": "Madera was the home of four women whose", "output": "lives would meet."},
        {"id": '"8f24c511"qa0', "input": "In which city did they meet?", "output": "Madera"},
        {"id": "disc3", "input": "Which disc is the third?", "output": "The blue one."},
    ]
    found = read(both(tmp_path, forget=rows), SPEC)
    (caution,) = (one for one in found.cautions if one.code == "passages-forget")
    assert caution.count == 1
    assert "such as row 1." in caution.message
    assert "set the prompt to {question}." in caution.message
    as_they_are = SPEC.model_copy(update={"prompt": "{question}"})
    assert not [one for one in read(both(tmp_path, forget=rows), as_they_are).cautions if "passages" in one.code]


# ---- preview


def test_a_preview_shows_rows_problems_and_facts(tmp_path: Path) -> None:
    rows = [*facts(3), {"question": "Who?", "answer": ""}]
    shown = inputs.preview("forget", jsonl(tmp_path / "forget.jsonl", rows), {})
    assert shown.format.startswith("JSON Lines; 3 questions with answers")
    assert shown.mapping == {"question": "question", "answer": "answer"}
    assert (shown.n_rows, shown.n_problems) == (4, 1)
    assert "row 4, column 'answer': The answer is empty" in shown.problems[0]
    assert shown.rows[0]["answer"] == "A kettle from year 1900."


def test_a_preview_with_a_model_counts_its_tokens(tmp_path: Path) -> None:
    from tests.models import small

    model = small.write(tmp_path / "model")
    file = jsonl(tmp_path / "forget.jsonl", facts(2))
    shown = inputs.preview("forget", file, {"model": str(model)})
    assert " tokens, " in shown.format
    assert "of them in answers" in shown.format
    gone = inputs.preview("forget", file, {"model": str(tmp_path / "gone.gguf")})
    assert "tokens were not counted: " in gone.format


def test_a_single_example_can_be_looked_at(tmp_path: Path) -> None:
    file = jsonl(tmp_path / "forget.jsonl", facts(2))
    assert inputs.unit(file, {}, 2)[:2] == [
        ("Question", "What does Bo 1 keep?"),
        ("Answer", "A barrel from year 1901."),
    ]
    with pytest.raises(InputError, match="row 9: There is no example in this row"):
        inputs.unit(file, {}, 9)
