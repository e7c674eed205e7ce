"""What tests and benchmarks need beside the library: processes, ports, certificates. Not installed, and not public.

Nothing here may know what is tested or measured, nor how a cache works.
"""
