"""`python -m lru_cache`: a node that speaks HTTP, and commands to talk to one. It must not know how they are done."""

import sys

from lru_cache.server.command_line import main

if __name__ == "__main__":
    sys.exit(main())
