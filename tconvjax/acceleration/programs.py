"""Programs rewritten: each convolution decided on, wherever in a program it stands.

A program keeps its inputs, outputs, effects and names; only the equations of convolutions that are
to run by this package become calls of a jitted `computed`. Inner programs are rewritten where they
stand, as parameters of the equation that holds them, so that nothing has to be known of what scan
or cond mean. The derivative rules of ``custom_jvp`` and ``custom_vjp`` are functions; they are
wrapped, so that what they give back is rewritten when it is asked for.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any
from weakref import WeakKeyDictionary

import jax

from tconvjax.acceleration.algebra import Assignment, Convolution, computed
from tconvjax.acceleration.decision import decide
from tconvjax.acceleration.state import check_unchanged, with_variables

HOLDERS = frozenset(
    {
        "jit",
        "pjit",
        "scan",
        "while",
        "cond",
        "remat2",
        "checkpoint",
        "custom_jvp_call",
        "custom_vjp_call",
        "closed_call",
        "core_call",
        "shard_map",
        "custom_linear_solve",
    }
)
"""Primitives whose inner programs mean what they say. Those of a kernel language are none."""

_REWRITTEN: WeakKeyDictionary[Any, dict[str, Any]] = WeakKeyDictionary()
"""By program and platform; a program rewritten twice would be compiled twice."""


def rewritten(program: Any) -> Any:
    """A program with its convolutions run by this package.

    Args:
        program: a ``ClosedJaxpr`` or ``Jaxpr``.

    Returns:
        One of the same kind; the very same one where there is nothing to change.
    """
    platform = jax.default_backend()
    known = _REWRITTEN.setdefault(program, {})
    if platform not in known:
        known[platform] = _rewritten(program)
    return program if known[platform] is None else known[platform]


def _rewritten(program: Any) -> Any:
    """None where there is nothing to change, since a weak key must not be held by its value."""
    inner = getattr(program, "jaxpr", program)
    if inner is not program:  # a ClosedJaxpr of jax before 0.12, around a Jaxpr
        changed = rewritten(inner)
        return None if changed is inner else program.replace(jaxpr=changed)
    equations = [_equation(e) for e in program.eqns]
    if all(new is old for new, old in zip(equations, program.eqns, strict=True)):
        return None
    return program.replace(eqns=equations)


def _equation(equation: Any) -> Any:
    name = equation.primitive.name
    if name == "conv_general_dilated":
        decision = decide(equation)
        if decision.convolution is None or decision.assignment is None:
            return equation
        return _replaced(equation, decision.convolution, decision.assignment, decision.bound)
    if name not in HOLDERS:
        return equation
    changed = {k: _parameter(k, v) for k, v in equation.params.items()}
    if all(changed[k] is v for k, v in equation.params.items()):
        return equation
    return equation.replace(params=changed)


def _parameter(name: str, value: Any) -> Any:
    """A parameter, with the programs rewritten that it is or gives."""
    if is_program(value):
        return rewritten(value)
    if isinstance(value, tuple) and value and all(map(is_program, value)):
        programs = [rewritten(v) for v in value]
        if all(new is old for new, old in zip(programs, value, strict=True)):
            return value
        return type(value)(*programs) if hasattr(value, "_fields") else tuple(programs)
    if name in _RULES:
        return _wrapped(_RULES[name], value)
    return value


def is_program(value: Any) -> bool:
    """Whether a parameter is a ``Jaxpr`` or ``ClosedJaxpr``."""
    return hasattr(value, "eqns") and hasattr(value, "in_avals")


# -- one convolution -------------------------------------------------------------------------------


def _replaced(equation: Any, c: Convolution, a: Assignment, algorithm: str) -> Any:
    """The equation as a call of `_call`, which keeps its place, its name and its context."""
    with equation.ctx.manager, jax.disable_jit(False):  # a call even where calls are inlined
        program = jax.make_jaxpr(_call(c, a, algorithm))(*(v.aval for v in equation.invars))
    (call,) = program.eqns
    (new,), (old,) = program.out_avals, (v.aval for v in equation.outvars)
    if new.str_short() != old.str_short():
        return equation
    return equation.replace(primitive=call.primitive, params=call.params, effects=call.effects)


@functools.lru_cache(maxsize=4096)
def _call(
    c: Convolution, a: Assignment, algorithm: str
) -> Callable[[jax.Array, jax.Array], jax.Array]:
    """A jitted function of two arrays; the same one for the same convolution."""
    name = f"tconvjax_{a.partial}"

    def called(lhs: jax.Array, rhs: jax.Array) -> jax.Array:
        return computed(lhs, rhs, c, a, algorithm)

    called.__name__ = called.__qualname__ = name
    return jax.jit(called)


# -- derivative rules ------------------------------------------------------------------------------


def _wrapped(transformation: Callable[..., Any], rule: Any) -> Any:
    """A rule that JAX holds as a function with transformations: one more of them."""
    import jax.extend.linear_util as lu  # it loads Pallas, which an import of ours must not

    return lu.transformation2(transformation)(rule)


def _program_first(rule: Callable[..., Any], *args: Any) -> Any:
    """A rule that gives (program, constants, ...)."""
    program, *rest = rule(*args)
    return (rewritten(program), *rest)


def _traced_anew(rule: Callable[..., Any], *args: Any) -> Any:
    """A rule that gives values."""
    return run(rule, args, {})


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
    """The program of a call.

    Args:
        fn: any function of pytrees.
        args: its arguments; their JAX arrays become inputs, the rest fn sees as it is.
        keywords: the same, by name.
        abstract: types that stand for arrays beside ``jax.Array``.

    Returns:
        (program, inputs, rebuild): rebuild makes fn's result of the program's outputs.
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
        check_unchanged(filled, tree, (given, named))
        result["places"] = [n for n, v in enumerate(out) if isinstance(v, jax.core.Tracer)]
        result["fixed"] = [None if isinstance(v, jax.core.Tracer) else v for v in out]
        return [out[n] for n in result["places"]]

    inputs = [leaves[n] for n in places]
    program = jax.make_jaxpr(of_arrays)(*inputs)

    def rebuild(values: list[Any]) -> Any:
        filled = list(result["fixed"])
        for n, value in zip(result["places"], values, strict=True):
            filled[n] = value
        return jax.tree.unflatten(result["tree"], filled)

    return program, inputs, rebuild


def run(fn: Callable[..., Any], args: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    """Call a function with its convolutions run by this package."""
    return with_variables(_run, fn, args, keywords)


def _run(fn: Callable[..., Any], args: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    program, inputs, rebuild = traced(fn, args, keywords)
    changed = rewritten(program)
    return rebuild(jax.core.eval_jaxpr(changed.jaxpr, changed.consts, *inputs))


# -- what there is ---------------------------------------------------------------------------------


def found(program: Any, where: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every convolution of a program: (the primitives that it stands in, its equation)."""
    for equation in getattr(program, "jaxpr", program).eqns:
        name = equation.primitive.name
        if name == "conv_general_dilated":
            yield where, equation
        for value in equation.params.values():
            for inner in value if isinstance(value, tuple) else (value,):
                if is_program(inner):
                    yield from found(inner, (*where, name))
