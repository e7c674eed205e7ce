"""The workload that `python main.py` serves: imitations of slow stores, and requests for what they hold.

Not part of the library and not in its wheel. From the bottom up:

- `database`, `remote_cache`: the two slow stores;
- `sources`: how a key is read through them, which is what the cache in front loads with;
- `scenarios`: what the stores hold at the start, how slow they are, which keys are asked for;
- `ways`: a whole set of stores, with or without a cache in front;
- `stop`, `workers`: the threads that make the requests, and what ends them early;
- `summary`, `report`: what was measured, and how it is written;
- `output`, `progress`: where it is written to.

Only `main.py` knows them all.
"""
