"""What a case must hold: shapes, values within a bound of the definition, the adjoint identity."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import tconvjax as tc
from tests import oracles
from tests.sweep.cases import Case
from tests.sweep.reading import reader

PARTIALS = {"conv": ("x", "w", "y"), "conv_transpose": ("y", "w", "x"),
            "kernel_gradient": ("x", "y", "w")}  # fmt: skip
LOOPS: Mapping[str, Callable[..., Any]] = {
    "conv": oracles.conv,
    "conv_transpose": oracles.conv_transpose,
    "kernel_gradient": oracles.kernel_gradient,
}


class Fault(Exception):
    """A case that does not hold; the message repeats it."""


class Outcome(NamedTuple):
    """One partial by one algorithm, and its largest error as a share of what is allowed."""

    algorithm: str
    partial: str
    dtype: str
    worst: float


class Definition(NamedTuple):
    """What a result must be, and how far it may be off, element by element."""

    value: Any
    allowed: Any


def programs(case: Case) -> dict[tuple[str, str], Callable[..., Any]]:
    """Each partial by each algorithm, as the case asks for it: a function of two operands."""
    found: dict[tuple[str, str], Callable[..., Any]] = {}
    a = case.a
    keywords = {**a.keywords, "dimension_numbers": case.dimension_numbers}
    for name in case.names:
        options = {**keywords, "algorithm": name}
        found[name, "conv"] = _calling(tc.conv, options)
        found[name, "conv_transpose"] = _calling(tc.conv_transpose, {**options, **_size(case)})
        found[name, "kernel_gradient"] = _calling(
            tc.kernel_gradient, {**options, "kernel_size": a.kernel_size}
        )
    return found


def _calling(f: Callable[..., Any], options: Mapping[str, Any]) -> Callable[..., Any]:
    return lambda p, q: f(p, q, **options)


def _size(case: Case) -> dict[str, Any]:
    """The result's size by output_padding where that can say it, else by output_size."""
    a, out = case.a, case.a.y_shape[2:]
    steps = zip(a.in_size, out, a.kernel_size, a.stride, a.dilation, a.padding, strict=True)
    extra = tuple(n - (s * (i - 1) + d * (k - 1) + 1 - sum(p)) for n, i, k, s, d, p in steps)
    if case.seed % 2 and all(map(range(99).__contains__, extra)):
        return {"output_padding": extra}
    return {"output_size": a.in_size}


def check(case: Case, compiled: bool = False) -> list[Outcome]:
    """Hold a case to everything, or raise Fault.

    Args:
        case: what is asked for.
        compiled: whether XLA computes it too, and must agree.

    Returns:
        An outcome for each algorithm and partial.

    Raises:
        Fault: with a line that repeats the case.
    """
    try:
        held = _held(case, compiled)
    except Exception as error:  # whatever it is, the case must be told
        flag = " --compiled" if compiled else ""
        raise Fault(
            f"{type(error).__name__}: {error}\nrepeat: python -m tests.sweep --case '{case}'{flag}"
        ) from error
    return [
        same[0]._replace(worst=max(outcome.worst for outcome in same))
        for same in zip(*held, strict=True)
    ]


def _held(case: Case, compiled: bool) -> list[list[Outcome]]:
    """Outcomes with whole numbers and with others, each read and, if asked for, compiled."""
    todo, outcomes = programs(case), []
    roles = {key: PARTIALS[key[1]][:2] for key in todo}
    readers: dict[tuple[str, str], Callable[..., Any]] = {}

    @jax.jit
    def program(placed: Mapping[str, Any]) -> list[Any]:
        # One program for all: a compilation costs more than what it compiles here.
        return [f(*(placed[role] for role in roles[key])) for key, f in todo.items()]

    for whole in (True, False):
        numbers = dict(zip("xwy", case.numbers(whole), strict=True))
        placed = {role: case.placed(role, v) for role, v in numbers.items()}
        wanted = {partial: _defined(case, partial, numbers, whole) for partial in PARTIALS}
        results = {}
        for key, f in todo.items():
            operands = [placed[role] for role in roles[key]]
            readers[key] = readers.get(key) or reader(f, *operands)
            with np.errstate(all="ignore"):  # integers overflow, and so they should
                (results[key],) = readers[key](*operands)
        ways = [results]
        if compiled:
            ways.append(dict(zip(todo, map(np.asarray, program(placed)), strict=True)))
        for found in ways:
            outcomes.append([_compared(case, *key, found[key], wanted[key[1]]) for key in todo])
            for name in case.names:
                _adjoint(case, name, found, numbers, wanted)
    return outcomes


# -- the definition --------------------------------------------------------------------------------


