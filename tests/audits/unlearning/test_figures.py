"""Pictures of a run that never ran: words, data, both themes, and what stands in files is never more than text."""

import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from auditor.audits import Picture
from auditor.audits.unlearning import figures
from auditor.audits.unlearning.headline import headline_words
from auditor.audits.unlearning.method_text import methods
from auditor.audits.unlearning.tables import COLUMNS
from auditor.report.pictures import data_csv, svg
from matplotlib.text import Text
from tests.audits.unlearning.made_runs import full_rows, made_findings

HOSTILE = "<script>alert(1)</script> $\\frac{1}{2}$ =1+1\x07"
Rows = Mapping[str, Sequence[Mapping[str, Any]]]


def drawn(folder: Path, rows: Rows, theme: str = "light", **more: Any) -> dict[str, Picture]:
    folder.mkdir(parents=True, exist_ok=True)
    tables = {}
    for name, found in rows.items():
        columns = {column.name: [row.get(column.name) for row in found] for column in COLUMNS[name][1]}
        tables[name] = folder / f"{name}.parquet"
        pq.write_table(pa.table(columns), tables[name])
    return {picture.name: picture for picture in figures.pictures(made_findings(**more), tables, theme)}


def texts(picture: Picture) -> list[str]:
    return [text.get_text() for text in picture.figure.findobj(Text) if text.get_text()]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_picture_has_words_and_data_and_can_be_saved(tmp_path: Path, theme: str) -> None:
    made = drawn(tmp_path, full_rows(), theme)
    assert list(made) == ["probabilities", "files", "relearning", "losses", "trace", "generations"]
    for picture in made.values():
        assert picture.title
        assert picture.description.endswith(".")
        assert picture.figure.get_figwidth() == pytest.approx(7.2)
        ET.fromstring(svg(picture))
        assert len(data_csv(picture.data).splitlines()) == picture.data.num_rows + 1


def test_the_same_tables_give_the_same_bytes(tmp_path: Path) -> None:
    first, second = (drawn(tmp_path, full_rows()) for _ in range(2))
    for name, picture in first.items():
        assert svg(picture) == svg(second[name]), name


def test_epsilon_and_lambda_stand_beside_the_losses(tmp_path: Path) -> None:
    picture = drawn(tmp_path, full_rows())["losses"]
    assert "epsilon" in texts(picture)
    assert "Lambda" in texts(picture)
    assert "above epsilon, 0.080 nats, in 1 of 4 steps" in picture.description
    assert "it ends at 0.040 nats" in picture.description
    assert "Lambda ran from 9.5 to 11." in picture.description


def test_a_baseline_has_no_lambda_and_learning_no_epsilon(tmp_path: Path) -> None:
    rows = dict(full_rows())
    rows["training"] = [row | {"lambda": None} for row in rows["training"]]
    assert "Lambda" not in texts(drawn(tmp_path / "baseline", rows)["losses"])
    rows["training"] = [row | {"retain_loss": None, "epsilon": None} for row in rows["training"]]
    learnt = drawn(tmp_path / "learnt", rows, constraint=None, method="learn", state="learnt")
    assert learnt["losses"].description == "4 steps."
    assert "generations" not in learnt


def test_probabilities_are_told_before_and_after(tmp_path: Path) -> None:
    picture = drawn(tmp_path, full_rows())["probabilities"]
    assert "to forget, as trained 94% to 0.1% (n = 5)" in picture.description
    assert "to keep 97% to 96% (n = 15)" in picture.description
    assert "by the probes" not in picture.description, "they were not measured"


def test_every_file_is_drawn_with_the_bound_and_told(tmp_path: Path) -> None:
    picture = drawn(tmp_path, full_rows())["files"]
    assert {"folder, bfloat16", "GGUF, Q4_0", "forgotten below 5%"} <= set(texts(picture))
    told = (
        "artefacts/model-Q4_0.gguf: to forget 20% (95% CI 10% to 40%), 30% asked in a chat, which brings most back, 2 of 10 "
        "answers above the bound in some way, to keep 96%"
    )
    assert told in picture.description
    rows = dict(full_rows())
    rows["files"] = [row | {"forget_probability": None} for row in rows["files"]]
    assert "files" not in drawn(tmp_path / "unread", rows), "nothing could be measured"


