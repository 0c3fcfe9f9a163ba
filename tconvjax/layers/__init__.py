"""Layers for Flax NNX (`tconvjax.layers.nnx`) and Equinox (`tconvjax.layers.equinox`)."""
