"""Turn conversations into training samples: a line of JSON with messages in, a line with token ids out.

python training_data.py [CONVERSATIONS.jsonl] > samples.jsonl

Needs no server. Without a file, the two conversations beside this script are taken.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from lemonade_like import PromptBuilder

source = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("conversations.jsonl")
# A fixed date, so that the same conversations give the same samples tomorrow.
builder = PromptBuilder(current_date="2026-01-31")

for line in source.read_text(encoding="utf-8").splitlines():
    conversation = json.loads(line)
    sample = builder.build_for_training(
        conversation["messages"],
        tools=conversation.get("tools", []),
        reasoning_level=conversation.get("reasoning_level", "medium"),
        # Only the last turn's reasoning is kept otherwise, as it is in a prompt.
        keep_analysis=conversation.get("keep_analysis", False),
    )
    print(json.dumps({"input_ids": sample.ids, "text": sample.text}, ensure_ascii=False))
