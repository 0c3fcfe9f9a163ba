"""What ``algorithm="auto"`` means for a layer, and why: what ``tconvjax plan`` does."""

from __future__ import annotations

import argparse

import jax.numpy as jnp

from tconvjax.algorithms.plan import plan
from tconvjax.arguments import ints
from tconvjax.command.arguments import CommandError, for_axes
from tconvjax.geometry import Geometry
from tconvjax.layouts import ROLES


def run_plan(arguments: argparse.Namespace) -> int:
    """Print the choice for each partial of a layer, the candidates and the reason.

    Args:
        arguments: the parsed command line.

    Returns:
        The exit status, 0.

    Raises:
        CommandError: if an option has no such value.
    """
    batch, geometry = _layer(arguments)
    try:
        dtype = jnp.dtype(arguments.dtype)
    except TypeError:
        raise CommandError(
            f"--dtype: {arguments.dtype!r} is no dtype; give one such as float32"
        ) from None
    shapes = {
        "x": (batch, *geometry.in_shape),
        "w": geometry.kernel_shape,
        "y": (batch, *geometry.out_shape),
    }
    print("  ".join(f"{name} {shape}" for name, shape in shapes.items()))
    for partial in ROLES:
        print(f"\n{plan(geometry, partial, dtype, arguments.platform, batch)}")
    print("\nms: estimates for the 2-core machine of the measurement, to compare with one another")
    return 0


def _layer(arguments: argparse.Namespace) -> tuple[int, Geometry]:
    """Batch size and geometry."""
    size, groups = arguments.size, arguments.groups
    channels, filters = arguments.in_channels, arguments.out_channels
    kernel = ints("kernel", arguments.kernel, len(size), 1)
    if channels % groups or filters % groups:
        raise CommandError(
            f"--groups: {groups} must divide --in-channels {channels} and --out-channels "
            f"{filters}; give a divisor of both"
        )
    steps = {
        "stride": arguments.stride,
        "padding": for_axes(arguments.padding, len(size)),
        "dilation": arguments.dilation,
        "groups": groups,
    }
    if arguments.forward:
        w_shape = (filters, channels // groups, *kernel)
        return arguments.batch, Geometry.of_conv((channels, *size), w_shape, **steps)
    return arguments.batch, Geometry.of_conv_transpose(
        (channels, *size),
        (channels, filters // groups, *kernel),
        output_padding=arguments.output_padding,
        **steps,
    )
