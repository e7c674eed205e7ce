"""Filling on a miss: one load per key at a time, fenced against what happens meanwhile, and stale answers in need.

This folder may know the store. It must not know the cache's mapping face, replication or the network.
"""
