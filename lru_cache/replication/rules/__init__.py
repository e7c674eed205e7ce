"""The rules of replication, a concept a file. They run as they are, and are compiled where there is a compiler.

A `.py` file is the whole rule. The `.pxd` file beside it says which C types the compiler may use, and nothing else. The
compiled ones are `lru_cache.replication.native_rules`, of the same sources: so imports in here are relative, and both
can be in one process, beside each other. CONTRIBUTING.md says what else the compiler asks for.
"""