def _defined(case: Case, partial: str, numbers: Mapping[str, Any], whole: bool) -> Definition:
    """The sum in a wider dtype, and what rounding may do to it.

    Sums of n terms in a dtype with unit roundoff u err by n u times the sum of the terms' sizes;
    narrow floats are added up in float32 and rounded once more.
    """
    first, second, _ = PARTIALS[partial]
    dtype = jnp.dtype(case.dtype)
    if dtype.kind in "iu":
        with np.errstate(over="ignore"):  # modulo 2**64, and so modulo 2**32
            value = LOOPS[partial](
                case.a, numbers[first].astype("int64"), numbers[second].astype("int64")
            )
        return Definition(value.astype(dtype), np.zeros(value.shape))
    wide = np.clongdouble if dtype.kind == "c" else np.longdouble
    p, q = numbers[first].astype(wide), numbers[second].astype(wide)
    value = LOOPS[partial](case.a, p, q)
    if whole:  # few and small enough that no sum of them is rounded, but for bfloat16's last
        allowed = abs(value) * (2.0**-8 if dtype == jnp.bfloat16 else 0)
        return Definition(value, allowed.astype(np.float64))
    sizes = LOOPS[partial](case.a, abs(p).astype(np.float64), abs(q).astype(np.float64))
    return Definition(value, _allowed(case, partial, dtype, abs(value), sizes))


def _allowed(case: Case, partial: str, dtype: Any, value: Any, sizes: Any) -> Any:
    narrow = dtype.itemsize == 2
    added = jnp.finfo("float32" if narrow else dtype)
    # A complex product is four real ones and two sums.
    unit = float(added.eps) / 2 * (4 if dtype.kind == "c" else 1)
    allowed = (terms(case, partial) + 1) * unit * sizes
    if narrow:
        kept = jnp.finfo(dtype)
        allowed = allowed + float(kept.eps) / 2 * value.astype(np.float64) * (1 + 2.0**-10)
        allowed = allowed + float(kept.smallest_subnormal)
    return allowed + float(added.tiny)


def terms(case: Case, partial: str) -> int:
    """Products in a sum, at the most."""
    a = case.a
    if partial == "conv":
        return math.prod(a.w_shape[1:])
    if partial == "conv_transpose":
        copies = math.prod(a.y_shape[2:]) if a.padding_mode != "zeros" else 1
        return a.out_channels // a.groups * math.prod(a.kernel_size) * copies
    return a.batch * math.prod(a.y_shape[2:])


# -- the laws --------------------------------------------------------------------------------------


def _compared(case: Case, name: str, partial: str, result: Any, wanted: Definition) -> Outcome:
    """Dtype, shape and values."""
    where = f"{partial} by {name}"
    if result.dtype != jnp.dtype(case.dtype):
        raise AssertionError(f"{where}: a result of dtype {result.dtype}")
    expected = case.placed(PARTIALS[partial][2], wanted.value)
    if result.shape != expected.shape:
        raise AssertionError(f"{where}: shape {result.shape}, and {expected.shape} is right")
    wide = expected.dtype
    off = abs(result.astype(wide) - expected) if wide.kind in "fc" else result != expected
    off, allowed = off.astype(np.float64), case.placed(PARTIALS[partial][2], wanted.allowed)
    if not (off <= allowed).all():
        place = np.unravel_index(np.argmax(off - allowed), off.shape)
        raise AssertionError(f"{where}: {result[place]} at {tuple(map(int, place))}, and "
                             f"{expected[place]} is right; {off[place]} off, and "
                             f"{allowed[place]} is allowed")  # fmt: skip
    share = np.divide(off, allowed, out=np.zeros_like(off), where=allowed > 0)
    return Outcome(name, partial, case.dtype, float(share.max(initial=0)))


def _adjoint(
    case: Case, name: str, found: Mapping[tuple[str, str], Any], numbers: Mapping[str, Any],
    wanted: Mapping[str, Definition],
) -> None:  # fmt: skip
    """sum(conv(x, w) y) = sum(x conv_transpose(y, w)) = sum(w kernel_gradient(x, y))."""
    dtype = jnp.dtype(case.dtype)
    wide = np.int64 if dtype.kind in "iu" else wanted["conv"].value.dtype
    sums, allowed = {}, {}
    for partial, (_, _, role) in PARTIALS.items():
        result = case.restored(role, found[name, partial])
        with np.errstate(over="ignore"):
            sums[partial] = (result.astype(wide) * numbers[role].astype(wide)).sum(dtype=wide)
        size = abs(numbers[role].astype(np.complex128))
        allowed[partial] = float((wanted[partial].allowed * size).sum()) * (1 + 2.0**-20)
    for partial in ("conv_transpose", "kernel_gradient"):
        if dtype.kind in "iu":
            off = float(sums["conv"].astype(dtype) != sums[partial].astype(dtype))
        else:
            off = float(abs(sums["conv"] - sums[partial]))
        most = allowed["conv"] + allowed[partial]
        if not off <= most + 2.0**-60 * float(abs(sums["conv"])):
            raise AssertionError(
                f"by {name}: sum(conv(x, w) y) = {sums['conv']}, but with {partial} "
                f"{sums[partial]}; {off} off, and {most} is allowed"
            )
