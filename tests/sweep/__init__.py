"""Every small convolution, and many larger ones, held against the definition for some minutes.

``python -m tests.sweep`` runs it; ``pytest`` runs a few seconds of it, in ``test_sweep.py``.

Compiling takes hundreds of times as long as computing here, so a case is checked in two ways:

- *read*: the program that would be compiled is traced and then computed by NumPy, one primitive
  after another (`tests.sweep.reading`). That takes milliseconds, so every geometry with one spatial
  axis up to a bound is read.
- *compiled*: the program is compiled by XLA and run as a user runs it. That is what counts, so
  half of the time goes there, to geometries drawn at random. Each is read as well, and the two
  must agree, which holds the reader to XLA.
"""
