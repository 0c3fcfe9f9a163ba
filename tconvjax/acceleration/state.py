"""Changes in place: write the variables of Flax NNX modules back, and refuse all others."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence
from typing import Any

import jax

from tconvjax.errors import Described, fail


def with_variables(
    run: Callable[..., Any], fn: Callable[..., Any], args: tuple[Any, ...], keywords: dict[str, Any]
) -> Any:
    """Call ``run(fn, args, keywords)`` and keep the changes that fn makes to NNX variables.

    ``run`` calls a function of pytrees with copies of its arrays. If fn changes variables of a
    module that is no argument of it, that is an error.
    """
    nnx = sys.modules.get("flax.nnx")
    if nnx is None:
        return run(fn, args, keywords)
    kinds = (nnx.Pytree, nnx.Variable)
    owner = getattr(fn, "__self__", None)
    if isinstance(owner, kinds):
        fn, args = getattr(fn, "__func__", fn), (owner, *args)
    elif isinstance(fn, kinds):
        fn, args = type(fn).__call__, (fn, *args)

    def kept(value: Any) -> bool:
        return isinstance(value, kinds)

    leaves, tree = jax.tree.flatten((args, keywords), is_leaf=kept)
    modules = [value for value in leaves if kept(value)]
    if not modules:
        return _of_its_arguments(run, fn, args, keywords)
    if not _may_change(modules):

        @functools.wraps(fn)
        def of_the_rest(rest: Any) -> Any:
            pairs = zip(leaves, rest, strict=True)
            whole = [value if kept(value) else other for value, other in pairs]
            args, keywords = jax.tree.unflatten(tree, whole)
            return fn(*args, **keywords)

        rest = [None if kept(value) else value for value in leaves]
        return _of_its_arguments(run, of_the_rest, (rest,), {})
    # As in nnx.jit: modules become arrays outside and modules again inside.
    tag = "tconvjax.accelerate"

    def of_arrays(given: Any) -> Any:
        args, keywords = nnx.from_tree(given, ctxtag=tag, is_inner=True)
        result = fn(*args, **keywords)
        modules = [v for v in jax.tree.leaves((args, keywords), is_leaf=kept) if kept(v)]
        return nnx.to_tree((modules, result), ctxtag=tag)

    with nnx.update_context(tag):
        given = nnx.to_tree((args, keywords), ctxtag=tag)
        found = _of_its_arguments(run, of_arrays, (given,), {})
        return nnx.from_tree(found, ctxtag=tag, is_inner=False)[1]


def _may_change(modules: list[Any]) -> bool:
    """Whether NNX admits changes here; not in a transformation around which the modules are."""
    nnx = sys.modules["flax.nnx"]
    try:
        nnx.update(modules, nnx.state(modules))  # to the values that they have
    except sys.modules["flax.errors"].TraceContextError:
        return False
    return True


def _of_its_arguments(run: Callable[..., Any], fn: Any, args: Any, keywords: Any) -> Any:
    """Run a function; translate the error of NNX about modules that are not among the arguments."""
    try:
        return run(fn, args, keywords)
    except sys.modules["flax.errors"].TraceContextError as error:
        fail(
            "fn",
            Described(getattr(fn, "__name__", type(fn).__name__)),
            "it changes variables of a module that is not among its arguments, or not among those "
            f"of a transformation around it ({error})",
            "pass the module as an argument",
        )


def check_unchanged(before: Sequence[Any], tree: Any, after: Any) -> None:
    """Refuse a function that changed its arguments, which were copies.

    ``before`` has the leaves of ``tree`` before the call; ``after`` is the whole after it.
    """
    leaves, now = jax.tree.flatten(after)
    same = now == tree and all(a is b for a, b in zip(before, leaves, strict=True))
    if not same:
        fail(
            "fn",
            Described("a function that changes its arguments in place"),
            "it is traced with copies of them, so the change would be lost",
            "return the new value instead",
        )
