"""Everybody who takes part, and how a script chooses among them."""

from __future__ import annotations

import argparse
import os
import secrets
from collections.abc import Sequence

import jax
from contest import Contestant, Setting, cores
from engines import ENGINES
from layers import LAYERS
from programs import JAX_ONLY

from tconvjax.command.arguments import CommandError, number

ALL: tuple[Contestant, ...] = (*JAX_ONLY, *LAYERS, *ENGINES)


def named(words: Sequence[str] | None) -> tuple[Contestant, ...]:
    """The contestants of these names, whatever their case; everybody if there are none."""
    if not words:
        return ALL
    known = {contestant.name.lower(): contestant for contestant in ALL}
    for word in words:
        if word.lower() not in known:
            names = "; ".join(contestant.name for contestant in ALL)
            raise CommandError(f"--contestant: there is nobody called {word!r}; there are: {names}")
    return tuple(known[word.lower()] for word in words)


def add_options(parser: argparse.ArgumentParser, rounds: int) -> None:
    """The options that every script of a contest has."""
    add = parser.add_argument
    add("--case", nargs="+", metavar="NAME", help="of cases.json")
    add("--contestant", nargs="+", metavar="NAME", help="everybody if left out")
    add("--rounds", type=number, default=rounds, help="turns of each contestant")
    add("--seed", type=int, help="of the arrays and the orders; drawn and recorded if left out")
    add("--dtype", choices=("float32", "bfloat16"), default="float32")
    add("--platform", choices=("cpu", "gpu"), default="cpu")


def setting_of(options: argparse.Namespace) -> Setting:
    """The setting that the options describe, with JAX told the platform."""
    # JAX takes most of a GPU's memory when it starts; PyTorch needs some too.
    os.environ.setdefault("XLA_PYTHON_CLIENT_MEM_FRACTION", "0.45")
    if options.platform == "cpu":
        jax.config.update("jax_platforms", "cpu")
    elif jax.default_backend() != "gpu":
        raise CommandError("--platform gpu: JAX sees no GPU; install jax[cuda13] or leave it out")
    seed = secrets.randbelow(2**31) if options.seed is None else options.seed
    return Setting(options.rounds, seed, options.dtype, options.platform, cores())
