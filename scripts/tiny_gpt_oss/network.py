"""The network: transformers' GPT-OSS at a tiny size, over the few ids that occur."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it
from transformers import GptOssConfig, GptOssForCausalLM
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
from transformers.models.gpt_oss import modeling_gpt_oss

from lemonade_like.harmony import tokens

if TYPE_CHECKING:
    from collections.abc import Sequence

CONTEXT_LENGTH: Final = 131_072
SLIDING_WINDOW: Final = 128
ROPE_THETA: Final = 150_000.0


def sink_attention(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor,
    scaling: float,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """Attention with sinks through torch's fused kernel.

    A sink is a key that every query sees with a fixed score and whose value is nothing. It becomes a real key by
    giving queries one more dimension that is always 1; 8 are added, which keeps rows aligned.
    """
    batch, heads, length, size = query.shape
    key = modeling_gpt_oss.repeat_kv(key, module.num_key_value_groups)
    value = modeling_gpt_oss.repeat_kv(value, module.num_key_value_groups)
    sink = (module.sinks / scaling).view(1, heads, 1, 1).expand(batch, heads, 1, 1)
    key = torch.cat([F.pad(key, (0, 8)), F.pad(sink, (size, 7))], 2)
    query = torch.cat([query, query.new_ones(batch, heads, length, 1), query.new_zeros(batch, heads, length, 7)], -1)
    value = F.pad(value, (0, 8, 0, 1))
    mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=F.pad(mask, (0, 1)), scale=scaling)
    return mixed[..., :size].transpose(1, 2).contiguous(), None


def dense_experts(self: Any, states: torch.Tensor, chosen: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """All experts for all tokens, those not chosen weighted by zero: at this size faster than picking them out."""
    experts, width = self.num_experts, self.intermediate_size
    weight = torch.zeros(states.shape[0], experts).scatter(1, chosen, weights)
    into = self.gate_up_proj.transpose(0, 1).reshape(self.hidden_size, -1)
    hidden = torch.addmm(self.gate_up_proj_bias.reshape(-1), states, into).view(-1, experts, width, 2)
    gate, up = hidden[..., 0].clamp(max=self.limit), hidden[..., 1].clamp(-self.limit, self.limit)
    gated = (up + 1) * gate * torch.sigmoid(gate * self.alpha) * weight[:, :, None]
    return (
        gated.reshape(-1, experts * width) @ self.down_proj.reshape(experts * width, -1) + weight @ self.down_proj_bias
    )


class TinyGptOss(torch.nn.Module):
    """GPT-OSS over ``known_ids``; every other id reads as nothing and is written with a logit of zero.

    Rows run from 0 to K-1 for the known ids; row K stands for all the rest.
    """

    def __init__(self, known_ids: Sequence[int]) -> None:
        super().__init__()
        ALL_ATTENTION_FUNCTIONS.register("sink", sink_attention)
        modeling_gpt_oss.GptOssExperts.forward = dense_experts
        self.known_ids = list(known_ids)
        rest = len(self.known_ids)
        self.row_of = torch.full((tokens.VOCABULARY_SIZE,), rest, dtype=torch.long)
        self.row_of[torch.tensor(self.known_ids)] = torch.arange(rest)
        self.rest_logit = math.log(tokens.VOCABULARY_SIZE - rest)
        config = GptOssConfig(
            vocab_size=rest + 1,
            hidden_size=64,
            intermediate_size=64,
            num_hidden_layers=4,
            num_local_experts=4,
            num_experts_per_tok=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            head_dim=32,
            sliding_window=SLIDING_WINDOW,
            max_position_embeddings=CONTEXT_LENGTH,
            rope_parameters={"rope_type": "default", "rope_theta": ROPE_THETA},
            initializer_range=0.08,
            pad_token_id=rest,
            bos_token_id=None,
            eos_token_id=None,
            use_cache=False,
        )
        config._attn_implementation = "sink"
        self.gpt_oss = GptOssForCausalLM(config)
        # An id that never occurs has a row of zeros in the exported file too.
        with torch.no_grad():
            self.gpt_oss.model.embed_tokens.weight[rest] = 0

    def hidden(
        self, rows: torch.Tensor, positions: torch.Tensor, branches: torch.Tensor, crowds: torch.Tensor
    ) -> torch.Tensor:
        """Return the last hidden states; all four are ``[batch, length]``, padded at the end.

        A row holds several texts with the same beginning: branch 0 is that beginning, and each other branch sees it
        and itself. ``crowds`` says of each id the logarithm of how many of its kind it stands for: a long text can be
        learned from a short one, since attention to n equal keys is attention to one with log n added to its score.
        """
        order = torch.arange(rows.shape[1])
        own = (branches[:, None] == 0) | (branches[:, None] == branches[:, :, None])
        causal = (order[:, None] >= order[None])[None] & own
        near = causal & (positions[:, :, None] - positions[:, None] < SLIDING_WINDOW)
        full = crowds[:, None].expand(causal.shape).masked_fill(~causal, float("-inf"))
        sliding = torch.zeros(near.shape).masked_fill(~near, float("-inf"))
        masks = {"full_attention": full[:, None], "sliding_attention": sliding[:, None]}
        return self.gpt_oss.model(
            input_ids=rows, attention_mask=masks, position_ids=positions, use_cache=False
        ).last_hidden_state

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """Return the logits over the known ids, and over all the rest as one class."""
        known = hidden @ self.gpt_oss.lm_head.weight[:-1].t()
        return torch.cat([known, known.new_full((known.shape[0], 1), self.rest_logit)], 1)
