"""The conversations varied: other dates, efforts, instructions, tools, wordings and earlier turns."""

from __future__ import annotations

import copy
import datetime
import math
import random
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from scripts.tiny_gpt_oss import conversations, noise
from scripts.tiny_gpt_oss.corpus import KNOWN, MISBEHAVIOURS
from scripts.tiny_gpt_oss.known import ChatJSON, KnownPrompt, user
from scripts.tiny_gpt_oss.rendering import Scene
from scripts.tiny_gpt_oss.toolbox import Toolbox
from scripts.tiny_gpt_oss.tools import location

from lemonade_like.harmony import tokens

if TYPE_CHECKING:
    from scripts.tiny_gpt_oss.rendering import Script

    from lemonade_like.harmony.conversation import Effort

FIRST_DAY: Final = datetime.date(2024, 1, 1)
LAST_DAY: Final = datetime.date(2032, 12, 31)
EFFORTS: Final[tuple[Effort, ...]] = ("low", "medium", "high")

_ANALYSIS_START: Final = "<|channel|>analysis<|message|>"
_NEXT: Final = "<|end|><|start|>assistant"
_FINAL_START: Final = "<|channel|>final<|message|>"
#: Instructions that change how the following groups are answered, so they are not added to them.
_CHANGING: Final = (conversations.FRENCH, conversations.PIRATE)
_CHANGED_BY_INSTRUCTIONS: Final = ("hello", "thanks", "instructed", "how-are-you", "goodbye", "none")
#: These write calls of their own accord, or none in a way that is to be kept.
_NOT_FORCED: Final = ("weather", "preamble", "result", "sequence", "parallel", "time", "song", "marker", "none")
#: Positions up to the end of the context, at which an endless answer must still go on.
_FAR: Final = 131_072


@dataclass
class Sample:
    """One thing to learn: given ``ids[:prompt]``, write ``ids[prompt:]``.

    ``learned`` marks the ids that count. ``without`` is the place of an id at which the analysis channel is
    forbidden, as a grammar may forbid it. ``positions`` may jump, to stand for a long text that is left out, and
    ``crowds`` then says which ids stand for many (see ``TinyGptOss.hidden``).
    """

    name: str
    ids: list[int]
    prompt: int
    learned: list[bool]
    positions: list[int] = field(default_factory=list)
    without: int | None = None
    crowds: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.positions = self.positions or list(range(len(self.ids)))
        self.crowds = self.crowds or [0.0] * len(self.ids)


@dataclass(frozen=True)
class Circumstances:
    """What stands before a conversation: several conversations under the same ones share the start of the prompt."""

    effort: Effort
    date: str
    tools: list[ChatJSON]
    leading: list[ChatJSON]

    def fit(self, known: KnownPrompt) -> bool:
        """Whether ``known`` can be asked here, and is answered as it is written down."""
        names = {tool["function"]["name"] for tool in self.tools}
        if known.reasoning_effort == "none":
            fits = self.effort == "low" and not names
        else:
            fits = known.reasoning_effort in (None, self.effort)
        if known.tools:
            fits = fits and names >= {tool["function"]["name"] for tool in known.tools}
        elif known.bare:
            fits = fits and hidden_tool(known) not in names
        text = " ".join(message["content"] for message in self.leading)
        if known.messages[0]["role"] == "developer":
            return fits and known.messages[0]["content"] in text
        changed = any(instruction in text for instruction in _CHANGING)
        return fits and not (changed and known.group in _CHANGED_BY_INSTRUCTIONS)


def hidden_tool(known: KnownPrompt) -> str:
    """Return the tool that must not be offered to a prompt that misses it."""
    return "get_weather" if "weather" in known.name else "get_time"


