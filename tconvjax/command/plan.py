"""Answer questions about a layer: the commands ``size``, ``checkerboard`` and ``plan``."""

from __future__ import annotations

import argparse

from tconvjax.algorithms.records import save_plans
from tconvjax.arguments import ints
from tconvjax.command import arguments as words
from tconvjax.errors import GeometryError
from tconvjax.geometry.padding import pads
from tconvjax.layouts import ROLES
from tconvjax.tuning import plan as choose

SHADES = " ░▒▓█"
"""Characters from the fewest stamps to the most; each is drawn twice for its width."""

MOST_SHOWN = 32
"""Maximum number of elements per axis that a checkerboard shows."""


def size(arguments: argparse.Namespace) -> None:
    """Print the size a convolution gives, and for each axis the sizes that lead back from it."""
    extra, given = arguments.output_padding, vars(arguments)
    convolution = words.layer(given if arguments.size is None else {**given, "output_padding": 0})
    sizes, out = convolution.in_size, convolution.out_size
    try:
        back = words.layer({**given, "out_size": out})
    except GeometryError:
        if extra != 0:
            raise
        # A padding wider than the kernel can leave less than nothing without output_padding.
        answer = "none without output_padding, see below"
    else:
        named = isinstance(arguments.padding, str)
        how = "padding by name" if named else f"output_padding {words.by(extra)}"
        answer = f"{words.by(back.in_size)}  ({how})"
    print(f"convolution             {words.by(sizes)} -> {words.by(out)}")
    print(f"transposed convolution  {words.by(out)} -> {answer}")
    padding = pads(words.for_axes(arguments.padding, len(sizes)), len(sizes))
    for n, (axis, ends) in enumerate(zip(convolution.axes, padding, strict=True)):
        if axis.out_size == 0:
            continue
        argument, values = words.alternatives(axis, ends)
        print(f"axis {n}: input sizes whose output size is {axis.out_size}")
        shown = list(values)
        if len(shown) > 16:
            shown = sorted({*shown[:4], sizes[n], *shown[-4:]})
        for previous, number in zip([shown[0] - 1, *shown], shown, strict=False):
            if number > previous + 1:
                print("  ...")
            mark = "  <- the size given" if arguments.size and number == sizes[n] else ""
            print(f"  {number:>7}  {argument} {values[number]}{mark}")


def checkerboard(arguments: argparse.Namespace) -> None:
    """Print how many stamps land on each element, and what to change."""
    from tconvjax import rendering, upsampling  # which import SymPy

    given = (arguments.kernel, arguments.stride, arguments.dilation)
    rank = next((len(value) for value in given if isinstance(value, tuple)), 2)
    if arguments.output is not None and rank > 2:
        raise words.CommandError(
            f"--output: a picture has 2 axes, and these are {rank}; leave it out"
        )
    words.check_axes(vars(arguments), rank)
    kernels = ints("kernel", arguments.kernel, rank, 1)
    strides = ints("stride", arguments.stride, rank, 1)
    shown = [max(2, min(8, MOST_SHOWN // s - k)) for k, s in zip(kernels, strides, strict=True)]
    transposed = words.layer({**vars(arguments), "out_size": shown})
    found = upsampling.checkerboard(transposed)
    if rank <= 2:
        counts = upsampling.overlap(transposed)[(slice(MOST_SHOWN),) * rank]
        if arguments.output is not None:
            table = rendering.heat_table(counts, name="stamps")
            picture = rendering.Stack([table, rendering.Words(str(found))])
            words.write_text(arguments.output, rendering.to_svg(picture) + "\n")
        most, last = max(1, counts.max()), len(SHADES) - 1
        for row in counts.reshape(-1, counts.shape[-1]).tolist():
            print("".join(SHADES[-(-last * n // most)] * 2 for n in row))
        print(f"from {counts.min()} to {counts.max()} stamps on an element")
    print(found)


def plan(arguments: argparse.Namespace) -> None:
    """Print the choice of algorithm for each partial of a layer, the candidates and the reason."""
    geometry, batch, measure = words.layer(vars(arguments)), arguments.batch, arguments.measure
    if (arguments.save or arguments.output) and not measure:
        raise words.CommandError("--save, --output: nothing was measured; give --measure too")
    options = {"dimension_numbers": arguments.layout, "measure": measure}
    platform = arguments.platform
    plans = [choose(geometry, p, arguments.dtype, platform, batch, **options) for p in ROLES]
    x, y = (batch, *geometry.in_shape), (batch, *geometry.out_shape)
    print(f"x {x}  w {geometry.kernel_shape}  y {y}")
    for found in plans:
        print(f"\n{found}")
    estimated = "estimates for a CPU with two cores, to compare with one another"
    print(f"\nms: {'measured here' if measure else estimated}")
    if arguments.output:
        print(f"kept in {save_plans(arguments.output)}")
    if arguments.save:
        print(f"kept in {save_plans()}")
