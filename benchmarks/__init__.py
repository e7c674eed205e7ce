"""Measurements of this library beside its peers: `python -m benchmarks --help` lists them.

Not part of the installed package. What belongs here prints numbers; what must hold belongs in tests/.
"""
