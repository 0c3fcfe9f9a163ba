"""Mutants that are no faults, and why: what `tests.mutants` reports as equivalent."""

from __future__ import annotations

EQUIVALENT: dict[str, str] = {
    # -- geometry --
    'return ints("groups", groups, 1, 1)[(-1)]': "the last of one is the first",
    'return ints("groups", groups, (2), 1)[0]': "the first of two alike is the first of one",
    "@dataclass(frozen=True, slots=(False))": "slots save memory, and nothing else",
    **{
        f"low, high = conv_pads(given, ({size}), span, stride)": "only the names other than VALID "
        "look at the size, and those went another way" for size in (-1, 1)
    },
    'kernel = spelling.ints("kernel_size", frozen("kernel_size", kernel_size), len(sizes), (0))':
    "`Geometry.of_conv` refuses it in the same words",
    "return geometry.out_size if many else geometry.out_size[(-1)]": "the last of one is the first",
    **{
        f"low, high = spelling.conv_pads(ends, {sizes}, step)": "only the names other than VALID "
        "look at the size"
        for sizes in ("(-1), 0", "(1), 0", "0, (-1)", "0, (1)")
    },
    "sizes = range(max(least, 0), max(least + room, 1 if size == 0 else (-1)))": "a range from 0 "
    "or more has no element below 0, and ends empty at 0 or at -1",
    "divisors = [n for n in range(1, channels + (2)) if channels % n == 0]": "no number is divided "
    "by the next",
    **{
        f"(1, *sizes), (({count}), 1, *kernel), stride=stride, padding=padding, dilation=dilation":
        "how many channels come out says nothing of sizes" for count in (0, 2)
    },
    "runs.append((source, 1, (0)))": "a run of one element takes no step",
    # -- trilinear --
    "(letter,) = _SHARED[having[(-1)]].keys() & _SHARED[result].keys()": "the last of one is the "
    "first",
    # -- algorithms --
    "y = jnp.expand_dims(y, tuple(range(2, (1) + 2 * rank, 2)))": "every second number up to an "
    "even one or to that before it",
    "y = jnp.expand_dims(y, tuple(range(2, (1) + 2 * rank, 2)))  # (N, U1, 1, U2, 1, ..., g, o)":
    "as above",
    **{
        f"return {called}, splits, specs.lhs_spec)": "of one element the second is the first"
        for called in (
            f"{name}(a, w[..., {at}]"
            for name in ("_depthwise", "_depthwise_transpose")
            for at in ("(1), :, 0", "0, :, (1)", "(-1), :, 0", "0, :, (-1)")
        )
    },
    **{
        f"return lax.dot_general({factors}, dims, precision=precision)[None]": "the last of one is "
        "the first, and JAX takes the last for one that is not there"
        for factors in ("a[(-1)], b[0]", "a[0], b[(-1)]", "a[(1)], b[0]", "a[0], b[(1)]")
    },
    "first = all((spec[1] <= min(spec[2:])) for spec in (specs.lhs_spec, specs.out_spec))": "no "
    "two axes stand in one place",
    "n for n, axis in enumerate(geometry.axes) if Split(axis).even and (Split(axis).shifts >= 1)":
    "a single shift is laid out in one way",
    "n for n, axis in enumerate(geometry.axes) if Split(axis).even and Split(axis).shifts > (0)":
    "as above",
    "for count in range(len(even) + (2))": "the first three of two are two",
    "first = (specs.lhs_spec[1] <= max(specs.lhs_spec[2:]))": "no two axes stand in one place",
    "first = specs.lhs_spec[1] < max(specs.lhs_spec[(1):])": "no number is below itself",
    "position = positions[n] + sum(p < positions[n] for p in positions[n + (0) :])": "as above",
    "places, kept = [0, *range(1, 2 * rank, 2)], range(2, 2 * rank + (2), 2)": "every second "
    "number up to an odd one or to that after it",
    "pieces = (0)": "one piece and none are both fewer than too many",
    "pieces = (2)": "as above",
    'batch = ints("batch", frozen("batch", batch), 1, 0)[(-1)]': "the last of one is the first",
    "position = positions[n] + sum((p <= positions[n]) for p in positions[n + 1 :])": "no two axes "
    "stand in one place",
    "if axis.dilation == (0):": "the slices of any dilation are those of the reshape",
    "single = w.shape[-1] == w.shape[-3] == (0)": "then all go the general way",
    "if (split.axis.kernel_size < split.period):": "of as many taps as phases all are alike, and "
    "the second kind is left out",
    "rows, phases = range(1, 2 * rank, 2), range(2, 2 * rank + (2), 2)": "every second number up "
    "to an odd one or to that after it",
    "y, jnp.zeros((), y.dtype), [(0, 0, 0)] * 2 + [(0, (1), s - 1) for s in geometry.stride]":
    "zeros more behind the last",
    **{
        f"out = jnp.zeros(shape, operands[({n})].dtype)": "both operands have one dtype"
        for n in (-1, 1)
    },
    "_cut = functools.partial(lax.dynamic_slice_in_dim, allow_negative_indices=(True))": "no start "
    "is negative: to allow it costs kernels, and changes no value",
    "_put = functools.partial(lax.dynamic_update_slice_in_dim, allow_negative_indices=(True))":
    "as above",
}  # fmt: skip
"""Lines as they are changed, and why the change is no fault."""

SPEED_ALONE = frozenset(
    {
        "@functools.lru_cache(maxsize=4096)",
        "MOST_PAIRS = 16",
        'if exact or (partial == "kernel_gradient" and _mixes_groups(geometry, a)):',
        "CHUNKS = 8",
        "LEAST = 2**14",
        "WHOLE = 2**21",
        "LARGER = 2**7",
        "if order != tuple(range(v.ndim)):",
        "MOST = 2**20",
        "if not on_a_cpu() or (isinstance(a.size, int) and a.size < LEAST):",
        "return w.reshape(shape) if _as_it_lies(w.shape, order) else apart(lax.reshape, w, shape)",
        "merged = v.shape[cut:] if frame.first else v.shape[cut:-1]",
        "rows, more, less = *x.shape[1:], y.shape[2]",
        "if a.shape[0] == 1:  # XLA's fast product has no batch axis",
        "return apart(lax.reshape, v, shape) if math.prod(merged) > 1 else v.reshape(shape)",
        "if frame.first and frame.adds:",
        "x_first = not frame.first or x.shape[1] > y.shape[1]",
        "if more > less and (not isinstance(rows, int) or rows * (more - less) > more * less):",
        "return copied(geometry, splits) + (kernel if any(s.on_y for s in splits) else 0)",
    }
)
"""Lines that choose between two ways to the same values, or say from where on one of them pays."""
