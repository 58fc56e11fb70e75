"""Filters made of smaller ones, for hypothesis."""

from __future__ import annotations

from hypothesis import strategies as st


def combined(atoms: st.SearchStrategy[str], most: int) -> st.SearchStrategy[str]:
    """Filters of up to `most` atoms, joined by and, or and not."""
    return st.recursive(
        atoms,
        lambda inner: st.one_of(
            st.builds("({} and {})".format, inner, inner),
            st.builds("({} or {})".format, inner, inner),
            st.builds("(not {})".format, inner),
        ),
        max_leaves=most,
    )