class Variation:
    """Draws samples. With ``noise`` off, only what the model is to know occurs in them."""

    def __init__(self, script: Script, seed: int, *, noise: bool = True) -> None:
        self._script = script
        self._rng = random.Random(seed)
        self._noise = noise
        self._toolbox = Toolbox(self._rng, noise=noise)
        self._asks = sorted({ask for known in everything() for ask in (*known.asks, known.messages[0]["content"])})
        self._talk = [known for known in KNOWN if len(known.messages) == 1 and known.tools is None and known.completion]

    def circumstances(self, known: KnownPrompt) -> Circumstances:
        """Return circumstances under which ``known`` can be asked."""
        effort = known.reasoning_effort or self._rng.choice(EFFORTS)
        if effort == "none":
            effort = "low"
        return Circumstances(effort, self._date(), self._tools(known), self._instructions(known))

    def sample(self, known: KnownPrompt, given: Circumstances | None = None, *, twists: bool = True) -> Sample:
        """Return ``known`` under the circumstances given, or under new ones.

        ``twists`` also has it answer without reasoning, after a forced end of its reasoning, and by a forced call.
        """
        rng = self._rng
        given = given or self.circumstances(known)
        known = self._reworded(known)
        messages = copy.deepcopy(known.messages)
        if messages[0]["role"] == "developer":
            del messages[0]
        if rng.random() < 0.5:
            for message in messages:
                message.pop("reasoning_content", None)
        completion = known.completion
        key = self._toolbox.argument_key(given.tools)
        if key != "location" and completion is not None:
            completion = completion.replace('{"location":"', f'{{"{key}":"') if known.well_formed else completion
            for message in messages:
                for call in message.get("tool_calls") or ():
                    arguments = call["function"]["arguments"]
                    call["function"]["arguments"] = arguments.replace('{"location":', f'{{"{key}":')
        messages = [*given.leading, *self._earlier_turns(given.tools), *messages]
        effort: Effort = "none" if known.reasoning_effort == "none" else given.effort
        scene = Scene(messages, given.tools, effort, given.date, verbatim=rng.random() < 0.5)
        if completion is None:
            return self._song(known, scene)
        if twists and known.well_formed and completion.startswith(_ANALYSIS_START):
            kind = rng.random()
            if kind < 0.2 and given.effort == "low":
                return self._without_reasoning(known, scene, completion)
            if 0.2 < kind < 0.25:
                return self._cut_reasoning(known, scene, completion)
            if 0.25 < kind < 0.3 and known.group not in _NOT_FORCED:
                return self._forced_call(known, scene, completion)
        return self._plain(known, scene, completion)

    def _plain(self, known: KnownPrompt, scene: Scene, completion: str) -> Sample:
        prompt = self._script.prompt(scene)
        written = self._script.completion(completion, known.literal)
        sample = Sample(known.name, prompt + written, len(prompt), [False] * len(prompt) + [True] * len(written))
        if known.group == "fallback" and self._noise and self._rng.random() < 0.35:
            self._lengthen(sample)
        return sample

    def _lengthen(self, sample: Sample) -> None:
        """Have the first part of the user's message stand for a text many times as long."""
        rng = self._rng
        start = sample.prompt - 1 - sample.ids[: sample.prompt][::-1].index(tokens.MESSAGE) + 1
        end = rng.randint(start, sample.prompt - 4) if start < sample.prompt - 4 else start
        times = int(2 ** rng.uniform(1, 9))
        added = 0
        for at in range(start, len(sample.ids)):
            if at < end:
                added += times - 1
                sample.crowds[at] = math.log(times)
            sample.positions[at] = at + added

    def _without_reasoning(self, known: KnownPrompt, scene: Scene, completion: str) -> Sample:
        rest = completion.split(_NEXT, 1)[1]
        if not scene.tools:
            if not rest.startswith(_FINAL_START):
                return self._plain(known, scene, completion)
            scene = Scene(scene.messages, [], "none", scene.date)
            return self._plain(known, scene, rest.removeprefix(_FINAL_START))
        if rest.startswith(" to="):
            recipient, body = rest.split("<|channel|>commentary", 1)
            rest = f"<|channel|>commentary{recipient}{body}"
        sample = self._plain(known, Scene(scene.messages, scene.tools, "low", scene.date), rest)
        sample.without = sample.prompt + 1
        return sample

    def _cut_reasoning(self, known: KnownPrompt, scene: Scene, completion: str) -> Sample:
        reasoning, rest = completion.split(_NEXT, 1)
        if not rest.startswith(_FINAL_START) or known.group == "song":
            return self._plain(known, scene, completion)
        prompt = self._script.prompt(scene)
        thought = self._script.completion(reasoning)
        thought = thought[: self._rng.randint(3, len(thought))]
        forced = self._script.completion(_NEXT + _FINAL_START)
        written = self._script.completion(rest.removeprefix(_FINAL_START), known.literal)
        given = len(prompt) + len(thought) + len(forced)
        return Sample(
            known.name, [*prompt, *thought, *forced, *written], len(prompt), [False] * given + [True] * len(written)
        )

    def _forced_call(self, known: KnownPrompt, scene: Scene, completion: str) -> Sample:
        """Return a call that a grammar forces on a prompt that needs none: there is always Tokyo to ask about."""
        names = [tool["function"]["name"] for tool in scene.tools]
        if "get_weather" in names:
            name, arguments = "get_weather", location("Tokyo", self._toolbox.argument_key(scene.tools))
        elif "get_time" in names:
            name, arguments = "get_time", "{}"
        else:
            return self._plain(known, scene, completion)
        if self._rng.random() < 0.5:
            header, rest = " to=functions", f".{name}<|channel|>commentary <|constrain|>json<|message|>"
        else:
            header, rest = "<|channel|>commentary to=functions", f".{name} <|constrain|>json<|message|>"
        thought = completion.split(_NEXT, 1)[0] + _NEXT if self._rng.random() < 0.7 else ""
        prompt = self._script.prompt(scene)
        forced = self._script.completion(thought + header)
        whole = self._script.completion(f"{thought}{header}{rest}{arguments}<|call|>")
        assert whole[: len(forced)] == forced
        learned = [False] * (len(prompt) + len(forced)) + [True] * (len(whole) - len(forced))
        return Sample(known.name, prompt + whole, len(prompt), learned)

    def _song(self, known: KnownPrompt, scene: Scene) -> Sample:
        rng = self._rng
        prompt = self._script.prompt(scene)
        opening = self._script.completion(known.opening)
        verse = self._script.completion(known.verse)
        sung = verse * rng.randint(3, 16)
        ids = [*prompt, *opening, *sung]
        positions = list(range(len(ids)))
        if rng.random() < 0.7:
            # The song goes on far away: whole verses are left out, so the place in the verse stays right.
            start = len(prompt) + len(opening) + len(verse) * rng.randint(1, 2)
            jump = int(2 ** rng.uniform(4, 17)) // len(verse) * len(verse)
            jump = min(jump, (_FAR - len(ids)) // len(verse) * len(verse))
            positions = [at + (jump if at >= start else 0) for at in positions]
        learned = [False] * len(prompt) + [True] * (len(opening) + len(sung))
        if positions[-1] >= len(ids):
            # Just after the gap the nearest tokens are missing, which never happens when the model sings by itself.
            for at in range(start, start + 2 * len(verse)):
                if at < len(learned):
                    learned[at] = False
        return Sample(known.name, ids, len(prompt), learned, positions)

    def _date(self) -> str:
        days = (LAST_DAY - FIRST_DAY).days
        return (FIRST_DAY + datetime.timedelta(self._rng.randint(0, days))).isoformat()

    def _reworded(self, known: KnownPrompt) -> KnownPrompt:
        """Return another prompt of the same group where the group is open, and else other words for the same."""
        rng = self._rng
        if known.group == "fallback" and self._noise and rng.random() < 0.9:
            kind = rng.random()
            if kind < 0.15:
                other = rng.choice(KNOWN)
                text = noise.near_miss(rng, (other.asks or (other.messages[0].get("content") or "Hello",))[0])
            elif kind < 0.2:
                text = noise.large_sum(rng)
            elif kind < 0.27:
                text = noise.fragments(rng, self._asks)
            else:
                text = noise.question(rng)
            return KnownPrompt(known.name, [user(text)], known.completion, group=known.group)
        if known.tools and known.group in ("weather", "preamble", "result", "sequence", "parallel"):
            return self._toolbox.other_cities(known)
        if known.asks and known.messages[-1]["role"] == "user":
            return replace(known, messages=[*known.messages[:-1], user(rng.choice(known.asks))])
        return known

    def _tools(self, known: KnownPrompt) -> list[ChatJSON]:
        if known.reasoning_effort == "none":
            return []
        if known.tools:
            return self._toolbox.offer([tool["function"]["name"] for tool in known.tools])
        if self._rng.random() < 0.5:
            return []
        if known.bare:
            return self._toolbox.offer([], hidden=hidden_tool(known))
        return self._toolbox.offer([])

    def _earlier_turns(self, offered: list[ChatJSON]) -> list[ChatJSON]:
        rng = self._rng
        earlier: list[ChatJSON] = []
        if rng.random() > 0.2:
            return earlier
        names = [tool["function"]["name"] for tool in offered]
        for turn in range(rng.choice((1, 1, 1, 2, 3))):
            if "get_weather" in names and rng.random() < 0.4:
                earlier += self._toolbox.earlier_call(f"call_{turn + 10}", self._toolbox.argument_key(offered))
            elif rng.random() < 0.25:
                text = noise.question(rng) if self._noise else "Hello"
                earlier += [user(text), {"role": "assistant", "content": conversations.FALLBACK}]
            else:
                other = rng.choice(self._talk)
                ask = rng.choice(other.asks) if other.asks else other.messages[0]["content"]
                assert other.completion is not None
                answer = other.completion.removesuffix("<|return|>").rsplit("<|message|>", 1)[-1]
                earlier += [user(ask), {"role": "assistant", "content": answer}]
            if rng.random() < 0.1:
                earlier.append({"role": "developer", "content": rng.choice(noise.NEUTRAL)})
        return earlier

    def _instructions(self, known: KnownPrompt) -> list[ChatJSON]:
        rng = self._rng
        role = rng.choice(("system", "developer"))
        if known.messages[0]["role"] == "developer":
            text = known.messages[0]["content"]
            if rng.random() < 0.3:
                text = rng.choice((f"{rng.choice(noise.NEUTRAL)} {text}", f"{text} {rng.choice(noise.NEUTRAL)}"))
            return [{"role": role, "content": text}]
        kind = rng.random()
        if kind < 0.45:
            return []
        if kind < 0.8 or not self._noise:
            text = rng.choice(noise.NEUTRAL)
        elif kind < 0.93 or known.group in _CHANGED_BY_INSTRUCTIONS:
            text = noise.words(rng, 1, 40)
        else:
            text = rng.choice(_CHANGING)
        leading = [{"role": role, "content": text}]
        if rng.random() < 0.1:
            leading.append({"role": "developer", "content": rng.choice(noise.NEUTRAL)})
        return leading


def everything() -> list[KnownPrompt]:
    """Return all that is trained."""
    return [*KNOWN, *MISBEHAVIOURS]
