"""Upsampling: what transposed convolution is used for, and what goes wrong with it."""

from tconvjax.upsampling.deconvolution import deconvolve
from tconvjax.upsampling.interpolation import downsample, resize_conv, upsample
from tconvjax.upsampling.kernels import (
    bilinear_init,
    bilinear_kernel,
    checkerboard,
    icnr_init,
    overlap,
    transposed_scaling,
)
from tconvjax.upsampling.pooling import avg_pool, max_pool, max_unpool
from tconvjax.upsampling.shuffle import fold, pixel_shuffle, pixel_unshuffle, unfold

__all__ = [
    "avg_pool",
    "bilinear_init",
    "bilinear_kernel",
    "checkerboard",
    "deconvolve",
    "downsample",
    "fold",
    "icnr_init",
    "max_pool",
    "max_unpool",
    "overlap",
    "pixel_shuffle",
    "pixel_unshuffle",
    "resize_conv",
    "transposed_scaling",
    "unfold",
    "upsample",
]