def test_curves_stand_beside_those_of_a_reference(tmp_path: Path) -> None:
    picture = drawn(tmp_path, full_rows())["relearning"]
    assert {"unlearned", "reference, which never learnt them", "forgotten below 5%"} <= set(texts(picture))
    assert (
        "unlearned model, trained again on answers to keep: 0.1% at step 0, 20% after 3 steps, 30% at most, after step 2 (n = 5)"
        in picture.description
    )
    alone = dict(full_rows())
    alone["relearning"] = [row for row in alone["relearning"] if (row["model"], row["data"]) == ("unlearned", "items")]
    picture = drawn(tmp_path / "alone", alone)["relearning"]
    assert "reference, which never learnt them" not in texts(picture)
    assert "answers to keep" not in picture.description


def test_answers_are_text_and_never_markup(tmp_path: Path) -> None:
    rows = dict(full_rows())
    rows["examples"] = [row | {"question": HOSTILE, "generated_after": HOSTILE} for row in rows["examples"]]
    picture = drawn(tmp_path, rows)["generations"]
    assert "<script" not in svg(picture)
    assert "Said before" in texts(picture)


def test_the_report_says_what_it_does_not_prove() -> None:
    parts = dict(methods(made_findings()))
    assert "What it does not prove" in parts
    assert "no certificate" in parts["What it does not prove"]
    assert "proposed from it" in parts["Bound on retention"]
    assert "step 3, which kept the bound" in dict(methods(made_findings(kept_step=3)))["Training"]
    assert "Bound on retention" not in dict(methods(made_findings(constraint=None, method="learn")))


def test_the_report_tells_the_method_as_it_was_set() -> None:
    usual = made_findings()
    plain = dict(methods(usual))
    assert "positions that predict an answer token" in plain["Method"]
    assert "Adapters" not in plain["Files made of the model"]
    assert "100 of 100 weights were trained" in plain["Training"]
    assert usual.constraint is not None
    other = usual.constraint.model_copy(
        update={
            "parity": True,
            "dual_updates": "epoch",
            "dual_step": 5.0,
            "dual_warmup_epochs": 5,
            "lambda_cap": 1e4,
            "n_dual_updates": 0,
        }
    )
    training = usual.training.model_copy(update={"lora_rank": 8, "trained_weights": 20})
    told = dict(methods(made_findings(constraint=other, training=training)))
    assert "positions that predict an answer token" not in told["Method"]
    assert "the first answer token is never flattened" in told["Method"]
    assert "After each epoch" in told["Method"]
    assert (
        "at most 10000, eta = 5; in the first 5 epochs it keeps its first value. No step was taken with"
        in told["Method"]
    )
    assert "and 0 dual updates; gamma" in told["Bound on retention"]
    assert "20 weights of adapters of rank 8 were trained beside the model's 100" in told["Training"]
    assert "Adapters are merged" in told["Files made of the model"]


def test_the_report_says_how_long_answers_were_for_rouge() -> None:
    measures = [dict(methods(made_findings(new_tokens=n)))["Measures"] for n in (64, 200)]
    assert "generated to at most 64 tokens, TOFU's published figures to 200: do not compare them." in measures[0]
    assert "up to 200 tokens, as in TOFU's published figures." in measures[1]
    assert "{cut}" not in dict(methods(made_findings()))["Measures"]


def test_the_report_says_how_many_were_measured_and_how_logits_were_compared() -> None:
    usual = made_findings()
    (folder,) = usual.exports
    compared = folder.model_copy(
        update={
            "rms_difference": 0.12,
            "relative_difference": 0.01,
            "largest_difference": 0.6,
            "same_first": 19,
            "prompts": 20,
        }
    )
    data = usual.data.model_copy(update={"n_forget": 4000})
    told = dict(methods(made_findings(data=data, exports=(compared,))))
    assert "Measured were 5 of 4,000 to forget, drawn by the seed." in told["Examples"]
    assert (
        "on 20 prompts its logits differ from torch's by a root mean square of at most 0.120, 0.010 of their"
        in (told["Files made of the model"])
    )
    assert "a single logit by at most 0.600; the likeliest token is the same on 19" in told["Files made of the model"]


def test_the_headline_is_told_with_units() -> None:
    words = dict(headline_words(made_findings()))
    assert words["Retain loss allowed, epsilon"] == "0.080 nats"
    assert words["Retain loss within epsilon"] == "yes"
    assert words["Probability a token of answers to forget, after"] == "0.1%"
    assert "Extraction strength of what was to be forgotten" not in words, "it was not measured"
