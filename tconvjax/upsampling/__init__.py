"""Upsampling: what transposed convolution is used for, and what goes wrong with it."""

from tconvjax.upsampling.checkerboards import checkerboard, overlap
from tconvjax.upsampling.deconvolution import deconvolve
from tconvjax.upsampling.initializers import (
    bilinear_init,
    bilinear_kernel,
    glorot_normal,
    glorot_uniform,
    he_normal,
    he_uniform,
    icnr_init,
    lecun_normal,
    lecun_uniform,
    transposed_scaling,
)
from tconvjax.upsampling.interpolation import downsample, resize_conv, upsample
from tconvjax.upsampling.pooling import avg_pool, avg_unpool, max_pool, max_unpool
from tconvjax.upsampling.shuffle import fold, pixel_shuffle, pixel_unshuffle, unfold

__all__ = [
    "avg_pool",
    "avg_unpool",
    "bilinear_init",
    "bilinear_kernel",
    "checkerboard",
    "deconvolve",
    "downsample",
    "fold",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "icnr_init",
    "lecun_normal",
    "lecun_uniform",
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
