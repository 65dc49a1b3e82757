"""USR Topical-Chat (60 contexts with 6 responses each) as conversations: the context's id is the group."""

import json
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
