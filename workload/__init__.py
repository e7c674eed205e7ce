"""The workload that `python main.py` serves: imitations of slow stores, and requests for what they hold.

Not part of the library and not in its wheel. From the bottom up:

- `database`, `remote_cache`: the two slow stores;
- `sources`: how a key is read through them, which is what the cache in front loads with;
- `scenarios`: what the stores hold at the start, how slow they are, which keys are asked for;
- `stacks`: a whole set of stores, with or without a cache in front;
- `stop`, `workers`: the threads that make the requests, and what ends them early;
- `summary`, `report`: what was measured, and how it is written;
- `output`, `screen`, `progress`: where it is written to;
- `place`: where an instance stands in a cluster;
- `nodes`, `control`, `parent`: instances that the program starts itself, and what is said between it and them;
- `journal`, `cluster`, `cluster_report`: what such nodes did, laid side by side.

Only `main.py` knows them all.
"""
