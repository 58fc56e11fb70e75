"""Rows by the hash of their key, in C over Arrow buffers: hashed, sorted, gathered, found; `native/keyed.h` says how.

What it can't do it leaves to its callers, which have the same in numpy and pyarrow: there may be no compiled library.
"""
