"""Standard MIBs, served as views beside the mapping's own modules: one file for each."""
