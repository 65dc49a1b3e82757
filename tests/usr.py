"""USR Topical-Chat (60 contexts with 6 responses each) as conversations: the context's id is the group."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path


def write_usr(target: Path, data_folder: Path, contexts: int | None = None) -> int:
    """Write OpenAI chat JSONL of the responses; returns how many."""
    items = json.loads((data_folder / "usr_topical_chat" / "ratings.json").read_text())[:contexts]
    count = 0
    with target.open("w", encoding="utf-8") as file:
        for number, item in enumerate(items):
            turns = [turn.strip() for turn in item["context"].split("\n") if turn.strip()]
            for place, response in enumerate(item["responses"]):
                speakers = ["user" if (len(turns) - i) % 2 else "assistant" for i in range(len(turns))]
                messages = [{"role": r, "content": t} for r, t in zip(speakers, turns, strict=True)]
                messages.append({"role": "assistant", "content": response["response"].strip()})
                record = {"id": f"{number}-{place}", "group": str(number), "messages": messages}
                file.write(json.dumps(record) + "\n")
                count += 1
    return count


#: Attribute of the data -> axis of the rubric, with the people's scale. No public set has a clean comprehensiveness.
USR_AXES = {
    "Natural": ("naturalness", "1-3"),
    "Maintains Context": ("on_topic", "1-3"),
    "Uses Knowledge": ("comprehensiveness", "0-1"),
}


def write_usr_humans(target: Path, data_folder: Path, contexts: int | None = None) -> int:
    """Write the three raters' scores as human ratings (conversation_id, axis, rater, score); returns how many."""
    items = json.loads((data_folder / "usr_topical_chat" / "ratings.json").read_text())[:contexts]
    rows = [
        (f"{number}-{place}", axis, rater, score)
        for number, item in enumerate(items)
        for place, response in enumerate(item["responses"])
        for attribute, (axis, _) in USR_AXES.items()
        for rater, score in zip(("first", "second", "third"), response[attribute], strict=True)
    ]
    return _write_humans(target, rows)


#: Attribute of HOLISTIC -> axis of the rubric that it comes nearest to.
HOLISTIC_AXES = {"fluency": "naturalness", "context": "on_topic"}


def holistic(data_folder: Path, attribute: str) -> list[tuple[str, list[int]]]:
    """Response and ten raters' scores from 1 to 5, for "fluency" or "context"."""
    with (data_folder / "holistic" / f"{attribute}.csv").open(encoding="utf-8", newline="") as file:
        return [(row[-11].strip(), [int(score) for score in row[-10:]]) for row in csv.reader(file) if row]


def write_holistic_humans(target: Path, data_folder: Path, attribute: str) -> int:
    """Write ten raters' scores of the responses, ids counting from 1; returns how many."""
    rows = [
        (str(number), HOLISTIC_AXES[attribute], f"rater {place}", score)
        for number, (_, scores) in enumerate(holistic(data_folder, attribute), start=1)
        for place, score in enumerate(scores, start=1)
    ]
    return _write_humans(target, rows)


def _write_humans(target: Path, rows: Sequence[tuple[str, str, str, int]]) -> int:
    with target.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("conversation_id", "axis", "rater", "score"))
        writer.writerows(rows)
    return len(rows)
