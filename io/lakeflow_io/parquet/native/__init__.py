"""Flat columns decoded in C, straight into Arrow memory; `decoder.h` says why."""
