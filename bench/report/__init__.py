"""The comparison report: a pure function of a run folder's records."""
