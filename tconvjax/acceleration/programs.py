"""Rewrite traced programs: replace some equations by calls of jitted functions.

A program keeps its inputs, outputs, effects and names. A rule says what becomes of an equation, and
is told whether it is inside of a loop or branch. Inner programs are rewritten in place, as
parameters of the equation that holds them, so we need not know what scan or cond mean. The
derivative rules of ``custom_jvp`` and ``custom_vjp`` are functions; we wrap them, so that their
results are rewritten when JAX asks for them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias
from weakref import WeakKeyDictionary

import jax

from tconvjax.acceleration.state import check_unchanged, with_variables

HOLDERS = frozenset(
    {
        "jit",
        "scan",
        "while",
        "cond",
        "remat2",
        "checkpoint",
        "custom_jvp_call",
        "custom_vjp_call",
        "closed_call",
        "shard_map",
        "custom_linear_solve",
    }
)
"""Primitives whose sub-jaxprs may be rewritten. Pallas kernels are excluded."""

NESTING = frozenset({"scan", "while", "cond"})
"""Primitives whose programs XLA does not merge with the one around them."""

Rule: TypeAlias = Callable[[Any, bool], Any]
"""A function of an equation and whether it is nested: a `replaced` one, or the same."""

_REWRITTEN: WeakKeyDictionary[Any, dict[tuple[Rule, str, bool], Any]] = WeakKeyDictionary()
"""Rewritten programs by program, rule, platform and nesting; one rewritten twice compiles twice."""


def rewritten(program: Any, rule: Rule, nested: bool = False) -> Any:
    """Rewrite a ``ClosedJaxpr`` or ``Jaxpr``; return the same object if nothing changes."""
    key = rule, jax.default_backend(), nested
    known = _REWRITTEN.setdefault(program, {})
    if key not in known:
        known[key] = _rewritten(program, rule, nested)
    return program if known[key] is None else known[key]


def _rewritten(program: Any, rule: Rule, nested: bool) -> Any:
    """Rewrite, or return None if nothing changes: a value must not hold its own weak key."""
    inner = getattr(program, "jaxpr", program)
    if inner is not program:  # a ClosedJaxpr of jax before 0.12, around a Jaxpr
        changed = rewritten(inner, rule, nested)
        return None if changed is inner else program.replace(jaxpr=changed)
    equations = [_equation(e, rule, nested) for e in program.eqns]
    if all(new is old for new, old in zip(equations, program.eqns, strict=True)):
        return None
    return program.replace(eqns=equations)


def _equation(equation: Any, rule: Rule, nested: bool) -> Any:
    name = equation.primitive.name
    if name not in HOLDERS:
        return rule(equation, nested)
    nested = nested or name in NESTING
    changed = {k: _parameter(k, v, rule, nested) for k, v in equation.params.items()}
    return equation if changed == equation.params else equation.replace(params=changed)


def _parameter(name: str, value: Any, rule: Rule, nested: bool) -> Any:
    """A parameter with its programs rewritten."""
    if is_program(value):
        return rewritten(value, rule, nested)
    if isinstance(value, tuple) and value and all(map(is_program, value)):
        return jax.tree.map(lambda v: rewritten(v, rule, nested), value, is_leaf=is_program)
    if name in _RULES:
        import jax.extend.linear_util as lu  # it loads Pallas, which an import of ours must not

        return lu.transformation2(functools.partial(_RULES[name], rule, nested))(value)
    return value


def is_program(value: Any) -> bool:
    """Whether a parameter is a ``Jaxpr`` or ``ClosedJaxpr``."""
    return hasattr(value, "eqns") and hasattr(value, "in_avals")


def replaced(equation: Any, call: Callable[..., jax.Array]) -> Any:
    """Replace an equation by a call of a jitted function, keeping its name and context.

    It stays as it is if the result would have another type. Pass the same function for the same
    computation: one that is traced twice compiles twice.
    """
    with equation.ctx.manager, jax.disable_jit(False):  # a call even where calls are inlined
        program = jax.make_jaxpr(call)(*(v.aval for v in equation.invars))
    (one,) = program.eqns
    (new,), (old,) = program.out_avals, (v.aval for v in equation.outvars)
    if new.str_short() != old.str_short():
        return equation
    return equation.replace(primitive=one.primitive, params=one.params, effects=one.effects)


# -- derivative rules ------------------------------------------------------------------------------


def _program_first(rule: Rule, nested: bool, derivative: Callable[..., Any], *args: Any) -> Any:
    """A derivative that gives (program, constants, ...)."""
    program, *rest = derivative(*args)
    return (rewritten(program, rule, nested), *rest)


def _traced_anew(rule: Rule, nested: bool, derivative: Callable[..., Any], *args: Any) -> Any:
    """A derivative that gives values."""
    return run(rule, derivative, args, {}, nested)


_RULES: dict[str, Callable[..., Any]] = {
    "jvp_jaxpr_fun": _program_first,
    "fwd_jaxpr_thunk": _program_first,
    "bwd": _traced_anew,
}


# -- a function ------------------------------------------------------------------------------------


def traced(
    fn: Callable[..., Any],
    args: tuple[Any, ...],
    keywords: dict[str, Any],
    abstract: tuple[type, ...] = (),
) -> tuple[Any, list[Any], Callable[[list[Any]], Any]]:
    """Trace a call: its program, the program's inputs, and what makes fn's result of its outputs.

    JAX arrays and objects of the abstract types are inputs; everything else reaches fn unchanged.
    With abstract types only the program is wanted, and fn may change its arguments, all copies.
    """
    leaves, tree = jax.tree.flatten((args, keywords))
    places = [n for n, leaf in enumerate(leaves) if isinstance(leaf, (jax.Array, *abstract))]
    result: dict[str, Any] = {}

    def of_arrays(*arrays: jax.Array) -> list[Any]:
        filled = list(leaves)
        for n, array in zip(places, arrays, strict=True):
            filled[n] = array
        given, named = jax.tree.unflatten(tree, filled)
        out, result["tree"] = jax.tree.flatten(fn(*given, **named))
        if not abstract:
            check_unchanged(filled, tree, (given, named))
        # No leaf of a tree is None, so None stands for an output.
        result["leaves"] = [None if isinstance(v, jax.core.Tracer) else v for v in out]
        return [v for v in out if isinstance(v, jax.core.Tracer)]

    inputs = [leaves[n] for n in places]
    program = jax.make_jaxpr(of_arrays)(*inputs)

    def rebuild(values: list[Any]) -> Any:
        outputs = iter(values)
        whole = [next(outputs) if v is None else v for v in result["leaves"]]
        return jax.tree.unflatten(result["tree"], whole)

    return program, inputs, rebuild


def run(
    rule: Rule,
    fn: Callable[..., Any],
    args: tuple[Any, ...],
    keywords: dict[str, Any],
    nested: bool = False,
) -> Any:
    """Call a function with its program rewritten."""

    def rewritten_call(fn: Any, args: Any, keywords: Any) -> Any:
        program, inputs, rebuild = traced(fn, args, keywords)
        changed = rewritten(program, rule, nested)
        return rebuild(jax.core.eval_jaxpr(changed.jaxpr, changed.consts, *inputs))

    return with_variables(rewritten_call, fn, args, keywords)


# -- finding equations -----------------------------------------------------------------------------


def found(
    program: Any, primitives: Sequence[str], where: tuple[str, ...] = (), times: int = 1
) -> Iterator[tuple[tuple[str, ...], int, Any]]:
    """Every equation of some primitives: (those around it, its runs in a call, the equation).

    A ``while`` loop counts as one run, and so does each branch of a ``cond``.
    """
    for equation in getattr(program, "jaxpr", program).eqns:
        name = equation.primitive.name
        if name in primitives:
            yield where, times, equation
        runs = times * equation.params["length"] if name == "scan" else times
        for value in equation.params.values():
            for inner in value if isinstance(value, tuple) else (value,):
                if is_program(inner):
                    yield from found(inner, primitives, (*where, name), runs)
