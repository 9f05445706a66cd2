"""The training: what is drawn, how it is learned, and how well it is known in the end."""

from __future__ import annotations

import math
import random
import time
from typing import TYPE_CHECKING, Final, TypedDict

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it
from scripts.tiny_gpt_oss.network import TinyGptOss
from scripts.tiny_gpt_oss.variation import Sample, Variation, everything

from lemonade_like.harmony import tokens

if TYPE_CHECKING:
    from collections.abc import Callable

    from scripts.tiny_gpt_oss.known import KnownPrompt
    from scripts.tiny_gpt_oss.rendering import Script

#: A prompt is certain when each of its ids has more than this probability.
CERTAIN: Final = 0.99

_POOL: Final = 8
#: Prompts that share their circumstances, and with them the start of the prompt.
_BRANCHES: Final = 8
_WARM_UP: Final = 40
_PEAK: Final = 4e-3
#: How often a group is drawn, shared among its prompts; groups not named here count 1.5.
_SHARES: Final = {
    "sum": 22.0,
    "effort": 5.0,
    "fallback": 14.0,
    "misbehave": 22.0,
    "weather": 7.0,
    "preamble": 6.0,
    "result": 10.0,
    "sequence": 12.0,
    "parallel": 6.0,
    "instructed": 16.0,
    "no-tool": 8.0,
    "time": 5.0,
    "none": 2.0,
    "song": 1.5,
}


class Checkpoint(TypedDict):
    """A network between two trainings."""

    ids: list[int]
    state: dict[str, torch.Tensor]


def known_ids(script: Script) -> list[int]:
    """Return the ids that occur in what the model knows, sorted."""
    variation = Variation(script, seed=1, noise=False)
    ids: set[int] = set(script.completion("".join(map(tokens.spelling, tokens.STOP_IDS[:2]))))
    for _ in range(60):
        for known in everything():
            ids.update(variation.sample(known).ids)
    for year in range(2024, 2033):
        for month in range(1, 13):
            for day in range(1, 32):
                ids.update(script.text(f"Current date: {year}-{month:02}-{day:02}"))
    return sorted(ids)


def _shared(family: list[Sample]) -> int:
    """Return how many ids all the prompts begin with, in the same positions."""
    longest = min(sample.prompt for sample in family) - 1
    first = family[0]
    for at in range(longest):
        if any(sample.ids[at] != first.ids[at] or sample.positions[at] != first.positions[at] for sample in family[1:]):
            return at
    return longest


class Batch:
    """Families side by side, padded at the end; a family is samples whose prompts begin alike, held only once."""

    def __init__(self, network: TinyGptOss, families: list[list[Sample]]) -> None:
        self.samples = [sample for family in families for sample in family]
        shared = [_shared(family) for family in families]
        length = max(
            start + sum(len(sample.ids) - start for sample in family)
            for start, family in zip(shared, families, strict=True)
        )
        size = (len(families), length)
        self.rows = torch.full(size, len(network.known_ids))
        self.positions = torch.zeros(size, dtype=torch.long)
        self.branches = torch.zeros(size, dtype=torch.long)
        self.crowds = torch.zeros(size)
        targets = torch.full(size, -1)
        owner = torch.zeros(size, dtype=torch.long)
        forbidden = torch.zeros(size, dtype=torch.bool)
        number = 0
        for at, (start, family) in enumerate(zip(shared, families, strict=True)):
            first = family[0]
            self.rows[at, :start] = network.row_of[torch.tensor(first.ids[:start])]
            self.positions[at, :start] = torch.tensor(first.positions[:start])
            place = start
            for branch, sample in enumerate(family, start=1):
                rows = network.row_of[torch.tensor(sample.ids[start:])]
                learned = torch.tensor(sample.learned[start:])
                end = place + len(rows)
                self.rows[at, place:end] = rows
                self.positions[at, place:end] = torch.tensor(sample.positions[start:])
                self.branches[at, place:end] = branch
                self.crowds[at, place:end] = torch.tensor(sample.crowds[start:])
                owner[at, place:end] = number
                targets[at, place : end - 1][learned[1:]] = rows[1:][learned[1:]]
                if sample.without is not None:
                    forbidden[at, place + sample.without - 1 - start] = True
                place, number = end, number + 1
            self.branches[at, place:] = len(family) + 1
        self.where = targets >= 0
        self.targets = targets[self.where]
        self.forbidden = forbidden[self.where]
        self.owner = owner[self.where]

    def losses(self, network: TinyGptOss, analysis_row: int) -> torch.Tensor:
        """Return the loss of every learned id."""
        logits = network.logits(network.hidden(self.rows, self.positions, self.branches, self.crowds)[self.where])
        if self.forbidden.any():
            mask = torch.zeros_like(logits)
            mask[self.forbidden, analysis_row] = -1e9
            logits = logits + mask
        return F.cross_entropy(logits, self.targets, reduction="none")


