"""States of formats 1 to 3, whose learned numbers besides coefs and intercepts have no names."""

import numpy as np

from sklmlp.nn import part_name


def with_named_state(state):
    """Name what a state of an old format has in the list `_extras` as `module_` does.

    The list holds the state of each hidden layer's activation, then of each normalization, then of
    each projection; or that of a user's module, and its seed. Any other list is kept as it is, for
    `validate_state` to refuse.
    """
    if "_extras" not in state:
        return state
    plain = state.get("_spec")
    named = {"_state": state["_extras"]}
    if isinstance(plain, dict) and isinstance(plain.get("hidden"), list | tuple):
        named |= _named(plain, state["_extras"]) or {}
    return {name: value for name, value in state.items() if name != "_extras"} | named


def _named(plain, entries):
    if not isinstance(entries, list | tuple) or not all(isinstance(e, dict) for e in entries):
        return None
    if plain.get("module") is not None:
        seed = np.asarray(entries[1].get("seed")) if len(entries) == 2 else None
        return None if seed is None else {"_state": entries[0], "_module_seed": seed.tolist()}
    residual = bool(plain.get("residual"))
    kinds = ["activation"] + ["normalization"] * (plain.get("normalization") is not None)
    kinds += ["projection"] * residual
    parts = [part_name(kind, i, residual) for kind in kinds for i in range(len(plain["hidden"]))]
    if len(parts) != len(entries):
        return None
    pairs = zip(parts, entries, strict=True)
    return {"_state": {f"{part}.{name}": a for part, e in pairs for name, a in e.items()}}
