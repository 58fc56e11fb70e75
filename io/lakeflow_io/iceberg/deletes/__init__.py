"""Row-level deletes: which files hold them, which data files they apply to, and which rows they remove."""