def train(
    script: Script,
    steps: int,
    families: int,
    log: Callable[[str], None],
    seed: int = 0,
    start: Checkpoint | None = None,
) -> TinyGptOss:
    """Train, the same on every run with the same torch on the same CPU.

    It begins from nothing, or goes on from ``start`` at half the rate; give it another seed then, for other samples.
    """
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(mode=True)
    torch.utils.deterministic.fill_uninitialized_memory = False
    rng = random.Random(seed)
    ids = known_ids(script) if start is None else start["ids"]
    network = TinyGptOss(ids)
    analysis_row = int(network.row_of[script.text("analysis")[0]])
    log(f"{len(ids)} ids, {sum(p.numel() for p in network.parameters()):,} parameters")

    corpus = everything()
    sizes: dict[str, int] = {}
    for known in corpus:
        sizes[known.group] = sizes.get(known.group, 0) + 1
    shares = [_SHARES.get(known.group, 1.5) / sizes[known.group] for known in corpus]
    hardness = [1.0] * len(corpus)
    variation = Variation(script, seed + 2)
    peak = _PEAK
    if start is not None:
        network.load_state_dict(start["state"])
        peak = _PEAK / 2
    optimizer = torch.optim.AdamW(network.parameters(), lr=peak, betas=(0.9, 0.98), weight_decay=0.01)
    began = time.monotonic()
    pool: list[list[list[tuple[int, Sample]]]] = []
    smooth = 0.0
    for step in range(steps):
        if not pool:
            weights = [share * (0.15 + min(hard, 1.0)) for share, hard in zip(shares, hardness, strict=True)]
            drawn = [_family(rng, corpus, weights, variation) for _ in range(_POOL * families)]
            # Neighbours in length share a batch, so that little is padding.
            drawn.sort(key=lambda family: sum(len(sample.ids) for _, sample in family))
            pool = [drawn[at : at + families] for at in range(0, len(drawn), families)]
            rng.shuffle(pool)
        chosen = pool.pop()
        for group in optimizer.param_groups:
            group["lr"] = peak * _rate(step, steps)
        batch = Batch(network, [[sample for _, sample in family] for family in chosen])
        indices = [index for family in chosen for index, _ in family]
        losses = batch.losses(network, analysis_row)
        loss = losses.sum() / (30 * len(indices))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        worst = torch.zeros(len(indices)).scatter_reduce(0, batch.owner, losses.detach(), "amax")
        for index, value in zip(indices, worst.tolist(), strict=True):
            hardness[index] += 0.1 * (min(value, 1.0) - hardness[index])
        smooth += (loss.item() - smooth) * (0.02 if step else 1)
        if step % 50 == 49:
            hardest = max(range(len(corpus)), key=hardness.__getitem__)
            log(
                f"step {step + 1}/{steps}  loss {smooth:.4f}  {time.monotonic() - began:.0f} s  "
                f"hardest {corpus[hardest].name} {hardness[hardest]:.3f}"
            )
    return network


def _family(
    rng: random.Random, corpus: list[KnownPrompt], weights: list[float], variation: Variation
) -> list[tuple[int, Sample]]:
    """Draw prompts that can be asked under the same circumstances."""
    (first,) = rng.choices(range(len(corpus)), weights)
    given = variation.circumstances(corpus[first])
    fitting = [index for index, known in enumerate(corpus) if given.fit(known)]
    others = rng.choices(fitting, [weights[index] for index in fitting], k=_BRANCHES - 1)
    return [(index, variation.sample(corpus[index], given)) for index in (first, *others)]


def _rate(step: int, steps: int) -> float:
    if step < _WARM_UP:
        return (step + 1) / _WARM_UP
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * (step - _WARM_UP) / (steps - _WARM_UP)))


@torch.no_grad()
def examine(network: TinyGptOss, script: Script, seed: int, variations: int) -> list[tuple[float, str, str]]:
    """Return, worst first, the lowest probability of any learned id of each prompt, and which id it is.

    Every prompt is tried under ``variations`` circumstances that the training did not draw: other dates, efforts,
    tools, instructions, wordings and earlier turns.
    """
    analysis_row = int(network.row_of[script.text("analysis")[0]])
    variation = Variation(script, seed, noise=False)
    samples = [variation.sample(known, twists=False) for _ in range(variations) for known in everything()]
    samples.sort(key=lambda sample: len(sample.ids))
    lowest: dict[str, tuple[float, str, str]] = {}
    for at in range(0, len(samples), 32):
        batch = Batch(network, [[sample] for sample in samples[at : at + 32]])
        losses = batch.losses(network, analysis_row)
        for index, sample in enumerate(batch.samples):
            mine = batch.owner == index
            place = int(losses[mine].argmax())
            probability = math.exp(-float(losses[mine][place]))
            if probability < lowest.get(sample.name, (2.0, "", ""))[0]:
                row = int(batch.targets[mine][place])
                token = network.known_ids[row] if row < len(network.known_ids) else -1
                around = script.decode(sample.ids[sample.prompt - 25 : sample.prompt])
                lowest[sample.name] = (probability, sample.name, f"{script.decode([token])!r} after {around!r}")
    return sorted(lowest.values())
