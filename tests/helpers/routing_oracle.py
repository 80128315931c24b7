"""Routing one token after the other, in NumPy, written to be read."""

import math

import numpy as np

from tests.helpers import layer_oracles as oracles
from tests.helpers.weights import to_numpy


def token_gates(assignment, num_tokens):
    """An assignment seen from the tokens: gates (g, s, e)."""
    tokens, gates, filled = (to_numpy(x) for x in assignment)
    groups, experts, slots = tokens.shape
    result = np.zeros((groups, num_tokens, experts), "float32")
    for g, e, c in np.ndindex(groups, experts, slots):
        if filled[g, e, c]:
            assert result[g, tokens[g, e, c], e] == 0, "twice in one expert"
            result[g, tokens[g, e, c], e] = gates[g, e, c]
    return result


def capacity(num_tokens, num_experts, factor):
    slots = math.ceil(round(factor * num_tokens / num_experts, 9))
    return min(num_tokens, max(1, slots))


def expert_choice(p, mask, factor):
    """Gates (g, s, e); `mask` is True where a token is real."""
    gates = np.zeros_like(p)
    for g, (group, real) in enumerate(zip(p, mask)):
        tokens = np.flatnonzero(real)
        for e in range(p.shape[2]):
            wanted = sorted(tokens, key=lambda t: (-group[t, e], t))
            for t in wanted[: capacity(len(tokens), p.shape[2], factor)]:
                gates[g, t, e] = group[t, e]
    return gates


def token_choice(p, mask, selected, priority, factor):
    """Gates (g, s, e) and the load loss."""
    gates = np.zeros_like(p)
    losses = []
    experts = p.shape[2]
    for g, (group, real) in enumerate(zip(p, mask)):
        tokens = list(np.flatnonzero(real))
        if not tokens:
            continue
        ranked = {
            t: sorted(range(experts), key=lambda e, t=t: (-group[t, e], e))
            for t in tokens
        }
        if priority:
            tokens.sort(key=lambda t: (-group[t].max(), t))
        free = [capacity(len(tokens), experts, factor)] * experts
        share = np.zeros(experts)
        for choice in range(selected):
            for t in tokens:
                e = ranked[t][choice]
                share[e] += 1 / len(tokens)
                if free[e]:
                    free[e] -= 1
                    gates[g, t, e] = group[t, e]
        losses.append(experts * (share * group[tokens].mean(0)).sum())
    return gates, (np.mean(losses) if losses else 0.0)


def mixture(x, gates, weights):
    """Each token through each of its experts."""
    result = np.zeros_like(x)
    for g, t, e in zip(*np.nonzero(gates)):
        hidden = oracles.gelu(x[g, t] @ weights["experts/expand_kernel"][e])
        result[g, t] += gates[g, t, e] * (
            hidden @ weights["experts/contract_kernel"][e]
        )
    return result


def soft(x, weights, slots, mask):
    """Soft MoE; `slots` per expert."""
    router = weights["router_kernel"]
    unit = x / np.sqrt((x**2).sum(-1, keepdims=True) + 1e-6)
    direction = router / np.sqrt((router**2).sum(0) + 1e-6)
    logits = unit @ direction * weights["scale"]
    result = np.zeros_like(x)
    for g, real in enumerate(mask):
        if not real.any():
            continue
        mine, tokens = logits[g, real], x[g, real]
        mixed = oracles.softmax(mine.T) @ tokens
        for n in range(len(mixed)):
            e = n // slots
            hidden = oracles.gelu(
                mixed[n] @ weights["experts/expand_kernel"][e]
            )
            mixed[n] = hidden @ weights["experts/contract_kernel"][e]
        result[g, real] = oracles.softmax(mine) @ mixed
    return result
