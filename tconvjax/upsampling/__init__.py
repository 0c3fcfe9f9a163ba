"""Upsampling: what transposed convolution is for, and what goes wrong with it."""

from tconvjax.upsampling.checkering import Checkerboard, checkerboard, overlap
from tconvjax.upsampling.deconvolving import Deconvolution, deconvolve
from tconvjax.upsampling.functions import METHODS
from tconvjax.upsampling.initializers import (
    bilinear_init,
    glorot_normal,
    glorot_uniform,
    he_normal,
    he_uniform,
    icnr_init,
    lecun_normal,
    lecun_uniform,
    transposed_scaling,
)
from tconvjax.upsampling.interpolating import (
    bilinear_kernel,
    downsample,
    resize_conv,
    upsample,
)
from tconvjax.upsampling.pooling import avg_pool, avg_unpool, max_pool, max_unpool
from tconvjax.upsampling.rearranging import fold, pixel_shuffle, pixel_unshuffle, unfold

__all__ = [
    "METHODS",
    "Checkerboard",
    "Deconvolution",
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
